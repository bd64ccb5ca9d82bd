"""Writes the deliveries of the landing benchmark, set-based; every value is a hash of its row.

Knows the sources' dialects, not our streams.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH = 50_000
_BLOCK = 1 << 24

_MACROS = (
    "create or replace macro pick(i, salt, n) as cast(hash(i, salt) % n as bigint)",
    # September 2026 in Shanghai, as naive UTC
    "create or replace macro moment(i, salt, n) as "
    "timestamp '2026-08-31 16:00:00' + to_seconds(pick(i, salt, n))",
    "create or replace macro stamp(t) as strftime(t, '%Y-%m-%d %H:%M:%S')",
    "create or replace macro iso(t) as strftime(t, '%Y-%m-%dT%H:%M:%SZ')",
)


def _numbers(rows: int) -> str:
    """Return SQL of row numbers `i`; the last thousandth repeats the first ones."""
    repeated = rows // 1000
    return (
        f"(select i from range({rows - repeated}) as n(i) "
        f"union all select i from range({repeated}) as n(i))"
    )


def _macros(con: DuckDBPyConnection) -> None:
    for macro in _MACROS:
        con.execute(macro)


def _copy(con: DuckDBPyConnection, query: str, target: Path, options: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    con.execute(f"copy ({query}) to '{target}' ({options})")


def _tickets(rows: int) -> str:
    return f"""
    with timed as (
        select i, moment(i, 'created', 2000000) as created
        from {_numbers(rows)}
    )
    select
        'T' || lpad(cast(i as varchar), 9, '0') as ticket_no,
        ['Billing', 'Complaint', 'Delivery', 'Technical'][1 + pick(i, 'kind', 4)] as kind,
        ['Web form', 'E-mail', 'Live chat', 'Phone', 'Fax'][1 + pick(i, 'channel', 5)] as channel,
        ['P1', 'P2', 'P3', 'P4'][1 + pick(i, 'priority', 4)] as priority,
        ['Open', 'Solved', 'Closed'][1 + pick(i, 'state', 3)] as state,
        'Q' || pick(i, 'queue', 250) as queue,
        'A' || lpad(cast(pick(i, 'agent', 5000) as varchar), 4, '0') as assignee,
        'customer' || pick(i, 'customer', 100000) || '@example.com' as customer,
        if(pick(i, 'broken', 2000) = 0, '2026-09-31 25:61:00', stamp(created)) as created,
        stamp(created + to_seconds(60 + pick(i, 'reply', 28800))) as first_reply,
        if(pick(i, 'state', 3) = 0, null,
            stamp(created + to_seconds(3600 + pick(i, 'solve', 400000)))) as solved,
        pick(i, 'reopens', 20) // 18 as reopens,
        pick(i, 'replies', 6) as replies,
        stamp(created + to_seconds(3700 + pick(i, 'solve', 400000))) as updated
    from timed
    """


def tickets_csv(con: DuckDBPyConnection, data: Path, rows: int) -> None:
    """Write one CSV of tickets."""
    _macros(con)
    _copy(con, _tickets(rows), data / "tickets" / "2026-09" / "tickets.csv", "format csv, header")


def tickets_sql(con: DuckDBPyConnection, data: Path, rows: int) -> None:
    """Write one SQLite database of the same tickets."""
    _macros(con)
    data.mkdir(parents=True, exist_ok=True)
    cursor = con.execute(_tickets(rows))
    names = [column[0] for column in cursor.description or ()]
    path = data / "desk.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as desk:
        desk.execute("pragma journal_mode = off")
        desk.execute("pragma synchronous = off")
        desk.execute(f"create table tickets ({', '.join(names)})")
        marks = ", ".join("?" for _ in names)
        while batch := cursor.fetchmany(_BATCH):
            desk.executemany(f"insert into tickets values ({marks})", batch)
        desk.commit()


def calls_json(con: DuckDBPyConnection, data: Path, rows: int) -> None:
    """Write contact traces into a folder per UTC hour of the local month."""
    _macros(con)
    con.execute(
        f"""
        create or replace temp table contacts as
        with timed as (
            select i, moment(i, 'started', 2588000) as started, pick(i, 'lost', 12) = 0 as is_lost
            from {_numbers(rows)}
        )
        select
            date_trunc('hour', started) as hour,
            'c-' || md5(cast(i as varchar)) as ContactId,
            'VOICE' as Channel,
            'INBOUND' as InitiationMethod,
            if(pick(i, 'broken', 2000) = 0, '2026-09-31T25:61:00Z', iso(started))
                as InitiationTimestamp,
            iso(started + interval 15 minute) as DisconnectTimestamp,
            if(pick(i, 'hangup', 2) = 0, 'AGENT_DISCONNECT', 'CUSTOMER_DISCONNECT')
                as DisconnectReason,
            iso(started + interval 20 minute) as LastUpdateTimestamp,
            {{'Name': 'Q' || pick(i, 'queue', 250),
              'EnqueueTimestamp': iso(started + interval 9 second),
              'Duration': pick(i, 'wait', 120)}} as Queue,
            if(is_lost, null, {{
                'Username': 'A' || lpad(cast(pick(i, 'agent', 5000) as varchar), 4, '0'),
                'ConnectedToAgentTimestamp': iso(started + interval 2 minute),
                'AgentInteractionDuration': 30 + pick(i, 'talk', 600),
                'CustomerHoldDuration': pick(i, 'hold', 60), 'NumberOfHolds': pick(i, 'holds', 3),
                'AfterContactWorkDuration': pick(i, 'after', 90)}}) as Agent,
            {{'Address': '+8613' || pick(i, 'caller', 900000000), 'Type': 'TELEPHONE_NUMBER'}}
                as CustomerEndpoint,
            {{'ticket_id': 'T' || lpad(cast(i as varchar), 9, '0')}} as Attributes,
            '123456789012' as AWSAccountId,
            '2017-03-10' as AWSContactTraceRecordFormatVersion
        from timed
        order by hour
        """
    )
    hours = con.execute("select distinct hour from contacts order by hour").fetchall()
    for (hour,) in hours:
        query = f"select * exclude (hour) from contacts where hour = timestamp '{hour}'"
        _copy(con, query, data / "ctr" / f"{hour:%Y/%m/%d/%H}" / "traces.json", "format json")


def training_jsonl(con: DuckDBPyConnection, data: Path, rows: int) -> None:
    """Write xAPI statements, one a line."""
    _macros(con)
    query = f"""
    select
        'u-' || md5(cast(i as varchar)) as id,
        {{'account': {{'homePage': 'https://hr.example.com',
            'name': 'A' || lpad(cast(pick(i, 'agent', 5000) as varchar), 4, '0')}}}} as actor,
        {{'id': 'http://adlnet.gov/expapi/verbs/'
            || ['assigned', 'completed', 'passed', 'failed'][1 + pick(i, 'verb', 4)]}} as verb,
        {{'id': 'https://learn.example.com/course/' || pick(i, 'course', 400),
          'definition': {{'name': {{'zh-CN': '课程' || pick(i, 'course', 400)}},
            'type': 'http://adlnet.gov/expapi/activities/course'}}}} as object,
        {{'score': {{'raw': pick(i, 'score', 101), 'max': 100}}, 'success': pick(i, 'ok', 5) > 0,
          'duration': 'PT' || (1 + pick(i, 'spent', 90)) || 'M'}} as result,
        {{'extensions': {{'https://perfhouse.dev/xapi/mandatory': pick(i, 'must', 2) = 0,
            'https://perfhouse.dev/xapi/due-at': iso(moment(i, 'due', 2588000))}}}} as context,
        if(pick(i, 'broken', 2000) = 0, '2026-09-31T25:61:00Z', iso(moment(i, 'at', 2588000)))
            as "timestamp"
    from {_numbers(rows)}
    """
    _copy(con, query, data / "xapi" / "2026-09" / "statements.jsonl", "format json")


def surveys_csv(con: DuckDBPyConnection, data: Path, rows: int) -> None:
    """Write a CSV that opens with a byte order mark and holds local times without a zone."""
    _macros(con)
    query = f"""
    select
        'R' || i as "Response ID",
        if(pick(i, 'kind', 4) = 0, 'NPS', 'CSAT') as "Survey",
        'Q' || pick(i, 'kind', 4) as "Question",
        if(pick(i, 'broken', 2000) = 0, '31/09/2026 25:61',
            strftime(moment(i, 'at', 2588000) + interval 8 hour, '%d/%m/%Y %H:%M')) as "Submitted",
        if(pick(i, 'kind', 4) = 0, pick(i, 'score', 11), 1 + pick(i, 'score', 5)) as "Score",
        ' A' || lpad(cast(pick(i, 'agent', 5000) as varchar), 4, '0') || ' ' as "Agent",
        'T' || lpad(cast(i as varchar), 9, '0') as "Ticket",
        'customer' || pick(i, 'customer', 100000) || '@example.com' as "Customer"
    from {_numbers(rows)}
    """
    plain = data / "surveys" / "plain.csv"
    _copy(con, query, plain, "format csv, header")
    _rewrite(plain, data / "surveys" / "2026-09" / "answers.csv", "utf-8-sig")


def roster_csv(con: DuckDBPyConnection, data: Path, rows: int) -> None:
    """Write a CSV with Chinese headers, names and values, in GB18030."""
    _macros(con)
    query = f"""
    select
        '2026/09/30' as 快照日期,
        'E' || lpad(cast(i as varchar), 8, '0') as 工号,
        ['张', '王', '李', '赵', '陈', '刘'][1 + pick(i, 'last', 6)]
            || ['伟', '芳', '娜', '敏', '静', '强', '磊', '洋'][1 + pick(i, 'first', 8)] as 姓名,
        '客户服务部' as 部门,
        'T' || pick(i, 'team', 250) as 班组,
        if(pick(i, 'job', 20) = 0, '客服主管', '客服专员') as 岗位,
        'M' || pick(i, 'team', 250) as 直属上级,
        ['在职', '在职', '试用', '离职'][1 + pick(i, 'state', 4)] as 状态,
        if(pick(i, 'broken', 2000) = 0, '不详',
            strftime(date '2018-01-01' + cast(pick(i, 'hired', 3000) as integer), '%Y/%m/%d'))
            as 入职日期,
        if(pick(i, 'place', 2) = 0, '上海', '成都') as 工作地点,
        '1.0' as 工时系数,
        '2026/09/01' as 生效日期
    from {_numbers(rows)}
    """
    plain = data / "roster" / "plain.csv"
    _copy(con, query, plain, "format csv, header")
    _rewrite(plain, data / "roster" / "2026-09.csv", "gb18030")


def _rewrite(plain: Path, target: Path, encoding: str) -> None:
    """Write a UTF-8 file again in another encoding, and remove it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        plain.open(encoding="utf-8", newline="") as source,
        target.open("w", encoding=encoding, newline="") as out,
    ):
        while text := source.read(_BLOCK):
            out.write(text)
    plain.unlink()
