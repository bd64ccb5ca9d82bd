"""Every `perfhouse ...` that a page tells somebody to type is one that the program takes."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from perfhouse import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*/*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`((?:\.venv/bin/)?perfhouse [^`\n]+)`")
# Roles in Superset have names of two words, too.
ROLES = re.compile(r"perfhouse (HR|analyst|manager( \w+)?)")
# Values that the reader fills in.
LEFT_OUT = {"...", "…", "FOLDER", "ID", "KEY", "MONTH", "NAME", "OFFICE", "YYYY-MM", "rN"}


class Said(NamedTuple):
    page: str
    text: str
    is_whole: bool  # a line to copy; else a command that a sentence names


def commands() -> Iterator[Said]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        name = str(page.relative_to(ROOT))
        for _, block in FENCE.findall(text):
            for line in block.replace("\\\n", " ").splitlines():
                found = re.match(r"(?:\$ )?(?:\.venv/bin/)?(perfhouse .*)", line)
                if found:
                    yield Said(name, found[1].split(" #")[0].strip(), True)
        for span in SPAN.findall(FENCE.sub("", text)):
            yield Said(name, re.sub(r"[][]", "", span).removeprefix(".venv/bin/"), False)


def children(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def check(words: list[str]) -> None:
    """Follow the words into the program's own parser; values that are left out are not judged."""
    parser = cli._parser()
    while children(parser):
        assert words, "names no command"
        name = words.pop(0)
        assert name in children(parser), f"no command {name!r}"
        parser = children(parser)[name]
    places = [action for action in parser._actions if not action.option_strings]
    while words and not (places and places[0].nargs == argparse.REMAINDER and words[0][0] != "-"):
        word = words.pop(0)
        if word.startswith("-"):
            assert word in parser._option_string_actions, f"no option {word}"
            action = parser._option_string_actions[word]
            value = words.pop(0) if action.nargs is None and words else None
        else:
            assert places or word in {"...", "…"}, f"takes no {word!r}"
            if places and places[0].nargs == argparse.REMAINDER:
                return  # the rest is another program's
            action, value = (places.pop(0) if places else None), word
        if action and value is not None and value not in LEFT_OUT:
            parser._get_values(action, [value])  # raises on a wrong type or choice


SAID = sorted(set(commands()))


def test_pages_are_full_of_commands() -> None:
    assert len(SAID) > 120
    assert {said.page for said in SAID if said.is_whole} >= {"README.md", "docs/releases.md"}


@pytest.mark.parametrize("page", sorted({said.page for said in SAID}))
def test_the_commands_of_a_page_exist(page: str) -> None:
    wrong = []
    for said in SAID:
        if said.page != page or re.search(r"\| \w", said.text) or ROLES.fullmatch(said.text):
            continue
        try:
            check(shlex.split(said.text)[1:])
        except (AssertionError, argparse.ArgumentError, ValueError) as error:
            wrong.append(f"{said.text}: {error}")
    assert not wrong


def test_the_readme_lists_every_command_and_no_other() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.search(r"^`perfhouse ([\w-]+(?: \| [\w-]+)+)`", text, re.MULTILINE)
    assert listed
    assert set(listed[1].split(" | ")) == set(children(cli._parser()))


@pytest.mark.parametrize(
    "text",
    [
        "perfhouse runn",
        "perfhouse run --mont 2026-09",
        "perfhouse run --month 2026-13",
        "perfhouse gate raww",
        "perfhouse mart",
    ],
)
def test_a_command_that_does_not_exist_is_found(text: str) -> None:
    with pytest.raises((AssertionError, argparse.ArgumentError)):
        check(shlex.split(text)[1:])
