from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors import reading, rows
from connectors.rows import RowGroups, Seen


def first_by_set(chunks: list[Any]) -> list[list[bool]]:
    """Tell the same as `Seen` with a set of Python."""
    known: set[tuple[int, int]] = set()
    told = []
    for chunk in chunks:
        told.append([])
        for high, low in chunk.tolist():
            told[-1].append((high, low) not in known)
            known.add((high, low))
    return told


@pytest.mark.parametrize("values", [3, 40, 1 << 62])
def test_only_the_first_row_of_a_kind_is_told_whatever_came_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: int
) -> None:
    monkeypatch.setattr(rows, "_RUN", 50)
    monkeypatch.setattr(rows, "_KEPT", 2)
    monkeypatch.setattr(rows, "_MARKS", 64)
    random = np.random.default_rng(7)
    chunks = [
        random.integers(0, values, size=(int(random.integers(0, 40)), 2), dtype=np.uint64)
        for _ in range(60)
    ]
    chunks += [chunks[3], chunks[20][::-1], np.zeros((0, 2), np.uint64)]
    seen = Seen(tmp_path / "seen")
    assert [seen.first(chunk).tolist() for chunk in chunks] == first_by_set(chunks)
    if values > 40:  # enough different rows to fill several runs
        assert len(list((tmp_path / "seen").glob("*.npy"))) > 3


def test_hashes_that_share_a_half_are_different(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "seen")
    chunk = np.array([[1, 1], [1, 2], [2, 1], [1, 1], [1, 2]], np.uint64)
    assert seen.first(chunk).tolist() == [True, True, True, False, False]
    again = np.array([[1, 0], [1, 2], [1, 3], [2, 1], [2, 2]], np.uint64)
    assert seen.first(again).tolist() == [True, False, True, False, True]


def test_digests_are_read_from_chunks_and_slices_alike() -> None:
    raw = [hashlib.md5(bytes([n])).digest() for n in range(10)]
    texts = [digest.hex() for digest in raw]
    column = pa.chunked_array([pa.array(texts[:4]), pa.array(texts)[4:7], pa.array(texts[7:])])
    found = rows.digests(column)
    assert found.tobytes() == b"".join(raw)
    assert rows.digests(pa.chunked_array([], pa.string())).shape == (0, 2)


def test_small_chunks_share_a_row_group_and_an_empty_file_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "ROW_GROUP", 20)
    schema = pa.schema([("n", pa.int64())])
    file = RowGroups(tmp_path / "a.parquet", schema)
    for start in range(0, 60, 4):
        file.write(pa.table({"n": range(start, start + 4)}, schema=schema))
    file.close()
    read = pq.ParquetFile(tmp_path / "a.parquet")
    sizes = [read.metadata.row_group(n).num_rows for n in range(read.num_row_groups)]
    assert sizes == [12] * 5
    assert read.read()["n"].to_pylist() == list(range(60))
    empty = RowGroups(tmp_path / "b.parquet", schema)
    empty.close()
    assert pq.read_table(tmp_path / "b.parquet").schema == schema


def test_long_texts_fill_a_row_group_by_their_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_GROUP_BYTES", 10_000)
    schema = pa.schema([("t", pa.string())])
    file = RowGroups(tmp_path / "a.parquet", schema)
    for _ in range(6):
        file.write(pa.table({"t": ["x" * 1000] * 6}, schema=schema))
    file.close()
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 3


def test_spans_of_a_file_are_small_where_its_values_are_long_but_kept_once(tmp_path: Path) -> None:
    table = pa.table({"t": [str(n % 7) * 4000 for n in range(2000)]})
    with pq.ParquetWriter(tmp_path / "a.parquet", table.schema) as writer:
        for _ in range(10):
            writer.write_table(table)
    assert (tmp_path / "a.parquet").stat().st_size < reading.CHUNK_BYTES / 20
    spans = reading._spans(duckdb.connect(), tmp_path / "a.parquet")
    assert max(end - start for start, end in spans) * 4000 <= reading.CHUNK_BYTES
    assert [start for start, _ in spans[1:]] == [end for _, end in spans[:-1]]
    assert (spans[0][0], spans[-1][1]) == (0, 20_000)


def test_memory_is_given_back_where_the_system_can(monkeypatch: pytest.MonkeyPatch) -> None:
    rows.give_back()
    monkeypatch.setattr(rows, "_trim", lambda: None)
    rows.give_back()
