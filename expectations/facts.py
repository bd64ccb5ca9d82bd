"""The facts gate: is every landed row in a fact or left out for a reason, and is every fact sound?

Judges one month's facts as they stand in the warehouse against the lake; it may not change them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations import readings, reconciliation
from expectations.fact_shapes import SHAPES, Shape
from expectations.rules import CRITICAL, WARNING, Rule, rows
from perfhouse import lake, warehouse
from perfhouse.hashing import sha256_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from expectations.gate import Case

# scratch tables that are kept in the warehouse as ops.<name>, a month replaced by its next run
KEPT = ("reconciliation",)
_TABLES = {
    "offences": "check_id varchar, fact varchar, record varchar, found varchar",
    "reversals": "fact varchar, rows bigint, reversed bigint",
    "builds": "month date, as_of varchar, inputs_sha256 varchar",
}


def subject(case: Case) -> str:
    """Return the hash of the month's facts as they stand, and of the deliveries behind them."""
    con = warehouse.connect(case.home.warehouse, read_only=True)
    try:
        found = {
            fact: [
                str(value)
                for value in con.execute(
                    f"select count(*), sum(hash(f)::hugeint) from core.{fact} f where month = ?",
                    [case.month.start],
                ).fetchall()[0]
            ]
            for fact in SHAPES
        }
    finally:
        con.close()
    return sha256_of({"facts": found, "inputs": _inputs(case)})


def _inputs(case: Case) -> str:
    return sha256_of(lake.inputs(case.home, case.month, case.as_of, case.company.look_back))


def prepare(con: DuckDBPyConnection, case: Case) -> tuple[Rule, ...]:
    """Lay out what was counted and what is wrong; return the rules over it."""
    path = str(case.home.warehouse).replace("'", "''")
    con.execute(f"attach '{path}' as warehouse (read_only)")
    for name, columns in _TABLES.items():
        con.execute(f"create table {name} ({columns})")
    con.execute(
        "insert into builds select month, as_of, inputs_sha256 from warehouse.ops.builds "
        "where month = ?",
        [case.month.start],
    )
    reconciliation.prepare(con, case)
    _look(con, case)
    con.execute("detach warehouse")
    return (
        *_reconciliation_rules(case),
        *_shape_rules(),
        *_reversal_rules(case.threshold("facts", "reversed_share")),
    )


def _look(con: DuckDBPyConnection, case: Case) -> None:
    """Fill `offences` and `reversals`, fact by fact."""
    month = f"date '{case.month.start}'"
    con.execute(
        "create temp table known as select employee_id from warehouse.core.dim_identities "
        f"where month = {month} union select employee_id from warehouse.core.dim_employees "
        f"where month = {month}"
    )
    for fact, shape in SHAPES.items():
        relation = f"(select * from warehouse.core.{fact} where month = {month}) f"
        record = "concat_ws(', ', " + ", ".join(_shown(column) for column in shape.shown) + ")"
        for check, condition, found in _conditions(shape, month, f"date '{case.month.end}'"):
            con.execute(
                f"insert into offences select '{check}', '{fact}', {record}, {found} "
                f"from {relation} where {condition}"
            )
        keys = ", ".join(f"f.{column}" for column in shape.key)
        con.execute(
            f"insert into offences select 'facts_unique', '{fact}', min({record}), "
            f"count(*) || ' rows' from {relation} group by {keys} having count(*) > 1"
        )
        if shape.told:
            reversed_rows = " or ".join(f"f.{late} < f.{early}" for early, late in shape.told)
            con.execute(
                f"insert into reversals select '{fact}', count(*), "
                f"count(*) filter (where {reversed_rows}) from {relation}"
            )


def _shown(column: str) -> str:
    return f"'{column.lstrip('_')}=' || cast(f.{column} as varchar)"


def _conditions(shape: Shape, start: str, end: str) -> list[tuple[str, str, str]]:
    """Return check, SQL that holds for an offender, and SQL for what is wrong with it."""
    found = [
        (
            "facts_in_month",
            f"f.{day} is null or f.{day} < {start} or f.{day} >= {end}",
            f"'{day} ' || coalesce(cast(f.{day} as varchar), 'empty')",
        )
        for day in shape.days
    ]
    found += [("facts_keyed", f"f.{column} is null", f"'{column} empty'") for column in shape.key]
    found += [
        ("facts_not_negative", f"f.{span} < 0", f"'{span} ' || cast(f.{span} as varchar)")
        for span in shape.spans
    ]
    for check, pairs in (("facts_in_order", shape.ordered), ("facts_reversed", shape.told)):
        found += [
            (check, f"f.{late} < f.{early}", f"'{late} before {early}'") for early, late in pairs
        ]
    found += [
        (
            "facts_people_known",
            f"f.{person} is not null and f.{person} not in (select employee_id from known "
            "where employee_id is not null)",
            f"'{person} ' || f.{person}",
        )
        for person in shape.people
    ]
    found += [
        (
            "facts_refer",
            f"f.{column} is not null and not exists (select 1 from warehouse.core.{table} t "
            f"where t.month = {start} and t.{theirs} = f.{column})",
            f"'{column} not in {table}'",
        )
        for column, table, theirs in shape.refers
    ]
    return found


