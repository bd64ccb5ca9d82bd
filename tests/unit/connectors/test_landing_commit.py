from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from landing_kit import MONTH, SURVEY, Place, column, mapping, source

from connectors import landing, streams, writing
from perfhouse import lake, warehouse
from perfhouse.errors import SourceChanged, SourceMissing

HEAD = "id,when,score\n"
FIRST = HEAD + "a,02/09/2026 10:00,5\nbad,x,5\n"
SECOND = HEAD + "a,02/09/2026 10:00,5\nb,03/09/2026 10:00,4\nbad,y,5\n"


def visible(place: Place) -> Mapping[str, bytes]:
    """Every file of the lake by name, the archive and history left out."""
    files = sorted(path for path in place.home.raw.rglob("*") if path.is_file())
    named = {path.relative_to(place.home.raw).as_posix(): path.read_bytes() for path in files}
    return {k: v for k, v in named.items() if not k.startswith(("_archive", "_manifests/history"))}


def test_the_same_bytes_again_change_nothing(place: Place) -> None:
    place.put("s.csv", FIRST)
    first = place.ingest()
    before = visible(place)
    again = place.ingest()
    assert (first.unchanged, again.unchanged) == (False, True)
    assert again == first
    assert visible(place) == before


def test_a_redelivery_replaces_and_the_old_version_is_kept_aside(place: Place) -> None:
    place.put("s.csv", FIRST)
    first = place.ingest()
    place.put("s.csv", SECOND)
    second = place.ingest()
    assert [r[0] for r in place.rows(second, "response_id")] == ["a", "b"]
    (old,) = first.streams["survey_responses"].files
    assert not (place.home.root / old.path).exists()
    aside = place.home.superseded / Path(old.path).relative_to("raw")
    assert lake.file_sha256(aside) == old.sha256
    assert len(list(place.home.superseded.rglob("*.csv"))) == 1
    assert len(list((place.home.manifests / "history").iterdir())) == 2


def test_bytes_that_come_back_keep_their_first_receipt_and_give_the_same_files(
    place: Place,
) -> None:
    place.put("s.csv", FIRST)
    first = place.ingest()
    place.put("s.csv", SECOND)
    place.ingest()
    place.put("s.csv", FIRST)
    third = place.ingest()
    assert third == first


def test_landing_again_mends_a_mapping_without_the_source(place: Place) -> None:
    file = place.put("s.csv", FIRST)
    place.ingest()
    file.unlink()
    mended = source(mapping({**SURVEY, "submitted_at": column(value="2026-09-05 10:00:00")}))
    manifest = place.land(mended)
    assert manifest.streams["survey_responses"].landed == 2
    assert lake.read_manifest(place.home, "surveys", MONTH) == manifest


def test_a_refused_delivery_lands_after_the_mapping_was_mended(place: Place) -> None:
    place.put("s.csv", FIRST)
    first = place.ingest()
    place.put("s.csv", "id,when,points\nz,02/09/2026 10:00,5\n")
    with pytest.raises(SourceChanged):
        place.ingest()
    assert lake.read_manifest(place.home, "surveys", MONTH) == first
    mended = place.land(source(mapping({**SURVEY, "score": column("points")})))
    assert [r[0] for r in place.rows(mended, "response_id")] == ["z"]


def test_a_damaged_archive_is_refused_and_mended_by_the_next_ingest(place: Place) -> None:
    place.put("s.csv", FIRST)
    place.ingest()
    receipt = lake.latest_receipt(place.home, "surveys", MONTH)
    kept = lake.archived_path(place.home, receipt, receipt.files[0].name)
    kept.write_text("torn")
    with pytest.raises(SourceMissing, match=r"s\.csv is damaged; ingest it again"):
        place.land(source())
    place.ingest()
    assert kept.read_text() == FIRST


def test_nothing_archived_cannot_be_landed(place: Place) -> None:
    with pytest.raises(SourceMissing, match="ingest the month first"):
        place.land(source())


