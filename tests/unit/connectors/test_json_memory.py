from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from connectors import decoding, reading, reading_json, splitting
from connectors.reading import ReadFile, Wanted
from perfhouse import warehouse


def write(path: Path, kind: str, count: int) -> None:
    with path.open("w") as out:
        out.write('{"more": [1, {"x": 2}], "data": [' if kind == "records" else "[")
        for n in range(count):
            out.write(f'{{"id": "r{n}", "text": "{"some text " * 20}"}},\n')
        out.write('{"broken' if kind == "damaged" else '{"id": "z"}')
        out.write("]}" if kind == "records" else "]")


@pytest.mark.parametrize("kind", ["records", "unfold", "damaged"])
def test_a_file_of_any_size_is_split_in_the_same_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(decoding, "CHUNK", 1 << 16)
    monkeypatch.setattr(reading_json, "_PIECE", 1 << 16)
    monkeypatch.setattr(splitting, "_BLOCK", 1 << 16)
    monkeypatch.setattr(splitting, "_LARGEST", 1 << 17)
    for name in ("CHUNK_ROWS", "_SPLIT"):
        monkeypatch.setattr(reading_json, name, 500)

    def peak(count: int) -> int:
        file = ReadFile(0, "s.json", tmp_path / f"{count}.json", "json")
        write(file.path, kind, count)
        wanted = Wanted(
            "survey_responses",
            "Desk",
            {"records": "data"} if kind == "records" else {},
            {"id": "response_id"},
            unfold=(lambda record, _: [record]) if kind == "unfold" else None,
        )
        con = warehouse.connect(":memory:")
        con.execute("set threads = 1")
        reading.prepare(con)
        tracemalloc.start()
        records = reading_json.read_json(con, [file], wanted, tmp_path)
        for _ in records.chunks:
            pass
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        con.close()
        assert records.rows == count + 1
        return size

    peak(10)
    assert peak(40_000) < peak(5_000) + (1 << 20)
