from __future__ import annotations

from pathlib import Path

import pytest

from perfhouse import demo

SIZE = {"managers": 6, "agents": 36, "months": 3, "tickets": 2_000, "calls": 2_000}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> demo.DemoResult:
    return demo.generate(tmp_path_factory.mktemp("demo") / "company", seed=7, **SIZE)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
