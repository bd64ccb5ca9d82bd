"""The numbers of a run have few labels, and none that grows with months or people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from perfhouse import measurements
from perfhouse.lake import Manifest, StreamLanding
from perfhouse.measurements import Measure
from perfhouse.step_times import Step

LANDING = StreamLanding(
    files=(), rows_read=12, outside_window=1, rows_in=11, landed=7, duplicates=1, quarantined=3,
    unknown={}, undeclared_fields=(), late_rows={"2026-08": 2}, quarantine_file=None, reasons={},
)  # fmt: skip
MANIFEST = Manifest(
    source="desk", connector="files", month="2026-09", mapping_sha256="", archive_sha256="",
    archive=(), streams={"tickets": LANDING}, landed_at="", key_fingerprint="",
)  # fmt: skip


def step(name: str, ended: int, source: str = "") -> Step:
    at = datetime(2026, 10, 2, tzinfo=UTC) + timedelta(seconds=ended)
    return Step(name, source, at.isoformat(timespec="milliseconds"), 2.0, 3.0, is_done=True)


STEPS = [step("ingest", 10, "desk"), step("gate raw", 14), step("build", 20), step("publish", 25)]


def test_every_row_of_a_delivery_has_its_fate() -> None:
    found = {each.labels["fate"]: each.value for each in measurements.landed(MANIFEST)}
    assert found == {"landed": 7, "quarantined": 3, "duplicate": 1, "outside_window": 1, "late": 2}
    assert {(e.labels["source"], e.labels["stream"]) for e in measurements.landed(MANIFEST)} == {
        ("desk", "tickets")
    }


def test_a_step_tells_its_seconds_and_those_of_its_cores() -> None:
    assert list(measurements.steps(STEPS, "gate raw")) == [
        Measure("step_seconds", 2.0, {"step": "gate_raw"}),
        Measure("step_cpu_seconds", 3.0, {"step": "gate_raw"}),
    ]
    assert list(measurements.steps(STEPS, "ingest", "other")) == []


def test_a_release_tells_how_long_after_the_last_delivery_it_came() -> None:
    found = {each.name: each.value for each in measurements.published(STEPS, unchanged=False)}
    assert found == {
        "releases": 1,
        "arrival_to_release_seconds": 15.0,
        "arrival_to_release_worked_seconds": 6.0,
    }
    (again,) = measurements.published(STEPS, unchanged=True)
    assert again == Measure("releases", 1, {"kind": "unchanged"}, measurements.COUNT)


def test_how_things_stand_leaves_out_what_is_not_there(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    assert list(measurements.standing(tmp_path / "none", None, now)) == []
    file = tmp_path / "release.json"
    file.write_text("{}", encoding="utf-8")
    later = now + timedelta(hours=2)
    found = {each.name: each.value for each in measurements.standing(file, file, later)}
    assert found["warehouse_bytes"] == 2
    assert 7190 < found["release_age_seconds"] < 7210
    late = {e.labels["source"]: e.value for e in measurements.late(["a", "b"], ["b", "b"])}
    assert late == {"a": 0, "b": 2}
