"""The command of notices: `perfhouse notify`.

It parses, calls and prints, as `cli` does; it computes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def add(commands: Any, paths: Callable[[argparse.ArgumentParser], None], types: Any) -> None:
    """Add the command; `types` has `month`, which reads an argument."""
    text = "tell people of a month by mail or chat; shows what would go, unless --send"
    notify = commands.add_parser("notify", help=text, description=text)
    paths(notify)
    notify.add_argument("--month", type=types.month, required=True, help="YYYY-MM")
    notify.add_argument("--send", action="store_true", help="send it; nothing goes out twice")
    notify.set_defaults(func=_notify)


def _notify(args: argparse.Namespace) -> None:
    from perfhouse import clock, notices
    from perfhouse.cli import echo
    from perfhouse.stages import open_workspace

    ws = open_workspace(args.company, args.data, args.home)
    for each in notices.notify(
        ws, args.month, send=args.send, today=clock.today(ws.company), progress=echo
    ):
        echo(each.said)
        if each.shown:
            echo(each.shown)
    if not args.send:
        echo("nothing was sent: --send sends it")
