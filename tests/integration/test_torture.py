"""Publishers that die: `python -m benchmarks torture` in short, without a mart."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import torture_misfortunes, torture_world
from benchmarks.torture_rack import Forge, Rack, readers
from perfhouse import release


@pytest.mark.nightly
def test_readers_see_whole_releases_whoever_dies_and_the_next_run_finishes(tmp_path: Path) -> None:
    world = torture_world.prepare(tmp_path)
    world.spare()
    forge = Forge(world)
    rack = Rack(world, forge)
    try:
        rack.begin()
        published = world.home / "published"
        with readers(tmp_path, dict.fromkeys(("database", "files", "ledger"), published)) as seen:
            steps = rack.publishers(len(release.STEPS), random=False)
            back = rack.rollbacks(2)
        assert (steps["kills"], back["kills"]) == (len(release.STEPS), 2)
        assert [each["wrong"] for each in seen] == [[], [], []]
        assert min(each["reads"] for each in seen) > 2
        assert max(each["releases"] for each in seen) > 2
        full = torture_misfortunes.full_disk(rack, free=(512,))
        assert full.get("wrong", []) == []
        assert rack.is_as_if_nobody_had_died()
    finally:
        forge.close()
