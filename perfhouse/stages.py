"""The stages of a month, in the order they run: ingest, gate, build, gates, publish.

The CLI and the DAGs call these and nothing below them; nothing here knows Airflow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse.company import Company, Source, load_company
from perfhouse.errors import ConfigError, PerfhouseError, SourceMissing
from perfhouse.month import Month
from perfhouse.settings import Home, defaults

if TYPE_CHECKING:
    from expectations.gate import Verdict
    from expectations.people import Stranger
    from perfhouse.appeals import Appeal
    from perfhouse.build import BuildResult
    from perfhouse.lake import Manifest
    from perfhouse.ledger import Record
    from perfhouse.release import Beside, Release
    from perfhouse.release_diff import Difference
    from perfhouse.restatement import Reason
    from perfhouse.sign_off_request import Request

_log = logging.getLogger(__name__)
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Workspace:
    """One company's configuration, where its file sources lie, and its home."""

    company: Company
    data: Path
    home: Home


@dataclass(frozen=True)
class RunResult:
    """What one month's run did: manifests by source, verdicts in order, the release."""

    month: Month
    manifests: tuple[Manifest, ...]
    skipped: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    release: Release


def open_workspace(
    company: Path | None = None, data: Path | None = None, home: Path | None = None
) -> Workspace:
    """Open a workspace; what is not given comes from `PERFHOUSE_COMPANY`, `_DATA`, `_HOME`.

    Raises:
        ConfigError: every problem of the configuration at once (operator).
    """
    from connectors import base, streams
    from expectations import THRESHOLDS

    default_company, default_data, default_home = defaults()
    folder = company or default_company
    if folder is None:
        raise ConfigError(["--company: expected a folder that holds perfhouse.toml, got nothing"])
    problems: list[str] = []
    loaded = load_company(
        folder,
        streams=streams.columns_by_stream(),
        required=streams.required_by_stream(),
        connectors=base.Keys(),
        kpis=kpi_directions(folder, problems),
        thresholds=THRESHOLDS,
        problems=problems,
    )
    root = Home((home or default_home).resolve())
    root.ensure()
    return Workspace(loaded, (data or default_data or folder).resolve(), root)


def kpi_directions(folder: Path | None = None, problems: list[str] | None = None) -> dict[str, str]:
    """Return 'up' or 'down' by KPI: of the project's, and of those a company adds in `kpis/`.

    What is wrong with a company's own files is added to `problems`.
    """
    from perfhouse import kpi_files

    own = [] if folder is None else [folder / kpi_files.FOLDER]
    return kpi_files.catalogue() | kpi_files.read(own, [] if problems is None else problems)


def source_of(ws: Workspace, source_id: str) -> Source:
    """Find a source by its id; ConfigError lists the known ones."""
    for source in ws.company.sources:
        if source.id == source_id:
            return source
    known = ", ".join(s.id for s in ws.company.sources)
    raise ConfigError([f"--source: expected one of {known}; got {source_id!r}"])


def ingest(
    ws: Workspace,
    source_id: str,
    month: Month,
    progress: Progress = _log.info,
    accept_loss: Reason | None = None,
) -> Manifest:
    """Extract, archive, land and commit one source's month; replaces what it delivered before.

    `accept_loss` says who lets a delivery land that lost many rows, and why: it goes on record.
    """
    from connectors import landing
    from perfhouse import arrivals, clock, step_times

    source, accepts = source_of(ws, source_id), accept_loss is not None
    until = clock.today(ws.company) if ws.company.arrivals.month_to_date else None
    _sayable(ws.home, accept_loss)
    with (
        exclusive(ws.home, f"ingest-{source_id}-{month}"),
        step_times.timed(ws.home, month, step_times.INGEST, source_id),
    ):
        seen = arrivals.sight(ws, source, month)
        told = (ws.company, month, ws.data, ws.home, progress, accepts, until)
        landed = landing.ingest(source, *told)
        if seen is not None and not seen.waits:
            arrivals.note(ws.home, source.id, seen)
        return _with_loss(ws, landed, accept_loss)