def test_one_file_read_for_two_streams_is_archived_once(place: Place) -> None:
    place.put("s.csv", FIRST)
    agents = mapping(
        {
            "contribution_id": column("id"),
            "author_id": column("id"),
            "submitted_at": column("when", format="%d/%m/%Y %H:%M"),
        },
        stream="kb_contributions",
    )
    manifest = place.ingest(source(mapping(), agents))
    (file,) = manifest.archive
    assert file.streams == ("survey_responses", "kb_contributions")
    assert manifest.streams["kb_contributions"].undeclared_fields == ()
    assert manifest.streams["kb_contributions"].landed == 1


def test_the_same_input_gives_the_same_bytes_whatever_the_threads(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"r{n},{1 + n % 28:02d}/09/2026 10:00,{n % 6}" for n in range(130_000)]
    place.put("s.csv", HEAD + "\n".join(lines))
    first = place.ingest()
    for threads in ("1", "4"):
        monkeypatch.setenv("PERFHOUSE_THREADS", threads)
        lake.manifest_path(place.home, "surveys", MONTH).unlink()
        assert place.ingest() == first


def test_the_manifest_hash_knows_no_clock_key_or_place(tmp_path: Path) -> None:
    hashes = set()
    for name in ("one", "two"):
        place = Place(tmp_path / name)
        place.put("s.csv", FIRST)
        os.utime(place.data / "2026-09" / "s.csv", (1_000_000_000, 1_000_000_000))
        hashes.add(place.ingest().manifest_sha256)
    assert len(hashes) == 1


