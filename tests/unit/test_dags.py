"""The DAG files parse, carry their owners and wire assets; read by Airflow in its own process."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DAGS = ROOT / "dags"
EXAMPLE = ROOT / "examples" / "uci_incidents"

READ = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

bag = DagBag(sys.argv[1])
dags = {}
for dag in bag.dags.values():
    DagSerialization.serialize_dag(dag)
    tasks = {
        t.task_id: {
            "owner": t.owner,
            "retries": t.retries,
            "down": sorted(t.downstream_task_ids),
            "outlets": [o.name for o in t.outlets],
            "pool": t.pool,
            "minutes": t.execution_timeout.total_seconds() / 60 if t.execution_timeout else None,
            "policy": [str(rule.exception) for rule in getattr(t.retry_policy, "rules", ())],
            "teardown": t.is_teardown and not t.on_failure_fail_dagrun,
        }
        for t in dag.tasks
    }
    dags[dag.dag_id] = {
        "tags": sorted(dag.tags),
        "doc": dag.doc_md,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "hours": dag.dagrun_timeout.total_seconds() / 3600 if dag.dagrun_timeout else None,
        "deadline": [
            [type(each.reference).__name__, each.interval.total_seconds(), each.callback.path]
            for each in dag.deadline or ()
        ],
        "timetable": type(dag.timetable).__name__,
        "start_date": str(dag.start_date or ""),
        "schedule": str(getattr(dag.timetable, "asset_condition", "")),
        "tasks": tasks,
        "watchers": [
            watcher.trigger.serialize()
            for asset in getattr(getattr(dag.timetable, "asset_condition", None), "objects", ())
            for watcher in getattr(asset, "watchers", ())
        ],
    }
print("@@" + json.dumps({"dags": dags, "errors": bag.import_errors}))
"""


EVERYTHING = """
[sign_off]
approvers = ["hr.lead"]
deadline_hours = 48
[deadlines]
run_minutes = 90
[[exports.hr]]
url = "/srv/hr/in"
plain = true
[[notices]]
id = "it"
kind = "wecom_robot"
connection = "robot"
[arrivals]
poll_seconds = 7
"""


def read_bag(home: Path, company: Path | None, **more: str) -> dict[str, Any]:
    """Parse the DAG folder as the dag-processor does, with its own AIRFLOW_HOME."""
    env = {
        "PATH": str(Path(sys.executable).parent),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "false",
        "PERFHOUSE_HOME": str(home / "home"),
        **({"PERFHOUSE_COMPANY": str(company)} if company else {}),
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-c", READ, str(DAGS)],
        env=env,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"^@@(.*)$", done.stdout, re.MULTILINE)
    assert found, done.stderr[-3000:]
    return dict(json.loads(found[1]))


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return read_bag(tmp_path_factory.mktemp("bag"), EXAMPLE)


def test_every_dag_file_parses(bag: dict[str, Any]) -> None:
    assert bag["errors"] == {}
    ingests = {dag_id for dag_id in bag["dags"] if dag_id.startswith("ingest_")}
    assert set(bag["dags"]) == ingests | {"transform", "publish", "reconcile"}
    assert len(ingests) == (EXAMPLE / "perfhouse.toml").read_text("utf-8").count("[[sources]]")


def test_every_dag_says_what_it_is_and_whose(bag: dict[str, Any]) -> None:
    for dag in bag["dags"].values():
        assert "perfhouse" in dag["tags"]
        assert len(dag["doc"]) > 200
        for task in dag["tasks"].values():
            assert task["owner"] not in ("", "airflow")
            assert task["retries"] > 0


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return every DAG there is: of a company that wants all of it, with a writer's pool."""
    root = tmp_path_factory.mktemp("everything")
    shutil.copytree(EXAMPLE, root / "company")
    with (root / "company" / "perfhouse.toml").open("a", encoding="utf-8") as handle:
        handle.write(EVERYTHING)
    found = read_bag(root, root / "company", PERFHOUSE_POOL="warehouse")
    assert found["errors"] == {}
    return dict(found["dags"])


def test_every_dag_there_is_has_words_tags_owners_and_limits(everything: dict[str, Any]) -> None:
    rest = {dag_id for dag_id in everything if not dag_id.startswith("ingest_")}
    assert rest == {path.stem for path in DAGS.glob("*.py")} - {"ingest"}
    for dag_id, dag in everything.items():
        assert len(dag["doc"]) > 200, dag_id
        assert {"perfhouse", dag_id.split("_")[0]} <= set(dag["tags"]), dag_id
        for task_id, task in dag["tasks"].items():
            assert task["owner"] not in ("", "airflow")
            assert 0 < task["minutes"] <= 60 * dag["hours"], (dag_id, task_id)
            assert [each.strip("'>").rpartition(".")[2] for each in task["policy"]] == [
                "TransientError"
            ]


