"""How fast an SFTP drop is read, on an OpenSSH server of its own on the loopback.

Needs OpenSSH's server installed; random bytes, so that nothing is won by compression.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.measure import say
from benchmarks.results import Report, Table, number

DEFAULT_REPEATS = 3
SIZES = ((1, 256), (128, 1), (1_000, 0))  # files and MiB of each; 0 MiB is 4 KiB
_MIB = 1 << 20
_FLOOR = 50  # MB/s that a large file must reach
_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/client_key.pub
PasswordAuthentication no
StrictModes no
UsePAM no
Subsystem sftp internal-sftp
ForceCommand internal-sftp
"""
_NOTES = (
    "The whole way of the connector: listing, download, and the check that size and time of every "
    "file are still those that were listed. Written to disk, not yet hashed or landed.",
    f"A large file must reach {_FLOOR} MB/s.",
)


def run(options: argparse.Namespace) -> Report:
    """Measure reading one large file, many middling and very many small ones."""
    repeats = options.repeats or DEFAULT_REPEATS
    data = []
    with measure.workspace(options.tmp, "sftp") as root, _server(root) as connection:
        for count, mebibytes in SIZES:
            size = mebibytes * _MIB or 4096
            _fill(root / "drop" / f"{count}", count, size)
            given = {"connection": connection, "folder": str(root / "drop"), "name": f"{count}"}
            runs = [
                measure.call(fetch, **given, target=str(root / "got" / f"{count}-{nth}"))
                for nth in range(repeats)
            ]
            data.append(_entry(count, size, runs))
            say(f"   {count:,} files of {size:,} bytes: {data[-1]['mb_per_second']:,.0f} MB/s")
    return Report("sftp", {"repeats": repeats}, data, [_table(data, repeats)], _NOTES)


def _entry(count: int, size: int, runs: list[measure.Measured]) -> dict[str, Any]:
    seconds = measure.values(runs, "seconds")
    total = count * size
    return {
        "files": count,
        "bytes": total,
        "seconds": seconds,
        "mb_per_second": total / 1e6 / measure.median(seconds),
        "files_per_second": count / measure.median(seconds),
        "peak_mib": max(run.peak_mib for run in runs),
    }


def _table(data: list[dict[str, Any]], repeats: int) -> Table:
    return Table(
        f"SFTP on the loopback, median of {repeats}",
        ("files", "bytes", "seconds", "MB/s", "files/s", "peak MiB"),
        tuple(
            (
                number(entry["files"]),
                number(entry["bytes"]),
                number(measure.median(entry["seconds"]), 2),
                number(entry["mb_per_second"]),
                number(entry["files_per_second"]),
                number(entry["peak_mib"]),
            )
            for entry in data
        ),
    )


def fetch(connection: str, folder: str, name: str, target: str) -> dict[str, Any]:
    """List one folder of the drop and download all of it; the clock runs from the first call."""
    from connectors import remote
    from connectors.remote import Address
    from connectors.remote_sftp import Sftp
    from perfhouse.settings import Connection

    held = Connection(**json.loads(connection))
    drop = Sftp(Address("sftp", held.host, held.port, folder, held.login, held))
    out = Path(target)
    out.mkdir(parents=True)
    clock = measure.Clock()
    entries = remote.find(drop, [f"{name}/*.bin"])
    for at in range(0, len(entries), 32):
        drop.fetch([(entry, out / entry.name) for entry in entries[at : at + 32]])
    told = clock.read()
    drop.close()
    first = out / entries[0].name
    source = Path(folder) / entries[0].path
    if _sha256(first) != _sha256(source):
        raise RuntimeError("what arrived is not what was sent")
    shutil.rmtree(out)
    return {**told, "files": len(entries)}


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _fill(folder: Path, count: int, size: int) -> None:
    folder.mkdir(parents=True)
    block = os.urandom(min(size, _MIB))
    for at in range(count):
        with (folder / f"{at:05d}.bin").open("wb") as out:
            for _ in range(max(1, size // _MIB)):
                out.write(block)


@contextmanager
def _server(root: Path) -> Iterator[str]:
    """Run OpenSSH with keys of its own; yield a connection to it as JSON."""
    daemon = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if daemon is None:
        raise SystemExit("sftp: expected OpenSSH's server (openssh-server) on this machine")
    for name in ("host_key", "client_key"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(root / name)]
        subprocess.run(words, check=True)
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port = asked.getsockname()[1]
    (root / "config").write_text(_CONFIG.format(port=port, folder=root), encoding="utf-8")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    command = [daemon, "-D", "-e", "-f", str(root / "config")]
    with (root / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as server:
        try:
            _wait(port)
            extra = {
                "key_file": str(root / "client_key"),
                "host_key": (root / "host_key.pub").read_text(encoding="utf-8"),
            }
            login = getpass.getuser()
            held = {"name": "bench", "kind": "sftp", "host": "127.0.0.1", "port": port}
            yield json.dumps({**held, "login": login, "extra": extra})
        finally:
            server.terminate()


def _wait(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("sftp: OpenSSH did not start")
