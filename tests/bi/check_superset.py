"""Superset for real, with what this home has published: `make bi-check` names this file.

Not collected by `make test`: it starts PostgreSQL, Superset and Chromium, and takes minutes.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import browser
import psycopg
import pytest

from bi import bundle, charts, dashboards, kpis, logins, rights, serve
from bi.api import Superset
from bi.datasets import KPI_MONTHS, MANAGER_MONTHS, TEAM_MONTHS, Dataset
from bi.datasets_operations import HR_NAMES, VERDICTS
from bi.serve import Running, Settings
from bi.superset import mart_login
from perfhouse import processes, warehouse
from perfhouse.errors import ConfigError, PerfhouseError
from perfhouse.mart.readers import Reader
from perfhouse.settings import Home

if TYPE_CHECKING:
    import duckdb

HOME = Path(os.environ.get("PERFHOUSE_BI_CHECK_HOME", "data")).resolve()
PICTURES = Path(os.environ.get("PERFHOUSE_BI_CHECK_OUT", str(HOME / "bi" / "check")))
PUBLISHED = HOME / "published" / "scorecards.duckdb"
FIRST = "Str0ng-enough"
HEIGHTS = {"overview": 2800, "manager": 3000, "operations": 2100, "names": 1100}
pytestmark = pytest.mark.timeout(1800)


@dataclass
class Checked:
    """A Superset that runs, the passwords of its users and what the release holds."""

    up: Running
    passwords: dict[str, str]
    con: duckdb.DuckDBPyConnection
    leaf: str
    other: str
    director: str

    def session(self, user: str) -> Superset:
        return Superset(self.up.url, user, self.passwords[user])

    def one(self, query: str, *values: Any) -> Any:
        row = self.con.execute(query, list(values)).fetchone()
        assert row is not None
        return row[0]

    def ids(self, key: str = "dataset") -> dict[str, int]:
        name = {"dataset": "table_name", "chart": "slice_name", "dashboard": "dashboard_title"}
        with self.session("admin") as superset:
            return {row["uuid"]: row["id"] for row in superset.listed(f"{key}/", name[key])}

    def newest(self) -> Any:
        return self.one("select max(month) from scorecard_manager_months")

    def below(self, manager: str) -> set[str]:
        rows = self.con.execute(
            "select manager_id from scorecard_manager_tree where ancestor_id = ? and month = ?",
            [manager, self.newest()],
        ).fetchall()
        return {row[0] for row in rows}


@pytest.fixture(scope="module")
def checked() -> Iterator[Checked]:
    assert PUBLISHED.exists(), f"nothing is published in {HOME}; run `make run`"
    root = Path(tempfile.mkdtemp(prefix="perfhouse-bi-", dir="/tmp"))
    root.chmod(0o755)
    (root / "published").symlink_to(HOME / "published")
    con = warehouse.connect(PUBLISHED.resolve(), read_only=True)
    leaf, other, director = _managers(con)
    people = root / "readers.csv"
    people.write_text(
        "login,role,manager_id\nhr,hr,\nanalyst,analyst,\n"
        f"{leaf},manager,{leaf}\n{other},manager,{other}\n{director},manager,{director}\n"
        f"two.posts@example.com,manager,{leaf}\ntwo.posts@example.com,manager,{other}\n",
        encoding="utf-8",
    )
    settings = Settings(
        Home(root), HOME / "demo" / "company", people, port=processes.free_port(),
        venv=HOME / "bi" / "venv",
    )  # fmt: skip
    try:
        with serve.running(settings, print) as up:
            lines = up.accounts.read_text(encoding="utf-8").splitlines()[1:]
            passwords = {line.split(",")[0]: line.split(",")[2] for line in lines}
            passwords["admin"] = up.instance.admin_password
            yield Checked(up, passwords, con, leaf, other, director)
    except BaseException:
        log = root / "bi" / "superset" / "superset.log"
        if log.exists():
            PICTURES.mkdir(parents=True, exist_ok=True)
            shutil.copy(log, PICTURES / "superset.log")
        raise
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _managers(con: duckdb.DuckDBPyConnection) -> tuple[str, str, str]:
    """Pick two managers with nobody below them and one who has several, all with a total."""
    rows = con.execute(
        "select s.manager_id, count(t.manager_id) from scorecard_manager_months as s "
        "join scorecard_manager_tree as t on t.month = s.month and t.ancestor_id = s.manager_id "
        "where s.month = (select max(month) from scorecard_manager_months) "
        "and s.total_score is not null group by 1 order by 1"
    ).fetchall()
    leaves = [who for who, below in rows if below == 1]
    middle = [who for who, below in rows if 1 < below < len(rows)]
    return leaves[0], leaves[1], middle[0]


def ask(superset: Superset, dataset: int, **query: Any) -> tuple[int, Any]:
    """Ask as a chart does; return the status, and rows or what is said."""
    body = {
        "datasource": {"id": dataset, "type": "table"},
        "queries": [{"columns": [], "filters": [], "row_limit": 10000, **query}],
        "result_format": "json",
        "result_type": "full",
    }
    answer = superset.ask("POST", "chart/data", json=body)
    if answer.status_code != 200:
        return answer.status_code, answer.text
    return 200, answer.json()["result"][0]["data"]


def sql(expression: str) -> dict[str, str]:
    return {"expressionType": "SQL", "sqlExpression": expression, "label": "x"}


def user(name: str, roles: list[int]) -> dict[str, Any]:
    return {
        "username": name, "first_name": name, "last_name": name, "email": f"{name}@localhost",
        "password": FIRST, "active": True, "roles": roles,
    }  # fmt: skip


def uuid(dataset: Any) -> str:
    return bundle.identity("dataset", dataset.key)


def stand(checked: Checked) -> dict[str, Any]:
    paths = {
        "chart/": "slice_name", "dataset/": "table_name", "dashboard/": "dashboard_title",
        "database/": "database_name", "rowlevelsecurity/": "name", "security/roles/": "id",
        "security/users/": "id",
    }  # fmt: skip
    with checked.session("admin") as superset:
        return {
            path: sorted((row["id"], row.get("uuid", "")) for row in superset.listed(path, order))
            for path, order in paths.items()
        }


def test_a_second_import_changes_nothing(checked: Checked) -> None:
    before = stand(checked)
    assert checked.up.bring_up("zh", print) == []
    assert stand(checked) == before
    assert len(before["chart/"]) == len(charts.CHARTS)
    assert len(before["dashboard/"]) == len(dashboards.DASHBOARDS)


def test_every_chart_has_rows(checked: Checked) -> None:
    numbers = checked.ids("chart")
    with checked.session("hr") as superset:
        for chart in charts.CHARTS:
            number = numbers[bundle.identity("chart", chart.key)]
            answer = superset.ask("GET", f"chart/{number}/data/")
            assert answer.status_code == 200, (chart.key, answer.text[:500])
            result = answer.json()["result"][0]
            assert result["error"] is None, chart.key
            first = next(iter(chart.dataset.tables.values()))
            if checked.one(f"select count(*) from {first}"):
                assert result["rowcount"] > 0, chart.key


def of_month(checked: Checked, dataset: Dataset, **query: Any) -> list[dict[str, Any]]:
    """Ask a data set of the newest month as an analyst, who sees every row."""
    month = [{"col": "month", "op": "==", "val": str(checked.newest())}]
    with checked.session("analyst") as superset:
        status, rows = ask(superset, checked.ids()[uuid(dataset)], filters=month, **query)
    assert status == 200, rows
    return list(rows)


def test_company_numbers_are_those_that_the_release_has_of_who_stands_above_all(
    checked: Checked,
) -> None:
    """The metrics add up teams; the release added up everybody below each manager without one."""
    month = checked.newest()
    tops = (
        "select manager_id from scorecard_manager_tree where month = $month "
        "group by manager_id having count(*) = 1"
    )
    of_tops = dict(
        checked.con.execute(
            "select kpi_id, round(sum(numerator)::double / sum(denominator)::double, 6) "
            f"from scorecard_kpi_months where month = $month and manager_id in ({tops}) "
            "group by kpi_id having count(numerator) = count(*) and sum(denominator) <> 0",
            {"month": month},
        ).fetchall()
    )
    names = [kpi.id for kpi in kpis.read()]
    rows = of_month(checked, TEAM_MONTHS, metrics=names)
    told = {name: rows[0][name] for name in names if rows[0][name] is not None}
    assert len(told) >= 5
    assert told == pytest.approx({name: of_tops[name] for name in told}, abs=2e-6)
    by_kpi = {
        row["kpi_id"]: row
        for row in of_month(
            checked, TEAM_MONTHS, columns=["kpi_id"], metrics=["kpi_value", "sample"]
        )
    }
    assert {name: by_kpi[name]["kpi_value"] for name in told} == told
    newest = checked.one("select company || ' ' || release from releases where month = ?", month)
    if newest == "demo 2026-09.r1":  # 3,102 of 4,385 answers are satisfied
        assert told["csat_rate"] == 0.707412
        assert by_kpi["csat_rate"]["sample"] == 4385


def test_each_manager_has_the_scorecards_value_and_several_together_have_none(
    checked: Checked,
) -> None:
    names = [kpi.id for kpi in kpis.read()]
    released = checked.con.execute(
        "select manager_id, kpi_id, value::double from scorecard_kpi_months where month = ?",
        [checked.newest()],
    ).fetchall()
    rows = of_month(checked, KPI_MONTHS, columns=["manager_id"], metrics=names)
    told = {(row["manager_id"], name): row[name] for row in rows for name in names}
    assert len(released) > 50
    for who, kpi, value in released:
        assert told[who, kpi] == (value if value is None else pytest.approx(value, abs=1e-9))
    everybody = of_month(checked, KPI_MONTHS, metrics=names)[0]
    assert all(everybody[name] is None for name in names)


@pytest.fixture
def rows_of(checked: Checked) -> Any:
    number = checked.ids()[uuid(MANAGER_MONTHS)]

    def asked(user: str) -> list[str]:
        with checked.session(user) as superset:
            month = {"col": "month", "op": "==", "val": str(checked.newest())}
            status, rows = ask(superset, number, columns=["manager_id"], filters=[month])
        assert status == 200, rows
        return sorted(row["manager_id"] for row in rows)

    return asked


def test_a_manager_sees_one_row_and_hr_all(checked: Checked, rows_of: Any) -> None:
    month = checked.newest()
    everybody = checked.con.execute(
        "select manager_id from scorecard_manager_months where month = ? order by 1", [month]
    ).fetchall()
    every = [row[0] for row in everybody]
    assert len(every) > 5
    assert rows_of("hr") == every
    assert rows_of(checked.leaf) == [checked.leaf]
    assert rows_of(checked.other) == [checked.other]
    assert rows_of("analyst") == every
    assert rows_of("two.posts@example.com") == sorted([checked.leaf, checked.other])
    below = checked.below(checked.director)
    assert rows_of(checked.director) == sorted(below & set(every))
    assert 1 < len(below) < len(every)


def test_a_manager_cannot_read_others_by_any_road(checked: Checked) -> None:
    datasets = checked.ids()
    totals = datasets[uuid(MANAGER_MONTHS)]
    other = checked.other
    query = (
        f"select manager_id from perfhouse.scorecard_manager_months where manager_id = '{other}'"
    )
    by_function = sql(f"max(query_to_xml($${query}$$, true, true, '')::text)")
    with checked.session(checked.leaf) as superset:
        equal = [{"col": "manager_id", "op": "==", "val": other}]
        assert ask(superset, totals, columns=["manager_id"], filters=equal) == (200, [])
        for extras in (
            {"where": "1=1) or (1=1"},
            {"where": f"manager_id = '{other}' or 1 = 1"},
            {"where": f"manager_id in ({query})"},
            {"having": "1 = 1 or 1 = 1"},
        ):
            _, said = ask(superset, totals, columns=["manager_id"], metrics=["managers"],
                          extras=extras)  # fmt: skip
            assert other not in json.dumps(said).replace(query, "").replace(str(extras), ""), said
            if isinstance(said, list):
                assert {row["manager_id"] for row in said} <= {checked.leaf}
        status, said = ask(superset, totals, metrics=[sql(f"max(({query}))")])
        assert status in (400, 403), said
        # Superset lets a function run a query of its own: the mart's row rights hold all the same.
        status, said = ask(superset, totals, metrics=[by_function])
        assert status != 200 or other not in json.dumps(said), said
        for role in (mart_login.ANALYST, "perfhouse_hr", mart_login.of_manager(other)):
            status, said = ask(
                superset, totals, metrics=[sql(f"set_config('role', '{role}', false)")]
            )
            assert status == 400, said
        for dataset in (HR_NAMES, VERDICTS):
            status, said = ask(superset, datasets[uuid(dataset)], columns=["month"])
            assert status == 403, said


def test_a_manager_reads_dashboards_and_makes_nothing(checked: Checked) -> None:
    totals = checked.ids()[uuid(MANAGER_MONTHS)]
    shown = checked.ids("dashboard")
    with checked.session("admin") as superset:
        database = superset.listed("database/", "database_name")[0]["id"]
    body = {"database_id": database, "sql": "select 1", "schema": "perfhouse"}
    table = {"database": database, "schema": "perfhouse", "table_name": "releases"}
    chart = {"slice_name": "x", "viz_type": "table", "datasource_id": totals,
             "datasource_type": "table", "params": "{}"}  # fmt: skip
    with checked.session(checked.leaf) as superset:
        titles = {row["uuid"] for row in superset.listed("dashboard/", "dashboard_title")}
        assert titles == {bundle.identity("dashboard", key) for key in ("overview", "manager")}
        for method, path, content in (
            ("POST", "sqllab/execute/", body),
            ("POST", "dataset/", table),
            ("PUT", f"dataset/{totals}", {"sql": "select 1"}),
            ("DELETE", f"dataset/{totals}", None),
            ("POST", "chart/", chart),
            ("GET", "rowlevelsecurity/", None),
            ("GET", "security/users/", None),
            ("GET", "security/roles/", None),
            ("GET", "database/", None),
            ("GET", f"dataset/export/?q=!({totals})", None),
        ):
            answer = superset.ask(method, path, json=content)
            assert answer.status_code == 403, (method, path, answer.status_code, answer.text[:300])
        hidden = shown[bundle.identity("dashboard", "operations")]
        assert superset.ask("GET", f"dashboard/{hidden}").status_code in (403, 404)


def test_an_analyst_sees_no_names(checked: Checked) -> None:
    names = checked.ids()[uuid(HR_NAMES)]
    with checked.session("admin") as superset:
        rows = superset.listed("database/", "database_name")
    databases = {row["database_name"]: row["id"] for row in rows}
    query = "select count(display_name) as x from perfhouse.hr_manager_names"
    with checked.session("analyst") as superset:
        assert ask(superset, names, columns=["display_name"])[0] == 403
        for database, expected in (("perfhouse", "permission denied"), ("perfhouse_hr", "")):
            body = {"database_id": databases[database], "sql": query, "schema": "perfhouse"}
            answer = superset.ask("POST", "sqllab/execute/", json=body)
            assert answer.status_code != 200, answer.text[:300]
            assert expected in answer.text
        body = {"database_id": databases["perfhouse"], "schema": "perfhouse",
                "sql": "select count(*) as x from perfhouse.scorecard_manager_months"}  # fmt: skip
        answer = superset.ask("POST", "sqllab/execute/", json=body)
        assert answer.status_code == 200, answer.text[:300]
        every = checked.one("select count(*) from scorecard_manager_months")
        assert answer.json()["data"] == [{"x": every}]
    with checked.session("hr") as superset:
        status, rows = ask(superset, names, columns=["display_name"])
        assert status == 200
        assert len([row for row in rows if row["display_name"]]) > 5


def test_both_locks_hold_alone(checked: Checked) -> None:
    """Superset's rule is in the query; the mart shows the login its own rows without it."""
    number = checked.ids()[uuid(MANAGER_MONTHS)]
    with checked.session(checked.leaf) as superset:
        body = {
            "datasource": {"id": number, "type": "table"}, "result_type": "query",
            "queries": [{"columns": ["manager_id"]}], "result_format": "json",
        }  # fmt: skip
        text = superset.ask("POST", "chart/data", json=body).text
    assert f"ancestor_id = '{checked.leaf}'" in text
    login = mart_login.of_manager(checked.leaf)
    secret = mart_login.password(checked.up.instance.login_key, login)
    address = f"postgresql://{login}:{secret}@{checked.up.places.mart}"
    with psycopg.connect(address) as con:
        seen = con.execute(
            "select distinct manager_id from perfhouse.scorecard_manager_months"
        ).fetchall()
    assert seen == [(checked.leaf,)]


