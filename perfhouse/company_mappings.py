"""Mapping files: how an HR system wants an export, one TOML file each.

Those that come with perfhouse lie in `mappings/`; a company's own lies in its folder. Standard
library only.
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Collection
from pathlib import Path

from perfhouse import export_columns
from perfhouse.config_reader import Table, did_you_mean
from perfhouse.export_types import KINDS, ExportMapping, MappedColumn

_SHIPPED = Path(__file__).parent / "mappings"
_ENCODINGS = ("utf-8", "utf-8-sig", "gb18030")
_DELIMITERS = (",", ";", "\t", "|")
_NAME_WORDS = ("month", "release")


def shipped() -> tuple[str, ...]:
    """Return the ids of the mappings that come with perfhouse."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.toml")))


def read_mapping(folder: Path, chosen: str, receiver: Table, export: str) -> ExportMapping | None:
    """Return the mapping that a receiver chooses; notes every problem by file and field.

    `chosen` is the id of a shipped mapping or the name of a .toml file in the company folder.
    """
    own = chosen.endswith(".toml")
    file = folder / chosen if own else _SHIPPED / f"{chosen}.toml"
    if "/" in chosen or chosen == "perfhouse.toml" or not file.is_file():
        known = ", ".join(shipped())
        hint = did_you_mean(chosen, shipped())
        what = f"one of {known}{hint}, or a .toml file in the company folder itself"
        receiver.problem("mapping", what, chosen)
        return None
    try:
        data = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        receiver.problems.append(f"{file.name}: expected TOML in UTF-8, got {error}")
        return None
    found = _mapping(Table(data, f"{file.name}: ", receiver.problems), file.stem)
    if found.export != export:
        receiver.problem("mapping", f"a mapping of the {export} export", chosen)
    return found


def _mapping(top: Table, mapping_id: str) -> ExportMapping:
    export = top.one_of("export", KINDS, "hr")
    known = export_columns.mappable(export)
    for key in ("follows", "assumes"):  # said for people
        top.text(key, "")
    file = top.table("file")
    mapping = ExportMapping(
        id=mapping_id,
        system=top.text("system"),
        export=export,
        file=file.text("name"),
        encoding=file.one_of("encoding", _ENCODINGS, "utf-8-sig"),
        delimiter=file.one_of("delimiter", _DELIMITERS, ","),
        decimal=file.one_of("decimal", (".", ","), "."),
        guard=file.flag("guard", True),
        scored_only=top.flag("scored_only", True),
        columns=tuple(_column(entry, known) for entry in top.tables("columns")),
    )
    _check_braces(file, "name", mapping.file, _NAME_WORDS)
    if "/" in mapping.file:
        file.problem("name", "the name of a file without a folder", mapping.file)
    if mapping.file == export_columns.WITHDRAWN_FILE:
        file.problem("name", "another name: that one lists what is withdrawn", mapping.file)
    names = [column.to for column in mapping.columns]
    if not names or len(set(names)) < len(names):
        top.problem("columns", "at least one [[columns]] table, each `to` once", names)
    file.finish()
    top.finish()
    return mapping


def _column(entry: Table, known: Collection[str]) -> MappedColumn:
    ways = [key for key in ("from", "value", "text") if entry.take(key) is not None]
    if len(ways) != 1:
        entry.problem("from", "exactly one of from, value and text", ways)
    source = entry.one_of("from", known) if "from" in ways else None
    text = entry.optional_text("text")
    if text:
        _check_braces(entry, "text", text, known)
    column = MappedColumn(
        to=entry.text("to"),
        source=source,
        value=entry.text("value", "") if "value" in ways else None,
        text=text,
        values=_values(entry),
        otherwise=entry.optional_text("otherwise"),
        empty=entry.text("empty", ""),
        format=entry.text("format", "%Y-%m-%d"),
        decimals=entry.whole("decimals", 0) if entry.take("decimals") is not None else None,
        scale=entry.whole("scale", 1, low=1),
        suffix=entry.text("suffix", ""),
    )
    _check_kind(entry, column)
    entry.finish()
    return column


def _values(entry: Table) -> dict[str, str] | None:
    if entry.take("values") is None:
        return None
    nested = entry.table("values")
    return {name: nested.text(name) for name in nested.data}


def _check_kind(entry: Table, column: MappedColumn) -> None:
    """Note a format given to a column that has none of the kind."""
    kind = export_columns.kind(column.source) if column.source else "text"
    numeric = [key for key in ("decimals", "scale", "suffix") if entry.take(key) is not None]
    if numeric and kind not in ("number", "integer"):
        entry.problem(numeric[0], "a column of numbers in `from`", column.source)
    if entry.take("format") is not None and kind != "date":
        entry.problem("format", "a column of days in `from`", column.source)
    if column.values is not None and kind != "text":
        entry.problem("values", "a column of text in `from`", column.source)


def _check_braces(table: Table, key: str, text: str, known: Collection[str]) -> None:
    try:
        named = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    except ValueError:
        table.problem(key, "braces in pairs", text)
        return
    for name in named:
        if name not in known:
            choice = ", ".join(sorted(known))
            table.problem(key, f"of {choice} in braces{did_you_mean(name, known)}", name)
