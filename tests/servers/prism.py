"""Mocks of vendors' services, run by Prism from a specification in .servers/specs (see specs.py).

They check requests as the vendor's document says, answer with its examples and remember nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers import process

_PROGRAM = Path("node") / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"


@dataclass(frozen=True)
class Mock:
    """A running mock of one specification: a request that breaks it is answered with 422."""

    url: str
    spec: Path


@pytest.fixture(scope="session")
def prism() -> Iterator[Callable[..., Mock]]:
    """Start a mock: `prism("twilio")` answers examples, `prism("twilio", seed=7)` random values."""
    node = process.installed("node")
    program = process.INSTALLED / _PROGRAM
    if not program.exists():
        process.missing("prism (.servers/node)")
    running: dict[tuple[str, int | None], Mock] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(process.folder("prism"))

        def mock(name: str, seed: int | None = None) -> Mock:
            if (name, seed) not in running:
                spec = process.INSTALLED / "specs" / f"{name}.json"
                if not spec.exists():
                    process.missing(f"the specification {name} (.servers/specs)")
                port = process.free_port()
                command = [node, str(program), "mock", "-h", "127.0.0.1", "-p", str(port)]
                command += ["--dynamic", "--seed", str(seed)] if seed is not None else []
                log = folder / f"{name}-{seed}.log"
                stack.enter_context(
                    process.start(
                        f"prism {name}", [*command, str(spec)],
                        ready=process.listening(port), log=log,
                    )
                )  # fmt: skip
                running[name, seed] = Mock(f"http://127.0.0.1:{port}", spec)
            return running[name, seed]

        yield mock
