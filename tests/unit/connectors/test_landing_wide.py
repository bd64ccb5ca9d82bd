"""Tables that are wider than a stream: columns that become rows; durations as people write them."""

from __future__ import annotations

import pytest
from landing_kit import SURVEY, Place, balances, column, mapping, source
from pyarrow import parquet

from perfhouse.errors import ConfigError, SourceChanged

WIDE = {"columns": ["Trust", "Clarity, really", "Help"], "name": "asked", "value": "answer"}
COLUMNS = {
    **SURVEY,
    "submitted_at": column("when", format="%d/%m/%Y"),
    "question_id": column("asked"),
    "score": column("answer", decimal=","),
}
HEAD = 'Help,id;comment,when,Trust,"Clarity, really",answer\r\n'


def test_columns_become_rows_of_their_record(place: Place) -> None:
    place.put("s.csv", HEAD + '1,a,02/09/2026,"4,5",5,x\r\n,b,03/09/2026,2,,x\r\n'
              .replace("\r\n,b", '\r\n"",b'))  # fmt: skip
    columns = {**COLUMNS, "response_id": column("id;comment")}
    manifest = place.ingest(source(mapping(columns, unpivot=WIDE)))
    rows = place.rows(manifest, "response_id, question_id, score::varchar, _row_number")
    assert sorted(rows, key=str) == [
        ("a", "Clarity, really", "5.0000", 2),
        ("a", "Help", "1.0000", 2),
        ("a", "Trust", "4.5000", 2),
        ("b", "Clarity, really", None, 3),
        ("b", "Help", None, 3),
        ("b", "Trust", "2.0000", 3),
    ]
    landed = manifest.streams["survey_responses"]
    assert (landed.rows_in, landed.landed, landed.quarantined) == (6, 6, 0)
    assert landed.undeclared_fields == ("answer",)  # the file's own column, not what we call so
    assert balances(manifest)


def test_a_cell_that_is_wrong_is_quarantined_alone_and_empty_ones_can_be_left_out(
    place: Place,
) -> None:
    place.put("s.csv", "id,when,Trust,Help\na,02/09/2026,5,many\nb,02/09/2026,,4\nc,02/09/2026\n")
    wide = {**WIDE, "columns": ["Trust", "Help"]}
    given = mapping(COLUMNS, unpivot=wide, where='"answer" is not null')
    manifest = place.ingest(source(given))
    assert place.rows(manifest, "response_id, question_id") == [("a", "Trust"), ("b", "Help")]
    assert [row[:3] for row in place.bad(manifest)] == [
        (2, "score", "expected a number like 1234,5"),
        (4, "(row)", "expected 4 fields, found 2"),
    ]
    landed = manifest.streams["survey_responses"]
    assert (landed.rows_read, landed.outside_window, landed.quarantined) == (5, 1, 2)
    assert balances(manifest)


def test_the_same_file_gives_the_same_rows_in_the_same_order(place: Place) -> None:
    rows = "".join(f"{n},02/09/2026,{n % 5},{n % 3}\n" for n in range(70_000))
    wide = {**WIDE, "columns": ["Trust", "Help"]}
    tables = []
    for home in ("one", "two"):
        here = Place(place.root / home)
        here.put("s.csv", "id,when,Trust,Help\n" + rows)
        manifest = here.ingest(source(mapping(COLUMNS, unpivot=wide)))
        assert manifest.streams["survey_responses"].landed == 140_000
        file = here.home.root / manifest.streams["survey_responses"].files[0].path
        # Each home has its own clock; all else, and the rows' order in the file, is the same.
        tables.append(parquet.read_table(file, partitioning=None).drop(["_landed_at"]))
    assert tables[0].equals(tables[1])


def test_a_column_that_is_to_become_rows_and_is_missing_refuses_the_file(place: Place) -> None:
    place.put("s.csv", "id,when,Trust,Clarity\na,02/09/2026,5,4\n")
    with pytest.raises(SourceChanged, match=r"'Help' \(for score\) is missing"):
        place.ingest(source(mapping(COLUMNS, unpivot={**WIDE, "columns": ["Trust", "Help"]})))


def test_columns_of_json_become_no_rows(place: Place) -> None:
    place.put("s.json", '[{"id": "a", "when": "02/09/2026", "Trust": 1, "Help": 2}]')
    given = mapping(COLUMNS, format="json", unpivot={**WIDE, "columns": ["Trust", "Help"]})
    with pytest.raises(ConfigError, match=r"unpivot: expected tables"):
        place.ingest(source(given))


CALLS = {
    "leg_id": column("id"),
    "interaction_id": column("id"),
    "started_at": column(value="2026-09-02 10:00:00"),
    "ended_at": column(value="2026-09-02 10:00:00"),
}


@pytest.mark.parametrize(
    ("unit", "keys", "texts", "want"),
    [
        ("s", {}, ("90", "0.5", " 7 ", "1m", ""), (90_000, 500, 7_000, "bad", None)),
        ("s", {"decimal": ","}, ("1,5", "1.5"), (1_500, "bad")),
        ("min", {}, ("2.5", "1e2", "0.0000001"), (150_000, 6_000_000, 0)),
        ("d", {}, ("0.0025", "1234567890123456789012"), (216_000, "bad")),
        ("ms", {}, ("12345678901", "-5"), (12_345_678_901, "bad")),
        ("h:mm:ss", {}, ("0:03:45", "00:00:01.5", "125:00:00", "3:45", "0:61:00"),
         (225_000, 1_500, 450_000_000, "bad", "bad")),
        ("m:ss", {}, ("3:45", "125:00", "1:02:03"), (225_000, 7_500_000, "bad")),
    ],
)  # fmt: skip
def test_durations_are_read_in_their_unit_and_never_guessed(
    place: Place, unit: str, keys: dict[str, str], texts: tuple[str, ...], want: tuple[object, ...]
) -> None:
    lines = "".join(f'{at},"{text}"\n' for at, text in enumerate(texts))
    place.put("c.csv", "id,talk\n" + lines)
    columns = {**CALLS, "talk_ms": column("talk", unit=unit, **keys)}
    manifest = place.ingest(source(mapping(columns, stream="calls")))
    found: dict[int, object] = {
        int(key): ms for key, ms in place.rows(manifest, "leg_id, talk_ms", "calls")
    }
    if "bad" in want:
        found |= {row[0] - 2: "bad" for row in place.bad(manifest, "calls")}
    assert tuple(found[at] for at in range(len(texts))) == want


def test_a_unit_is_for_durations(place: Place) -> None:
    place.put("c.csv", "id,talk\n1,2\n")
    columns = {**CALLS, "hold_count": column("talk", unit="s")}
    with pytest.raises(ConfigError, match="hold_count: unit is for durations"):
        place.ingest(source(mapping(columns, stream="calls")))
