"""The command line: `perfhouse run`, `ingest`, `explain`, ....

It parses, calls stages and prints; it computes nothing.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import (
    cli_arrivals,
    cli_backfill,
    cli_metrics,
    cli_notices,
    cli_privacy,
    cli_sign_off,
)
from perfhouse.company_monitors import DEFAULTS as MONITORS
from perfhouse.errors import (
    ConfigError,
    PerfhouseError,
    ReleaseError,
    SourceMissing,
    TransientError,
)
from perfhouse.ledger import KINDS
from perfhouse.month import Month

# those whose verdicts stand before a release; of exports, nothing may be accepted
GATES = ("raw", "facts", "scorecards")

if TYPE_CHECKING:
    from perfhouse.restatement import Reason
    from perfhouse.stages import Workspace


def echo(line: str = "") -> None:
    """Print one line at once: people watch long work."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code says who must act (see `perfhouse --help`)."""
    parser = _parser()
    args = parser.parse_args(argv)
    logging.basicConfig(
        level=logging.INFO if args.verbose else logging.WARNING, format="%(message)s"
    )
    try:
        code = args.func(args)
    except PerfhouseError as error:
        sys.stderr.write(f"{type(error).__name__} (who must act: {error.who})\n{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("stopped; what was published before is untouched\n")
        return 130
    return int(code or 0)


# ---------------------------------------------------------------- commands


def _run(args: argparse.Namespace) -> None:
    from perfhouse import report, stages

    ws = _workspace(args)
    result = stages.run(ws, args.month, args.as_of, _progress, _reason(args))
    report.run(result, ws.home, echo)


def _ingest(args: argparse.Namespace) -> None:
    from perfhouse import report, stages

    ws = _workspace(args)
    wanted = [args.source] if args.source else [s.id for s in ws.company.sources]
    loss = _loss(args)
    for source_id in wanted:
        source = stages.source_of(ws, source_id)
        if args.dry_run:
            report.plan(ws, source, args.month, echo)
            continue
        step = stages.land if args.again else stages.ingest
        try:
            report.manifest(step(ws, source_id, args.month, _progress, loss), echo)
        except SourceMissing as missing:
            if args.source or source.required:
                raise
            echo(f"{source_id}: optional, not delivered: {missing}")


def _loss(args: argparse.Namespace) -> Reason | None:
    """Return who lets a loss land and why; both words are needed, and only with the flag."""
    from perfhouse.restatement import Reason

    if args.accept_loss:
        return Reason.of(args.reason, args.by)
    if args.reason or args.by:
        raise ConfigError(["--accept-loss: expected it where --reason and --by are given"])
    return None


def _accept(args: argparse.Namespace) -> None:
    from perfhouse import stages
    from perfhouse.restatement import Reason
    from perfhouse.settings import Home

    home, reason = Home(_home(args)), Reason.of(args.reason, args.by)
    line = stages.accept(home, args.month, args.gate, args.check, reason, args.at)
    echo(f"line {line.sequence} of the ledger: {line.kind}, hash {line.entry_sha256}")
    echo("it holds for what was found, not for another delivery; go on with `perfhouse run`")


def _build(args: argparse.Namespace) -> None:
    from perfhouse import stages

    result = stages.build(_workspace(args), args.month, args.as_of, _progress)
    echo(f"built {args.month}: {len(result.models)} models")


def _gate(args: argparse.Namespace) -> None:
    from perfhouse import report, stages

    if args.docs:
        from expectations import data_docs
        from perfhouse.settings import Home

        echo(str(data_docs.rebuild(Home(_home(args)))))
        return
    if args.month is None:
        raise ConfigError(["gate: expected --month, or --docs"])
    ws = _workspace(args)
    if args.gate in ("raw", "all"):
        report.verdict(stages.gate_raw(ws, args.month, args.as_of), echo)
    if args.gate in ("facts", "all"):
        report.verdict(stages.gate_facts(ws, args.month, args.as_of), echo)
    if args.gate in ("scorecards", "all"):
        report.verdict(stages.gate_scorecards(ws, args.month, args.as_of), echo)
    if args.gate == "exports":
        echo("the exports gate judges the files of a staged release: it runs inside `publish`")


def _identities(args: argparse.Namespace) -> None:
    from perfhouse import report, stages

    report.identities(stages.strangers(_workspace(args), args.month, args.as_of), echo)


def _appeals(args: argparse.Namespace) -> None:
    from perfhouse import appeals, stages

    ws = _workspace(args)
    echo(appeals.as_text(stages.appeals(ws, args.month), appeals.newest_delivery(ws.home)))


def _publish(args: argparse.Namespace) -> None:
    from perfhouse import report, stages

    ws = _workspace(args)
    released = stages.publish(ws, args.month, args.as_of, _progress, _reason(args))
    report.release(released, ws.home, echo)


def _reason(args: argparse.Namespace) -> Reason | None:
    """Return why a closed month is restated; both words are needed, and only with `--restate`."""
    from perfhouse.restatement import Reason

    if args.restate:
        return Reason.of(args.reason, args.by)
    if args.reason or args.by:
        raise ConfigError(["--restate: expected it where --reason and --by are given"])
    return None


def _months(args: argparse.Namespace) -> None:
    from perfhouse import report

    ws = _workspace(args)
    report.months(ws.home, ws.company, echo)


def _releases(args: argparse.Namespace) -> None:
    from perfhouse import release_list

    ws = _workspace(args)
    found = release_list.releases(ws.company, ws.home, args.month)
    for line in [release_list.as_json(found)] if args.json else release_list.as_text(found):
        echo(line)


def _diff(args: argparse.Namespace) -> None:
    from perfhouse import release_diff
    from perfhouse.settings import Home

    found = release_diff.diff(Home(_home(args)), args.before, args.after)
    for line in release_diff.as_text(found):
        echo(line)
    if args.csv:
        release_diff.write_csv(found, args.csv)


def _rollback(args: argparse.Namespace) -> None:
    from perfhouse import stages
    from perfhouse.restatement import Reason

    why = Reason.of(args.reason, args.by)
    name = f"{args.month}.{args.to}" if args.to.startswith("r") else args.to
    if not name.startswith(f"{args.month}.r"):
        raise ConfigError([f"--to: expected a release of {args.month}, got {args.to!r}"])
    released = stages.rollback(_workspace(args), name, why, _progress)
    echo(f"release {released.name}: stands, sha256 {released.sha256}")


def _deliver(args: argparse.Namespace) -> None:
    from perfhouse import deliver

    ws = _workspace(args)
    options = {"receiver": args.receiver, "again": args.again}
    deliver.deliver(ws, args.month, progress=_progress, **options)


def _deliveries(args: argparse.Namespace) -> None:
    from perfhouse import deliver, report

    ws = _workspace(args)
    report.deliveries(deliver.standings(ws, _progress), deliver.public_key(ws.home), echo)


def _reproduce(args: argparse.Namespace) -> int:
    from perfhouse import report, reproduce
    from perfhouse.settings import Home

    found = reproduce.reproduce(Home(_home(args)), args.release, _progress)
    report.reproduction(found, echo)
    return 0 if found.is_same else ReleaseError.exit_code


def _verify(args: argparse.Namespace) -> int:
    from perfhouse import report, signing, verify

    published = args.published or _home(args) / "published"
    if args.allow_unsigned and args.public_key:
        raise ConfigError(["--allow-unsigned: a given key must have signed; give one or the other"])
    keys = signing.public_keys(args.public_key, published, or_none=args.allow_unsigned)
    allow = bool(args.allow_unsigned)
    found = verify.verify(published, args.what, keys, args.head, allow_unsigned=allow)
    report.verification(found, echo)
    return ReleaseError.exit_code if found.problems else 0


def _record(args: argparse.Namespace) -> None:
    from perfhouse import public_words, release
    from perfhouse.restatement import Reason
    from perfhouse.settings import Home

    what = {"release": args.release, "month": args.month, "case": args.case}
    what |= {"kpi": args.kpi, "check": args.check}
    said = {name: str(value) for name, value in what.items() if value}
    if not said:
        raise ConfigError(["record: expected what it is about: --release, --month, --check, ..."])
    public_words.require(Home(_home(args)), Reason.of(args.reason, args.by))
    line = release.record(
        Home(_home(args)), kind=args.kind, what=said, who=args.by, why=args.reason, at=args.at
    )
    echo(f"line {line.sequence} of the ledger: {line.kind}, hash {line.entry_sha256}")


def _explain(args: argparse.Namespace) -> None:
    from perfhouse import explain
    from perfhouse.settings import Home

    found = explain.explain(Home(_home(args)), args.month, args.manager, args.kpi, limit=args.limit)
    echo(explain.as_json(found) if args.json else explain.as_text(found, lang=args.lang))


def _monitors(args: argparse.Namespace) -> None:
    from perfhouse import monitors
    from perfhouse.settings import Home

    home = Home(_home(args))
    found = monitors.findings(home, args.month)
    rows = monitors.evidence(home, args.month, args.monitor, args.limit) if args.monitor else ()
    found = tuple(f for f in found if args.monitor in (None, f.monitor))
    echo(monitors.as_json(found, rows) if args.json else monitors.as_text(found, rows))


def _status(args: argparse.Namespace) -> None:
    from perfhouse import report
    from perfhouse.settings import Home

    ws = _workspace(args) if args.company else None
    report.status(Home(_home(args)), ws.company if ws else None, args.month, echo)


def _query(args: argparse.Namespace) -> None:
    from perfhouse import report
    from perfhouse.settings import Home

    report.query(Home(_home(args)), args.sql, echo)


def _demo(args: argparse.Namespace) -> None:
    from perfhouse import demo

    made = demo.generate(
        args.out,
        managers=args.managers,
        agents=args.agents,
        months=args.months,
        seed=args.seed,
        tickets=args.tickets,
        calls=args.calls,
        progress=_progress,
    )
    echo(f"demo company: {made.company}\nits sources:  {made.sources}\nthe truth:    {made.truth}")
    echo(f"months:       {made.months[0]} to {made.months[-1]}")


def _mart_migrate(args: argparse.Namespace) -> None:
    from perfhouse.mart import migration

    is_new = migration.migrate(args.connection)
    echo("mart: tables and rights are made" if is_new else "mart: as it should be")


def _mart_publish(args: argparse.Namespace) -> None:
    from perfhouse import stages

    months = stages.publish_mart(_workspace(args), _progress, args.again)
    echo(f"mart: {len(months)} months loaded" if months else "mart: holds every newest release")


def _mart_status(args: argparse.Namespace) -> int:
    from perfhouse import report, stages
    from perfhouse.mart import load

    ws = _workspace(args)
    found = load.standings(ws.home, stages.mart_connection(ws), compare=args.compare)
    report.mart(found, echo)
    return 0 if all(each.is_same for each in found) else TransientError.exit_code


def _mart_grant(args: argparse.Namespace) -> None:
    from perfhouse.mart import readers

    given = [readers.Reader(args.login, args.role, tuple(args.manager))] if args.login else []
    if args.file:
        given += readers.read(args.file)
    if not given:
        raise ConfigError(["mart grant: expected --login and --role, or --file"])
    readers.grant(args.connection, given)
    echo(f"mart: {len(given)} granted")


def _mart_revoke(args: argparse.Namespace) -> None:
    from perfhouse.mart import readers

    readers.revoke(args.connection, args.login)
    echo(f"mart: {args.login} may read nothing")


def _mart_readers(args: argparse.Namespace) -> None:
    from perfhouse.mart import readers

    for reader in readers.listed(args.connection):
        echo("  ".join((reader.login, reader.role, *reader.managers)))


def _airflow(args: argparse.Namespace) -> int:
    from perfhouse import embedded

    if args.action == "down":
        embedded.down(_home(args), echo)
        return 0
    ws = _workspace(args)
    if args.action == "prepare":
        from perfhouse import access

        access.prepare(echo, ws.company.sign_off.signers if ws.company.sign_off else ())
        return 0
    if args.action == "up":
        return int(embedded.up(ws, echo) or 0)
    return int(embedded.run(ws, echo) or 0)


# ---------------------------------------------------------------- arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="perfhouse",
        description="Monthly scorecards of customer-service managers, from sources to releases.",
        epilog="exit codes: 2 configuration (operator), 3 transient (retry), 4 source missing "
        "(its owner), 5 source changed (connector author), 6 gate failed (data owner), "
        "7 build failed and 8 release failed (data engineer), 9 month closed (data owner), "
        "10 not signed off (approver)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say more")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    text = "every stage of a month, without a scheduler"
    _restating(_month_command(commands, "run", _run, text, as_of=True))
    ingest = _month_command(commands, "ingest", _ingest, "extract and land one source or all")
    ingest.add_argument("--source", help="one source's id (default: all)")
    ingest.add_argument("--dry-run", action="store_true", help="show what would be fetched")
    ingest.add_argument("--again", action="store_true", help="land again from the archive only")
    ingest.add_argument(
        "--accept-loss",
        action="store_true",
        help="land a delivery that lost many rows; needs --reason and --by",
    )
    _saying(ingest, "the loss is accepted", required=False)
    _month_command(commands, "build", _build, "facts, KPIs and scorecards of a month", as_of=True)
    gate = _month_command(
        commands, "gate", _gate, "ask the gates about a month", as_of=True, required=False
    )
    text = "write the pages of all verdicts anew, and ask no gate"
    gate.add_argument("--docs", action="store_true", help=text)
    gate.add_argument(
        "gate", nargs="?", choices=["raw", "facts", "scorecards", "exports", "all"], default="all"
    )
    text = "take on what a gate found, as it was found: a warning, or a quarantine with a reason"
    accept = commands.add_parser("accept", help=text, description=text)
    accept.add_argument("--month", type=_month, required=True, help="YYYY-MM")
    accept.add_argument("--gate", required=True, choices=GATES, help="the gate that found it")
    accept.add_argument("--check", required=True, help="the check that failed")
    _saying(accept, "it may go on", required=True)
    accept.add_argument("--at", type=_day, help="on which day, YYYY-MM-DD")
    accept.add_argument("--home", type=Path, help="where gates/ is (default ./data)")
    accept.set_defaults(func=_accept)
    text = "ids that nobody, or not one person, is known for: lines of identity.csv to fill in"
    _month_command(commands, "identities", _identities, text, as_of=True)
    text = "appeals that landed: where they stand, until when, and what is to be restated"
    appealed = commands.add_parser("appeals", help=text, description=text)
    _paths(appealed)
    appealed.add_argument("--month", type=_month, help="about one month (default: all)")
    appealed.set_defaults(func=_appeals)
    text = "release a built month"
    _restating(_month_command(commands, "publish", _publish, text, as_of=True))
    explain = _month_command(commands, "explain", _explain, "why a manager has this score")
    explain.add_argument("--manager", required=True, help="the manager's id")
    explain.add_argument("--kpi", help="down to the source rows of one KPI")
    explain.add_argument("--limit", type=int, default=20, help="source rows to list (default 20)")
    explain.add_argument("--lang", choices=["en", "zh"], default="en")
    explain.add_argument("--json", action="store_true")
    text = "what stands out and a person should look at; no score depends on it"
    watched = _month_command(commands, "monitors", _monitors, text)
    watched.add_argument(
        "--monitor", choices=sorted(MONITORS), help="one monitor, with the source rows behind it"
    )
    watched.add_argument("--limit", type=int, default=20, help="source rows to list (default 20)")
    watched.add_argument("--json", action="store_true")
    status = commands.add_parser("status", help="what was landed, judged and released")
    _paths(status)
    status.add_argument("--month", type=_month, help="one month (default: all)")
    status.set_defaults(func=_status)
    months = commands.add_parser("months", help="which months are open, provisional or closed")
    _paths(months)
    months.set_defaults(func=_months)
    _release_commands(commands)
    text = "hand the exports of a released month to HR and payroll"
    deliver = _month_command(commands, "deliver", _deliver, text)
    deliver.add_argument("--receiver", help="one receiver's id (default: all)")
    deliver.add_argument("--again", action="store_true", help="send all of it once more")
    text = "which deliveries are sent, accepted, rejected or overdue"
    delivered = commands.add_parser("deliveries", help=text, description=text)
    _paths(delivered)
    delivered.set_defaults(func=_deliveries)
    again = commands.add_parser("reproduce", help="rebuild a past release and compare the bytes")
    again.add_argument("release", help="a release's name such as 2026-09.r1")
    again.add_argument("--home", type=Path, help="where published/ is (default ./data)")
    again.set_defaults(func=_reproduce)
    _evidence_commands(commands)
    query = commands.add_parser("query", help="ask the published scorecards in SQL")
    query.add_argument("sql")
    query.add_argument("--home", type=Path, help="where published/ is (default ./data)")
    query.set_defaults(func=_query)
    _mart_commands(commands)
    cli_privacy.add(commands, _paths, argparse.Namespace(month=_month, day=_day))
    cli_notices.add(commands, _paths, argparse.Namespace(month=_month))
    cli_sign_off.add(commands, _paths, argparse.Namespace(month=_month, day=_day))
    cli_arrivals.add(commands, _paths)
    cli_backfill.add(commands, _paths, argparse.Namespace(month=_month))
    cli_metrics.add(commands, _paths)
    _demo_command(commands)
    airflow = commands.add_parser("airflow", help="the DAGs under a real embedded scheduler")
    airflow.add_argument("action", choices=["run", "up", "down", "prepare"])
    _paths(airflow)
    airflow.set_defaults(func=_airflow)
    return parser


