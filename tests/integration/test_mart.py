"""The PostgreSQL mart: the same numbers, whole at every instant, whatever dies in between."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mart_kit as kit
import psycopg
import publish_in_child as child
import pytest
import ready_sql
from mart_kit import ADMIN, AUGUST, LOADER, Mart
from servers.postgres import Postgres
from servers.process import free_port
from small_warehouse import MONTH

from expectations import gate
from perfhouse import cli, release, release_files, release_shown, stages, warehouse
from perfhouse.errors import ConfigError, ReleaseError, TransientError
from perfhouse.mart import load, migration, readers, shape
from perfhouse.mart.readers import Reader
from perfhouse.public_tables import PUBLIC_TABLES
from perfhouse.restatement import Reason
from perfhouse.settings import Home, child_environment

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(autouse=True, scope="module")
def _fast() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "_expect", child.everything_passes)
        patch.setattr(release_files, "stage_cards", child.plain_cards)
        yield


@pytest.fixture(scope="module")
def published(
    _fast: None, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mart]:
    """Two months in a mart; what changes it works on a copy (`mart`)."""
    with pytest.MonkeyPatch.context() as patch:
        made = kit.make(tmp_path_factory.mktemp("mart"), postgres, patch)
        kit.login(postgres, "reader")
        readers.grant(ADMIN, [Reader("reader", "analyst")])
        yield made


@pytest.fixture
def mart(published: Mart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mart:
    """A home and a database of the test's own, as `published` left them."""
    shutil.copytree(published.home.root, tmp_path / "home", symlinks=True)
    shutil.copytree(published.ws.company.folder, tmp_path / "company")
    name = f"copy_{abs(hash(str(tmp_path)))}"
    server = published.server
    with server.connect() as con:
        con.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
            [published.database],
        )
        con.execute(f"create database {name} template {published.database}")
    monkeypatch.setenv(f"PERFHOUSE_URL_{ADMIN.upper()}", server.url(name))
    place = f"loader:{kit.psycopg_quoted(kit.PASSWORD)}@{server.host}:{server.port}/{name}"
    monkeypatch.setenv(f"PERFHOUSE_URL_{LOADER.upper()}", f"postgresql://{place}")
    home = Home(tmp_path / "home")
    company = replace(published.ws.company, folder=tmp_path / "company")
    return Mart(server, name, home, stages.Workspace(company, tmp_path, home))


def shown(mart: Mart) -> dict[str, int]:
    """Return the number of the release of each month, as an analyst reads it."""
    return dict(
        mart.ask("reader", "select left(month::text, 7), number from perfhouse.releases order by 1")
    )


def follow(mart: Mart, **options: Any) -> list[Any]:
    return load.load(mart.home, "small", LOADER, progress=lambda _: None, **options)


def only_local(mart: Mart, seed: int) -> None:
    """Publish September without the mart."""
    kit.build(mart.home, MONTH, seed)
    company = replace(mart.ws.company, mart=None)
    child.judge(mart.home, company, MONTH)
    stages.publish(replace(mart.ws, company=company), MONTH, progress=lambda _: None)


def numbered(mart: Mart, number: int) -> None:
    """Show a version whose every row of two tables names its release, as `release` shows one."""
    folder = mart.home.published / ".versions" / f"n{number}"
    folder.mkdir(parents=True)
    target = folder / "scorecards.duckdb"
    link = mart.home.published / "scorecards.duckdb"
    shutil.copyfile(link.resolve(), target)
    target.chmod(0o644)
    con = warehouse.connect(target)
    con.execute(
        f"update releases set number = {number}, release_sha256 = 'n{number}', "
        f"release = left(release, 8) || 'r{number}'"
    )
    con.execute(f"update scorecard_manager_months set agent_count = {number}")
    con.execute(f"update scorecard_kpi_months set minimum_sample = {number}")
    con.close()
    release_shown.swap(link, Path(".versions") / f"n{number}" / "scorecards.duckdb")


# --- the same numbers -----------------------------------------------------------------------


def test_every_value_of_every_public_table_is_the_published_one(published: Mart) -> None:
    con = warehouse.connect(published.home.published / "scorecards.duckdb", read_only=True)
    for table in shape.tables():
        if table.name == shape.NAMES:
            continue
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        query = f"select {names} from {{}}{table.name}"
        ours = con.execute(query.format("")).fetchall()
        theirs = published.ask("loader", query.format("perfhouse."))
        assert sorted(map(repr, theirs)) == sorted(map(repr, ours)), table.name
        assert ours, table.name
    con.close()
    assert all(each.is_same for each in load.standings(published.home, LOADER, compare=True))


