"""Faults of what was built: facts and scorecards, changed in the warehouse."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.faults.planting import Fault, Site
from perfhouse import stages

Plant = Callable[[Site], str]
KPI, TOTAL = "scorecards.scorecard_kpi_months", "scorecards.scorecard_manager_months"
APPEAL = "scorecards.scorecard_appeals"
PART, SUMS = "scorecards.scorecard_team_months", "kpis.kpi_employee_months"
_SCORED = (
    f"select min(manager_id) from {TOTAL} where month = {{m}} and status = 'scored' "
    f"and manager_id in (select manager_id from {PART} where month = {{m}} and status = 'scored')"
)


def _of_manager(*statements: str) -> Plant:
    """Run statements in which `{who}` is a manager with a total."""

    def plant(site: Site) -> str:
        who = site.ask(_SCORED)
        site.sql(*(statement.replace("{who}", who) for statement in statements))
        return f"manager_id={who}"

    return plant


def _of_kpi(*statements: str) -> Plant:
    """Run statements in which `{who}` and `{kpi}` are a manager's heaviest scored KPI."""

    def plant(site: Site) -> str:
        who = site.ask(_SCORED)
        kpi = site.ask(
            f"select kpi_id from {KPI} where month = {{m}} and manager_id = '{who}' "
            "and status = 'scored' and weight > 0 and score between 20 and 110 "
            "order by effective_weight desc, kpi_id limit 1"
        )
        site.sql(*(s.replace("{who}", who).replace("{kpi}", kpi) for s in statements))
        return f"manager_id={who}"

    return plant


def _last_without_team(site: Site) -> str:
    """Take the team from who is ranked last, so that nobody else's rank is another."""
    last = f"from {TOTAL} where month = {{m}} and rank is not null"
    who = site.ask(f"select manager_id {last} and role = 'cs_manager' order by rank desc limit 1")
    role = f"role = (select role {last} and manager_id = '{who}')"
    site.sql(
        f"update {TOTAL} set peer_count = peer_count - 1 where month = {{m}} and {role}",
        f"update {TOTAL} set status = 'no_team', total_score = null, grade = null, rank = null "
        f"where month = {{m}} and manager_id = '{who}'",
    )
    return f"manager_id={who}"


def _appealed(state: str, outcome: str) -> Plant:
    """Plant an appeal that was to be decided by the month's first day."""

    def plant(site: Site) -> str:
        who = site.ask(_SCORED)
        site.sql(
            f"insert into {APPEAL} by name select {{m}} as month, '{who}' as manager_id, 'k' as "
            "appeal_key, 'A-1' as appeal_id, 'csat_rate' as kpi_id, false as is_row, 'exclude' as "
            f"effect, '{state}' as state, '{outcome}' as outcome, 0 as row_count, false as "
            "is_late, false as is_admitted, {m} as raised_on, {m} as deadline_on, {m} as decide_by"
        )
        return "appeal_id=A-1"

    return plant


def _sql(named: str, *statements: str) -> Plant:
    def plant(site: Site) -> str:
        site.sql(*statements)
        return named

    return plant


_AT = "where month = {m} and manager_id = '{who}'"
_AT_KPI = f"{_AT} and kpi_id = '{{kpi}}'"


def _of_fact(fact: str, key: str, *statements: str, where: str = "true") -> Plant:
    """Run statements in which `{one}` is the smallest key of a month's fact."""

    def plant(site: Site) -> str:
        one = site.ask(f"select min({key}) from core.{fact} where month = {{m}} and {where}")
        picked = f"where month = {{m}} and {key} = '{one}'"
        site.sql(*(s.replace("{picked}", picked).replace("{one}", one) for s in statements))
        return f"{key}={one}"

    return plant


def _twice(table: str) -> tuple[str, ...]:
    """Return statements that put rows into a table twice, whatever its constraints are."""
    return (
        f"create table twice as select * from {table}",
        f"drop table {table}",
        f"create table {table} as select * from twice union all select * from twice {{picked}}",
    )


