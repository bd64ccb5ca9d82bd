"""Superset's own Python environment: made from the hashed lock, made again when that changes.

Superset needs SQLAlchemy 1.4 and the project 2.1, so the two never share one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from perfhouse.errors import ConfigError

HERE = Path(__file__).with_name("superset")
LOCK = HERE / "requirements.lock"


def ensure(venv: Path, progress: Callable[[str], None]) -> Path:
    """Return the folder of programs of an environment that is as the lock says.

    Raises:
        ConfigError: it could not be installed (operator).
    """
    programs = venv / "bin"
    stamp = venv / "installed.lock"
    if stamp.exists() and stamp.read_bytes() == LOCK.read_bytes():
        return programs
    progress(f"installing Superset into {venv} (about 650 MB, once)")
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise ConfigError(["bi: expected uv beside this Python; run `make setup`"])
    _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(venv)])
    python = str(programs / "python")
    _run([uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", str(LOCK)])
    shutil.copyfile(LOCK, stamp)
    return programs


def _run(command: list[str]) -> None:
    done = subprocess.run(  # noqa: S603 - the commands are ours
        command, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-8:]
        raise ConfigError([f"bi: {' '.join(command[:3])} failed: " + "\n    ".join(said)])
