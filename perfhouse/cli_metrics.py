"""The command of the semantic layer: `perfhouse metrics`.

It parses, calls and prints, as `cli` does; it computes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def add(commands: Any, paths: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the command; words after its options are MetricFlow's own."""
    text = "KPIs by MetricFlow: write its folder, or ask it (metrics query --metrics csat_rate ...)"
    metrics = commands.add_parser("metrics", help=text, description=text)
    paths(metrics)
    metrics.add_argument(
        "mf",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="a word of `mf` and its options, such as query, list or validate-configs",
    )
    metrics.set_defaults(func=_metrics)


def _metrics(args: argparse.Namespace) -> int:
    from perfhouse import metrics
    from perfhouse.cli import echo
    from perfhouse.settings import Home, defaults
    from perfhouse.stages import open_workspace

    if args.mf:
        return metrics.ask(Home(args.home or defaults()[2]), args.mf)
    ws = open_workspace(args.company, args.data, args.home)
    folder = metrics.prepare(ws.company, ws.home)
    echo(f"metrics: {folder}")
    question = "query --metrics csat_rate --group-by chain__manager"
    echo(f"ask: perfhouse metrics --home {ws.home.root} {question}")
    return 0