def test_counts_that_do_not_add_up_stop_the_commit(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("s.csv", FIRST)
    monkeypatch.setattr(writing, "_rows", lambda *_: 0)
    with pytest.raises(writing.AccountingError, match="2 rows in, but 0 landed"):
        place.ingest()
    assert visible(place) == {}
    assert not list(place.home.tmp.glob("landing-*"))


_KILLED = """
import os, sys
sys.path.insert(0, {here!r})
from pathlib import Path
from landing_kit import Place
from perfhouse import lake
from connectors import writing
real = getattr({module}, {hook!r})
def killed(*args, **kwargs):
    if {after!r}:
        real(*args, **kwargs)
    os._exit(9)
setattr({module}, {hook!r}, killed)
Place(Path({root!r})).ingest()
"""


@pytest.mark.parametrize(
    ("module", "hook", "after", "committed"),
    [
        ("lake", "keep", False, False),
        ("lake", "keep", True, False),
        ("writing.Draft", "finish", True, False),
        ("lake", "_install", False, False),
        ("lake", "_install", True, False),
        ("lake", "_swap", False, False),
        ("lake", "_swap", True, True),
    ],
)
def test_a_kill_leaves_the_old_or_the_new_landing_and_never_a_part(
    place: Place, module: str, hook: str, after: bool, committed: bool
) -> None:
    place.put("s.csv", FIRST)
    first = place.ingest()
    place.put("s.csv", SECOND)
    code = _KILLED.format(
        here=str(Path(__file__).parent), module=module, hook=hook, after=after,
        root=str(place.root),
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 9
    current = lake.read_manifest(place.home, "surveys", MONTH)
    assert current is not None
    assert (current == first) is not committed
    assert lake.is_intact(place.home, current)
    expected = ["a", "b"] if committed else ["a"]
    assert [r[0] for r in place.rows(current, "response_id")] == expected
    again = place.ingest()
    assert again.unchanged is committed
    assert [r[0] for r in place.rows(again, "response_id")] == ["a", "b"]
    listed = lake._listed(again)
    assert {lake._relative(place.home, p) for p in lake._present(place.home, "surveys", MONTH)} == (
        listed
    )
    assert not list(place.home.tmp.glob("landing-*"))


def test_archive_names_stay_inside_the_archive() -> None:
    names = ["../../x", "/etc/passwd", "receipt.json", "a/./b.csv", ""]
    assert [str(landing.safe_name(name)) for name in names] == [
        "x", "etc/passwd", "_receipt.json", "a/b.csv", "unnamed",
    ]  # fmt: skip


def test_every_stream_declares_its_key_and_its_event() -> None:
    for stream in streams.STREAMS.values():
        for name in (*stream.key, *stream.event_at):
            assert stream.column(name) is not None, (stream.name, name)
        names = [c.name for c in (*streams.ENVELOPE, *stream.columns)]
        assert len(names) == len(set(names)), stream.name
        assert set(streams.declarations()[stream.name]) >= {("_source", "VARCHAR")}


def test_a_landed_file_has_exactly_the_declared_columns(place: Place) -> None:
    place.put("s.csv", FIRST)
    manifest = place.ingest()
    file = place.home.root / manifest.streams["survey_responses"].files[0].path
    con = warehouse.connect()
    found = con.execute(
        "describe select * from read_parquet(?, hive_partitioning = false)", [str(file)]
    ).fetchall()
    con.close()
    short = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}
    told = tuple((row[0], short.get(row[1], row[1])) for row in found)
    assert streams.declarations()["survey_responses"] == told


def test_a_manifest_is_plain_json_for_people(place: Place) -> None:
    place.put("s.csv", FIRST)
    place.ingest()
    data = json.loads(lake.manifest_path(place.home, "surveys", MONTH).read_text())
    assert data["streams"]["survey_responses"]["reasons"] == {
        "submitted_at: expected a time like %d/%m/%Y %H:%M": 1
    }
    assert "unchanged" not in data


def test_a_deleted_data_file_is_landed_again(place: Place) -> None:
    place.put("s.csv", FIRST)
    first = place.ingest()
    (place.home.root / first.streams["survey_responses"].files[0].path).unlink()
    again = place.ingest()
    assert not again.unchanged
    assert lake.is_intact(place.home, replace(again))


def test_a_data_file_changed_on_disk_is_landed_again(place: Place) -> None:
    place.put("s.csv", FIRST)
    first = place.ingest()
    file = place.home.root / first.streams["survey_responses"].files[0].path
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    again = place.ingest()
    assert not again.unchanged
    assert file.read_bytes() == good
    assert place.ingest().unchanged


def test_files_of_one_name_behind_a_linked_folder_all_land(place: Place) -> None:
    elsewhere = place.root / "elsewhere"
    for folder, key in (("a", "x"), ("b", "y")):
        (elsewhere / folder).mkdir(parents=True)
        (elsewhere / folder / "p.csv").write_text(f"{HEAD}{key},02/09/2026 10:00,5\n")
    place.data.mkdir()
    (place.data / "ctr").symlink_to(elsewhere)
    manifest = place.ingest(source(mapping(path="ctr/*/p.csv", window="submitted_at")))
    assert [f.name for f in manifest.archive] == ["ctr/a/p.csv", "ctr/b/p.csv"]
    assert place.rows(manifest, "response_id") == [("x",), ("y",)]
    absolute = mapping(path=f"{elsewhere}/*/p.csv", window="submitted_at")
    assert len(place.ingest(source(absolute)).archive) == 2


def test_two_files_that_would_share_an_archive_name_are_refused(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("s.csv", FIRST)
    place.put("t.csv", SECOND)
    monkeypatch.setattr(landing, "safe_name", lambda _: PurePosixPath("one.csv"))
    with pytest.raises(SourceChanged, match=r"t\.csv and another file would have one name"):
        place.ingest()
    assert lake.read_manifest(place.home, "surveys", MONTH) is None


def test_rows_of_a_table_in_another_order_change_nothing_but_lines_of_a_file_do(
    place: Place,
) -> None:
    header, *lines = SECOND.splitlines()
    names = header.split(",")
    drops = source(mapping())
    tables = source(mapping(format="parquet"))

    def table(rows: list[str]) -> None:
        values = [dict(zip(names, row.split(","), strict=True)) for row in rows]
        (place.data / "2026-09" / "s.csv").unlink(missing_ok=True)
        pq.write_table(pa.Table.from_pylist(values), place.data / "2026-09" / "s.parquet")

    place.put("s.csv", "\n".join((header, *lines)))
    place.ingest(drops)
    place.put("s.csv", "\n".join((header, *reversed(lines))))
    assert not place.ingest(drops).unchanged  # of two lines with one key the later one counts
    table(lines)
    landed = place.ingest(tables)
    table(lines[::-1])
    again = place.ingest(tables)
    assert again.unchanged
    assert again == landed
    assert lake.latest_receipt(place.home, "surveys", MONTH).sha256 != landed.archive_sha256
    table([*lines[1:], lines[0].replace(",5", ",4")])
    assert not place.ingest(tables).unchanged
