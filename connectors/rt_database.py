"""Request Tracker 5 through its own database: what REST tells, at the speed of a query.

Brings queries and mappings for PostgreSQL and MySQL; it may write to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors import sql
from connectors.base import column
from connectors.quoting import literal
from perfhouse.company import ColumnMapping, Source, StreamMapping
from perfhouse.errors import ConfigError

_STAFF = """(
    select distinct m.MemberId as id
    from CachedGroupMembers m
    join {groups} g on g.id = m.GroupId
    where g.Domain = 'SystemInternal' and g.Name = 'Privileged'
)"""
_WINDOW = "x.ObjectType = 'RT::Ticket' and x.Created >= :start and x.Created < :end"
_OWNERS = "x.Field = 'Owner' and x.Type in ('Set', 'Give', 'Take', 'Untake', 'Steal', 'Force')"
_ENDED = "('resolved', 'rejected', 'deleted')"
_REOPENS = f"x.Type = 'Status' and x.OldValue in {_ENDED} and x.NewValue not in {_ENDED}"
_VALUE = """(
    select min(v.Content)
    from ObjectCustomFieldValues v
    join CustomFields f on f.id = v.CustomField
    where v.ObjectType = 'RT::Ticket' and v.ObjectId = t.id and v.Disabled = 0
        and f.LookupType = 'RT::Queue-RT::Ticket' and f.Name = {name}
)"""
# RT writes 1970 for never
_NEVER = "timestamp '1970-01-01 00:00:00'"

# a ticket belongs to the month that changed it, also when it was changed again afterwards, and
# when it was merged: RT then touches only the one that goes on
_TICKETS_QUERY = f"""
select
    t.id,
    case when t.EffectiveId <> t.id then 'merged' else t.Status end as state,
    t.Status as status,
    case when t.EffectiveId <> t.id then t.EffectiveId end as merged_into,
    t.Queue as queue_id,
    q.Name as queue_name,
    case when o.Name <> 'Nobody' then t.Owner end as owner_id,
    (
        select coalesce(nullif(trim(u.EmailAddress), ''), u.Name)
        from {{groups}} g
        join CachedGroupMembers m on m.GroupId = g.id and m.Disabled = 0
        join Users u on u.id = m.MemberId
        where g.Domain = 'RT::Ticket-Role' and g.Name = 'Requestor' and g.Instance = t.id
        order by m.id
        limit 1
    ) as requestor,
    t.Priority as priority,
    t.SLA as sla,
    t.Created as created,
    nullif(t.Due, {_NEVER}) as due,
    case when t.Status not in ('rejected', 'deleted') then nullif(t.Resolved, {_NEVER}) end
        as resolved,
    case when t.Status = 'rejected' then nullif(t.Resolved, {_NEVER}) end as closed,
    t.LastUpdated as last_updated,
    e.last_id,
    reply.Created as first_reply,
    reply.Creator as first_replier,
    case when t.Status not in ('rejected', 'deleted') and nullif(t.Resolved, {_NEVER}) is not null
        then solve.Creator end as resolver,
    e.first_assigned,
    coalesce(e.replies, 0) as replies,
    coalesce(e.reopened, 0) as reopened,
    coalesce(e.reassigned, 0) as reassigned,
    coalesce(e.moved, 0) as moved{{fields}}
from Tickets t
join Queues q on q.id = t.Queue
join Users o on o.id = t.Owner
left join (
    select
        x.ObjectId as ticket_id,
        max(x.id) as last_id,
        min(case when x.Type = 'Correspond' and s.id is not null then x.id end) as reply_id,
        max(case when x.Type = 'Status' and x.NewValue = 'resolved' then x.id end) as solve_id,
        min(case when {_OWNERS} and x.NewValue <> nobody.id then x.Created end) as first_assigned,
        sum(case when x.Type = 'Correspond' and s.id is not null then 1 else 0 end) as replies,
        sum(case when {_REOPENS} then 1 else 0 end) as reopened,
        sum(case when {_OWNERS} and x.OldValue <> nobody.id and x.NewValue <> nobody.id
            and x.OldValue <> x.NewValue then 1 else 0 end) as reassigned,
        sum(case when x.Type = 'Set' and x.Field = 'Queue' then 1 else 0 end) as moved
    from Transactions x
    cross join (select concat(min(n.id), '') as id from Users n where n.Name = 'Nobody') nobody
    left join {_STAFF} s on s.id = x.Creator
    where x.ObjectType = 'RT::Ticket'
    group by x.ObjectId
) e on e.ticket_id = t.id
left join Transactions reply on reply.id = e.reply_id
left join Transactions solve on solve.id = e.solve_id
where t.Type = 'ticket'
    and (
        t.LastUpdated >= :start and t.LastUpdated < :end
        or t.id in (select x.ObjectId from Transactions x where {_WINDOW})
    )
