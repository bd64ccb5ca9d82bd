"""mkdocs hook: what dbt knows of the project, as its own page `dbt.html` and as the page of tables.

It parses the project and asks no warehouse, so a fresh clone has it; nothing in it names a run, so
the same project makes the same pages.
"""

from __future__ import annotations

import json
import tempfile
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File
from mkdocs.structure.nav import Link

PROJECT = Path(__file__).resolve().parents[1] / "dbt_project"
PAGE = "dbt.html"
TITLE = "dbt docs: models and lineage"
FOLDERS = ("scorecards", "exports", "kpis", "core", "monitors")
# What tells of one run, so that the same project makes the same page.
_OF_A_RUN = ("generated_at", "invocation_id", "invocation_started_at", "run_started_at", "user_id")


def on_files(files: Any, config: Any) -> Any:
    """Add the page to the site."""
    files.append(File.generated(config, PAGE, content=page(manifest())))
    return files


def on_nav(nav: Any, **_: Any) -> Any:
    """Put the page beside the tables in the navigation."""
    link = Link(TITLE, PAGE)
    for items in _lists(nav.items):
        for place, item in enumerate(items):
            if getattr(getattr(item, "file", None), "src_uri", None) == "tables.md":
                link.parent = item.parent
                items.insert(place + 1, link)
                return nav
    nav.items.append(link)
    return nav


def _lists(items: list[Any]) -> list[list[Any]]:
    return [items, *(found for item in items for found in _lists(item.children or []))]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the page of tables."""
    mark = "<!-- tables -->"
    return markdown.replace(mark, tables(manifest())) if mark in markdown else markdown


def tables(found: dict[str, Any]) -> str:
    """Return every model that is no view of a source: what a row is, its key, who reads it."""
    nodes = found["nodes"].values()
    models = {node["unique_id"]: node for node in nodes if node["resource_type"] == "model"}
    lines = []
    for folder in FOLDERS:
        lines.append(f"## {folder}\n")
        here = (node for node in models.values() if node["fqn"][1] == folder)
        for node in sorted(here, key=lambda node: str(node["name"])):
            lines += _table(node, _readers(found, node["unique_id"]))
    return "\n".join(lines)


def _readers(found: dict[str, Any], model: str) -> list[str]:
    return [
        f"[{each['label']}]({each['url'].replace('.html', '.md')})"
        for each in found["exposures"].values()
        if model in each["depends_on"]["nodes"]
    ]


def _table(node: dict[str, Any], readers: list[str]) -> list[str]:
    public = " (public)" if node["access"] == "public" else ""
    lines = [f"### {node['name']}{public}\n", f"{node['description'].strip()}\n"]
    keys = [each["columns"] for each in node["constraints"] if each["type"] == "primary_key"]
    told = [f"Key: {', '.join(f'`{name}`' for name in key)}." for key in keys]
    told += [f"Read by: {', '.join(readers)}."] if readers else []
    lines += [f"{' '.join(told)}\n"] if told else []
    if node["columns"]:
        lines += ["| column | type | meaning |", "|---|---|---|"]
        lines += [
            f"| `{c['name']}` | {c['data_type'] or ''} | {c['description'].strip()} |"
            for c in node["columns"].values()
        ]
        lines.append("")
    return lines


@cache
def manifest() -> dict[str, Any]:
    """Return what dbt knows of the project, without what tells of this run."""
    from dbt.cli.main import dbtRunner

    with tempfile.TemporaryDirectory() as target:
        place = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
        place += ["--target-path", target, "--log-path", target, "--no-partial-parse", "--quiet"]
        outcome = dbtRunner().invoke(["parse", *place])
        if not outcome.success:
            raise RuntimeError(f"dbt parse failed: {outcome.exception}")
        found = json.loads((Path(target) / "manifest.json").read_text(encoding="utf-8"))
    ours = found["metadata"]["project_name"]
    macros = found["macros"].items()
    # dbt's own macros are most of the text, and nothing on the page needs them.
    found["macros"] = {name: macro for name, macro in macros if macro["package_name"] == ours}
    return _without_run(found)


def _without_run(found: dict[str, Any]) -> dict[str, Any]:
    for name in _OF_A_RUN:
        found["metadata"][name] = None
    for kind in found.values():
        for node in kind.values() if isinstance(kind, dict) else ():
            if isinstance(node, dict):
                node.pop("created_at", None)
    return found


def catalog(found: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of models as the project declares them; dbt would ask a warehouse."""
    nodes = {
        name: {
            "metadata": {
                "type": "table",
                "schema": node["schema"],
                "name": node["name"],
                "database": None,
                "comment": None,
                "owner": None,
            },
            "columns": {
                column["name"]: {
                    "type": column.get("data_type") or "",
                    "index": place,
                    "name": column["name"],
                    "comment": None,
                }
                for place, column in enumerate(node["columns"].values(), start=1)
            },
            "stats": {},
            "unique_id": name,
        }
        for name, node in found["nodes"].items()
        if node["resource_type"] == "model"
    }
    return {"metadata": {}, "nodes": nodes, "sources": {}, "errors": None}


def page(found: dict[str, Any]) -> str:
    """Return dbt's page with the project inside, as `dbt docs generate --static` would."""
    shell = (resources.files("dbt.task.docs") / "index.html").read_text(encoding="utf-8")
    for mark, said in (("MANIFEST", found), ("CATALOG", catalog(found))):
        # A closing tag in a text would end the script it stands in.
        text = json.dumps(said, sort_keys=True, ensure_ascii=False).replace("</", "<\\/")
        hole = f'"{mark}.JSON INLINE DATA"'
        if hole not in shell:
            raise RuntimeError(f"dbt's page has no place for {hole}")
        shell = shell.replace(hole, text)
    return shell
