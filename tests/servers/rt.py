"""Request Tracker 5 on a database of its own, filled through its own classes by seeds/rt.pl.

What was done to each ticket is told by the seed, so that a test needs no second reading of RT.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from servers import process

if TYPE_CHECKING:
    from servers.postgres import Postgres

SEEDS = Path(__file__).resolve().parent / "seeds"
_SERVER = "/usr/share/request-tracker5/libexec/rt-server"
_DATABASE = "rt5"


@dataclass(frozen=True)
class Ticket:
    """What was done to a ticket; instants are UTC, `2026-09-01T01:00:00Z`."""

    id: int
    queue: str
    status: str
    owner: str | None
    created: str
    first_reply: str | None
    resolved: str | None
    last_updated: str
    replies: int
    reopened: int
    reassigned: int
    moved: int
    csat: int | None
    merged_into: int | None


@dataclass(frozen=True)
class RequestTracker:
    """A running RT, tokens of three readers and what was done to its tickets.

    `token` reads as the connector's page says; `shanghai_token` likewise, but its user lives in
    Asia/Shanghai; `blind_token` belongs to a user without rights.
    """

    url: str
    database: str = field(repr=False)
    version: str
    agents: tuple[str, ...]
    tickets: tuple[Ticket, ...]
    token: str = field(repr=False)
    shanghai_token: str = field(repr=False)
    blind_token: str = field(repr=False)


@pytest.fixture(scope="session")
def rt(postgres: Postgres) -> Iterator[RequestTracker]:
    """Request Tracker with 66 tickets of August to October 2026."""
    perl = process.program("perl", package="perl")
    setup = process.program("rt-setup-database-5", package="request-tracker5")
    if not Path(_SERVER).exists():
        process.missing("request-tracker5")
    database = postgres.database(_DATABASE)
    port = process.free_port()
    with process.folder("rt") as folder:
        env = _configure(folder, postgres, port)
        init = [setup, "--action", "init", "--dba", postgres.user, "--skip-create"]
        _run([*init, "--dba-password", postgres.password], env)
        seeded = json.loads(_run([perl, str(SEEDS / "rt.pl")], env))
        command = [perl, _SERVER, "--port", str(port), "--server", "Starlet"]
        command += ["--max-workers", "2"]
        url = f"http://127.0.0.1:{port}"
        log = folder / "rt.log"
        with process.start(
            "rt", command, ready=lambda: _answers(url, seeded["token"]), log=log, env=env
        ):
            yield RequestTracker(
                url, database, seeded["version"], tuple(seeded["agents"]),
                tuple(Ticket(**ticket) for ticket in seeded["tickets"]),
                seeded["token"], seeded["shanghai_token"], seeded["blind_token"],
            )  # fmt: skip


def _configure(folder: Path, postgres: Postgres, port: int) -> Mapping[str, str]:
    text = (SEEDS / "RT_SiteConfig.pm").read_text(encoding="utf-8")
    words = {
        "PORT": str(port), "FOLDER": str(folder), "DB_HOST": postgres.host,
        "DB_PORT": str(postgres.port), "DB_NAME": _DATABASE, "DB_USER": postgres.user,
        "DB_PASSWORD": postgres.password,
    }  # fmt: skip
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    config = folder / "RT_SiteConfig.pm"
    config.write_text(text, encoding="utf-8")
    for name in ("RT_SiteConfig.d", "mason", "sessions"):
        (folder / name).mkdir()
    return {
        "RT_SITE_CONFIG": str(config),
        "RT_SITE_CONFIG_DIR": str(folder / "RT_SiteConfig.d"),
        "TZ": "UTC",
    }


def _run(command: list[str], env: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"{Path(command[0]).name}: {done.stdout[-2000:]}{done.stderr[-3000:]}")
    return done.stdout


def _answers(url: str, token: str) -> bool:
    request = urllib.request.Request(
        f"{url}/REST/2.0/rt", headers={"Authorization": f"token {token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return bool(answer.status == 200)
