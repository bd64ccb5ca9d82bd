"""A publisher of its own process, which may be told to die at a step; see test_release.py.

Great Expectations and the real cards have their own tests: a child must start within a second.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import small_warehouse as small

from connectors.streams import STREAMS
from expectations import gate
from expectations.rules import Rule
from perfhouse import release, release_files
from perfhouse.month import Month
from perfhouse.release_label import Label
from perfhouse.settings import Home


def plain_cards(home: Home, label: Label, folder: Path) -> None:
    """Write a card as small as can be; like a real one it shows the release's number."""
    (folder / "cards").mkdir()
    for name in ("M1", "M2", "index"):
        text = f"<p>{name} {label.name}</p>"
        (folder / "cards" / f"{name}.html").write_text(text, encoding="utf-8")


def everything_passes(_: Path, rules: Sequence[Rule]) -> dict[str, bool]:
    return {rule.id: True for rule in rules}


def judge(home: Home, company: small.Company, month: Month) -> None:
    gate.run("raw", home, company, month, streams=STREAMS)
    gate.run("facts", home, company, month, streams=STREAMS)
    gate.run("scorecards", home, company, month)


def main(root: Path, step: str) -> None:
    gate._expect = everything_passes
    release_files.stage_cards = plain_cards
    home = Home(root / "home")
    company = small.company(root / "company", small.source("hr"), small.source("calls"))

    def die(reached: str) -> None:
        if reached == step:
            os._exit(9)

    release.reached = die
    judge(home, company, small.MONTH)
    release.publish(company, home, small.MONTH)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
