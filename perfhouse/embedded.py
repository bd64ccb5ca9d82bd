"""A real Airflow in child processes: SQLite metadata, local executor, nothing to install.

`make run` delivers a company's months to the DAGs and watches them; `make up` serves the UI.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from connectors.http import Client, Policy
from perfhouse import processes, watch
from perfhouse.errors import ConfigError, PerfhouseError, TransientError
from perfhouse.month import Month
from perfhouse.processes import Child
from perfhouse.settings import Home, child_environment, dags_dir, without_secrets
from perfhouse.stages import Workspace

Echo = Callable[[str], None]
_START_SECONDS = 180.0
_USER = "admin"
_UI_PORT = 8080
_POOL = "warehouse"  # one slot: its file has one writer
_COMPONENTS = ("db", "api-server", "scheduler", "dag-processor", "triggerer")


@dataclass(frozen=True)
class Redelivery:
    """A source sends a month again, changed: `apply` puts the new delivery in its place.

    `reason` and `by` restate the month if it is closed by then.
    """

    month: Month
    source_id: str
    apply: Callable[[], None]
    reason: str = ""
    by: str = ""


@dataclass
class Airflow:
    """A running Airflow: its address, its API and its processes."""

    url: str
    user: str
    password: str
    root: Path
    api: Client
    children: list[Child] = field(default_factory=list)

    def check(self) -> None:
        """Raise when one of its processes is gone."""
        processes.check(self.children)


# ---------------------------------------------------------------- the three words of the CLI


def run(
    ws: Workspace,
    echo: Echo,
    months: Sequence[Month] = (),
    redeliveries: Sequence[Redelivery] = (),
) -> int:
    """Deliver months to the DAGs in order, with what is sent again, until all is published.

    Without months it is the demo company's, whose surveys of the last month but one come twice.
    Airflow starts with fresh metadata every time: the lake is the state, not the scheduler.

    Raises:
        watch.RunFailed: a task failed; the message holds the end of its log.
    """
    from perfhouse import report

    began = time.monotonic()
    if not months:
        months, redeliveries = _demo(ws)
    with _alone(ws.home):
        shutil.rmtree(_root(ws.home) / "metadata", ignore_errors=True)
        with _airflow(ws, None, echo) as airflow:
            _clock(airflow.api, on=False)
            logs, notices = airflow.root / "logs", bool(ws.company.notices)
            board = watch.Board(airflow.api, logs, echo, airflow.check, notices=notices)
            _deliver(ws, airflow.api, board, months, redeliveries)
    report.demo_done(ws, months, time.monotonic() - began, echo)
    return 0


def up(ws: Workspace, echo: Echo) -> int:
    """Serve Airflow's UI with the DAGs unpaused until Ctrl-C or `down`."""
    with _alone(ws.home), _airflow(ws, _UI_PORT, echo) as airflow:
        _clock(airflow.api, on=True)
        echo("")
        echo(f"Airflow:   {airflow.url}")
        echo(f"login:     {airflow.user} / {airflow.password}")
        for login in ws.company.sign_off.signers if ws.company.sign_off else ():
            echo(f"signs:     {login} / {password(ws.home, login)}")
        echo(f"a month:   trigger ingest_* with a partition key, for example {_example(ws)}")
        echo("stop:      Ctrl-C here, or `make down`")
        try:
            running = True
            while running:
                airflow.check()
                time.sleep(1.0)
        except KeyboardInterrupt:
            echo("stopping")
    return 0


def down(home: Path, echo: Echo) -> None:
    """Stop an Airflow of this home that was left behind, with all it started."""
    note = _note(Home(home))
    if not note.exists():
        echo("no Airflow runs for this home")
        return
    known = json.loads(note.read_text(encoding="utf-8"))
    alive = {p["pid"] for p in known["processes"] if processes.started_at(p["pid"]) == p["started"]}
    owner = known["owner"]
    if processes.started_at(owner["pid"]) == owner["started"]:
        processes.ask_to_stop(owner["pid"])
    processes.end_sessions(alive)
    note.unlink(missing_ok=True)
    echo(f"stopped {len(alive)} processes")


