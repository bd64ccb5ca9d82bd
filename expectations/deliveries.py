"""The raw gate's rules about deliveries: who delivered, how much, how much of it is usable.

Rules only; the tables they read are laid out in raw.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations import people
from expectations.rules import CRITICAL, WARNING, Rule, rows

if TYPE_CHECKING:
    from expectations.gate import Case


def delivery_rules(case: Case) -> list[Rule]:
    """Return the rules over `deliveries`, `counts`, `details` and `broken_files`."""
    share = case.threshold("raw", "quarantine_share")
    twice = case.threshold("raw", "duplicate_share")
    return [
        rows(
            "source_delivered", CRITICAL, "deliveries",
            "select source, owner from batch where required and not delivered",
            ("Every required source has delivered the month", "每个必需的数据源都已交付本月数据"),
        ),
        rows(
            "optional_source_delivered", WARNING, "deliveries",
            "select source from batch where not required and not delivered",
            ("Every optional source has delivered the month", "每个可选的数据源都已交付本月数据"),
        ),
        *_emptiness_rules(case),
        rows(
            "files_intact", CRITICAL, "broken_files", "select * from batch",
            ("Landed files are there, unchanged, and hold the rows they should",
             "已入湖文件齐全、未被改动、行数相符"),
        ),
        rows(
            "counts_reconcile", CRITICAL, "counts",
            "select source, stream, rows_in, landed, duplicates, quarantined, recounted "
            "from batch where rows_in <> landed + duplicates + quarantined or landed <> recounted "
            "or rows_read <> rows_in + outside_window",
            ("Rows in = landed + duplicates + quarantined, counted again from the files",
             "读入行数 = 入湖 + 重复 + 隔离，并按文件重新清点"),
        ),
        rows(
            "quarantine_share", CRITICAL, "counts",
            "select c.source, c.stream, c.quarantined, c.rows_in, d.what as reason, d.rows "
            "from batch c left join details d on d.source = c.source and d.stream = c.stream "
            f"and d.kind = 'reason' where c.quarantined > {share!r} * c.rows_in",
            ("Few rows of any stream are in quarantine", "各数据流被隔离的行占比在限度之内"),
            threshold=f"{share:.2%} of a stream's rows",
            observe=_highest("quarantined"),
            limit="quarantine_share",
        ),
        rows(
            "duplicate_share", WARNING, "counts",
            "select source, stream, duplicates, rows_in from batch "
            f"where duplicates > {twice!r} * rows_in",
            ("Few rows were delivered twice", "重复交付的行占比在限度之内"),
            threshold=f"{twice:.2%} of a stream's rows",
            observe=_highest("duplicates"),
            limit="duplicate_share",
        ),
        *_volume_rules(case),
        _detail("stream_refused", "refused", "No account was refused a stream",
                "没有账号被拒绝读取数据流", "d.what as refused"),
        rows(
            # one line a stream: a source of many such fields must not hide another's one
            "undeclared_fields", WARNING, "details",
            "select source, stream, string_agg(what, ', ' order by what) as field from batch "
            "where kind = 'undeclared' group by source, stream",
            ("Sources send only fields that are declared", "数据源没有送来未声明的字段"),
        ),
        _detail("unknown_values", "unknown", "No value had to be set to unknown",
                "没有被置为未知的值", "d.what as field, d.rows"),
        _detail("late_rows", "late", "No row describes an earlier month",
                "没有描述更早月份的迟到行", "d.what as month, d.rows"),
    ]  # fmt: skip


def _volume_rules(case: Case) -> list[Rule]:
    drop = case.threshold("raw", "volume_drop")
    rise = case.threshold("raw", "volume_rise")
    enough = case.threshold("raw", "volume_rows")
    return [
        rows(
            "volume_drop", WARNING, "counts",
            "select source, stream, landed, previous_landed from batch "
            f"where landed < {drop!r} * previous_landed and previous_landed >= {enough!r}",
            ("No stream is much smaller than the month before", "各数据流的行数没有比上月骤减"),
            threshold=f"at least {drop:.0%} of the month before",
            limit="volume_drop",
        ),
        rows(
            "volume_rise", WARNING, "counts",
            "select source, stream, landed, previous_landed from batch "
            f"where landed > {rise!r} * previous_landed and landed >= {enough!r}",
            ("No stream is much larger than the month before", "各数据流的行数没有比上月骤增"),
            threshold=f"at most {rise:g} times the month before",
            limit="volume_rise",
        ),
    ]  # fmt: skip


def _emptiness_rules(case: Case) -> list[Rule]:
    severity = WARNING if case.threshold("raw", "allow_empty") else CRITICAL
    return [
        rows(
            "stream_not_empty", severity, "counts",
            "select source, stream, rows_read, quarantined from batch "
            "where required and landed = 0",
            ("Every stream of a required source has rows in the month",
             "必需数据源的每个数据流本月都有数据"),
            limit="allow_empty",
        ),
    ]  # fmt: skip


def _detail(id: str, kind: str, english: str, chinese: str, shown: str) -> Rule:
    return rows(
        id,
        WARNING,
        "details",
        f"select d.source, d.stream, {shown} from batch d where d.kind = '{kind}'",
        (english, chinese),
    )


def _highest(count: str) -> str:
    share = f"100.0 * {count} / nullif(rows_in, 0)"
    return (
        f"select printf('%.2f%% at most (%s of %s)', {share}, stream, source) from counts "
        f"order by {share} desc nulls last, stream, source limit 1"
    )


def people_rules(case: Case) -> list[Rule]:
    """Return the rules over `people` and `identities`."""
    share = case.threshold("raw", "unmatched_share")
    noticed = case.threshold("raw", "unmatched_warning_share")
    unmatched = "sum(rows) filter (where not is_known)"
    of_stream = f"100.0 * coalesce({unmatched}, 0) / nullif(sum(rows), 0)"
    return [
        rows(
            "people_known", CRITICAL, "people", _strangers(share),
            ("Few rows are about people whom neither roster nor identity map knows "
             "(to mend: perfhouse identities)",
             "花名册与身份对照表都不认识的人员所占行数在限度之内（补救：perfhouse identities）"),
            threshold=f"{share:.2%} of a stream's rows",
            observe=f"select printf('%.2f%% at most (%s of %s)', {of_stream}, stream, source) from "
            f"people group by source, stream order by {of_stream} desc, stream, source limit 1",
            limit="unmatched_share",
        ),
        rows(
            "people_unknown", WARNING, "people", _strangers(noticed),
            ("Every row is about a person whom the roster or the identity map knows",
             "每行涉及的人员都能在花名册或身份对照表中找到"),
            threshold=f"{noticed:.2%} of a stream's rows" if noticed else "",
            limit="unmatched_warning_share",
        ),
        rows(
            "people_ambiguous", WARNING, "identities",
            "select _source as source, source_user_id as person_id, match_rule, "
            "candidate_employee_id as employee_id, contested_employee_id as other_employee_id "
            "from batch where status = 'ambiguous' "
            f"and valid_from < date '{case.month.end}' and valid_to > date '{case.month.start}'",
            ("No rule names two employees for one id", "没有一条规则把同一账号指向两名员工"),
        ),
        rows(
            "people_contested", WARNING, "identities",
            people.contested_query(case.month, "batch"),
            ("No two rules name different employees for one id",
             "没有两条规则把同一账号指向不同员工"),
        ),
        rows(
            "people_changed", WARNING, "identities",
            people.changed_query(case.month, "batch"),
            ("No account has passed to another employee without a day being said",
             "没有账号在未注明日期的情况下换人使用"),
        ),
    ]  # fmt: skip


def _strangers(share: float) -> str:
    """Return a query for the ids of streams with too many strangers, most rows first."""
    return (
        "select row_number() over (order by p.rows desc, p.source, p.stream, p.person_id, "
        "p.status) as place, p.source, p.stream, p.person_id, p.status, p.rows as unmatched_rows, "
        "t.rows as stream_rows, p.first_on, p.last_on from batch p join (select source, stream, "
        "sum(rows) as rows, sum(rows) filter (where not is_known) as unmatched from batch "
        "group by source, stream) t on t.source = p.source and t.stream = p.stream "
        f"where not p.is_known and t.unmatched > {share!r} * t.rows"
    )
