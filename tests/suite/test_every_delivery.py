"""The one suite for what comes as files, databases and directories; answers of APIs have theirs.

Every test runs on every delivery, or says why it has nothing to prove there.
"""

from __future__ import annotations

import json
import logging
import random
import shutil
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
import stamina

from connectors import base, landing
from perfhouse import lake
from perfhouse.company import Company
from perfhouse.errors import SourceChanged, SourceMissing, TransientError
from perfhouse.lake import Manifest
from perfhouse.month import Month
from suite.deliveries import Delivery, Row, Yard, deliveries, wanted
from suite.killed import MOMENTS
from suite.kit import (
    SECRET,
    Record,
    balances,
    cases,
    changed_once,
    every_turn,
    mangled,
    source_of,
)

DELIVERIES = deliveries()
every_delivery = pytest.mark.parametrize("delivery", DELIVERIES, ids=lambda each: each.id)
ROWS, FUZZED = 23, 2_000


@pytest.fixture
def yard(delivery: Delivery, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Yard]:
    """A source that delivers some rows; afterwards nothing tells what must not be told."""
    caplog.set_level(logging.DEBUG)
    it = Yard(delivery, tmp_path)
    it.put(delivery.world(ROWS))
    yield it
    assert SECRET not in caplog.text
    assert SECRET not in "\n".join(it.said)
    _tells_nothing(it)


def _tells_nothing(it: Yard) -> None:
    """No value that is hashed, nor the key it is hashed with, lies in what is made of the bytes.

    The archive holds originals, and a quarantined row its own: they are what was delivered.
    """
    key = next((file.read_bytes() for file in it.home.secrets.glob("*.key")), None)
    for path in [p for p in it.home.root.rglob("*") if p.is_file()]:
        if it.home.secrets in path.parents:
            continue
        assert SECRET not in path.name
        content = path.read_bytes()
        assert key is None or key not in content, path
        original = it.home.archive in path.parents and path.name != "receipt.json"
        if original or (path.suffix == ".csv" and "_quarantine" in path.parts):
            continue
        if path.suffix == ".parquet":
            columns = "* exclude (raw)" if "_quarantine" in path.parts else "*"
            text = f"select to_json(t)::varchar from (select {columns} from read_parquet(?)) t"
            content = str(_query(text, path)).encode()
        assert SECRET.encode() not in content, f"{path} tells a value that was to be hashed"


def _query(sql: str, *files: Path) -> list[Any]:
    import duckdb

    with duckdb.connect() as con:
        return con.execute(sql, [[str(file) for file in files]]).fetchall()


def test_every_connector_is_judged_by_a_suite() -> None:
    judged = {case.connector for case in cases()} | {each.connector for each in DELIVERIES}
    assert judged == set(base.names())


# ---------------------------------------------------------------- what lands


@every_delivery
def test_every_row_lands_once_and_the_accounts_balance(yard: Yard) -> None:
    landed = yard.ingest()
    assert yard.keys(landed) == wanted(yard.delivery, yard.delivery.world(ROWS))
    assert balances(landed)
    stream = landed.streams[yard.delivery.stream]
    assert (stream.quarantined, stream.duplicates) == (0, 0)


@every_delivery
def test_the_window_is_half_open(yard: Yard) -> None:
    it = yard.delivery
    if it.moved is None:
        pytest.skip(f"{it.id}: {it.replayed or 'every delivery is a snapshot'}")
    month, zone = Month(it.month), ZoneInfo(it.zone)
    start, end = (
        datetime.combine(day, datetime.min.time(), zone).astimezone(UTC)
        for day in (month.start, month.end)
    )
    second = timedelta(seconds=1)
    instants = (start - second, start, end - second, end)
    world = [it.moved(each, at) for each, at in zip(it.world(4), instants, strict=True)]
    yard.put(world)
    assert yard.keys(yard.ingest()) == wanted(it, world[1:3])


@every_delivery
def test_the_same_delivery_again_changes_nothing(yard: Yard) -> None:
    first = yard.ingest()
    yard.put(yard.delivery.world(ROWS))
    again = yard.ingest()
    assert again.unchanged
    assert again.manifest_sha256 == first.manifest_sha256


@every_delivery
def test_a_second_run_replaces_the_first(yard: Yard) -> None:
    yard.ingest()
    world = yard.delivery.world(ROWS)[3:]
    yard.put(world)
    landed = yard.ingest()
    assert yard.keys(landed) == wanted(yard.delivery, world)
    assert _in_place(yard) == _listed(yard, landed)


@every_delivery
def test_rows_that_are_delivered_twice_land_once(yard: Yard) -> None:
    """The last rows of a file, or page, come again as the first ones of the next."""
    world = yard.delivery.world(ROWS)
    middle = ROWS // 2 + 1
    yard.put([*world[:middle], *world[middle - 2 :]])
    landed = yard.ingest()
    assert yard.keys(landed) == wanted(yard.delivery, world)
    assert landed.streams[yard.delivery.stream].duplicates == 2
    assert balances(landed)


