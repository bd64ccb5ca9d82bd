"""Cards in a real Chromium: nothing scrolls sideways, languages switch, paper is A4, no request."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import largest_card as largest
import pytest
import scorecard_fixture as fixture

from perfhouse import cards
from perfhouse.evidence import Proof
from perfhouse.month import Month

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"),
        reason="no chromium here; tests/servers/packages.sh installs it",
    ),
]
AXE = Path(__file__).resolve().parents[2] / ".servers/node/node_modules/axe-core/axe.min.js"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
# Runs in the page that frames the card, never in the card: measures what a reader would see.
PROBE = """
const seen = id => { const d = document.getElementById(id).contentDocument;
  const w = d.defaultView, hidden = e => w.getComputedStyle(e).display === 'none';
  const root = d.documentElement;
  const shown = 'main *:not(.x):not(.x *):not(svg *):not(thead):not(thead *)';
  const wide = [...d.querySelectorAll(shown)].filter(
    e => e.getBoundingClientRect().right > root.clientWidth + 1).length;
  return { scroll: root.scrollWidth, width: root.clientWidth, wide,
    zh: [...d.querySelectorAll('i:not([lang])')].some(e => !hidden(e)),
    en: [...d.querySelectorAll('[lang=en]')].some(e => !hidden(e)),
    columns: w.getComputedStyle(d.querySelector('.k tbody tr:not(.c)') || d.body).display,
    requests: w.performance.getEntriesByType('resource').length,
    small: [...d.querySelectorAll('main *')].filter(e => e.childNodes.length &&
      parseFloat(w.getComputedStyle(e).fontSize) < 11).length }; };
onload = () => { const out = {};
  for (const f of document.querySelectorAll('iframe')) {
    out[f.id] = seen(f.id);
    f.contentDocument.querySelector('[for=en]').click(); out[f.id + '-en'] = seen(f.id); }
  const pre = document.createElement('pre'); pre.id = 'said';
  pre.textContent = JSON.stringify(out); document.body.append(pre); };
"""

# axe runs in the page itself: what is serious or critical is told with the rule and its nodes.
ASK_AXE = """
axe.run(document, { resultTypes: ['violations'] }).then(said => {
  const pre = document.createElement('pre'); pre.id = 'said';
  pre.textContent = JSON.stringify(said.violations
    .filter(v => ['serious', 'critical'].includes(v.impact))
    .map(v => [v.id, v.nodes.map(n => n.html.slice(0, 100))]));
  document.body.append(pre); });
"""


def chromium(profile: Path, *arguments: str) -> str:
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={profile}",
        *arguments,
    ]
    done = subprocess.run(command, check=True, capture_output=True, timeout=120)
    return done.stdout.decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("cards")
    con = fixture.make()
    con.execute(
        "update scorecards.scorecard_kpi_months set ci_low = value * 0.9, ci_high = value * 1.1"
    )
    proof = Proof("0f" * 32, "f0" * 32, "Ab/+" * 450)
    for path in cards.render_all(con, Month("2026-09"), out, release={"number": 1}, pdf=True):
        path.write_bytes(cards.with_evidence(path.read_bytes(), proof))
    con.close()
    con = largest.make()
    sheet = cards.read_sheet(con, Month("2026-09"), largest.restated(con))
    con.close()
    total = next(t for t in sheet.totals if t.manager_id == largest.MANAGER)
    page = cards.with_evidence(cards.render_card(sheet, total), proof)
    (out / "largest.html").write_bytes(page)
    return out


@pytest.fixture(scope="module")
def measured(folder, tmp_path_factory) -> dict[str, dict[str, object]]:
    frames = []
    for name in ("M01", "M08", "largest", "index"):
        text = (folder / f"{name}.html").read_text(encoding="utf-8").replace(POLICY, "")
        text = text.replace("<details class=ev>", "<details class=ev open>")
        frames += [
            f'<iframe id="{name}-{width}" width="{width}" height="900" '
            f'srcdoc="{html.escape(text)}"></iframe>'
            for width in (320, 390, 768, 1024, 1120)
        ]
    work = tmp_path_factory.mktemp("probe")
    probe = work / "probe.html"
    probe.write_text(
        f"<!doctype html><meta charset=utf-8><body>{''.join(frames)}<script>{PROBE}</script>",
        encoding="utf-8",
    )
    dom = chromium(work / "profile", "--virtual-time-budget=5000", "--dump-dom", probe.as_uri())
    said = re.search(r'<pre id="said">(.*?)</pre>', dom, re.DOTALL)
    assert said, dom[-2000:]
    return json.loads(html.unescape(said.group(1)))


def test_nothing_scrolls_sideways_at_any_width_in_either_language(measured):
    assert len(measured) == 40
    for name, page in measured.items():
        assert page["scroll"] <= page["width"], name
        assert page["wide"] == 0, name


def test_the_language_switch_shows_one_language_at_a_time(measured):
    for name, page in measured.items():
        english = name.endswith("-en")
        assert (page["zh"], page["en"]) == (not english, english), name


def test_table_rows_are_stacked_on_a_phone_and_a_table_on_a_desk(measured):
    assert measured["M01-390"]["columns"] == "grid"
    assert measured["M01-1120"]["columns"] == "table-row"


def test_a_card_asks_for_nothing_and_no_letter_is_tiny(measured):
    for name, page in measured.items():
        assert page["requests"] == 0, name
        assert page["small"] == 0, name


@pytest.mark.skipif(
    not AXE.exists() and not os.environ.get("CI"), reason="no axe here; see install.sh"
)
@pytest.mark.parametrize(
    ("name", "width", "language", "theme"),
    [
        ("largest", 1120, "zh", 1),
        ("largest", 600, "en", 0),
        ("largest", 600, "zh", 0),
        ("largest", 1120, "en", 1),
        ("M08", 600, "zh", 0),  # who has no total
        ("index", 600, "en", 1),
        ("index", 1120, "zh", 0),
    ],
)
def test_axe_finds_nothing_serious_on_a_card(folder, tmp_path, name, width, language, theme):
    text = (folder / f"{name}.html").read_text(encoding="utf-8").replace(POLICY, "")
    text = text.replace(" checked>", ">", 1).replace(f"id={language} ", f"id={language} checked ")
    axe = AXE.read_text(encoding="utf-8").replace("</script", "<\\/script")
    page = tmp_path / "card.html"
    page.write_text(f"{text}<script>{axe}</script><script>{ASK_AXE}</script>", encoding="utf-8")
    dom = chromium(
        tmp_path / "profile",
        f"--window-size={width},2000",
        f"--blink-settings=preferredColorScheme={theme}",  # 0 is dark, 1 is light
        "--virtual-time-budget=20000",
        "--dump-dom",
        page.as_uri(),
    )
    said = re.search(r'<pre id="said">(.*?)</pre>', dom, re.DOTALL)
    assert said, dom[-2000:]
    assert json.loads(html.unescape(said.group(1))) == []


def test_a_card_prints_on_a4_in_two_pages(folder, tmp_path):
    paper = tmp_path / "card.pdf"
    chromium(
        tmp_path / "profile",
        "--no-pdf-header-footer",
        f"--print-to-pdf={paper}",
        (folder / "M01.html").as_uri(),
    )
    content = paper.read_bytes()
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", content)
    assert 1 <= len(boxes) <= 2
    for width, height in boxes:
        assert (float(width), float(height)) == pytest.approx((595.3, 841.9), abs=1.5)