# ---------------------------------------------------------------- delivering


def _demo(ws: Workspace) -> tuple[list[Month], list[Redelivery]]:
    """Read which months a demo company has; the last but one is corrected later."""
    from perfhouse import demo

    folder = ws.data.parent
    stamp = folder / demo.STAMP
    if not stamp.exists():
        raise ConfigError(
            [f"--data: expected the `sources` folder that `perfhouse demo` wrote, got {ws.data}"]
        )
    months = [Month(key) for key in json.loads(stamp.read_text(encoding="utf-8"))["months"]]
    corrected = months[-2] if len(months) > 1 else months[-1]

    def apply() -> None:
        demo.redeliver(folder, corrected.key)

    why = "The survey desk corrected scores and sent late answers"
    return months, [Redelivery(corrected, "surveys", apply, why, "Demo data owner")]


def _deliver(
    ws: Workspace,
    api: Client,
    board: watch.Board,
    months: Sequence[Month],
    redeliveries: Sequence[Redelivery],
) -> None:
    """Hand every source's months over in order; each source lands one month at a time.

    So no month is complete before the one ahead of it, and the months are built in order. A
    source that will send a month again is kept back for the months behind it: they are built on
    what was corrected, in this run as in the next.
    """
    waiting = []
    for month in months:
        for source in ws.company.sources:
            late = any(r.source_id == source.id and r.month < month for r in redeliveries)
            waiting.append((month, source.id)) if late else _trigger(api, source.id, month, "first")
    for sent in sorted(redeliveries, key=lambda r: r.month):
        waiting = _hand_over(api, waiting, sent.month)
        board.until_published({m.key: 1 for m in months if m <= sent.month})
        _deliver_again(api, board, sent)
    _hand_over(api, waiting, months[-1])
    board.until_published({month.key: 1 for month in months})


def _clock(api: Client, *, on: bool) -> None:
    """Let `reconcile` run by the clock, or not: what a run hands over is all there is."""
    api.fetch("PATCH", "/api/v2/dags/reconcile", body={"is_paused": not on})


def _hand_over(
    api: Client, waiting: list[tuple[Month, str]], until: Month
) -> list[tuple[Month, str]]:
    """Deliver what was kept back up to a month; return what still waits."""
    for month, source_id in waiting:
        if month <= until:
            _trigger(api, source_id, month, "first")
    return [(month, source_id) for month, source_id in waiting if month > until]


def _deliver_again(api: Client, board: watch.Board, sent: Redelivery) -> None:
    """Put a changed delivery in its place and let its DAG find it; only that month is rebuilt."""
    board.say(f"{sent.month}  {sent.source_id} is sent again, corrected")
    before = board.published(sent.month.key)
    sent.apply()
    why = {"reason": sent.reason, "by": sent.by} if sent.reason else None
    run_id = _trigger(api, sent.source_id, sent.month, "again", why)
    if board.until_ingested(f"ingest_{sent.source_id}", run_id):
        board.until_published({sent.month.key: before + 1})
    else:
        board.say(f"{sent.month}  {sent.source_id}: nothing changed, nothing to rebuild")


def _trigger(
    api: Client, source_id: str, month: Month, occasion: str, why: dict[str, str] | None = None
) -> str:
    run_id = f"{month}__{source_id}__{occasion}"
    body: dict[str, object] = {"dag_run_id": run_id, "logical_date": None}
    body |= {"partition_key": month.key, **({"conf": why} if why else {})}
    api.post(f"/api/v2/dags/ingest_{source_id}/dagRuns", body)
    return run_id


# ---------------------------------------------------------------- starting and stopping


