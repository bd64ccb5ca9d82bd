"""Faults of what landed: counts, keys, values, people and the roster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from benchmarks.faults.planting import Fault, Site
from connectors.streams import STREAMS
from perfhouse import lake

Plant = Callable[[Site], str]


def _row(source: str, stream: str, key: str, set_: str, where: str = "true") -> Plant:
    """Spoil one row: the smallest key for which `where` holds."""

    def plant(site: Site) -> str:
        one = site.one(source, stream, key, where)
        columns = set_.format(at=f"{key} = '{one}'")
        site.landed(source, stream, f"select * replace ({columns}) from batch")
        return f"{key}={one}"

    return plant


def _all(source: str, stream: str, query: str, named: str) -> Plant:
    def plant(site: Site) -> str:
        site.landed(source, stream, query)
        return named

    return plant


def _said(source: str, stream: str, named: str, **counts: object) -> Plant:
    def plant(site: Site) -> str:
        site.said(source, stream, **counts)
        return named

    return plant


def _missing(site: Site) -> str:
    site.forget("training")
    return "source=training"


def _missing_optional(site: Site) -> str:
    sources = tuple(
        replace(s, required=False) if s.id == "training" else s for s in site.ws.company.sources
    )
    site.ws = replace(site.ws, company=replace(site.ws.company, sources=sources))
    site.forget("training")
    return "source=training"


def _changed_file(site: Site) -> str:
    file = site.home.root / site.manifest("calls").streams["calls"].files[0].path
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content + b" ")
    return "changed since it landed"


def _lost_file(site: Site) -> str:
    (site.home.root / site.manifest("calls").streams["calls"].files[0].path).unlink()
    return "fault=missing"


def _miscounted(site: Site) -> str:
    stream = site.manifest("calls").streams["calls"]
    site.said("calls", "calls", rows_in=stream.rows_in + 1, rows_read=stream.rows_read + 1)
    return f"rows_in={stream.rows_in + 1}"


def _fewer_than_said(site: Site) -> str:
    whole = site.manifest("calls").streams["calls"]
    site.landed("calls", "calls", "select * from batch limit 1000")
    site.said("calls", "calls", landed=whole.landed, rows_in=whole.rows_in)
    return "recounted=1000"


def _flood(site: Site) -> str:
    rows = site.manifest("calls").streams["calls"]
    more = rows.rows_in // 10
    counts = {"quarantined": more, "rows_in": rows.landed + rows.duplicates + more}
    why = {"AgentInteractionDuration: negative": more}
    read = counts["rows_in"] + rows.outside_window
    site.said("calls", "calls", reasons=why, rows_read=read, **counts)
    return "reason=AgentInteractionDuration: negative"


def _repeated(site: Site) -> str:
    rows = site.manifest("calls").streams["calls"]
    total = rows.landed + rows.landed + rows.quarantined
    site.said("calls", "calls", duplicates=rows.landed, rows_in=total,
              rows_read=total + rows.outside_window)  # fmt: skip
    return "stream=calls"


def _two_contents(site: Site) -> str:
    one = site.one("calls", "calls", "leg_id")
    site.landed(
        "calls", "calls",
        "select * from batch union all by name select * replace (talk_ms + i * 1000 as talk_ms, "
        f"'x' || i as _row_hash) from batch, range(1, 40) r(i) where leg_id = '{one}'",
    )  # fmt: skip
    return f"leg_id={one}"


# ---------------------------------------------------------------- the roster


def _agent(site: Site) -> str:
    return site.one("roster", "hr_roster", "employee_id", "job_family = 'agent' and valid_to is "
                    "null and employment_status = 'active'")  # fmt: skip


def _manager(site: Site) -> str:
    agent = _agent(site)
    return site.one("roster", "hr_roster", "manager_employee_id", f"employee_id = '{agent}'")


def _roster(site: Site, query: str) -> None:
    site.landed("roster", "hr_roster", query)


def _cycle(site: Site) -> str:
    boss = _manager(site)
    above = site.one("roster", "hr_roster", "manager_employee_id", f"employee_id = '{boss}'")
    _roster(site, f"select * replace (case when employee_id = '{above}' then '{boss}' else "
            "manager_employee_id end as manager_employee_id) from batch")  # fmt: skip
    return f"{boss} > "


def _two_managers(site: Site) -> str:
    agent, boss = _agent(site), _manager(site)
    other = site.one("roster", "hr_roster", "manager_employee_id",
                     f"manager_employee_id <> '{boss}' and job_family = 'agent'")  # fmt: skip
    _roster(
        site,
        f"select * replace (case when employee_id = '{agent}' then date '{site.month.end}' "
        "else valid_to end as valid_to) from batch union all by name "
        f"select * replace (date '{site.month.start}' + 9 as valid_from, '{other}' as "
        f"manager_employee_id, 'twin' as _row_hash) from batch where employee_id = '{agent}' "
        "limit 10000",
    )
    return f"employee_id={agent}"


def _no_roster(site: Site) -> str:
    for month in (site.month, site.month.plus(-1)):
        lake.manifest_path(site.home, "roster", month).unlink()
    sources = tuple(s for s in site.ws.company.sources if s.id != "roster")
    site.ws = replace(site.ws, company=replace(site.ws.company, sources=sources))
    return "no roster"


def _unknown_manager(site: Site) -> str:
    agent = _agent(site)
    _roster(site, f"select * replace (case when employee_id = '{agent}' then 'NOBODY' else "
            "manager_employee_id end as manager_employee_id) from batch")  # fmt: skip
    return "manager_id=NOBODY"


def _no_manager(site: Site) -> str:
    agent = _agent(site)
    _roster(site, f"select * replace (case when employee_id = '{agent}' then null else "
            "manager_employee_id end as manager_employee_id) from batch")  # fmt: skip
    return f"employee_id={agent}"


def _no_team(site: Site) -> str:
    boss = _manager(site)
    other = site.one("roster", "hr_roster", "manager_employee_id",
                     f"manager_employee_id <> '{boss}' and job_family = 'agent'")  # fmt: skip
    _roster(site, f"select * replace (case when manager_employee_id = '{boss}' then '{other}' else "
            "manager_employee_id end as manager_employee_id) from batch")  # fmt: skip
    return f"manager_id={boss}"


def _half(site: Site) -> str:
    _roster(site, "select * from batch where job_family <> 'agent' or hash(employee_id) % 2 = 0")
    return "vanished="


def _one_gone(site: Site) -> str:
    agent = _agent(site)
    _roster(site, f"select * from batch where employee_id <> '{agent}'")
    return f"employee_id={agent}"


def _own_manager(site: Site) -> str:
    agent = _agent(site)
    _roster(site, f"select * replace (case when employee_id = '{agent}' then employee_id else "
            "manager_employee_id end as manager_employee_id) from batch")  # fmt: skip
    return f"employee_id={agent}"


def _plain_address(site: Site) -> str:
    agent = _agent(site)
    _roster(site, "select * replace ('li.na@example.com' as work_email_hash) from batch")
    return f"employee_id={agent}"


# ---------------------------------------------------------------- identities


def _mapped(site: Site, rows: str) -> None:
    """Land an identity map that the roster's desk sends beside the roster."""
    site.landed(
        "roster", "identity_map",
        "select 'roster' as _source, 'upsert' as _op, null::timestamptz as source_updated_at, "
        "null::bigint as source_seq, 'map.csv' as _file, row_number() over () as _row_number, "
        f"who || rule as _row_hash, '{site.month}' as _window, 'calls' as mapped_source, "
        "account as source_user_id, who as employee_id, rule as match_rule, "
        f"day::date as valid_from, until::date as valid_to from (values {rows}) "
        "t(account, who, rule, day, until)",
        made=True,
    )  # fmt: skip