def _untold_ticket(site: Site) -> str:
    """Give an event to a ticket that came before the deliveries that are read, and build."""
    one = site.one("helpdesk", "ticket_events", "event_id", "event_type = 'public_reply'")
    site.landed("helpdesk", "ticket_events",
                f"select * replace (case when event_id = '{one}' then 'OLD-1' else ticket_id end "
                "as ticket_id) from batch")  # fmt: skip
    stages.build(site.ws, site.month, progress=lambda _: None)
    return f"event_id={one}, ticket_id=OLD-1"


FACTS = (
    Fault("F01", "a call is lost between lake and facts", "facts", "facts", "rows_accounted_for",
          "critical", _of_fact("fct_calls", "leg_id", "delete from core.fct_calls {picked}")),
    Fault("F02", "an answer is lost between lake and facts", "facts", "facts",
          "rows_accounted_for", "critical",
          _of_fact("fct_survey_responses", "response_id",
                   "delete from core.fct_survey_responses {picked}")),
    Fault("F03", "a ticket is lost between lake and facts", "facts", "facts",
          "rows_accounted_for", "critical",
          _of_fact("fct_tickets", "ticket_id", "delete from core.fct_tickets {picked}",
                   where="is_solved")),
    Fault("F04", "a call that no source delivered", "facts", "facts", "facts_have_rows",
          "critical",
          lambda site: _of_fact("fct_calls", "leg_id", "update core.fct_calls set leg_id = "
                                "'INVENTED' {picked}", where="agent_id is not null")(site)
          and "leg_id=INVENTED"),
    Fault("F05", "a call is counted twice", "facts", "facts", "facts_unique", "critical",
          _of_fact("fct_calls", "leg_id", *_twice("core.fct_calls"))),
    Fault("F06", "a call of another month", "facts", "facts", "facts_in_month", "critical",
          _of_fact("fct_calls", "leg_id",
                   "update core.fct_calls set ended_on = ended_on - interval 60 day {picked}")),
    Fault("F07", "a negative handling time", "facts", "facts", "facts_not_negative", "critical",
          _of_fact("fct_calls", "leg_id", "update core.fct_calls set handle_seconds = -7 {picked}",
                   where="handle_seconds is not null")),
    Fault("F08", "a call is credited to somebody who does not exist", "facts", "facts",
          "facts_people_known", "critical",
          _of_fact("fct_calls", "leg_id",
                   "update core.fct_calls set agent_employee_id = 'NOBODY' {picked}")),
    Fault("F09", "an owner of a ticket that is not there", "facts", "facts", "facts_refer",
          "critical",
          _of_fact("fct_ticket_owners", "ticket_id", "update core.fct_ticket_owners set "
                   "ticket_key = 'INVENTED' {picked}")),
    Fault("F10", "a stretch of ownership ends before it begins", "facts", "facts",
          "facts_in_order", "critical",
          _of_fact("fct_ticket_owners", "ticket_id", "update core.fct_ticket_owners set "
                   "to_at = from_at - interval 1 hour {picked}", where="to_at is not null")),
    Fault("F11", "comments of a ticket are counted twice", "facts", "facts", "comments_counted",
          "critical",
          _of_fact("fct_ticket_lifecycles", "ticket_id", "update core.fct_ticket_lifecycles set "
                   "comment_count = comment_count * 2 + 1 {picked}")),
    Fault("F12", "facts of before the newest delivery", "facts", "facts", "facts_current",
          "critical", _sql("built from other deliveries",
                           "update ops.builds set inputs_sha256 = 'x' where month = {m}")),
    Fault("F13", "many calls are told to have ended before they began", "facts", "facts",
          "facts_seldom_reversed", "critical",
          _sql("", "update core.fct_calls set ended_at = started_at - interval 1 hour "
               "where month = {m} and hash(leg_id) % 4 = 0")),
    Fault("F14", "a table of facts is gone: the gate cannot run", "facts", "facts", "gate_ran",
          "critical", _sql("", "drop table core.fct_calls")),
    Fault("F15", "something happens to a ticket that no delivery tells of", "facts", "facts",
          "events_have_tickets", "warning", _untold_ticket),
)  # fmt: skip

