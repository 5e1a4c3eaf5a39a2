"""The internal certificate authorities: what makes https on this machine trusted by its own sandboxes.

The one that people may trust speaks for `localhost` names only (RFC 5280 name constraints), so they trust it for nothing
else. A second one, trusted in sandboxes alone, answers for the former platform's data hosts.
"""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k8s.naming import FORMER_DATA_HOSTS
from provider.up.secretfile import write_private

AUTHORITY_DAYS = 3650
LEAF_DAYS = 397  # browsers refuse longer ones
RENEW_DAYS = 30

FORMER_DOMAINS = ("deta.sh", "deta.space")

Key = ec.EllipticCurvePrivateKey


def _pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(path: Path) -> x509.Certificate | None:
    """The first certificate in the file, unless it is missing or soon over."""
    if not path.exists():
        return None
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    soon = datetime.now(UTC) + timedelta(days=RENEW_DAYS)
    return certificate if certificate.not_valid_after_utc > soon else None


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


@dataclass(frozen=True)
class Files:
    """Names of one authority's files in the home, and the domains that it may speak for."""

    title: str
    authority: str
    leaf: str
    domains: tuple[str, ...]


OWN = Files("Freehold on this machine", "ca", "gate.pem", ("localhost",))
FORMER = Files("Freehold, for its sandboxes only", "sandbox-ca", "former.pem", FORMER_DOMAINS)


def _make_authority(home: Path, files: Files) -> tuple[x509.Certificate, Key]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{files.title} ({home})"[:64])])
    certificate = (
        _builder(name, name, key, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints([x509.DNSName(domain) for domain in files.domains], None), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_private(home / f"{files.authority}.key", _pem(key))
    write_private(home / f"{files.authority}.pem", certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _make_leaf(leaf: Path, authority: x509.Certificate, signer: Key, names: tuple[str, ...]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    certificate = (
        _builder(subject, authority.subject, key, LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(signer, hashes.SHA256())
    )
    chain = certificate.public_bytes(serialization.Encoding.PEM) + authority.public_bytes(serialization.Encoding.PEM)
    write_private(leaf, chain + _pem(key))


def ensure(home: Path, names: tuple[str, ...]) -> None:
    """ca.pem, ca.key and gate.pem (certificate, chain and key as HAProxy reads them) for `names`, and sandbox-ca.pem,
    sandbox-ca.key and former.pem for the former platform's hosts; renewed a month before their end."""
    _ensure(home, OWN, names)
    _ensure(home, FORMER, FORMER_DATA_HOSTS)


def _ensure(home: Path, files: Files, names: tuple[str, ...]) -> None:
    certificate, key = home / f"{files.authority}.pem", home / f"{files.authority}.key"
    authority = _certificate(certificate)
    renewed = authority is None or not key.exists()
    if authority is None or renewed:
        authority, signer = _make_authority(home, files)
    else:
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
    leaf = _certificate(home / files.leaf)
    if renewed or leaf is None or not _covers(leaf, names):
        _make_leaf(home / files.leaf, authority, signer, names)


def _covers(leaf: x509.Certificate, names: tuple[str, ...]) -> bool:
    alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(names) <= set(alternative.value.get_values_for_type(x509.DNSName))


if __name__ == "__main__":
    ensure(Path(sys.argv[1]), tuple(sys.argv[2:]))
