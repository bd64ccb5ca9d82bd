"""The commands of many months: `perfhouse backfill` and `perfhouse replay`.

It parses, calls and prints, as `cli` does; it computes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from perfhouse.errors import ConfigError

if TYPE_CHECKING:
    from perfhouse.month import Month
    from perfhouse.replay import Replayed


def add(
    commands: Any, paths: Callable[[argparse.ArgumentParser], None], types: argparse.Namespace
) -> None:
    """Add the commands; `types.month` reads a month."""
    text = "land, build and publish months in their order; what is published already stays"
    fill = commands.add_parser("backfill", help=text, description=text)
    _months(fill, paths, types)
    fill.add_argument(
        "--jobs", type=int, help="sources read at the same time (default: one a core)"
    )
    fill.set_defaults(func=_backfill)
    text = "land months again from the archive after a mapping was mended; shows what would change"
    again = commands.add_parser("replay", help=text, description=text)
    _months(again, paths, types)
    again.add_argument("--source", action="append", help="a source's id; may be given again")
    text = "then publish the months that have changed"
    again.add_argument("--publish", action="store_true", help=text)
    text = "publish those that are closed, too; needs --reason and --by"
    again.add_argument("--restate", action="store_true", help=text)
    again.add_argument("--reason", help="why they change: published, so name nobody it is about")
    again.add_argument("--by", help="who decided it: kept in release.json and in the ledger")
    again.set_defaults(func=_replay)


def _months(
    parser: argparse.ArgumentParser,
    paths: Callable[[argparse.ArgumentParser], None],
    types: argparse.Namespace,
) -> None:
    paths(parser)
    parser.add_argument("--from", dest="first", type=types.month, required=True, help="YYYY-MM")
    parser.add_argument("--to", dest="last", type=types.month, help="YYYY-MM (default: --from)")


def _chosen(args: argparse.Namespace) -> list[Month]:
    months: list[Month] = args.first.until(args.last or args.first)
    if not months:
        raise ConfigError([f"--to: expected {args.first} or later, got {args.last}"])
    return months


def _backfill(args: argparse.Namespace) -> int:
    from perfhouse import backfill
    from perfhouse.cli import echo
    from perfhouse.stages import open_workspace

    if args.jobs is not None and args.jobs < 1:
        raise ConfigError([f"--jobs: expected 1 or more, got {args.jobs}"])
    months = _chosen(args)
    ws = open_workspace(args.company, args.data, args.home)
    done = []
    for outcome in backfill.backfill(ws, months, lambda line: echo(f"  {line}"), args.jobs):
        done.append(outcome)
        echo(outcome.said)
    counts = {state: sum(each.state == state for each in done) for state in backfill.STATES}
    echo(", ".join(f"{count} {state}" for state, count in counts.items() if count))
    failed = next((each.error for each in done if each.error is not None), None)
    if failed is None:
        return 0
    echo("the same command goes on where this one ended")
    return failed.exit_code


def _replay(args: argparse.Namespace) -> None:
    from perfhouse import replay, stages
    from perfhouse.cli import echo
    from perfhouse.restatement import Reason

    if not args.restate and (args.reason or args.by):
        raise ConfigError(["--restate: expected it where --reason and --by are given"])
    reason = Reason.of(args.reason, args.by) if args.restate else None
    ws = stages.open_workspace(args.company, args.data, args.home)
    sources = args.source or [source.id for source in ws.company.sources]
    for each in replay.replay(ws, _chosen(args), sources, lambda line: echo(f"  {line}")):
        for line in told(each):
            echo(line)
        if each.is_built and args.publish:
            released = stages.publish(ws, each.month, each.as_of, _quiet, reason)
            echo(f"{each.month}: {released.name} {'stands' if released.unchanged else 'is out'}")
    if not args.publish:
        echo("nothing was published: --publish does, after it was looked at")


def told(found: Replayed) -> Sequence[str]:
    """Return lines that tell what a replay made of a month."""
    from perfhouse import release_diff

    changed = [source for source, is_new in found.landed.items() if is_new]
    same = [source for source, is_new in found.landed.items() if not is_new]
    lines = [f"{found.month}: landed again from the archive"]
    lines += [f"  {source}: another delivery now" for source in changed]
    lines += [f"  {source}: the same as before" for source in same]
    if not found.is_built:
        lines.append("  nothing of the month has changed: it was not built again")
    elif found.difference is None:
        lines.append("  built; no release stands that it could be compared with")
    else:
        lines += [f"  {line}" for line in release_diff.summary(found.difference)]
    if found.file:
        lines.append(f"  every value, before and after: {found.file}")
    if found.readers:
        lines.append(f"  read by {', '.join(found.readers)} as well: replay those months, too")
    return lines


def _quiet(_: str) -> None:
    """Say nothing: the difference was shown."""
