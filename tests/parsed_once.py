"""Lets the tests of one process do once what dbt does the same for each home they build.

A warehouse of another path is another profile to dbt, and costs a full parse; each build compiles
the same Jinja again, and writes the same manifest twice.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from perfhouse import build, settings

_parsed: dict[tuple[Any, ...], Any] = {}
_templates: dict[tuple[Any, ...], Any] = {}
_written: dict[tuple[Any, ...], Path] = {}


def run_dbt(arguments: Sequence[str], *more: Any, **named: Any) -> Any:
    """Run dbt as the product does, over the project as it was parsed before."""
    from dbt.cli import main
    from dbt.task import runnable
    from dbt_common.clients import jinja
    from dbt_common.events import event_manager

    runner = main.dbtRunner
    environment = jinja.MacroFuzzEnvironment

    class Parsed(runner):  # type: ignore[misc, valid-type]
        def invoke(self, args: list[str], **flags: Any) -> Any:
            if args[0] != "parse":
                self.manifest = _manifest(runner, args)
            return super().invoke(args, **flags)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "dbtRunner", Parsed)
        patch.setattr(environment, "compile", _compiled(environment.compile))
        patch.setattr(runnable, "write_manifest", _copied(runnable.write_manifest))
        manager = event_manager.EventManager
        patch.setattr(manager, "fire_event", _heard(manager.fire_event))
        return _run_dbt(arguments, *more, **named)


def _manifest(runner: Any, args: Sequence[str]) -> Any:
    key = sources()
    if key not in _parsed:
        flags = list(args[args.index("--log-level") :])
        outcome = runner().invoke(["parse", *flags])
        if not outcome.success:
            return None  # the command itself parses again, and says what is wrong
        _parsed[key] = outcome.result
    return _parsed[key].deepcopy()


def _compiled(compile_source: Callable[..., Any]) -> Callable[..., Any]:
    """Return Jinja's compiler with a memory; what it makes depends on the source alone."""

    def compiled(environment: Any, source: Any, *more: Any, **named: Any) -> Any:
        if more or named or not isinstance(source, str):
            return compile_source(environment, source, *more, **named)
        key = (source, environment.undefined.__name__)
        if key not in _templates:
            _templates[key] = compile_source(environment, source)
        return _templates[key]

    return compiled


def _heard(fire: Callable[..., None]) -> Callable[..., None]:
    """Return dbt's way to tell of an event, without what is told to a log that is off."""
    from dbt_common.events.base_types import EventLevel

    def heard(manager: Any, event: Any, *more: Any, **named: Any) -> None:
        if type(event).__name__ == "NodeFinished" or event.level_tag() is not EventLevel.DEBUG:
            fire(manager, event, *more, **named)

    return heard


def _copied(write: Callable[..., None]) -> Callable[..., None]:
    """Return dbt's writer of the manifest, which copies what it wrote of the same project."""

    def copied(manifest: Any, target: str, *more: Any) -> None:
        key = sources()
        file = Path(target) / "manifest.json"
        kept = _written.get(key)
        if kept is None or not kept.is_file():
            write(manifest, target, *more)
            _written[key] = file
        elif kept != file:
            shutil.copyfile(kept, file)

    return copied


def sources() -> tuple[Any, ...]:
    """Return what a parse depends on: each file of the project and of the company's own KPIs."""
    own = os.environ.get("PERFHOUSE_COMPANY_KPIS", "company_kpis")
    files = sorted((settings.project_dir() / own).rglob("*.yml"))
    return (own, *project(), *map(_stamp, files))


def project() -> tuple[Any, ...]:
    """Return the files of the project as they are now."""
    root = settings.project_dir()
    files = [*_files(root, "models"), *_files(root, "macros"), *_files(root, "tests")]
    return tuple(map(_stamp, sorted([*files, root / "dbt_project.yml", root / "profiles.yml"])))


def _stamp(file: Path) -> tuple[str, int, int]:
    return (str(file), file.stat().st_mtime_ns, file.stat().st_size)


def _files(project: Path, folder: str) -> list[Path]:
    return [path for path in (project / folder).rglob("*") if path.is_file()]


_run_dbt = build.run_dbt
