"""The xAPI connector against a real learning record store, ralph, whose statements are known."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from landed import Landed, utc
from servers.ralph import Lrs

from perfhouse import lake
from perfhouse.errors import ConfigError, SourceMissing
from perfhouse.lake import Manifest
from perfhouse.month import Month
from perfhouse.settings import customer_key

SOURCE = """
[[sources]]
id = "lms"
connector = "xapi"
connection = "lms"
owner = "Learning <learning@corp.example>"
"""
# September in Shanghai
START = datetime(2026, 8, 31, 16, tzinfo=UTC)
END = datetime(2026, 9, 30, 16, tzinfo=UTC)
Statement = dict[str, Any]


def _connect(monkeypatch: pytest.MonkeyPatch, lrs: Lrs, password: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LMS", lrs.url.replace("://", f"://{lrs.user}:{password}@"))


@pytest.fixture(scope="module")
def september(ralph: Lrs, tmp_path_factory: pytest.TempPathFactory) -> tuple[Landed, Manifest]:
    """September, landed once for the tests that look at it."""
    with pytest.MonkeyPatch.context() as patch:
        _connect(patch, ralph, ralph.password)
        landed = Landed(tmp_path_factory.mktemp("lms"), SOURCE)
        return landed, landed.ingest("2026-09")


def _stored(lrs: Lrs, start: datetime, end: datetime) -> dict[str, Statement]:
    return {
        s["id"]: s for s in lrs.statements if start <= datetime.fromisoformat(s["stored"]) < end
    }


def _plain(statements: dict[str, Statement]) -> dict[str, Statement]:
    return {key: s for key, s in statements.items() if not s["verb"]["id"].endswith("voided")}


def _rows(september: tuple[Landed, Manifest]) -> list[dict[str, Any]]:
    landed, manifest = september
    files = [str(landed.home.root / f.path) for f in manifest.streams["training_records"].files]
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute("select * from read_parquet(?)", [files]).to_arrow_table().to_pylist()


def test_every_statement_stored_in_the_month_lands_and_no_other(
    ralph: Lrs, september: tuple[Landed, Manifest]
) -> None:
    expected = _stored(ralph, START, END)
    assert len(expected) > 720
    rows = _rows(september)
    plain = [row["record_id"] for row in rows if not row["voided"]]
    assert sorted(plain) == sorted(_plain(expected))
    assert len(rows) == len(expected)
    assert september[1].streams["training_records"].quarantined == 0


def test_the_months_edges_are_half_open_to_the_millisecond(
    ralph: Lrs, september: tuple[Landed, Manifest]
) -> None:
    at = {
        datetime.fromisoformat(s["stored"]): s["id"] for s in ralph.statements if "edge" in str(s)
    }
    landed = {row["record_id"] for row in _rows(september)}
    assert at[START] in landed
    assert at[START - timedelta(milliseconds=1)] not in landed
    assert at[END] not in landed


def test_pages_that_the_store_caps_are_followed_to_the_end(
    september: tuple[Landed, Manifest],
) -> None:
    landed, _ = september
    receipt = lake.latest_receipt(landed.home, "lms", Month("2026-09"))
    pages = [
        json.loads(lake.archived_path(landed.home, receipt, f.name).read_bytes())["statements"]
        for f in receipt.files
        if f.name.startswith("statements/")
    ]
    assert {len(page) for page in pages[:-1]} == {100}, "we ask for 500"
    assert len(pages) > 7


def test_a_voided_statement_lands_again_as_voided(
    ralph: Lrs, september: tuple[Landed, Manifest]
) -> None:
    void = next(s for s in ralph.statements if s["verb"]["id"].endswith("voided"))
    versions = [row for row in _rows(september) if row["record_id"] == void["object"]["id"]]
    newest = max(versions, key=lambda row: row["source_updated_at"])
    assert [row["voided"] for row in versions].count(True) == 1
    assert newest["voided"]
    assert newest["status"] == "withdrawn"


def test_a_statement_keeps_its_learner_course_score_and_time(
    ralph: Lrs, september: tuple[Landed, Manifest]
) -> None:
    rows = {row["record_id"]: row for row in _rows(september) if not row["voided"]}
    checked = 0
    for key, told in _plain(_stored(ralph, START, END)).items():
        row, actor = rows[key], told["actor"]
        mail = actor.get("mbox", "").removeprefix("mailto:").lower()
        key = customer_key(september[0].home)
        hashed = hmac.new(key, mail.encode(), hashlib.sha256).hexdigest()
        assert row["learner_id"] == (hashed if mail else actor["account"]["name"])
        assert row["course_id"] == told["object"]["id"]
        verb = told["verb"]["id"].rsplit("/", 1)[1]
        assert row["status"] == {"initialized": "in_progress"}.get(verb, verb)
        score = told.get("result", {}).get("score", {}).get("raw")
        assert (row["score"] is None) == (score is None)
        assert score is None or float(row["score"]) == score
        assert utc(row["source_updated_at"]) == told["timestamp"].replace(".000Z", "Z")
        checked += 1
    assert checked > 720


def test_every_learner_is_an_account_by_number_or_by_hash_of_the_mail(
    ralph: Lrs, september: tuple[Landed, Manifest]
) -> None:
    landed, manifest = september
    users = landed.rows(manifest, "source_users", "source_user_id")
    assert {row["learner_id"] for row in _rows(september)} <= set(users)
    numbered = {key for key, user in users.items() if user["employee_no"] == key}
    hashed = {key for key, user in users.items() if user["email_hash"]}
    assert numbered | hashed == set(users)
    assert not numbered & hashed
    assert len(hashed) > 10
    assert "@" not in str(users)


def test_three_months_hold_every_statement_once(
    ralph: Lrs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _connect(monkeypatch, ralph, ralph.password)
    landed = Landed(tmp_path, SOURCE)
    counts = [
        landed.ingest(month).streams["training_records"].landed
        for month in ("2026-08", "2026-09", "2026-10")
    ]
    assert all(counts)
    assert sum(counts) == len(ralph.statements)


def test_a_wrong_password_is_the_operators_to_mend(
    ralph: Lrs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _connect(monkeypatch, ralph, "wrong-one")
    with pytest.raises(ConfigError, match="HTTP 401") as refused:
        Landed(tmp_path, SOURCE).ingest("2026-09")
    assert "wrong-one" not in str(refused.value)


def test_a_month_that_is_not_over_is_waited_for(
    ralph: Lrs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _connect(monkeypatch, ralph, ralph.password)
    with pytest.raises(SourceMissing, match="the month ends at"):
        Landed(tmp_path, SOURCE).ingest("2099-01")
