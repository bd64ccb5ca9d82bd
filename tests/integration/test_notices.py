"""Notices: to a real mail server and a real web server; rehearsed, sent once, naming nobody."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import publish_in_child as child
import pytest
import small_warehouse as small
from mail_server import Mailbox, serving

from connectors import notices as ways
from expectations import gate
from perfhouse import cli, notices, release, release_files, sign_off_request, warehouse
from perfhouse.company_notices import EVENTS, Channel, read_notices
from perfhouse.company_sign_off import SignOff
from perfhouse.config_reader import Table
from perfhouse.errors import ConfigError, TransientError
from perfhouse.month import Month
from perfhouse.sign_off import Content
from perfhouse.stages import Workspace

OCTOBER = Month("2026-10")
SECRET = "hook-5up3r"
FAST = 60_000
MAIL = Channel(
    *("mail", "email", "mail", ("alerts", "cards", "gate")),
    to=("hr@example.com", "{manager_id}@example.com"),
    sender="perfhouse@example.com",
    link="https://cards.example.com/{month}/{manager_id}.html",
    per_minute=FAST,
)
ROBOT = Channel(
    *("group", "wecom_robot", "robot", ("alerts", "cards", "gate")), language="zh", per_minute=FAST
)
APP = Channel("app", "wecom_app", "app", ("cards",), to=("{manager_id}",), per_minute=FAST)
SLACK = Channel("slack", "slack", "slack", ("cards",), language="en", per_minute=FAST)
HOOK = Channel("hook", "webhook", "hook", ("cards",), per_minute=FAST)


@dataclass
class Web:
    """Keeps what a web server was told; answers what `answers` says of a path."""

    url: str = ""
    told: list[tuple[str, Any]] = field(default_factory=list)
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    at: list[float] = field(default_factory=list)


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    box = Mailbox()
    with serving(box) as url:
        monkeypatch.setenv("PERFHOUSE_URL_MAIL", url)
        yield box


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    it = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _answer(self, body: Any) -> None:
            it.told.append((self.path, body))
            it.at.append(time.monotonic())
            status, said = it.answers.get(urlsplit(self.path).path, (200, {"errcode": 0}))
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    it.url = f"http://127.0.0.1:{server.server_port}"
    it.answers["/cgi-bin/gettoken"] = (200, {"errcode": 0, "access_token": "tok"})
    monkeypatch.setenv("PERFHOUSE_URL_ROBOT", f"{it.url}/cgi-bin/webhook/send?key={SECRET}")
    monkeypatch.setenv("PERFHOUSE_URL_SLACK", f"{it.url}/services/T0/{SECRET}")
    monkeypatch.setenv("PERFHOUSE_URL_HOOK", f"{it.url}/hook/{SECRET}")
    host = it.url.removeprefix("http://")
    monkeypatch.setenv("PERFHOUSE_URL_APP", f"http://corp:{SECRET}@{host}/?agentid=1000002")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield it
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """September is published for two managers; in October the gate on raw data failed."""
    root = tmp_path_factory.mktemp("notices")
    home = small.home(root / "home")
    small.land(home, "hr", {"hr_roster": small.ROSTER})
    small.land(home, "calls", {"calls": small.CALLS})
    company = small.company(root / "company", small.source("hr"), small.source("calls"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "_expect", child.everything_passes)
        patch.setattr(release_files, "stage_cards", child.plain_cards)
        small.build(home)
        child.judge(home, company, small.MONTH)
        release.publish(company, home, small.MONTH)
    with warehouse.connect(home.warehouse) as con:
        con.execute("create schema if not exists monitors")
        con.execute(
            "create table monitors.monitor_findings as select date '2026-09-01' as month, "
            "'very_short_calls' as monitor, 'M1' as manager_id, 'E' || i as employee_id "
            "from range(3) r(i)"
        )
    check = gate.Check("volume", "Rows as usual", "行数正常", "critical", False, "3", "10", ("E7",))
    gate.keep(home, gate.Verdict("raw", "2026-10", "2026-10", "0" * 64, False, (check,)))
    return Workspace(company, root, home)


@pytest.fixture
def place(published: Workspace) -> Workspace:
    """The same place with nothing sent yet; the rest of it is only read."""
    sent = published.home.root / "notices"
    if sent.exists():
        (sent / "sent.jsonl").unlink(missing_ok=True)
    return published


def told(
    place: Workspace, *channels: Channel, month: Month = small.MONTH, send: bool = True
) -> Any:
    ws = replace(place, company=replace(place.company, notices=channels))
    return notices.notify(ws, month, send=send)


def counts(outcomes: list[notices.Outcome]) -> list[tuple[str, int, int]]:
    return [(each.event, each.count, each.known) for each in outcomes]


def test_a_rehearsal_sends_nothing_and_notes_nothing(
    place: Workspace, mailbox: Mailbox, web: Web
) -> None:
    found = told(place, MAIL, ROBOT, send=False)
    assert counts(found) == [("cards", 3, 0), ("alerts", 1, 0), ("cards", 1, 0), ("alerts", 1, 0)]
    assert not any(each.is_sent for each in found)
    assert (mailbox.taken, web.told) == ([], [])
    assert not (place.home.root / "notices" / "sent.jsonl").exists()


def test_each_manager_hears_of_the_own_card_and_nobody_hears_it_twice(
    place: Workspace, mailbox: Mailbox
) -> None:
    assert counts(told(place, MAIL)) == [("cards", 3, 0), ("alerts", 1, 0)]
    to = [address for address, _ in mailbox.taken]
    assert to == ["hr@example.com", "M1@example.com", "M2@example.com", "hr@example.com"]
    everyone, own, _, alerts = (mail for _, mail in mailbox.taken)
    assert own["subject"] == "2026-09 绩效卡已发布 · Scorecards of 2026-09 are ready"
    assert "您 2026-09 的绩效卡已发布(版本 2026-09.r1)" in own.get_content()
    assert "https://cards.example.com/2026-09/M1.html" in own.get_content()
    assert "2 scorecards of 2026-09 are ready" in everyone.get_content()
    assert "https://" not in everyone.get_content(), "a link to one card is not for all"
    assert "- 极短电话:3\n" in alerts.get_content()
    assert "- Very short calls: 3\n" in alerts.get_content()
    assert own["message-id"] != everyone["message-id"]
    assert own["auto-submitted"] == "auto-generated"
    assert counts(told(place, MAIL)) == [("cards", 0, 3), ("alerts", 0, 1)]
    assert len(mailbox.taken) == 4


def test_a_group_reads_the_names_of_monitors_in_its_language_and_no_id(
    place: Workspace, web: Web
) -> None:
    told(place, replace(ROBOT, events=("alerts",)))
    content = web.told[0][1]["markdown"]["content"]
    assert "- 极短电话:3\n" in content
    assert "very_short_calls" not in content
    assert "Very short" not in content


def test_what_the_dag_logs_of_a_channel_that_is_not_sent_names_no_receiver(
    place: Workspace,
) -> None:
    (cards, _) = told(place, replace(MAIL, to=("{manager_id}@example.com", "hr@example.com")),
                      send=False)  # fmt: skip
    assert "M1@example.com" in cards.shown, "the person who asks sees it"
    assert "example.com" not in cards.said + repr(cards)


def test_what_is_kept_of_a_notice_names_nobody(place: Workspace, mailbox: Mailbox) -> None:
    told(place, MAIL)
    file = place.home.root / "notices" / "sent.jsonl"
    assert len(file.read_text("utf-8").splitlines()) == 4
    assert "M1" not in file.read_text("utf-8")
    assert "@" not in file.read_text("utf-8")
    assert file.stat().st_mode & 0o077 == 0


def test_after_a_failure_the_rest_goes_out_and_only_the_rest(
    place: Workspace, mailbox: Mailbox
) -> None:
    mailbox.refused = {"M1@example.com"}
    with pytest.raises(ConfigError, match="notices mail: the server refuses") as caught:
        told(place, MAIL)
    assert "M1" not in str(caught.value)
    to = [address for address, _ in mailbox.taken]
    assert to == ["hr@example.com", "M2@example.com", "hr@example.com"]
    mailbox.refused = set()
    told(place, MAIL)
    assert [address for address, _ in mailbox.taken[3:]] == ["M1@example.com"]


def test_who_is_not_taken_now_is_taken_by_the_next_try_and_keeps_nobody_waiting(
    place: Workspace, mailbox: Mailbox
) -> None:
    mailbox.later, mailbox.refused = {"M1@example.com"}, {"hr@example.com"}
    with pytest.raises(TransientError, match="notices mail: the server did not take") as caught:
        told(place, replace(MAIL, events=("cards",)))
    assert "M1" not in str(caught.value)
    assert [address for address, _ in mailbox.taken] == ["M2@example.com"]
    with pytest.raises(ConfigError, match="the server refuses"):
        told(place, replace(MAIL, events=("cards",)))
    assert [address for address, _ in mailbox.taken] == ["M2@example.com", "M1@example.com"]


def test_a_server_that_is_gone_is_one_to_ask_again_also_beside_a_channel_that_is_wrong(
    place: Workspace, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERFHOUSE_URL_MAIL", "smtp://127.0.0.1:9")
    unset = replace(ROBOT, connection="nowhere")
    with pytest.raises(TransientError, match="the mail server does not answer"):
        told(place, unset, MAIL)
    with pytest.raises(ConfigError, match="AIRFLOW_CONN_NOWHERE"):
        told(place, unset)


def test_a_schedule_sends_only_where_a_channel_says_so(
    place: Workspace, mailbox: Mailbox, web: Web
) -> None:
    ws = replace(place, company=replace(place.company, notices=(replace(MAIL, send=True), ROBOT)))
    found = notices.notify(ws, small.MONTH, as_chosen=True)
    assert [(each.channel, each.event, each.count, each.is_sent) for each in found] == [
        ("mail", "cards", 3, True), ("mail", "alerts", 1, True),
        ("group", "cards", 1, False), ("group", "alerts", 1, False),
    ]  # fmt: skip
    assert (len(mailbox.taken), web.told) == (4, [])


def test_a_torn_last_line_is_no_notice(place: Workspace, mailbox: Mailbox) -> None:
    told(place, replace(MAIL, events=("alerts",)))
    file = place.home.root / "notices" / "sent.jsonl"
    with file.open("a") as handle:
        handle.write('{"key": "')
    assert counts(told(place, MAIL)) == [("cards", 3, 0), ("alerts", 0, 1)]
    assert len([json.loads(line) for line in file.read_text("utf-8").splitlines()]) == 4


def test_a_failed_gate_is_told_by_check_and_names_no_key(place: Workspace, web: Web) -> None:
    assert counts(told(place, ROBOT, month=OCTOBER)) == [("gate", 1, 0)]
    path, body = web.told[0]
    assert path == f"/cgi-bin/webhook/send?key={SECRET}"
    assert body["msgtype"] == "markdown"
    content = body["markdown"]["content"]
    assert content.startswith("**2026-10 质量门 raw 未通过**\n")
    assert "volume: 行数正常" in content
    assert "E7" not in content


def test_a_late_source_is_told_once_with_its_owner_and_what_came_last(
    place: Workspace, mailbox: Mailbox, web: Web
) -> None:
    mail, robot = replace(MAIL, events=("late",)), replace(ROBOT, events=("late",))
    ws = replace(place, company=replace(place.company, notices=(mail, robot)))
    for today, due in ((date(2026, 11, 5), []), (date(2026, 11, 6), [("late", 1, 0)] * 4)):
        assert counts(notices.notify(ws, OCTOBER, send=True, today=today)) == due
    again = notices.notify(ws, OCTOBER, send=True, today=date(2026, 11, 9))
    assert counts(again) == [("late", 0, 1)] * 4, "two sources, two channels, each once"
    assert [to for to, _ in mailbox.taken] == ["hr@example.com"] * 2, "managers are not told"
    calls = next(mail for _, mail in mailbox.taken if "calls" in mail["subject"])
    assert calls["subject"] == "2026-10 数据源 calls 逾期未交付 · Source calls is late with 2026-10"
    text = calls.get_content()
    assert "owner: calls desk" in text
    assert "负责人:calls desk" in text
    assert "Last received: 2026-09" in text
    assert len(web.told) == 2
    assert "Last received" not in json.dumps(web.told), "the group reads Chinese"


def test_approvers_hear_that_a_signature_is_asked_for_then_deputies_then_of_a_refusal(
    place: Workspace, mailbox: Mailbox
) -> None:
    lead = replace(MAIL, id="lead", to=("lead@example.com",), events=("sign_off",))
    deputy = replace(lead, id="deputy", to=("deputy@example.com",), events=("sign_off_late",))
    who = SignOff(("hr.lead",), ("hr.deputy",), 72.0, 24.0)
    ws = replace(place, company=replace(place.company, notices=(lead, deputy), sign_off=who))
    content = Content("2026-10", "2026-10.r1", "3f0c" * 16)
    asked = sign_off_request.Request(content, sign_off_request.now(ws.home))
    steps = (
        asked,
        replace(asked, asked_at=asked.asked_at - 24 * 3600),
        replace(asked, state="refused", by="hr.lead"),
        replace(asked, state="approved", by="hr.lead"),
    )
    for step in steps:
        sign_off_request.keep(ws.home, step)
        notices.notify(ws, OCTOBER, send=True)
        notices.notify(ws, OCTOBER, send=True)
    assert [(to, str(mail["subject"])) for to, mail in mailbox.taken] == [
        ("lead@example.com", "2026-10.r1 待签发 · 2026-10.r1 waits for your signature"),
        (
            "deputy@example.com",
            "2026-10.r1 待代理签发 · 2026-10.r1 waits for a deputy's signature",
        ),
        ("lead@example.com", "2026-10.r1 未获签发 · 2026-10.r1 was not signed off"),
    ]
    texts = [mail.get_content() for _, mail in mailbox.taken]
    assert all("3f0c3f0c3f0c" in text for text in texts[:2])
    assert "no answer within 72 hours is a refusal" in texts[0]
    assert "Refused by hr.lead" in texts[2]
    assert all("perfhouse sign-off --month 2026-10" in text for text in texts)


def test_a_channel_keeps_its_pace_from_event_to_event_and_from_run_to_run(
    place: Workspace, web: Web, mailbox: Mailbox
) -> None:
    robot = replace(ROBOT, per_minute=120)
    told(place, robot)  # cards and alerts
    told(place, robot, month=OCTOBER)  # another run: a gate
    told(place, replace(robot, id="other", events=("cards",)))  # another channel to the same robot
    gaps = [after - before for before, after in pairwise(web.at)]
    assert len(gaps) == 3
    # Taken down where they arrive: a busy machine may take one down late, the next in time.
    assert min(gaps) > 0.3, "120 a minute is one in 0.5 s"
    begun = time.monotonic()
    told(place, replace(MAIL, per_minute=600))
    assert time.monotonic() - begun > 0.29, "mail has a pace, too: 4 mails"
    assert len(mailbox.taken) == 4


def test_the_pace_of_a_robot_is_what_wecom_allows_in_any_minute(tmp_path: Path) -> None:
    mark, now, went = tmp_path / "robot.pace", [1e9], []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    for run in range(5):
        pace = ways.Pace(mark, ways._PER_MINUTE["wecom_robot"], lambda: now[0], sleep)
        for _ in range(run * 7):
            pace.take()
            went.append(now[0])
    assert len(went) == 70
    assert max(sum(at <= other < at + 60 for other in went) for at in went) <= 20
    now[0] -= 3600  # a clock that was set back keeps nobody waiting for an hour
    before = now[0]
    pace.take()
    assert now[0] - before <= 60 / 19 + 0.001


def test_the_other_ways_are_told_as_they_want_it(place: Workspace, web: Web) -> None:
    told(place, APP, SLACK, HOOK)
    token, first, second, slack, hook = web.told
    assert parse_qs(urlsplit(token[0]).query) == {"corpid": ["corp"], "corpsecret": [SECRET]}
    assert first[0] == "/cgi-bin/message/send?access_token=tok"
    assert (first[1]["touser"], second[1]["touser"]) == ("M1", "M2")
    assert first[1]["agentid"] == 1000002
    assert "Your scorecard of 2026-09 is ready" in first[1]["text"]["content"]
    assert slack[0] == f"/services/T0/{SECRET}"
    assert slack[1]["text"].startswith("Scorecards of 2026-09 are ready\n\n2 scorecards")
    assert "绩效" not in slack[1]["text"]
    assert sorted(hook[1]) == ["key", "subject", "text"]


@pytest.mark.parametrize(
    ("channel", "path", "answer", "error"),
    [
        (SLACK, f"/services/T0/{SECRET}", (503, {}), TransientError),
        (SLACK, f"/services/T0/{SECRET}", (404, {}), ConfigError),
        (ROBOT, "/cgi-bin/webhook/send", (200, {"errcode": 45009}), TransientError),
        (ROBOT, "/cgi-bin/webhook/send", (200, {"errcode": 93000}), ConfigError),
        (APP, "/cgi-bin/gettoken", (200, {"errcode": 40001}), ConfigError),
        (APP, "/cgi-bin/message/send", (200, {"errcode": 0, "invaliduser": "M1"}), ConfigError),
    ],
)
def test_a_refusal_says_who_must_act_and_never_the_secret(
    place: Workspace,
    web: Web,
    caplog: pytest.LogCaptureFixture,
    channel: Channel,
    path: str,
    answer: tuple[int, Any],
    error: type[Exception],
) -> None:
    web.answers[path] = answer
    with pytest.raises(error, match=f"notices {channel.id}: ") as caught:
        told(place, replace(channel, events=("cards",)))
    assert SECRET not in str(caught.value) + caplog.text
    assert "M1" not in str(caught.value) + caplog.text
    assert not (place.home.root / "notices" / "sent.jsonl").exists()


def test_no_password_goes_over_an_open_line(
    place: Workspace, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = ways.connection("mail").port
    monkeypatch.setenv("PERFHOUSE_URL_MAIL", f"smtp://me:{SECRET}@127.0.0.1:{port}")
    with pytest.raises(ConfigError, match="no TLS: no password is sent"):
        told(place, MAIL)
    assert mailbox.taken == []


def test_a_long_text_is_cut_between_letters() -> None:
    assert ways.cut("绩" * 10, 30) == "绩" * 10
    cut = ways.cut("绩" * 2000, ways.ROBOT_BYTES)
    assert cut == "绩" * 1364 + "…"
    assert len(cut.encode()) <= ways.ROBOT_BYTES


def test_the_command_rehearses_unless_told_to_send(
    place: Workspace,
    mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ws = replace(place, company=replace(place.company, notices=(MAIL,)))
    monkeypatch.setattr("perfhouse.clock.today", lambda _: date(2026, 10, 6))
    monkeypatch.setattr("perfhouse.stages.open_workspace", lambda *_: ws)
    assert cli.main(["notify", "--month", "2026-09"]) == 0
    said = capsys.readouterr().out
    assert "mail             cards   would send 3\n    | to: hr@example.com and 2 more\n" in said
    assert "    | 2 scorecards of 2026-09 are ready" in said
    assert "    | to: hr@example.com\n    | 2026-09 待核实情况" in said
    assert "nothing was sent" in said
    assert mailbox.taken == []
    assert cli.main(["notify", "--month", "2026-09", "--send"]) == 0
    said = capsys.readouterr().out
    assert "mail             cards   sent 3\n" in said
    assert "    |" not in said, "what went is not shown again"
    assert len(mailbox.taken) == 4


def test_a_rehearsal_says_why_nobody_would_hear_of_cards(
    place: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    early = replace(MAIL, id="early", provisional=True)
    ws = replace(place, company=replace(place.company, notices=(MAIL, early)))
    monkeypatch.setattr("perfhouse.stages.open_workspace", lambda *_: ws)
    for day, why in (
        (date(2026, 10, 5), "cards of 2026-09 are handed out on 2026-10-06"),
        (date(2027, 3, 1), "of 2026-09 only corrected cards are news by now (newest_months)"),
    ):
        monkeypatch.setattr("perfhouse.clock.today", lambda _, day=day: day)
        assert cli.main(["notify", "--month", "2026-09"]) == 0
        said = capsys.readouterr().out
        assert f"mail             cards   would send 0: {why}\n" in said
        heard = "early            cards   would send 3\n" in said
        assert heard == (day.year == 2026), "who asks for provisional cards hears of them"


def test_every_problem_of_a_channel_is_told() -> None:
    problems: list[str] = []
    good = {"id": "hr", "kind": "wecom_robot", "connection": "robot"}
    sent = {**good, "id": "it", "send": True}
    found = read_notices(Table({"notices": [good, sent]}, "t: ", problems))
    quiet = Channel("hr", "wecom_robot", "robot", EVENTS)
    assert found == (quiet, replace(quiet, id="it", send=True))
    assert problems == []
    bad = {"id": "hr", "kind": "email", "connection": "mail", "events": ["card"], "color": 1}
    bad |= {"send": "yes"}
    fast = {**good, "id": "fast", "per_minute": 21}
    read_notices(Table({"notices": [good, bad, fast]}, "t: ", problems))
    assert [p.split(": ")[1] for p in problems] == [
        "notices[1].send",
        "notices[1].events[0]",
        "notices[1].to",
        "notices[1].sender",
        "notices[1].color",
        "notices[1].id",
        "notices[2].per_minute",
    ]
