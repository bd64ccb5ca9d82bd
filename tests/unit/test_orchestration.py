"""What a task decides: its month, whether a landing re-delivers, what it announces.

Airflow itself is in test_airflow.py; here its context is a plain dictionary. One process answers
every case, for Airflow must not be imported into the process of the tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import json, logging, sys, tempfile
from pathlib import Path
from types import SimpleNamespace as N
from airflow.sdk import Connection, RetryAction
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.execution_time import context as airflows
from datetime import datetime, timedelta, timezone
from expectations import gate
from perfhouse import (
    arrivals, clock, errors, lake, observed, orchestration as house, reconcile, settings, stages,
)
from perfhouse.month import Month

cases = json.loads(sys.argv[1])
source = lambda id, required=True: N(id=id, required=required)
company = N(
    sources=[source("a"), source("b"), source("maybe", False)],
    time_zone="Asia/Shanghai", listens=True, arrivals=N(settle_minutes=10),
)
home = settings.Home(Path(tempfile.mkdtemp()))
stages.open_workspace = lambda *a: N(company=company, home=home)


for told in ("ingested", "judged", "compared"):  # has tests of its own
    setattr(observed, told, lambda *said: None)
broken = False


def judge(ws, month, as_of):
    words = ("quarantine_share", "Few rows", "少", "critical", False, "9%", "2%", ("k=1",))
    found = (gate.Check(*words),) * broken
    verdict = gate.Verdict("scorecards", month.key, month.key, "", not broken, found)
    gate._write(gate.verdict_path(home, month, "scorecards"), verdict)
    if broken:
        raise errors.GateFailed("scorecards", month.key, verdict.failures)
    return verdict


stages.gate_scorecards = judge


class Event:
    def __init__(self, told, name):
        self.told, self.name, self.extra = told, name, {}

    def add_partitions(self, keys):
        self.told[self.name] = [keys, dict(self.extra)]


class Events:
    def __init__(self, told):
        self.told = told

    def __getitem__(self, asset):
        return Event(self.told, asset.name)


def stored(name):
    if name != "desk":
        raise AirflowNotFoundException(name)
    return Connection(
        conn_id="desk", conn_type="https", host="desk.test", login="me", password="s/cret",
        extra='{"region": "eu"}',
    )


Connection.get = stored


class AirflowsEvents:
    kept = []

    def __init__(self, asset_name):
        assert asset_name == "arrivals"

    def after(self, when):
        age = datetime.now(timezone.utc) - datetime.fromisoformat(when)
        assert timedelta(days=6) < age < timedelta(days=8)
        return self.kept


airflows.InletEventsAccessor = AirflowsEvents
arrivals.look = lambda ws, today, hints: arrivals.Seen(
    tuple(hints), failed=("b: not reached (who must act: operator)",)
)


def behind(case):
    now = clock.now().timestamp()
    month = Month("2026-09")
    reconcile.everything = lambda ws, today, hints: [
        reconcile.Work(
            step, month, "why", who, source="a" * (step == "ingest"), key="k",
            since=now - 60 * minutes, as_of=Month(as_of),
        )
        for step, who, minutes, as_of in case["lacks"]
    ]

    def count(dag_id, states):
        return sum(dag_id == busy and state in states for busy, state in case.get("busy", []))

    return house.behind_runs({"ti": N(get_dr_count=count)})


class Lines(logging.Handler):
    def emit(self, record):
        self.said.append(record.getMessage())


lines = Lines()
house._log.addHandler(lines)
house._log.setLevel("INFO")


def answer(case):
    global broken
    told = {"announced": {}}
    broken, lines.said = case.get("broken", False), []
    lake.read_manifest = lambda home, each, month: each in case.get("landed", []) or None
    stages.ingest = lambda ws, s, m, p: N(unchanged=case.get("unchanged", False))
    context = {
        "dag_run": N(run_id="r", partition_key=case.get("key"), conf=case.get("conf")),
        "ti": N(
            try_number=case.get("attempt", 1),
            xcom_push=lambda key, value: told.update({key: value}),
        ),
        "outlet_events": Events(told["announced"]),
        "triggering_asset_events": {"x": [N(extra=case.get("extra", {}))]},
    }
    try:
        if case["do"] == "ingest":
            told["again"] = house.ingest(case["source"], context)
        elif case["do"] == "gate":
            told["returned"] = house.gate_scorecards(context)
        elif case["do"] == "connection":
            found = settings.connection(case["name"])
            told["found"] = [found.url(), repr(found), found.extra]
        elif case["do"] == "look":
            AirflowsEvents.kept = [
                N(extra=extra, timestamp=datetime.fromtimestamp(at, timezone.utc))
                for at, extra in case["events"]
            ]
            for name, month, at in case.get("followed", []):
                arrivals.followed(home, name, Month(month), at)
            told["orders"] = house.arrived_runs({})
        elif case["do"] == "compare":
            told["orders"] = behind(case)
            told["today"] = str(clock.today(company))
        elif case["do"] == "redelivered":
            house.redelivered(context)
        elif case["do"] == "publish":
            told["reason"] = vars(house.reason_of(context) or N())
        elif case["do"] == "month":
            told["month"] = house.month_of(context).key
        else:
            kind = getattr(errors, case["error"], ValueError)
            error = kind.__new__(kind)
            told["retried"] = house.RETRIES.evaluate(error, 1, 3).action is RetryAction.RETRY
    except (errors.ConfigError, errors.GateFailed) as error:
        told["refused"] = str(error)
    return {**told, "lines": lines.said}


print("@@" + json.dumps({name: answer(case) for name, case in cases.items()}))
"""


