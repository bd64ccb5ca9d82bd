from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as property_of
from hypothesis import strategies as st
from landing_kit import MONTH, Place, column, company, mapping, source

from connectors import files, remote, remote_s3
from connectors.base import ExtractContext
from connectors.remote import Entry, find, matches
from perfhouse.errors import ConfigError, SourceChanged, SourceMissing, TransientError

GOOD = "id,when,score\na,02/09/2026 10:00,5\nb,03/09/2026 00:30,4\n"


class Names:
    """A drop that only has names, and remembers which folders were asked for."""

    where, is_remote = "nowhere", True

    def __init__(self, *paths: str) -> None:
        self.paths = paths
        self.asked: list[tuple[str, str]] = []

    def entries(self, folder: str, prefix: str = "") -> Sequence[Entry]:
        self.asked.append((folder, prefix))
        start = f"{folder}/" if folder else ""
        inside = [p.removeprefix(start) for p in self.paths if p.startswith(start)]
        names = dict.fromkeys(name.partition("/")[0::2] for name in inside)
        found = {name: Entry(start + name, 1, 0.0, is_folder=bool(below)) for name, below in names}
        return [entry for name, entry in found.items() if name.startswith(prefix)]

    def expect(self, folders: Collection[str]) -> None: ...


def names(paths: Sequence[str], *patterns: str) -> list[str]:
    return [entry.path for entry in find(Names(*paths), patterns)]  # type: ignore[arg-type]


# --- finding ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.csv", ["a.csv"]),
        ("*/*.csv", ["2026-08/x.csv", "2026-09/[a].csv", "2026-09/a.csv", "2026-09/b.csv"]),
        ("2026-09/?.csv", ["2026-09/a.csv", "2026-09/b.csv"]),
        ("2026-0[!9]/*", ["2026-08/x.csv"]),
        ("2026-09/a.csv", ["2026-09/a.csv"]),
        ("2026-09/[a].csv", ["2026-09/[a].csv", "2026-09/a.csv"]),
        ("**/b.csv", ["2026-09/b.csv", "deep/er/b.csv"]),
        ("deep/**", []),
        ("**/**/b.csv", ["2026-09/b.csv", "deep/er/b.csv"]),
        ("2026-09/.h*", ["2026-09/.hidden.csv"]),
        ("gone/*.csv", []),
    ],
)
def test_a_pattern_finds_what_it_names(pattern: str, found: list[str]) -> None:
    tree = ["a.csv", "2026-08/x.csv", "2026-09/a.csv", "2026-09/b.csv", "2026-09/[a].csv",
            "2026-09/.hidden.csv", "deep/er/b.csv", ".git/b.csv"]  # fmt: skip
    assert names(tree, pattern) == found


def test_only_folders_on_the_way_are_listed() -> None:
    drop = Names("2026-09/01/a.csv", "2026-09/02/b.csv", "other/c.csv")
    found = find(drop, ["2026-09/01/*.csv", "2026-09/02/*.csv", "2026-09/03/s-*.csv"])  # type: ignore[arg-type]
    assert len(found) == 2
    assert drop.asked == [("2026-09/01", ""), ("2026-09/02", ""), ("2026-09/03", "s-")]


def test_a_flat_folder_is_listed_once_by_what_all_names_begin_with() -> None:
    hours = [f"ctr-2026-09-0{day}-{hour:02d}.json" for day in (1, 2) for hour in range(24)]
    drop = Names(*hours, "ctr-2026-08-01-00.json")
    found = find(drop, [name.replace(".json", "*") for name in hours])  # type: ignore[arg-type]
    assert len(found) == 48
    assert drop.asked == [("", "ctr-2026-09-0")]


def test_folders_within_folders_without_end_are_not_followed_for_ever() -> None:
    class Endless(Names):
        def entries(self, folder: str, prefix: str = "") -> Sequence[Entry]:
            return [Entry(remote.join(folder, "loop"), 0, 0.0, is_folder=True)]

    assert find(Endless(), ["**/x.csv"]) == []  # type: ignore[arg-type]


@property_of(st.text(alphabet="ab.*?[]!-", max_size=6), st.text(alphabet="ab.*[]-", min_size=1))
def test_a_name_always_fits_itself_and_no_pattern_reaches_a_hidden_one(
    pattern: str, name: str
) -> None:
    assert matches(name, name)
    if matches(name, pattern) and name.startswith("."):
        assert pattern.startswith(".")


