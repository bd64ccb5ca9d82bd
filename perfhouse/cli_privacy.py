"""The commands of privacy: `perfhouse retention` and `perfhouse erase`.

It parses, calls and prints, as `cli` does; it computes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perfhouse.erasure import Erasure

_TOLD = 20  # files that are left, by name
_SHARED = "others hold their account too, and no day tells whose it was then"


def add(commands: Any, paths: Callable[[argparse.ArgumentParser], None], types: Any) -> None:
    """Add the commands; `types` has `month` and `day`, which read arguments."""
    text = "delete what [retention] keeps no longer; shows it unless --apply"
    kept = commands.add_parser("retention", help=text, description=text)
    paths(kept)
    text = "the month that ages are counted from (default: the newest published)"
    kept.add_argument("--month", type=types.month, help=text)
    kept.add_argument("--apply", action="store_true", help="delete it; needs --by")
    kept.add_argument("--by", default="", help="who decided it: an office or its holder")
    kept.set_defaults(func=_retention)
    text = "erase a person from lake, archive and releases; shows what would be, unless --apply"
    erase = commands.add_parser("erase", help=text, description=text)
    person = erase.add_mutually_exclusive_group(required=True)
    person.add_argument("--employee", metavar="KEY", help="the employee's id, as rosters have it")
    person.add_argument("--customer", metavar="KEY", help="the customer's id, as a source has it")
    erase.add_argument("--by", required=True, help="who decided: an office or its holder")
    erase.add_argument("--reason", required=True, help="why: published, so name nobody")
    erase.add_argument("--at", type=types.day, required=True, help="on which day, YYYY-MM-DD")
    erase.add_argument("--apply", action="store_true", help="do it; it cannot be undone")
    erase.add_argument("--home", type=Path, help="raw/, published/ (default ./data)")
    erase.set_defaults(func=_erase)


def _retention(args: argparse.Namespace) -> None:
    from perfhouse import retention
    from perfhouse.cli import echo
    from perfhouse.stages import open_workspace

    ws = open_workspace(args.company, args.data, args.home)
    if not ws.company.retention:
        echo("perfhouse.toml has no [retention]: everything is kept")
        return
    month = retention.newest(ws.home, args.month)
    line = None
    if args.apply:
        found, line = retention.apply(
            ws.home, ws.company.retention, month, ws.company.look_back, who=args.by
        )
    else:
        found = retention.due(ws.home, ws.company.retention, month, ws.company.look_back)
    for each in found:
        echo(f"{each.kind:<11} {each.month}  {len(each.files):>6,} files  {each.bytes:>14,} bytes")
    if not found:
        echo(f"nothing is older than it is kept, counted from {month}")
    elif line is not None:
        echo(f"deleted; line {line.sequence} of the ledger, hash {line.entry_sha256}")
    else:
        echo("nothing was deleted: --apply --by deletes it")
    if any(each.kind in ("landed", "superseded") for each in found):
        echo("releases made from landed files that go can no longer be reproduced")


def _erase(args: argparse.Namespace) -> None:
    from perfhouse import erasure, public_words
    from perfhouse.cli import echo
    from perfhouse.restatement import Reason
    from perfhouse.settings import Home, defaults

    home = Home((args.home or defaults().home).resolve())
    public_words.require(home, Reason(args.reason or "", args.by or ""))
    kind = "employee" if args.employee else "customer"
    key = args.employee or args.customer
    request = erasure.Request(kind, key, args.by, args.reason, args.at)
    found = erasure.erase(home, request, apply=args.apply, progress=lambda line: echo(f"  {line}"))
    for line in _told(found):
        echo(line)
    if not args.apply:
        echo("nothing was altered: --apply does it, and cannot be undone")


def _shared(found: Erasure) -> list[tuple[str, int]]:
    return sorted(found.found.shared.items())


def _told(found: Erasure) -> list[str]:
    rows, deleted = found.found.rows, found.found.deleted
    told = [f"{path}: {count} rows" for path, count in sorted(rows.items())]
    told += [f"{path}: deleted whole" for path in deleted]
    told += [f"published/{e.path}: {e.rows} rows, {e.files} files" for e in found.releases]
    told += [f"{path}: {count} rows stay: {_SHARED}" for path, count in _shared(found)]
    if not told:
        told.append("nothing in this home names the person")
    if found.line is not None:
        line = found.line
        told.append(f"erased; line {line.sequence} of the ledger, hash {line.entry_sha256}")
    if found.left:
        told.append("these still name the person; look at them:")
        told += [f"  {path}" for path in found.left[:_TOLD]]
        more = len(found.left) - _TOLD
        told += [f"  and {more} more"] if more > 0 else []
    if found.rebuild:
        months = ", ".join(found.rebuild)
        told.append(f"the warehouse was deleted; build again, in this order: {months}")
        told.append("if there is a mart: perfhouse mart publish --again")
    if deleted:
        told.append("months whose archive is gone cannot be landed again from it")
    return told
