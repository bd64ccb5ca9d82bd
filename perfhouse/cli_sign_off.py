"""The command of HR's signature: `perfhouse sign-off`.

It parses, calls and prints, as `cli` does; it computes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from perfhouse.errors import ConfigError, NotSignedOff

if TYPE_CHECKING:
    from perfhouse.sign_off_request import Request
    from perfhouse.stages import Workspace


def add(commands: Any, paths: Callable[[argparse.ArgumentParser], None], types: Any) -> None:
    """Add the command; `types` has `month` and `day`, which read arguments."""
    text = "what a final release would change, for HR to sign or refuse before it goes out"
    parser = commands.add_parser("sign-off", help=text, description=text)
    paths(parser)
    parser.add_argument("--month", type=types.month, required=True, help="YYYY-MM")
    parser.add_argument("--as-of", type=types.month, help="as of which month it was built")
    answers = parser.add_mutually_exclusive_group()
    for name, verb in (("approve", "sign"), ("refuse", "refuse")):
        text = f"{verb} the content that was shown, by the first digits of its hash"
        answers.add_argument(f"--{name}", metavar="HASH", help=text)
    parser.add_argument("--by", metavar="LOGIN", help="who answers: published with the release")
    parser.add_argument("--reason", help="why: published, so name nobody it is about")
    parser.add_argument("--at", type=types.day, help="on which day, YYYY-MM-DD")
    parser.set_defaults(func=_sign_off)


def _sign_off(args: argparse.Namespace) -> int:
    from perfhouse import stages

    ws = stages.open_workspace(args.company, args.data, args.home)
    if args.approve is None and args.refuse is None:
        return _show(ws, args)
    _answer(ws, args)
    return 0


def _show(ws: Workspace, args: argparse.Namespace) -> int:
    """Show what waits for a signature, else stage what would; 10 says that one is missing."""
    from perfhouse import sign_off, sign_off_answer, sign_off_form, sign_off_request, stages
    from perfhouse.cli import echo

    signers = sign_off_answer.settings(ws).signers
    request: Request | None = sign_off_request.read(ws.home, args.month)
    if request is not None:
        request = sign_off_answer.expired(ws, request)
    if request is not None and request.state != sign_off_request.OPEN:
        sha12 = request.content.release_sha256[:12]
        echo(f"{request.content.release} ({sha12}): {request.state} by {request.by}")
        return 0 if request.state == sign_off.APPROVED else NotSignedOff.exit_code
    if request is None:
        request = stages.ask(ws, args.month, args.as_of, echo)
    if request is None:
        echo(f"{args.month}: needs no signature: it is provisional, or has one")
        return 0
    echo(sign_off_form.text(request.form, signers))
    values = sign_off_request.values_file(ws.home, args.month)
    if values.exists():
        echo(f"every value, before and after: {values}")
    echo(f"sign it, or refuse: --approve {request.content.release_sha256[:12]} --by LOGIN")
    return NotSignedOff.exit_code


def _answer(ws: Workspace, args: argparse.Namespace) -> None:
    from perfhouse import sign_off_answer
    from perfhouse.cli import echo

    if not (args.by or "").strip():
        raise ConfigError(["--by: expected who answers, got nothing"])
    if args.refuse is not None and not (args.reason or "").strip():
        raise ConfigError(["--reason: expected why it is refused, got nothing"])
    request = sign_off_answer.asked(ws, args.month, args.approve or args.refuse)
    line = sign_off_answer.answer(
        ws,
        request,
        args.by.strip(),
        (args.reason or "").strip(),
        is_approved=args.approve is not None,
        at=args.at,
    )
    echo(f"line {line.sequence} of the ledger: {line.what['answer']} as {line.what['as']}")
    after = "perfhouse publish, as before, puts it out" if args.approve else "nothing goes out"
    echo(f"{request.content.release} ({request.content.release_sha256[:12]}): {after}")
