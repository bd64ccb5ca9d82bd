"""`python -m bi serve|bundle`: serve the dashboards, or write the bundle anew."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bi import bundle
from perfhouse.errors import PerfhouseError
from perfhouse.settings import Home


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code says who must act, as with `perfhouse`."""
    parser = argparse.ArgumentParser(prog="bi", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("bundle", help="write bi/superset/bundle/ from the KPI definitions")
    serving = commands.add_parser("serve", help="start Superset with the dashboards")
    serving.add_argument("--home", type=Path, default=Path("data"))
    serving.add_argument("--company", type=Path, help="default: the demo's, in the home")
    serving.add_argument("--readers", type=Path, help="CSV with login, role and manager_id")
    serving.add_argument("--language", choices=bundle.LANGUAGES, default="zh")
    serving.add_argument("--port", type=int, default=8088)
    serving.add_argument("--host", default="127.0.0.1")
    serving.add_argument("--venv", type=Path, help="Superset's environment (default: in the home)")
    given = parser.parse_args(arguments)
    try:
        if given.command == "bundle":
            _progress(f"{len(bundle.write())} files in {bundle.FOLDER}")
        else:
            _serve(given)
    except PerfhouseError as error:
        sys.stderr.write(f"{error}\n(who acts: {error.who})\n")
        return error.exit_code
    return 0


def _serve(given: argparse.Namespace) -> None:
    from bi import serve

    serve.serve(
        serve.Settings(
            Home(given.home),
            given.company or given.home / "demo" / "company",
            given.readers,
            given.language,
            given.port,
            given.host,
            given.venv,
        ),
        _progress,
    )


def _progress(line: str) -> None:
    sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