# --- where -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "ftp://host/x"}, r"expected sftp://host/folder, s3://"),
        ({"url": "sftp://u:hunter2@host/x"}, "expected no password"),
        ({"url": "sftp:///x"}, "expected a host"),
        ({"url": "sftp://other.example/x", "connection": "drop"}, "the host of connection 'drop'"),
        ({"url": "s3:///x"}, "expected s3://bucket/prefix"),
        ({"connection": "nowhere"}, "AIRFLOW_CONN_NOWHERE or PERFHOUSE_URL_NOWHERE"),
    ],
)
def test_a_place_that_cannot_be_is_refused_without_its_secret(
    place: Place, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], said: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DROP", "sftp://u:hunter2@drop.example/in")
    with pytest.raises(ConfigError, match=said) as caught:
        place.ingest(source(options=options))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"connection": "drop"}, "sftp://drop.example:2222/in/hr"),
        ({"url": "sftp:///else", "connection": "drop"}, "sftp://drop.example:2222/else"),
        ({"url": "sftp://DROP.example/else", "connection": "drop"},
         "sftp://drop.example:2222/else"),
        ({"url": "s3://bucket/a/b/", "connection": "lake"}, "s3://bucket/a/b"),
        ({"url": "s3://bucket"}, "s3://bucket/"),
        ({"url": "file:///mnt/drop%20box"}, "file:///mnt/drop box"),
    ],
)  # fmt: skip
def test_a_place_is_told_by_url_and_connection_and_named_without_secrets(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str], where: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DROP", "sftp://u:hunter2@drop.example:2222/in/hr")
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", "aws://key:hunter2@/?region_name=eu-central-1")
    found = remote.address(source(options=options))
    assert str(found) == where
    assert "hunter2" not in repr(found)


def test_a_mounted_folder_outside_the_data_folder_has_a_url(place: Place) -> None:
    folder = place.root / "mnt" / "2026-09"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text(GOOD)
    given = source(mapping(path="{month}/*.csv"), options={"url": f"file://{folder.parent}"})
    assert [f.name for f in place.ingest(given).archive] == ["2026-09/a.csv"]


def test_a_url_in_the_path_is_sent_to_the_source(place: Place) -> None:
    with pytest.raises(ConfigError, match="expected a path below the source's url"):
        place.ingest(source(mapping(path="s3://bucket/{month}/*.csv")))


def test_a_plan_names_place_pattern_and_stream(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DROP", "sftp://u:hunter2@drop.example/in")
    context = ExtractContext(company(), place.data, place.root)
    given = source(mapping(path="{month}/*.csv"), options={"connection": "drop"})
    assert list(files.plan(given, MONTH, context)) == [
        "sftp://drop.example/in: 2026-09/*.csv -> survey_responses"
    ]


# --- complete --------------------------------------------------------------------------------


def test_hidden_unfinished_and_accompanying_files_are_never_taken(place: Place) -> None:
    place.put("a.csv", GOOD)
    for name in (".b.csv", "~$a.csv", "c.csv.part", "d.csv.filepart", "e.TMP", "f.csv~", "_SUCCESS",
                 "a.csv.done", "a.csv.sha256"):  # fmt: skip
        place.put(name, "no")
    assert [f.name for f in place.ingest().archive] == ["2026-09/a.csv"]


@pytest.mark.parametrize("path", ["{month}/.a.csv", "{month}/*.tmp", "{month}/a.csv.done"])
def test_a_path_that_names_an_unfinished_file_is_refused(place: Place, path: str) -> None:
    with pytest.raises(ConfigError, match="no name of a hidden or unfinished file"):
        place.ingest(source(mapping(path=path)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"complete": "soon"}, "expected one of none, settled, done, checksum, got 'soon'"),
        ({"settle_minutes": "5"}, "expected minutes from 0, got '5'"),
        ({"settle_minutes": -1}, "expected minutes from 0, got -1"),
        ({"settle_minutes": True}, "expected minutes from 0, got True"),
    ],
)
def test_words_that_mean_nothing_are_the_operators_matter(
    place: Place, options: dict[str, Any], said: str
) -> None:
    place.put("a.csv", GOOD)
    with pytest.raises(ConfigError, match=said):
        place.ingest(source(options=options))


def test_a_stream_may_wait_otherwise_than_its_source(place: Place) -> None:
    place.put("a.csv", GOOD)
    stream = mapping(complete="none")
    assert place.ingest(source(stream, options={"complete": "done"})).archive


