"""What the command line does with all sources of a company at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfhouse import cli, report
from perfhouse.reproduce import Reproduction

COMPANY = """
[company]
id = "tiny"
name_en = "Tiny"
time_zone = "Asia/Shanghai"
default_calendar = "cn"
[calendars.cn]
time_zone = "Asia/Shanghai"
[calendars.cn.hours]
mon = ["09:00-18:00"]
[kpis]
choose = ["reopen_rate"]
"""
SOURCE = """
[[sources]]
id = "{id}"
connector = "files"
owner = "Desk"
required = {required}
[[sources.streams]]
stream = "tickets"
path = "{id}_{{month}}.csv"
[sources.streams.columns]
ticket_id = "id"
created_at = "opened"
source_updated_at = "opened"
"""
TARGETS = """\
kpi_id,role,team_id,floor,target,stretch,weight,valid_from,valid_to,version,announced_on,approved_by
reopen_rate,*,*,0.2,0.1,0,1,2026-01-01,,1,2025-12-01,HR
"""


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Arguments for a company whose first source is optional; only the last has delivered."""
    sources = SOURCE.format(id="chat", required="false") + SOURCE.format(id="desk", required="true")
    (tmp_path / "perfhouse.toml").write_text(COMPANY + sources, encoding="utf-8")
    (tmp_path / "targets.csv").write_text(TARGETS, encoding="utf-8")
    (tmp_path / "desk_2026-09.csv").write_text("id,opened\na,2026-09-02 10:00:00\n", "utf-8")
    return ["ingest", "--company", str(tmp_path), "--home", str(tmp_path / "home"), "--month"]


def test_an_optional_source_that_did_not_deliver_keeps_no_other_from_landing(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "2026-09"]) == 0
    told = capsys.readouterr().out
    assert "chat: optional, not delivered: chat 2026-09: no file for tickets" in told
    assert "1 rows in = 1 landed" in told


def test_who_names_a_source_is_told_that_it_is_missing(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "2026-09", "--source", "chat"]) == 4
    assert "ask the source's owner: Desk" in capsys.readouterr().err


def test_a_required_source_that_is_missing_ends_the_command(words: list[str]) -> None:
    assert cli.main([*words, "2026-08"]) == 4


def test_a_release_that_did_not_come_out_the_same_says_who_must_act() -> None:
    told: list[str] = []
    report.reproduction(Reproduction("2026-09.r1", "a", "b", ("scorecards",), ()), told.append)
    assert told == [
        "  scorecards",
        "2026-09.r1: NOT reproduced, 1 tables and files differ",
        "who must act: data engineer",
    ]


def test_status_says_which_roles_can_get_no_total_and_which_streams_they_lack(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    company = Path(words[2])
    status = ["status", *words[1:5]]
    assert cli.main(status) == 0
    assert "nobody gets a total" not in capsys.readouterr().out
    toml = company / "perfhouse.toml"
    text = toml.read_text("utf-8").replace('["reopen_rate"]', '["reopen_rate", "qa_score"]')
    toml.write_text(text, encoding="utf-8")
    row = "qa_score,*,*,0.6,0.8,0.9,3,2026-02-01,,1,2025-12-01,HR\n"
    (company / "targets.csv").write_text(TARGETS + row, encoding="utf-8")
    assert cli.main(status) == 0
    assert (
        "2026-02: managers of any role: the configured streams can give 1 of 4 of the weight, "
        "below the least coverage of 60%: nobody gets a total; missing: qa_reviews (qa_score 3)"
    ) in capsys.readouterr().out
