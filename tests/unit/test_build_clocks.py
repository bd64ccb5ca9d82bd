"""A month cannot be built whose clocks all stopped before it began."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from perfhouse import build
from perfhouse.errors import ConfigError
from perfhouse.settings import Home
from tests.integration import small_warehouse as small


def test_a_month_after_the_clocks_stopped_is_refused_and_nothing_is_written(
    tmp_path: Path,
) -> None:
    begins = datetime(2026, 8, 31, 16, tzinfo=UTC)  # September in Shanghai
    company = replace(small.company(tmp_path / "company"), clocks_stop_at=begins)
    with pytest.raises(ConfigError, match="clocks_stop_at: expected an instant after 2026-09-01"):
        build.build(company, Home(tmp_path / "home"), small.MONTH, small.MONTH, {})
    assert not (tmp_path / "home").exists()