def land(
    ws: Workspace,
    source_id: str,
    month: Month,
    progress: Progress = _log.info,
    accept_loss: Reason | None = None,
) -> Manifest:
    """Land one source's month again from its archive, after a mapping was mended."""
    from connectors import landing
    from perfhouse import step_times

    source, accepts = source_of(ws, source_id), accept_loss is not None
    _sayable(ws.home, accept_loss)
    with (
        exclusive(ws.home, f"ingest-{source_id}-{month}"),
        step_times.timed(ws.home, month, step_times.INGEST, source_id),
    ):
        landed = landing.land(source, ws.company, month, ws.home, progress, accepts)
        return _with_loss(ws, landed, accept_loss)


def _sayable(home: Home, reason: Reason | None) -> None:
    """Require words that may be published, where there are any."""
    if reason is not None:
        from perfhouse import public_words

        public_words.require(home, reason)


def _with_loss(ws: Workspace, landed: Manifest, reason: Reason | None) -> Manifest:
    if reason is not None:
        from perfhouse import accept as accepting

        accepting.loss(ws.home, landed, reason)
    return landed


def accept(
    home: Home, month: Month, gate: str, check: str, reason: Reason, at: str | None = None
) -> Record:
    """Put on record that a person takes on a failed check; the gate's verdict follows.

    Raises:
        ConfigError: there is nothing of that name to accept, or nobody may, or the reason names
            somebody (operator).
    """
    from perfhouse import accept as accepting

    _sayable(home, reason)
    with exclusive(home, "warehouse"):
        return accepting.accept(home, month, gate, check, reason, at)


def gate_raw(ws: Workspace, month: Month, as_of: Month | None = None) -> Verdict:
    """May what was landed be built? Raises GateFailed (data owner)."""
    return _gate(ws, "raw", month, as_of)


def strangers(ws: Workspace, month: Month, as_of: Month | None = None) -> list[Stranger]:
    """Return the ids of a landed month behind which nobody, or not one person, is known."""
    from connectors import streams
    from expectations import gate, raw
    from perfhouse import lake, warehouse

    case = gate.Case(ws.home, ws.company, month, as_of or month, streams.STREAMS, None)
    with lake.reading(ws.home), warehouse.connect() as con:
        return raw.strangers(con, case)


def appeals(ws: Workspace, month: Month | None = None) -> list[Appeal]:
    """Return every appeal that landed about a month, or about any; nothing needs to be built."""
    from connectors import streams
    from perfhouse import appeals as listed

    columns = streams.declarations()[listed.STREAM]
    return listed.listing(ws.home, ws.company, columns, month)


def build(
    ws: Workspace, month: Month, as_of: Month | None = None, progress: Progress = _log.info
) -> BuildResult:
    """Build facts, KPIs and scorecards of one month; raises BuildFailed (data engineer)."""
    from connectors import streams
    from perfhouse import build as builder
    from perfhouse import lake, processed, step_times

    pack = ws.company.kpis.pack
    if pack is not None and pack.announced_on is None:
        progress(
            f"{month}: KPI pack {pack.id} {pack.version} is a proposal: nobody is scored by it "
            "until [kpis] pack says who approved it and when it was announced"
        )
    for gap in coverage_gaps(ws.company, month):
        progress(f"{month}: {gap}")
    with (
        exclusive(ws.home, "warehouse"),
        lake.reading(ws.home),
        processed.building(ws.home, month),
        step_times.timed(ws.home, month, step_times.BUILD),
    ):
        return builder.build(
            ws.company, ws.home, month, as_of or month, streams.declarations(), progress
        )


def coverage_gaps(company: Company, month: Month) -> list[str]:
    """Tell which roles can get no total in a month, for want of which streams."""
    from connectors import base
    from perfhouse.company_coverage import gaps

    return gaps(company, [base.effective(source) for source in company.sources], month)


def gate_facts(ws: Workspace, month: Month, as_of: Month | None = None) -> Verdict:
    """Is every landed row in a fact or left out for a reason? Raises GateFailed (data owner)."""
    return _gate(ws, "facts", month, as_of)


