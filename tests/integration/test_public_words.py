"""Words that are published for good: a reason names nobody, and no word is a contact."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_warehouse as small
from small_warehouse import MONTH, ROSTER

from perfhouse import cli, ledger, public_words, roster_names, stages
from perfhouse.errors import ConfigError
from perfhouse.restatement import Reason
from perfhouse.settings import Home

NAMED = ROSTER.replace(
    "'名' || e as display_name",
    "case e when 'M1' then '王芳' when 'M2' then '欧阳 建国' when 'E1' then 'Li Na' "
    "else 'Grace' end as display_name",
)
NAMES = frozenset({"王芳", "欧阳 建国", "Li Na", "Grace", "Müller"})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = small.home(tmp_path / "home")
    small.land(made, "hr", {"hr_roster": NAMED}, MONTH.plus(-1))
    return made


@pytest.mark.parametrize(
    "text",
    ["王芳组", "the team of 王 芳", "欧阳建国申诉", "LI  NA asked", "(Li Na)", "Müller's calls"],
)
def test_a_whole_name_is_found(text: str) -> None:
    assert roster_names.names_somebody(text, NAMES)


@pytest.mark.parametrize("text", ["with grace", "Li Nakata", "王", "芳王", "late answers", ""])
def test_half_a_name_and_a_plain_word_are_none(text: str) -> None:
    assert not roster_names.names_somebody(text, NAMES)


def test_names_are_those_of_every_landed_roster(home: Home) -> None:
    assert roster_names.known(home) == {"王芳", "欧阳 建国", "Li Na", "Grace"}
    assert roster_names.known(home, since=MONTH) == frozenset()
    assert roster_names.known(Home(home.root / "empty").ensure()) == frozenset()


@pytest.mark.parametrize(
    ("reason", "by", "told"),
    [
        ("王芳 was ill", "HR", "--reason: expected words that name nobody"),
        ("ask li.na@example.com", "HR", "--reason: expected no mail address"),
        ("late answers", "138 1234 5678", "--by: expected no mail address"),
    ],
)
def test_a_reason_that_names_somebody_is_refused_and_not_repeated(
    home: Home, reason: str, by: str, told: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        stages.accept(home, MONTH, "raw", "late_rows", Reason(reason, by))
    assert told in str(refused.value)
    assert not any(word in str(refused.value) for word in ("王芳", "li.na", "1234"))
    assert ledger.lines(ledger.ledger_path(home)) == []


def test_who_decides_may_sign_by_name_and_is_told_who_reads_it(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    public_words.require(home, Reason("late answers", "Li Na"))
    assert "an office would do" in caplog.text
    assert "Li Na" not in caplog.text
    caplog.clear()
    public_words.require(home, Reason("late answers of the survey desk", "Head of service"))
    assert caplog.text == ""


def test_the_command_that_records_refuses_a_name(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ["record", "decided", "--home", str(home.root), "--case", "A-17", "--by", "HR"]
    assert cli.main([*said, "--reason", "王芳 was right"]) == ConfigError.exit_code
    assert "王芳" not in capsys.readouterr().err
    assert ledger.lines(ledger.ledger_path(home)) == []