"""
# of other fields old and new values may be free text, such as a subject
_EVENTS_QUERY = f"""
select
    x.id,
    x.ObjectId as ticket_id,
    x.Type as type,
    case when x.Type = 'CustomField' then f.Name else x.Field end as field,
    case when x.Field in ('Status', 'Owner', 'Queue', 'Priority', 'SLA') then x.OldValue end
        as old_value,
    case when x.Field in ('Status', 'Owner', 'Queue', 'Priority', 'SLA', 'MergedInto')
        then x.NewValue end as new_value,
    x.Created as created,
    x.Creator as creator_id,
    case when u.Name = 'RT_System' then 'system' when s.id is not null then 'agent'
        else 'customer' end as actor,
    x.TimeTaken as minutes,
    case when x.Type = 'CustomField' and f.Name = {{csat}} then 'true' else 'false' end as is_rating
from Transactions x
join Users u on u.id = x.Creator
left join CustomFields f on x.Type = 'CustomField' and concat(f.id, '') = x.Field
left join {_STAFF} s on s.id = x.Creator
where {_WINDOW}
"""
# RT keeps the value that was set beside the transaction, in the version of the field it made
_RATINGS_QUERY = f"""
select
    x.id,
    x.ObjectId as ticket_id,
    f.Name as field,
    coalesce(x.NewValue, v.Content) as score,
    case when coalesce(x.NewValue, v.Content, '') = '' then 'deleted' else 'completed' end
        as answer,
    x.Created as created,
    case when o.Name <> 'Nobody' then t.Owner end as owner_id
from Transactions x
join CustomFields f on concat(f.id, '') = x.Field
join Tickets t on t.id = x.ObjectId
join Users o on o.id = t.Owner
left join ObjectCustomFieldValues v on v.id = x.NewReference
    and x.ReferenceType = 'RT::ObjectCustomFieldValue'
where x.Type = 'CustomField' and f.Name = {{csat}} and {_WINDOW}
"""
_USERS_QUERY = f"""
select
    u.id,
    u.EmailAddress as email,
    case when u.Name like '%@%' then null else u.Name end as login,
    case when p.Disabled = 0 then 'true' else 'false' end as is_active,
    u.LastUpdated as last_updated