def test_who_writes_the_warehouse_queues_for_its_one_slot_where_there_is_such_a_pool(
    everything: dict[str, Any], bag: dict[str, Any]
) -> None:
    writers = {
        (dag_id, task_id)
        for dag_id, dag in everything.items()
        for task_id, task in dag["tasks"].items()
        if task["pool"] == "warehouse"
    }
    gates = {"gate_raw", "build", "gate_facts", "gate_scorecards", "stopped"}
    assert writers == {
        *(("transform", each) for each in gates), ("publish", "ask"), ("publish", "publish"),
    }  # fmt: skip
    pools = {task["pool"] for dag in bag["dags"].values() for task in dag["tasks"].values()}
    assert pools == {"default_pool"}, "a pool that nobody made lets nothing run"


def test_a_run_that_takes_too_long_is_told_of_and_a_persons_hours_come_on_top(
    everything: dict[str, Any], bag: dict[str, Any]
) -> None:
    told = {dag_id: dag["deadline"] for dag_id, dag in everything.items() if dag["deadline"]}
    reference, callback = "DagRunQueuedAtDeadline", "perfhouse.orchestration.missed"
    assert told == {
        "transform": [[reference, 90 * 60, callback]],
        "publish": [[reference, 90 * 60 + 48 * 3600, callback]],
    }
    assert everything["publish"]["hours"] > 48
    assert bag["dags"]["publish"]["deadline"] == [[reference, 6 * 3600, callback]]


def test_an_ingest_is_owned_by_the_owner_of_its_source(bag: dict[str, Any]) -> None:
    owners = re.findall(
        r'^owner = "(.+)"$', (EXAMPLE / "perfhouse.toml").read_text("utf-8"), re.MULTILINE
    )
    ingests = [dag for dag_id, dag in bag["dags"].items() if dag_id.startswith("ingest_")]
    assert sorted({d["tasks"]["ingest"]["owner"] for d in ingests}) == sorted(set(owners))


def test_months_run_one_at_a_time_and_nothing_runs_because_it_was_switched_on(
    bag: dict[str, Any],
) -> None:
    for dag in bag["dags"].values():
        assert dag["max_active_runs"] == 1
        assert dag["catchup"] is False
        assert dag["start_date"] == ""


def test_transform_waits_for_the_sources_or_a_redelivery(bag: dict[str, Any]) -> None:
    transform = bag["dags"]["transform"]
    assert transform["timetable"] == "PartitionedAssetTimetable"
    assert "redelivered" in transform["schedule"]
    assert "raw/" in transform["schedule"]
    assert transform["tasks"]["gate_raw"]["down"] == ["build"]
    assert transform["tasks"]["build"]["down"] == ["gate_facts"]
    assert transform["tasks"]["gate_facts"]["down"] == ["gate_scorecards"]
    assert transform["tasks"]["gate_scorecards"]["outlets"] == ["scorecards"]


def test_publish_waits_for_scorecards(bag: dict[str, Any]) -> None:
    publish = bag["dags"]["publish"]
    assert publish["timetable"] == "PartitionedAssetTimetable"
    assert "scorecards" in publish["schedule"]
    assert publish["tasks"]["publish"]["outlets"] == ["releases"]


def test_a_final_release_waits_for_a_person_only_where_a_company_has_signers(
    tmp_path: Path, bag: dict[str, Any]
) -> None:
    assert set(bag["dags"]["publish"]["tasks"]) == {"publish"}
    company = tmp_path / "company"
    shutil.copytree(EXAMPLE, company)
    with (company / "perfhouse.toml").open("a", encoding="utf-8") as handle:
        handle.write('\n[sign_off]\napprovers = ["hr.lead"]\ndeputies = ["hr.deputy"]\n')
    publish = read_bag(tmp_path, company)["dags"]["publish"]
    tasks = publish["tasks"]
    order = ["ask", "sign_off", "hand_over", "sign_off_by_deputy", "publish"]
    assert set(tasks) == set(order)
    assert [tasks[each]["down"] for each in order] == [[each] for each in order[1:]] + [[]]
    assert tasks["ask"]["outlets"] == tasks["hand_over"]["outlets"] == ["asked"]
    assert publish["max_active_runs"] > 1, "a month that waits holds up no other"


