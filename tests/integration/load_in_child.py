"""A mart loader of its own process, which kills itself at a step; see test_mart.py."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from perfhouse.mart import load
from perfhouse.settings import Home


def main(root: Path, step: str) -> None:
    def die(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    load.reached = die
    load.load(Home(root), "small", "mart_kit", progress=print)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
