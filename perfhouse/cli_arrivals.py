"""The commands of what arrives: `perfhouse arrivals` and `perfhouse reconcile`.

It parses, calls and prints, as `cli` does; it computes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def add(commands: Any, paths: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the commands."""
    text = "what lies at watched places and is not landed, what is not whole, and who is late"
    arrived = commands.add_parser("arrivals", help=text, description=text)
    paths(arrived)
    arrived.set_defaults(func=_arrivals)
    text = "compare what arrived, landed and was published; shows the difference unless --heal"
    reconcile = commands.add_parser("reconcile", help=text, description=text)
    paths(reconcile)
    text = "ingest, build and publish what is behind; what needs a person's word stays"
    reconcile.add_argument("--heal", action="store_true", help=text)
    reconcile.set_defaults(func=_reconcile)


def _arrivals(args: argparse.Namespace) -> None:
    from perfhouse import arrivals, clock, lateness
    from perfhouse.cli import echo
    from perfhouse.stages import open_workspace

    ws = open_workspace(args.company, args.data, args.home)
    seen = arrivals.look(ws, clock.today(ws.company))
    late = lateness.late(ws.company, ws.home, clock.today(ws.company))
    for title, lines in (
        ("arrived, to ingest", [each.said for each in seen.arrived]),
        ("late", [each.said for each in late]),
        ("not there, or not whole", seen.waiting),
        ("cannot be looked at", seen.failed),
    ):
        if lines:
            echo(f"{title}:")
        for line in lines:
            echo(f"  {line}")
    if not (seen.arrived or late or seen.failed):
        echo("nothing new lies at a watched place, and nobody is late")


def _reconcile(args: argparse.Namespace) -> int:
    from perfhouse import clock, reconcile
    from perfhouse.cli import echo
    from perfhouse.errors import TransientError
    from perfhouse.stages import open_workspace

    ws = open_workspace(args.company, args.data, args.home)
    if args.heal:
        done = reconcile.heal_all(ws, clock.today(ws.company), lambda line: echo(f"  {line}"))
        for each in done:
            echo(each.said)
    left = reconcile.everything(ws, clock.today(ws.company))
    for work in left:
        echo(work.said)
    if not left:
        echo("what arrived is landed, and what is landed is published")
        return 0
    if args.heal:
        return next((each.error.exit_code for each in done if each.error), 0)
    echo("nothing was done: --heal does what needs no person")
    return TransientError.exit_code if any(not work.who for work in left) else 0
