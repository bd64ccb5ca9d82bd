"""Print the part of a lock that is asked for: what some extras of the project, or packages, need.

`python tools/locked.py airflow semantic` (extras), `python tools/locked.py --only hatchling`.
Reads requirements.lock, whose comments say what asked for each package, and pyproject.toml, both
of the current folder; standard library only, for images are built with it.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_BEGIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", re.MULTILINE)
_ASKED = re.compile(r"^    #(?: via)? +([A-Za-z0-9._-]+)$", re.MULTILINE)


def part(lock: str, wanted: Iterable[str]) -> str:
    """Return the entries of these packages and of all that they ask for.

    Raises:
        KeyError: the lock has no such package.
    """
    entries = {_name(text): text for text in _entries(lock)}
    needs: dict[str, set[str]] = {name: set() for name in entries}
    for name, text in entries.items():
        for asker in _ASKED.findall(text):
            needs.setdefault(_plain(asker), set()).add(name)
    found: set[str] = set()
    waiting = [_plain(name) for name in wanted]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += needs[name]
    return "".join(entries[name] for name in sorted(found))


def roots(project: Mapping[str, Sequence[str]], extras: Iterable[str]) -> list[str]:
    """Return the names of what the project asks for, with these extras."""
    asked = list(project["dependencies"])
    for extra in extras:
        asked += project["optional-dependencies"][extra]  # type: ignore[call-overload]
    return [re.split(r"[^A-Za-z0-9._-]", one, maxsplit=1)[0] for one in asked]


def _entries(lock: str) -> list[str]:
    starts = [found.start() for found in _BEGIN.finditer(lock)]
    return [lock[a:b] for a, b in zip(starts, [*starts[1:], len(lock)], strict=True)]


def _name(entry: str) -> str:
    return _plain(re.split(r"[\[=]", entry, maxsplit=1)[0])


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="extras of the project; with --only, packages")
    parser.add_argument("--only", action="store_true", help="packages, without the project's own")
    given = parser.parse_args()
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = given.names if given.only else roots(project, given.names)
    sys.stdout.write(part(Path("requirements.lock").read_text(encoding="utf-8"), wanted))


if __name__ == "__main__":
    main()
