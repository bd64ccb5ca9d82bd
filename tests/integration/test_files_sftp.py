"""Files on a real OpenSSH server."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import stamina
import xlsxwriter
from file_drops import GOOD, OWNER, SURVEY, Warehouse, connect_sftp, source, stream, wire
from fsspec.asyn import get_loop, sync
from servers.sshd import Sftp

from connectors import remote_sftp
from perfhouse import lake
from perfhouse.company import ColumnMapping
from perfhouse.errors import ConfigError, SourceChanged, SourceMissing, TransientError

SETTLED = time.time() - 3600


@pytest.fixture(autouse=True)
def _quick_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=remote_sftp.ATTEMPTS):
        yield


class Drop:
    """A folder of its own on the server."""

    def __init__(self, server: Sftp, name: str) -> None:
        self.server = server
        self.folder = server.root / name
        self.folder.mkdir()
        self.url = f"sftp://{server.host}:{server.port}{self.folder}"

    def put(self, name: str, content: str | bytes, written: float = SETTLED) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(path, (written, written))
        return path

    def source(self, *streams: Any, **options: Any) -> Any:
        return source(*streams, url=self.url, connection="hr_drop", **options)


@pytest.fixture
def drop(sshd: Sftp, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Drop:
    connect_sftp(monkeypatch, sshd)
    return Drop(sshd, hashlib.md5(request.node.nodeid.encode()).hexdigest()[:12])


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def test_the_files_of_the_month_land_and_no_other_and_the_drop_stays_as_it_is(
    drop: Drop, warehouse: Warehouse
) -> None:
    drop.put("2026-09/a.csv", GOOD)
    drop.put("2026-09/deeper/b.csv", GOOD)
    drop.put("2026-08/c.csv", GOOD)
    for name in (".hidden.csv", "~$a.csv", "b.csv.part", "c.csv.filepart", "d.tmp", "a.csv.done"):
        drop.put(f"2026-09/{name}", "not a word of it")
    before = sorted((p, p.stat().st_mtime_ns) for p in drop.folder.rglob("*"))
    manifest = warehouse.ingest(drop.source())
    assert [f.name for f in manifest.archive] == ["2026-09/a.csv"]
    assert warehouse.rows(manifest, "response_id, cast(submitted_at as varchar)") == [
        ("a", "2026-09-02 02:00:00+00"),
        ("b", "2026-09-02 16:30:00+00"),
    ]
    assert sorted((p, p.stat().st_mtime_ns) for p in drop.folder.rglob("*")) == before
    assert warehouse.ingest(drop.source()).unchanged


def test_a_gb18030_file_with_day_first_dates_and_comma_decimals_lands(
    drop: Drop, warehouse: Warehouse
) -> None:
    text = (
        "编号;提交时间;评分;部门\n甲一;02/09/2026 10:00;4,5;客服䶮部\n"
        "甲二;02/09/2026 10:00;4.5;乙\n"
    )
    drop.put("2026-09/问卷.csv", text.encode("gb18030"))
    columns = {
        **SURVEY,
        "response_id": ColumnMapping(source="编号"),
        "submitted_at": ColumnMapping(source="提交时间", format="%d/%m/%Y %H:%M"),
        "score": ColumnMapping(source="评分", decimal=","),
        "team_id": ColumnMapping(source="部门"),
    }
    mapping = stream(columns, encoding="auto", delimiter=";")
    manifest = warehouse.ingest(drop.source(mapping))
    found = warehouse.rows(manifest, "response_id, cast(score as varchar), team_id")
    assert found == [("甲一", "4.5000", "客服䶮部")]
    assert manifest.streams["survey_responses"].reasons == {
        "score: expected a number like 1234,5": 1
    }


def test_a_byte_order_mark_is_no_part_of_the_first_column(drop: Drop, warehouse: Warehouse) -> None:
    drop.put("2026-09/a.csv", b"\xef\xbb\xbf" + GOOD.encode())
    assert warehouse.ingest(drop.source()).streams["survey_responses"].landed == 2


def test_a_workbook_lands_with_its_dates_numbers_and_errors(
    drop: Drop, warehouse: Warehouse, tmp_path: Path
) -> None:
    path = tmp_path / "s.xlsx"
    with xlsxwriter.Workbook(path) as book:
        moment = book.add_format({"num_format": "dd/mm/yyyy hh:mm"})
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "when", "score"])
        for at, key in enumerate((1001, 1002), start=1):
            sheet.write(at, 0, key)
            sheet.write_number(at, 1, 46267.416666666664, moment)
        sheet.write(1, 2, 4.5)
        sheet.write_formula(2, 2, "=1/0", None, "#DIV/0!")
    drop.put("2026-09/s.xlsx", path.read_bytes())
    mapping = stream({**SURVEY, "submitted_at": ColumnMapping(source="when")}, path="{month}/*")
    manifest = warehouse.ingest(drop.source(mapping))
    what = "response_id, cast(submitted_at as varchar), cast(score as varchar)"
    assert warehouse.rows(manifest, what) == [("1001", "2026-09-02 02:00:00+00", "4.5000")]
    assert manifest.streams["survey_responses"].quarantined == 1


def test_links_are_followed_and_links_to_nothing_are_no_files(
    drop: Drop, warehouse: Warehouse
) -> None:
    real = drop.put("store/a.csv", GOOD)
    (drop.folder / "2026-09").mkdir()
    (drop.folder / "2026-09" / "a.csv").symlink_to(real)
    (drop.folder / "2026-09" / "b.csv").symlink_to(drop.folder / "gone.csv")
    manifest = warehouse.ingest(drop.source())
    assert [(f.name, f.bytes) for f in manifest.archive] == [("2026-09/a.csv", len(GOOD))]


def test_many_hourly_files_land_and_hours_without_a_folder_cost_no_question(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    plain = remote_sftp.Sftp._list

    async def counted(self: Any, sftp: Any, folder: str, prefix: str) -> Any:
        asked.append(folder)
        return await plain(self, sftp, folder, prefix)

    monkeypatch.setattr(remote_sftp.Sftp, "_list", counted)
    for at in range(200):
        day, hour = divmod(at, 24)
        row = f"id,when,score\nr{at},{day + 1:02d}/09/2026 10:00,5\n"
        drop.put(f"2026/09/{day + 1:02d}/{hour:02d}/s-{at}.csv", row)
    manifest = warehouse.ingest(drop.source(stream(path="{yyyy}/{mm}/{dd}/{hh}/*.csv")))
    assert manifest.streams["survey_responses"].landed == 200
    assert len(asked) == 30 + 200  # each day of the month, and each hour that is there


# --- not there, not complete ---------------------------------------------------------------


def test_a_missing_delivery_names_the_path_and_the_owner(drop: Drop, warehouse: Warehouse) -> None:
    with pytest.raises(SourceMissing) as caught:
        warehouse.ingest(drop.source())
    assert "{month}/*.csv" in str(caught.value)
    assert str(drop.folder) in str(caught.value)
    assert OWNER in str(caught.value)


def test_a_file_written_a_moment_ago_is_waited_for(drop: Drop, warehouse: Warehouse) -> None:
    drop.put("2026-09/a.csv", GOOD)
    drop.put("2026-09/b.csv", GOOD.replace("a,", "c,"), time.time() - 60)
    with pytest.raises(SourceMissing, match=r"b\.csv was written less than 5 minutes ago"):
        warehouse.ingest(drop.source())
    assert warehouse.archived() == []
    assert len(warehouse.ingest(drop.source(settle_minutes=0.5)).archive) == 2


def test_a_file_is_taken_once_its_mark_is_there_and_not_older(
    drop: Drop, warehouse: Warehouse
) -> None:
    given = drop.source(complete="done")
    drop.put("2026-09/a.csv", GOOD, time.time())
    with pytest.raises(SourceMissing, match=r"neither a\.csv\.done nor _SUCCESS"):
        warehouse.ingest(given)
    drop.put("2026-09/a.csv.done", "", SETTLED)
    with pytest.raises(SourceMissing, match="newer than the mark"):
        warehouse.ingest(given)
    drop.put("2026-09/_SUCCESS", "", time.time() + 1)
    assert [f.name for f in warehouse.ingest(given).archive] == ["2026-09/a.csv"]


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_file_is_taken_only_with_its_checksum(
    drop: Drop, warehouse: Warehouse, algorithm: str
) -> None:
    given = drop.source(complete="checksum")
    drop.put("2026-09/a.csv", GOOD)
    with pytest.raises(SourceMissing, match=r"has no \.sha256 or \.md5 file"):
        warehouse.ingest(given)
    sums = drop.put(f"2026-09/a.csv.{algorithm}", "soon")
    with pytest.raises(SourceChanged, match=f"holds no {algorithm} checksum"):
        warehouse.ingest(given)
    sums.write_text(f"{hashlib.new(algorithm, b'other').hexdigest()}  a.csv\n")
    with pytest.raises(SourceMissing, match=f"does not have its {algorithm} checksum"):
        warehouse.ingest(given)
    assert warehouse.archived() == []
    sums.write_text(f"{hashlib.new(algorithm, GOOD.encode()).hexdigest().upper()} *a.csv\n")
    assert warehouse.ingest(given).streams["survey_responses"].landed == 2


def test_an_empty_file_is_refused(drop: Drop, warehouse: Warehouse) -> None:
    drop.put("2026-09/a.csv", "")
    with pytest.raises(SourceChanged, match=r"a\.csv: the file is empty \(0 bytes"):
        warehouse.ingest(drop.source())


# --- who the server is, and who we are -------------------------------------------------------


@pytest.mark.parametrize("form", ["fingerprint", "line", "key alone"])
def test_a_pinned_key_is_enough_to_know_the_server(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    pinned = {
        "fingerprint": drop.server.fingerprint,
        "line": drop.server.host_key,
        "key alone": drop.server.host_key.split()[1],
    }[form]
    connect_sftp(monkeypatch, drop.server, extra={"known_hosts": None, "host_key": pinned})
    drop.put("2026-09/a.csv", GOOD)
    assert warehouse.ingest(drop.source()).streams["survey_responses"].landed == 2


@pytest.mark.parametrize("form", ["fingerprint", "line", "known_hosts"])
def test_a_server_with_another_key_is_refused_before_it_learns_anything(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    other = (drop.server.client_key.with_suffix(".pub")).read_text().split()
    known = tmp_path / "known"
    known.write_text(f"[{drop.server.host}]:{drop.server.port} {other[0]} {other[1]}\n")
    extra = {
        "fingerprint": {"host_key": "SHA256:" + "A" * 43},
        "line": {"host_key": " ".join(other[:2])},
        "known_hosts": {"known_hosts": str(known)},
    }[form]
    connect_sftp(monkeypatch, drop.server, password="hunter2-secret", extra=extra)
    with pytest.raises(ConfigError, match="the server's key is not the one we know") as caught:
        warehouse.ingest(drop.source())
    assert "hunter2" not in str(caught.value)


def test_a_server_whose_key_nobody_gave_is_not_trusted(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    connect_sftp(monkeypatch, drop.server, extra={"known_hosts": None})
    with pytest.raises(ConfigError, match="expected the server's key"):
        warehouse.ingest(drop.source())


def test_the_check_of_the_key_can_be_switched_off_by_word(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    extra = {"known_hosts": None, "no_host_key_check": True}
    connect_sftp(monkeypatch, drop.server, extra=extra)
    drop.put("2026-09/a.csv", GOOD)
    assert warehouse.ingest(drop.source()).streams["survey_responses"].landed == 2


def test_a_wrong_password_is_the_operators_matter_and_is_not_repeated(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_sftp(monkeypatch, drop.server, password="hunter2-secret", extra={"key_file": None})
    with pytest.raises(ConfigError, match="refused the account of 'hr_drop'") as caught:
        warehouse.ingest(drop.source())
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in "".join(warehouse.said)


def test_a_key_that_is_none_is_told_without_its_text(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"key_file": None, "private_key": "-----BEGIN hunter2-secret"}
    connect_sftp(monkeypatch, drop.server, extra=extra)
    with pytest.raises(ConfigError, match="the private key cannot be read") as caught:
        warehouse.ingest(drop.source())
    assert "hunter2" not in str(caught.value)


def test_a_connection_without_any_proof_of_who_we_are_is_refused(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_sftp(monkeypatch, drop.server, extra={"key_file": None})
    with pytest.raises(ConfigError, match="expected a connection with a password, key_file"):
        warehouse.ingest(drop.source())


def test_a_key_may_be_held_by_the_connection_itself(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"key_file": None, "private_key": drop.server.client_key.read_text()}
    connect_sftp(monkeypatch, drop.server, extra=extra)
    drop.put("2026-09/a.csv", GOOD)
    assert warehouse.ingest(drop.source()).streams["survey_responses"].landed == 2


class Strict(asyncssh.SFTPServer):
    """Lets nobody into one folder."""

    def scandir(self, path: bytes) -> Any:
        if path.endswith(b"2026-08"):
            raise asyncssh.SFTPPermissionDenied("not you, hunter2-secret")
        return super().scandir(path)


class Doorman(asyncssh.SSHServer):
    """Knows one password."""

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("hr", "hunter2-secret")


@pytest.fixture
def other_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Another SSH implementation, for what OpenSSH under root cannot refuse; gives its url."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    root = tmp_path / "served"
    (root / "2026-09").mkdir(parents=True)
    (root / "2026-09" / "a.csv").write_text(GOOD)
    (root / "2026-08").mkdir()
    os.utime(root / "2026-09" / "a.csv", (SETTLED, SETTLED))
    loop = get_loop()

    async def listen() -> Any:
        return await asyncssh.listen(
            "127.0.0.1", 0, server_factory=Doorman, server_host_keys=[key],
            sftp_factory=lambda channel: Strict(channel, chroot=os.fsencode(root)),
        )  # fmt: skip

    async def end(server: Any) -> None:
        server.close()
        await server.wait_closed()

    server = sync(loop, listen)
    form = {
        "conn_type": "sftp", "host": "127.0.0.1", "port": server.get_port(), "login": "hr",
        "password": "hunter2-secret", "extra": {"host_key": key.get_fingerprint("sha256")},
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_HR_DROP", json.dumps(form))
    yield "sftp:///"
    sync(loop, end, server)


def test_a_password_opens_the_door(other_server: str, warehouse: Warehouse) -> None:
    manifest = warehouse.ingest(source(url=other_server, connection="hr_drop"))
    assert manifest.streams["survey_responses"].landed == 2


def test_a_folder_we_may_not_list_is_the_operators_matter(
    other_server: str, warehouse: Warehouse
) -> None:
    given = source(url=other_server, connection="hr_drop")
    with pytest.raises(ConfigError, match="the account may not read") as caught:
        warehouse.ingest(given, lake.Month("2026-08"))
    assert "hunter2" not in str(caught.value)


# --- a network that fails --------------------------------------------------------------------

BIG = "id,when,score\n" + "".join(f"r{at:06d},02/09/2026 10:00,5\n" for at in range(100_000))


def test_a_download_cut_off_is_repeated_from_the_start_and_lands_whole(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop.put("2026-09/a.csv", BIG)
    drop.put("2026-09/b.csv", GOOD)
    with wire(drop.server.host, drop.server.port, cut_after=1_000_000, cuts=2) as relay:
        through(relay.port, drop, monkeypatch)
        manifest = warehouse.ingest(drop.source())
    assert relay.connections == 3
    assert [f.bytes for f in manifest.archive] == [len(BIG), len(GOOD)]
    assert manifest.streams["survey_responses"].rows_in == 100_002


def test_a_connection_lost_for_good_leaves_nothing_behind(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop.put("2026-09/a.csv", BIG)
    with wire(drop.server.host, drop.server.port, cut_after=500_000) as relay:
        through(relay.port, drop, monkeypatch)
        with pytest.raises(TransientError, match="the connection failed") as caught:
            warehouse.ingest(drop.source())
    assert not isinstance(caught.value, SourceMissing)
    assert relay.connections == remote_sftp.ATTEMPTS
    assert warehouse.archived() == []
    assert list(warehouse.home.tmp.glob("landing-*")) == []


def test_a_server_that_is_not_there_is_transient(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wire(drop.server.host, drop.server.port) as relay:
        port = relay.port
    through(port, drop, monkeypatch)
    with pytest.raises(TransientError, match="the connection failed"):
        warehouse.ingest(drop.source())


def test_a_file_that_grows_while_it_is_read_is_not_archived(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop.put("2026-09/a.csv", BIG)

    def grow() -> None:
        with path.open("a") as out:
            out.write("late,02/09/2026 10:00,5\n")

    with wire(drop.server.host, drop.server.port, at=(1_000_000, grow)) as relay:
        through(relay.port, drop, monkeypatch)
        with pytest.raises(TransientError, match=r"a\.csv changed while it was read"):
            warehouse.ingest(drop.source())
        assert warehouse.archived() == []
        os.utime(path, (SETTLED, SETTLED))
        assert warehouse.ingest(drop.source()).streams["survey_responses"].rows_in == 100_001


def test_a_file_replaced_by_one_of_the_same_size_while_it_is_read_is_not_archived(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop.put("2026-09/a.csv", BIG)

    def swap() -> None:
        other = path.with_name("other")
        other.write_text(BIG.replace(",5\n", ",1\n"))
        other.replace(path)

    with wire(drop.server.host, drop.server.port, at=(1_000_000, swap)) as relay:
        through(relay.port, drop, monkeypatch)
        with pytest.raises(TransientError, match="changed while it was read"):
            warehouse.ingest(drop.source())
    assert warehouse.archived() == []


def test_a_file_taken_away_while_it_is_read_is_not_archived(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop.put("2026-09/a.csv", BIG)
    with wire(drop.server.host, drop.server.port, at=(1_000_000, path.unlink)) as relay:
        through(relay.port, drop, monkeypatch)
        with pytest.raises(TransientError, match="changed while it was read"):
            warehouse.ingest(drop.source())
    assert warehouse.archived() == []


_CHILD = """
import sys
from pathlib import Path
from file_drops import Warehouse, source
Warehouse(Path(sys.argv[1])).ingest(source(url=sys.argv[2], connection="hr_drop"))
"""


def test_a_process_killed_in_a_download_leaves_nothing_visible_and_the_next_one_lands(
    drop: Drop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop.put("2026-09/a.csv", BIG)
    with wire(drop.server.host, drop.server.port, bytes_per_second=1_000_000) as relay:
        through(relay.port, drop, monkeypatch)
        paths = os.pathsep.join(str(Path(__file__).parents[at]) for at in (0, 1))
        environment = {**os.environ, "PYTHONPATH": paths}
        command = [sys.executable, "-c", _CHILD, str(warehouse.root), drop.url]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as child:
            deadline = time.monotonic() + 60
            while relay.seen < 500_000 and child.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            child.kill()
            _, said = child.communicate()
        assert relay.seen >= 500_000, said.decode()
        assert warehouse.archived() == []
        assert lake.read_manifest(warehouse.home, "drop", lake.Month("2026-09")) is None
        relay.bytes_per_second = 0
        manifest = warehouse.ingest(drop.source())
    assert manifest.streams["survey_responses"].landed == 100_000


def through(port: int, drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach the server by another port; its key stays the one we know."""
    extra = {"known_hosts": None, "host_key": drop.server.host_key}
    connect_sftp(monkeypatch, drop.server, port=port, extra=extra)
    drop.url = f"sftp://{drop.server.host}:{port}{drop.folder}"
