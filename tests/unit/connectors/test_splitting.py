from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import splitting

Path = tuple[str | int, ...]


def split(text: str, path: Path = ()) -> list[str]:
    return list(splitting.records(io.StringIO(text, newline=""), path))


@pytest.fixture(params=[1, 7, 1 << 20], ids=["by the letter", "by seven", "at once"])
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(splitting, "_BLOCK", request.param)
    return int(request.param)


ONE, TWO = '{"id" : "a,\\n]}", "n": [1, {"x": 2}]}', '{"id": "\\ud800", "n": 1e5}'


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize(
    ("text", "path", "told"),
    [
        (f"[{ONE},\n{TWO}]", (), [ONE, TWO]),
        (f"{ONE}{TWO}\r\n{ONE}", (), [ONE, TWO, ONE]),
        (f"{ONE},\n{TWO},\n", (), [ONE, TWO]),
        (f" [\n{ONE} ] [{TWO}] ", (), [ONE, TWO]),
        ("[[1, 2], 34, null]", (), ["[1, 2]", "34", "null"]),
        ('12.5 "x" true', (), ["12.5", '"x"', "true"]),
        ("[]", (), []),
        (" \n", (), []),
        (f'{{"n": {{"data": 1}}, "data": [{ONE}, {TWO}], "more": [[]]}}', ("data",), [ONE, TWO]),
        (f'{{"a": {{"b": [{ONE}]}}}}\n{{"a": {{"b": [{TWO}]}}}}', ("a", "b"), [ONE, TWO]),
        (f'[{{"a": [{ONE}]}}, {{"a": [{TWO}]}}]', ("a",), [ONE, TWO]),
        (f'{{"a": [[], [{ONE}, {TWO}]]}}', ("a", 1), [ONE, TWO]),
        (f'{{"a": {ONE}}}', ("a",), [ONE]),
        ('{"a": null}', ("a",), ["null"]),
        ('{"a": []}', ("a",), []),
        (f'{{"b": [{ONE}]}}', ("a",), [f'{{"b": [{ONE}]}}']),
        ('{"a": {"c": 1}} "x" [5]', ("a", "b"), ['{"a": {"c": 1}}', '"x"', "5"]),
        ('{"a": [1]}', ("a", 3), ['{"a": [1]}']),
    ],
)
def test_every_record_keeps_its_text(text: str, path: Path, told: list[str]) -> None:
    assert split(text, path) == told


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize(
    ("text", "path", "told"),
    [
        (f"{ONE}\n{{broken\n{TWO}", (), [ONE, "{broken", TWO]),
        (f"{ONE}\r\n{{broken\r\n \r\n  {TWO}", (), [ONE, "{broken", TWO]),
        (f"{ONE} {{broken", (), [ONE, "{broken"]),
        (f"[{ONE},\n{{broken}},\n{TWO}]", (), [ONE, "{broken},", TWO]),
        (f"[{ONE}, oops, {TWO}]", (), [ONE, f"oops, {TWO}]"]),
        (f"[{ONE}, {TWO}", (), [ONE, TWO, "["]),
        (f"[{ONE}, {TWO[:-5]}", (), [ONE, TWO[:-5]]),
        (f"{ONE}]\n{TWO}", (), [ONE, "]", TWO]),
        (f'{{"d": [{ONE},\n{{broken}},\n{TWO}], "x": 1}}', ("d",), [ONE, "{broken},", TWO]),
        (f'{{"d": [{ONE}, {TWO}', ("d",), [ONE, TWO, "["]),
        (f'{{"x": oops, "d": [\n{ONE}]}}', ("d",), ['{"x": oops, "d": [', ONE, "]}"]),
        (f'{{"x" 1, "d": [\n{ONE}]}}', ("d",), ['{"x" 1, "d": [', ONE, "]}"]),
        ('{"x": 1, "d"', ("d",), ['{"x": 1, "d"']),
        ('{"x": [1, [2', ("d",), ['{"x": [1, [2']),
        ("[" * 100_000, (), ["[" * 99_999]),
        ('{"x":' * 100_000, ("d",), ['{"x":' * 100_000]),
    ],
)
def test_what_is_no_json_is_told_up_to_the_next_line_with_a_brace(
    text: str, path: Path, told: list[str]
) -> None:
    assert split(text, path) == told


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abd\n{"), inner),
    max_leaves=12,
)


def read_whole(text: str, path: Path) -> list[Any]:
    """Return what lies at the path of each value of a list or of values end to end."""
    told: list[Any] = []
    at = 0
    while at < len(text):
        value, at = json.JSONDecoder().raw_decode(text, at)
        at = re.compile(r"\s*").match(text, at).end()  # type: ignore[union-attr]
        for each in value if isinstance(value, list) else [value]:
            found: Any = each
            try:
                for step in path:
                    found = found[step] if not isinstance(found, str) else found[path]
            except (KeyError, IndexError, TypeError):
                told.append(each)
                continue
            told.extend(found if path and isinstance(found, list) else [found])
    return told


@settings(deadline=None)
@given(
    st.lists(VALUES, max_size=4),
    st.sampled_from([None, 2]),
    st.sampled_from([(), ("a",), ("a", 0), ("a", "b")]),
    st.sampled_from([1, 5, 64, 1 << 20]),
)
def test_any_json_is_told_as_if_it_were_read_whole(
    values: list[Any], indent: int | None, path: Path, block: int
) -> None:
    text = "\n".join(json.dumps(value, indent=indent) for value in values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splitting, "_BLOCK", block)
        told = split(text, path)
    assert [json.loads(each) for each in told] == read_whole(text, path)
    assert all(each in text for each in told)


@settings(deadline=None)
@given(
    st.integers(2, 12),
    st.lists(
        st.tuples(st.integers(0, 2000), st.sampled_from(["", '"', "{", "}", "[", "]", "\n", ":"])),
        max_size=6,
    ),
    st.sampled_from([(), ("data",)]),
    st.sampled_from([1, 9, 200]),
)
def test_damage_is_told_the_same_whatever_the_window(
    count: int, edits: list[tuple[int, str]], path: Path, block: int
) -> None:
    whole = [{"id": n, "marks": [{"score": n}], "text": 'a "b" {c}'} for n in range(count)]
    text = json.dumps({"meta": [1, {}], "data": whole} if path else whole, indent=1)
    for at, what in edits:
        at %= len(text)
        text = text[:at] + what + text[at + 1 :]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splitting, "_BLOCK", block)
        told = split(text, path)
    assert told == split(text, path)
    assert all(told)


def test_a_record_larger_than_any_is_told_in_parts_and_the_next_ones_land(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(splitting, "_BLOCK", 16)
    monkeypatch.setattr(splitting, "_LARGEST", 64)
    huge = json.dumps({"id": "x" * 1000})
    told = split(f"[{ONE},\n{huge},\n{TWO}]")
    assert (told[0], told[-1]) == (ONE, TWO)
    assert "".join(told[1:-1]) == huge + ","
    assert max(map(len, told)) <= 200


def test_an_object_too_large_for_a_record_must_have_its_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(splitting, "_BLOCK", 16)
    monkeypatch.setattr(splitting, "_LARGEST", 64)
    many = ", ".join(["[1, 2]"] * 100)
    assert split(f'{{"a": [{many}], "d": [{ONE}], "z": [{many}]}}', ("d",)) == [ONE]
    with pytest.raises(splitting.NoRecordsError):
        split(f'{{"a": [{many}]}}', ("d",))
