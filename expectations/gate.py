"""What a gate is: rules, a run of Great Expectations over them, and a verdict that is kept.

Severities are read here and not left to Great Expectations; a gate that cannot run has failed.
Nothing here knows a stream, a KPI or an export.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations import acceptance
from expectations.rules import CRITICAL, Rule, quoted, without_contacts
from expectations.thresholds import DEFAULTS, origin
from perfhouse import warehouse
from perfhouse.durable import sync_file, sync_folder
from perfhouse.errors import GateFailed, PerfhouseError, without_values
from perfhouse.month import Month
from perfhouse.settings import Home, environment

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from perfhouse.company import Company

_log = logging.getLogger(__name__)

GATES = ("raw", "facts", "scorecards", "exports")
# At INFO, as tasks of Airflow log, it says a thousand lines before the one that counts.
_CHATTY = ("great_expectations", "great_expectations.data_context.types.base")
_KEYS_SHOWN = 20
# of the table ops.gate_verdicts
_COLUMNS = {
    **{"month": "date", "gate": "varchar", "check_id": "varchar", "severity": "varchar"},
    **{"passed": "boolean", "observed": "varchar", "threshold": "varchar", "title_en": "varchar"},
    **{"title_zh": "varchar", "failing_keys": "varchar"},
    **{"agreed_by": "varchar", "agreed_on": "date", "agreed_reason": "varchar"},
    **{"accepted_by": "varchar", "accepted_reason": "varchar"},
}
_ENGINE = {
    "isolation_level": "AUTOCOMMIT",
    "skip_autocommit_rollback": True,
    "pool_reset_on_return": None,
}


@dataclass(frozen=True)
class Check:
    """What one rule found; `failing_keys` holds ids only, at most twenty.

    `agreed_by`, `agreed_on` (ISO) and `agreed_reason` tell of the threshold that decides it.
    """

    id: str
    title_en: str
    title_zh: str
    severity: str
    passed: bool
    observed: str
    threshold: str = ""
    failing_keys: tuple[str, ...] = ()
    agreed_by: str = ""
    agreed_on: str = ""
    agreed_reason: str = ""
    accepted_by: str = ""
    accepted_reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a gate says about a month; `subject_sha256` names the data it judged."""

    gate: str
    month: str
    as_of: str
    subject_sha256: str
    passed: bool
    checks: tuple[Check, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """Critical checks that failed and that nobody took on, in words."""
        return tuple(_words(c) for c in self._open if c.severity == CRITICAL)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Checks that failed without stopping the month and that nobody took on, in words."""
        return tuple(_words(c) for c in self._open if c.severity != CRITICAL)

    @property
    def accepted(self) -> tuple[Check, ...]:
        """Checks that failed and that a person took on."""
        return tuple(c for c in self.checks if not c.passed and c.accepted_by)

    @property
    def _open(self) -> tuple[Check, ...]:
        return tuple(c for c in self.checks if not c.passed and not c.accepted_by)


@dataclass(frozen=True)
class Case:
    """What a suite is given to judge; `streams` by raw and facts, `staged` only by exports."""

    home: Home
    company: Company
    month: Month
    as_of: Month
    streams: Mapping[str, Any]
    staged: Path | None

    def threshold(self, gate: str, name: str) -> float:
        """Return the company's threshold, or the default of thresholds.py."""
        return float(self.company.gates.get(gate, {}).get(name, DEFAULTS[gate][name].value))


def run(
    gate: str,
    home: Home,
    company: Company,
    month: Month,
    *,
    as_of: Month | None = None,
    streams: Mapping[str, Any] | None = None,
    staged: Path | None = None,
) -> Verdict:
    """Judge a month and keep the verdict, as a file and in the warehouse.

    Args:
        gate: raw, facts, scorecards or exports.
        home: where the data lies and the verdict is kept.
        company: whose thresholds hold.
        month: the month that wants to go on.
        as_of: the newest delivery that counts, default the month's own.
        streams: the canonical streams by name (gates raw and facts).
        staged: the folder of the staged release (exports gate).

    Raises:
        GateFailed: a critical check failed, or the gate could not run (data owner).
    """
    case = Case(home, company, month, as_of or month, streams or {}, staged)
    file = verdict_path(home, month, gate)
    file.unlink(missing_ok=True)
    try:
        verdict = acceptance.applied(home, _judge(gate, case))
        _record(home, verdict)
    except Exception as error:
        # No traceback and no message: an engine quotes values in both.
        what, where = type(error).__name__, _place(error)
        _log.error("gate %s of %s could not run: %s at %s", gate, month, what, where)
        verdict = _broken(gate, case, error)
        with suppress(Exception):
            _record(home, verdict)
    _write(file, verdict)
    if not verdict.passed:
        raise GateFailed(gate, month.key, verdict.failures)
    return verdict


def subject(gate: str, home: Home, company: Company, month: Month, as_of: Month) -> str:
    """Return the hash of what a gate would judge now: deliveries, facts or scorecards."""
    return _suite(gate).subject(Case(home, company, month, as_of, {}, None))  # type: ignore[no-any-return]


def verdict_path(home: Home, month: Month, gate: str) -> Path:
    """Return where a verdict is kept."""
    return home.gates / month.key / f"{gate}.json"


def verdict(home: Home, month: Month, gate: str) -> Verdict | None:
    """Read the last verdict of a gate about a month, or None."""
    file = verdict_path(home, month, gate)
    if not file.exists():
        return None
    body = json.loads(file.read_text(encoding="utf-8"))
    checks = tuple(
        Check(**{**check, "failing_keys": tuple(check["failing_keys"])}) for check in body["checks"]
    )
    return Verdict(**{**body, "checks": checks})


def keep(home: Home, verdict: Verdict) -> None:
    """Replace the kept verdict of a gate, in its file and in the warehouse."""
    _record(home, verdict)
    _write(verdict_path(home, Month(verdict.month), verdict.gate), verdict)


def verdicts(home: Home, month: Month) -> list[Verdict]:
    """Read the last verdicts about a month, in the order of the gates."""
    found = (verdict(home, month, gate) for gate in GATES)
    return [one for one in found if one is not None]


def evaluate(scratch: Path, rules: Sequence[Rule]) -> tuple[Check, ...]:
    """Run rules over the tables of a DuckDB file; checks come in the order of the rules."""
    passed = _expect(scratch, rules)
    con = warehouse.connect(scratch, read_only=True)
    try:
        return tuple(_check(con, rule, passed[rule.id]) for rule in rules)
    finally:
        con.close()


def _suite(gate: str) -> Any:
    from expectations import exports, facts, raw, scorecards

    return {"raw": raw, "facts": facts, "scorecards": scorecards, "exports": exports}[gate]


def _judge(gate: str, case: Case) -> Verdict:
    """Let a suite lay out its tables in a scratch file, then run its rules over them."""
    suite = _suite(gate)
    subject_sha256 = suite.subject(case)
    with _scratch(case, gate) as file:
        con = warehouse.connect(file)
        try:
            rules: tuple[Rule, ...] = suite.prepare(con, case)
        finally:
            con.close()
        if not rules:
            raise ValueError("the suite has no rule for this month")
        checks = _agreed(gate, case.company, rules, evaluate(file, rules))
        _keep(case, file, getattr(suite, "KEPT", ()))
    stopped = any(not check.passed and check.severity == CRITICAL for check in checks)
    return Verdict(
        gate, case.month.key, case.as_of.key, subject_sha256, passed=not stopped, checks=checks
    )


def _agreed(
    gate: str, company: Company, rules: Sequence[Rule], checks: Sequence[Check]
) -> tuple[Check, ...]:
    """Say of every check that a threshold decides who agreed to it."""
    own = company.gates.get(gate, {})
    told = {
        rule.id: origin(gate, rule.limit, company.agreements, own=rule.limit in own)
        for rule in rules
        if rule.limit
    }
    return tuple(
        replace(check, agreed_by=by, agreed_on=on, agreed_reason=reason)
        for check in checks
        for by, on, reason in [told.get(check.id, ("", "", ""))]
    )


def _keep(case: Case, scratch: Path, tables: Sequence[str]) -> None:
    """Replace the month in ops.<table> by what a suite laid out; the tables have a `month`."""
    if not tables:
        return
    con = warehouse.connect(case.home.warehouse)
    try:
        con.execute(f"attach {quoted(scratch)} as scratch (read_only)")
        con.execute("create schema if not exists ops")
        con.execute("begin")
        for table in tables:
            con.execute(
                f"create table if not exists ops.{table} as from scratch.main.{table} limit 0"
            )
            con.execute(f"delete from ops.{table} where month = ?", [case.month.start])
            con.execute(f"insert into ops.{table} by name from scratch.main.{table}")
        con.execute("commit")
    finally:
        con.close()


def _expect(scratch: Path, rules: Sequence[Rule]) -> dict[str, bool]:
    """Ask Great Expectations, table by table; a rule it cannot compute stops the gate."""
    with environment({"GX_ANALYTICS_ENABLED": "false"}):
        logging.getLogger(_CHATTY[0]).setLevel(logging.WARNING)
        import great_expectations as gx

        logging.getLogger(_CHATTY[1]).setLevel(logging.WARNING)  # which sets a level of its own
        context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    tables = tuple(dict.fromkeys(rule.table for rule in rules))
    source = context.data_sources.add_sql(
        "scratch",
        connection_string=f"duckdb:///{scratch}",
        create_temp_table=False,
        kwargs={**_ENGINE, "connect_args": {"read_only": True}},
        # All at once: each one added later, and each batch definition, writes all anew as YAML.
        assets=[{"name": table, "type": "table", "table_name": table} for table in tables],
    )
    passed: dict[str, bool] = {}
    try:
        for table in tables:
            asset = source.get_asset(table)
            batch = asset.get_batch(asset.build_batch_request())
            suite = gx.ExpectationSuite(
                table, expectations=[rule.expectation() for rule in rules if rule.table == table]
            )
            result = batch.validate(suite, result_format="BOOLEAN_ONLY")
            passed.update(_outcomes(result.results))
    finally:
        source.get_execution_engine().close()
        source.get_engine().dispose()
    missing = [rule.id for rule in rules if rule.id not in passed]
    if missing:
        raise ValueError(f"no result for {', '.join(missing)}")
    return passed


def _outcomes(results: Sequence[Any]) -> Iterator[tuple[str, bool]]:
    for result in results:
        rule = result.expectation_config.meta["id"]
        cause = _exception(result.exception_info)
        if cause:
            raise ValueError(f"check {rule} could not be computed: {cause}")
        yield rule, bool(result.success)


def _exception(info: Any) -> str:
    """Return the first line of what Great Expectations caught, or nothing."""
    if not isinstance(info, Mapping):
        return ""
    if "raised_exception" in info:
        message = str(info.get("exception_message") or "unknown cause")
        return message.splitlines()[0] if info["raised_exception"] else ""
    return next((text for text in map(_exception, info.values()) if text), "")


def _check(con: DuckDBPyConnection, rule: Rule, passed: bool) -> Check:
    keys: tuple[str, ...] = ()
    observed = "0 rows"
    if not passed:
        count, keys = _failing(con, rule)
        observed = f"{count} rows" if count != 1 else "1 row"
    if rule.observe:
        answers = con.execute(rule.observe).fetchall()
        found = answers[0][0] if answers else None
        observed = "nothing to measure" if found is None else str(found)
    return Check(
        rule.id,
        rule.title_en,
        rule.title_zh,
        rule.severity,
        passed=passed,
        observed=observed,
        threshold=rule.threshold,
        failing_keys=keys,
    )


def _failing(con: DuckDBPyConnection, rule: Rule) -> tuple[int, tuple[str, ...]]:
    query = rule.failing()
    count = con.execute(f"select count(*) from ({query})").fetchall()[0][0]
    result = con.execute(f"select * from ({query}) order by all nulls last limit {_KEYS_SHOWN}")
    names = [column[0] for column in result.description or []]
    return count, tuple(
        ", ".join(
            f"{name}={without_contacts(str(value))}"
            for name, value in zip(names, row, strict=True)
            if value is not None
        )
        for row in result.fetchall()
    )


def _place(error: Exception) -> str:
    """Return where an error came from, as `file:line`."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"


def _broken(gate: str, case: Case, error: Exception) -> Verdict:
    """Return the verdict of a gate that could not run: failed, with its cause."""
    cause = str(error) if isinstance(error, PerfhouseError | ValueError) else type(error).__name__
    if type(error).__module__.endswith("duckdb") and "Conversion" not in type(error).__name__:
        cause = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    check = Check(
        "gate_ran",
        "The gate could run",
        "检查本身能够运行",
        CRITICAL,
        passed=False,
        observed=without_values(cause)[:500],
    )
    return Verdict(gate, case.month.key, case.as_of.key, "", passed=False, checks=(check,))


def _record(home: Home, verdict: Verdict) -> None:
    """Replace the gate's rows of the month in the warehouse table ops.gate_verdicts."""
    con = warehouse.connect(home.warehouse)
    try:
        con.execute("create schema if not exists ops")
        columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
        con.execute(f"create table if not exists ops.gate_verdicts ({columns})")
        for name, kind in _COLUMNS.items():  # those younger than the table
            con.execute(f"alter table ops.gate_verdicts add column if not exists {name} {kind}")
        con.execute("begin")
        first = Month(verdict.month).start
        con.execute(
            "delete from ops.gate_verdicts where month = ? and gate = ?", [first, verdict.gate]
        )
        warehouse.insert(
            con,
            f"ops.gate_verdicts ({', '.join(_COLUMNS)})",
            [
                [
                    *(first, verdict.gate, c.id, c.severity, c.passed, c.observed, c.threshold),
                    *(c.title_en, c.title_zh, "; ".join(c.failing_keys)),
                    *(c.agreed_by or None, c.agreed_on or None, c.agreed_reason or None),
                    *(c.accepted_by, c.accepted_reason),
                ]
                for c in verdict.checks
            ],
        )
        con.execute("commit")
    finally:
        con.close()


def _write(file: Path, verdict: Verdict) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".json.new")
    draft.write_text(
        json.dumps(asdict(verdict), ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
    )
    sync_file(draft)
    draft.replace(file)
    sync_folder(file.parent)


def _words(check: Check) -> str:
    by = f", {check.agreed_by}" if check.agreed_by else ""
    by += f" {check.agreed_on}" if check.agreed_on else ""
    allowed = f", allowed {check.threshold}{by}" if check.threshold else ""
    shown = "; ".join(check.failing_keys[:5])
    more = len(check.failing_keys) - 5
    keys = f" [{shown}{f'; and {more} more' if more > 0 else ''}]" if shown else ""
    return (
        f"{check.id}: {check.title_en} / {check.title_zh} "
        f"(observed {check.observed}{allowed}){keys}"
    )


@contextmanager
def _scratch(case: Case, gate: str) -> Iterator[Path]:
    case.home.tmp.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"gate-{gate}-{case.month}-", dir=case.home.tmp))
    try:
        yield folder.resolve() / "scratch.duckdb"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