SCORECARDS = (
    Fault("C01", "a manager's scorecard is missing", "scorecards", "scorecards",
          "managers_present", "critical", _of_manager(f"delete from {TOTAL} {_AT}")),
    Fault("C02", "a scorecard for somebody who manages nobody", "scorecards", "scorecards",
          "managers_known", "critical", _of_manager(f"delete from core.dim_managers {_AT}")),
    Fault("C03", "a manager has two scorecards", "scorecards", "scorecards", "managers_once",
          "critical", _of_manager(f"create table t as select * from {TOTAL}",
                                  "drop table " + TOTAL,
                                  f"create table {TOTAL} as select * from t union all "
                                  f"select * from t {_AT}")),
    Fault("C04", "the month has no scorecard", "scorecards", "scorecards", "month_not_empty",
          "critical", _sql("no scorecard", f"delete from {TOTAL} where month = {{m}}")),
    Fault("C05", "a KPI is scored 130", "scorecards", "scorecards", "kpi_score_range", "critical",
          _of_kpi(f"update {KPI} set score = 130 {_AT_KPI}")),
    Fault("C06", "a KPI's status is no known one", "scorecards", "scorecards", "kpi_status_known",
          "critical", _of_kpi(f"update {KPI} set status = 'fine' {_AT_KPI}")),
    Fault("C07", "a rate of more than one", "scorecards", "scorecards", "kpi_value_range",
          "critical", _of_manager(f"update {KPI} set value = 1.2 {_AT} and status = 'scored' "
                                  "and kpi_id = 'csat_rate'")),
    Fault("C08", "a KPI without a definition", "scorecards", "scorecards", "kpi_defined",
          "critical", _sql("kpi_id=csat_rate",
                           "delete from kpis.kpi_definitions where kpi_id = 'csat_rate'")),
    Fault("C09", "a value that is not its numerator over its denominator", "scorecards",
          "scorecards", "kpi_value_is_a_ratio", "critical",
          _of_kpi(f"update {KPI} set value = value * 1.05 {_AT_KPI}")),
    Fault("C10", "a KPI is scored on too few cases", "scorecards", "scorecards",
          "kpi_sample_size", "critical",
          _of_kpi(f"update {KPI} set sample_size = 1, minimum_sample = 5 {_AT_KPI}")),
    Fault("C11", "a KPI without enough data has a score", "scorecards", "scorecards",
          "kpi_unscored_has_no_score", "critical",
          _of_kpi(f"update {KPI} set status = 'insufficient_data' {_AT_KPI}")),
    Fault("C12", "a score that does not follow from its target", "scorecards", "scorecards",
          "kpi_score_follows_target", "critical",
          _of_kpi(f"update {KPI} set score = score + 3 {_AT_KPI}")),
    Fault("C13", "a target was changed after scoring", "scorecards", "scorecards",
          "kpi_score_follows_target", "critical",
          _of_kpi(f"update {KPI} set target = target + 0.3 * (floor - target) {_AT_KPI}")),
    Fault("C14", "a score of one of two teams is wrong", "scorecards", "scorecards",
          "part_score_follows_target", "critical",
          _of_manager(f"update {PART} set score = coalesce(score, 0) + 7 {_AT} "
                      "and status = 'scored'")),
    Fault("C15", "cases of an employee are lost on the way to the manager", "scorecards",
          "scorecards", "kpi_adds_up", "critical",
          _of_kpi(f"delete from {SUMS} {_AT_KPI}")),
    Fault("C16", "cases are counted twice", "scorecards", "scorecards", "kpi_adds_up", "critical",
          _of_kpi(f"update {SUMS} set numerator = 2 * numerator + 1, denominator = 2 * "
                  f"denominator + 1 {_AT_KPI}")),
    Fault("C17", "a total above 120", "scorecards", "scorecards", "total_range", "critical",
          _of_manager(f"update {TOTAL} set total_score = 121 {_AT}")),
    Fault("C18", "a coverage above one", "scorecards", "scorecards", "coverage_range", "critical",
          _of_manager(f"update {TOTAL} set coverage_rate = 1.5 {_AT}")),
    Fault("C19", "a scorecard's status is no known one", "scorecards", "scorecards",
          "manager_status_known", "critical",
          _of_manager(f"update {TOTAL} set status = 'ok' {_AT}")),
    Fault("C20", "a total although the manager is not scored", "scorecards", "scorecards",
          "status_fits_total", "critical",
          _of_manager(f"update {TOTAL} set status = 'no_team' {_AT}")),
    Fault("C21", "weights do not sum to 100 %", "scorecards", "scorecards", "weights_sum",
          "critical", _of_kpi(f"update {KPI} set effective_weight = effective_weight / 2 "
                              f"{_AT_KPI}")),
    Fault("C22", "a negative weight", "scorecards", "scorecards", "weights_in_range", "critical",
          _of_kpi(f"update {KPI} set weight = -1 {_AT_KPI}")),
    Fault("C23", "a total that is not the sum of its parts", "scorecards", "scorecards",
          "total_by_two_roads", "critical",
          _of_manager(f"update {TOTAL} set total_score = total_score + 0.5 {_AT}")),
    Fault("C24", "a grade that its total does not give", "scorecards", "scorecards",
          "grade_fits_total", "critical",
          _of_manager(f"update {TOTAL} set grade = case grade when 'A' then 'D' else 'A' end "
                      f"{_AT}")),
    Fault("C25", "a rank that does not follow from the totals", "scorecards", "scorecards",
          "rank_follows_total", "critical",
          _of_manager(f"update {TOTAL} set rank = rank + 5 {_AT}")),
    Fault("C26", "a wrong number of peers", "scorecards", "scorecards", "peers_counted",
          "critical", _of_manager(f"update {TOTAL} set peer_count = peer_count + 1 {_AT}")),
    Fault("C27", "a tenth of a KPI is credited to nobody", "scorecards", "scorecards",
          "uncredited_share", "critical",
          _sql("kpi_id=csat_rate",
               f"insert into {SUMS} by name select month, kpi_id, kpi_version, null as manager_id, "
               "null as team_id, 'NOBODY' as employee_id, 0 as numerator, sum(denominator) / 8 as "
               f"denominator from {SUMS} where month = {{m}} and kpi_id = 'csat_rate' "
               "and manager_id is not null group by 1, 2, 3")),
    Fault("C28", "no targets: nobody has a total", "scorecards", "scorecards", "managers_scored",
          "warning",
          _sql("unscored=", f"update {TOTAL} set total_score = null, grade = null, rank = null, "
               "peer_count = 0, status = 'no_target' where month = {m}")),
    Fault("C29", "a manager has no team", "scorecards", "scorecards", "managers_without_team",
          "warning", _last_without_team),
    Fault("C30", "the table of scorecards is gone: the gate cannot run", "scorecards",
          "scorecards", "gate_ran", "critical", _sql("", f"drop table {KPI}")),
    Fault("C31", "the company's satisfaction is twice what it ever was", "scorecards",
          "scorecards", "kpi_drift", "warning",
          _sql("kpi_id=csat_rate",
               f"insert into {SUMS} by name select s.* replace (cast(s.month - to_months("
               "cast(i as integer)) as date) as month, s.numerator * 0.5 as numerator) "
               f"from {SUMS} s, range(2, 7) r(i) where s.month = {{m}} "
               "and s.kpi_id = 'csat_rate'")),
    Fault("C32", "a grade that was given to all is given to few", "scorecards", "scorecards",
          "grade_drift", "warning",
          _sql("grade=D",
               f"insert into {TOTAL} by name select t.* replace (cast(t.month - to_months("
               f"cast(i as integer)) as date) as month, 'D' as grade) from {TOTAL} t, "
               "range(2, 7) r(i) where t.month = {m} and t.grade is not null")),
    Fault("C33", "an appeal waits for longer than was promised", "scorecards", "scorecards",
          "appeals_overdue", "warning", _appealed("submitted", "none")),
    Fault("C34", "an appeal is upheld and changes nothing", "scorecards", "scorecards",
          "appeals_have_effect", "warning", _appealed("upheld", "no_row")),
)  # fmt: skip
