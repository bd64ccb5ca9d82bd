"""Deliveries: signed, encrypted, complete or absent, sent once, answered, and then differences."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import frictionless
import publish_in_child as child
import pyrage
import pytest
import small_warehouse as small
import tampering
from file_drops import connect_s3, connect_sftp
from minisign import PublicKey, Signature
from servers.moto import S3
from servers.sshd import Sftp
from small_warehouse import CALLS, MONTH, ROSTER

from connectors import remote
from expectations import gate
from perfhouse import (
    cli,
    deliver,
    deliveries,
    release,
    release_files,
    signing,
    stages,
    warehouse,
)
from perfhouse.company_exports import read_receivers
from perfhouse.config_reader import Table
from perfhouse.errors import ConfigError, ReleaseError
from perfhouse.export_types import Receiver
from perfhouse.stages import Workspace

NAME = "hr_manager_months_2026-09.r1"
IDENTITY = pyrage.x25519.Identity.generate()


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_expect", child.everything_passes)
    monkeypatch.setattr(release_files, "stage_cards", child.plain_cards)


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    home = small.home(tmp_path / "home")
    small.land(home, "hr", {"hr_roster": ROSTER})
    small.land(home, "calls", {"calls": CALLS})
    company = small.company(tmp_path / "company", small.source("hr"), small.source("calls"))
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    return to(Workspace(company, tmp_path, home), url=str(inbox))


def to(ws: Workspace, *more: dict[str, Any], **changes: Any) -> Workspace:
    """Return the workspace with one receiver (or more), encrypted unless it says plain."""
    said = {"hr": [{"age_recipients": [str(IDENTITY.to_public())], **changes}, *more]}
    problems: list[str] = []
    found = read_receivers(ws.company.folder, Table({"exports": said}, "t: ", problems), ("A", "B"))
    assert problems == []
    return replace(ws, company=replace(ws.company, receivers=found))


def plain(ws: Workspace, **changes: Any) -> Workspace:
    receiver: Receiver = ws.company.receivers[0]
    given = replace(receiver, age_recipients=(), **changes)
    return replace(ws, company=replace(ws.company, receivers=(given,)))


def publish(ws: Workspace, csat: int = 82, change: str = "") -> str:
    small.build(ws.home, csat=csat)
    if change:
        with warehouse.connect(ws.home.warehouse) as con:
            con.execute(change)
    child.judge(ws.home, ws.company, MONTH)
    return release.publish(ws.company, ws.home, MONTH).name


def inbox(ws: Workspace) -> Path:
    return Path(ws.company.receivers[0].url)


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def ready(ws: Workspace, name: str = NAME) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((inbox(ws) / f"{name}.ready").read_text("utf-8"))
    return said


def answer(ws: Workspace, name: str = NAME, **changes: Any) -> None:
    said = ready(ws, name)
    told = {"sha256": said["sha256"], "rows": said["rows"], "status": "accepted", **changes}
    (inbox(ws) / said["acknowledge"]).write_text(json.dumps(told), encoding="utf-8")


def opened(ws: Workspace, path: str) -> bytes:
    content: bytes = pyrage.decrypt((inbox(ws) / path).read_bytes(), [IDENTITY])
    return content


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def send(ws: Workspace, **options: Any) -> list[str]:
    return [event.delivery for event in deliver.deliver(ws, MONTH, **options)]


def states(ws: Workspace) -> list[tuple[str, str]]:
    return [(each.sent.delivery, each.state) for each in deliver.standings(ws)]


# --- what is sent ---------------------------------------------------------------------------


def test_hr_gets_the_released_files_encrypted_and_signed_and_a_ready_file(ws: Workspace) -> None:
    publish(ws)
    assert send(ws) == [NAME]
    kinds = ("csv", "parquet", "xlsx")
    files = [f"{NAME}/hr_manager_months_2026-09.{kind}.age" for kind in kinds]
    files.append(f"{NAME}/datapackage.json.age")
    signed = [*files, f"{NAME}.ready"]
    assert names(inbox(ws)) == sorted([*signed, *(f"{name}.minisig" for name in signed)])
    public = PublicKey.from_file(deliver.public_key(ws.home))
    for name in signed:
        content = (inbox(ws) / name).read_bytes()
        public.verify(content, Signature.from_file(inbox(ws) / f"{name}.minisig"))
    folder = ws.home.published / "2026-09/r1/exports/hr"
    for name in files:
        plain_name = Path(name).name.removesuffix(".age")
        assert opened(ws, name) == (folder / plain_name).read_bytes()
    said = ready(ws)
    assert (said["rows"], said["since"], said["release"]) == (2, None, "2026-09.r1")
    for each in said["files"]:
        assert hashlib.sha256((inbox(ws) / each["path"]).read_bytes()).hexdigest() == each["sha256"]
    assert "王".encode() not in b"".join((inbox(ws) / n).read_bytes() for n in names(inbox(ws)))


def test_other_accounts_may_not_read_what_lies_in_a_folder(ws: Workspace) -> None:
    publish(ws)
    send(plain(ws))
    for path in inbox(ws).rglob("*"):
        assert not path.stat().st_mode & 0o007, path


def test_age_itself_opens_what_was_sent(ws: Workspace, tmp_path: Path) -> None:
    program = shutil.which("age")
    if program is None:
        pytest.skip("age is not installed")
    publish(ws)
    send(ws)
    key = tmp_path / "hr.key"
    key.write_text(f"{IDENTITY}\n", encoding="ascii")
    path = inbox(ws) / NAME / "hr_manager_months_2026-09.csv.age"
    done = subprocess.run([program, "-d", "-i", key, path], capture_output=True, check=True)
    assert done.stdout.startswith(b"\xef\xbb\xbfmonth,employee_number,")


def test_minisign_itself_believes_what_was_sent(ws: Workspace) -> None:
    program = shutil.which("minisign")
    if program is None:
        pytest.skip("minisign is not installed")
    publish(ws)
    send(ws)
    for name in (f"{NAME}.ready", f"{NAME}/hr_manager_months_2026-09.csv.age"):
        command = [program, "-V", "-p", deliver.public_key(ws.home), "-m", inbox(ws) / name]
        subprocess.run(command, capture_output=True, check=True)


def test_a_receiver_may_want_fewer_formats_and_its_package_lists_no_others(ws: Workspace) -> None:
    publish(ws)
    ws = plain(ws, formats=("csv",))
    send(ws)
    folder = inbox(ws) / NAME
    assert [n for n in names(folder) if not n.endswith(".minisig")] == [
        "datapackage.json",
        "hr_manager_months_2026-09.csv",
    ]
    report = frictionless.validate(str(folder / "datapackage.json"))
    assert report.valid, report.flatten(["type", "note"])


def test_a_system_gets_its_own_file(ws: Workspace) -> None:
    publish(ws)
    more = {"id": "sap", "url": str(inbox(ws)), "plain": True, "mapping": "sap_successfactors"}
    ws = to(ws, more, url=str(inbox(ws)))
    assert send(ws, receiver="sap") == [f"{NAME}.sap"]
    text = (inbox(ws) / "trend_sysOverallPerformance_2026-09.csv").read_text("utf-8")
    assert text.split("\n")[1].startswith("M1,09/01/2026,09/30/2026,3,B,1,4,")


# --- once -----------------------------------------------------------------------------------


def test_the_same_is_not_sent_again_unless_it_is_asked_for(ws: Workspace) -> None:
    publish(ws)
    assert send(ws) == [NAME]
    before = {name: (inbox(ws) / name).read_bytes() for name in names(inbox(ws))}
    assert send(ws) == []
    assert {name: (inbox(ws) / name).read_bytes() for name in names(inbox(ws))} == before
    assert send(ws, again=True) == [f"{NAME}.2"]
    assert ready(ws, f"{NAME}.2")["sha256"] == ready(ws)["sha256"]


def test_a_new_key_of_hr_is_a_new_delivery(ws: Workspace) -> None:
    publish(ws)
    assert send(ws) == [NAME]
    other = str(pyrage.x25519.Identity.generate().to_public())
    assert send(to(ws, url=str(inbox(ws)), age_recipients=[other])) == [f"{NAME}.2"]


def test_a_delivery_that_died_half_way_has_no_ready_file_and_is_sent_anew(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connectors import outbox

    publish(ws)
    real = outbox._Folder.put

    def dying(self: Any, name: str, content: bytes) -> None:
        if name.endswith(".ready"):
            raise KeyboardInterrupt
        real(self, name, content)

    monkeypatch.setattr(outbox._Folder, "put", dying)
    with pytest.raises(KeyboardInterrupt):
        send(ws)
    assert not (inbox(ws) / f"{NAME}.ready").exists()
    monkeypatch.setattr(outbox._Folder, "put", real)
    assert send(ws) == [NAME]
    assert ready(ws)["rows"] == 2


# --- answers --------------------------------------------------------------------------------


def test_an_answer_closes_the_loop(ws: Workspace) -> None:
    publish(ws)
    send(ws)
    assert states(ws) == [(NAME, "sent")]
    answer(ws)
    assert states(ws) == [(NAME, "accepted")]
    assert states(ws) == [(NAME, "accepted")]
    assert [event.kind for event in deliveries.events(ws.home)] == ["sent", "accepted"]


def test_a_rejection_is_told_with_its_reason_and_may_be_sent_again(ws: Workspace) -> None:
    publish(ws)
    send(ws)
    answer(ws, status="rejected", rows=0, reason="column grade\nunknown")
    found = deliver.standings(ws)[0]
    assert (found.state, found.reason) == ("rejected", "column grade unknown")
    assert send(ws) == []
    assert send(ws, again=True) == [f"{NAME}.2"]
    assert states(ws) == [(NAME, "rejected"), (f"{NAME}.2", "sent")]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"sha256": "0" * 64}, "its sha256 is not that of the ready file"),
        ({"rows": 1}, "expected 2 rows"),
        ({"status": "ok"}, "expected JSON with a status"),
    ],
)
def test_an_answer_that_does_not_fit_does_not_count(
    ws: Workspace, changes: dict[str, Any], why: str
) -> None:
    publish(ws)
    send(ws)
    answer(ws, **changes)
    said: list[str] = []
    assert deliver.standings(ws, said.append)[0].state == "sent"
    assert "does not count" in said[0]
    assert why in said[0]


def test_no_json_is_no_answer(ws: Workspace) -> None:
    publish(ws)
    send(ws)
    (inbox(ws) / f"{NAME}.ack").write_bytes(b"\xff ok")
    assert states(ws) == [(NAME, "sent")]


def test_a_delivery_nobody_answered_is_overdue_after_its_days(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(ws)
    send(ws)
    sent = remote.clock()
    monkeypatch.setattr(remote, "clock", lambda: sent + 3 * 86_400 - 60)
    assert states(ws) == [(NAME, "sent")]
    monkeypatch.setattr(remote, "clock", lambda: sent + 3 * 86_400 + 60)
    assert states(ws) == [(NAME, "overdue")]


# --- differences ----------------------------------------------------------------------------


def test_after_a_restatement_only_the_rows_that_differ_are_sent(ws: Workspace) -> None:
    publish(ws)
    ws = plain(ws)
    send(ws)
    answer(ws)
    assert send(ws) == []
    publish(ws, csat=84)
    name = "hr_manager_months_2026-09.r2.since.2026-09.r1"
    assert send(ws) == [name]
    folder = inbox(ws) / name
    found = rows((folder / "hr_manager_months_2026-09.csv").read_bytes())
    assert [(row["employee_number"], row["row_change"]) for row in found] == [("M1", "changed")]
    assert found[0]["total_score"] != "87.500000"
    assert (ready(ws, name)["rows"], ready(ws, name)["since"]) == (1, "2026-09.r1")
    report = frictionless.validate(str(folder / "datapackage.json"))
    assert report.valid, report.flatten(["type", "note"])


def test_who_came_and_who_went_are_told(ws: Workspace) -> None:
    publish(ws)
    ws = plain(ws)
    send(ws)
    answer(ws)
    table = "exports.export_hr_manager_months"
    publish(ws, change=f"update {table} set employee_number = 'M3' where employee_number = 'M2'")
    name = send(ws)[0]
    found = rows((inbox(ws) / name / "hr_manager_months_2026-09.csv").read_bytes())
    told = [(row["employee_number"], row["row_change"]) for row in found]
    assert told == [("M2", "removed"), ("M3", "added")]


def test_a_release_nobody_accepted_is_followed_by_a_full_one(ws: Workspace) -> None:
    publish(ws)
    send(ws)
    publish(ws, csat=84)
    assert send(ws) == ["hr_manager_months_2026-09.r2"]
    assert ready(ws, "hr_manager_months_2026-09.r2")["rows"] == 2


def test_a_mapped_file_says_beside_it_which_rows_are_gone(ws: Workspace) -> None:
    publish(ws)
    ws = to(ws, url=str(inbox(ws)), mapping="ihr360")
    send(ws)
    answer(ws)
    table = "exports.export_hr_manager_months"
    publish(ws, change=f"update {table} set employee_number = 'M3' where employee_number = 'M2'")
    said: list[str] = []
    name = next(event.delivery for event in deliver.deliver(ws, MONTH, progress=said.append))
    told = ready(ws, name)
    assert (told["rows"], told["withdrawn"], told["withdrawn_in"]) == (1, 1, "withdrawn.csv")
    assert "1 rows are withdrawn, as withdrawn.csv lists" in said[-1]
    listed = rows(opened(ws, f"{name}/withdrawn.csv.age"))
    assert listed == [{"工号": "M2", "考核周期": "2026-09", "备注": "perfhouse 2026-09.r2"}]
    assert {each["path"] for each in told["files"]} == {
        "ihr360_2026-09.csv.age",
        f"{name}/withdrawn.csv.age",
    }


def without_total(who: str) -> str:
    return (
        "update exports.export_hr_manager_months set total_score = null, grade = null, "
        f"rank = null, status = 'insufficient_coverage' where employee_number = '{who}'"
    )


@pytest.mark.parametrize(
    ("mapping", "listed"),
    [
        ("ihr360", "工号,考核周期,备注|M2,2026-09,perfhouse 2026-09.r2|"),
        ("beisen", "员工工号,考核开始日期,考核结束日期|M2,2026/09/01,2026/09/30|"),
        (
            "feishu",
            "external_id,reviewee_user_id,item,time|perfhouse-2026-09-M2,M2,客服主管绩效,2026-09|",
        ),
        (
            "sap_successfactors",
            "userId,startDate,endDate,min,max,name,source|"
            "M2,09/01/2026,09/30/2026,1,4,Manager scorecard 2026-09.r2,perfhouse|",
        ),
    ],
)
def test_a_total_that_is_taken_away_is_taken_back_from_the_system_of_hr(
    ws: Workspace, mapping: str, listed: str
) -> None:
    publish(ws)
    ws = plain(to(ws, url=str(inbox(ws)), mapping=mapping))
    send(ws)
    answer(ws)
    publish(ws, change=without_total("M2"))
    said: list[str] = []
    name = next(event.delivery for event in deliver.deliver(ws, MONTH, progress=said.append))
    told = ready(ws, name)
    assert (told["rows"], told["withdrawn"]) == (0, 1)
    assert [each["path"] for each in told["files"]] == [f"{name}/withdrawn.csv"]
    receiver = ws.company.receivers[0].mapping
    assert receiver is not None
    text = (inbox(ws) / name / "withdrawn.csv").read_bytes().decode(receiver.encoding)
    assert text.replace("\r\n", "|") == listed
    assert not any("has accepted all" in line for line in said)
    answer(ws, name)
    assert send(ws) == []


def test_what_nobody_answered_is_taken_back_as_well(ws: Workspace) -> None:
    publish(ws)
    ws = plain(to(ws, url=str(inbox(ws)), mapping="ihr360"))
    first = send(ws)[0]
    publish(ws, change=without_total("M2"))
    second = send(ws)[0]
    assert ready(ws, second)["since"] is None
    assert (ready(ws, second)["rows"], ready(ws, second)["withdrawn"]) == (1, 1)
    assert send(ws) == []
    answer(ws, second)
    publish(ws)
    third = send(ws)[0]
    assert (ready(ws, third)["rows"], ready(ws, third)["withdrawn"]) == (1, 0)
    assert first != second != third


def test_what_was_rejected_is_not_taken_back(ws: Workspace) -> None:
    publish(ws)
    ws = plain(to(ws, url=str(inbox(ws)), mapping="ihr360"))
    send(ws)
    answer(ws, status="rejected", rows=0)
    publish(ws, change=without_total("M2"))
    assert ready(ws, send(ws)[0])["withdrawn"] == 0


def test_who_never_had_a_total_is_not_withdrawn(ws: Workspace) -> None:
    publish(ws, change=without_total("M2"))
    ws = plain(to(ws, url=str(inbox(ws)), mapping="ihr360"))
    send(ws)
    answer(ws)
    gone = "delete from exports.export_hr_manager_months where employee_number = 'M2'"
    publish(ws, change=gone)
    said: list[str] = []
    assert deliver.deliver(ws, MONTH, progress=said.append) == []
    assert "has accepted all of 2026-09.r2" in said[-1]


CHANGES = """
system = "Ours"
[file]
name = "ours.csv"
[[columns]]
to = "who"
from = "employee_number"
[[columns]]
to = "score"
from = "total_score"
decimals = 1
[[columns]]
to = "action"
from = "row_change"
values = { added = "UPSERT", changed = "UPSERT", removed = "DELETE" }
"""


def test_a_mapping_with_a_column_for_it_says_in_its_own_file_what_is_gone(ws: Workspace) -> None:
    publish(ws)
    (ws.company.folder / "ours.toml").write_text(CHANGES, encoding="utf-8")
    ws = plain(to(ws, url=str(inbox(ws)), mapping="ours.toml"))
    send(ws)
    assert {row["action"] for row in rows((inbox(ws) / "ours.csv").read_bytes())} == {"UPSERT"}
    answer(ws)
    publish(ws, csat=84, change=without_total("M2"))
    name = send(ws)[0]
    found = [tuple(row.values()) for row in rows((inbox(ws) / "ours.csv").read_bytes())]
    assert [(who, action) for who, _, action in found] == [("M1", "UPSERT"), ("M2", "DELETE")]
    assert found[1][1] == ""
    told = ready(ws, name)
    assert (told["rows"], told["withdrawn"], told["withdrawn_in"]) == (2, 1, "ours.csv")


def test_the_command_lists_where_each_delivery_stands(
    ws: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(ws)
    monkeypatch.setattr(stages, "open_workspace", lambda *_: ws)
    assert cli.main(["deliver", "--month", "2026-09"]) == 0
    assert f"hr: sent {NAME}, 2 rows" in capsys.readouterr().out
    answer(ws)
    assert cli.main(["deliveries"]) == 0
    said = capsys.readouterr().out
    assert f"accepted  hr           {NAME}  2 rows, sent 20" in said
    assert f"public key: {deliver.public_key(ws.home)}" in said


# --- what was altered is not sent -----------------------------------------------------------


@pytest.mark.parametrize("export", ["hr", "payroll"])
def test_an_export_that_was_altered_in_published_is_neither_signed_nor_sent(
    ws: Workspace, export: str
) -> None:
    publish(ws)
    folder = ws.home.published / "2026-09/r1"
    file = folder / "exports/hr/hr_manager_months_2026-09.csv"
    file.chmod(0o600)
    file.write_bytes(file.read_bytes().replace(b"87.5", b"99.5"))
    told = r"published/2026-09/r1: not intact: file exports/hr/hr_manager_months_2026-09\.csv"
    with pytest.raises(ReleaseError, match=told):
        send(plain(ws, id=export, export=export))
    tampering.unlock(folder)
    tampering.reseal(folder)
    with pytest.raises(ReleaseError, match=r"release\.json or its signature was changed"):
        send(plain(ws, id=export, export=export))
    assert names(inbox(ws)) == []
    assert deliveries.events(ws.home) == []


def test_no_difference_is_made_from_a_release_that_was_altered_since(ws: Workspace) -> None:
    publish(ws)
    ws = plain(ws)
    send(ws)
    answer(ws)
    publish(ws, csat=84)
    file = ws.home.published / "2026-09/r1/exports/hr/hr_manager_months_2026-09.parquet"
    file.chmod(0o600)
    newer = ws.home.published / "2026-09/r2/exports/hr/hr_manager_months_2026-09.parquet"
    file.write_bytes(newer.read_bytes())  # nothing would differ
    with pytest.raises(ReleaseError, match="2026-09/r1: not intact"):
        send(ws)


def test_a_lost_key_of_deliveries_is_not_replaced_in_silence(ws: Workspace) -> None:
    publish(ws)
    send(ws)
    file, shown = ws.home.secrets / "exports.minisign", deliver.public_key(ws.home)
    file.unlink()
    with pytest.raises(ConfigError, match=r"expected the key of .*exports\.pub.*every receiver"):
        send(ws, again=True)
    assert not file.exists()
    signing.load_or_create(file)
    with pytest.raises(ConfigError, match=r"it is not the key of .*exports\.pub"):
        send(ws, again=True)
    shown.rename(shown.with_name("exports-1.pub"))
    (name,) = send(ws, again=True)
    public = PublicKey.from_file(shown)
    signature = Signature.from_file(inbox(ws) / f"{name}.ready.minisig")
    public.verify((inbox(ws) / f"{name}.ready").read_bytes(), signature)


# --- who must act ---------------------------------------------------------------------------


def test_what_cannot_be_delivered_names_who_must_act(ws: Workspace) -> None:
    with pytest.raises(ConfigError, match="2026-09 has no release"):
        send(ws)
    with pytest.raises(ConfigError, match="expected one of hr; got 'payrol'"):
        send(ws, receiver="payrol")
    nobody = replace(ws, company=replace(ws.company, receivers=()))
    with pytest.raises(ConfigError, match=r"exports: expected \[\[exports.hr\]\]"):
        send(nobody)
    publish(ws)
    shutil.rmtree(inbox(ws))
    with pytest.raises(ConfigError, match="expected the folder to be there"):
        send(ws)
    assert deliveries.events(ws.home) == []


def test_a_receiver_that_cannot_be_reached_keeps_no_other_waiting(ws: Workspace) -> None:
    publish(ws)
    more = {"id": "second", "url": str(inbox(ws)), "plain": True, "formats": ["csv"]}
    ws = to(ws, more, url=str(inbox(ws) / "nowhere"))
    with pytest.raises(ConfigError, match="nowhere: expected the folder to be there"):
        send(ws)
    assert [event.receiver for event in deliveries.events(ws.home)] == ["second"]


def test_a_key_that_is_none_of_age_sends_nothing(ws: Workspace) -> None:
    publish(ws)
    with pytest.raises(ConfigError, match="age_recipients: expected age's keys"):
        send(to(ws, url=str(inbox(ws)), age_recipients=["age1" + "q" * 58]))
    assert names(inbox(ws)) == []


def test_a_changed_line_of_the_list_is_found(ws: Workspace) -> None:
    publish(ws)
    send(ws)
    file = deliveries.path(ws.home)
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"kind":"se')
    assert len(deliveries.events(ws.home)) == 1
    answer(ws)
    assert states(ws) == [(NAME, "accepted")]
    file.write_bytes(file.read_bytes().replace(b'"rows":2', b'"rows":3', 1))
    with pytest.raises(ReleaseError, match="line 1 does not fit the chain"):
        deliveries.events(ws.home)


# --- real servers ---------------------------------------------------------------------------


@pytest.mark.server
def test_a_real_sftp_server_takes_it_and_brings_the_answer(
    ws: Workspace, sshd: Sftp, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    connect_sftp(monkeypatch, sshd)
    folder = sshd.root / "deliveries"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    publish(ws)
    url = f"sftp://{sshd.host}:{sshd.port}{folder}"
    ws = to(ws, url=url, connection="hr_drop")
    assert send(ws) == [NAME]
    assert len(names(folder)) == 10
    assert not [name for name in names(folder) if name.endswith(".part")]
    said = json.loads((folder / f"{NAME}.ready").read_text("utf-8"))
    told = {"sha256": said["sha256"], "rows": 2, "status": "accepted"}
    (folder / f"{NAME}.ack").write_text(json.dumps(told), encoding="utf-8")
    assert states(ws) == [(NAME, "accepted")]
    assert send(ws) == []  # it has accepted all of it
    assert send(ws, again=True) == [f"{NAME}.2"]


@pytest.mark.server
def test_a_real_s3_bucket_takes_it_and_brings_the_answer(
    ws: Workspace, moto: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_s3(monkeypatch, moto)
    bucket = moto.bucket("deliveries")
    publish(ws)
    ws = to(ws, url=f"s3://{bucket}/hr/in", connection="lake")
    assert send(ws) == [NAME]
    files = moto.files()
    assert len(files.find(f"{bucket}/hr/in")) == 10
    said = json.loads(files.cat_file(f"{bucket}/hr/in/{NAME}.ready"))
    told = {"sha256": said["sha256"], "rows": 2, "status": "rejected", "reason": "no"}
    files.pipe_file(f"{bucket}/hr/in/{NAME}.ack", json.dumps(told).encode())
    assert states(ws) == [(NAME, "rejected")]
