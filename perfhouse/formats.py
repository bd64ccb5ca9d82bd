"""The numbers of the formats in which a home is kept, and the words for one that is too new.

It reads no file: whoever owns an artefact asks here. A number is raised with a change that earlier
versions cannot read, or that needs what is kept already made anew; docs/upgrading.md tells of each.
"""

from __future__ import annotations

from collections.abc import Mapping

KEY = "format"
# What names no number is of the first format; so the first is not written where earlier versions
# would take the word for a forgery.
FIRST = 1
LAKE = 1  # manifests and receipts in raw/
LEDGER = 1  # lines of published/ledger.jsonl
RELEASE = 1  # release.json of a release, and the files that it lists
WAREHOUSE = 1  # tables of warehouse.duckdb that hold earlier months


def too_new(what: str, said: Mapping[str, object], known: int) -> str | None:
    """Return what to say of an artefact that a later version wrote, or None if it can be read.

    Args:
        what: the artefact, as a person finds it.
        said: its keys; without `format` it is of the first.
        known: the newest format that this version knows.
    """
    number = said.get(KEY, FIRST)
    if isinstance(number, int) and number <= known:
        return None
    return (
        f"{what}: it is of format {number}, and this perfhouse knows {known}: a newer one wrote "
        "it. The operator must install that version again; nothing was changed"
    )
