"""Which certificates a container trusts: those of its image and the cell's."""

from pathlib import Path

_PUBLIC = Path("/etc/ssl/certs/ca-certificates.crt")
_TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE")


def trusting(certificates: str, folder: Path, public: Path = _PUBLIC) -> dict[str, str]:
    """Variables by which every language finds one file with the public certificates and these; none without these."""
    if not certificates:
        return {}
    file = folder / "trusted.pem"
    file.write_text(f"{public.read_text() if public.exists() else ''}\n{certificates}")
    return dict.fromkeys(_TRUST, str(file))