@contextmanager
def _airflow(ws: Workspace, preferred_port: int | None, echo: Echo) -> Iterator[Airflow]:
    """Start Airflow, wait until it is healthy and knows every DAG; stop it whatever happens."""
    began = time.monotonic()
    root = _root(ws.home)
    port = processes.free_port(preferred_port)
    env = _environment(ws, root, port)
    # Tasks are forked from the scheduler: the others need no secret, and tell no lineage.
    untold = {**env, "OPENLINEAGE_DISABLED": "true"}
    bare = without_secrets(untold)
    url = f"http://127.0.0.1:{port}"
    echo("starting Airflow (scheduler, dag-processor, api-server; SQLite metadata)")
    with ExitStack() as stack:
        stack.enter_context(processes.stoppable())
        api = stack.enter_context(Client(url, tell=_told))
        airflow = Airflow(url, _USER, password(ws.home), root, api)
        for login in ws.company.sign_off.signers if ws.company.sign_off else ():
            password(ws.home, login)  # else Airflow makes one and prints it to its log
        stack.callback(_stop, airflow, ws.home)
        go = root / "migrated"
        go.unlink(missing_ok=True)
        migrate = _start(airflow, ws.home, bare, "airflow", "db", "migrate")
        _start(airflow, ws.home, bare, "airflow", "api-server")
        # Tasks are forked from the scheduler: what it has imported, they have.
        preloaded = ("perfhouse.preloaded", str(go), "airflow")
        _start(airflow, ws.home, env, *preloaded, "scheduler", "--skip-serve-logs")
        processes.finish(migrate, _START_SECONDS)
        airflow.children.remove(migrate)
        go.touch()
        _start(airflow, ws.home, bare, "airflow", "dag-processor")
        if ws.company.listens:  # it looks at places, so it needs their secrets
            _start(airflow, ws.home, untold, "airflow", "triggerer", "--skip-serve-logs")
        ours = {"transform", "publish", "reconcile"}
        _wait(airflow, ours | {f"ingest_{s.id}" for s in ws.company.sources})
        _make_pool(api)
        echo(f"Airflow is ready after {time.monotonic() - began:.0f} s: {url}")
        yield airflow


def _make_pool(api: Client) -> None:
    """Make the pool of those who write the warehouse, if this metadata has none."""
    known = {pool["name"] for pool in watch.pages(api, "/api/v2/pools", "pools")}
    if _POOL not in known:
        said = {"description": "who writes the warehouse", "include_deferred": False}
        api.post("/api/v2/pools", {"name": _POOL, "slots": 1, **said})


def _told(body: bytes) -> str:
    """Return what Airflow says of a refusal: it is our own server, nobody's data is in it."""
    return body.decode("utf-8", "replace")[:300]


def _start(airflow: Airflow, home: Home, env: dict[str, str], *module: str) -> Child:
    name = next(word for word in module if word in _COMPONENTS)
    command = [sys.executable, "-m", *module]
    log = home.logs / "airflow" / f"{name}.log"
    child = processes.start(f"airflow {name}", command, env, log)
    airflow.children.append(child)
    _remember(home, airflow.children)
    return child


def _stop(airflow: Airflow, home: Home) -> None:
    processes.stop(airflow.children)
    _note(home).unlink(missing_ok=True)


def _wait(airflow: Airflow, dag_ids: set[str]) -> None:
    """Wait for healthy components and parsed DAGs; import errors are told at once."""
    deadline = time.monotonic() + _START_SECONDS
    missing: object = "an answer from the api-server"
    while time.monotonic() < deadline:
        airflow.check()
        time.sleep(0.25)
        try:
            with Client(airflow.url, policy=Policy(attempts=1)) as once:
                once.get("/api/v2/version")
            missing = _lacking(airflow, dag_ids)
        except TransientError:
            continue
        if not missing:
            return
    raise PerfhouseError(f"Airflow did not become ready in {_START_SECONDS:.0f} s: no {missing}")


def _lacking(airflow: Airflow, dag_ids: set[str]) -> str:
    """Name what is not there yet; empty when all is."""
    health = airflow.api.get("/api/v2/monitor/health")
    for part in ("metadatabase", "scheduler", "dag_processor"):
        if health[part]["status"] != "healthy":
            return f"healthy {part}"
    login = {"username": airflow.user, "password": airflow.password}
    airflow.api.authorize(airflow.api.post("/auth/token", login)["access_token"])
    broken = airflow.api.get("/api/v2/importErrors")["import_errors"]
    if broken:
        shown = [f"{b['filename']}: {b['stack_trace'].strip().splitlines()[-1]}" for b in broken]
        raise ConfigError(shown)
    known = {dag["dag_id"] for dag in watch.pages(airflow.api, "/api/v2/dags", "dags")}
    return ", ".join(f"DAG {dag_id}" for dag_id in sorted(dag_ids - known))