def test_deliver_waits_for_releases_where_a_company_has_receivers(
    tmp_path: Path, bag: dict[str, Any]
) -> None:
    assert "deliver" not in bag["dags"]
    company = tmp_path / "company"
    shutil.copytree(EXAMPLE, company)
    with (company / "perfhouse.toml").open("a", encoding="utf-8") as handle:
        handle.write('\n[[exports.hr]]\nurl = "/srv/hr/in"\nplain = true\n')
    deliver = read_bag(tmp_path, company)["dags"]["deliver"]
    assert deliver["timetable"] == "PartitionedAssetTimetable"
    assert "releases" in deliver["schedule"]
    assert deliver["tasks"]["deliver"]["retries"] > 0


def test_notify_waits_for_releases_and_for_what_a_gate_stopped(
    tmp_path: Path, bag: dict[str, Any]
) -> None:
    assert "notify" not in bag["dags"]
    assert all("stopped" not in dag["tasks"] for dag in bag["dags"].values())
    company = tmp_path / "company"
    shutil.copytree(EXAMPLE, company)
    with (company / "perfhouse.toml").open("a", encoding="utf-8") as handle:
        handle.write('\n[[notices]]\nid = "it"\nkind = "wecom_robot"\nconnection = "robot"\n')
    dags = read_bag(tmp_path, company)["dags"]
    assert dags["notify"]["timetable"] == "PartitionedAssetTimetable"
    assert {"releases", "stopped"} <= set(re.findall(r"\w+", dags["notify"]["schedule"]))
    assert dags["notify"]["tasks"]["notify"]["retries"] > 0
    for dag_id, last in (("transform", "gate_scorecards"), ("publish", "publish")):
        assert dags[dag_id]["tasks"][last]["down"] == ["stopped"]
        assert dags[dag_id]["tasks"]["stopped"]["outlets"] == ["stopped"]
        assert dags[dag_id]["tasks"]["stopped"]["teardown"], "the run fails where a gate did"


def test_reconcile_runs_by_the_clock_and_starts_what_it_names(bag: dict[str, Any]) -> None:
    reconcile = bag["dags"]["reconcile"]
    assert reconcile["timetable"] == "CronTriggerTimetable"
    assert set(reconcile["tasks"]) == {"compare", "start", "tell_late"}
    assert reconcile["tasks"]["compare"]["down"] == ["start"]
    assert reconcile["tasks"]["tell_late"]["down"] == []


def test_arrivals_watches_places_and_a_queue_where_a_company_says_so(
    tmp_path: Path, bag: dict[str, Any]
) -> None:
    assert "arrivals" not in bag["dags"]
    company = tmp_path / "company"
    shutil.copytree(EXAMPLE, company)
    toml = company / "perfhouse.toml"
    text = toml.read_text("utf-8").replace("[[sources]]\n", "[[sources]]\nwatch = true\n", 1)
    text = re.sub(r"(?m)^window = .*\n", "", text)
    text = re.sub(r'(?m)^path = "', 'path = "{month}/', text)
    queue = '[arrivals.queue]\nconnection = "events"\nname = "drops"\n'
    toml.write_text(f"{text}\n[arrivals]\npoll_seconds = 7\n{queue}", encoding="utf-8")
    found = read_bag(tmp_path, company)
    assert found["errors"] == {}
    arrivals = found["dags"]["arrivals"]
    assert arrivals["timetable"] == "AssetTriggeredTimetable"
    assert arrivals["tasks"]["look"]["down"] == ["start"]
    places, queue = arrivals["watchers"]
    assert places[0] == "perfhouse.triggers.PlacesTrigger"
    assert places[1]["company"] == str(company)
    assert places[1]["seconds"] == 7
    assert queue == ["perfhouse.triggers.QueueTrigger", {"connection": "events", "name": "drops"}]


def test_without_a_company_the_import_error_says_what_to_set(tmp_path: Path) -> None:
    found = read_bag(tmp_path, None)
    assert found["dags"] == {}
    assert len(found["errors"]) == len(list(DAGS.glob("*.py"))) == 7
    assert all("perfhouse.toml" in text for text in found["errors"].values())


@pytest.mark.parametrize("path", sorted(DAGS.iterdir()), ids=lambda p: p.name)
def test_the_folder_holds_small_wiring_files_only(path: Path) -> None:
    if path.name == "__pycache__":
        return
    assert path.stem in {
        *("arrivals", "ingest", "transform", "publish", "deliver", "notify", "reconcile")
    }
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 80
    assert not re.search(r"sys\.path|os\.environ|open\(|duckdb|httpx|pandas", text)
    imported = set(re.findall(r"^(?:from|import) (\S+)", text, re.MULTILINE))
    assert imported <= {"typing", "airflow.sdk", "perfhouse"}