@every_delivery
def test_an_empty_delivery_lands_empty_and_a_missing_one_is_waited_for(yard: Yard) -> None:
    yard.clear()
    with pytest.raises(SourceMissing):
        yard.ingest()
    assert not yard.visible()
    if yard.delivery.unheard:
        pytest.skip(f"{yard.delivery.id}: {yard.delivery.unheard}")
    yard.put([])
    landed = yard.ingest()
    assert landed.streams[yard.delivery.stream].rows_read == 0
    assert landed.streams[yard.delivery.stream].files == ()


@every_delivery
def test_a_delivery_that_lost_most_rows_is_refused_and_the_former_stays(yard: Yard) -> None:
    first = yard.ingest()
    yard.put(yard.delivery.world(ROWS)[:2])
    with pytest.raises(SourceChanged, match=r"2 rows, 23 in the delivery before.*--accept-loss"):
        yard.ingest()
    assert lake.read_manifest(yard.home, "it", yard.month) == first
    assert _in_place(yard) == _listed(yard, first)


@every_delivery
def test_a_dry_run_says_what_it_would_read(yard: Yard) -> None:
    yard.clear()
    source = base.effective(yard.source)
    company = cast(Company, SimpleNamespace(time_zone=yard.delivery.zone, sources=(source,)))
    context = base.ExtractContext(company, yard.data, yard.root)
    lines = list(base.get(yard.delivery.connector).planned(source, yard.month, context))
    assert any(yard.delivery.stream in line for line in lines), lines


# ---------------------------------------------------------------- what goes wrong on the way


@every_delivery
def test_a_file_that_was_cut_off_is_refused_or_its_torn_row_is_seen(yard: Yard) -> None:
    if not yard.delivery.files:
        pytest.skip(f"{yard.delivery.id}: {yard.delivery.replayed}")
    file = yard.files()[-1]
    whole = file.read_bytes()
    at = len(whole) * 3 // 5
    at = whole.find(b"\n", at) + 5 if yard.delivery.line else at  # in the first field of a line
    file.write_bytes(whole[:at])
    try:
        landed = yard.ingest()
    except (SourceChanged, SourceMissing, TransientError) as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert file.name in refused
        assert not yard.visible()
        return
    assert balances(landed)
    assert landed.streams[yard.delivery.stream].quarantined == 1
    assert set(yard.keys(landed)) < set(wanted(yard.delivery, yard.delivery.world(ROWS)))


