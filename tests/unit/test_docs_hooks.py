from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

HOOKS = Path(__file__).resolve().parents[2] / "docs" / "hooks.py"


def _hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_hooks", HOOKS)
    assert spec is not None
    assert spec.loader is not None
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    return hooks


def test_a_checkout_without_measurements_still_makes_its_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = _hooks()
    monkeypatch.setattr(hooks, "PROJECT", tmp_path / "dbt_project" / "models")
    page = hooks.on_page_markdown("Speed:\n\n<!-- benchmarks -->\n")
    assert "not measured on this machine yet: run `make bench`" in page
    results = tmp_path / "benchmarks" / "results"
    results.mkdir(parents=True)
    (results / "README.md").write_text("# Head\n\n### build\n\n| a |\n", encoding="utf-8")
    assert "### build\n\n| a |" in hooks.on_page_markdown("<!-- benchmarks -->")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_the_links_of_pages_outside_the_site_lead_somewhere(page: str) -> None:
    root = HOOKS.parents[1]
    text = (root / page).read_text(encoding="utf-8")
    links = set(re.findall(r"\]\((?!https?://)([^)#]+)", text))
    assert [link for link in sorted(links) if not (root / link).exists()] == []
    assert page == "CONTRIBUTING.md" or len(links) > 10