def test_superset_s_rule_binds_even_who_asks_the_mart_as_an_analyst(
    checked: Checked, rows_of: Any
) -> None:
    with checked.session("admin") as superset:
        roles = {row["name"]: row["id"] for row in superset.listed("security/roles/")}
        names = (mart_login.ANALYST_ROLE, rights.role_of(checked.leaf))
        superset.post("security/users/", user("both", [roles[name] for name in names]))
    checked.passwords["both"] = FIRST
    assert rows_of("both") == [checked.leaf]


def test_who_is_taken_off_the_list_sees_nothing(checked: Checked) -> None:
    left = [p for p in checked.up.people if p.login != checked.other]
    new: list[rights.Given] = []
    try:
        logins.make(serve.MART_ADMIN, checked.up.instance.login_key, left)
        assert rights.apply(checked.up.instance, left, new.extend) == []
        with pytest.raises(ConfigError):  # without a role nobody logs in
            checked.session(checked.other)
        login = mart_login.of_manager(checked.other)
        secret = mart_login.password(checked.up.instance.login_key, login)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(f"postgresql://{login}:{secret}@{checked.up.places.mart}")
    finally:
        logins.make(serve.MART_ADMIN, checked.up.instance.login_key, checked.up.people)
        rights.apply(checked.up.instance, checked.up.people, new.extend)
    assert new == []
    checked.session(checked.other)