def test_the_columns_of_a_release_are_those_of_the_mart(published: Mart) -> None:
    newest = release.latest(published.home, MONTH)
    assert newest is not None
    con = warehouse.connect()
    for table in (*(t.name for t in PUBLIC_TABLES), "gate_verdicts", "reconciliation", "releases"):
        file = newest.path / "parquet" / f"{table}.parquet"
        there = con.execute("describe select * from read_parquet(?)", [str(file)]).fetchall()
        of_mart = next(t for t in shape.tables() if t.name == table)
        ours = [(c.name, c.type.replace("numeric", "decimal").upper()) for c in of_mart.columns]
        ours = [column for column in ours if column[0] != "release_sha256"]
        assert ours == [(row[0], row[1]) for row in there], table
    con.close()


def test_every_table_and_column_is_described_and_has_its_key_and_index(published: Mart) -> None:
    with published.as_admin() as con:
        bare = con.execute(
            "select c.relname, a.attname from pg_class as c join pg_attribute as a "
            "on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
            "where c.relnamespace = 'perfhouse'::regnamespace and c.relkind = 'r' "
            "and (col_description(c.oid, a.attnum) is null or obj_description(c.oid) is null)"
        ).fetchall()
        indexes = con.execute(
            "select tablename, indexdef from pg_indexes where schemaname = 'perfhouse'"
        ).fetchall()
    assert bare == []
    for table in shape.tables():
        listed = ", ".join(table.key)
        keys = [d for name, d in indexes if name == table.name and d.startswith("CREATE UNIQUE")]
        assert [re.search(r"\((.*)\)", text).group(1) for text in keys] == [listed]  # type: ignore[union-attr]
        if table.manager_column and table.by_month:
            assert any(
                f"({table.manager_column}, month)" in d for n, d in indexes if n == table.name
            )


# The people of the pages, and those of `mart_kit`.
PEOPLE = {"M1001": "M1", "D0001": "D1", "${fine_username}": "M2"}


@pytest.mark.parametrize("query", ready_sql.queries(), ids=str)
def test_the_ready_sql_of_the_docs_gives_an_analyst_what_the_file_gives(
    published: Mart, query: ready_sql.Query
) -> None:
    text = query.about(PEOPLE)
    with warehouse.connect(published.home.published / "scorecards.duckdb", read_only=True) as file:
        expected = ready_sql.comparable(file.execute(text).fetchall())
    with published.as_login("reader") as con:
        con.execute("set search_path = perfhouse")
        assert ready_sql.comparable(con.execute(text).fetchall()) == expected
    assert expected or query.may_be_empty


def test_the_ready_sql_of_the_marts_page_has_rows_for_an_analyst(published: Mart) -> None:
    found = ready_sql.queries("mart.md")
    assert len(found) > 2
    for query in found:
        assert published.ask("reader", query.text), query.title


def test_a_tool_that_names_who_is_signed_in_gets_what_they_may_see(mart: Mart) -> None:
    """The initial SQL of docs/bi-tableau.md: the tool puts the name in as text."""
    for name in ("tool", "zhang"):
        kit.login(mart.server, name)
    readers.grant(ADMIN, [Reader("zhang", "manager", ("M2",))])
    with mart.as_admin() as con:
        con.execute("grant zhang to tool")
    with mart.as_login("tool") as con:
        con.execute("set role 'zhang'")
        asked = "select distinct manager_id from perfhouse.scorecard_kpi_months"
        assert {who for (who,) in con.execute(asked)} == {"M2", "M3"}
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            con.execute("set role ''")


# --- following the releases -----------------------------------------------------------------


def test_only_the_month_that_differs_is_loaded(mart: Mart) -> None:
    assert follow(mart) == []
    said: list[str] = []
    mart.publish(MONTH, seed=77, progress=said.append)
    assert [line for line in said if line.startswith("mart")] == ["mart: 2026-09.r2"]
    assert shown(mart) == {AUGUST.key: 1, MONTH.key: 2}
    assert all(each.is_same for each in load.standings(mart.home, LOADER, compare=True))
    assert follow(mart, again=True) == [AUGUST, MONTH]
    assert all(each.is_same for each in load.standings(mart.home, LOADER, compare=True))