def landing(source: str, *landed: str, unchanged: bool = False, attempt: int = 1) -> dict[str, Any]:
    return {
        "do": "ingest", "key": "2026-09", "source": source, "landed": landed,
        "unchanged": unchanged, "attempt": attempt,
    }  # fmt: skip


KINDS = (
    "TransientError", "SourceMissing", "SourceChanged", "ConfigError", "GateFailed", "BuildFailed",
    "ReleaseError", "MonthClosed", "ValueError",
)  # fmt: skip
SAID = {"scorecards": "passed (0 checks)"}
WHY = {"reason": "late answers", "by": "HR"}
SEPTEMBER = {"month": "2026-09"}
CASES: dict[str, dict[str, Any]] = {
    "events": {
        "do": "look",
        "events": [
            (10, {"source": "a", **SEPTEMBER, "from_rest_api": True}),
            (11, {"from_trigger": True, "payload": {"source": "b", **SEPTEMBER}}),
            (12, {"from_trigger": True, "payload": {"arrived": 2}}),
            (13, {"source": "nobody", **SEPTEMBER}),
            (14, {"source": "a", "month": "September"}),
            (15, None),
        ],
    },
    "events, followed": {
        "do": "look",
        "events": [(20, {"source": "maybe", **SEPTEMBER}), (30, {"source": "maybe", **SEPTEMBER})],
        "followed": [("maybe", "2026-09", 20_000)],
    },
    "behind": {
        "do": "compare",
        "lacks": [
            ("ingest", "", 20, "2026-09"),
            ("build", "", 20, "2026-11"),
            ("restate", "data owner", 20, "2026-09"),
            ("judge", "data owner", 20, "2026-09"),
        ],
    },
    "on its way": {
        "do": "compare",
        "lacks": [("build", "", 9, "2026-09"), ("publish", "", 11, "2026-09")],
    },
    "at work": {
        "do": "compare",
        "busy": [("publish", "running")],
        "lacks": [(step, "", 20, "2026-09") for step in ("ingest", "build", "publish")],
    },
    "looking": {
        "do": "compare",
        "busy": [("arrivals", "running")],
        "lacks": [(step, "", 20, "2026-09") for step in ("ingest", "build")],
    },
    "waiting in a paused DAG": {
        "do": "compare",
        "busy": [("ingest_a", "queued"), ("arrivals", "queued")],
        "lacks": [(step, "", 20, "2026-09") for step in ("ingest", "build")],
    },
    "both": {"do": "month", "key": "2026-09", "conf": {"month": "2026-08"}},
    "conf": {"do": "month", "conf": {"month": "2026-08"}},
    "neither": {"do": "month", "conf": {}},
    "no month": {"do": "month", "key": "September"},
    "the last source arrives": landing("a", "b"),
    "twice, but another has not come": landing("a", "a"),
    "a complete month changes": landing("a", "a", "b"),
    "nothing changed": landing("a", "a", "b", unchanged=True),
    "an attempt died": landing("a", "a", "b", unchanged=True, attempt=2),
    "an optional source comes late": landing("maybe", "a", "b"),
    "an optional source comes early": landing("maybe", "a"),
    "as of": {"do": "gate", "key": "2026-08", "conf": {"as_of": "2026-10"}},
    "as of, announced": {"do": "gate", "key": "2026-08", "extra": {"as_of": "2026-11"}},
    "a gate that stops": {"do": "gate", "key": "2026-08", "broken": True},
    "a reason": {"do": "gate", "key": "2026-08", "conf": WHY},
    "a reason, announced": {"do": "redelivered", "key": "2026-08", "extra": WHY},
    "a reason, by hand": {"do": "publish", "key": "2026-08", "conf": WHY},
    "a reason, arrived": {"do": "publish", "key": "2026-08", "extra": WHY},
    "no reason": {"do": "publish", "key": "2026-08", "extra": {"as_of": "2026-10"}},
    "a reason of nobody": {"do": "publish", "key": "2026-08", "conf": {"reason": "late"}},
    "stored": {"do": "connection", "name": "desk"},
    "unknown": {"do": "connection", "name": "nowhere"},
    **{kind: {"do": "retry", "error": kind} for kind in KINDS},
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(CASES)],
        env={
            "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
            "PATH": str(Path(sys.executable).parent),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "@@" in done.stdout, done.stderr[-2000:]
    return dict(json.loads(done.stdout.rpartition("@@")[2]))


def test_the_month_is_the_partition_key_else_the_configuration_else_refused(
    told: dict[str, Any],
) -> None:
    assert told["both"]["month"] == "2026-09"
    assert told["conf"]["month"] == "2026-08"
    assert "partition key such as 2026-09" in told["neither"]["refused"]
    assert "expected YYYY-MM" in told["no month"]["refused"]


@pytest.mark.parametrize(
    ("case", "again"),
    [
        ("the last source arrives", False),  # the AND starts the month
        ("twice, but another has not come", False),  # the AND will
        ("a complete month changes", True),  # only the second door can
        ("nothing changed", False),
        ("an attempt died", True),  # it may have landed a change
        ("an optional source comes late", True),  # it is not part of the AND
        ("an optional source comes early", False),
    ],
)
def test_a_change_of_a_complete_month_is_a_redelivery(
    told: dict[str, Any], case: str, again: bool
) -> None:
    assert told[case]["again"] is again
    source = CASES[case]["source"]
    facts = {"unchanged": CASES[case]["unchanged"]}
    assert told[case]["announced"] == {f"raw/{source}": [["2026-09"], facts]}


def test_the_as_of_month_travels_from_transform_to_publish(told: dict[str, Any]) -> None:
    announced = {"as_of": "2026-10", "gates": SAID}
    assert told["as of"]["announced"] == {"scorecards": [["2026-08"], announced]}
    assert told["as of, announced"]["announced"]["scorecards"][1]["as_of"] == "2026-11"


def test_a_verdict_stands_in_the_log_in_xcom_and_in_the_assets_event(told: dict[str, Any]) -> None:
    passed, stopped = told["as of"], told["a gate that stops"]
    assert passed["lines"] == ["gate scorecards 2026-08: passed (0 checks)"]
    assert passed["returned"]["said"] == SAID["scorecards"]
    assert stopped["announced"] == {}
    assert stopped["lines"] == [
        "gate scorecards 2026-08: STOPPED THE MONTH (1 checks, 1 to read)",
        "  critical: Few rows: 9%, allowed 2% [k=1]",
    ]
    assert stopped["verdict"]["passed"] is False
    assert stopped["verdict"]["failed"][0]["check"] == "quarantine_share"
    assert "k=1" not in json.dumps(stopped["verdict"]), "keys of rows are not for everybody"
    assert "gate scorecards stopped 2026-08" in stopped["refused"]


def test_why_a_closed_month_is_restated_travels_to_publish_in_one_piece(
    told: dict[str, Any],
) -> None:
    assert told["a reason"]["announced"]["scorecards"] == [["2026-08"], {"gates": SAID, **WHY}]
    assert told["a reason, announced"]["announced"] == {"redelivered": [["2026-08"], WHY]}
    assert told["a reason, by hand"]["reason"] == WHY
    assert told["a reason, arrived"]["reason"] == WHY
    assert told["no reason"]["reason"] == {}
    assert "--by: expected who decided it" in told["a reason of nobody"]["refused"]


def test_only_what_a_retry_may_cure_is_retried(told: dict[str, Any]) -> None:
    retried = {kind for kind in KINDS if told[kind]["retried"]}
    assert retried == {"TransientError", "SourceMissing"}


def test_connections_that_airflow_keeps_are_found_and_not_shown(told: dict[str, Any]) -> None:
    url = "https://me:s%2Fcret@desk.test/?region=eu"
    assert told["stored"]["found"] == [url, "Connection('desk')", {"region": "eu"}]
    assert "AIRFLOW_CONN_NOWHERE" in told["unknown"]["refused"]


def test_an_event_starts_the_ingest_it_names_and_a_wrong_one_stops_no_other(
    told: dict[str, Any],
) -> None:
    assert told["events"]["orders"] == [
        {
            "trigger_dag_id": f"ingest_{source}",
            "trigger_run_id": f"arrived__2026-09__announced-{at}",
            "conf": {"month": "2026-09", "announced": at},
        }
        for source, at in (("a", 10_000), ("b", 11_000))
    ]
    said = "\n".join(told["events"]["lines"])
    assert "expected one of a, b, maybe, got 'nobody'" in said
    assert "expected YYYY-MM such as 2026-09, got 'September'" in said
    assert "b: not reached (who must act: operator)" in said


def test_an_event_that_an_ingest_has_followed_starts_nothing(told: dict[str, Any]) -> None:
    (order,) = told["events, followed"]["orders"]
    assert order["conf"]["announced"] == 30_000


def test_what_is_behind_is_started_and_what_needs_a_person_is_said(told: dict[str, Any]) -> None:
    today = told["behind"]["today"]
    ingest, build = told["behind"]["orders"]
    assert ingest["trigger_dag_id"] == "ingest_a"
    assert build == {
        "trigger_dag_id": "transform",
        "trigger_run_id": f"healed__2026-09__k__{today}",
        "conf": {"month": "2026-09", "as_of": "2026-11"},
    }
    said = [line for line in told["behind"]["lines"] if "who must act: data owner" in line]
    assert len(said) == 2


@pytest.mark.parametrize(
    ("case", "started"),
    [
        ("on its way", ["publish"]),
        ("at work", ["ingest_a"]),
        ("looking", ["transform"]),
        ("waiting in a paused DAG", ["transform"]),
    ],
)
def test_what_is_on_its_way_or_at_work_is_not_started_again(
    told: dict[str, Any], case: str, started: list[str]
) -> None:
    assert [order["trigger_dag_id"] for order in told[case]["orders"]] == started