@every_delivery
def test_a_file_that_changes_while_it_is_read_is_read_again(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not yard.delivery.files or yard.files()[0].suffix == ".db":
        kept = "a database answers from one snapshot: proved on the servers by test_sql_*.py"
        pytest.skip(f"{yard.delivery.id}: {yard.delivery.replayed or kept}")
    real = shutil.copyfile

    def written_to_meanwhile(source: Path, target: Path) -> None:
        real(source, target)
        with source.open("ab") as handle:
            handle.write(b"more\n")

    with monkeypatch.context() as patched:
        patched.setattr("connectors.remote.shutil.copyfile", written_to_meanwhile)
        with pytest.raises(TransientError, match="changed while it was read"):
            yard.ingest()
    assert not yard.visible()
    assert not list(yard.home.archive.rglob("receipt.json"))
    yard.put(yard.delivery.world(ROWS))
    assert len(yard.keys(yard.ingest())) == ROWS


@every_delivery
def test_a_server_that_is_down_is_tried_again_and_no_password_is_told(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = yard.delivery
    if not it.unreachable:
        pytest.skip(f"{it.id}: its connection is asked in another delivery or case")
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        monkeypatch.setenv("AIRFLOW_CONN_IT", it.unreachable.replace("{port}", str(port)))
        source = source_of(it.reached, it.zone)
        company = cast(Company, SimpleNamespace(time_zone=it.zone, sources=(source,)))
        with stamina.set_testing(True, attempts=2), pytest.raises(TransientError) as failed:
            landing.ingest(
                source, company, Month("2020-01"), yard.data, yard.home, yard.said.append
            )
    assert SECRET not in "".join(traceback.format_exception(failed.value))
    assert not yard.visible()


# ---------------------------------------------------------------- kills


@pytest.fixture(scope="session")
def kill() -> Iterator[Callable[[Yard, str], int]]:
    """Ingest in another process that dies at a moment; return its exit status."""
    here = Path(__file__).resolve().parents[1]
    with subprocess.Popen(
        [sys.executable, "-m", "suite.killed"],
        cwd=here,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        read, write = child.stdout, child.stdin

        def killed(it: Yard, moment: str) -> int:
            write.write(json.dumps([it.delivery.id, str(it.root), moment]) + "\n")
            write.flush()
            return int(read.readline())

        yield killed
        write.close()


@every_delivery
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_leaves_the_old_delivery_or_the_new_and_the_next_run_lands_all(
    yard: Yard, moment: str, kill: Callable[[Yard, str], int]
) -> None:
    if moment == "fetched" and yard.delivery.replayed:
        pytest.skip(f"{yard.delivery.id}: {yard.delivery.replayed}")
    assert kill(yard, moment) == -9
    landed = lake.read_manifest(yard.home, "it", yard.month)
    assert (landed is not None) == (moment == "swapped")
    first = yard.ingest()
    assert yard.keys(first) == wanted(yard.delivery, yard.delivery.world(ROWS))
    world = yard.delivery.world(ROWS)[3:]
    yard.put(world)
    assert kill(yard, moment) == -9
    left = lake.read_manifest(yard.home, "it", yard.month)
    assert left is not None
    assert lake.is_intact(yard.home, left)
    new = wanted(yard.delivery, world)
    assert yard.keys(left) == (new if moment == "swapped" else yard.keys(first))
    landed = yard.ingest()
    assert yard.keys(landed) == new
    assert _in_place(yard) == _listed(yard, landed)
    assert not list(yard.home.tmp.glob("landing-*"))


def _in_place(it: Yard) -> set[str]:
    """Return the data files that lie where readers look."""
    found = [path for path in it.visible() if it.home.superseded not in path.parents]
    return {p.relative_to(it.home.root).as_posix() for p in found if p.suffix == ".parquet"}


def _listed(it: Yard, manifest: Manifest) -> set[str]:
    return {f.path for stream in manifest.streams.values() for f in stream.files}


# ---------------------------------------------------------------- drift and fuzz


@every_delivery
def test_a_new_field_is_reported_and_does_not_land(yard: Yard) -> None:
    it = yard.delivery
    if it.fixed:
        pytest.skip(f"{it.id}: {it.fixed}")
    yard.put([it.renamed(record) for record in it.world(ROWS)])
    landed = yard.ingest()
    assert yard.keys(landed) == wanted(it, it.world(ROWS))
    fields = landed.streams[it.stream].undeclared_fields
    assert len([field for field in fields if field.endswith("zz_brand_new")]) == 1, fields


@every_delivery
def test_a_required_field_that_is_gone_is_refused(yard: Yard) -> None:
    yard.put([yard.delivery.required(record) for record in yard.delivery.world(ROWS)])
    try:
        landed = yard.ingest()
    except SourceChanged:
        assert not yard.visible()
        return
    stream = landed.streams[yard.delivery.stream]
    assert (stream.landed, stream.quarantined) == (0, ROWS)


@every_delivery
def test_each_of_two_thousand_mangled_rows_is_landed_or_quarantined(yard: Yard) -> None:
    it, chance = yard.delivery, random.Random(20260922)
    sound = it.world(FUZZED)
    turns = every_turn(sound[0], it.fuzzed)
    world = [changed_once(r, turns) or _broken(it, r, chance) for r in sound]
    assert not turns, "every value has its turn in every place"
    yard.put(world)
    landed = yard.ingest()
    assert balances(landed)
    stream = landed.streams[it.stream]
    assert stream.rows_read == FUZZED
    assert stream.quarantined > FUZZED / 20
    assert stream.landed > FUZZED / 20
    kept = [yard.home.root / f.path for f in stream.files]
    assert stream.quarantine_file is not None
    aside = yard.home.root / stream.quarantine_file
    numbers = "select _file, _row_number from read_parquet(?)"
    good, bad = _query(numbers, *kept), _query(numbers, aside)
    assert (len(good), len(bad)) == (stream.landed, stream.quarantined)
    assert len({*good, *bad}) == len(good) + len(bad), "no row is both"
    untouched = [r for r, row in zip(sound, world, strict=True) if repr(r) == repr(row)]
    assert untouched
    missing = set(wanted(it, untouched)) - set(yard.keys(landed))
    assert not missing, "a sound row suffered from the ones beside it"


def _broken(it: Delivery, record: Record, chance: random.Random) -> Row:
    """Return the record with odd values, or as a line of text that was damaged itself.

    In CSV a quote without its twin joins the lines up to the next one; test_landing_csv has that.
    """
    if it.line is None or chance.random() < 0.8:
        return cast(Row, mangled(record, chance, it.fuzzed))
    line = it.line(record)
    at = chance.randrange(1, len(line))
    odd = chance.choice(
        (
            ",",
            ";",
            *(() if it.id == "files-csv" else ('"',)),
            "\\",
            "{",
            "]",
            "\t",
            "\u0000",
            "\ufffd",
            " ",
        )
    )
    return chance.choice((line[:at], line[at:], line[:at] + odd + line[at:], line[:at] * 2))
