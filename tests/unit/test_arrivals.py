"""What has arrived at watched places and is not landed, in a folder of this machine."""

from __future__ import annotations

import os
import time
from datetime import date
from pathlib import Path

import pytest

from perfhouse import arrivals, stages
from perfhouse.arrivals import Arrival
from perfhouse.errors import ConfigError
from perfhouse.month import Month
from tests import tiny

AUGUST, SEPTEMBER, OCTOBER = Month("2026-08").until(Month("2026-10"))
TODAY = date(2026, 10, 2)


def watching(root: Path, *names: str, more: str = "", settle: float = 5) -> stages.Workspace:
    """Open the tiny company with some of its sources watched."""
    toml = tiny.company(root / "company") / "perfhouse.toml"
    text = toml.read_text("utf-8")
    for name in names:
        said = f'id = "{name}"\nwatch = true\nsettle_minutes = {settle}\n'
        text = text.replace(f'id = "{name}"\n', said)
    toml.write_text(text + more, encoding="utf-8")
    (root / "data").mkdir(exist_ok=True)
    return stages.open_workspace(toml.parent, root / "data", root / "home")


def age(folder: Path, minutes: float = 10) -> None:
    """Let files have been written some minutes ago."""
    then = time.time() - minutes * 60
    for path in folder.rglob("*"):
        os.utime(path, (then, then))


def arrived(ws: stages.Workspace, *hints: Arrival) -> list[tuple[str, str]]:
    return [(each.source, each.month.key) for each in arrivals.look(ws, TODAY, hints).arrived]


def test_what_lies_there_whole_is_an_arrival_until_it_is_ingested(tmp_path: Path) -> None:
    ws = watching(tmp_path, "desk")
    assert arrived(ws) == []
    tiny.deliver(ws.data, SEPTEMBER.key)
    age(ws.data)
    assert arrived(ws) == [("desk", "2026-09")], "survey and hr are not watched"
    stages.ingest(ws, "desk", SEPTEMBER)
    assert arrived(ws) == []


def test_a_delivery_that_changes_arrives_again_even_at_the_same_size(tmp_path: Path) -> None:
    ws = watching(tmp_path, "survey")
    file = tiny.answers(ws.data, SEPTEMBER.key)
    age(ws.data)
    stages.ingest(ws, "survey", SEPTEMBER)
    size = file.stat().st_size
    file.write_text(file.read_text("utf-8").replace(",1,", ",5,"), encoding="utf-8")
    age(ws.data, minutes=9)
    assert file.stat().st_size == size
    (found,) = arrivals.look(ws, TODAY).arrived
    assert (found.source, found.month) == ("survey", SEPTEMBER)
    assert not stages.ingest(ws, "survey", SEPTEMBER).unchanged
    assert arrived(ws) == []


def test_the_same_state_has_the_same_key_and_another_state_another(tmp_path: Path) -> None:
    ws = watching(tmp_path, "desk")
    tiny.tickets(ws.data, SEPTEMBER.key)
    age(ws.data)
    (first,) = arrivals.look(ws, TODAY).arrived
    (again,) = arrivals.look(ws, TODAY).arrived
    tiny.tickets(ws.data, SEPTEMBER.key, count=6)
    age(ws.data)
    (other,) = arrivals.look(ws, TODAY).arrived
    assert first.key == again.key != other.key


def test_a_file_that_is_being_written_or_has_a_temporary_name_waits(tmp_path: Path) -> None:
    ws = watching(tmp_path, "desk")
    file = tiny.tickets(ws.data, SEPTEMBER.key)
    seen = arrivals.look(ws, TODAY)
    assert seen.arrived == ()
    assert any("was written less than 5 minutes ago" in line for line in seen.waiting)
    age(ws.data)
    file.rename(file.with_name("tickets.csv.part"))
    assert arrived(ws) == []
    file.with_name("tickets.csv.part").rename(file)
    assert arrived(ws) == [("desk", "2026-09")]


def test_an_ingest_that_fails_leaves_its_arrival_outstanding(tmp_path: Path) -> None:
    ws = watching(tmp_path, "desk")
    file = tiny.tickets(ws.data, SEPTEMBER.key)
    file.write_text("another,header\n1,2\n", encoding="utf-8")
    age(ws.data)
    with pytest.raises(Exception, match="header"):
        stages.ingest(ws, "desk", SEPTEMBER)
    assert arrived(ws) == [("desk", "2026-09")]


def test_months_that_are_over_are_looked_at_and_the_one_under_way_if_it_may_be(
    tmp_path: Path,
) -> None:
    ws = watching(tmp_path, "desk", more="[arrivals]\nmonths = 1\n")
    for month in (AUGUST, SEPTEMBER, OCTOBER):
        tiny.tickets(ws.data, month.key)
    age(ws.data)
    assert arrived(ws) == [("desk", "2026-09")]
    toml = ws.company.folder / "perfhouse.toml"
    toml.write_text(toml.read_text("utf-8") + "month_to_date = true\n", encoding="utf-8")
    to_date = stages.open_workspace(ws.company.folder, ws.data, ws.home.root)
    assert arrived(to_date) == [("desk", "2026-09"), ("desk", "2026-10")]
    old = arrivals.hint(ws, {"source": "desk", "month": "2026-08"}, 1)
    assert old is not None
    assert arrived(ws, old)[0] == ("desk", "2026-08"), "an event may name any month before"