def _release_commands(commands: Any) -> None:
    text = "every release: where it stands, since when, by whom, made from what"
    listed = commands.add_parser("releases", help=text, description=text)
    _paths(listed)
    listed.add_argument("--month", type=_month, help="one month (default: all)")
    listed.add_argument("--json", action="store_true")
    listed.set_defaults(func=_releases)
    text = "every value that differs between two releases"
    diff = commands.add_parser("diff", help=text, description=text)
    diff.add_argument("before", help="a release's name such as 2026-09.r1")
    diff.add_argument("after", help="another, such as 2026-09.r2")
    diff.add_argument("--csv", type=Path, help="write every difference to this file, too")
    diff.add_argument("--home", type=Path, help="where published/ is (default ./data)")
    diff.set_defaults(func=_diff)
    text = "make an earlier release of a month stand again, for every reader at once"
    back = commands.add_parser("rollback", help=text, description=text)
    back.add_argument("month", type=_month, help="YYYY-MM")
    back.add_argument("--to", required=True, help="the release: r1, or 2026-09.r1")
    back.add_argument("--reason", required=True, help="why: published, so name nobody")
    back.add_argument("--by", required=True, help="who decided it: kept in the ledger")
    _paths(back)
    back.set_defaults(func=_rollback)


def _evidence_commands(commands: Any) -> None:
    text = "is a card, a file, a release or everything published as it was signed?"
    verify = commands.add_parser("verify", help=text, description=text)
    verify.add_argument("what", nargs="?", help="a file, or 2026-09.r1 (default: everything)")
    verify.add_argument("--home", type=Path, help="where published/ is (default ./data)")
    verify.add_argument("--published", type=Path, help="a copy of published/, or of its ledger")
    text = "a key or its file, may be repeated (default: published/release*.pub)"
    verify.add_argument("--public-key", action="append", default=[], help=text)
    verify.add_argument("--head", help="a ledger line's hash, noted before: must still be there")
    text = (
        "the ledger may be of before releases were signed: only its chain and hashes are verified"
    )
    verify.add_argument("--allow-unsigned", action="store_true", help=text)
    verify.set_defaults(func=_verify)
    text = "put a decision on record in the signed ledger; it is published: name nobody it is about"
    record = commands.add_parser("record", help=text, description=text)
    record.add_argument("kind", choices=KINDS)
    record.add_argument("--by", required=True, help="who decided: an office or its holder")
    record.add_argument("--reason", required=True, help="why")
    record.add_argument("--release", help="about which release, such as 2026-09.r1")
    record.add_argument("--month", type=_month, help="about which month")
    record.add_argument("--case", help="about which case, by the number HR gave it")
    record.add_argument("--kpi", help="about which KPI")
    record.add_argument("--check", help="about which check of a gate")
    record.add_argument("--at", type=_day, help="on which day, YYYY-MM-DD")
    record.add_argument("--home", type=Path, help="where published/ is (default ./data)")
    record.set_defaults(func=_record)


