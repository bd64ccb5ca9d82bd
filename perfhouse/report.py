"""What people read in the terminal: counts, verdicts, where things are and what to do next.

It reads manifests, verdicts and the ledger and formats; it changes nothing.
"""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from perfhouse import clock, company_identities, lake, warehouse
from perfhouse.errors import ConfigError, ReleaseError
from perfhouse.month import Month

if TYPE_CHECKING:
    from pathlib import Path

    from expectations.gate import Verdict
    from expectations.people import Stranger
    from perfhouse.company import Company, Source
    from perfhouse.deliveries import Standing as Delivery
    from perfhouse.mart.load import Standing
    from perfhouse.months import State
    from perfhouse.release import Release
    from perfhouse.reproduce import Reproduction
    from perfhouse.settings import Home
    from perfhouse.stages import RunResult, Workspace
    from perfhouse.verify import Verification

Echo = Callable[[str], None]


def run(result: RunResult, home: Home, echo: Echo) -> None:
    """Say what one month's run did and where the results are."""
    echo("")
    for landed in result.manifests:
        manifest(landed, echo)
    for skipped in result.skipped:
        echo(f"{skipped}: optional, not delivered")
    for judged in result.verdicts:
        verdict(judged, echo)
    release(result.release, home, echo)
    whats_next(home, [result.month], echo)


def manifest(landed: lake.Manifest, echo: Echo) -> None:
    """Say what became of one source's rows."""
    again = " (unchanged since it was landed)" if landed.unchanged else ""
    echo(f"{landed.source} {landed.month}{again}")
    for name, stream in landed.streams.items():
        echo(
            f"  {name:<22} {stream.rows_in:>9,} rows in = {stream.landed:,} landed + "
            f"{stream.duplicates:,} duplicates + {stream.quarantined:,} quarantined"
        )
        if stream.refused:
            echo(f"  {'':<22}   the account is refused {stream.refused}")
        for reason, count in sorted(stream.reasons.items(), key=lambda item: -item[1])[:5]:
            echo(f"  {'':<22}   quarantined {count:,}: {reason}")
        for field, reasons in stream.unknown.items():
            echo(f"  {'':<22}   unknown {field}: {sum(reasons.values()):,}")
        if stream.late_rows:
            late = ", ".join(f"{m}: {n:,}" for m, n in sorted(stream.late_rows.items()))
            echo(f"  {'':<22}   late, for earlier months: {late}")
        if stream.undeclared_fields:
            fields = ", ".join(stream.undeclared_fields)
            echo(f"  {'':<22}   not mapped, not landed: {fields}")
        if stream.quarantine_file:
            echo(f"  {'':<22}   quarantine: {stream.quarantine_file}")


def verdict(judged: Verdict, echo: Echo) -> None:
    """Say what a gate found; what nobody took on in words, with thresholds and failing keys."""
    echo(f"gate {judged.gate} {judged.month}: {headline(judged)}")
    for check in (c for c in judged.checks if not c.passed and not c.accepted_by):
        keys = f" [{', '.join(check.failing_keys[:5])}]" if check.failing_keys else ""
        allowed = f", allowed {check.threshold}" if check.threshold else ""
        echo(f"  {check.severity}: {check.title_en}: {check.observed}{allowed}{keys}")
    for check in judged.accepted:
        echo(f"  accepted by {check.accepted_by} ({check.accepted_reason}): {check.title_en}")


def headline(judged: Verdict) -> str:
    """Return what a gate said in one line."""
    unread = sum(not c.passed and not c.accepted_by for c in judged.checks)
    parts = [f"{len(judged.checks)} checks"]
    parts += [f"{unread} to read"] if unread else []
    parts += [f"{len(judged.accepted)} accepted"] if judged.accepted else []
    return f"{'passed' if judged.passed else 'STOPPED THE MONTH'} ({', '.join(parts)})"


def facts(judged: Verdict) -> dict[str, Any]:
    """Return a verdict as plain data, without the keys of rows: for XCom, which many may read."""
    return {
        **{"gate": judged.gate, "month": judged.month, "as_of": judged.as_of},
        **{"passed": judged.passed, "said": headline(judged)},
        "failed": [
            {
                **{"check": c.id, "severity": c.severity, "title_en": c.title_en},
                **{"title_zh": c.title_zh, "observed": c.observed, "threshold": c.threshold},
                "accepted_by": c.accepted_by,
            }
            for c in judged.checks
            if not c.passed
        ],
    }


def release(released: Release, home: Home, echo: Echo) -> None:
    """Say which release stands and where it is."""
    word = "unchanged" if released.unchanged else "published"
    echo(f"release {released.name}: {word}, sha256 {released.sha256}")
    echo(f"  {released.path}")


