"""The floors: each delivery read with the same casts and written to Parquet, and nothing else.

No archive, no hash, no duplicates, no quarantine, no manifest: what is left out is what landing
costs. Values that do not cast become null here.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH = 20_000
_PARQUET = "(format parquet, compression zstd, row_group_size 122880)"
_TICKETS = """
    ticket_no as ticket_id, kind as category, kind = 'Complaint' as is_complaint,
    case channel when 'Web form' then 'web' when 'E-mail' then 'email' when 'Live chat' then 'chat'
        when 'Phone' then 'phone' else 'other' end as channel,
    case priority when 'P1' then 'urgent' when 'P2' then 'high' when 'P3' then 'normal'
        when 'P4' then 'low' end as priority,
    case state when 'Open' then 'open' when 'Solved' then 'solved' when 'Closed' then 'closed' end
        as status,
    queue as queue_id, assignee as assignee_id, assignee as resolved_by_id,
    sha256(customer) as requester_key,
    timezone('UTC', try_cast(created as timestamp)) as created_at,
    timezone('UTC', try_cast(first_reply as timestamp)) as first_response_at,
    timezone('UTC', try_cast(solved as timestamp)) as resolved_at,
    try_cast(reopens as bigint) as reopen_count, try_cast(replies as bigint) as reply_count,
    timezone('UTC', try_cast(updated as timestamp)) as source_updated_at