def gate_scorecards(ws: Workspace, month: Month, as_of: Month | None = None) -> Verdict:
    """May these scorecards be published? Raises GateFailed (data owner)."""
    return _gate(ws, "scorecards", month, as_of)


def publish(
    ws: Workspace,
    month: Month,
    as_of: Month | None = None,
    progress: Progress = _log.info,
    reason: Reason | None = None,
) -> Release:
    """Stage, audit (gate exports) and cut over one month's release, or say it is unchanged.

    A closed month changes only with a `reason`: else MonthClosed says what would change. The
    mart changes with the files, if the company has one; where it cannot, the release stands all
    the same.
    """
    from perfhouse import processed, release, step_times

    _sayable(ws.home, reason)
    beside = _mart_beside(ws, progress) or release.nothing_beside
    with (
        exclusive(ws.home, "warehouse"),
        processed.publishing(ws.home, ws.company, month, as_of),
    ):
        try:
            with step_times.timed(ws.home, month, step_times.PUBLISH):
                released = release.publish(
                    *(ws.company, ws.home, month),
                    as_of=as_of,
                    reason=reason,
                    beside=beside,
                    progress=progress,
                )
        finally:
            _document(ws.home, "exports", month)
        _account(ws, released)
    _follow(ws, released, progress)
    return released


def ask(
    ws: Workspace,
    month: Month,
    as_of: Month | None = None,
    progress: Progress = _log.info,
    reason: Reason | None = None,
) -> Request | None:
    """Stage and audit what `publish` would put out; return what HR is to sign of it, if anything.

    Nothing goes out; what is returned is kept as the month's open request.
    """
    from perfhouse import processed, release

    _sayable(ws.home, reason)
    with exclusive(ws.home, "warehouse"):
        try:
            with processed.asking(ws.home, ws.company, month, as_of) as waits:
                request = release.ask(
                    *(ws.company, ws.home, month), as_of=as_of, reason=reason, progress=progress
                )
                if request is not None:
                    waits()
                return request
        finally:
            _document(ws.home, "exports", month)


def preview(
    ws: Workspace, month: Month, as_of: Month | None = None, progress: Progress = _log.info
) -> Difference | None:
    """Return how what is built differs from the release that stands; None where none does."""
    from perfhouse import release

    with exclusive(ws.home, "warehouse"):
        return release.preview(ws.company, ws.home, month, as_of=as_of, progress=progress)


def rollback(ws: Workspace, to: str, reason: Reason, progress: Progress = _log.info) -> Release:
    """Make an earlier release of a month stand again, in every target; `to` is its name.

    Raises:
        ConfigError: there is no such release, or it stands (operator).
        ReleaseError: it is not intact (data engineer).
    """
    from perfhouse import release
    from perfhouse import rollback as rolling

    _sayable(ws.home, reason)
    beside = _mart_beside(ws, progress) or release.nothing_beside
    released = rolling.rollback(ws.home, to, reason, beside=beside, progress=progress)
    _tell_states(ws, released)
    _follow(ws, released, progress)
    return released


def _mart_beside(ws: Workspace, progress: Progress) -> Beside | None:
    """Return what brings the mart along while files are cut over, if there is a mart."""
    connection = ws.company.mart
    if connection is None:
        return None

    def beside(database: Path, folders: Mapping[str, Path]) -> AbstractContextManager[object]:
        from perfhouse.mart import load

        return load.Beside(ws.home, ws.company.id, connection, (database, folders), progress)

    return beside


def _follow(ws: Workspace, released: Release, progress: Progress) -> None:
    """Bring the mart to what it did not take together with the files."""
    if ws.company.mart is None:
        return
    try:
        publish_mart(ws, progress)
    except PerfhouseError:
        progress(f"{released.name} stands; the mart is behind until `perfhouse mart publish`")
        raise


def publish_mart(ws: Workspace, progress: Progress = _log.info, again: bool = False) -> list[Month]:
    """Bring the PostgreSQL mart to the newest releases; return the months it took.

    Raises:
        ConfigError: there is no `[mart]`, or it is not as `mart migrate` leaves it (operator).
        TransientError: its server was lost or is busy; readers see what they saw before.
    """
    from perfhouse.mart import load

    connection = mart_connection(ws)
    return load.load(ws.home, ws.company.id, connection, again=again, progress=progress)


