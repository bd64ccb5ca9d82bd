"""A folder in which `mf query` answers KPIs from the facts, by the definitions of the scorecards.

dbt says what each KPI counts and whom a row is credited to; this writes that down as views over
the warehouse and as the manifest that MetricFlow reads. It may not sum or divide anything itself.
"""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import build, scorecards, warehouse
from perfhouse.errors import BuildFailed, ConfigError
from perfhouse.metrics_manifest import manifest
from perfhouse.month import Month
from perfhouse.settings import dbt_environment, environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perfhouse.company_types import Company
    from perfhouse.settings import Home

_ANALYSIS = "semantic_layer"
_MARK = "-- json\n"
_NAME = "metrics"
_WORDS = ("query", "list", "validate-configs", "health-checks")
_PROJECT = f"""\
name: {_NAME}
version: "1.0.0"
config-version: 2
profile: {_NAME}
model-paths: []
flags:
  send_anonymous_usage_stats: false
"""


def prepare(company: Company, home: Home) -> Path:
    """Write the folder and return it; doing it again replaces it.

    It answers for every month that is in the warehouse when somebody asks; it is stale only when
    a definition changes.

    Raises:
        BuildFailed: dbt could not render the definitions (data engineer).
        ConfigError: nothing is built yet (operator).
        TransientError: a build holds the warehouse (try again).
    """
    layer = _rendered(company, home, _newest(home))
    folder = home.metrics
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "target").mkdir(exist_ok=True)
    _write_views(folder / f"{_NAME}.duckdb", home.warehouse, layer)
    _write(folder / "dbt_project.yml", _PROJECT)
    _write(folder / "profiles.yml", json.dumps(_profile(folder, home.warehouse), indent=2))
    text = json.dumps(manifest(layer["kpis"], _NAME, home.warehouse.stem), ensure_ascii=False)
    _write(folder / "target" / "semantic_manifest.json", text)
    return folder


def ask(home: Home, words: Sequence[str]) -> int:
    """Run a word of `mf` in the folder; it looks for no newer version of itself and logs nothing.

    A question may name people, and an erasure could not take them out of a log.

    Raises:
        ConfigError: no folder, no such word, or MetricFlow is not installed (operator).
        TransientError: a build holds the warehouse (try again).
    """
    if not (home.metrics / "dbt_project.yml").exists():
        raise ConfigError([f"--home: expected {home.metrics}; `perfhouse metrics` writes it"])
    try:
        from dbt_metricflow.cli.cli_configuration import CLIConfiguration
        from dbt_metricflow.cli.main import cli
    except ImportError as error:
        raise ConfigError(["metrics: expected MetricFlow; install perfhouse[semantic]"]) from error
    if words[0] not in _WORDS:
        raise ConfigError([f"metrics: expected one of {', '.join(_WORDS)}, got {words[0]!r}"])
    _months(home.warehouse)  # MetricFlow would tell of a lock in DuckDB's words
    folder = str(home.metrics.resolve())
    where = {"DBT_PROJECT_DIR": folder, "DBT_PROFILES_DIR": folder}
    quiet = {"DBT_LOG_LEVEL_FILE": "none", "DO_NOT_TRACK": "1"}
    with environment({**where, **quiet}), _unlogged():
        asked = CLIConfiguration()
        asked.setup(configure_file_logging=False)
        name = f"perfhouse metrics {words[0]}"
        cli.commands[words[0]].main(list(words[1:]), prog_name=name, obj=asked)
    return 0


@contextmanager
def _unlogged() -> Iterator[None]:
    """Let MetricFlow say what is wrong once, without its traceback."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        root.setLevel(level)


def _newest(home: Home) -> Month:
    """Return the newest built month: dbt renders for one, though what is rendered asks for none."""
    months = _months(home.warehouse)
    if not months:
        raise ConfigError([f"--home: {home.warehouse} has no month yet; build one first"])
    return Month(months[-1])


def _months(source: Path) -> list[str]:
    """List the built months, if the warehouse can be read now."""
    if not source.exists():
        raise ConfigError([f"--home: expected {source}, found none; build a month first"])
    with warehouse.connect(source, read_only=True) as con:
        return scorecards.months(con)


def _rendered(company: Company, home: Home, month: Month) -> dict[str, Any]:
    """Return what dbt renders of the project's KPIs and of the company's own."""
    with dbt_environment(home, month, None, build.environment(company, home)):
        _, failure = build.run_dbt(["compile", "--no-populate-cache", "--select", _ANALYSIS])
    if failure is not None:
        raise BuildFailed(f"the definitions of the KPIs cannot be rendered: {failure}")
    compiled = home.dbt / "target" / "compiled" / "perfhouse" / "analyses" / f"{_ANALYSIS}.sql"
    found: dict[str, Any] = json.loads(compiled.read_text(encoding="utf-8").split(_MARK, 1)[1])
    return found


def _write_views(file: Path, source: Path, layer: dict[str, Any]) -> None:
    """Make a database of views alone; they read the warehouse where a session attaches it."""
    import duckdb

    made = file.with_suffix(".new")
    made.unlink(missing_ok=True)
    views = {"chains": layer["chains"]}
    views |= {model["name"]: model["sql"] for kpi in layer["kpis"] for model in kpi["models"]}
    try:
        with warehouse.connect(made) as con:
            path = str(source.resolve()).replace("'", "''")
            con.execute(f"attach '{path}' as {source.stem} (read_only)")
            for name, sql in views.items():
                con.execute(f'create view "{name}" as {sql}')
    except duckdb.IOException as error:
        raise warehouse.in_use(source) from error
    made.replace(file)


def _profile(folder: Path, source: Path) -> dict[str, Any]:
    """Return dbt's profile: the views and the warehouse, both read-only."""
    output = {
        "type": "duckdb",
        "path": str((folder / f"{_NAME}.duckdb").resolve()),
        "schema": "main",
        "threads": 1,
        "config_options": {
            "access_mode": "read_only",
            "memory_limit": warehouse.memory_limit(),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
        },
        "attach": [{"path": str(source.resolve()), "alias": source.stem, "read_only": True}],
        "settings": {"TimeZone": "UTC"},
    }
    return {_NAME: {"target": "facts", "outputs": {"facts": output}}}


def _write(file: Path, text: str) -> None:
    made = file.with_name(f"{file.name}.new")
    made.write_text(text, encoding="utf-8")
    made.replace(file)