"""


def _write(con: DuckDBPyConnection, query: str, target: Path) -> None:
    con.execute(f"copy ({query}) to '{target}' {_PARQUET}")


def tickets_csv(con: DuckDBPyConnection, data: Path, target: Path) -> None:
    """Let DuckDB read the CSV."""
    source = data / "tickets" / "2026-09" / "tickets.csv"
    _write(con, f"select {_TICKETS} from read_csv('{source}', all_varchar = true)", target)


def tickets_sql(con: DuckDBPyConnection, data: Path, target: Path) -> None:
    """Run the query with the driver alone: no DuckDB reader of SQLite works without downloads."""
    import pyarrow as pa

    query = "select * from tickets where updated >= ? and created < ? order by ticket_no"
    con.execute("drop table if exists fetched")
    with closing(sqlite3.connect(data / "desk.db")) as desk:
        cursor = desk.execute(query, ("2026-08-31 16:00:00", "2026-09-30 16:00:00"))
        names = [column[0] for column in cursor.description]
        while batch := cursor.fetchmany(_BATCH):
            arrays = [pa.array(values) for values in zip(*batch, strict=True)]
            table = pa.table(arrays, names)
            con.register("batch", table)
            con.execute("create table if not exists fetched as from batch limit 0")
            con.execute("insert into fetched from batch")
            con.unregister("batch")
    _write(con, f"select {_TICKETS} from fetched", target)


def calls_json(con: DuckDBPyConnection, data: Path, target: Path) -> None:
    """Let DuckDB read all files at once, with their structure given."""
    files = sorted(str(path) for path in (data / "ctr").rglob("*.json"))
    con.execute("set variable files = ?", [files])
    con.execute("create macro ms(t) as cast(round(try_cast(t as double) * 1000) as bigint)")
    _write(
        con,
        """
        select
            ContactId as leg_id, ContactId as interaction_id,
            case when InitiationMethod = 'CALLBACK' then 'callback'
                when Channel = 'CHAT' then 'chat' else 'voice' end as media,
            if(InitiationMethod in ('OUTBOUND', 'CALLBACK'), 'outbound', 'inbound') as direction,
            Queue.Name as queue_id, Agent.Username as agent_id,
            sha256(CustomerEndpoint.Address) as customer_key,
            sha256(CustomerEndpoint.Address) as ani_hash,
            try_cast(InitiationTimestamp as timestamptz) as started_at,
            try_cast(Queue.EnqueueTimestamp as timestamptz) as queued_at,
            try_cast(Agent.ConnectedToAgentTimestamp as timestamptz) as answered_at,
            try_cast(DisconnectTimestamp as timestamptz) as ended_at,
            ms(Queue.Duration) as wait_ms,
            ms(Agent.AgentInteractionDuration) as talk_ms,
            ms(Agent.CustomerHoldDuration) as hold_ms,
            try_cast(Agent.NumberOfHolds as bigint) as hold_count,
            ms(Agent.AfterContactWorkDuration) as acw_ms,
            case when Agent.ConnectedToAgentTimestamp is not null then 'answered'
                when Queue.EnqueueTimestamp is not null then 'abandoned' else 'failed' end
                as disposition,
            DisconnectReason as raw_disposition, 'none' as transfer_type,
            case DisconnectReason when 'AGENT_DISCONNECT' then 'agent'
                when 'CUSTOMER_DISCONNECT' then 'customer' else 'system' end as hangup_party,
            Attributes.ticket_id as ticket_id,
            try_cast(LastUpdateTimestamp as timestamptz) as source_updated_at
        from read_json(getvariable('files'), format = 'newline_delimited', columns = {
            ContactId: 'varchar', Channel: 'varchar', InitiationMethod: 'varchar',
            InitiationTimestamp: 'varchar', DisconnectTimestamp: 'varchar',
            DisconnectReason: 'varchar', LastUpdateTimestamp: 'varchar',
            Queue: 'struct(Name varchar, EnqueueTimestamp varchar, Duration varchar)',
            Agent: 'struct(Username varchar, ConnectedToAgentTimestamp varchar,
                AgentInteractionDuration varchar, CustomerHoldDuration varchar,
                NumberOfHolds varchar, AfterContactWorkDuration varchar)',
            CustomerEndpoint: 'struct(Address varchar)', Attributes: 'struct(ticket_id varchar)'})
        """,
        target,
    )


def training_jsonl(con: DuckDBPyConnection, data: Path, target: Path) -> None:
    """Let DuckDB read the lines, with their structure given."""
    source = data / "xapi" / "2026-09" / "statements.jsonl"
    verb = "regexp_extract(verb.id, '([^/#]+)/?$', 1)"
    at = 'try_cast("timestamp" as timestamptz)'
    _write(
        con,
        f"""
        select
            id as record_id, actor.account.name as learner_id, object.id as course_id,
            object.definition.name."zh-CN" as course_name,
            regexp_extract(object.definition.type, '([^/#]+)/?$', 1) as course_type,
            try_cast(context.extensions."https://perfhouse.dev/xapi/mandatory" as boolean)
                as is_mandatory,
            case when {verb} = 'assigned' then {at} end as assigned_at,
            try_cast(context.extensions."https://perfhouse.dev/xapi/due-at" as timestamptz)
                as due_at,
            case when {verb} in ('completed', 'passed') then {at} end as completed_at,
            {verb} as status,
            try_cast(result.score.raw as decimal(9, 4)) as score,
            try_cast(result.score.max as decimal(9, 4)) as scale_max,
            try_cast(result.success as boolean) as passed,
            60000 * try_cast(regexp_extract(result.duration, 'PT([0-9]+)M', 1) as bigint)
                as time_spent_ms,
            {verb} as xapi_verb, {at} as source_updated_at
        from read_json('{source}', format = 'newline_delimited', columns = {{
            id: 'varchar', actor: 'struct(account struct(name varchar))',
            verb: 'struct(id varchar)',
            object: 'struct(id varchar,
                definition struct(name struct("zh-CN" varchar), type varchar))',
            result: 'struct(score struct(raw varchar, max varchar), success varchar,
                duration varchar)',
            context: 'struct(extensions struct("https://perfhouse.dev/xapi/mandatory" varchar,
                "https://perfhouse.dev/xapi/due-at" varchar))',
            "timestamp": 'varchar'}})
        """,
        target,
    )


def surveys_csv(con: DuckDBPyConnection, data: Path, target: Path) -> None:
    """Let DuckDB read the CSV."""
    source = data / "surveys" / "2026-09" / "answers.csv"
    _write(
        con,
        f"""
        select
            "Response ID" as response_id, 'after-contact' as survey_id,
            case "Survey" when 'CSAT' then 'csat' when 'NPS' then 'nps' end as survey_kind,
            "Question" as question_id,
            case "Survey" when 'CSAT' then 'csat' when 'NPS' then 'nps' end as metric,
            'completed' as status,
            timezone('Asia/Shanghai', try_strptime("Submitted", '%d/%m/%Y %H:%M')) as submitted_at,
            try_cast("Score" as decimal(9, 4)) as score,
            cast(if("Survey" = 'NPS', 0, 1) as decimal(9, 4)) as scale_min,
            cast(if("Survey" = 'NPS', 10, 5) as decimal(9, 4)) as scale_max,
            trim("Agent") as subject_employee_id, "Ticket" as ticket_id,
            'customer' as rater_type, sha256("Customer") as rater_key
        from read_csv('{source}', all_varchar = true)
        """,
        target,
    )


def roster_csv(con: DuckDBPyConnection, data: Path, target: Path) -> None:
    """Let Arrow decode and split: DuckDB reads GB18030 only with an extension."""
    import pyarrow as pa
    from pyarrow import csv

    names = (
        *("快照日期", "工号", "姓名", "部门", "班组", "岗位", "直属上级", "状态", "入职日期"),
        *("工作地点", "工时系数", "生效日期"),
    )
    roster = csv.read_csv(
        data / "roster" / "2026-09.csv",
        read_options=csv.ReadOptions(encoding="gb18030"),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )
    con.register("roster", roster)
    _write(
        con,
        """
        select
            cast(try_strptime(快照日期, '%Y/%m/%d') as date) as snapshot_date, 工号 as employee_id,
            姓名 as display_name, 部门 as department_id, 班组 as team_id, 岗位 as position_name,
            case 岗位 when '客服专员' then 'agent' when '客服主管' then 'cs_manager'
                else 'other' end as job_family,
            直属上级 as manager_employee_id,
            case 状态 when '在职' then 'active' when '试用' then 'probation' when '离职' then 'left'
                end as employment_status,
            cast(try_strptime(入职日期, '%Y/%m/%d') as date) as hire_date, 工作地点 as location,
            try_cast(工时系数 as decimal(9, 4)) as fte,
            cast(try_strptime(生效日期, '%Y/%m/%d') as date) as valid_from
        from roster
        """,
        target,
    )
