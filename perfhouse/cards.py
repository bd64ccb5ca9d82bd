"""The managers' cards: one self-contained HTML page per manager and month, and their index.

Reads a warehouse connection and writes files; it may not judge, publish or know the clock, so
the same warehouse gives the same bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import card_gates, scorecards
from perfhouse.card_fit import PARTS, RICHEST_FIRST, Fullness, extent, fitted
from perfhouse.card_reading import RUN_BEFORE_CARDS
from perfhouse.card_reading import read_sheet as read_sheet
from perfhouse.card_sheet import Sheet
from perfhouse.card_view import card
from perfhouse.gate_words import GATES
from perfhouse.month import Month

if TYPE_CHECKING:
    import duckdb
    from jinja2 import Environment

    from perfhouse.evidence import Proof

SIZE_LIMIT = 40 * 1024
# Another one comes with every change of what a proof holds or how it is followed; cards of before
# keep theirs, and `evidence.FORMATS` keeps the way to follow it.
PROOF_FORMAT = "1"
_SPACE = re.compile(r"\n|;?\s*([{}])\s*")  # what a style sheet does without
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def render_all(
    con: duckdb.DuckDBPyConnection,
    month: Month,
    out_dir: Path,
    *,
    release: Mapping[str, Any] | None = None,
    pdf: bool = False,
) -> list[Path]:
    """Write every manager's card of a month and `index.html`; return their paths, cards first.

    Args:
        con: the warehouse, read only.
        month: months before it are read for the trend, later ones never.
        out_dir: created when missing; cards that lie there are replaced.
        release: what the page is published as, of `read_sheet`.
        pdf: each card is to lie beside its page as PDF, too; the index links both.
    """
    sheet = read_sheet(con, month, release)
    names = file_names(total.manager_id for total in sheet.totals)
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = []
    for total in sheet.totals:
        path = out_dir / names[total.manager_id]
        path.write_bytes(render_card(sheet, total))
        paths.append(path)
    index = out_dir / "index.html"
    gates = card_gates.read(con, month, RUN_BEFORE_CARDS)
    index.write_bytes(_render_index(sheet, names, gates, pdf))
    return [*paths, index]


def render_card(sheet: Sheet, total: scorecards.Total) -> bytes:
    """Render one card; one that would pass 40 KiB leaves agents and definitions out.

    Room is left for the evidence of a release, which `with_evidence` puts on it.
    """
    view = card(sheet, total, RICHEST_FIRST[0].agents, with_definitions=True)
    room = SIZE_LIMIT - evidence_room(len(sheet.totals))
    made: dict[tuple[str, Any], bytes] = {}
    page = b""
    for fullness in RICHEST_FIRST:
        page = _page(view, fullness, made)
        if len(page) <= room:
            break
    return page


def _page(view: Mapping[str, Any], fullness: Fullness, made: dict[tuple[str, Any], bytes]) -> bytes:
    """Join the parts of a card; `made` keeps those that another fullness may show as they are."""
    template = _environment().get_template("card.html")
    context = template.new_context(
        {"c": {**fitted(view, fullness), "proof_format": PROOF_FORMAT}, "css": _css()}
    )
    parts = []
    for name, depends_on in PARTS.items():
        key = name, extent(view, fullness, depends_on)
        if key not in made:
            made[key] = "".join(template.blocks[name](context)).encode()
        parts.append(made[key])
    return b"".join(parts)


def evidence_room(managers: int) -> int:
    """Return the bytes to leave for the proof on a card: two paths grow with the managers."""
    return 1600 + 2 * 44 * managers.bit_length()


def with_evidence(page: bytes, proof: Proof) -> bytes:
    """Return a card with its proof in the places that are left for it."""
    from markupsafe import escape

    values = {
        "root_start": proof.merkle_root[:16],
        "row_start": proof.row_sha256[:16],
        "root": proof.merkle_root,
        "row": proof.row_sha256,
        "proof": proof.text,
    }
    for name, value in values.items():
        place = f" data-v={name}>".encode()
        page = page.replace(place, place + str(escape(value)).encode())
    return page


def file_names(manager_ids: Iterable[str]) -> dict[str, str]:
    """Name each manager's file by id; an id that is no plain file name becomes a digest.

    Ids that differ only by case would share a file on some disks: they become digests too.
    """
    ids = list(manager_ids)
    taken = Counter(i.lower() for i in ids)
    names = {}
    for manager_id in ids:
        plain = _SAFE_NAME.fullmatch(manager_id) and taken[manager_id.lower()] == 1
        if not plain or manager_id.lower() == "index":
            digest = hashlib.sha256(manager_id.encode()).hexdigest()[:12]
            names[manager_id] = f"manager-{digest}.html"
        else:
            names[manager_id] = f"{manager_id}.html"
    return names


def paper_name(page: str) -> str:
    """Return the name of the PDF file that lies beside a page."""
    return page.removesuffix(".html") + ".pdf"


# ---------------------------------------------------------------- rendering


def _render_index(
    sheet: Sheet, names: Mapping[str, str], gates: tuple[card_gates.Gate, ...], pdf: bool
) -> bytes:
    managers = [
        {
            "manager_id": t.manager_id,
            "href": names[t.manager_id],
            "paper": paper_name(names[t.manager_id]) if pdf else None,
            "total": None if t.total_score is None else f"{t.total_score:.1f}",
            "grade": t.grade,
            "status": t.status,
        }
        for t in sheet.totals
    ]
    template = _environment().get_template("index.html")
    return template.render(
        month=f"{sheet.month:%Y-%m}",
        managers=managers,
        gates=gates,
        gate_names=GATES,
        release=sheet.release,
        pdf=pdf,
        css=_css(),
    ).encode()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_templates()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = environment.get_template("card_words.html").module
    environment.globals.update({name: getattr(words, name) for name in ("t", "who", "more")})
    return environment


@cache
def _css() -> Any:
    """Read our own style sheet, the one text that is not escaped."""
    from markupsafe import Markup

    text = (_templates() / "card.css").read_text(encoding="utf-8")
    return Markup(_SPACE.sub(r"\1", text.strip()))  # noqa: S704 - our own file


def _templates() -> Path:
    return Path(__file__).resolve().parent / "templates"
