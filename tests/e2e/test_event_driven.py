"""Data that arrives starts the work of just its month, under a real scheduler and triggerer."""

from __future__ import annotations

from collections.abc import Iterator

import arriving
import pytest
import tiny

from perfhouse import clock, reconcile
from perfhouse.month import Month

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
LAST = Month.of(clock.now().date()).plus(-1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[arriving.World]:
    """Two sources' files land, a third is announced by calls that no run of `arrivals` hears."""
    ws = arriving.company(tmp_path_factory.mktemp("arrivals"), "desk", "survey")
    with arriving.serving(ws) as it:
        tiny.deliver(ws.data, LAST.key)
        it.until("both ingests", lambda: it.landed(LAST) == {"desk", "survey"})
        it.pause("arrivals", paused=True)
        it.call("hr", LAST)
        it.call("hr", LAST)
        it.until("a release", lambda: it.released(LAST))
        yield it


def test_files_that_land_and_a_call_become_a_release_like_that_of_a_plain_run(
    world: arriving.World,
) -> None:
    assert world.released(LAST) == arriving.plainly(world.ws, LAST)[LAST.key]
    assert reconcile.everything(world.ws, clock.today(world.ws.company)) == []


def test_only_what_arrived_was_ingested_and_the_same_call_twice_is_one(
    world: arriving.World,
) -> None:
    runs = [run for run in world.runs() if run[0].startswith("ingest_")]
    assert {state for *_, state in runs} == {"success"}
    by_events = [dag_id for dag_id, run_id, _ in runs if run_id.startswith("arrived__")]
    assert sorted(by_events) == ["ingest_desk", "ingest_survey"]
    assert len(world.runs("ingest_hr")) == 1
    assert len(world.runs("transform")) == len(world.runs("publish")) == 1


def test_what_a_paused_dag_did_not_hear_was_healed(world: arriving.World) -> None:
    ((_, run_id, _),) = world.runs("ingest_hr")
    assert run_id.startswith(f"healed__{LAST}__announced-")