def _environment(ws: Workspace, root: Path, port: int) -> dict[str, str]:
    metadata = root / "metadata"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    root.chmod(0o700)  # sessions and logs are the operator's alone; of an earlier version, too
    metadata.mkdir(parents=True, exist_ok=True)
    values = {
        "AIRFLOW_HOME": str(root),
        # A busy machine keeps a writer waiting for longer than SQLite's five seconds.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{metadata / 'airflow.db'}?timeout=60",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_dir()),
        "AIRFLOW__DATABASE__CHECK_MIGRATIONS": "false",  # the api-server starts while they run
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "3",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join([f"{_USER}:admin", *_signers(ws)]),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords(root)),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "60",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(root / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "false",
        "PERFHOUSE_POOL": _POOL,
        "PERFHOUSE_COMPANY": str(ws.company.folder.resolve()),
        "PERFHOUSE_DATA": str(ws.data.resolve()),
        "PERFHOUSE_HOME": str(ws.home.root.resolve()),
        "PERFHOUSE_RETRY_SECONDS": "5",
        "GX_ANALYTICS_ENABLED": "false",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
    }
    return child_environment({**lineage_settings(ws), **values})


def lineage_settings(ws: Workspace) -> dict[str, str]:
    """Return what turns lineage on: events without people, a line each in a file of the home.

    Whatever of it is set already stands. Events of tasks only, from a thread that is waited for as
    long as the transport is.
    """
    policy = [{"scope": {}, "controls": {"emit_dag_events": False, "include_source_code": False}}]
    values = {
        "TRANSPORT": json.dumps({"type": "perfhouse.lineage_transport.Guarded"}),
        "NAMESPACE": f"perfhouse://{ws.company.id}",
        "EXTRACTORS": "perfhouse.lineage_events.Tasks",
        "EMISSION_POLICY": json.dumps(policy),
        "EXECUTE_IN_THREAD": "true",
        "EXECUTION_TIMEOUT": "3",
    }
    named = {f"AIRFLOW__OPENLINEAGE__{key}": value for key, value in values.items()}
    return {key: value for key, value in named.items() if key not in child_environment()}


def _signers(ws: Workspace) -> list[str]:
    """Return those who sign releases as users, of the least role that may answer a form."""
    known = ws.company.sign_off
    return [f"{login}:user" for login in known.signers] if known else []


def password(home: Home, login: str = _USER) -> str:
    """Return a login's password in this home's Airflow, made once and kept in a private file."""
    path = _passwords(_root(home))
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text("{}", encoding="utf-8")
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    if login not in known:
        known[login] = secrets.token_urlsafe(12)
        path.write_text(json.dumps(known), encoding="utf-8")
    return known[login]


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Allow one embedded Airflow for a home."""
    root = _root(home)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (root / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                [f"{home.root}: an Airflow runs for this home already; stop it with `make down`"]
            ) from None
        yield


def _remember(home: Home, children: Sequence[Child]) -> None:
    """Note which processes are ours, with their start times: a number alone may be reused."""
    noted = {
        "owner": processes.identity(),
        "processes": [processes.identity(child.process.pid) for child in children],
    }
    _note(home).write_text(json.dumps(noted), encoding="utf-8")


def _root(home: Home) -> Path:
    return home.root / "airflow"


def _note(home: Home) -> Path:
    return _root(home) / "processes.json"


def _passwords(root: Path) -> Path:
    return root / "passwords.json"


def _example(ws: Workspace) -> str:
    landed = sorted(p.name.removeprefix("month=") for p in ws.home.manifests.glob("month=*"))
    return landed[-1] if landed else "2026-09"