def test_a_server_that_is_away_leaves_the_release_and_the_next_publish_heals(
    mart: Mart, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        url = f"postgresql://loader:secret@127.0.0.1:{free_port()}/x"
        patch.setenv(f"PERFHOUSE_URL_{LOADER.upper()}", url)
        said: list[str] = []
        with pytest.raises(TransientError, match="the mart's server cannot be reached") as caught:
            mart.publish(MONTH, seed=88, progress=said.append)
        assert "secret" not in str(caught.value)
    assert said[-1] == "2026-09.r2 stands; the mart is behind until `perfhouse mart publish`"
    newest = release.latest(mart.home, MONTH)
    assert newest is not None
    assert newest.number == 2
    assert shown(mart)[MONTH.key] == 1
    behind = [each for each in load.standings(mart.home, LOADER) if not each.is_same]
    assert [(each.published, each.held) for each in behind] == [("2026-09.r2", "2026-09.r1")]
    assert mart.publish(MONTH, seed=88).unchanged
    assert shown(mart)[MONTH.key] == 2


def test_a_rollback_takes_the_mart_along_in_the_same_step(mart: Mart) -> None:
    mart.publish(MONTH, seed=77)
    assert shown(mart)[MONTH.key] == 2
    at: dict[str, int] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "reached", lambda step: at.update({step: shown(mart)[MONTH.key]}))
        why = Reason("another team's correction", "HR")
        stages.rollback(mart.ws, "2026-09.r1", why, progress=lambda _: None)
    assert [at[step] for step in ("loaded", "recorded", "linked", "committed")] == [2, 2, 2, 1]
    assert follow(mart) == []  # nothing was left to do
    assert all(each.is_same for each in load.standings(mart.home, LOADER, compare=True))


def test_a_company_without_a_mart_has_nothing_to_do_with_one(mart: Mart) -> None:
    only_local(mart, seed=5)
    assert shown(mart)[MONTH.key] == 1
    with pytest.raises(ConfigError, match=r"mart\.connection"):
        stages.publish_mart(replace(mart.ws, company=replace(mart.ws.company, mart=None)))


