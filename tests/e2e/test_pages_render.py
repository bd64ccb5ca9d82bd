"""Pages in a real Chromium: axe finds nothing serious, charts draw what the table says.

The pages run under their own policy, with the probe's two scripts named in it besides.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import overview_fixture
import pytest
import tiny

from perfhouse import cards, page_director, page_operations, page_parts, page_states, stages
from perfhouse.month import Month
from perfhouse.release_list import Listed
from perfhouse.settings import Home

if TYPE_CHECKING:
    import duckdb

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
AXE = Path(__file__).resolve().parents[2] / ".servers/node/node_modules/axe-core/axe.min.js"
pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        (CHROMIUM is None or not AXE.exists()) and not os.environ.get("CI"),
        reason="no chromium or axe here; tests/servers/packages.sh and install.sh install them",
    ),
]
MONTH = Month("2026-09")
GATES = ("raw", "facts", "scorecards", "exports")
WIDTHS = {"wide": 1120, "phone": 390}
FAULTY = """<!doctype html><meta http-equiv=Content-Security-Policy content="default-src 'none';
style-src 'unsafe-inline'"><title>x</title><main><h1 style="width:999px;color:#aaa">Pale</h1>
<button></button><label for=en>English</label><input type=radio id=en></main>"""
DARK = ("--blink-settings=preferredColorScheme=0",)
# Runs in the page after its own scripts, as a reader would use it: looks, switches, filters. On
# a phone axe looks at the Chinese, on a desk at the English.
PROBE = """
addEventListener('load', async () => {
  const $ = id => document.getElementById(id), out = { axe: {} };
  const root = document.documentElement;
  while ($('data') && !$('c-sorts').firstChild) await new Promise(done => setTimeout(done, 20));
  const look = async name => {
    const said = await axe.run(document, { resultTypes: ['violations'] });
    out.axe[name] = said.violations.filter(v => ['serious', 'critical'].includes(v.impact))
      .map(v => [v.id, v.nodes.slice(0, 3).map(n => n.target.join(' '))]);
  };
  out.scroll = [root.scrollWidth, root.clientWidth];
  for (const each of document.querySelectorAll('details')) each.open = true;
  if (innerWidth < 500) await look('zh');
  $('en').click();
  if (innerWidth >= 500) await look('en');
  out.shown = [...document.querySelectorAll('[lang=zh]')].some(e => e.getClientRects().length);
  out.requests = performance.getEntriesByType('resource').length;
  if ($('data')) {
    const drawn = id => [...$('c-' + id).querySelectorAll('path')].map(p => p.getAttribute('fill'));
    const table = id => [...$('t-' + id).rows].map(r => [...r.cells].map(c => c.textContent));
    const text = id => $('c-' + id).textContent;
    const box = $('c-heat').getBoundingClientRect();
    out.clipped = [...$('c-heat').querySelectorAll('text')].filter(e => {
      const at = e.getBoundingClientRect();
      return at.top < box.top - 1 || at.left < box.left - 1;
    }).map(e => e.textContent);
    out.role = $('role').value;
    out.tiles = $('tiles').textContent;
    out.before = { heat: drawn('heat'), rows: table('heat').length, spread: table('spread'),
      moves: table('moves'), sorts: table('sorts'), labels: text('heat'),
      kpi: $('kpi').selectedOptions[0].textContent, funnel: table('funnel') };
    out.said = Object.fromEntries([...document.querySelectorAll('[id^=d-]')]
      .map(d => [d.id, d.textContent]));
    const pick = (id, at) => { $(id).selectedIndex = at;
      $(id).dispatchEvent(new Event('change', { bubbles: true })); };
    pick('place', 1);
    pick('kpi', 1);
    const hidden = [...$('data').tBodies[0].rows].filter(r => r.hidden).length;
    out.filtered = { rows: table('heat').length, spread: table('spread'), hidden,
      managers: table('heat').slice(1).map(r => r[0].replace(/ \\S+$/, '')),
      ids: table('heat').slice(1).map(r => r[0].replace(/.* /, '')),
      told: $('told').textContent, funnel: table('funnel') };
    const press = key => { $('c-heat').dispatchEvent(new KeyboardEvent('keydown', { key,
      bubbles: true, cancelable: true })); return $('told').textContent; };
    out.walked = { focusable: $('c-heat').tabIndex, nothing: press('Enter') };
    addEventListener('click', event => { if (event.target.tagName !== 'A') return;
      out.walked.opened = event.target.getAttribute('href'); event.preventDefault(); }, true);
    out.walked.steps = ['ArrowRight', 'ArrowRight', 'ArrowDown', 'End', 'PageDown', 'ArrowDown',
      'x'].map(press);
    const drawnNow = () => { charts.heat.getZr().flush(); return $('c-heat').textContent; };
    out.walked.shown = drawnNow();
    press('Enter');
    $('c-heat').dispatchEvent(new Event('blur'));
    await new Promise(done => setTimeout(done, 400));
    out.walked.left = drawnNow();
    pick('sort', 3);
    out.sorted = table('heat').slice(1).map(r => r[0]);
  }
  const pre = document.createElement('pre'); pre.id = 'probe';
  pre.textContent = JSON.stringify(out); document.body.append(pre); });