def test_a_plan_that_cannot_be_done_changes_nothing(
    checked: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A permission that this Superset lacks is found after roles were made."""
    before = stand(checked)
    new = [*checked.up.people, Reader("late", "manager", ("LATE",))]
    monkeypatch.setattr(rights, "_OF_READERS", {("can_read", "Nothing of the kind")})
    with pytest.raises(PerfhouseError, match="Nothing of the kind"):
        rights.apply(checked.up.instance, new, lambda _: None)
    assert stand(checked) == before


def test_who_has_no_role_of_ours_sees_no_row(checked: Checked) -> None:
    """A rule of Superset's shows nobody a row, and no login of the mart stands behind them."""
    number = checked.ids()[uuid(MANAGER_MONTHS)]
    with checked.session("admin") as superset:
        roles = {row["name"]: row["id"] for row in superset.listed("security/roles/")}
        every = superset.listed("security/permissions-resources/")
        data = [p["id"] for p in every if p["permission"]["name"] == "all_datasource_access"]
        role = superset.post("security/roles/", {"name": "everything"})["id"]
        superset.post(f"security/roles/{role}/permissions", {"permission_view_menu_ids": data})
        superset.post("security/users/", user("new", [role, roles["Gamma"]]))
    checked.passwords["new"] = FIRST
    with checked.session("new") as superset:
        status, said = ask(superset, number, columns=["manager_id"])
    assert status != 200, said
    assert "no role of perfhouse" in said


@pytest.mark.skipif(
    browser.CHROMIUM is None and not os.environ.get("CI"), reason="no chromium here"
)
@pytest.mark.parametrize(
    ("user", "pages"),
    [("hr", ("overview", "manager", "operations", "names")), ("leaf", ("overview", "manager"))],
)
def test_pages_in_chinese_ask_nobody_else(
    checked: Checked, tmp_path: Path, user: str, pages: tuple[str, ...]
) -> None:
    name = checked.leaf if user == "leaf" else user
    cookie = browser.session(checked.up.url, name, checked.passwords[name])
    host = checked.up.url.split("//")[1]
    by_key = {dashboard.key: dashboard for dashboard in dashboards.DASHBOARDS}
    with browser.page(tmp_path / "profile", 1500, 1000) as opened:
        browser.enter(opened, checked.up.url, cookie)
        for key in pages:
            opened.call("Emulation.setDeviceMetricsOverride", width=1500, height=HEIGHTS[key],
                        deviceScaleFactor=1, mobile=False)  # fmt: skip
            address = f"{checked.up.url}/superset/dashboard/perfhouse-{key}/"
            opened.call("Page.navigate", url=address)
            count = len(by_key[key].charts)
            opened.until(
                f"document.querySelectorAll('.dashboard-component-chart-holder').length === {count}"
            )
            opened.until("document.querySelectorAll('.loading').length === 0")
            opened.until(
                "document.querySelectorAll('.dashboard-component-chart-holder canvas,"
                ".dashboard-component-chart-holder table,.header-line').length > 0"
            )
            opened.pause(3)
            opened.until("document.querySelectorAll('.loading').length === 0")
            opened.picture(PICTURES / f"{user}-{key}.png")
            text = opened.run(browser.TEXT)
            assert opened.run("document.title") == by_key[key].title[0]
            for chart in by_key[key].charts:
                assert chart.title[0] in text, chart.key
            assert not opened.run("document.querySelectorAll('.ant-alert-error').length"), text
            assert "看板" in text  # the frame speaks Chinese, too
            if user == "leaf":
                assert checked.other not in text
        assert opened.outside(host) == []
        refused = {opened.requests[number] for number in opened.blocked}
        assert all("scarf.sh" in url for url in refused), refused