@pytest.mark.parametrize("step", load.STEPS)
def test_a_loader_that_is_killed_leaves_the_old_or_the_new_months(mart: Mart, step: str) -> None:
    numbered(mart, 2)
    done = subprocess.run(
        [sys.executable, str(HERE / "load_in_child.py"), str(mart.home.root), step],
        env=child_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    committed = step == "committed"
    assert shown(mart)[MONTH.key] == (2 if committed else 1), step
    assert follow(mart) == ([] if committed else [AUGUST, MONTH])
    assert all(each.is_same for each in load.standings(mart.home, LOADER, compare=True))
    assert left_over(mart) == 0


@pytest.mark.parametrize("step", load.STEPS[:-1])
def test_a_server_that_drops_the_loader_shows_the_old_months(
    mart: Mart, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbered(mart, 2)

    def terminate(reached: str) -> None:
        if reached == step:
            with mart.as_admin() as con:
                con.execute(
                    "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                    "where usename = 'loader' and datname = current_database()"
                )

    with monkeypatch.context() as patch:
        patch.setattr(load, "reached", terminate)
        with pytest.raises(TransientError):
            follow(mart)
    assert shown(mart)[MONTH.key] == 1
    assert follow(mart) == [AUGUST, MONTH]
    assert shown(mart)[MONTH.key] == 2
    assert left_over(mart) == 0


def left_over(mart: Mart) -> int:
    """Count rows in the next schema, and sessions of loaders."""
    with mart.as_admin() as con:
        count = 0
        for table in shape.tables():
            row = con.execute(f"select count(*) from perfhouse_next.{table.name}").fetchone()
            count += row[0]
        row = con.execute(
            "select count(*) from pg_locks where locktype = 'advisory' "
            "and database = (select oid from pg_database where datname = current_database())"
        ).fetchone()
    return int(count + row[0])


def test_loaders_wait_for_each_other(mart: Mart) -> None:
    numbered(mart, 2)
    found: list[Any] = []
    loaders = [threading.Thread(target=lambda: found.append(follow(mart))) for _ in range(4)]
    for loader in loaders:
        loader.start()
    for loader in loaders:
        loader.join(60)
    assert sorted(map(len, found)) == [0, 0, 0, 2]


# --- readers while it changes ---------------------------------------------------------------


ONE = "select distinct agent_count from perfhouse.scorecard_manager_months"
OTHER = "select distinct minimum_sample from perfhouse.scorecard_kpi_months"
BOTH = (
    "select distinct m.agent_count, k.minimum_sample, r.number "
    "from perfhouse.scorecard_manager_months as m "
    "join perfhouse.scorecard_kpi_months as k using (month, manager_id) "
    "join perfhouse.releases as r using (month)"
)


def read_both(con: psycopg.Connection[Any]) -> set[Any]:
    with con.transaction():
        con.execute("set transaction isolation level repeatable read")
        return {row[0] for query in (ONE, OTHER) for row in con.execute(query)}


def read_joined(con: psycopg.Connection[Any]) -> set[Any]:
    rows = con.execute(BOTH, prepare=True).fetchall()
    return {value for row in rows for value in row}


class Watcher:
    """A reader in a loop, on one connection or on a new one each time; notes what is wrong."""

    def __init__(self, mart: Mart, read: Callable[[Any], set[Any]], *, anew: bool) -> None:
        self.mart, self.read, self.anew = mart, read, anew
        self.reads, self.wrong = 0, []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.loop)

    def loop(self) -> None:
        while not self.stop.is_set():
            try:
                with self.mart.as_login("reader") as con:
                    self.ask(con)
            except psycopg.Error as error:
                self.wrong.append(error)

    def ask(self, con: psycopg.Connection[Any]) -> None:
        done = False
        while not done and not self.stop.is_set():
            seen = self.read(con)
            self.reads += 1
            if len(seen) != 1:
                self.wrong.append(seen)
            done = self.anew


def test_readers_see_one_release_at_every_instant_of_fifty_loads(mart: Mart) -> None:
    numbered(mart, 2)
    follow(mart)
    watchers = [
        Watcher(mart, read_both, anew=False),
        Watcher(mart, read_joined, anew=False),
        Watcher(mart, read_joined, anew=True),
    ]
    for watcher in watchers:
        watcher.thread.start()
    for number in range(3, 53):
        numbered(mart, number)
        assert follow(mart) == [AUGUST, MONTH]
    for watcher in watchers:
        watcher.stop.set()
        watcher.thread.join(60)
    assert [watcher.wrong for watcher in watchers] == [[], [], []]
    assert min(watcher.reads for watcher in watchers) > 20
    assert shown(mart) == {AUGUST.key: 52, MONTH.key: 52}


def test_a_reader_with_an_open_snapshot_keeps_it_and_holds_nobody_up(mart: Mart) -> None:
    with mart.as_login("reader") as con, con.transaction():
        con.execute("set transaction isolation level repeatable read")
        before = con.execute(ONE).fetchall()
        numbered(mart, 2)
        assert follow(mart) == [AUGUST, MONTH]
        assert con.execute(ONE).fetchall() == before
        assert con.execute("select distinct number from perfhouse.releases").fetchall() == [(1,)]
    assert mart.ask("reader", ONE) == [(2,)]


# --- what is refused ------------------------------------------------------------------------


def test_another_home_cannot_write_over_a_mart(mart: Mart) -> None:
    with pytest.raises(ConfigError, match=r"the mart shows .* of small"):
        load.load(mart.home, "other", LOADER, progress=print)
    numbered(mart, 7)
    follow(mart)
    numbered(mart, 6)
    with pytest.raises(ConfigError, match="which this home has not published"):
        follow(mart)
    assert shown(mart)[MONTH.key] == 7


@pytest.mark.parametrize(
    "change",
    [
        "alter table perfhouse.scorecard_kpi_months disable row level security",
        "alter table perfhouse.scorecard_kpi_months no force row level security",
        "alter table perfhouse_private.readers disable row level security",
        "create policy more on perfhouse.scorecard_kpi_months for select to public using (true)",
        "drop policy perfhouse_manager on perfhouse.scorecard_kpi_months",
        "alter table perfhouse.scorecard_kpi_months drop column value",
        "alter table perfhouse.scorecard_kpi_months alter column value type numeric(18,2)",
        "alter table perfhouse.scorecard_kpi_months add column display_name text",
        "update perfhouse_private.versions set shape_sha256 = 'an older version'",
    ],
)
def test_a_mart_that_is_not_as_migrate_left_it_takes_no_row_until_it_is(
    mart: Mart, change: str
) -> None:
    with mart.as_admin() as con:
        con.execute(change)
    numbered(mart, 2)
    other = "the mart's tables or rights are not as this version makes them: run `perfhouse mart mi"
    with pytest.raises(ConfigError, match=other):
        follow(mart)
    migration.migrate(ADMIN)
    follow(mart, again=True)
    assert all(each.is_same for each in load.standings(mart.home, LOADER, compare=True))


def test_a_database_that_was_never_migrated_says_so(
    mart: Mart, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = mart.server.database("empty")
    monkeypatch.setenv(f"PERFHOUSE_URL_{LOADER.upper()}", url)
    with pytest.raises(ConfigError, match="perfhouse mart migrate"):
        follow(mart)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://loader:wrong@{place}/{database}", "refuses the login or the database"),
        ("postgresql://loader:{password}@{place}/nosuch", "refuses the login or the database"),
        ("postgresql://loader:{password}@{place}/{database}?nosuch=1", "libpq can read"),
        ("mysql://loader:{password}@{place}/{database}", "postgresql:// URL"),
    ],
)
def test_a_connection_that_cannot_be_is_the_operators_and_tells_no_secret(
    mart: Mart, monkeypatch: pytest.MonkeyPatch, url: str, expected: str
) -> None:
    place, password = f"{mart.server.host}:{mart.server.port}", kit.psycopg_quoted(kit.PASSWORD)
    text = url.format(place=place, password=password, database=mart.database)
    monkeypatch.setenv(f"PERFHOUSE_URL_{LOADER.upper()}", text)
    with pytest.raises(ConfigError, match=expected) as caught:
        follow(mart)
    assert not {"wrong", password, kit.PASSWORD, "loader"} & set(str(caught.value).split())