"""


def with_probe(text: str) -> str:
    """Let a page run axe and the probe as well; the rest of its policy stays."""
    axe = AXE.read_text(encoding="utf-8").replace("</script", "<\\/script")
    hashes = re.search(r"script-src ([^;]*);", page_parts.policy(axe, PROBE))
    assert hashes
    if "script-src " in text:
        text = text.replace("script-src ", f"script-src {hashes[1]} ", 1)
    else:
        text = text.replace("default-src 'none'", f"default-src 'none'; script-src {hashes[1]}", 1)
    return f"{text}<script>{axe}</script><script>{PROBE}</script>"


def run(
    pages: dict[str, str], work: Path, widths: dict[str, int], *flags: str
) -> dict[str, dict[str, Any]]:
    frames = "".join(
        f'<iframe id="{name}-{kind}" width="{width}" height="900" srcdoc="{html.escape(text)}">'
        "</iframe>"
        for name, text in pages.items()
        for kind, width in widths.items()
    )
    script = """const wait = setInterval(() => {
      const frames = [...document.querySelectorAll('iframe')], found = {};
      for (const f of frames) found[f.id] = f.contentDocument?.getElementById('probe')?.textContent;
      if (!Object.values(found).every(Boolean)) return;
      clearInterval(wait);
      const pre = document.createElement('pre'); pre.id = 'all';
      pre.textContent = JSON.stringify(found); document.body.replaceChildren(pre);
    }, 50);"""
    harness = work / "harness.html"
    harness.write_text(
        f"<!doctype html><meta charset=utf-8><body>{frames}<script>{script}</script>",
        encoding="utf-8",
    )
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *(f"--user-data-dir={work / 'profile'}", "--virtual-time-budget=60000", *flags),
        *("--dump-dom", harness.as_uri()),
    ]
    done = subprocess.run(command, check=True, capture_output=True, timeout=120)
    said = re.search(r'<pre id="all">(.*?)</pre>', done.stdout.decode(), re.DOTALL)
    assert said, done.stderr.decode()[-2000:]
    found = json.loads(html.unescape(said[1]))
    return {name: json.loads(text) for name, text in found.items()}


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("pages")
    con = overview_fixture.make(managers=12)
    con.execute(  # whose total is made of the others': none of their peers
        "update scorecards.scorecard_manager_months set role = 'manager_of_managers' "
        "where manager_id = 'M01'"
    )
    paths = page_director.render_all(con, MONTH, out / "pages", release={"number": 1})
    shown = cards.render_all(con, MONTH, out / "cards", release={"number": 1})
    listed = [shown[0], shown[-1], *paths]
    made = {f"{p.parent.name}-{p.stem}": p.read_text(encoding="utf-8") for p in listed}
    made["operations"] = operations(con, out)
    made["operations-index"] = all_releases(out)
    con.close()
    return {name: with_probe(text) for name, text in made.items()}


def operations(con: duckdb.DuckDBPyConnection, out: Path) -> str:
    """Render the operations page of a landed month of the tiny company."""
    tiny.deliver(out / "data", MONTH.key)
    ws = stages.open_workspace(tiny.company(out / "tiny"), out / "data", out / "home")
    for source in ws.company.sources:
        stages.ingest(ws, source.id, MONTH)
    con.execute(
        "create table ops.model_runs as select date '2026-09-01' as month, 'model' as kind, "
        "'fct_' || i as name, i / 10 as seconds from range(20) r(i)"
    )
    verdicts = {name: {"passed": name != "facts", "checks": 9, "warnings": ["x"]} for name in GATES}
    said = {
        "name": "2026-09.r1", "as_of": "2026-09", "closes_on": "2026-10-06", "gates": verdicts,
        "release_sha256": "0f" * 32, "provisional": ["reopen_rate"],
        "tables": {"releases": {"rows": 1, "sha256": "0f" * 32}},
    }  # fmt: skip
    page = page_operations.render(ws.home, ws.company, MONTH, con, said).decode()
    state = {"release": "2026-09.r1", "state": "withdrawn", "stands": "2026-09.r2", "by": None}
    return page_states.told(page, state)


def all_releases(out: Path) -> str:
    """Render the index of operations pages: releases that stand, are superseded, are withdrawn."""
    listed = [
        Listed(
            release=f"2026-0{8 + at // 2}.r{at % 2 + 1}", month=f"2026-0{8 + at // 2}", state=state,
            is_current=state in ("restated", "provisional"), is_shown=False, as_of="2026-09",
            published_at="2026-10-01T03:10:12+00:00", by="HR", reason="迟到的答卷 " * 9,
            follows=None, change_count=at * 1_000 or None, inputs_sha256="0f" * 32,
            merkle_root=None, release_sha256="0f" * 32,
        )
        for at, state in enumerate(("superseded", "restated", "provisional", "withdrawn"))
    ]  # fmt: skip
    home = Home(out / "home")
    home.operations.mkdir(parents=True, exist_ok=True)
    (home.operations / "2026-08.r1.html").touch()
    return page_states._index(home, listed)


@pytest.fixture(scope="module")
def light(pages, tmp_path_factory) -> dict[str, dict[str, Any]]:
    faulty = with_probe(FAULTY)
    return run({**pages, "faulty": faulty}, tmp_path_factory.mktemp("light"), WIDTHS)


@pytest.fixture(scope="module")
def dark(pages, tmp_path_factory) -> dict[str, dict[str, Any]]:
    return run(pages, tmp_path_factory.mktemp("dark"), {"wide": 1120}, *DARK)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(theme, request):
    found = request.getfixturevalue(theme)
    assert len(found) == {"light": 12 + 2, "dark": 6}[theme]
    for name, page in found.items():
        if not name.startswith("faulty"):
            assert list(page["axe"].values()) == [[]], name


def test_axe_finds_what_is_planted(light):
    rules = {rule for rule, _ in light["faulty-wide"]["axe"]["en"]}
    assert rules >= {"button-name", "color-contrast", "html-has-lang"}
    assert light["faulty-phone"]["scroll"][0] > 390


def test_no_page_scrolls_sideways_or_asks_for_anything(light):
    for name, page in light.items():
        scroll, width = page["scroll"]
        if name.startswith("faulty"):
            continue
        assert scroll <= width, name
        assert page["requests"] == 0, name
        assert page["shown"] is False, f"{name}: Chinese is hidden when English is chosen"


def test_colours_are_of_the_scale_and_what_is_missing_has_none(light):
    before = light["pages-index-wide"]["before"]
    assert before["rows"] == 1 + 11
    assert {"#8c510a", "#d8b365", "#f6e8c3", "#e3eceb", "#80cdc1", "#01665e"} >= {
        colour for colour in before["heat"] if colour not in (None, "none", "transparent", "#fff")
    }
    assert before["heat"].count("#8c510a") >= 1  # M02's zero
    assert "—" in before["labels"]
    missing = before["heat"].count("#fff")
    assert missing >= 10, "cells without a score are drawn, with their mark, in no colour"


def test_tables_beside_the_charts_tell_what_the_charts_draw(light):
    page = light["pages-index-wide"]
    counts = [int(row[1]) for row in page["before"]["spread"][1:]]
    assert sum(counts) == 11
    assert counts[-1] == 1, "one manager has no total"
    assert [row[0] for row in page["before"]["sorts"][1:]] == [
        "Results", "Quality", "Efficiency", "People", "Innovation",
    ]  # fmt: skip
    assert page["said"]["d-heat"].startswith("11 managers, 13 KPIs;")
    for row in page["before"]["moves"][1:]:
        assert re.fullmatch(r"[+−]\d+\.\d", row[2])


def test_the_funnel_begins_with_the_kpi_that_the_filter_names(light):
    before = light["pages-index-wide"]["before"]
    assert before["funnel"][0][1] == before["kpi"]
    assert len(before["funnel"]) > 4, "it is a KPI with limits"


def test_filters_choose_and_the_table_of_all_numbers_follows(light):
    filtered = light["pages-index-wide"]["filtered"]
    assert filtered["told"] == "5 managers shown"
    assert (filtered["rows"], filtered["hidden"]) == (1 + 5, 7)
    assert sum(int(row[1]) for row in filtered["spread"][1:]) == 5
    assert filtered["funnel"][0][1] == "Customer satisfaction"
    assert len(filtered["funnel"]) > 4
    names = light["pages-index-wide"]["sorted"]
    assert names == sorted(names, key=lambda name: name.split()[-1])


def test_the_heatmap_is_walked_by_keyboard_and_a_cell_opens_its_card(light):
    page = light["pages-index-wide"]
    walked, order = page["walked"], page["filtered"]["managers"]
    assert walked["focusable"] == 0
    assert walked["nothing"] == "5 managers shown", "Enter opens nothing before a cell is chosen"
    names = [step.split(", ")[0] for step in walked["steps"]]
    first, second, last = order[0], order[1], order[-1]
    assert names == [first, first, second, second, last, last, last]
    kpis = [step.split(", ")[1].split(":")[0] for step in walked["steps"]]
    assert kpis[0] == "Complaints handled on time"
    assert len(set(kpis)) == 3, "two steps across, one down, to the row's end, to the last row"
    assert kpis[1] == kpis[2]
    assert kpis[3] == kpis[4] == kpis[5]
    assert kpis[3] not in walked["left"]
    assert f"{last}{kpis[3]}: " in walked["shown"], "the tip is drawn"
    assert walked["opened"] == f"../cards/{page['filtered']['ids'][-1]}.html"


def test_a_directors_page_draws_the_own_subtree(light):
    page = light["pages-M01-phone"]
    assert page["before"]["rows"] == 1 + len(overview_fixture.SUBTREE) - 1
    assert page["said"]["d-heat"].startswith("4 managers, ")


def test_roles_are_not_mixed_unless_that_is_chosen_and_the_page_says_how_many_there_are(light):
    for page, counts in (("pages-index-wide", "11 / 12"), ("pages-M01-phone", "4 / 5")):
        assert light[page]["role"] == "=front_line"
        assert counts in light[page]["tiles"]


def test_no_name_beside_the_heatmap_is_cut_by_its_edge(light):
    for name, page in light.items():
        if name.startswith("pages-"):
            assert page["clipped"] == [], name
