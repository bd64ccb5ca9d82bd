"""Watched places on a real SFTP server and in a bucket: listed, told apart, nothing fetched."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from file_drops import connect_s3, connect_sftp
from servers.moto import S3
from servers.sshd import Sftp

from connectors import remote_s3, remote_sftp
from perfhouse import arrivals, stages
from perfhouse.month import Month
from tests import tiny

SEPTEMBER = Month("2026-09")
TODAY = date(2026, 10, 2)


@dataclass(frozen=True)
class Place:
    """A drop folder of the survey: what puts a file there, as if it had rested a while."""

    ws: stages.Workspace
    put: Callable[[str, str], None]
    fetching: Any  # the module whose drop would fetch


def watching(root: Path, url: str, connection: str, settle: float) -> stages.Workspace:
    toml = tiny.company(root / "company") / "perfhouse.toml"
    said = f'url = "{url}"\nconnection = "{connection}"\nwatch = true\nsettle_minutes = {settle}\n'
    text = toml.read_text("utf-8").replace('id = "survey"\n', f'id = "survey"\n{said}')
    toml.write_text(text, encoding="utf-8")
    (root / "data").mkdir()
    return stages.open_workspace(toml.parent, root / "data", root / "home")


@pytest.fixture
def sftp(sshd: Sftp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    connect_sftp(monkeypatch, sshd)
    folder = sshd.root / hashlib.md5(str(tmp_path).encode()).hexdigest()[:12]

    def put(name: str, content: str) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        rested = time.time() - 3600 + len(content)
        os.utime(path, (rested, rested))

    url = f"sftp://{sshd.host}:{sshd.port}{folder}"
    return Place(watching(tmp_path, url, "hr_drop", 5), put, remote_sftp.Sftp)


@pytest.fixture
def s3(moto: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    connect_s3(monkeypatch, moto)
    bucket = moto.bucket(f"w-{hashlib.md5(str(tmp_path).encode()).hexdigest()[:12]}")
    files = moto.files()

    def put(name: str, content: str) -> None:
        files.pipe_file(f"{bucket}/{name}", content.encode())

    return Place(watching(tmp_path, f"s3://{bucket}", "lake", 0), put, remote_s3.S3)


@pytest.fixture(params=["sftp", "s3"])
def place(request: pytest.FixtureRequest) -> Place:
    """Take the one place and leave the other's server alone."""
    found: Place = request.getfixturevalue(request.param)
    return found


def arrived(place: Place, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Look, and fail should anything be fetched."""

    def refuse(*_: object) -> None:
        raise AssertionError("a look fetches nothing")

    with monkeypatch.context() as patch:
        patch.setattr(place.fetching, "fetch", refuse)
        seen = arrivals.look(place.ws, TODAY)
    assert seen.failed == ()
    return [(each.source, each.month.key) for each in seen.arrived]


@pytest.mark.server
def test_what_lands_at_a_remote_place_arrives_until_it_is_ingested_and_again_when_it_changes(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = tiny.answers(tmp_path / "made", SEPTEMBER.key).read_text("utf-8")
    assert arrived(place, monkeypatch) == []
    place.put("survey/2026-09/answers.csv.part", content)
    assert arrived(place, monkeypatch) == [], "its name says that it is not finished"
    place.put("survey/2026-09/answers.csv", content)
    assert arrived(place, monkeypatch) == [("survey", "2026-09")]
    stages.ingest(place.ws, "survey", SEPTEMBER)
    assert arrived(place, monkeypatch) == []
    place.put("survey/2026-09/answers.csv", content.replace(",1,", ",55,"))
    assert arrived(place, monkeypatch) == [("survey", "2026-09")]
    place.put("survey/2026-09/answers.csv", content.replace(",1,", ",5,"))
    place.put("survey/2026-09/more.csv", content.replace("2026-09-", "x-"))
    assert arrived(place, monkeypatch) == [("survey", "2026-09")]


@pytest.mark.server
def test_a_file_that_was_just_written_at_an_sftp_server_waits(
    sftp: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = tiny.answers(tmp_path / "made", SEPTEMBER.key).read_text("utf-8")
    monkeypatch.setattr(os, "utime", lambda *_: None)
    sftp.put("survey/2026-09/answers.csv", content)
    seen = arrivals.look(sftp.ws, TODAY)
    assert seen.arrived == ()
    assert any("less than 5 minutes ago" in line for line in seen.waiting)
