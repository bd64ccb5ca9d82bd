"""Records of another folder: found by a field's text, wherever they lie in the archive."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import reading_pages
from connectors.base import Beside
from connectors.reading import ReadFile, Wanted

WINDOW = (datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC))


def beside(folder: Path, pages: Sequence[str]) -> Beside:
    files = []
    for nth, text in enumerate(pages):
        path = folder / f"{nth}.json"
        path.write_text(text)
        files.append(ReadFile(nth, f"users/{nth}.json", path, "pages"))
    wanted = Wanted("tickets", "Desk", {}, {}, records={"users": "users"})
    return reading_pages.besides(files, wanted, WINDOW, {})({}, "tickets/1.json")


def page(records: Sequence[Mapping[str, Any]], **how: Any) -> str:
    first = records[0] if records else None  # the same bytes lie before the list too
    return json.dumps({"first": first, "users": records}, **how)


KEY = st.sampled_from([1, 2, "1", "ann", "甲", "long name", None, 1.5])
RECORD = st.fixed_dictionaries({"n": st.integers(0, 3)}, optional={"id": KEY, "x": st.text()})


@pytest.mark.parametrize("collide", [False, True])
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(RECORD, max_size=5), max_size=5), st.sampled_from([None, 1]))
def test_records_are_found_by_the_text_of_a_field_in_the_order_of_their_delivery(
    tmp_path_factory: pytest.TempPathFactory,
    collide: bool,
    pages: list[list[dict[str, Any]]],
    indent: int | None,
) -> None:
    known: dict[str, list[Any]] = {}
    for record in (record for records in pages for record in records if "id" in record):
        key = record["id"]
        known.setdefault(key if isinstance(key, str) else json.dumps(key), []).append(record)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading_pages, "_RECENT", 40)
        patch.setattr(reading_pages, "_OPEN", 2)
        if collide:
            patch.setattr(reading_pages, "hash", len, raising=False)
        near = beside(
            tmp_path_factory.mktemp("pages"), [page(records, indent=indent) for records in pages]
        )
        group, lookup = near.group("users", "id"), near.lookup("users", "id")
        assert {name: group[name] for name in known} == known
        assert {name: lookup[name] for name in known} == {n: r[-1] for n, r in known.items()}
        for absent in ("bob", "2.0", ""):
            assert group.get(absent) is None
            assert absent not in lookup
        assert bool(lookup) == bool(known)
        if not collide:
            assert list(group) == list(lookup) == list(known)
            assert len(group) == len(lookup) == len(known)


def test_a_page_with_half_a_character_gives_its_other_records(tmp_path: Path) -> None:
    odd = '{"users": [{"id": 1, "name": "Ann"}, {"id": 2, "name": "\\ud800"}, {"id": 1, "n": 3}]}'
    near = beside(tmp_path, [odd, page([{"id": 3, "name": "Bo"}])])
    assert near.group("users", "id")["1"] == [{"id": 1, "name": "Ann"}, {"id": 1, "n": 3}]
    assert near.lookup("users", "id")["2"]["name"] == "\ud800"
    assert near.lookup("users", "id")["3"] == {"id": 3, "name": "Bo"}


def test_looking_records_up_takes_memory_for_their_places_alone(tmp_path: Path) -> None:
    def grown(pages: int) -> int:
        folder = tmp_path / str(pages)
        folder.mkdir()
        texts = [
            page([{"id": 1000 * nth + n, "text": "some text " * 100} for n in range(1000)])
            for nth in range(pages)
        ]
        near = beside(folder, texts)
        tracemalloc.start()
        found = near.lookup("users", "id")
        assert [found[str(n)]["id"] for n in range(0, 1000 * pages, 97)] == list(
            range(0, 1000 * pages, 97)
        )
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    grown(1)
    few = grown(2)
    assert grown(20) < few + 18_000 * 100
