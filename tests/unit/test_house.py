"""The law of the house: who may import whom, and which words may stand where."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("connectors", "expectations", "perfhouse")
GROUND = {
    "perfhouse.month", "perfhouse.errors", "perfhouse.settings", "perfhouse.config_reader",
    "perfhouse.company", "perfhouse.company_types", "perfhouse.company_sources",
    "perfhouse.company_identities", "perfhouse.company_monitors", "perfhouse.company_appeals",
    "perfhouse.company_packs", "perfhouse.company_surveys", "perfhouse.company_targets",
    "perfhouse.company_calendars", "perfhouse.company_cards", "perfhouse.company_deadlines",
    "perfhouse.company_notices", "perfhouse.company_arrivals", "perfhouse.company_sign_off",
    "perfhouse.company_exports", "perfhouse.company_gates", "perfhouse.company_mappings",
    "perfhouse.company_look_back", "perfhouse.company_payroll", "perfhouse.company_retention",
    "perfhouse.export_columns", "perfhouse.export_types", "perfhouse.formulas",
    "perfhouse.contacts", "perfhouse.appeal_month", "perfhouse.formats",
}  # fmt: skip
FILES = {
    "perfhouse.lake", "perfhouse.warehouse", "perfhouse.ledger", "perfhouse.ledger_head",
    "perfhouse.merkle", "perfhouse.roster_names",
    "perfhouse.signing", "perfhouse.durable", "perfhouse.hashing", "perfhouse.public_tables",
}  # fmt: skip
ROOF = {
    "perfhouse.cli",
    "perfhouse.access",
    "perfhouse.orchestration",
    "perfhouse.triggers",
    "perfhouse.observed",
    "perfhouse.lineage_events",
    "perfhouse.lineage_transport",
    "perfhouse.embedded",
    "perfhouse.report",
    "perfhouse.cli_metrics",
    "perfhouse.cli_arrivals",
    "perfhouse.cli_backfill",
    "perfhouse.cli_notices",
    "perfhouse.cli_privacy",
    "perfhouse.cli_sign_off",
}
RELEASE = (
    *("perfhouse.release", "perfhouse.release_stage", "perfhouse.rollback"),
    "perfhouse.sign_off_request",
)

# room -> the rooms of this project it may import from
MAY_IMPORT = {
    "ground": {"ground"},
    "files": {"ground", "files"},
    "tools": {"ground", "files", "tools"},
    "connectors": {"ground", "files", "connectors"},
    "expectations": {"ground", "files", "expectations"},
    "release": {"ground", "files", "tools", "release", "expectations"},
    "stages": {"ground", "files", "tools", "release", "connectors", "expectations", "stages"},
    "roof": {
        "ground", "files", "tools", "release", "connectors", "expectations", "stages", "roof",
        "demo",
    },
    "demo": {"ground", "files", "demo"},
    "dags": {"roof"},
}  # fmt: skip


NAMED = {
    **dict.fromkeys(GROUND, "ground"),
    **dict.fromkeys(FILES, "files"),
    **dict.fromkeys(ROOF, "roof"),
    "perfhouse.stages": "stages",
    "perfhouse.accept": "stages",
    "perfhouse.lineage_sets": "stages",
    "perfhouse.measurements": "stages",
    "perfhouse.overdue": "stages",
    "perfhouse.deliver": "stages",
    "perfhouse.notices": "stages",
    "perfhouse.backfill": "stages",
    "perfhouse.reconcile": "stages",
    "perfhouse.replay": "stages",
    "perfhouse.arrivals": "stages",
    "perfhouse.reproduce": "stages",
    "perfhouse.erasure": "stages",
    "perfhouse.retention": "stages",
    "perfhouse.sign_off_answer": "stages",
    "perfhouse.sign_off_task": "stages",
    **dict.fromkeys(RELEASE, "release"),
}


def room_of(module: str) -> str:
    top = module.split(".")[0]
    if module in NAMED:
        return NAMED[module]
    if top in ("connectors", "expectations", "dags"):
        return top
    return "demo" if module.startswith("perfhouse.demo") else "tools"


def modules() -> dict[str, Path]:
    found = {}
    for package in (*PACKAGES, "dags"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = path
    return found


MODULES = modules()


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_from_rooms_it_may_enter(module: str) -> None:
    room = room_of(module)
    for imported in imports_of(MODULES[module]) & set(MODULES):
        if imported in PACKAGES:
            continue
        assert room_of(imported) in MAY_IMPORT[room], f"{module} ({room}) imports {imported}"


TOLD = {"perfhouse.observed", "perfhouse.lineage_events"}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_airflow_stops_at_the_door(module: str) -> None:
    uses = any(name.split(".")[0] == "airflow" for name in imports_of(MODULES[module]))
    door = {"perfhouse.orchestration", "perfhouse.triggers", "perfhouse.access", *TOLD}
    assert not uses or module in door or module.startswith("dags.")


@pytest.mark.parametrize("module", sorted(m for m in MODULES if room_of(m) == "ground"))
def test_the_ground_uses_the_standard_library_only(module: str) -> None:
    import sys

    for name in imports_of(MODULES[module]):
        top = name.split(".")[0]
        assert top in sys.stdlib_module_names or top == "perfhouse", f"{module} imports {name}"


OWNERS = {
    r"duckdb\.connect\(": {"perfhouse.warehouse"},
    r"os\.environ|os\.getenv": {"perfhouse.settings"},
    r"\bhttpx\.": {"connectors.http"},
    r"\bgxe\.": {m for m in MODULES if m.startswith("expectations.")},
    r"sys\.path": set(),
    r"datetime\.now\(|datetime\.today\(|date\.today\(|utcnow\(": {"connectors.landing"},
    r"^\s*print\(": set(),
    r"while True": set(),
}


@pytest.mark.parametrize("pattern", sorted(OWNERS))
def test_an_outside_thing_has_one_owner(pattern: str) -> None:
    for module, path in MODULES.items():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(pattern, line.split("#")[0]):
                assert module in OWNERS[pattern], f"{path.name}:{number}: {pattern} in {module}"


@pytest.mark.parametrize("path", sorted((ROOT / "dags").glob("*.py")), ids=lambda p: p.name)
def test_dags_only_wire(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 80


def test_nothing_in_the_tree_names_the_machine_it_was_written_on() -> None:
    wrong = []
    for folder in (*PACKAGES, "dags", "dbt_project", "docs", "examples", "benchmarks"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".sql", ".yml", ".md", ".toml", ".html"} and path.is_file():
                text = path.read_text(encoding="utf-8")
                if re.search(r"(^|[^a-zA-Z.])/(work|root)/", text):
                    wrong.append(str(path.relative_to(ROOT)))
    assert not wrong


def test_the_words_that_serve_the_demo_company_make_it_first() -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    for word in ("run", "up"):
        at = next(n for n, line in enumerate(lines) if line.startswith(f"{word}: "))
        assert "perfhouse demo --out $(HOME_DIR)/demo" in lines[at + 1]
        assert "perfhouse airflow" in lines[at + 2]


def test_no_two_files_of_tests_have_one_name() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names)), "pytest collects the first of them only"
