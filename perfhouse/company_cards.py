"""What a company wants of its managers' cards: `[cards]`.

Standard library only; how a card is made is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass

from perfhouse.config_reader import Table


@dataclass(frozen=True)
class Cards:
    """`pdf`: each card is also a PDF file, for paper and for personnel files."""

    pdf: bool = False


def read_cards(top: Table) -> Cards:
    """Return the choices about cards; without `[cards]` those of the class."""
    table = top.table("cards")
    chosen = Cards(pdf=table.flag("pdf", default=False))
    table.finish()
    return chosen
