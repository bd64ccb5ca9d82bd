"""What a company says of its exports: receivers, mappings, payroll bands; plain frozen data.

This module may not read files; company_exports.py and company_mappings.py do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

HR, PAYROLL = "hr", "payroll"
KINDS = (HR, PAYROLL)
FORMATS = ("xlsx", "csv", "parquet")


@dataclass(frozen=True)
class MappedColumn:
    """One column of a receiver's file: from a column of the export, a constant or a text.

    Exactly one of `source`, `value` and `text` is set; `text` names columns in braces. `format` is
    strftime's. A number is multiplied by `scale`, rounded half up to `decimals`, and ends with
    `suffix`.
    """

    to: str
    source: str | None = None
    value: str | None = None
    text: str | None = None
    values: Mapping[str, str] | None = None
    otherwise: str | None = None
    empty: str = ""
    format: str = "%Y-%m-%d"
    decimals: int | None = None
    scale: int = 1
    suffix: str = ""


@dataclass(frozen=True)
class ExportMapping:
    """How one system wants an export; `file` may name {month} and {release}.

    `scored_only` leaves out who has no total. `guard` puts a quote before text that a spreadsheet
    would run.
    """

    id: str
    system: str
    export: str
    file: str
    encoding: str
    delimiter: str
    decimal: str
    guard: bool
    scored_only: bool
    columns: tuple[MappedColumn, ...]


@dataclass(frozen=True)
class Receiver:
    """Where one kind of export is delivered; no recipients means in plain text, as was said.

    Args:
        url: a folder, `file:///`, `sftp://` or `s3://` address; no secret is in it.
        connection: the named connection that holds the secrets, if one is needed.
        formats: of the canonical files; not used where there is a mapping.
    """

    id: str
    export: str
    url: str
    connection: str | None = None
    mapping: ExportMapping | None = None
    formats: tuple[str, ...] = FORMATS
    age_recipients: tuple[str, ...] = ()
    acknowledge_days: int = 3


@dataclass(frozen=True)
class PayrollBand:
    """What a grade, or every total from `from_score` up, is worth; valid_to is excluded.

    role '*' means any. Of `grade` and `from_score` exactly one is set.
    """

    role: str
    grade: str | None
    from_score: float | None
    points: float
    multiplier: float
    valid_from: date
    valid_to: date | None
    version: str
    announced_on: date
    approved_by: str
    approved_on: date | None = None