def _two_claims(site: Site) -> str:
    account, agent, boss = _account(site), _agent(site), _manager(site)
    first = site.month.start
    _mapped(site, f"('{account}', '{agent}', 'email', '{first}', null), "
            f"('{account}', '{boss}', 'userid', '{first.replace(day=2)}', null)")  # fmt: skip
    return f"person_id={account}"


def _one_rule_two_people(site: Site) -> str:
    both = f"('{_agent(site)}', '{_manager(site)}')"
    _roster(site, f"select * replace (case when employee_id in {both} then 'SHARED-1' else "
            "source_user_id end as source_user_id) from batch")  # fmt: skip
    return "person_id=SHARED-1"


def _passed_on(site: Site) -> str:
    account, agent, boss = _account(site), _agent(site), _manager(site)
    first = site.month.start
    _mapped(site, f"('{account}', '{agent}', 'email', '2020-01-01', '{first}'), "
            f"('{account}', '{boss}', 'email', '{first}', null)")  # fmt: skip
    return f"person_id={account}, before={agent}, employee_id={boss}"


def _appeal_of_two_months(site: Site) -> str:
    said = {
        "appeal_id": "'A-2'",
        "scorecard_id": f"'{site.month}, {site.month.plus(-1)}'",
        "employee_id": f"'{_manager(site)}'",
        "raised_at": f"timestamptz '{site.month.start} 02:00:00+00'",
    }
    columns = ", ".join(
        f"{said.get(column.name, 'null')}::{column.type} as {column.name}"
        for column in STREAMS["appeals"].columns
    )
    site.landed(
        "roster", "appeals",
        "select 'roster' as _source, 'upsert' as _op, null::timestamptz as source_updated_at, "
        "null::bigint as source_seq, 'form.csv' as _file, 1::bigint as _row_number, 'x' as "
        f"_row_hash, '{site.month}' as _window, {columns}",
        made=True,
    )  # fmt: skip
    return "appeal_id=A-2, field=scorecard_id that names no month, or several"


