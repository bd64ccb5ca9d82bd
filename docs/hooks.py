"""mkdocs hook: fills pages from the dbt project and the measurements, so they cannot go stale.

A line `<!-- kpis -->`, `<!-- benchmarks -->` or `<!-- connectors -->` in a page is replaced at
build time (`<!-- tables -->` by dbt_docs.py); the pages of connectors and of decisions are listed
by their files.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[1] / "dbt_project" / "models"
CATEGORIES = ("result", "quality", "efficiency", "people", "innovation")


DOCS = Path(__file__).parent
CONNECTORS = DOCS / "connectors"
LISTED = {"Connectors, one by one": CONNECTORS, "Decisions": DOCS / "decisions"}


def on_config(config: Any) -> Any:
    """List every page of some folders in the navigation."""
    for item in config["nav"] or []:
        for title in LISTED.keys() & (item if isinstance(item, dict) else {}).keys():
            pages = sorted(LISTED[title].glob("*.md"))
            item[title] = [
                {_title(page).replace("`", ""): f"{LISTED[title].name}/{page.name}"}
                for page in pages
            ]
    return config


def on_post_build(config: Any) -> None:
    """Write the search's index as a script: a page on a disk may load one, and no other file."""
    folder = Path(config["site_dir"]) / "search"
    index = (folder / "search_index.json").read_text(encoding="utf-8")
    (folder / "search_index.js").write_text(f"window.searchIndex = {index};\n", encoding="utf-8")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the markers of one page."""
    if "<!-- kpis -->" in markdown:
        markdown = markdown.replace("<!-- kpis -->", _kpis())
    if "<!-- benchmarks -->" in markdown:
        markdown = markdown.replace("<!-- benchmarks -->", _benchmarks())
    if "<!-- connectors -->" in markdown:
        markdown = markdown.replace("<!-- connectors -->", _connectors())
    return markdown


def _benchmarks() -> str:
    """Return the tables that `make bench` wrote last; a clean checkout may hold none."""
    results = PROJECT.parents[1] / "benchmarks" / "results" / "README.md"
    if not results.is_file():
        return "not measured on this machine yet: run `make bench`"
    text = results.read_text(encoding="utf-8")
    return text[text.index("### ") :]


def _title(page: Path) -> str:
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ").strip()


def _section(page: Path, name: str) -> str:
    """Return the first paragraph of a page's section as one line."""
    text = page.read_text(encoding="utf-8")
    body = text.partition(f"\n## {name}\n")[2].strip()
    return " ".join(body.partition("\n\n")[0].split())


def _short(text: str) -> str:
    """Return a paragraph's first sentence without the names of test files."""
    plain = re.sub(r"\s*\([^()]*`[^()]*\)", "", text.removeprefix("- ")).replace("**", "")
    return re.split(r"(?<=[a-z0-9)])[.;:] ", plain)[0].rstrip(".") + "."


def _connectors() -> str:
    from connectors import base

    lines = ["| connector | reads | ready for | tested against |", "|---|---|---|---|"]
    for name in base.names():
        page = CONNECTORS / f"{name}.md"
        found = base.get(name)
        streams = ", ".join(f"`{stream}`" for stream in found.defaults) or "any stream: you map"
        tested = _short(_section(page, "Tested against"))
        lines.append(
            f"| [{found.title}](connectors/{name}.md)<br>`{name}` | {found.reads} | {streams} | "
            f"{tested} |"
        )
    return "\n".join(lines)


def _kpis() -> str:
    found = []
    for path in sorted((PROJECT / "kpis").glob("*.yml")):
        for metric in yaml.safe_load(path.read_text(encoding="utf-8")).get("metrics", []):
            kpi = metric.get("config", {}).get("meta", {}).get("kpi")
            if kpi:
                found.append((metric["name"], kpi))
    found.sort(key=lambda item: (CATEGORIES.index(item[1]["category"]), item[0]))
    lines = [
        "| KPI | category | definition | better | minimum sample | version |",
        "|---|---|---|---|---|---|",
    ]
    for name, kpi in found:
        lines.append(
            f"| `{name}`<br>{kpi['name_en']}<br>{kpi['name_zh']} | {kpi['category']} | "
            f"{kpi['definition_en']}<br>{kpi['definition_zh']} | "
            f"{'higher' if kpi['direction'] == 'up' else 'lower'} | "
            f"{_sample(kpi)} | {kpi['version']} |"
        )
    return "\n".join(lines)


def _sample(kpi: dict[str, Any]) -> str:
    rows = kpi.get("minimum_rows", 1)
    return f"{kpi['minimum_sample']}" + (f", of {rows} rows" if rows > 1 else "")
