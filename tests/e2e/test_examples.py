"""The example companies on real data, against counts made by scripts that know no pipeline."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import duckdb
import expected_ecommerce_csat
import expected_technion_calls
import expected_uci_incidents
import pytest
import tiny

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"


def data(folder: str) -> Path:
    if not (DATA / folder).is_dir():
        pytest.skip(f"third-party data is not here: {DATA / folder}")
    return DATA


def run(example: str, home: Path, *months: str) -> Path:
    for month in months:
        done = tiny.perfhouse(
            *("run", "--company", ROOT / "examples" / example, "--data", DATA),
            *("--home", home, "--month", month),
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return home


def scores(home: Path, month: str) -> dict[tuple[str, str], dict]:
    """Return the published KPI rows of a month by manager and KPI."""
    file = (home / "published" / "scorecards.duckdb").resolve()
    with duckdb.connect(str(file), read_only=True) as con:
        found = con.execute(
            "select manager_id, kpi_id, numerator, denominator, value, status, score "
            "from scorecard_kpi_months where month = ?",
            [f"{month}-01"],
        )
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return {(row["manager_id"], row["kpi_id"]): row for row in rows}


def facts(home: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as con:
        return con.execute(sql).fetchall()


def landed(home: Path, source: str, month: str) -> dict:
    file = home / "raw" / "_manifests" / f"month={month}" / f"source={source}.json"
    return json.loads(file.read_text(encoding="utf-8"))["streams"]


def committed(example: str) -> dict:
    return json.loads((ROOT / "examples" / example / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("example", "folder", "script"),
    [
        ("ecommerce_csat", "ecommerce_csat", expected_ecommerce_csat),
        ("technion_calls", "technion_calls", expected_technion_calls),
        ("uci_incidents", "uci_incident_event_log", expected_uci_incidents),
    ],
)
def test_the_committed_counts_are_what_the_script_counts(example, folder, script) -> None:
    counted, kept = script.expected(data(folder)), committed(example)
    if counted["inputs"] != kept["inputs"]:
        pytest.skip("the data folder holds other files than those expected.json was made from")
    assert json.loads(json.dumps(counted)) == kept


# ---------------------------------------------------------------- ecommerce_csat


@pytest.fixture(scope="module")
def ecommerce(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    counted = expected_ecommerce_csat.expected(data("ecommerce_csat"))
    return run("ecommerce_csat", tmp_path_factory.mktemp("ecommerce"), "2023-08"), counted


def test_csat_of_the_six_managers_is_exactly_the_direct_count(ecommerce) -> None:
    home, counted = ecommerce
    found = scores(home, "2023-08")
    rated = {
        manager: {"satisfied": int(row["numerator"]), "rated": int(row["denominator"])}
        for (manager, kpi), row in found.items()
        if kpi == "csat_rate"
    }
    assert rated == counted["csat_rate"]
    assert len(rated) == 6
    for manager, n in rated.items():
        value = Decimal(n["satisfied"]) / Decimal(n["rated"])
        assert found[manager, "csat_rate"]["value"] == round(value, 6)
        assert found[manager, "csat_rate"]["status"] == "scored"


def test_handling_time_is_not_enough_data_and_never_zero(ecommerce) -> None:
    home, counted = ecommerce
    found = scores(home, "2023-08")
    for manager, known in counted["average_handle_time"].items():
        row = found[manager, "average_handle_time"]
        assert row["status"] == "insufficient_data"
        assert row["score"] is None
        assert row["value"] is None or row["value"] > 0
        assert int(row["denominator"]) == known


def test_dates_are_day_month_and_lost_times_are_unknown(ecommerce) -> None:
    home, counted = ecommerce
    streams = landed(home, "support", "2023-08")
    counts = counted["counts"]
    assert streams["tickets"]["landed"] == counts["tickets"], "nothing is lost"
    assert (
        sum(streams["tickets"]["unknown"].get("first_response_at", {}).values())
        == (counts["lost_times"])
    )
    created = facts(
        home,
        "select strftime(created_on, '%Y-%m'), count(*) from core.fct_tickets "
        "where month = date '2023-08-01' group by 1",
    )
    assert dict(created) == counted["reported_in"]
    negative = "select count(*) from core.fct_tickets where first_reply_at < created_at"
    assert facts(home, negative) == [(0,)]


def test_the_projections_add_up_row_by_row(ecommerce) -> None:
    home, counted = ecommerce
    for name, stream in landed(home, "support", "2023-08").items():
        assert stream["rows_in"] == stream["landed"] + stream["duplicates"] + stream["quarantined"]
        assert stream["quarantined"] == 0, name
        assert stream["undeclared_fields"] == [], name
    roster = landed(home, "support", "2023-08")["hr_roster"]
    assert roster["landed"] == counted["counts"]["roster"]


# ---------------------------------------------------------------- a further week of the same set

HEADER = (
    "Agent_name,Unique id,,channel_name,category,Sub-category,Customer Remarks,Order_id,"
    "order_date_time,Issue_reported at,issue_responded,Survey_response_Date,Customer_City,"
    "Product_category,Item_price,connected_handling_time,Supervisor,Manager,Tenure Bucket,"
    "Agent Shift,CSAT Score"
)


def contact(key: str, reported: str, responded: str, day: str, score: int, time: str = "") -> str:
    return (
        f'Dr. Ann Lee DVM,{key},1,Inbound,Returns,x,"so, ""??""\nfine",o,,{reported},{responded},'
        f"{day},,,,{time},Sue Roe,Emily Chen,>90,Morning,{score}"
    )


def test_a_file_with_a_mark_other_column_order_and_lost_times_lands_whole(tmp_path: Path) -> None:
    rows = [
        contact("k1", "29/08/2023 13:05", "29/08/2023 00:00", "29-Aug-23", 5),
        contact("k2", "29/08/2023 13:05", "29/08/2023 13:55", "29-Aug-23", 4, "61.5"),
        contact("k3", "31/07/2023 23:50", "01/08/2023 00:10", "01-Aug-23", 3),
        contact("k4", "08/09/2023 10:00", "08/09/2023 10:05", "08-Sep-23", 5),
    ]
    file = tmp_path / "data" / "ecommerce_csat" / "week.csv"
    tiny.put(file, "\ufeff" + HEADER, *rows)
    words = ("--company", ROOT / "examples" / "ecommerce_csat", "--data", tmp_path / "data")
    done = tiny.perfhouse("ingest", *words, "--home", tmp_path / "home", "--month", "2023-08")
    assert done.returncode == 0, done.stdout + done.stderr

    streams = landed(tmp_path / "home", "support", "2023-08")
    assert {name: stream["landed"] for name, stream in streams.items()} == {
        "tickets": 3,
        "survey_responses": 3,
        "calls": 1,
        "hr_roster": 1,
    }
    assert {stream["quarantined"] for stream in streams.values()} == {0}
    assert sum(streams["tickets"]["unknown"]["first_response_at"].values()) == 1
    paths = [tmp_path / "home" / f["path"] for f in streams["tickets"]["files"]]
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        found = con.execute(
            "select ticket_id, cast(created_at as varchar), cast(first_response_at as varchar) "
            "from read_parquet(?) order by 1",
            [[str(path) for path in paths]],
        ).fetchall()
    assert found == [
        ("k1", "2023-08-29 07:35:00+00", None),
        ("k2", "2023-08-29 07:35:00+00", "2023-08-29 08:25:00+00"),
        ("k3", "2023-07-31 18:20:00+00", "2023-07-31 18:40:00+00"),
    ]


# ---------------------------------------------------------------- technion_calls


@pytest.mark.nightly
def test_the_queue_kpis_of_august_1999_are_the_direct_count(tmp_path: Path) -> None:
    counted = expected_technion_calls.expected(data("technion_calls"))
    home = run("technion_calls", tmp_path, "1999-08")
    found = scores(home, "1999-08")
    assert {manager for manager, _ in found} == {"centre-manager"}
    for kpi in ("service_level", "speed_of_answer", "abandonment_rate"):
        row = found["centre-manager", kpi]
        assert [int(row["numerator"]), int(row["denominator"])] == counted[kpi], kpi
        assert row["status"] == "scored"
    calls = landed(home, "acd", "1999-08")["calls"]
    assert (calls["rows_in"], calls["landed"]) == (counted["counts"]["calls"],) * 2

    spans = facts(
        home, "select count(*), min(ended_at - started_at) >= interval 0 second from core.fct_calls"
    )
    others = counted["counts"]["ended in another month"]
    assert spans == [(counted["counts"]["calls"] - others, True)], "nights wrap, never negative"
    unknown = facts(
        home, "select source_user_id, event_count from core.unmatched_people where stream = 'calls'"
    )
    assert unknown == [("NO_SERVER", counted["counts"]["no agent named"])]


# ---------------------------------------------------------------- uci_incidents


@pytest.mark.nightly
def test_sla_and_reopening_by_group_are_the_direct_count_of_final_versions(tmp_path: Path) -> None:
    month = "2016-04"
    counted = expected_uci_incidents.expected(data("uci_incident_event_log"), (month,))
    counted = counted["months"][month]
    home = run("uci_incidents", tmp_path, month)
    found = scores(home, month)
    groups = {
        group: n
        for group, n in counted["groups"].items()
        if any(manager == f"Lead of {group}" for manager, _ in found)
    }
    for group, n in groups.items():
        sla = found[f"Lead of {group}", "sla_met_rate"]
        reopened = found[f"Lead of {group}", "reopen_rate"]
        assert (int(sla["numerator"] or 0), int(sla["denominator"] or 0)) == (
            n["sla_met"],
            n["sla_settled"],
        ), group
        assert (int(reopened["numerator"] or 0), int(reopened["denominator"] or 0)) == (
            n["reopened"],
            n["resolved"],
        ), group
    assert set(counted["groups"]) == set(groups), "every group's lead has a scorecard"

    resolved = facts(
        home,
        "select resolver_id, count(*) from core.fct_tickets where month = date '2016-04-01' "
        "and resolved_on >= date '2016-04-01' and resolved_on < date '2016-05-01' group by 1",
    )
    by_group: Counter = Counter()
    for position, n in resolved:
        resolver, _, group = position.partition(" @ ")
        by_group["unmatched" if "?" in (resolver, group) else group] += n
    expected = {group: n["resolved"] for group, n in counted["groups"].items()}
    assert by_group == {**expected, "unmatched": counted["unmatched"]["resolved"]}