def _account(site: Site) -> str:
    return site.one("calls", "calls", "agent_id", "agent_id is not null")


_CLOCKS = ", ".join(
    f"{name} + interval 8 hour as {name}"
    for name in ("started_at", "queued_at", "answered_at", "ended_at")
)


FAULTS = (
    Fault("L01", "a required source has not delivered", "lake", "raw", "source_delivered",
          "critical", _missing),
    Fault("L02", "an optional source has not delivered", "lake", "raw",
          "optional_source_delivered", "warning", _missing_optional),
    Fault("L03", "a stream has no row in the month", "lake", "raw", "stream_not_empty", "critical",
          _all("calls", "calls", "select * from batch where false", "stream=calls")),
    Fault("L04", "a landed file was changed by hand", "lake", "raw", "files_intact", "critical",
          _changed_file),
    Fault("L05", "a landed file is gone", "lake", "raw", "files_intact", "critical", _lost_file),
    Fault("L06", "one row went in and nowhere", "lake", "raw", "counts_reconcile", "critical",
          _miscounted),
    Fault("L07", "the files hold fewer rows than were counted", "lake", "raw", "counts_reconcile",
          "critical", _fewer_than_said),
    Fault("L08", "a tenth of the rows is in quarantine", "lake", "raw", "quarantine_share",
          "critical", _flood),
    Fault("L09", "a whole delivery came twice", "lake", "raw", "duplicate_share", "warning",
          _repeated),
    Fault("L10", "two thirds of the calls are missing", "lake", "raw", "volume_drop", "warning",
          _all("calls", "calls", "select * from batch where hash(leg_id) % 3 = 0",
               "stream=calls")),
    Fault("L11", "a row has no key", "lake", "raw", "ticket_events_required", "critical",
          _row("helpdesk", "ticket_events", "event_id",
               "case when {at} then null else ticket_id end as ticket_id")),
    Fault("L12", "one key comes with many contents", "lake", "raw", "calls_unique", "critical",
          _two_contents),
    Fault("L13", "a call ends in the year 2206", "lake", "raw", "calls_plausible", "critical",
          _row("calls", "calls", "leg_id",
               "case when {at} then timestamptz '2206-07-01 00:00:00+00' else ended_at end "
               "as ended_at")),
    Fault("L14", "a ticket was created when clocks began", "lake", "raw", "tickets_plausible",
          "critical", _row("helpdesk", "tickets", "ticket_id",
                           "case when {at} then timestamptz '1970-01-01 00:00:00+00' else "
                           "created_at end as created_at")),
    Fault("L15", "an unknown code of how a call ended", "lake", "raw", "calls_codes", "critical",
          _row("calls", "calls", "leg_id",
               "case when {at} then 'evaporated' else disposition end as disposition")),
    Fault("L16", "an unknown priority", "lake", "raw", "tickets_codes", "critical",
          _row("helpdesk", "tickets", "ticket_id",
               "case when {at} then 'P9' else priority end as priority")),
    Fault("L17", "addresses of employees in plain text", "lake", "raw", "hr_roster_hashed",
          "critical", _plain_address),
    Fault("L18", "a call ends before it begins", "lake", "raw", "calls_in_order", "warning",
          _row("calls", "calls", "leg_id",
               "case when {at} then started_at - interval 1 hour else ended_at end as ended_at")),
    Fault("L19", "a ticket is solved before it came in", "lake", "raw", "tickets_in_order",
          "warning", _row("helpdesk", "tickets", "ticket_id",
                          "case when {at} then created_at - interval 1 day else resolved_at end "
                          "as resolved_at", "resolved_at is not null")),
    Fault("L20", "a survey is answered before it was sent", "lake", "raw",
          "survey_responses_in_order", "warning",
          _row("surveys", "survey_responses", "response_id",
               "case when {at} then sent_at - interval 1 day else submitted_at end "
               "as submitted_at")),
    Fault("L21", "half of all calls are by accounts that nobody knows", "lake", "raw",
          "people_known", "critical",
          _all("calls", "calls", "select * replace (case when hash(leg_id) % 2 = 0 then 'GHOST-9' "
               "else agent_id end as agent_id) from batch", "person_id=GHOST-9")),
    Fault("L22", "one call is by an account that nobody knows", "lake", "raw", "people_unknown",
          "warning", lambda site: _row("calls", "calls", "leg_id",
                                       "case when {at} then 'GHOST-1' else agent_id end as "
                                       "agent_id", "agent_id is not null")(site)
          and "person_id=GHOST-1"),
    Fault("L23", "two managers manage each other", "lake", "raw", "roster_is_a_tree", "critical",
          _cycle),
    Fault("L24", "one person has two managers on one day", "lake", "raw",
          "roster_one_place_a_day", "critical", _two_managers),
    Fault("L25", "there is no roster, now or before", "lake", "raw", "roster_present", "critical",
          _no_roster),
    Fault("L26", "a manager whom the roster does not have", "lake", "raw", "roster_managers_exist",
          "warning", _unknown_manager),
    Fault("L27", "an agent without a manager", "lake", "raw", "roster_agents_have_a_manager",
          "warning", _no_manager),
    Fault("L28", "a manager loses the whole team", "lake", "raw", "roster_managers_have_a_team",
          "warning", _no_team),
    Fault("L29", "half of the agents vanish from the roster", "lake", "raw", "roster_is_whole",
          "critical", _half),
    Fault("L30", "one agent vanishes without a date of leaving", "lake", "raw",
          "roster_tells_leavers", "warning", _one_gone),
    Fault("L31", "one account is claimed for two people", "lake", "raw", "people_contested",
          "warning", _two_claims),
    Fault("L32", "the account may not read ratings", "lake", "raw", "stream_refused", "warning",
          _said("helpdesk", "tickets", "refused=ratings (HTTP 403)",
                refused="ratings (HTTP 403)")),
    Fault("L33", "a field nobody declared", "lake", "raw", "undeclared_fields", "warning",
          _said("calls", "calls", "Sentiment", undeclared_fields=("Sentiment",))),
    Fault("L34", "values that had to be set to unknown", "lake", "raw", "unknown_values",
          "warning", _said("calls", "calls", "field=answered_at, before it began",
                           unknown={"answered_at": {"before it began": 7}})),
    Fault("L35", "rows of an earlier month", "lake", "raw", "late_rows", "warning",
          _said("calls", "calls", "month=2026-03", late_rows={"2026-03": 3})),
    Fault("L36", "all times are eight hours off: local time taken for UTC", "lake", "raw",
          "times_of_day", "critical",
          _all("calls", "calls", f"select * replace ({_CLOCKS}) from batch",
               "column_name=started_at, hours_later=8")),
    Fault("L37", "seconds are delivered as milliseconds", "lake", "raw", "calls_talk_ms_unit",
          "critical", _all("calls", "calls", "select * replace (talk_ms // 1000 as talk_ms) "
                           "from batch", "source=calls")),
    Fault("L38", "milliseconds are delivered as seconds", "lake", "raw", "calls_possible",
          "critical", _all("calls", "calls", "select * replace (talk_ms * 1000 as talk_ms) "
                           "from batch", "field=talk_ms longer than the call")),
    Fault("L39", "scores of five come on a scale of ten", "lake", "raw",
          "survey_responses_possible", "critical",
          _all("surveys", "survey_responses",
               "select * replace (score * 2 as score) from batch",
               "field=score outside its scale")),
    Fault("L40", "one score lies outside its scale", "lake", "raw", "survey_responses_sensible",
          "warning", _row("surveys", "survey_responses", "response_id",
                          "case when {at} and metric = 'csat' then scale_max + 2 else score end "
                          "as score", "metric = 'csat'")),
    Fault("L41", "many calls end before they begin", "lake", "raw", "calls_seldom_reversed",
          "critical",
          _all("calls", "calls", "select * replace (case when hash(leg_id) % 4 = 0 then "
               "started_at - interval 1 hour else ended_at end as ended_at) from batch",
               "field=ended_at before started_at")),
    Fault("L42", "a call lasts three days", "lake", "raw", "calls_sensible", "warning",
          _row("calls", "calls", "leg_id",
               "case when {at} then started_at + interval 3 day else ended_at end as ended_at",
               "ended_at < date '2026-07-20'")),
    Fault("L43", "an employee is the own manager", "lake", "raw", "hr_roster_sensible", "warning",
          _own_manager),
    Fault("L44", "five times as many answers as the month before", "lake", "raw", "volume_rise",
          "warning", _all("surveys", "survey_responses",
                          "select * replace (response_id || '-' || i as response_id) from batch, "
                          "range(5) r(i)", "stream=survey_responses")),
    Fault("L45", "most rows of a stream describe an earlier month", "lake", "raw",
          "month_described", "critical", _said("calls", "calls", "stream=calls",
                                               late_rows={"2026-06": 900})),
    Fault("L46", "one rule gives an account to two people", "lake", "raw", "people_ambiguous",
          "warning", _one_rule_two_people),
    Fault("L47", "an account passes to somebody else, and nobody says on which day", "lake", "raw",
          "people_changed", "warning", _passed_on),
    Fault("L48", "an appeal is about two months", "lake", "raw", "appeals_sensible", "warning",
          _appeal_of_two_months),
    Fault("L49", "the telephone system stops to tell how long some callers waited", "lake", "raw",
          "calls_wait_ms_told", "warning",
          _all("calls", "calls", "select * replace (case when hash(leg_id) % 10 = 0 then null "
               "else wait_ms end as wait_ms) from batch", "unknown=")),
)  # fmt: skip