def _reconciliation_rules(case: Case) -> list[Rule]:
    return [
        rows(
            "facts_current", CRITICAL, "builds",
            "select 'built from other deliveries' as month from (select count(*) as n from batch "
            f"where as_of = '{case.as_of.key}' and inputs_sha256 = '{_inputs(case)}') where n = 0",
            ("Facts were built from the deliveries that count now (else: perfhouse build)",
             "事实表由当前有效的交付构建（否则请重新 build）"),
        ),
        rows(
            "rows_accounted_for", CRITICAL, "unexplained",
            "select stream, source, delivered, record from batch",
            ("Every landed row is in a fact, or left out for a named reason",
             "每一行入湖数据都在事实表中，或有列明的排除原因"),
            observe="select printf('%d rows', coalesce(sum(rows), 0)::bigint) from reconciliation "
            "where reason = 'unexplained'",
        ),
        rows(
            "rows_add_up", CRITICAL, "reconciliation", reconciliation.missing_query(case),
            ("Landed rows = rows in facts + rows left out, delivery by delivery",
             "逐次交付：入湖行数 = 事实表行数 + 排除行数"),
            observe="select printf('%d landed = %d in facts + %d left out', "
            "coalesce(sum(rows), 0)::bigint, "
            "coalesce(sum(rows) filter (where in_facts), 0)::bigint, "
            "coalesce(sum(rows) filter (where not in_facts), 0)::bigint) from reconciliation",
        ),
        rows(
            "events_have_tickets", WARNING, "ticketless", "select source, record from batch",
            ("Every ticket event of the month has its ticket in a delivery that the build reads "
             "(else [look_back] tickets)",
             "本月的每个工单事件都能在所读交付中找到其工单（否则请设置 [look_back] tickets）"),
            observe="select printf('%d events', coalesce(sum(rows), 0)::bigint) from "
            f"reconciliation where reason = '{readings.TICKETLESS}' "
            f"and delivered = '{case.month.key}'",
        ),
        rows(
            "facts_have_rows", CRITICAL, "from_nowhere", "select fact, source, record from batch",
            ("Behind every row of a fact stands a landed row", "事实表的每一行都有对应的入湖数据"),
        ),
        rows(
            "comments_counted", CRITICAL, "miscounted",
            "select source, ticket_id, counted, delivered from batch",
            ("Tickets count as many comments as their events tell",
             "工单的评论数与其事件相符"),
        ),
    ]  # fmt: skip


def _shape_rules() -> list[Rule]:
    return [
        _none("facts_keyed", "Every row of a fact has a key", "事实表每行都有主键"),
        _none("facts_unique", "No two rows of a fact have one key", "事实表主键不重复"),
        _none("facts_in_month", "Every row of a fact lies in its month", "事实表每行都落在本月"),
        _none("facts_not_negative", "No duration or count is negative", "时长与计数不为负"),
        _none("facts_in_order", "No stretch ends before it begins", "时段的结束不早于开始"),
        _none("facts_people_known", "Facts name only people whom the identities know",
              "事实表中的人员都在身份对照中"),
        _none("facts_refer", "What a fact refers to is there", "事实表引用的记录都存在"),
    ]  # fmt: skip


def _none(id: str, english: str, chinese: str) -> Rule:
    query = f"select fact, record, found from batch where check_id = '{id}'"
    return rows(id, CRITICAL, "offences", query, (english, chinese))


def _reversal_rules(share: float) -> list[Rule]:
    of_rows = "100.0 * reversed / nullif(rows, 0)"
    return [
        rows(
            "facts_seldom_reversed", CRITICAL, "offences",
            "select fact, record, found from batch where check_id = 'facts_reversed' and fact in "
            f"(select fact from reversals where reversed > {share!r} * rows)",
            ("Hardly anything is told to have ended before it began",
             "几乎没有结束早于开始的记录"),
            threshold=f"{share:.2%} of a fact's rows",
            observe=f"select printf('%.2f%% at most (%s)', {of_rows}, fact) from reversals "
            f"order by {of_rows} desc nulls last, fact limit 1",
            limit="reversed_share",
        ),
        rows(
            "facts_reversed", WARNING, "offences",
            "select fact, record, found from batch where check_id = 'facts_reversed'",
            ("Nothing is told to have ended before it began", "没有结束早于开始的记录"),
        ),
    ]  # fmt: skip
