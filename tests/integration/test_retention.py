"""What is kept no longer goes, on record; what months that are kept are built from stays."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_warehouse as small

from perfhouse import company_look_back, lake, ledger, reproduce, retention, warehouse
from perfhouse.company import load_company
from perfhouse.errors import ConfigError, PerfhouseError, ReleaseError, SourceMissing
from perfhouse.month import Month
from perfhouse.settings import Home

NEWEST = Month("2026-09")
KEPT = {"archive": 2, "quarantine": 1, "superseded": 1, "landed": 2, "findings": 1}
MONTHS = [NEWEST.plus(-back) for back in range(8)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Eight months of everything that is kept for a time."""
    home = small.home(tmp_path / "home")
    for month in MONTHS:
        small.land(home, "hr", {"hr_roster": small.ROSTER}, month)
        part = lake.partition(month, "hr")
        for file in (
            home.archive / part / "0a" / "roster.csv",
            home.archive / part / "0a" / "receipt.json",
            home.quarantine / "hr_roster" / part / "0a.csv",
            home.superseded / "hr_roster" / part / "0a.parquet",
            home.raw / "training_records" / part / "0a.parquet",
            home.gates / month.key / "raw.json",
            home.data_docs / month.key / "raw.html",
        ):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("x", encoding="utf-8")
    return home


def months_of(folder: Path, home: Home) -> list[str]:
    found = (retention._month_of(file, home) for file in folder.rglob("*") if file.is_file())
    return sorted({month.key for month in found if month})


def test_ages_are_counted_from_the_newest_published_month(home: Home) -> None:
    with pytest.raises(ConfigError, match="expected --month"):
        retention.newest(home, None)
    assert retention.newest(home, NEWEST) == NEWEST


def test_nothing_goes_until_it_is_applied_and_then_it_is_on_record(home: Home) -> None:
    before = sorted(home.root.rglob("*"))
    found = retention.due(home, KEPT, NEWEST)
    assert sorted(home.root.rglob("*")) == before
    gone, line = retention.apply(home, KEPT, NEWEST, who="Privacy office")
    assert gone == found
    assert line is not None
    (told,) = ledger.lines(ledger.ledger_path(home))
    assert told == line
    assert line.kind == "deleted"
    assert line.what["archive"] == "5 files of 2026-02 to 2026-06"
    assert line.why.startswith("[retention] archive_months = 2, ")
    assert not [file for each in gone for file in each.files if file.exists()]
    assert retention.apply(home, KEPT, NEWEST, who="Privacy office") == ([], None)
    told = reproduce._because(home)
    assert "deleted by Privacy office (line 1 of the ledger): archive: 5 files of 2026-02" in told


def test_each_kind_is_kept_as_long_as_it_says_and_receipts_stay(home: Home) -> None:
    retention.apply(home, KEPT, NEWEST, who="Privacy office")
    three, two = ["2026-07", "2026-08", "2026-09"], ["2026-08", "2026-09"]
    assert len(list(home.archive.rglob("receipt.json"))) == len(MONTHS)
    assert sorted(p.parts[-4][6:] for p in home.archive.rglob("roster.csv")) == three
    assert months_of(home.quarantine, home) == two
    assert months_of(home.superseded, home) == two
    assert months_of(home.gates, home) == months_of(home.data_docs, home) == two


def test_a_landed_month_stays_as_long_as_a_kept_month_is_built_from_it(home: Home) -> None:
    retention.apply(home, KEPT, NEWEST, who="Privacy office")
    # the last three months stay buildable, and each reads three before it
    kept = [NEWEST.plus(-back).key for back in range(2 + company_look_back.MONTHS, -1, -1)]
    assert months_of(home.raw / "hr_roster", home) == kept
    assert months_of(home.raw / "training_records", home) == sorted(m.key for m in MONTHS)


def test_a_stream_that_is_read_further_back_stays_longer(home: Home) -> None:
    found = retention.due(home, {"landed": 2}, NEWEST)
    assert any("hr_roster" in str(file) for each in found for file in each.files)
    assert not [
        file
        for each in retention.due(home, {"landed": 2}, NEWEST, {"hr_roster": 60})
        for file in each.files
        if "hr_roster" in str(file)
    ]


def test_who_decided_must_be_said(home: Home) -> None:
    before = sorted(home.root.rglob("*.csv"))
    with pytest.raises(ConfigError, match="--by"):
        retention.apply(home, KEPT, NEWEST, who=" ")
    assert sorted(home.root.rglob("*.csv")) == before


GONE = "is gone, perhaps by `perfhouse retention`"


def test_what_was_deleted_is_told_where_it_is_missed(home: Home, tmp_path: Path) -> None:
    old = NEWEST.plus(-7)
    manifest = lake.read_manifest(home, "hr", old)
    assert manifest is not None
    retention.apply(home, {"landed": 1}, NEWEST, who="Privacy office")
    company = small.company(tmp_path / "company", small.source("hr"))
    with warehouse.connect() as con, pytest.raises(SourceMissing, match=GONE):
        lake.create_raw_views(con, home, company, old, None, {"hr_roster": []})
    with pytest.raises(ReleaseError, match="gone or changed"):
        lake.restore(home, Home(tmp_path / "other"), "hr", old, manifest.manifest_sha256)


def test_an_archive_that_was_deleted_is_not_called_damaged(home: Home) -> None:
    file = lake.ArchivedFile("roster.csv", "0" * 64, 1, ("hr_roster",), "csv")
    receipt = lake.Receipt("hr", MONTHS[-1].key, "0a" + "0" * 62, "2026-02-01", (file,))
    with pytest.raises(PerfhouseError, match="the archived bytes were deleted, by `perfhouse ret"):
        lake.check_archive(home, receipt)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("archive_months = 0", "retention.archive_months: expected a whole number from 1, got 0"),
        ("archive_days = 3", "retention.archive_days: unknown key"),
        ('landed_months = "6"', "retention.landed_months: expected a whole number from 1"),
    ],
)
def test_what_is_wrong_with_the_setting_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "perfhouse.toml").write_text(f"[retention]\n{text}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=told.replace(".", r"\.")):
        load_company(tmp_path)


def test_an_absent_setting_keeps_everything(home: Home) -> None:
    assert retention.due(home, {}, NEWEST) == []
