"""`python -m benchmarks [NAME ...]`: measure, print, write benchmarks/results/.

Parses and dispatches; each benchmark is a module with `run(options) -> Report`.
"""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path

from benchmarks import machine, results
from benchmarks.measure import say
from benchmarks.results import ORDER


def main() -> None:
    """Run the named benchmarks, or all of them."""
    options = _arguments()
    began = time.perf_counter()
    for name in options.names or ORDER:
        say(f"== {name}")
        facts = machine.facts()
        if facts["load_before"] > 0.5 * facts["cores"]:
            say(f"   the machine is busy (load {facts['load_before']}): expect noise")
        report = importlib.import_module(f"benchmarks.{name}").run(options)
        path = results.write(report, facts, options.results)
        say(f"   written to {path}")
    say(f"took {time.perf_counter() - began:.0f} seconds")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ORDER))
    parser.add_argument(
        "--size",
        type=_sizes,
        metavar="N[,N]",
        help="landing: rows of each dialect (default 200k); transform: ticket events of a month "
        "(default 1M,10M); kpis: likewise, and as many calls; months: likewise (default 100k); "
        "business_minutes: intervals; cards, bi_rights: managers (default 5k); torture: kills "
        "(default 200); "
        "k and M are understood",
    )
    parser.add_argument("--repeats", type=int, help="runs of each (default: by benchmark)")
    parser.add_argument("--months", type=int, help="months, backfill: how many (default 36)")
    parser.add_argument(
        "--only", help="landing: dialects; sources: feeds; cards: html, pdf; commas between"
    )
    parser.add_argument("--postgres", help="sources: URL of a server where a database may be made")
    parser.add_argument("--mariadb", help="sources: likewise")
    parser.add_argument("--tmp", type=Path, help="where scratch folders are made")
    parser.add_argument("--results", type=Path, default=results.RESULTS)
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in ORDER]
    if unknown:
        parser.error(f"expected some of {', '.join(ORDER)}; got {', '.join(unknown)}")
    return options


def _sizes(text: str) -> tuple[int, ...]:
    units = {"k": 1_000, "M": 1_000_000}
    found = []
    for part in text.split(","):
        unit = units.get(part[-1:], 1)
        digits = part[:-1] if unit > 1 else part
        if not digits.isdigit():
            raise argparse.ArgumentTypeError(f"expected sizes such as 200k or 1M,10M; got {text!r}")
        found.append(int(digits) * unit)
    return tuple(found)


if __name__ == "__main__":
    main()