def test_a_value_that_somebody_changed_in_the_mart_is_found_and_mended(mart: Mart) -> None:
    with mart.as_admin() as con:
        con.execute(
            "update perfhouse.scorecard_kpi_months set value = coalesce(value, 0) + 0.000001 "
            "where month = '2026-08-01' and manager_id = 'M2' and kpi_id = 'csat_rate'"
        )
    assert all(each.is_same for each in load.standings(mart.home, LOADER))
    with pytest.raises(ReleaseError, match="scorecard_kpi_months is not what is published"):
        load.standings(mart.home, LOADER, compare=True)
    follow(mart, again=True)
    assert all(each.is_same for each in load.standings(mart.home, LOADER, compare=True))


def test_what_the_mart_would_not_keep_digit_by_digit_is_not_loaded(mart: Mart) -> None:
    link = mart.home.published / "scorecards.duckdb"
    shown_before = link.readlink()
    for change in (
        "alter table scorecard_kpi_months alter value type decimal(28,12); "
        "update scorecard_kpi_months set value = 0.123456789012",
        "update kpi_definitions set name_en = 'a' || chr(0) || 'b'",
    ):
        numbered(mart, 2)
        link.resolve().chmod(0o644)
        con = warehouse.connect(link.resolve())
        con.execute(change)
        con.close()
        with pytest.raises(ReleaseError, match="the mart"):
            follow(mart)
        assert shown(mart)[MONTH.key] == 1
        shutil.rmtree(link.resolve().parent)
        release_shown.swap(link, shown_before)


# --- the words ------------------------------------------------------------------------------


def test_the_commands_say_what_they_did(
    mart: Mart, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "open_workspace", lambda *_: mart.ws)
    admin = ("--connection", ADMIN)
    for name in ("one", "two_", "three"):
        kit.login(mart.server, name)
    assert cli.main(["mart", "migrate", *admin]) == 0
    assert cli.main(["mart", "status"]) == 0
    numbered(mart, 2)
    assert cli.main(["mart", "status"]) == TransientError.exit_code
    assert cli.main(["mart", "publish"]) == 0
    assert cli.main(["mart", "publish"]) == 0
    assert cli.main(["mart", "status", "--compare"]) == 0
    assert cli.main(["mart", "grant", "--login", "one", "--role", "hr", *admin]) == 0
    table = tmp_path / "readers.csv"
    table.write_text(
        "login,role,manager_id\ntwo_,manager,M1\ntwo_,manager,M2\nthree,analyst,\n",
        encoding="utf-8",
    )
    assert cli.main(["mart", "grant", "--file", str(table), *admin]) == 0
    assert cli.main(["mart", "readers", *admin]) == 0
    assert cli.main(["mart", "revoke", "--login", "three", *admin]) == 0
    assert cli.main(["mart", "grant", "--login", "nosuch", "--role", "hr", *admin]) == 2
    table.write_text("login,role\ntwo_,manager\n", encoding="utf-8")
    assert cli.main(["mart", "grant", "--file", str(table), *admin]) == 2
    said = capsys.readouterr()
    for line in (
        "mart: as it should be",
        "2026-09: 2026-09.r1  shown",
        "2026-09: 2026-09.r2  BEHIND: the mart has 2026-09.r1",
        "mart: 2 months loaded",
        "mart: holds every newest release",
        "mart: 2 granted",
        "loader  publisher",
        "one  hr",
        "two_  manager  M1  M2",
        "mart: three may read nothing",
    ):
        assert line in said.out.splitlines(), line
    assert "nosuch: expected a login of the server" in said.err
    assert "expected the columns login, role and manager_id" in said.err
    for name in ("one", "two_"):
        readers.revoke(ADMIN, name)
