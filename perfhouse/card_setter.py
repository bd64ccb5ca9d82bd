"""A typesetter in a process of its own: the library that sets a card holds one core only.

`python -m perfhouse.card_setter FOLDER AS_OF` reads descriptions of cards, one JSON line each, and
writes their PDF files. It knows no warehouse and says nothing: lines and errors may hold names.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

from perfhouse.errors import PerfhouseError
from perfhouse.month import Month
from perfhouse.settings import child_environment, cores, without_secrets

_A_PROCESS = 100  # cards; for fewer its start takes longer than it saves


def processes_for(cards: int) -> int:
    """Say how many processes are worth while for so many cards, on the cores that we may use."""
    return min(cores(), cards // _A_PROCESS)


def set_all(
    said: Iterable[tuple[str, Mapping[str, Any]]], as_of: Month, out_dir: Path, processes: int
) -> None:
    """Set cards in so many processes at once; `said` are names of files and descriptions.

    Raises:
        PerfhouseError: a process ended before its cards were there (data engineer).
    """
    command = [sys.executable, "-m", "perfhouse.card_setter", str(out_dir), as_of.key]
    with ExitStack() as stack:
        running = [stack.enter_context(_started(command)) for _ in range(processes)]
        with suppress(BrokenPipeError):  # its end is told below
            for number, (name, card) in enumerate(said):
                line = json.dumps([name, card], ensure_ascii=False)
                _input(running[number % processes]).write(line.encode() + b"\n")
        for each in running:
            with suppress(BrokenPipeError):
                _input(each).close()
        ended = [each.wait() for each in running]
    if any(ended):
        raise PerfhouseError(
            f"cards as PDF: a typesetter ended with {max(ended, key=abs)}, its cards are not there;"
            " publish again, with more memory if it was killed (-9)"
        )


def _started(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the command is ours
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=without_secrets(child_environment()),
    )


def _input(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdin is None:
        raise TypeError("a typesetter is started with an input")
    return process.stdin


def main(folder: Path, as_of: Month, lines: Iterable[bytes]) -> None:
    """Set every card of the lines."""
    from perfhouse import card_pdf

    for line in lines:
        name, card = json.loads(line)
        (folder / name).write_bytes(card_pdf.render(card, as_of))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Month(sys.argv[2]), sys.stdin.buffer)
