"""Moodle's tables as training records: enrolments with completion and grade, and badges.

Brings queries and mappings for PostgreSQL and MySQL; the prefix of the tables is configured.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors import sql
from connectors.base import column
from perfhouse.company import ColumnMapping, Source, StreamMapping

_IN = "{what} >= :start_epoch and {what} < :end_epoch"
_CHANGES = ("n.modified", "n.due", "cc.timestarted", "cc.timecompleted", "gg.timemodified")
# One record per learner and course, however often somebody was enrolled in it. It is read in the
# month in which anything about it changed, and in the one in which it is due.
_RECORDS_QUERY = f"""
select
    concat(n.userid, '-', n.courseid) as record_id,
    n.userid as learner_id,
    concat(n.courseid, '') as course_id,
    c.fullname as course_name,
    'course' as course_type,
    n.assigned as assigned,
    n.due as due,
    cc.timestarted as started,
    cc.timecompleted as completed,
    n.status as suspended,
    gg.finalgrade as score,
    gi.grademax as scale_max,
    gi.gradepass as pass_mark,
    null as cert_id,
    0 as issued,
    0 as expires,
    greatest(n.modified, coalesce(cc.timestarted, 0), coalesce(cc.timecompleted, 0),
        coalesce(gg.timemodified, 0)) as modified
from (
    select
        ue.userid,
        e.courseid,
        min(case when ue.timestart > 0 then ue.timestart else ue.timecreated end) as assigned,
        max(case when ue.timeend = 2147483647 then 0 else ue.timeend end) as due,
        min(ue.status) as status,
        max(ue.timemodified) as modified
    from {{prefix}}user_enrolments ue
    join {{prefix}}enrol e on e.id = ue.enrolid
    group by ue.userid, e.courseid
) n
join {{prefix}}course c on c.id = n.courseid
left join {{prefix}}course_completions cc on cc.userid = n.userid and cc.course = n.courseid
left join {{prefix}}grade_items gi on gi.courseid = n.courseid and gi.itemtype = 'course'
left join {{prefix}}grade_grades gg on gg.itemid = gi.id and gg.userid = n.userid
where {" or ".join(_IN.format(what=each) for each in _CHANGES)}
union all
select
    concat('badge-', i.id), i.userid, concat('badge-', b.id), b.name, 'certification',
    i.dateissued, 0, null, i.dateissued, 0, null, null, null, i.uniquehash, i.dateissued,
    coalesce(i.dateexpire, 0), i.dateissued
from {{prefix}}badge_issued i
join {{prefix}}badge b on b.id = i.badgeid
where {_IN.format(what="i.dateissued")}
"""
# a deleted account's name is its former address; nobody signs in as the guest
_USERS_QUERY = """
select
    u.id,
    nullif(trim(u.idnumber), '') as employee_no,
    case when u.deleted = 0 then u.email end as email,
    case when u.deleted = 0 and u.username not like '%@%' then u.username end as login,
    case when u.deleted = 0 and u.suspended = 0 then 'true' else 'false' end as is_active,
    u.timemodified as modified
from {prefix}user u
where u.username <> 'guest'
"""


def _fill(source: Source, backend: str) -> Mapping[str, str]:
    return {"prefix": sql.name_option(source, "prefix", "mdl_")}


def _instant(name: str) -> ColumnMapping:
    """Return a time that Moodle counts in seconds since 1970; 0 means never."""
    return ColumnMapping(sql=f'try(to_timestamp(nullif(try_cast("{name}" as bigint), 0)))')


_REACHED = """try_cast("score" as double) >= nullif(try_cast("pass_mark" as double), 0)"""
_RECORDS = {
    "record_id": column("record_id"),
    "learner_id": column("learner_id"),
    "course_id": column("course_id"),
    "course_name": column("course_name"),
    "course_type": column("course_type"),
    "assigned_at": _instant("assigned"),
    "due_at": _instant("due"),
    "started_at": _instant("started"),
    "completed_at": _instant("completed"),
    "status": ColumnMapping(
        sql="""case when nullif(try_cast("completed" as bigint), 0) is not null then 'completed'
            when "suspended" = '1' then 'withdrawn'
            when nullif(try_cast("started" as bigint), 0) is not null then 'in_progress'
            else 'assigned' end"""
    ),
    "score": ColumnMapping(
        sql="""case when "score" is not null then try_cast("score" as decimal(9, 4)) end"""
    ),
    "scale_max": ColumnMapping(
        sql="""case when "scale_max" is not null then try_cast("scale_max" as decimal(9, 4)) end"""
    ),
    "passed": ColumnMapping(
        sql=f"case when {_REACHED} then 'true' when not ({_REACHED}) then 'false' end"
    ),
    "cert_id": column("cert_id"),
    "cert_issued_at": _instant("issued"),
    "cert_expires_at": _instant("expires"),
    "source_updated_at": _instant("modified"),
}
_USERS = {
    "source_user_id": column("id"),
    "employee_no": column("employee_no"),
    "email_hash": ColumnMapping(source="email", hash=True),
    "login": column("login"),
    "is_active": column("is_active"),
    "source_updated_at": _instant("modified"),
}

CONNECTOR = sql.ready(
    name="moodle",
    title="Moodle",
    reads="enrolments changed or due in the month, with completion and grade, badges and accounts",
    defaults=(
        StreamMapping("training_records", {"query": _RECORDS_QUERY}, None, _RECORDS, ()),
        StreamMapping("source_users", {"query": _USERS_QUERY}, None, _USERS, ()),
    ),
    options=("prefix",),
    fill=_fill,
    snapshots=("source_users",),
)
