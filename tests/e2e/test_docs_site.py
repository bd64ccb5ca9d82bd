"""The documentation site as a reader has it: from a disk, on a phone, without a network."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from expectations import data_docs, data_docs_pages, gate

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / ".servers/node/node_modules/axe-core/axe.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        (CHROMIUM is None or not AXE.exists()) and not os.environ.get("CI"),
        reason="no chromium or axe here; tests/servers/packages.sh and install.sh install them",
    ),
]
# What must be found: a page that is too wide, too pale, and asks somebody else.
FAULTY = """<!doctype html><title>Faulty</title><p style="width:999px;color:#ccc">Wide</p>
<img src="http://cdn.example.com/x.png" alt="">"""
PAGES = ("index", "bi", "bi-finebi", "runbook", "tables", "kpis", "benchmarks", "dbt")
# Pages that the test makes beside the site: this one, and what a gate said, with long keys.
MADE = ("faulty", "verdict")
CHECK = gate.Check("volume", "Rows as usual", "行数正常", "critical", False, *("x" * 60, "y" * 60),
                   ("k" * 64,))  # fmt: skip
# Looks into each frame when its page is drawn; dbt's page draws itself after it has loaded.
PROBE = """
addEventListener('load', () => setTimeout(async () => {
  const found = {};
  for (const frame of document.querySelectorAll('iframe')) {
    const page = frame.contentWindow, root = page.document.documentElement;
    found[frame.id] = { title: page.document.title, scroll: root.scrollWidth - root.clientWidth,
      text: page.document.body.innerText.slice(0, 20000),
      from: page.performance.getEntriesByType('resource').map(each => each.name) };
    // dbt's own, one of thousands of cells, and one whose policy runs no script.
    if (['dbt', 'tables', 'verdict'].includes(frame.id)) continue;
    page.eval(axe);
    const said = await page.axe.run(page.document, { resultTypes: ['violations'] });
    found[frame.id].axe = said.violations
      .filter(v => ['serious', 'critical'].includes(v.impact))
      .map(v => [v.id, v.nodes.slice(0, 3).map(n => n.target.join(' '))]);
  }
  const pre = document.createElement('pre'); pre.id = 'all';
  pre.textContent = JSON.stringify(found); document.body.replaceChildren(pre);
}, 3000));
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def opened(address: str, work: Path) -> str:
    """Return a page's elements after its scripts ran; only this machine can be reached."""
    done = subprocess.run(
        [
            *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            *(f"--user-data-dir={work / 'profile'}", "--virtual-time-budget=30000"),
            *("--dump-dom", address),
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return done.stdout.decode()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def seen(site: Path, served: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    (site / "faulty.html").write_text(FAULTY, encoding="utf-8")
    verdict = gate.Verdict("raw", "2026-09", "2026-09", "ab" * 32, False, (CHECK,))
    (site / "verdict.html").write_text(data_docs_pages.page(verdict, data_docs._CSS), "utf-8")
    framed = '<iframe id={0} width=390 height=900 src="{0}.html"></iframe>'
    frames = "".join(framed.format(page) for page in (*PAGES, *MADE))
    (site / "axe.js").write_text(f"const axe = {json.dumps(AXE.read_text('utf-8'))};", "utf-8")
    scripts = f"<script src=axe.js></script><script>{PROBE}</script>"
    text = f"<!doctype html><meta charset=utf-8><body>{frames}{scripts}"
    (site / "probe.html").write_text(text, encoding="utf-8")
    dom = opened(f"{served}/probe.html", tmp_path_factory.mktemp("chromium"))
    said = re.search(r'<pre id="all">(.*?)</pre>', dom, re.DOTALL)
    assert said, dom[-2000:]
    found: dict[str, Any] = json.loads(html.unescape(said[1]))
    return found


def test_no_page_asks_anybody_else(seen: dict[str, Any], served: str) -> None:
    asked = {
        name: [each for each in page["from"] if not each.startswith((served, "data:"))]
        for name, page in seen.items()
    }
    assert asked.pop("faulty") == ["http://cdn.example.com/x.png"]
    assert asked == {name: [] for name in (*PAGES, "verdict")}


def test_no_page_scrolls_sideways_on_a_phone(seen: dict[str, Any]) -> None:
    too_wide = {name for name, page in seen.items() if page["scroll"] > 0}
    assert too_wide - {"dbt"} == {"faulty"}  # dbt's page is dbt's


def test_axe_finds_nothing_serious_on_any_page_of_ours(seen: dict[str, Any]) -> None:
    found = {name: page["axe"] for name, page in seen.items() if "axe" in page}
    assert "color-contrast" in {rule for rule, _ in found.pop("faulty")}
    assert set(found) >= {"index", "bi", "kpis", "runbook"}
    assert {name: each for name, each in found.items() if each} == {}


def test_dbts_page_knows_the_project(seen: dict[str, Any], site: Path) -> None:
    assert "perfhouse" in seen["dbt"]["text"]
    page = (site / "dbt.html").read_text(encoding="utf-8")
    for name in ("scorecard_kpi_months", "csat_rate", "hr_manager_months"):
        assert f'"name": "{name}"' in page
    assert str(ROOT) not in page
    # What a reader clicks: the page of a table, and beside it in the navigation.
    assert 'href="dbt.html"' in (site / "tables.html").read_text(encoding="utf-8")


def test_the_page_of_tables_has_every_model_with_its_key_and_readers(site: Path) -> None:
    page = (site / "tables.html").read_text(encoding="utf-8")
    for folder in ("scorecards", "exports", "kpis", "core", "monitors"):
        for path in (ROOT / "dbt_project/models" / folder).glob("*.sql"):
            assert re.search(rf"<h3[^>]*>{path.stem}( \(public\))?</h3>", page), path.stem
    of_totals = page.partition(">scorecard_manager_months (public)</h3>")[2].partition("<h3")[0]
    assert "Key: <code>month</code>, <code>manager_id</code>." in of_totals
    for reader in ("bi-power-bi.html", "cards.html", "mart.html"):
        assert f'href="{reader}"' in of_totals


@pytest.mark.parametrize(
    ("asked", "page"), [("满意度", "kpis.html"), ("total_score rank", "tables.html")]
)
def test_the_search_works_from_a_disk_and_finds_chinese(
    site: Path, tmp_path: Path, asked: str, page: str
) -> None:
    dom = opened(f"{(site / 'search.html').as_uri()}?q={quote(asked)}", tmp_path)
    results = dom.partition('id="mkdocs-search-results"')[2]
    assert f'href="{page}#' in results.partition("<footer")[0]


def test_every_page_of_the_docs_is_in_the_navigation(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    for path in (ROOT / "docs").rglob("*.md"):
        name = path.relative_to(ROOT / "docs").with_suffix(".html")
        assert f'href="{name}"' in home or str(name) == "index.html", name
