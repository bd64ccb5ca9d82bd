"""Kamailio and real SIP calls through it, made by SIPp, with its rows in the test PostgreSQL.

Its clock is the machine's, so the rows are moved to one day once the calls are over.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from servers import process

if TYPE_CHECKING:
    from servers.postgres import Postgres

SEEDS = Path(__file__).resolve().parent / "seeds"
_TABLES = Path("/usr/share/kamailio/postgres")
_EXTRA = """
alter table acc_cdrs add callid varchar(255), add caller varchar(64), add queue varchar(64),
    add agent varchar(64);
alter table acc add src_user varchar(64), add dst_user varchar(64);
alter table missed_calls add src_user varchar(64), add dst_user varchar(64);
"""
_DAY = "2026-09-10 02:00:00"
_MOVE = """
update {table} set {columns} from (select min({first}) as began from {table}) as moved
"""


@dataclass(frozen=True)
class Call:
    """A call that was made: who called which queue, and whose it was to answer."""

    queue: str
    caller: str
    agent: str
    answered: bool


@dataclass(frozen=True)
class Kamailio:
    """The tables of a Kamailio and the calls that made them, all on 10 September 2026 UTC.

    `acc_cdrs` has a row for every call: those that were refused last no time, which is what
    Kamailio writes unless told otherwise. `missed_calls` has the refused ones, with the reason.
    """

    database: str = field(repr=False)
    calls: tuple[Call, ...]
    version: str


@pytest.fixture(scope="session")
def kamailio(postgres: Postgres) -> Iterator[Kamailio]:
    """100 answered calls and 20 that found the line busy, each 0.2 s long."""
    daemon = process.program("kamailio", package="kamailio")
    sipp = process.program("sipp", package="sip-tester")
    modules = next(iter(Path("/usr/lib").glob("*/kamailio/modules")), None)
    if modules is None or not (modules / "db_postgres.so").exists():
        process.missing("kamailio-postgres-modules")
    database = postgres.database("kamailio")
    calls = tuple(_calls())
    with ExitStack() as stack:
        folder = stack.enter_context(process.folder("sip"))
        with psycopg.connect(database) as connection:
            for name in ("standard", "acc"):
                sql = (_TABLES / f"{name}-create.sql").read_text(encoding="utf-8")
                connection.execute(sql.encode())
            connection.execute(_EXTRA)
        ports = {name: process.free_port() for name in ("PORT", "DESK_PORT", "BUSY_PORT")}
        for name, port in (("desk", ports["DESK_PORT"]), ("busy", ports["BUSY_PORT"])):
            command = [sipp, "-sf", str(SEEDS / f"sipp_{name}.xml"), "-p", str(port)]
            command += ["-i", "127.0.0.1", "-nostdin"]
            stack.enter_context(
                process.start(name, command, ready=_bound(port), log=folder / f"{name}.log")
            )
        config = _configure(folder, modules, database, ports)
        command = [daemon, "-DD", "-E", "-f", str(config), "-m", "64", "-M", "8"]
        stack.enter_context(
            process.start(
                "kamailio", [*command, "-Y", str(folder)],
                ready=lambda: _answers(ports["PORT"]), log=folder / "kamailio.log",
            )
        )  # fmt: skip
        _call(sipp, folder, calls, ports["PORT"])
        with psycopg.connect(database) as connection:
            _move(connection)
        yield Kamailio(database, calls, _version(daemon))


def _calls() -> Iterator[Call]:
    for n in range(120):
        caller = f"+86139{n % 37:08d}"
        if n % 6 == 5:
            yield Call("busy", caller, f"agent{n % 7}", answered=False)
        else:
            queue = ("support", "billing", "complaints")[n % 3]
            yield Call(queue, caller, f"agent{n % 7}", answered=True)


def _configure(folder: Path, modules: Path, database: str, ports: dict[str, int]) -> Path:
    text = (SEEDS / "kamailio.cfg").read_text(encoding="utf-8")
    # its own reader of addresses knows `postgres` only
    words = {"MODULES": modules, "DB_URL": database.replace("postgresql:", "postgres:"), **ports}
    for word, value in words.items():
        text = text.replace(f"@{word}@", str(value))
    config = folder / "kamailio.cfg"
    config.write_text(text, encoding="utf-8")
    return config


def _call(sipp: str, folder: Path, calls: tuple[Call, ...], port: int) -> None:
    lines = "".join(f"{c.queue};{c.caller};{c.agent};\n" for c in calls)
    (folder / "calls.csv").write_text("SEQUENTIAL\n" + lines, encoding="utf-8")
    command = [sipp, f"127.0.0.1:{port}", "-sf", str(SEEDS / "sipp_caller.xml")]
    command += ["-inf", str(folder / "calls.csv"), "-i", "127.0.0.1", "-d", "200", "-r", "60"]
    command += ["-m", str(len(calls)), "-timeout", "60s", "-timeout_error", "-nostdin"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode != 0:
        log = (folder / "kamailio.log").read_text(encoding="utf-8", errors="replace")
        pytest.fail(f"sipp ended with {done.returncode}: {done.stderr[-500:]}\n{log[-2000:]}")


def _move(connection: psycopg.Connection) -> None:
    for table, first, also in (
        ("acc_cdrs", "start_time", "end_time"),
        ("missed_calls", "time", None),
        ("acc", "time", None),
    ):
        columns = ", ".join(
            f"{c} = timestamp '{_DAY}' + ({c} - moved.began)" for c in (first, also) if c
        )
        connection.execute(_MOVE.format(table=table, columns=columns, first=first).encode())


def _bound(port: int) -> Callable[[], bool]:
    """Return a check that a UDP port of this machine is taken."""

    def check() -> bool:
        table = Path("/proc/net/udp").read_text(encoding="ascii")
        return f":{port:04X} " in table

    return check


def _answers(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        client.connect(("127.0.0.1", port))
        own = client.getsockname()[1]
        client.send(
            f"OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{own};"
            f"branch=z9hG4bK{own}\r\nFrom: <sip:t@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\n"
            f"Call-ID: {own}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n".encode()
        )
        return client.recv(2000).startswith(b"SIP/2.0 200")


def _version(daemon: str) -> str:
    told = subprocess.run([daemon, "-v"], capture_output=True, text=True, check=False).stdout
    return told.split("kamailio ")[1].split()[0]