def mart(found: Iterable[Standing], echo: Echo) -> None:
    """Say of every month which release the mart shows, and which it should."""
    for each in found:
        word = "shown" if each.is_same else f"BEHIND: the mart has {each.held or 'nothing'}"
        echo(f"{each.month}: {each.published or 'not published here'}  {word}")


def deliveries(found: Iterable[Delivery], key: Path, echo: Echo) -> None:
    """Print where each delivery stands, and the file of the key to check it with."""
    for each in found:
        sent = each.sent
        since = f" since {sent.since}" if sent.since else ""
        reason = f": {each.reason}" if each.reason else ""
        echo(
            f"{each.state:<9} {sent.receiver:<12} {sent.delivery}  {sent.rows} rows{since}, "
            f"sent {sent.at}{reason}"
        )
    if key.exists():
        echo(f"public key: {key}")


def plan(ws: Workspace, source: Source, month: Month, echo: Echo) -> None:
    """Show what an ingest would fetch, without fetching or writing anything."""
    from connectors import base

    connector = base.get(source.connector)
    echo(f"{source.id} {month}: {connector.reads}")
    until = clock.today(ws.company) if ws.company.arrivals.month_to_date else None
    context = base.ExtractContext(ws.company, ws.data, ws.home.tmp, until=until)
    for line in connector.planned(base.effective(source), month, context):
        echo(f"  {line}")


