"""The catalogue of planted faults: what comes from sources is planted here, without a build.

Rules are judged by the queries that name offenders, a tenth of Great Expectations' time; that both
say the same is tested in test_gates.py. Every second fault is planted here; all of them by
`python -m benchmarks faults`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import pytest
from test_accept import by_their_queries

from benchmarks.faults import catalogue, planting
from benchmarks.faults.catalogue import FAULTS, LANDED
from benchmarks.faults.planting import Fault
from expectations import gate


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[planting.Sound]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "_expect", by_their_queries)
        yield planting.company(tmp_path_factory.mktemp("faults"), built=False)


@pytest.fixture(scope="module")
def clean(sound: planting.Sound) -> Mapping[str, frozenset[str]]:
    """Return the warnings of the sound month, which nothing stops."""
    verdicts = [catalogue.judge(sound.ws, month, "raw") for month in sound.months]
    assert [verdict.failures for verdict in verdicts] == [()] * len(sound.months)
    return {"raw": catalogue.failing(verdicts[-1])}


@pytest.mark.parametrize(
    "fault", [f for f in FAULTS if f.where in LANDED][::2], ids=lambda f: f"{f.id} {f.words}"
)
def test_a_fault_of_a_delivery_is_stopped_and_named(
    sound: planting.Sound, clean: Mapping[str, frozenset[str]], fault: Fault
) -> None:
    found = catalogue.plant(sound, fault, clean)
    assert found.wrong == ""
    assert found.told


def test_a_fault_that_is_none_is_told(
    sound: planting.Sound, clean: Mapping[str, frozenset[str]]
) -> None:
    none = Fault("0", "nothing", "lake", "raw", "calls_codes", "critical", lambda _: "leg_id=")
    assert "calls_codes passed; the month went on" in catalogue.plant(sound, none, clean).wrong


def test_the_catalogue_is_large_and_no_fault_stands_in_it_twice() -> None:
    assert len(FAULTS) >= 60
    assert {n for counted in ("id", "words") for n in Counter(
        getattr(fault, counted) for fault in FAULTS
    ).values()} == {1}  # fmt: skip
    assert {fault.gate for fault in FAULTS} == {"landing", *gate.GATES}
    assert {fault.severity for fault in FAULTS} == {"critical", "warning"}