def mart_connection(ws: Workspace) -> str:
    """Return the connection that the company's `[mart]` names."""
    if ws.company.mart is None:
        raise ConfigError(["perfhouse.toml: mart.connection: expected a connection, got nothing"])
    return ws.company.mart


def run(
    ws: Workspace,
    month: Month,
    as_of: Month | None = None,
    progress: Progress = _log.info,
    reason: Reason | None = None,
) -> RunResult:
    """Run every stage of one month without a scheduler; `reason` restates a closed one."""
    from expectations import gate

    _sayable(ws.home, reason)  # before an hour's work
    manifests: list[Manifest] = []
    skipped: list[str] = []
    for source in ws.company.sources:
        try:
            manifests.append(ingest(ws, source.id, month, progress))
        except SourceMissing as missing:
            if source.required:
                raise
            progress(f"{source.id}: optional, not delivered: {missing}")
            skipped.append(source.id)
    released = made(ws, month, as_of, progress, reason)
    verdicts = tuple(v for v in gate.verdicts(ws.home, month))
    return RunResult(month, tuple(manifests), tuple(skipped), verdicts, released)


def made(
    ws: Workspace,
    month: Month,
    as_of: Month | None = None,
    progress: Progress = _log.info,
    reason: Reason | None = None,
) -> Release:
    """Judge, build and publish what is landed of a month."""
    judged(ws, month, as_of, progress)
    progress(f"{month}: publish")
    return publish(ws, month, as_of, progress, reason)


def judged(
    ws: Workspace, month: Month, as_of: Month | None = None, progress: Progress = _log.info
) -> None:
    """Build a month between its gates; GateFailed or BuildFailed stop it."""
    progress(f"{month}: gate raw")
    gate_raw(ws, month, as_of)
    progress(f"{month}: build")
    build(ws, month, as_of, progress)
    progress(f"{month}: gate facts")
    gate_facts(ws, month, as_of)
    progress(f"{month}: gate scorecards")
    gate_scorecards(ws, month, as_of)


def _gate(ws: Workspace, name: str, month: Month, as_of: Month | None) -> Verdict:
    from connectors import streams
    from expectations import gate
    from perfhouse import lake, processed, step_times

    with (
        exclusive(ws.home, "warehouse"),
        lake.reading(ws.home),
        processed.judging(ws.home, ws.company, month, as_of, name),
        step_times.timed(ws.home, month, f"gate {name}"),
    ):
        try:
            return gate.run(name, ws.home, ws.company, month, as_of=as_of, streams=streams.STREAMS)
        finally:
            _document(ws.home, name, month)


def _document(home: Home, name: str, month: Month) -> None:
    """Let Data Docs follow a verdict; pages that cannot be written stop no month."""
    from expectations import data_docs, gate

    verdict = gate.verdict(home, month, name)
    if verdict is None:
        return
    try:
        data_docs.update(home, verdict)
    except Exception as error:
        what = type(error).__name__
        _log.warning("Data Docs of gate %s, %s: %s; `perfhouse gate --docs`", name, month, what)


def _account(ws: Workspace, released: Release) -> None:
    """Write the operations page of a release; one that cannot be written stops no month."""
    from perfhouse import page_operations

    try:
        page_operations.write(ws.home, ws.company, released.month, released.name, released.path)
    except Exception as error:
        _log.warning("operations page of %s: %s", released.name, type(error).__name__)
    _tell_states(ws, released)


def _tell_states(ws: Workspace, released: Release) -> None:
    """Tell on the operations pages what stands now; where that fails, the ledger says it anyway."""
    from perfhouse import page_states

    try:
        page_states.write(ws.home, ws.company, released.month)
    except Exception as error:
        _log.warning("operations pages of %s: %s", released.month, type(error).__name__)


@contextmanager
def exclusive(home: Home, name: str) -> Iterator[None]:
    """Hold a named lock of the home: one warehouse writer, one ingest of a source's month."""
    import fcntl

    path = home.tmp / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.warning("waiting: another run holds %s", path)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
