"""The roster's part of the raw gate: is it a tree, in which everybody stands once a day, and whole?

Looks at one delivery of the roster and at whom it lost; it may not mend it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from expectations.rules import CRITICAL, WARNING, Rule, rows
from perfhouse.month import Month

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from expectations.gate import Case

_JUDGED = 20  # people; of fewer any share is chance
_EMPTY = (
    "create table roster (_source varchar, snapshot_date date, employee_id varchar, "
    "source_user_id varchar, manager_employee_id varchar, job_family varchar, "
    "is_people_manager boolean, team_id varchar, valid_from date, valid_to date)"
)
_FAR = date(2999, 1, 1)


def prepare(con: DuckDBPyConnection, month: Month, files: Sequence[str]) -> None:
    """Make `roster` (newest version of each assignment, clipped to the month), and `cycles`."""
    con.execute(_EMPTY)
    con.execute("create table cycles (on_day date, cycle varchar)")
    if files:
        listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        con.execute(
            "insert into roster by name "
            "select _source, snapshot_date, employee_id, source_user_id, manager_employee_id, "
            "job_family, is_people_manager, team_id, valid_from, "
            "least(valid_to, coalesce(cast(last_work_date + interval 1 day as date), "
            "termination_date)) as valid_to "
            f"from read_parquet([{listed}], union_by_name = true) "
            "where coalesce(_op, 'upsert') <> 'delete' "
            "qualify row_number() over ("
            "partition by _source, snapshot_date, employee_id, valid_from "
            "order by source_updated_at desc nulls last, source_seq desc nulls last, "
            "case when _file not like '%.parquet' then _row_number end desc nulls last, "
            "_row_hash desc) = 1"
        )
    for day, cycle in _cycles(con, month):
        con.execute("insert into cycles values (?, ?)", [day, cycle])


def rules(case: Case) -> list[Rule]:
    """Return the rules over `roster`, `cycles` and `vanished`."""
    return [
        *_tree_rules(),
        *_loss_rules(case.threshold("raw", "vanished_share")),
    ]


def _loss_rules(share: float) -> list[Rule]:
    """Judge whom the rosters stopped to name; each of them will count as a leaver."""
    lost = (
        "(select count(*) from vanished) as vanished, "
        "(select count(distinct employee_id) from employees) + (select count(*) from vanished) "
        "as people_before"
    )
    of_people = "100.0 * vanished / nullif(people_before, 0)"
    return [
        rows(
            "roster_is_whole", CRITICAL, "vanished",
            f"select * from (select {lost}) where people_before >= {_JUDGED} "
            f"and vanished > {share!r} * people_before",
            ("Few people are gone from the roster without a word: more would be half a delivery",
             "未说明去向而从花名册消失的人员在限度之内；过多则说明交付不完整"),
            threshold=f"{share:.2%} of the people of the month before",
            observe=f"select printf('%.2f%% (%d people)', {of_people}, vanished) "
            f"from (select {lost})",
            limit="vanished_share",
        ),
        rows(
            "roster_tells_leavers", WARNING, "vanished",
            "select employee_id, _source as source from batch",
            ("Nobody is gone from the roster without a date of leaving (who is, counts as having "
             "left when the month began)",
             "没有人未注明离职日期就从花名册消失（消失者按月初离职计）"),
        ),
    ]  # fmt: skip


def _tree_rules() -> list[Rule]:
    return [
        rows(
            "roster_present", CRITICAL, "roster",
            "select 'no roster in this month or the three before' as roster "
            "from (select count(*) as n from batch) where n = 0",
            ("There is a roster", "有可用的花名册"),
        ),
        rows(
            "roster_is_a_tree", CRITICAL, "cycles",
            "select min(on_day) as from_day, cycle from batch group by cycle",
            ("Nobody is, through others, their own manager", "管理关系中不存在循环上级"),
        ),
        rows(
            "roster_one_place_a_day", CRITICAL, "roster",
            "select employee_id, valid_from, valid_to, next_from from (select *, "
            "lead(valid_from) over (partition by _source, snapshot_date, employee_id "
            "order by valid_from) as next_from from batch "
            "where valid_to is null or valid_to > valid_from) where valid_to > next_from",
            ("Nobody holds two places on one day", "同一人同一天只有一个岗位"),
        ),
        rows(
            "roster_managers_exist", WARNING, "roster",
            "select distinct manager_employee_id as manager_id from batch "
            "where manager_employee_id not in (select employee_id from roster)",
            ("Every manager is in the roster too", "每位主管本人也在花名册中"),
        ),
        rows(
            "roster_managers_have_a_team", WARNING, "roster",
            "select distinct employee_id as manager_id from batch "
            "where (is_people_manager or job_family = 'cs_manager') and employee_id not in "
            "(select manager_employee_id from roster where manager_employee_id is not null "
            "and manager_employee_id <> employee_id)",
            ("Every manager has a team", "每位主管都有下属"),
        ),
        rows(
            "roster_agents_have_a_manager", WARNING, "roster",
            "select distinct employee_id from batch "
            "where job_family = 'agent' and manager_employee_id is null",
            ("Every agent has a manager", "每位客服都有主管"),
        ),
    ]  # fmt: skip


def _cycles(con: DuckDBPyConnection, month: Month) -> list[tuple[date, str]]:
    """Follow managers upwards on every day of the month on which some assignment begins."""
    spans = con.execute(
        "select employee_id, manager_employee_id, greatest(valid_from, ?), "
        "coalesce(valid_to, lead(valid_from) over (partition by _source, employee_id "
        "order by valid_from, snapshot_date), ?) "
        "from roster where manager_employee_id is not null "
        "and manager_employee_id <> employee_id order by all",
        [month.start, _FAR],
    ).fetchall()
    days = sorted({from_on for _, _, from_on, _ in spans if from_on < month.end})
    found = []
    for day in days:
        manager_of = {who: boss for who, boss, from_on, to_on in spans if from_on <= day < to_on}
        found += [(day, cycle) for cycle in find_cycles(manager_of)]
    return found


def find_cycles(manager_of: Mapping[str, str]) -> list[str]:
    """Return each cycle once, as `A > B > A`, starting at its smallest id."""
    done: set[str] = set()
    found = []
    for start in sorted(manager_of):
        path: list[str] = []
        here: str | None = start
        while here is not None and here not in done and here not in path:
            path.append(here)
            here = manager_of.get(here)
        if here is not None and here in path:
            members = path[path.index(here) :]
            first = members.index(min(members))
            turned = members[first:] + members[:first]
            found.append(" > ".join([*turned, turned[0]]))
        done.update(path)
    return found
