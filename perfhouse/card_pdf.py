"""The managers' cards as PDF: an A4 file each for people who print, file and sign.

Sets what `card_view` describes, without the people of the team; it may not judge, publish or know
the clock, so the same month gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import card_fonts, card_setter, cards
from perfhouse.card_fit import by_target
from perfhouse.card_view import card

if TYPE_CHECKING:
    from typst import Compiler, PDFStandard

    from perfhouse.card_sheet import Sheet
    from perfhouse.month import Month
    from perfhouse.scorecards import Total

# For archives, and for screen readers.
STANDARDS: tuple[PDFStandard, ...] = ("a-2a", "ua-1")
_TOLD = 500  # cards between two words of progress
_TEMPLATE = Path(__file__).resolve().parent / "templates" / "card.typ"
# What is taken from the view as it is. What names people of the team is not.
_AS_SEEN = (
    *(
        "title_zh",
        "title_en",
        "head",
        "movers",
        "contribution",
        "has_median",
        "has_interval",
        "is_shrunk",
    ),
    *("parts", "appeals", "appeal_by", "release", "command"),
)


def write_all(
    sheet: Sheet, as_of: Month, out_dir: Path, progress: Callable[[str], None] = lambda _: None
) -> list[Path]:
    """Write the card of every manager of a month, named as its page is; return the paths.

    Many cards are set by as many processes as there are cores.

    Args:
        sheet: what the month's cards show.
        as_of: the month whose deliveries were seen last: its end is the date in the file.
        out_dir: a folder that exists; cards that lie there are replaced.
        progress: told now and then how far it is.

    Raises:
        ConfigError: a package of fonts is not installed (operator).
        PerfhouseError: a typesetter was ended (data engineer).
    """
    names = cards.file_names(total.manager_id for total in sheet.totals)
    files = [cards.paper_name(names[total.manager_id]) for total in sheet.totals]
    said = _described(sheet, files, progress)
    processes = card_setter.processes_for(len(files))
    if processes > 1:
        card_setter.set_all(said, as_of, out_dir, processes)
    else:
        for name, card_of in said:
            (out_dir / name).write_bytes(render(card_of, as_of))
    return [out_dir / name for name in files]


def _described(
    sheet: Sheet, files: Sequence[str], progress: Callable[[str], None]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, (name, total) in enumerate(zip(files, sheet.totals, strict=True)):
        if number and number % _TOLD == 0:
            progress(f"cards as PDF: {number:,} of {len(files):,}")
        yield name, describe(sheet, total)


def render(said: Mapping[str, Any], as_of: Month) -> bytes:
    """Set what `describe` returned; its texts are data to the typesetter, never source."""
    made = _compiler().compile(
        sys_inputs={"card": json.dumps(said, ensure_ascii=False)},
        format="pdf",
        pdf_standards=list(STANDARDS),
        timestamp=datetime.combine(as_of.end, time(), UTC),
    )
    if not isinstance(made, bytes):
        raise TypeError(f"expected the bytes of one file, got {type(made).__name__}")
    return made


def describe(sheet: Sheet, total: Total) -> dict[str, Any]:
    """Describe one manager's card as plain data: the view of the page, but nobody of the team.

    Who accepted a finding is left out, too: the file names the manager alone, so that it may be
    filed, and an erasure of somebody else finds nothing in it.
    """
    view = card(sheet, total, 0, True)
    said = {
        **{name: view[name] for name in _AS_SEEN},
        "title": f"客服经理月度绩效 Scorecard {view['month']} · {view['manager_id']}",
        "running": f"{view['release'] or view['month']} · {view['manager_id']}",
        "who": [said for said in _who(view) if said],
        "fonts": list(card_fonts.families()),
        "trend": _trend(view["trend"]),
        "groups": [{**g, "rows": [_row(r) for r in g["rows"]]} for g in view["groups"]],
        "definitions": _halves(view["definitions"]),
        "versions": by_target(view["versions"]),
        "verdicts": [
            {
                "gate": v.gate,
                "passed": v.passed,
                "warnings": v.warnings,
                "accepted": [check for check, _ in v.accepted],
            }
            for v in view["verdicts"]
        ],
    }
    plain: dict[str, Any] = _plain(said)
    return plain


def _who(view: Mapping[str, Any]) -> Sequence[str | None]:
    role = " ".join(dict.fromkeys(view["role_name"] or ()))
    return view["name"], view["manager_id"], role, view["team"]


def _trend(view: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the marks' positions into numbers, 0 to 100 from the left and from the top."""
    return {
        **view,
        "marks": [{**m, "x": float(m["x"]), "y": _number(m["y"])} for m in view["marks"]],
        "lines": [_points(line, " ") for line in view["lines"]],
        "band": [_points(area[1:], "L") for area in view["band"].split("Z") if area],
        "ticks": [[float(y), str(label)] for y, label in view["ticks"]],
        "target": float(view["target"]),
    }


def _points(path: str, between: str) -> list[list[float]]:
    return [[float(at) for at in point.split(",")] for point in path.split(between)]


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    marks = row["bullet"]
    ends = marks["ci"] and [float(end) for end in marks["ci"]]
    drawn = {"below": marks["below"], "ci": ends}
    return {**row, "bullet": {**drawn, **{n: _number(marks[n]) for n in ("bar", "median")}}}


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _halves(definitions: Sequence[Mapping[str, str]]) -> list[list[Mapping[str, str]]]:
    """Share definitions out to two columns of about the same length, in their order."""
    lengths = [len(d["text_zh"]) * 2 + len(d["text_en"]) + 80 for d in definitions]
    ends = [sum(lengths[: n + 1]) - length / 2 for n, length in enumerate(lengths)]
    left = sum(end <= sum(lengths) / 2 for end in ends)
    return [list(definitions[:left]), list(definitions[left:])] if definitions else []


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it, every text as the fonts can show it."""
    if isinstance(value, str):
        return card_fonts.printable(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value


@cache
def _compiler() -> Compiler:
    from typst import Compiler

    return Compiler(
        _TEMPLATE, root=_TEMPLATE.parent, font_paths=card_fonts.book(), ignore_system_fonts=True
    )