def _month_command(
    commands: Any,
    name: str,
    func: Callable[[argparse.Namespace], Any],
    text: str,
    as_of: bool = False,
    required: bool = True,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    _paths(parser)
    parser.add_argument("--month", type=_month, required=required, help="YYYY-MM")
    if as_of:
        parser.add_argument(
            "--as-of", type=_month, help="count deliveries up to this month (default: the month)"
        )
    parser.set_defaults(func=func)
    return parser


def _saying(parser: argparse.ArgumentParser, what: str, *, required: bool) -> None:
    text = f"why {what}: published, so name nobody it is about"
    parser.add_argument("--reason", required=required, help=text)
    parser.add_argument("--by", required=required, help="who decided it: an office or its holder")


def _restating(parser: argparse.ArgumentParser) -> None:
    text = "change a month that is closed; needs --reason and --by"
    parser.add_argument("--restate", action="store_true", help=text)
    parser.add_argument("--reason", help="why it changes: published, so name nobody it is about")
    parser.add_argument("--by", help="who decided it: kept in release.json and in the ledger")


def _mart_commands(commands: Any) -> None:
    mart = commands.add_parser("mart", help="the PostgreSQL mart: its tables, rights and months")
    actions = mart.add_subparsers(dest="action", required=True, metavar="ACTION")
    publish = actions.add_parser("publish", help="bring the mart to the newest releases")
    publish.add_argument("--again", action="store_true", help="load every month anew")
    publish.set_defaults(func=_mart_publish)
    status = actions.add_parser("status", help="what the mart holds against the ledger")
    status.add_argument("--compare", action="store_true", help="every value of every month")
    status.set_defaults(func=_mart_status)
    for reading in (publish, status):
        _paths(reading)
    migrate = actions.add_parser("migrate", help="make or mend its schemas, tables and rights")
    migrate.set_defaults(func=_mart_migrate)
    grant = actions.add_parser("grant", help="let a login of the server read or publish")
    grant.add_argument("--login")
    grant.add_argument("--role", choices=["hr", "analyst", "manager", "publisher"])
    grant.add_argument("--manager", action="append", default=[], help="whose subtree it sees")
    grant.add_argument("--file", type=Path, help="CSV of login, role, manager_id: many at once")
    grant.set_defaults(func=_mart_grant)
    revoke = actions.add_parser("revoke", help="take every role of the mart from a login")
    revoke.add_argument("--login", required=True)
    revoke.set_defaults(func=_mart_revoke)
    listed = actions.add_parser("readers", help="who has which role")
    listed.set_defaults(func=_mart_readers)
    for administering in (migrate, grant, revoke, listed):
        text = "connection of an administrator (default: perfhouse_mart_admin)"
        administering.add_argument("--connection", default="perfhouse_mart_admin", help=text)


def _demo_command(commands: Any) -> None:
    demo = commands.add_parser("demo", help="write a demo company and its source systems")
    demo.add_argument("--out", type=Path, default=Path("data/demo"))
    demo.add_argument("--managers", type=int, default=24)
    demo.add_argument("--agents", type=int, default=240)
    demo.add_argument("--months", type=int, default=4)
    demo.add_argument("--seed", type=int, default=1)
    demo.add_argument("--tickets", type=int, default=60_000)
    demo.add_argument("--calls", type=int, default=90_000)
    demo.set_defaults(func=_demo)


def _paths(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--company", type=Path, help="folder with perfhouse.toml")
    parser.add_argument("--data", type=Path, help="where the file sources lie (default: --company)")
    parser.add_argument(
        "--home", type=Path, help="raw/, warehouse.duckdb, published/ (default ./data)"
    )


def _month(text: str) -> Month:
    try:
        return Month(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(error.problems[0]) from error


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected YYYY-MM-DD, got {text!r}") from error


def _workspace(args: argparse.Namespace) -> Workspace:
    from perfhouse import stages

    return stages.open_workspace(args.company, args.data, args.home)


def _home(args: argparse.Namespace) -> Path:
    from perfhouse.settings import defaults

    home: Path = args.home or defaults()[2]
    return home.resolve()


def _progress(line: str) -> None:
    echo(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
