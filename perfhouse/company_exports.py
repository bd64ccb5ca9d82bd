"""The `[exports]` and `[payroll]` tables of a company: who receives what, how, and pay bands.

Standard library only; what a delivery is and how it is sent is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from perfhouse.company_mappings import read_mapping
from perfhouse.config_reader import Table
from perfhouse.export_types import FORMATS, KINDS, ExportMapping, Receiver

_ID = re.compile(r"^[a-z][a-z0-9_-]*$")
_AGE = re.compile(r"^age1[02-9ac-hj-np-z]{58}$")
_SCHEMES = ("", "file", "sftp", "s3")


def read_receivers(folder: Path, top: Table, grades: Collection[str]) -> tuple[Receiver, ...]:
    """Read `[exports]`, its `[[exports.hr]]` and its `[[exports.payroll]]`; notes every problem.

    `grades` are all that a total can have, now or later: a mapping must know each of them.
    """
    table = top.table("exports")
    recipients = _recipients(table, ())
    days = table.whole("acknowledge_days", 3, low=1)
    found: list[Receiver] = []
    for kind in KINDS:
        for entry in table.tables(kind):
            receiver = _receiver(folder, entry, kind, recipients, days)
            if receiver.id in [each.id for each in found]:
                entry.problem("id", "an id of its own for each receiver", receiver.id)
            if receiver.mapping is not None:
                _check_grades(entry, receiver.mapping, grades)
            found.append(receiver)
    table.finish()
    return tuple(found)


def _receiver(
    folder: Path, entry: Table, kind: str, recipients: Sequence[str], days: int
) -> Receiver:
    chosen = entry.optional_text("mapping")
    receiver = Receiver(
        id=entry.text("id", kind, pattern=_ID, expected="an id such as hr"),
        export=kind,
        url=_url(entry),
        connection=entry.optional_text("connection"),
        mapping=read_mapping(folder, chosen, entry, kind) if chosen else None,
        formats=_formats(entry, mapped=chosen is not None),
        age_recipients=_recipients(entry, tuple(recipients)),
        acknowledge_days=entry.whole("acknowledge_days", days, low=1),
    )
    plain = entry.flag("plain", False)
    if plain and entry.take("age_recipients") is not None:
        entry.problem("plain", "no `plain` beside age_recipients", plain)
    if not plain and not receiver.age_recipients:
        entry.problem("age_recipients", "HR's age key, or plain = true to deliver unencrypted")
    entry.finish()
    return replace(receiver, age_recipients=()) if plain else receiver


def _url(entry: Table) -> str:
    url = entry.text("url", expected="a folder, sftp://host/folder or s3://bucket/prefix")
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        entry.problem("url", "a folder, file:///, sftp:// or s3:// address", url)
    elif parts.password is not None:
        entry.problem("url", "no password; name a connection that holds it", "<hidden>")
    return url


def _formats(entry: Table, *, mapped: bool) -> tuple[str, ...]:
    formats = entry.texts("formats", FORMATS)
    for index, name in enumerate(formats):
        if name not in FORMATS:
            entry.problem(f"formats[{index}]", f"one of {', '.join(FORMATS)}", name)
    if mapped and entry.take("formats") is not None:
        entry.problem("formats", "none beside a mapping, which makes one file", list(formats))
    return formats


def _recipients(entry: Table, default: tuple[str, ...]) -> tuple[str, ...]:
    keys = entry.texts("age_recipients", default)
    for index, key in enumerate(keys):
        if not _AGE.fullmatch(key):
            what = "a public age key such as age1..., never a secret one"
            shown = "a secret key" if key.upper().startswith("AGE-SECRET-KEY-") else key
            entry.problem(f"age_recipients[{index}]", what, shown)
    return keys


def _check_grades(entry: Table, mapping: ExportMapping, grades: Collection[str]) -> None:
    for column in mapping.columns:
        if column.source != "grade" or column.values is None or column.otherwise is not None:
            continue
        missing = sorted(set(grades) - set(column.values))
        if missing:
            what = f"a mapping whose column {column.to!r} knows every grade, also {missing}"
            entry.problem("mapping", what, mapping.id)
