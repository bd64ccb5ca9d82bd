"""How long a company keeps what is not published: `[retention]`.

Standard library only; which files that are is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping

from perfhouse.config_reader import Table

KINDS = ("archive", "quarantine", "superseded", "landed", "findings")


def read_retention(top: Table) -> Mapping[str, int]:
    """Return months to keep by kind, from keys such as `archive_months`; absent: for good."""
    table = top.table("retention")
    kept = {
        kind: table.whole(f"{kind}_months", 1, low=1)
        for kind in KINDS
        if table.take(f"{kind}_months") is not None
    }
    table.finish([f"{kind}_months" for kind in KINDS])
    return kept
