"""The ledger: append-only and chained."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfhouse import hashing, ledger, signing
from perfhouse.errors import ReleaseError
from perfhouse.month import Month
from perfhouse.settings import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path).ensure()


def add(home: Home, month: str, number: int) -> ledger.Entry:
    return ledger.append(
        home,
        month=Month(month),
        number=number,
        as_of=Month(month),
        path=f"{month}/r{number}",
        release_sha256=hashing.sha256_of([month, number]),
    )


def test_an_empty_home_has_no_entries(home: Home) -> None:
    assert ledger.entries(home) == []
    assert ledger.latest(home, Month("2026-09")) is None
    assert not ledger.repair(home)


def test_every_entry_is_chained_to_the_one_before(home: Home) -> None:
    first, second = add(home, "2026-09", 1), add(home, "2026-08", 1)
    assert first.previous_sha256 == "0" * 64
    assert second.previous_sha256 == first.entry_sha256
    assert ledger.entries(home) == [first, second]


def test_the_newest_release_of_every_month_is_found_in_the_order_of_months(home: Home) -> None:
    add(home, "2026-09", 1)
    add(home, "2026-08", 1)
    add(home, "2026-09", 2)
    assert [(e.month, e.number) for e in ledger.newest(home)] == [("2026-08", 1), ("2026-09", 2)]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [('"number":1', '"number":7', 1), ('"month":"2026-08"', '"month":"2026-07"', 2)],
)
def test_a_changed_line_is_found_and_named(home: Home, old: str, new: str, line: int) -> None:
    for month in ("2026-09", "2026-08", "2026-10"):
        add(home, month, 1)
    file = ledger.ledger_path(home)
    file.write_text(file.read_text("utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(ReleaseError, match=f"line {line} "):
        ledger.entries(home)


def test_a_removed_line_is_found(home: Home) -> None:
    for month in ("2026-09", "2026-08", "2026-10"):
        add(home, month, 1)
    file = ledger.ledger_path(home)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + lines[2])
    with pytest.raises(ReleaseError, match="line 2 "):
        ledger.entries(home)


def test_a_decision_stands_in_the_same_chain_and_is_no_release(home: Home) -> None:
    key = signing.release_key(home)
    first = add(home, "2026-09", 1)
    said = ledger.record(
        home, kind="approved", what={"release": "2026-09.r1"}, who="HR", why="paid", key=key
    )
    second = add(home, "2026-10", 1)
    assert ledger.entries(home) == [first, second]
    assert ledger.lines(ledger.ledger_path(home)) == [first, said, second]
    assert (said.sequence, said.at) == (2, None)
    assert second.previous_sha256 == said.entry_sha256
    assert ledger.is_signed(said, [key.get_public_key()])
    assert not ledger.is_signed(second, [key.get_public_key()])


def test_a_changed_decision_is_found_and_named(home: Home) -> None:
    key = signing.release_key(home)
    ledger.record(home, kind="approved", what={"month": "2026-09"}, who="HR", why="paid", key=key)
    file = ledger.ledger_path(home)
    file.write_text(file.read_text("utf-8").replace("paid", "not paid"), encoding="utf-8")
    with pytest.raises(ReleaseError, match=r"line 1 \(approved\)"):
        ledger.entries(home)


def test_a_line_is_its_canonical_text_to_the_byte(home: Home) -> None:
    add(home, "2026-09", 1)
    file = ledger.ledger_path(home)
    file.write_text(file.read_text("utf-8").replace('"number":1', '"number": 1'), encoding="utf-8")
    with pytest.raises(ReleaseError, match="line 1 "):
        ledger.entries(home)


def test_a_torn_line_is_ignored_by_readers_and_cut_off_by_the_publisher(home: Home) -> None:
    first = add(home, "2026-09", 1)
    file = ledger.ledger_path(home)
    with file.open("ab") as handle:
        handle.write(b'{"entry_sha256":"ab')
    assert ledger.entries(home) == [first]
    assert ledger.repair(home)
    assert add(home, "2026-10", 1).previous_sha256 == first.entry_sha256