def test_a_local_file_is_settled_when_its_bytes_rest(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place.put("a.csv", GOOD)
    given = source(options={"complete": "settled", "settle_minutes": 10})
    written = path.stat().st_mtime
    monkeypatch.setattr(remote, "clock", lambda: written + 599)
    with pytest.raises(SourceMissing, match="was written less than 10 minutes ago, as of 1 of 1"):
        place.ingest(given)
    monkeypatch.setattr(remote, "clock", lambda: written + 600)
    assert place.ingest(given).archive


def test_a_folder_of_days_is_complete_when_the_month_is_over_and_not_before(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("29.csv", GOOD)
    options = {"path": "{month}/{dd}.csv", "format": "csv", "complete": "done"}
    place.put("29.csv.done", "")
    daily = source(replace(mapping(), options=options))
    over = datetime(2026, 9, 30, 16, 5, tzinfo=UTC).timestamp()  # midnight in Shanghai, settled
    monkeypatch.setattr(remote, "clock", lambda: over - 1)
    with pytest.raises(SourceMissing, match="may still receive files of the month until"):
        place.ingest(daily)
    monkeypatch.setattr(remote, "clock", lambda: over)
    assert place.ingest(daily).streams["survey_responses"].landed == 2
    monkeypatch.setattr(remote, "clock", lambda: over - 1)
    asked_for_none = source(replace(mapping(), options={**options, "complete": "none"}))
    assert place.ingest(asked_for_none).streams["survey_responses"].landed == 2


def test_a_checksum_with_its_files_name_is_understood(place: Place) -> None:
    place.put("a.csv", GOOD)
    digest = hashlib.sha256(GOOD.encode()).hexdigest()
    place.put("a.csv.sha256", f"{digest} *a.csv\n")
    assert place.ingest(source(options={"complete": "checksum"})).archive
    place.put("a.csv.sha256", f"SHA256 (a.csv) = {digest}\n")
    with pytest.raises(SourceChanged, match="holds no sha256 checksum"):
        place.ingest(source(options={"complete": "checksum"}))


def test_a_local_file_that_changes_while_it_is_copied_is_not_archived(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place.put("a.csv", GOOD)
    plain = remote.shutil.copyfile

    def slow(given: Path, target: Path) -> None:
        plain(given, target)
        with path.open("a") as out:
            out.write("c,02/09/2026 10:00,5\n")

    monkeypatch.setattr(remote.shutil, "copyfile", slow)
    with pytest.raises(TransientError, match="changed while it was read"):
        place.ingest()
    assert not any(path.is_file() for path in place.home.archive.rglob("*.csv"))


def test_one_file_for_two_streams_is_fetched_once_and_read_twice(place: Place) -> None:
    place.put("a.csv", GOOD)
    other = mapping(
        {
            "contribution_id": column("id"),
            "author_id": column("id"),
            "submitted_at": column("when", format="%d/%m/%Y %H:%M"),
            "action": column(value="create"),
        },
        stream="kb_contributions",
    )
    manifest = place.ingest(source(mapping(), other))
    assert [f.streams for f in manifest.archive] == [("survey_responses", "kb_contributions")]
    assert manifest.streams["kb_contributions"].landed == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_we_may_not_list_is_the_operators_matter(place: Place) -> None:
    folder = place.put("a.csv", GOOD).parent
    folder.chmod(0)
    try:
        with pytest.raises(ConfigError, match="we may not list it"):
            place.ingest()
    finally:
        folder.chmod(0o700)


# --- formats ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.csv", "csv"), ("A.CSV.GZ", "csv"), ("a.txt.zip", "csv"), ("a.json.bz2", "json"),
     ("a.ndjson.zst", "jsonl"), ("a.jsonl.xz", "jsonl"), ("a.parquet", "parquet"),
     ("a.b.xlsx", "xlsx")],
)  # fmt: skip
def test_a_files_name_tells_its_format(name: str, kind: str) -> None:
    assert files.format_of(name, replace(mapping(), options={})) == kind


@pytest.mark.parametrize("name", ["a", "a.gz", "a.xls", "a.pdf"])
def test_a_name_that_tells_no_format_is_asked_about(name: str) -> None:
    with pytest.raises(ConfigError, match="expected csv, xlsx, json, jsonl or parquet"):
        files.format_of(name, replace(mapping(), options={}))


def test_objects_and_their_folders_make_a_tree() -> None:
    objects = [Entry("d/00/a", 1, 0.0), Entry("d/00/b", 1, 0.0), Entry("d/01/c", 1, 0.0)]
    tree = remote_s3._tree(iter(objects), "d")
    assert {folder: [entry.name for entry in found] for folder, found in tree.items()} == {
        "d": ["00", "01"],
        "d/00": ["a", "b"],
        "d/01": ["c"],
    }


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip"])
def test_a_packed_file_lands_by_what_its_bytes_are(place: Place, suffix: str) -> None:
    packed = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zip": zipped}
    place.put(f"a.csv{suffix}", packed[suffix](GOOD.encode()))
    stream = replace(mapping(), options={"path": "{month}/*"})
    assert place.ingest(source(stream)).streams["survey_responses"].landed == 2


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.csv", content)
    return out.getvalue()
