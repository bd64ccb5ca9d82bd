/* First of three parts: words, numbers, the one table of the page, and what is chosen of it. */
"use strict";
const $ = id => document.getElementById(id);
const PAGE = 40, TOP = 8, STEP = 10, HIGHEST = 120;
const SCALE = [[40, "#8c510a", "#fff"], [60, "#d8b365", "#15212c"], [80, "#f6e8c3", "#15212c"],
  [100, "#e3eceb", "#15212c"], [110, "#80cdc1", "#15212c"], [Infinity, "#01665e", "#fff"]];
const REVIEW = {
  0: ["界内", "inside"], b: ["偏好(95%)", "better (95 %)"], w: ["偏差(95%)", "worse (95 %)"],
  B: ["偏好(99.8%)", "better (99.8 %)"], W: ["偏差(99.8%)", "worse (99.8 %)"] };
const CHANGED = { b: ["上升", "better"], w: ["下降", "worse"], n: ["无明显变化", "no clear change"] };
const FIELDS = ["place", "role", "team"];
const LIGHT = { ink: "#15212c", mut: "#526170", line: "#dde3e9", card: "#fff", acc: "#1d5fbf",
  soft: "#dbe3ee", mid: "#5b6b7a", good: "#01665e", poor: "#8c510a" };
const DARK = { ink: "#e9eef3", mut: "#9fb0bf", line: "#2d3944", card: "#1a222b", acc: "#75aefc",
  soft: "#2a3746", mid: "#8e9cab", good: "#5ab4ac", poor: "#d8a35f" };
const night = matchMedia("(prefers-color-scheme:dark)");
let printing = false, first = 0;

// ---------------------------------------------------------------- words and numbers

const L = (zh, en) => $("en").checked ? en : zh;
const words = node => ({ zh: node.querySelector("[lang=zh]").textContent,
  en: node.querySelector("[lang=en]").textContent });
const MISSING = Object.fromEntries([...document.querySelectorAll("[data-mark]")].map(node =>
  [node.dataset.mark, { sign: node.dataset.sign, ...words(node) }]));
const say = pair => L(pair.zh, pair.en);
const plain = text => String(text).replace(/[{}]/g, c => c === "{" ? "｛" : "｝");
const fixed = (x, digits) => x.toFixed(digits).replace(/^-/, "−");
const trim = (x, digits) => fixed(Number(x.toFixed(digits)), digits)
  .replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
const SHARES = { rate: "%", ratio: "%", net_rate: "" };  // a net rate is points, -100 to 100
const shown = (x, unit) => unit in SHARES ? trim(x * 100, 1) + SHARES[unit]
  : trim(x, Math.abs(x) < 10 ? 2 : Math.abs(x) < 100 ? 1 : 0)
    + ({ minutes: " min", seconds: " s" }[unit] || "");
const colour = points => SCALE.find(step => points < step[0]);
const quantile = (sorted, share) => {
  const at = (sorted.length - 1) * share, low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
};
const rising = values => [...values].sort((a, b) => a - b);

// ---------------------------------------------------------------- the table

const number = (cell, name) => name in cell.dataset ? Number(cell.dataset[name]) : null;
const kpis = [...document.querySelectorAll("#data th[data-k]")].map((th, at) => ({
  at, id: th.dataset.k, category: th.dataset.c, unit: th.dataset.u, name: words(th),
  reference: number(th, "r"), within: number(th, "a"), between: number(th, "b") }));
const categories = [...document.querySelectorAll("#data th[data-c][scope=colgroup]")]
  .map(th => ({ id: th.dataset.c, name: words(th) }));
const rows = [...document.querySelectorAll("#data tbody tr")].map(tr => {
  const [id, name, role, team, place, total, grade, , change] = tr.cells;
  return { tr, id: id.textContent, href: id.firstElementChild.getAttribute("href"),
    name: name.firstChild?.nodeType === 3 ? name.firstChild.textContent.trim() : "",
    role: role.dataset.id, team: team.textContent, place: place.textContent,
    total: number(total, "s"), grade: grade.textContent,
    change: number(change, "s"), changed: change.dataset.f,
    cells: [...tr.cells].slice(10).map(td => ({ text: td.textContent.trim(), score: number(td, "s"),
      missing: td.dataset.x, value: number(td, "v"), cases: number(td, "n"),
      weight: number(td, "w"), funnel: td.dataset.f, open: "p" in td.dataset })) };
});
const roles = new Map([...document.querySelectorAll("#data td[data-id]")]
  .map(td => [td.dataset.id, words(td)]));
const called = row => plain(row.name || row.id);
const ofCategory = (row, id) => {
  const own = kpis.filter(k => k.category === id).map(k => row.cells[k.at])
    .filter(c => c.score !== null && c.weight > 0);
  const weight = own.reduce((sum, c) => sum + c.weight, 0);
  return weight ? own.reduce((sum, c) => sum + c.weight * c.score, 0) / weight : null;
};

// ---------------------------------------------------------------- choices

const order = {
  total: r => r.total, change: r => r.change,
  kpi: r => kpi() ? r.cells[kpi().at].score : r.total };
const kpi = () => kpis[$("kpi").value] || null;
const inFunnel = (row, k) => k.reference !== null && row.cells[k.at].value !== null
  && row.cells[k.at].cases > 0;

function chosen() {
  const found = rows.filter(r => FIELDS.every(f => !$(f).value || r[f] === $(f).value.slice(1)));
  const by = order[$("sort").value], name = (a, b) => a.id < b.id ? -1 : 1;
  if (!by) return found.sort(name);
  return found.sort((a, b) => (by(a) === null) - (by(b) === null) || by(b) - by(a) || name(a, b));
}

// Roles are not mixed unless that is asked for: a total made of others' is no peer of theirs.
function usual() {
  const count = new Map();
  for (const r of rows) count.set(r.role, (count.get(r.role) ?? 0) + 1);
  const first = [...count].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0];
  return count.size > 1 ? "=" + first[0] : "";
}

function options(id, list, usually) {
  const kept = $(id).value;
  $(id).replaceChildren(...list.map(([value, text]) =>
    new Option(text, value, value === usually, value === usually)));
  if (list.some(([value]) => String(value) === kept)) $(id).value = kept;
}

function offer() {
  for (const field of FIELDS) {
    const values = [...new Set(rows.map(r => r[field]))].sort();
    const named = v => field === "role" && v ? say(roles.get(v)) : v || L("(空)", "(none)");
    options(field, [["", L("全部", "All")], ...values.map(v => ["=" + v, named(v)])]);
  }
  const peers = rows.filter(r => !usual() || r.role === usual().slice(1));
  const usually = kpis.find(k => peers.some(r => inFunnel(r, k))) || kpis[0];
  options("kpi", kpis.map(k => [k.at, say(k.name)]), usually?.at);
  options("sort", [["total", L("总分", "Total")], ["kpi", L("所选指标", "KPI chosen")],
    ["change", L("变化", "Change")], ["id", L("工号", "Id")]]);
}
