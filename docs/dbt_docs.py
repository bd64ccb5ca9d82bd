"""mkdocs hook: dbt's own documentation as one page of the site, `dbt.html`.

It parses the project and asks no warehouse, so a fresh clone has it; nothing in it names a run, so
the same project makes the same page. It may not change another page.
"""

from __future__ import annotations

import json
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File
from mkdocs.structure.nav import Link

PROJECT = Path(__file__).resolve().parents[1] / "dbt_project"
PAGE = "dbt.html"
TITLE = "dbt docs: models and lineage"
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
