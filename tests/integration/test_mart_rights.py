"""Rights in the mart: every role tries to read, and to do, what it may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mart_kit as kit
import psycopg
import publish_in_child as child
import pytest
from mart_kit import ADMIN, AUGUST, Mart
from psycopg import errors
from servers.postgres import Postgres
from small_warehouse import MONTH

from expectations import gate
from perfhouse import release_files
from perfhouse.errors import ConfigError, TransientError
from perfhouse.mart import migration, readers, shape
from perfhouse.mart.readers import Reader

# Logins that tell a quoting mistake: all of them are one manager, M2.
ODD = (
    "Zhang",
    'zh"ang',
    "zh'ang; drop table perfhouse.releases; --",
    "张三",
    "%s",
    "a b",
    "current_user",
)
LOGINS = {
    "hr": Reader("hr_1", "hr"),
    "analyst": Reader("bi_1", "analyst"),
    "top": Reader("d1", "manager", ("D1",)),
    "middle": Reader("m2", "manager", ("M2",)),
    "leaf": Reader("m3", "manager", ("M3",)),
}
MANAGED = {
    "scorecard_kpi_months": "manager_id",
    "scorecard_manager_months": "manager_id",
    "scorecard_team_months": "manager_id",
    "scorecard_explanations": "manager_id",
    "scorecard_appeals": "manager_id",
    "scorecard_manager_tree": "manager_id",
    "export_hr_manager_months": "employee_number",
}
EVERYBODYS = {"kpi_definitions", "releases"}
STAFFS = {"kpi_references", "kpi_reliabilities", "gate_verdicts", "reconciliation"}


@pytest.fixture(scope="module")
def mart(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mart]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "_expect", child.everything_passes)
        patch.setattr(release_files, "stage_cards", child.plain_cards)
        made = kit.make(tmp_path_factory.mktemp("rights"), postgres, patch)
        for name in ("nobody", *ODD, *(reader.login for reader in LOGINS.values())):
            kit.login(postgres, name)
        readers.grant(ADMIN, list(LOGINS.values()))
        yield made


def visible(mart: Mart, login: str, table: str, column: str) -> set[tuple[str, str]]:
    rows = mart.ask(login, f"select distinct month::text, {column} from perfhouse.{table}")
    return {(month[:7], who) for month, who in rows}


def of(**managers: str) -> set[tuple[str, str]]:
    """Return months and managers: `of(august="M1 M2")`."""
    keys = {"august": AUGUST.key, "september": MONTH.key}
    return {(keys[month], who) for month, text in managers.items() for who in text.split()}


@pytest.mark.parametrize("table", sorted(MANAGED))
def test_a_manager_sees_the_own_subtree_as_it_was_in_each_month(mart: Mart, table: str) -> None:
    everyone = of(august="D1 M1 M2 M3", september="D1 M1 M2 M3")
    for login, expected in (
        ("d1", everyone),
        ("m2", of(august="M2", september="M2 M3")),  # M3 came to M2 in September
        ("m3", of(august="M3", september="M3")),
        ("hr_1", everyone),
        ("bi_1", everyone),
    ):
        assert visible(mart, login, table, MANAGED[table]) == expected, login


def test_a_manager_is_not_told_who_stands_above(mart: Mart) -> None:
    assert mart.ask("m2", "select distinct ancestor_id from perfhouse.scorecard_manager_tree") == [
        ("M2",)
    ]


def test_names_are_for_hr_alone(mart: Mart) -> None:
    names = (
        "select month::text, manager_id, display_name from perfhouse.hr_manager_names order by 1, 2"
    )
    found = mart.ask("hr_1", names)
    assert found[:2] == [("2026-08-01", "D1", "=王D1"), ("2026-08-01", "M1", "=王M1")]
    assert len(found) == 8
    for login in ("bi_1", "d1", "m3", "nobody"):
        with pytest.raises(errors.InsufficientPrivilege):
            mart.ask(login, names)
    for login in ("bi_1", "d1"):  # and no other table has a column of names
        columns = mart.ask(
            login,
            "select attname from pg_attribute join pg_class as c on c.oid = attrelid "
            "where c.relnamespace = 'perfhouse'::regnamespace and relname <> 'hr_manager_names'",
        )
        assert "display_name" not in {name for (name,) in columns}


def test_every_table_says_who_reads_it_and_one_that_does_not_is_for_hr_alone(mart: Mart) -> None:
    known = {*MANAGED, *EVERYBODYS, *STAFFS, shape.NAMES}
    assert {table.name for table in shape.tables()} == known
    for table in shape.tables():
        groups = set(table.policies) - {shape.PUBLISHER}
        managers = {shape.MANAGER} if table.name in {*MANAGED, *EVERYBODYS} else set()
        analysts = set() if table.name == shape.NAMES else {shape.ANALYST}
        assert groups == {shape.HR} | analysts | managers, table.name
    assert set(shape._policies("export_new_manager_months")) == {shape.PUBLISHER, shape.HR}


FORBIDDEN = [
    ("nobody", "select * from perfhouse.releases"),
    ("nobody", "select * from perfhouse_private.readers"),
    *(("m3", f"select * from perfhouse.{table}") for table in sorted(STAFFS)),
    *((who, f"select * from perfhouse_private.{table}")
      for who in ("hr_1", "bi_1", "d1") for table in ("versions",)),
    ("hr_1", "select * from perfhouse_private.readers"),
    ("bi_1", "select * from perfhouse_private.readers"),
    *((who, "select * from perfhouse_next.scorecard_kpi_months") for who in ("hr_1", "bi_1", "d1")),
    ("loader", "select * from perfhouse_private.readers"),
    ("loader", "update perfhouse_private.versions set number = 2"),
    ("loader", "update perfhouse.releases set number = 2"),
    ("loader", "truncate perfhouse.releases"),
    ("loader", "alter table perfhouse.releases disable row level security"),
    ("loader", "create table perfhouse.extra (id int)"),
    ("loader", "create table perfhouse_next.extra (id int)"),
    *(
        (who, statement)
        for who in ("hr_1", "bi_1", "d1", "m3")
        for statement in (
            "set role perfhouse_owner", "set role perfhouse_publisher", "set role owner",
            "set session authorization owner",
            "insert into perfhouse.releases (month) values ('2026-01-01')",
            "update perfhouse.scorecard_manager_months set total_score = 120",
            "delete from perfhouse.scorecard_manager_months",
            "truncate perfhouse.scorecard_manager_months",
            "copy perfhouse.releases from program 'true'",
            "copy perfhouse.releases to program 'cat'",
            "copy perfhouse.releases to '/tmp/releases.csv'",
            "create table perfhouse.mine (id int)",
            "create table public.mine (id int)",
            "create schema mine",
            "create view perfhouse.mine as select 1",
            "create function perfhouse.mine() returns int language sql as 'select 1'",
            "create trigger mine before insert on perfhouse.releases for each row "
            "execute function suppress_redundant_updates_trigger()",
            "create rule mine as on select to perfhouse.releases do instead select 1",
            "alter table perfhouse.scorecard_manager_months disable row level security",
            "alter table perfhouse.scorecard_manager_months no force row level security",
            "create policy mine on perfhouse.scorecard_manager_months using (true)",
            "drop policy perfhouse_manager on perfhouse.scorecard_manager_months",
            "drop table perfhouse.releases",
            "comment on table perfhouse.releases is ''",
            "begin; lock table perfhouse.releases in access exclusive mode",
            "grant perfhouse_hr to current_user",
            "create role mine",
            "select pg_read_file('/etc/hostname')",
            "select lo_import('/etc/hostname')",
            "select * from pg_authid",
            "select * from pg_statistic",
        )
    ),
    *((who, "set role perfhouse_hr") for who in ("bi_1", "d1", "m3")),
    *((who, "set role perfhouse_analyst") for who in ("d1", "m3")),
    ("m3", "set role d1"),
]  # fmt: skip


@pytest.mark.parametrize(("login", "statement"), FORBIDDEN, ids=lambda text: text[:60])
def test_what_nobody_granted_is_refused(mart: Mart, login: str, statement: str) -> None:
    refused = (errors.InsufficientPrivilege, errors.WrongObjectType)
    with mart.as_login(login) as con, pytest.raises(refused):
        con.execute(statement)


# Functions that tell what they were given: PostgreSQL must not show them rows of others.
LEAKS = [
    "create function pg_temp.leak(text) returns boolean cost 0.0000001 language plpgsql as "
    "$$ begin raise notice 'leak %', $1; return true; end $$",
    "create function pg_temp.leak(numeric) returns boolean cost 0.0000001 language plpgsql as "
    "$$ begin raise notice 'leak %', $1; return true; end $$",
]


def test_a_leaky_function_is_shown_only_the_rows_of_who_asks(mart: Mart) -> None:
    told: list[str] = []
    with mart.as_login("m3") as con:
        con.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
        for statement in LEAKS:
            con.execute(statement)
        for table, column in MANAGED.items():
            con.execute(f"select * from perfhouse.{table} where pg_temp.leak({column})")
        con.execute(
            "select * from perfhouse.scorecard_manager_months as a, "
            "perfhouse.scorecard_kpi_months as b where pg_temp.leak(a.manager_id) "
            "and pg_temp.leak(b.manager_id) "
            "and 1 / (case when a.manager_id = 'M1' then 0 else 1 end) = 1"
        )
        con.execute("set row_security = off")
        with pytest.raises(errors.InsufficientPrivilege):
            con.execute("select count(*) from perfhouse.scorecard_manager_months")
    assert {text.removeprefix("leak ") for text in told} == {"M3"}


def test_a_division_by_zero_does_not_tell_of_rows_of_others(mart: Mart) -> None:
    tell = "select 1 / (case when {} = 'M1' then 0 else 1 end) from perfhouse.{}"
    for table, column in MANAGED.items():
        mart.ask("m3", tell.format(column, table))
        with pytest.raises(errors.DivisionByZero):
            mart.ask("hr_1", tell.format(column, table))


def test_statistics_of_columns_are_hidden_from_managers(mart: Mart) -> None:
    with mart.as_admin() as con:
        con.execute("analyze")
    asked = "select count(*) from pg_stats where schemaname = 'perfhouse'"
    assert mart.ask("m3", asked) == [(0,)]
    with mart.as_admin() as con:
        assert con.execute(asked).fetchall() > [(0,)]


def test_the_owner_of_the_tables_is_bound_by_row_rights_too(mart: Mart) -> None:
    with mart.as_admin() as con:
        con.execute("set role perfhouse_owner")
        for table in shape.tables():
            rows = con.execute(f"select count(*) from perfhouse.{table.name}").fetchone()
            assert rows == (0,), table.name


def test_nothing_runs_with_rights_that_are_not_the_callers(mart: Mart) -> None:
    with mart.as_admin() as con:
        ours = "'{perfhouse,perfhouse_next,perfhouse_private}'::regnamespace[]"
        functions = con.execute(f"select proname from pg_proc where pronamespace = any({ours})")
        assert functions.fetchall() == []
        others = (
            "select relname from pg_class where relkind not in ('r', 'i') "
            f"and relnamespace = any({ours})"
        )
        assert con.execute(others).fetchall() == []
        public = (
            f"select relname from pg_class where relnamespace = any({ours}) "
            "and relacl::text ~ '[{,]=' "
            "union all select nspname from pg_namespace where nspname ~ '^perfhouse' "
            "and nspacl::text ~ '[{,]='"
        )
        assert con.execute(public).fetchall() == []


def test_odd_logins_are_the_manager_they_were_granted_and_nobody_else(mart: Mart) -> None:
    for name in ODD:
        readers.grant(ADMIN, [Reader(name, "manager", ("M2",))])
        found = visible(mart, name, "scorecard_manager_months", "manager_id")
        assert found == of(august="M2", september="M2 M3"), name
    with mart.as_admin() as con:
        kept = con.execute("select login::text from perfhouse_private.readers").fetchall()
    assert len(kept) == len(ODD) + 3
    for name in ODD:
        readers.revoke(ADMIN, name)
        with pytest.raises(errors.InsufficientPrivilege):
            mart.ask(name, "select * from perfhouse.releases")


def test_a_manager_of_two_trees_sees_both_and_odd_ids_are_only_ids(mart: Mart) -> None:
    kit.login(mart.server, "two")
    odd = "M1'); drop table perfhouse.releases; --"
    readers.grant(ADMIN, [Reader("two", "manager", ("M1", "M2", odd))])
    assert visible(mart, "two", "scorecard_manager_months", "manager_id") == of(
        august="M1 M2 M3", september="M1 M2 M3"
    )
    assert Reader("two", "manager", ("M1", odd, "M2")) in readers.listed(ADMIN)
    readers.revoke(ADMIN, "two")


def test_a_login_that_is_dropped_and_made_again_is_somebody_else(mart: Mart) -> None:
    kit.login(mart.server, "leaver")
    readers.grant(ADMIN, [Reader("leaver", "manager", ("D1",))])
    assert visible(mart, "leaver", "scorecard_manager_months", "manager_id")
    with mart.as_admin() as con:
        con.execute("drop role leaver")
    kit.login(mart.server, "leaver")
    with mart.as_admin() as con:
        con.execute("grant perfhouse_manager to leaver")
    assert visible(mart, "leaver", "scorecard_manager_months", "manager_id") == set()
    readers.revoke(ADMIN, "leaver")


def test_an_open_session_loses_its_rights_with_the_role(mart: Mart) -> None:
    kit.login(mart.server, "leaving")
    readers.grant(ADMIN, [Reader("leaving", "analyst")])
    with mart.as_login("leaving") as con:
        con.execute("select * from perfhouse.releases")
        readers.revoke(ADMIN, "leaving")
        with pytest.raises(errors.InsufficientPrivilege):
            con.execute("select * from perfhouse.releases")


def test_a_publisher_cannot_hand_on_what_it_may_read(mart: Mart) -> None:
    with mart.as_login("loader") as con:
        con.execute("grant select on perfhouse.hr_manager_names to bi_1")  # a warning, no right
    with pytest.raises(errors.InsufficientPrivilege):
        mart.ask("bi_1", "select * from perfhouse.hr_manager_names")


def test_a_manager_who_takes_the_groups_role_sees_nobody(mart: Mart) -> None:
    with mart.as_login("d1") as con:
        con.execute("set role perfhouse_manager")
        asked = con.execute("select count(*) from perfhouse.scorecard_manager_months")
        assert asked.fetchone() == (0,)


@pytest.mark.parametrize(
    ("reader", "expected"),
    [
        (Reader("owner", "analyst"), "row rights bind"),
        (Reader("nosuch", "analyst"), "expected a login"),
        (Reader("perfhouse_hr", "manager", ("M1",)), "expected a login"),
        (Reader("nobody", "manager"), "--manager with the role manager"),
        (Reader("nobody", "hr", ("M1",)), "--manager with the role manager"),
        (Reader("nobody", "boss"), "expected a role of"),
    ],
)
def test_who_cannot_be_granted_a_role_is_told_and_nobody_is_granted_one(
    mart: Mart, reader: Reader, expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        readers.grant(ADMIN, [Reader("nobody", "analyst"), reader])
    with pytest.raises(errors.InsufficientPrivilege):
        mart.ask("nobody", "select * from perfhouse.releases")


def test_an_administrator_who_is_no_superuser_makes_a_mart_and_keeps_no_right_in_it(
    mart: Mart, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.login(postgres, "keeper", "createrole")
    database = "mart_of_keeper"
    url = postgres.database(database)
    with postgres.connect(database) as con:
        con.execute(f"grant create on database {database} to keeper")
    place = url.replace(
        f"{postgres.user}:{postgres.password}", f"keeper:{kit.psycopg_quoted(kit.PASSWORD)}"
    )
    monkeypatch.setenv("PERFHOUSE_URL_KEEPER", place)
    assert migration.migrate("keeper")
    assert not migration.migrate("keeper")
    readers.grant("keeper", [LOGINS["leaf"]])
    assert LOGINS["leaf"] in readers.listed("keeper")
    with psycopg.connect(place, autocommit=True) as con:
        for table in ("perfhouse.releases", "perfhouse_private.readers"):
            with pytest.raises(errors.InsufficientPrivilege):
                con.execute(f"select * from {table}")


def test_who_may_not_make_roles_is_told_so(
    mart: Mart, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"nobody:{kit.psycopg_quoted(kit.PASSWORD)}@{postgres.host}:{postgres.port}"
    monkeypatch.setenv("PERFHOUSE_URL_NOBODY", f"postgresql://{place}/{mart.database}")
    with pytest.raises(ConfigError, match="may create roles"):
        migration.migrate("nobody")
    with pytest.raises(ConfigError, match="must have admin option"):
        readers.grant("nobody", [Reader("nobody", "hr")])


def test_a_migration_gives_way_to_readers(mart: Mart) -> None:
    with mart.as_login("bi_1") as con, con.transaction():
        con.execute("select count(*) from perfhouse.scorecard_kpi_months")
        with pytest.raises(TransientError, match="LockNotAvailable"):
            migration.migrate(ADMIN)
        con.execute("select count(*) from perfhouse.scorecard_manager_months")
    assert not migration.migrate(ADMIN)


def test_a_service_that_takes_a_persons_role_sees_what_they_see_and_by_itself_nothing(
    mart: Mart,
) -> None:
    kit.login(mart.server, "portal")
    with mart.as_admin() as con:
        con.execute("grant m2 to portal")
    with mart.as_login("portal") as con:
        asked = "select distinct manager_id from perfhouse.scorecard_manager_months"
        assert con.execute(asked).fetchall() == []
        con.execute("set role m2")
        assert {who for (who,) in con.execute(asked)} == {"M2", "M3"}


def dumped(mart: Mart) -> Any:
    with mart.as_admin() as con:
        acl = con.execute(
            "select c.oid::regclass::text, c.relacl::text, c.relkind::text from pg_class as c "
            "where c.relnamespace::regnamespace::text ~ '^perfhouse' and relkind = 'r' order by 1"
        ).fetchall()
        members = con.execute(
            "select roleid::regrole::text, member::regrole::text from pg_auth_members"
        )
        policies = con.execute("select * from pg_policies order by 1, 2, 3").fetchall()
        versions = con.execute("select * from perfhouse_private.versions").fetchall()
        return acl, sorted(members.fetchall()), policies, versions


def test_migrating_again_changes_nothing(mart: Mart) -> None:
    before = dumped(mart)
    assert not migration.migrate(ADMIN)
    assert dumped(mart) == before
    assert len(before[3]) == 1
