"""OpenSSH with SFTP only, on a port of its own, with keys of its own.

It serves the folder it gives out, to the account the tests run as.
"""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers import process


@dataclass(frozen=True)
class Sftp:
    """A running SFTP server; `root` is the folder whose files it serves, by their full path."""

    host: str
    port: int
    user: str
    root: Path
    client_key: Path
    known_hosts: Path
    host_key: str  # "ssh-ed25519 AAAA..."
    fingerprint: str  # "SHA256:..."

    def url(self, path: str = "") -> str:
        """Return the address of a file or folder below `root`."""
        return f"sftp://{self.user}@{self.host}:{self.port}{self.root}/{path}"


_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
UseDNS no
MaxStartups 100
MaxSessions 100
LogLevel VERBOSE
Subsystem sftp internal-sftp
ForceCommand internal-sftp
"""


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sftp]:
    """An SFTP server that knows one client key and serves an empty folder."""
    daemon = process.program("sshd", package="openssh-server")
    keygen = process.program("ssh-keygen", package="openssh-client")
    port = process.free_port()
    with process.folder("sftp") as folder:
        for name in ("host_key", "client_key"):
            command = [keygen, "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name]
            subprocess.run(command, check=True, capture_output=True)
        host_key = " ".join((folder / "host_key.pub").read_text("utf-8").split()[:2])
        (folder / "authorized_keys").write_bytes((folder / "client_key.pub").read_bytes())
        known = folder / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port} {host_key}\n", encoding="utf-8")
        config = folder / "sshd_config"
        config.write_text(_CONFIG.format(port=port, folder=folder), encoding="utf-8")
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # compiled in: privilege separation
        drop = folder / "drop"
        drop.mkdir()
        started = process.start(
            "sshd", [daemon, "-D", "-e", "-f", str(config)],
            ready=process.listening(port), log=folder / "sshd.log",
        )  # fmt: skip
        with started:
            yield Sftp(
                "127.0.0.1", port, getpass.getuser(), drop, folder / "client_key", known,
                host_key, _fingerprint(keygen, folder / "host_key.pub"),
            )  # fmt: skip


def _fingerprint(keygen: str, key: Path) -> str:
    told = subprocess.run([keygen, "-l", "-f", key], check=True, capture_output=True, text=True)
    return told.stdout.split()[1]