def test_an_event_about_a_month_under_way_waits_until_it_is_over(tmp_path: Path) -> None:
    ws = watching(tmp_path)
    early = arrivals.hint(ws, {"source": "hr", "month": "2026-10"}, 1)
    assert early is not None
    seen = arrivals.look(ws, TODAY, [early])
    assert seen.arrived == ()
    assert seen.waiting == ("hr 2026-10: an event names a month that is not over",)
    (found,) = arrivals.look(ws, date(2026, 11, 1), [early]).arrived
    assert found.month == OCTOBER


def test_an_event_about_a_watched_source_is_a_hint_to_look(tmp_path: Path) -> None:
    ws = watching(tmp_path, "desk")
    told = arrivals.hint(ws, {"source": "desk", "month": "2026-09"}, 1)
    assert told is not None
    assert arrived(ws, told) == [], "nothing lies there"


def test_an_event_about_a_source_that_cannot_be_listed_is_taken_at_its_word(
    tmp_path: Path,
) -> None:
    ws = watching(tmp_path)
    said = {"source": "hr", "month": "2026-09"}
    told = [hint for at in (2, 1) if (hint := arrivals.hint(ws, said, at)) is not None]
    (found,) = arrivals.look(ws, TODAY, told).arrived
    assert (found.source, found.month, found.announced) == ("hr", SEPTEMBER, 2), "twice is once"


def test_an_event_stands_until_an_ingest_has_followed_it_or_a_later_one(tmp_path: Path) -> None:
    ws = watching(tmp_path)
    said = {"source": "hr", "month": "2026-09"}
    arrivals.followed(ws.home, "hr", SEPTEMBER, 20)
    arrivals.followed(ws.home, "hr", SEPTEMBER, 10)
    assert [arrivals.hint(ws, said, at) is None for at in (10, 20, 21)] == [True, True, False]
    assert arrivals.hint(ws, {**said, "month": "2026-08"}, 10) is not None, "of another month"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"source": "desks", "month": "2026-09"}, "expected one of desk, survey, hr, got 'desks'"),
        ({"source": "desk"}, "expected YYYY-MM"),
        ({"source": "desk", "month": "../../etc"}, "expected YYYY-MM"),
        ({"source": ["desk"], "month": "2026-09"}, "expected one of desk"),
        ({"source": "x" * 5000, "month": "2026-09"}, "expected one of desk"),
    ],
)
def test_what_an_event_says_wrongly_is_told_in_few_words(
    tmp_path: Path, said: dict[str, object], expected: str
) -> None:
    ws = watching(tmp_path)
    with pytest.raises(ConfigError, match="expected") as refused:
        arrivals.hint(ws, said, 1)
    assert expected in str(refused.value)
    assert len(str(refused.value)) < 300


def test_an_event_that_names_nothing_only_says_to_look(tmp_path: Path) -> None:
    ws = watching(tmp_path)
    assert arrivals.hint(ws, {}, 1) is None
    assert arrivals.hint(ws, None, 1) is None
    assert arrivals.hint(ws, {"Records": [{"s3": {}}]}, 1) is None


def test_a_place_that_cannot_be_looked_at_keeps_no_other_waiting(tmp_path: Path) -> None:
    ws = watching(tmp_path, "desk", "hr")
    toml = ws.company.folder / "perfhouse.toml"
    gone = 'id = "desk"\nurl = "sftp://127.0.0.1:9/drop"\nconnection = "nowhere"\n'
    toml.write_text(toml.read_text("utf-8").replace('id = "desk"\n', gone), encoding="utf-8")
    ws = stages.open_workspace(ws.company.folder, ws.data, ws.home.root)
    tiny.roster(ws.data, SEPTEMBER.key)
    age(ws.data)
    seen = arrivals.look(ws, TODAY)
    assert [each.source for each in seen.arrived] == ["hr"]
    (failed,) = seen.failed
    assert failed.startswith("desk: ")
    assert "who must act: operator" in failed


def test_only_what_can_be_listed_by_month_can_be_watched(tmp_path: Path) -> None:
    company = tiny.company(tmp_path)
    toml = company / "perfhouse.toml"
    text = toml.read_text("utf-8")
    one_file = 'id = "hr"\nwatch = true\n'
    text = text.replace('id = "hr"\n', one_file)
    text = text.replace('path = "hr/{month}.csv"', 'path = "hr.csv"\nwindow = "snapshot_date"')
    text += '[[sources]]\nid = "z"\nconnector = "zendesk"\nowner = "Z"\nwatch = true\n'
    toml.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        stages.open_workspace(company, tmp_path, tmp_path / "home")
    told = str(refused.value)
    assert "sources[2].watch: expected false, or paths with {month}" in told
    assert "sources[3].watch: expected false: zendesk lists no files" in told


def test_wrong_words_of_arrivals_are_told_together(tmp_path: Path) -> None:
    wrong = (
        '[arrivals]\npoll_seconds = 0\nmonths = 99\nreconcile_minutes = 90\n'
        '[arrivals.queue]\nname = "a b"\n'
    )  # fmt: skip
    company = tiny.company(tmp_path)
    with (company / "perfhouse.toml").open("a", encoding="utf-8") as file:
        file.write(wrong)
    with pytest.raises(ConfigError) as refused:
        stages.open_workspace(company, tmp_path, tmp_path / "home")
    told = str(refused.value)
    for key in ("poll_seconds", "months", "reconcile_minutes", "queue.connection", "queue.name"):
        assert f"arrivals.{key}: expected" in told