from Users u
join Principals p on p.id = u.id
join {_STAFF} s on s.id = u.id
"""


def _fill(source: Source, backend: str) -> Mapping[str, str]:
    """Return what stands for the words of the queries: names that a database reserves, fields."""
    mysql = backend in ("mysql", "mariadb")
    mark = "`" if mysql else '"'
    csat = source.options.get("csat_field")
    rating = literal("") if csat is None else sql.text_option(csat, f"{source.id}.csat_field")
    wanted = {"rating": rating}
    for name in _names(source):
        if mark in name:
            raise ConfigError([f"{source.id}.fields: expected names without {mark}, got {name!r}"])
        wanted[f"cf.{name}"] = sql.text_option(name, f"{source.id}.fields")
    values = (
        f",\n    {_VALUE.format(name=name)} as {mark}{alias}{mark}"
        for alias, name in wanted.items()
    )
    return {
        "groups": "`Groups`" if mysql else "Groups",  # MySQL 8 reserves the word
        "csat": rating,
        "fields": "".join(values),
    }


def _names(source: Source) -> list[str]:
    given = source.options.get("fields", [])
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise ConfigError([f"{source.id}.fields: expected a list of custom fields, got {given!r}"])
    return given


def _at(name: str) -> ColumnMapping:
    return ColumnMapping(source=name, time_zone="UTC")


_TICKETS = {
    "ticket_id": column("id"),
    # RT's own words: low 0, medium 50, high 100
    "priority": ColumnMapping(
        sql="case when try_cast(\"priority\" as integer) >= 100 then 'high' "
        "when try_cast(\"priority\" as integer) >= 50 then 'normal' "
        "when try_cast(\"priority\" as integer) is not null then 'low' end"
    ),
    "status": ColumnMapping(
        source="state",
        values={
            **{"new": "new", "open": "open", "stalled": "pending", "resolved": "solved"},
            **{"rejected": "closed", "deleted": "deleted", "merged": "merged"},
        },
    ),
    "raw_status": column("status"),
    "queue_id": column("queue_id"),
    "queue_name": column("queue_name"),
    "assignee_id": column("owner_id"),
    "resolved_by_id": column("resolver"),
    "first_responder_id": column("first_replier"),
    "requester_key": ColumnMapping(sql='lower(trim("requestor"))', hash=True),
    "sla_policy": column("sla"),
    "created_at": _at("created"),
    "first_assigned_at": _at("first_assigned"),
    "first_response_at": _at("first_reply"),
    "resolved_at": _at("resolved"),
    "closed_at": _at("closed"),
    "due_at": _at("due"),
    "reopen_count": column("reopened"),
    "reassign_count": column("reassigned"),
    "transfer_count": column("moved"),
    "reply_count": column("replies"),
    "merged_into": column("merged_into"),
    # a rating that is no number keeps no ticket out: its answer is judged by itself
    "csat_score": ColumnMapping(sql='try_cast("rating" as decimal(9, 4))'),
    "source_updated_at": _at("last_updated"),
    "source_seq": column("last_id"),
}
_MERGED = r"""regexp_extract("new_value", '/ticket/(\d+)$', 1)"""
_EVENTS = {
    "event_id": column("id"),
    "ticket_id": column("ticket_id"),
    "seq": column("id"),
    "occurred_at": _at("created"),
    "actor_id": column("creator_id"),
    "actor_type": column("actor"),
    # both tickets of a merge keep a record of it; the one that lives on was not merged
    "event_type": ColumnMapping(
        sql=f"""case
            when "type" = 'Create' then 'created'
            when "type" = 'Status' and "new_value" = 'resolved' then 'solved'
            when "type" = 'Status' and "new_value" = 'rejected' then 'closed'
            when "type" = 'Status' and "new_value" = 'deleted' then 'deleted'
            when "type" = 'Status' and "old_value" in ('resolved', 'rejected', 'deleted')
                then 'reopened'
            when "type" = 'Status' then 'status_changed'
            when "type" in ('Set', 'Give', 'Take', 'Untake', 'Steal', 'Force')
                and "field" = 'Owner' then 'assigned'
            when "type" = 'Set' and "field" = 'Queue' then 'queue_changed'
            when "type" = 'Set' and "field" = 'Priority' then 'priority_changed'
            when "type" = 'Correspond' and "actor" = 'customer' then 'customer_reply'
            when "type" = 'Correspond' then 'public_reply'
            when "type" = 'Comment' then 'internal_note'
            when "field" = 'MergedInto' and {_MERGED} not in ('', "ticket_id") then 'merged'
            when "is_rating" = 'true' then 'csat_received'
            when "type" not in ('EmailRecord', 'CommentEmailRecord') then 'field_changed' end"""
    ),
    "raw_type": column("type"),
    "field": column("field"),
    "old_value": column("old_value"),
    "new_value": ColumnMapping(
        sql=f"""case when "field" = 'MergedInto' then {_MERGED} else "new_value" end"""
    ),
    "is_public": ColumnMapping(
        sql="case \"type\" when 'Correspond' then 'true' when 'Comment' then 'false' end"
    ),
    "via_automation": ColumnMapping(
        sql="case when \"actor\" = 'system' then 'true' else 'false' end"
    ),
    "time_spent_ms": ColumnMapping(sql='try(try_cast("minutes" as bigint) * 60000)'),
    "source_updated_at": _at("created"),
    "source_seq": column("id"),
}
_RATINGS = {
    # one ticket has one rating; a changed one is a newer version of it
    "response_id": column("ticket_id"),
    "survey_id": column("field"),
    "survey_kind": ColumnMapping(value="csat"),
    "question_id": column("field"),
    "metric": ColumnMapping(value="csat"),
    "status": column("answer"),
    "submitted_at": _at("created"),
    "score": column("score"),
    "scale_min": ColumnMapping(value=1),
    "scale_max": ColumnMapping(value=5),
    "score_choice": column("score"),
    "agent_id": column("owner_id"),
    "ticket_id": column("ticket_id"),
    "rater_type": ColumnMapping(value="customer"),
    "source_updated_at": _at("created"),
    "source_seq": column("id"),
}
_USERS = {
    "source_user_id": column("id"),
    "email_hash": ColumnMapping(source="email", hash=True),
    # who signs in by an address is known by its hash alone
    "login": column("login"),
    "role": ColumnMapping(value="agent"),
    "is_active": column("is_active"),
    "source_updated_at": _at("last_updated"),
}

CONNECTOR = sql.ready(
    name="rt_database",
    title="Request Tracker's database",
    reads="tickets and transactions changed in the month and the staff, from RT 5's own tables",
    defaults=(
        StreamMapping("tickets", {"query": _TICKETS_QUERY}, None, _TICKETS, ()),
        StreamMapping("ticket_events", {"query": _EVENTS_QUERY}, None, _EVENTS, ()),
        StreamMapping("survey_responses", {"query": _RATINGS_QUERY}, None, _RATINGS, ()),
        StreamMapping("source_users", {"query": _USERS_QUERY}, None, _USERS, ()),
    ),
    options=("csat_field", "fields"),
    fill=_fill,
    zone="UTC",
    snapshots=("source_users",),
)