def identities(found: Iterable[Stranger], echo: Echo) -> None:
    """Print ids as lines of identity.csv, whose employee is to be filled in."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(company_identities.COLUMNS)
    for one in found:
        writer.writerow([one.source, one.source_user_id, "", "", "", one.why])
    echo(lines.getvalue().removesuffix("\n"))


def status(home: Home, company: Company | None, month: Month | None, echo: Echo) -> None:
    """List the months: what was landed, judged and released, what is missing; of one, its cost."""
    from expectations import gate
    from perfhouse import release as releases
    from perfhouse import run_cost

    newest = {r.month: r for r in sorted(releases.releases(home), key=lambda r: r.number)}
    months = [month] if month else _months(home, newest)
    if not months:
        echo(f"nothing has been landed in {home.root} yet")
    for gap in _coverage_gaps(company, months) if company else ():
        echo(gap)
    required = {s.id for s in company.sources if s.required} if company else set()
    for each in months:
        landed = lake.manifests(home, each, each)
        streams = [s for m in landed for s in m.streams.values()]
        echo(
            f"{each}: {len(landed)} sources, {sum(s.rows_in for s in streams):,} rows in, "
            f"{sum(s.landed for s in streams):,} landed, "
            f"{sum(s.duplicates for s in streams):,} duplicates, "
            f"{sum(s.quarantined for s in streams):,} quarantined"
        )
        missing = sorted(required - {m.source for m in landed})
        if missing:
            echo(f"  not delivered yet: {', '.join(missing)}")
        for source, name, what in _refused(landed):
            echo(f"  {source}: {name}: the account is refused {what}")
        for judged in gate.verdicts(home, each):
            warnings = sum(not c.passed and not c.accepted_by for c in judged.checks)
            echo(
                f"  gate {judged.gate}: {'passed' if judged.passed else 'STOPPED'}"
                f"{f', {warnings} to read' if warnings else ''}"
            )
        found = newest.get(each)
        echo(f"  release: {found.name} {found.sha256[:12]}" if found else "  release: none yet")
    for line in run_cost.lines(home, month) if month else ():
        echo(f"  {line}")


def _coverage_gaps(company: Company, months: Sequence[Month]) -> list[str]:
    """Return what is missing for a total in the last of some months, or when targets begin."""
    from perfhouse import stages

    known = [*months] or [Month.of(target.valid_from) for target in company.kpis.targets]
    month = max(known, default=None)
    return [f"{month}: {gap}" for gap in stages.coverage_gaps(company, month)] if month else []


def months(home: Home, company: Company, echo: Echo) -> None:
    """List where every month stands, when it closes and what of it may still change."""
    from perfhouse import months as calendar

    found = calendar.states(company, home)
    if not found:
        echo(f"nothing has been landed in {home.root} yet")
    for state in found:
        word = "closed" if state.is_locked else "closes"
        newest = f"{state.release} as of {state.as_of}" if state.release else "no release"
        echo(f"{state.month}: {state.status:<11} {word} {state.closes_on}  {newest}")
        if _is_unsigned(home, company, state):
            echo(f"  not signed off: perfhouse sign-off --month {state.month}")
        if state.provisional:
            again = f"; run it as of {state.month.plus(1)}" if state.is_locked else ""
            echo(f"  still provisional: {', '.join(state.provisional)}{again}")


def _is_unsigned(home: Home, company: Company, state: State) -> bool:
    """Say whether a month is final by a release that nobody signed, where somebody should have."""
    from perfhouse import ledger, months, release_manifest, sign_off

    if company.sign_off is None or state.status not in (months.CLOSED, months.RESTATED):
        return False
    entry = ledger.latest(home, state.month)
    if entry is None:
        return False
    said = release_manifest.read_manifest(home.published / entry.path)
    content = sign_off.content_of(said)
    return sign_off.approval(ledger.lines(ledger.ledger_path(home)), content) is None


def reproduction(found: Reproduction, echo: Echo) -> None:
    """Say whether a release came out the same, and if not, what differs."""
    for note in found.notes:
        echo(f"  {note}")
    for difference in found.differences[:20]:
        echo(f"  {difference}")
    if found.is_same:
        echo(f"{found.release}: reproduced, sha256 {found.found_sha256}")
    else:
        count = len(found.differences)
        echo(f"{found.release}: NOT reproduced, {count} tables and files differ")
        echo(f"who must act: {ReleaseError.who}")


def verification(found: Verification, echo: Echo) -> None:
    """Say what holds and what does not."""
    for line in (*found.notes, *found.problems):
        echo(f"  {line}")
    if not found.problems:
        echo(f"{found.subject}: verified")
        return
    echo(f"{found.subject}: NOT verified, {len(found.problems)} problems")
    echo(f"who must act: {ReleaseError.who}")


def _refused(landed: Iterable[lake.Manifest]) -> list[tuple[str, str, str]]:
    """Return (source, stream, what) of all that accounts may not read."""
    return [
        (manifest.source, name, stream.refused)
        for manifest in landed
        for name, stream in manifest.streams.items()
        if stream.refused
    ]


def demo_done(ws: Workspace, months: Iterable[Month], seconds: float, echo: Echo) -> None:
    """Close `make run`: every count, every verdict, every place, every next step."""
    listed = list(months)
    echo("")
    status(ws.home, ws.company, None, echo)
    echo("")
    for month in listed:
        for judged in _verdicts(ws.home, month):
            verdict(judged, echo)
    whats_next(ws.home, listed, echo)
    echo(f"took {seconds:.0f} seconds")


def query(home: Home, sql: str, echo: Echo) -> None:
    """Answer a question to the published scorecards; nothing else can be read or written.

    Raises:
        ReleaseError: nothing has been published yet.
        ConfigError: the SQL cannot be answered (whoever wrote it).
    """
    published = home.published / "scorecards.duckdb"
    if not published.exists():
        raise ReleaseError(f"nothing has been published in {home.published} yet")
    try:
        echo(warehouse.answer(published, sql))
    except ValueError as error:
        raise ConfigError([f"query: {error}"]) from error


def whats_next(home: Home, months: list[Month], echo: Echo) -> None:
    """Say where everything is and how to look at it."""
    from perfhouse import release as releases

    last = months[-1]
    found = releases.latest(home, last)
    if found is None:
        return
    manager, kpi = _someone(found)
    echo("")
    echo(f"scorecards   {home.published / 'scorecards.duckdb'}   (read-only, always complete)")
    echo(f"HR export    {found.path / 'exports'}")
    echo(f"cards        {found.path / 'cards' / 'index.html'}")
    echo(f"overview     {found.path / 'pages' / 'index.html'}")
    echo(f"operations   {home.operations / f'{found.name}.html'}")
    echo("query        " + _query(home))
    explain = f"perfhouse explain --home {home.root} --month {last} --manager {manager}"
    echo(f"explain      .venv/bin/{explain}")
    echo(f"             .venv/bin/{explain} --kpi {kpi}")
    echo(f"gates        {home.data_docs / 'index.html'}")
    echo(f"verify       .venv/bin/perfhouse verify --home {home.root}")
    echo("Airflow      make up")


def _query(home: Home) -> str:
    sql = "select month, manager_id, total_score, grade, rank from scorecard_manager_months"
    return f'.venv/bin/perfhouse query --home {home.root} "{sql}"'


def _someone(released: Release) -> tuple[str, str]:
    """Return a manager and a scored KPI of the release, quoted for a shell."""
    with warehouse.connect(released.path / "scorecards.duckdb", read_only=True) as con:
        row = con.execute(
            "select manager_id, kpi_id from scorecard_kpi_months "
            "order by status = 'scored' desc, manager_id, kpi_id limit 1"
        ).fetchone()
    return (shlex.quote(str(row[0])), str(row[1])) if row else ("MANAGER", "KPI")


def _verdicts(home: Home, month: Month) -> list[Verdict]:
    from expectations import gate

    return gate.verdicts(home, month)


def _months(home: Home, newest: Iterable[Month]) -> list[Month]:
    keys = {p.name.removeprefix("month=") for p in home.manifests.glob("month=*")}
    return sorted({Month(k) for k in keys} | set(newest))
