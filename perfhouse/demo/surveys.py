"""The survey tool's truth: who was asked, who answered, and every question's answer.

One invitation a solved ticket at most; NPS only of customers who were never asked before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def build(con: DuckDBPyConnection) -> None:
    """Create true_invitations and true_answers (one row per response and question)."""
    con.execute(_INVITATIONS)
    con.execute(_ANSWERS)


# The tool shows whole minutes. `local_month` is the month of the site's own calendar; a few
# responses arrive a month late, and a few only with the re-delivery.
_INVITATIONS = """
create table true_invitations as
with sent as (
    select
        ticket_id,
        if(agent_id like 'user:%' or u(ticket_id, 'unknown-agent') < 0.003, 'A99999', agent_id)
            as agent_id,
        site, time_zone, category, customer_no, csat, nps, attitude,
        date_trunc('minute', solved_at + interval 1 hour) as sent_at,
        u(ticket_id, 'answers') < 0.5 as is_answered,
        to_seconds(60 * (120 + cast(floor(power(u(ticket_id, 'answer-when'), 2) * 3600) as bigint)))
            as pause
    from true_tickets
    where solved_at is not null and u(ticket_id, 'invited') < 0.62
),

timed as (
    select
        * exclude (pause),
        if(is_answered, by_day(time_zone, sent_at + pause), null) as submitted_at
    from sent
),

dated as (
    select
        *,
        submitted_at - to_seconds(60 * (1 + ticket_id % 8)) as started_at,
        local_day(time_zone, coalesce(submitted_at, sent_at)) as event_on
    from timed
),

numbered as (
    select
        t.*, m.month as local_month, m.position, m.next_day,
        100000 + row_number() over (partition by t.site order by t.ticket_id) as response_no,
        if(
            is_answered,
            row_number() over (
                partition by t.customer_no, is_answered order by t.submitted_at, t.ticket_id
            ),
            null
        ) as nth_of_customer
    from dated t
    join months m on t.event_on >= m.first_day and t.event_on < m.next_day
)

select
    * exclude (position, next_day),
    case
        when is_answered and u(ticket_id, 'kept-back') < 0.015 then 'redelivery'
        when is_answered and next_day - event_on <= 3 and u(ticket_id, 'late') < 0.2
            and position + 1 < (select count(*) from months) then 'late'
        else 'on time'
    end as arrival
from numbered
"""

_ANSWERS = """
create table true_answers as
with asked as (
    select i.*, q.metric, q.low, q.high
    from true_invitations i
    join (values ('csat', 1, 5), ('attitude', 1, 5), ('nps', 0, 10)) as q(metric, low, high)
        on q.metric <> 'nps' or i.nth_of_customer = 1
    where i.is_answered
),

scored as (
    select
        *,
        case metric
            when 'csat' then case
                when u(ticket_id, 'csat') < 0.56 + 0.37 * csat - if(category = 'complaint', 0.12, 0)
                    then 4 + cast(u(ticket_id, 'csat-5') < 0.6 as integer)
                else 1 + cast(floor(power(u(ticket_id, 'csat-low'), 0.6) * 3) as integer)
            end
            when 'attitude' then case
                when u(ticket_id, 'att') < 0.32 + 0.45 * attitude then 5
                when u(ticket_id, 'att') < 0.82 + 0.13 * attitude then 4
                else 1 + cast(floor(u(ticket_id, 'att-low') * 3) as integer)
            end
            else case
                when u(ticket_id, 'nps') < 0.3 + 0.38 * nps
                    then 9 + cast(u(ticket_id, 'nps-10') < 0.5 as integer)
                when u(ticket_id, 'nps') < 0.66 + 0.26 * nps
                    then 7 + cast(u(ticket_id, 'nps-8') < 0.5 as integer)
                else cast(floor(u(ticket_id, 'nps-low') * 7) as integer)
            end
        end as score
    from asked
)

select
    *,
    case
        when u(ticket_id * 3 + length(metric), 'corrected') < 0.02 then 'in month'
        when u(ticket_id * 3 + length(metric), 'corrected') < 0.05 then 'redelivery'
    end as correction,
    low + high - score as mistaken_score
from scored
"""
