/* Reads the one table of the page and draws what is chosen of it; it asks for nothing else. */
"use strict";
(() => {
const $ = id => document.getElementById(id);
const PAGE = 40, TOP = 8, STEP = 10, HIGHEST = 120;
const SCALE = [[40, "#8c510a", "#fff"], [60, "#d8b365", "#15212c"], [80, "#f6e8c3", "#15212c"],
  [100, "#e3eceb", "#15212c"], [110, "#80cdc1", "#15212c"], [Infinity, "#01665e", "#fff"]];
const MISSING = {
  i: ["—", "样本不足", "not enough data"], t: ["○", "未设目标", "no target"],
  d: ["∅", "暂无数据", "no data"], x: ["×", "申诉剔除", "left out by an appeal"] };
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
const say = pair => L(pair.zh, pair.en);
const plain = text => String(text).replace(/[{}]/g, c => c === "{" ? "｛" : "｝");
const fixed = (x, digits) => x.toFixed(digits).replace(/^-/, "−");
const trim = (x, digits) => fixed(Number(x.toFixed(digits)), digits)
  .replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
const shown = (x, unit) => unit === "rate" || unit === "ratio" ? trim(x * 100, 1) + "%"
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
const points = row => kpi() ? row.cells[kpi().at].score : row.total;
const what = () => kpi() ? say(kpi().name) : L("总分", "Total");

function chosen() {
  const found = rows.filter(r => FIELDS.every(f => !$(f).value || r[f] === $(f).value.slice(1)));
  const by = order[$("sort").value], name = (a, b) => a.id < b.id ? -1 : 1;
  if (!by) return found.sort(name);
  return found.sort((a, b) => (by(a) === null) - (by(b) === null) || by(b) - by(a) || name(a, b));
}

function options(id, list) {
  const kept = $(id).value;
  $(id).replaceChildren(...list.map(([value, text]) => new Option(text, value)));
  if (list.some(([value]) => String(value) === kept)) $(id).value = kept;
}

function offer() {
  for (const field of FIELDS) {
    const values = [...new Set(rows.map(r => r[field]))].sort();
    const named = v => field === "role" && v ? say(roles.get(v)) : v || L("(空)", "(none)");
    options(field, [["", L("全部", "All")], ...values.map(v => ["=" + v, named(v)])]);
  }
  options("kpi", [["", L("总分", "Total")], ...kpis.map(k => [k.at, say(k.name)])]);
  options("sort", [["total", L("总分", "Total")], ["kpi", L("所选指标", "KPI chosen")],
    ["change", L("变化", "Change")], ["id", L("工号", "Id")]]);
}

// ---------------------------------------------------------------- tables beside the charts

const twins = {};
function cell(tag, content, scope) {
  const made = document.createElement(tag);
  if (scope) made.scope = scope;
  if (content?.href) {
    const link = made.appendChild(document.createElement("a"));
    link.href = content.href;
    link.textContent = content.name && content.name !== content.id
      ? `${content.name} ${content.id}` : content.id;
  } else made.textContent = content;
  return made;
}
function row(cells, head) {
  const made = document.createElement("tr");
  made.append(...cells.map((c, at) => head ? cell("th", c, "col")
    : at ? cell("td", c) : cell("th", c, "row")));
  return made;
}
function fill(id) {
  const [heads, body] = twins[id]();
  const table = $("t-" + id), top = document.createElement("thead");
  const rest = document.createElement("tbody");
  top.append(row(heads, true));
  rest.append(...body.map(cells => row(cells, false)));
  table.replaceChildren(top, rest);
}
function twin(id, told, make) {
  $("d-" + id).textContent = told;
  twins[id] = make;
  if ($("t-" + id).closest("details").open) fill(id);
}

// ---------------------------------------------------------------- charts

const charts = {};
const ink = () => night.matches && !printing ? DARK : LIGHT;
function draw(id, option, rowOf) {
  const c = ink(), box = $("c-" + id);
  const axis = { axisLabel: { color: c.mut, fontSize: 12 }, nameTextStyle: { color: c.mut },
    axisLine: { lineStyle: { color: c.line } }, axisTick: { show: false },
    splitLine: { lineStyle: { color: c.line } } };
  for (const name of ["xAxis", "yAxis"]) {
    option[name] = { ...axis, ...option[name],
      axisLabel: { ...axis.axisLabel, ...option[name].axisLabel } };
  }
  charts[id] ??= echarts.init(box, null, { renderer: "svg" });
  charts[id].resize(printing ? { width: id === "heat" ? 690 : 325 } : undefined);
  charts[id].setOption({ animation: false, backgroundColor: "transparent",
    textStyle: { fontFamily: "inherit", color: c.ink },
    tooltip: { renderMode: "richText", confine: true, backgroundColor: c.card,
      borderColor: c.mid, textStyle: { color: c.ink, fontSize: 13 },
      formatter: p => plain(p.data?.told ?? p.name) },
    ...option }, true);
  charts[id].off("click");
  if (rowOf) charts[id].on("click", p => { const r = rowOf(p); if (r) location.href = r.href; });
}

function told(r, k) {
  const c = r.cells[k.at], name = say(k.name);
  if (c.score === null) {
    const mark = MISSING[c.missing];
    return `${called(r)}\n${name}: ${mark ? L(mark[1], mark[2]) : L("不适用", "does not apply")}`;
  }
  return `${called(r)}\n${name}: ${fixed(c.score, 1)}`
    + (c.value === null ? "" : `\n${shown(c.value, k.unit)} · n = ${trim(c.cases ?? 0, 1)}`)
    + (c.open ? "\n" + L("仍可能变化", "provisional") : "");
}

function heat(all) {
  const c = ink(), pages = Math.max(1, Math.ceil(all.length / PAGE));
  first = Math.min(first, pages - 1);
  const seen = all.slice(first * PAGE, (first + 1) * PAGE);
  const box = $("c-heat"), wide = box.clientWidth || 700;
  const left = wide < 600 ? 84 : 150, room = (wide - left) / (kpis.length || 1);
  const high = wide < 600 ? 120 : 96;
  box.style.height = `${high + 14 + Math.max(1, seen.length) * 22}px`;
  const data = seen.flatMap((r, y) => kpis.filter(k => r.cells[k.at].text !== "·").map(k => {
    const at = r.cells[k.at], step = colour(at.score);
    const none = at.score === null;
    return { value: [k.at, y, none ? -1 : Math.min(Math.max(at.score, 0), HIGHEST)],
      told: told(r, k),
      itemStyle: none ? { color: c.card, borderColor: c.mid, borderType: "dashed", borderWidth: 1 }
        : { color: step[1], borderColor: c.card, borderWidth: 1 },
      label: { show: none || room > 26, color: none ? c.ink : step[2], fontSize: 11,
        formatter: none ? MISSING[at.missing][0] : at.text + (at.open ? "*" : "") } };
  }));
  draw("heat", {
    grid: { left, right: 4, top: high, bottom: 4 },
    xAxis: { type: "category", position: "top", data: kpis.map(k => say(k.name)),
      axisLabel: { rotate: wide < 600 ? 90 : 40, interval: 0, width: high * 1.1,
        overflow: "truncate", fontSize: wide < 600 ? 11 : 12 }, splitLine: { show: false } },
    yAxis: { type: "category", inverse: true, data: seen.map(r => called(r)),
      axisLabel: { interval: 0, width: left - 10, overflow: "truncate" },
      splitLine: { show: false } },
    series: [{ type: "heatmap", data, emphasis: { itemStyle: { borderColor: c.ink } } }],
  }, p => seen[p.value[1]]);
  $("pager").hidden = pages === 1;
  $("at").textContent = `${first + 1} / ${pages}`;
  $("prev").disabled = first === 0;
  $("next").disabled = first === pages - 1;
  const none = all.flatMap(r => r.cells).filter(x => x.missing).length;
  twin("heat", L(`${all.length} 位经理,${kpis.length} 项指标;${none} 格无得分。`,
    `${all.length} managers, ${kpis.length} KPIs; ${none} cells have no score.`), () => [
    [L("经理", "Manager"), L("总分", "Total"), ...kpis.map(k => say(k.name))],
    all.map(r => [r, r.total === null ? "—" : fixed(r.total, 1), ...r.cells.map(x => x.text)])]);
}

function key() {
  const steps = SCALE.map(([to, fill], at) => [fill,
    at ? to === Infinity ? "≥ 110" : `${SCALE[at - 1][0]}–${to}` : "< 40"]);
  const item = (style, mark, text) => {
    const li = document.createElement("li"), b = li.appendChild(document.createElement("b"));
    b.textContent = mark;
    if (style) b.style.background = style; else b.className = "mark";
    li.append(text);
    return li;
  };
  $("key").replaceChildren(...steps.map(([fill, text]) => item(fill, "", text)),
    ...Object.values(MISSING).map(([mark, zh, en]) => item("", mark, L(zh, en))),
    item("", "*", L("仍可能变化", "provisional")));
}

function spread(all) {
  const c = ink(), bins = Array(HIGHEST / STEP).fill(0);
  const known = all.map(points).filter(x => x !== null);
  for (const x of known) bins[Math.min(Math.max(Math.floor(x / STEP), 0), bins.length - 1)] += 1;
  const names = bins.map((_, at) => `${at * STEP}–${(at + 1) * STEP}`);
  const middle = known.length ? quantile(rising(known), .5) : null;
  const without = all.length - known.length;
  draw("spread", {
    grid: { left: 40, right: 12, top: 30, bottom: 44 },
    xAxis: { type: "category", data: names, name: what(), nameLocation: "middle", nameGap: 28,
      axisLabel: { interval: "auto", hideOverlap: true } },
    yAxis: { type: "value", minInterval: 1, name: L("经理数", "managers") },
    series: [{ type: "bar", barCategoryGap: "8%", data: bins.map((value, at) => ({ value,
      told: `${names[at]}: ${value}`,
      itemStyle: { color: colour(at * STEP)[1], borderColor: c.mid, borderWidth: 1 } })) }] });
  twin("spread", middle === null ? L("没有得分。", "No scores.") : L(
    `${what()}:${known.length} 位,中位数 ${fixed(middle, 1)};${without} 位无得分。`,
    `${what()}: ${known.length} managers, median ${fixed(middle, 1)}; ${without} without a score.`),
  () => [[what(), L("经理数", "Managers")],
    [...names.map((n, at) => [n, bins[at]]), [L("无得分", "no score"), without]]]);
}

function moves(all) {
  const c = ink(), known = all.filter(r => r.change !== null && r.change !== 0);
  known.sort((a, b) => b.change - a.change || (a.id < b.id ? -1 : 1));
  const up = known.filter(r => r.change > 0).slice(0, TOP);
  const down = known.filter(r => r.change < 0).slice(-TOP), seen = [...up, ...down];
  const sure = r => r.changed === "b" || r.changed === "w";
  const reach = Math.ceil(Math.max(1, ...seen.map(r => Math.abs(r.change))) * 1.3);
  $("c-moves").style.height = `${Math.max(320, 40 + seen.length * 19)}px`;
  draw("moves", {
    grid: { left: 110, right: 12, top: 8, bottom: 28 },
    xAxis: { type: "value", min: -reach, max: reach,
      axisLabel: { showMinLabel: false, showMaxLabel: false } },
    yAxis: { type: "category", inverse: true, data: seen.map(called),
      axisLabel: { interval: 0, width: 100, overflow: "truncate" } },
    series: [{ type: "bar", data: seen.map(r => {
      const hue = r.change > 0 ? c.good : c.poor, text = (r.change > 0 ? "+" : "") + fixed(r.change, 1);
      const word = CHANGED[r.changed];
      return { value: r.change, told: `${called(r)}: ${text}` + (word ? `\n${L(...word)}` : ""),
        itemStyle: sure(r) ? { color: hue } : { color: c.card, borderColor: hue, borderWidth: 1.5 },
        label: { show: true, position: r.change > 0 ? "right" : "left", color: c.ink,
          formatter: text } };
    }) }] }, p => seen[p.dataIndex]);
  twin("moves", L(`${up.length} 位上升,${down.length} 位下降。`,
    `${up.length} up, ${down.length} down.`), () => [
    [L("经理", "Manager"), L("总分", "Total"), L("变化", "Change"), L("判断", "Judged")],
    seen.map(r => [r, fixed(r.total, 1), (r.change > 0 ? "+" : "") + fixed(r.change, 1),
      CHANGED[r.changed] ? L(...CHANGED[r.changed]) : "—"])]);
}

function funnel(all) {
  const c = ink(), k = kpi() || kpis.find(x => x.reference !== null) || kpis[0];
  const seen = !k || k.reference === null ? []
    : all.filter(r => r.cells[k.at].value !== null && r.cells[k.at].cases > 0);
  const at = r => r.cells[k.at], most = Math.max(1, ...seen.map(r => at(r).cases));
  const least = Math.min(most, ...seen.map(r => at(r).cases)) * .9;
  const wide = n => Math.sqrt(k.within / n + k.between);
  const xs = Array.from({ length: 49 }, (_, i) => least * (most * 1.1 / least) ** (i / 48));
  const clamp = y => k.unit === "rate" && k.reference >= 0 ? Math.min(Math.max(y, 0), 1) : y;
  const line = (z, type, width) => ({ type: "line", symbol: "none", silent: true,
    lineStyle: { color: c.mut, type, width },
    data: xs.map(x => [x, clamp(k.reference + z * wide(x))]) });
  const look = f => ({ b: [c.good, "diamond"], w: [c.poor, "diamond"], B: [c.good, "triangle"],
    W: [c.poor, "triangle"] }[f] || [c.mid, "circle"]);
  const says = r => `${called(r)}\n${shown(at(r).value, k.unit)} · n = ${trim(at(r).cases, 1)}`
    + (REVIEW[at(r).funnel] ? "\n" + L(...REVIEW[at(r).funnel]) : "");
  draw("funnel", {
    grid: { left: 56, right: 16, top: 30, bottom: 44 },
    xAxis: { type: most > least * 20 ? "log" : "value", scale: true, min: least, max: most * 1.1,
      name: L("样本量", "Cases"), nameLocation: "middle", nameGap: 28, splitLine: { show: false },
      axisLabel: { hideOverlap: true, formatter: x => trim(x, x < 10 ? 1 : 0), showMinLabel: false,
        showMaxLabel: false } },
    yAxis: { type: "value", scale: true, name: k ? say(k.name) : "",
      nameTextStyle: { color: c.mut, align: "left", padding: [0, 0, 0, -40] },
      axisLabel: { formatter: y => shown(y, k.unit) } },
    series: !seen.length ? [] : [line(0, "solid", 1), line(1.959964, "dashed", 1),
      line(-1.959964, "dashed", 1), line(3.090232, "solid", 1.5), line(-3.090232, "solid", 1.5),
      { type: "scatter", data: seen.map(r => ({ value: [at(r).cases, at(r).value], told: says(r),
        symbol: look(at(r).funnel)[1], symbolSize: look(at(r).funnel)[1] === "circle" ? 8 : 12,
        itemStyle: { color: look(at(r).funnel)[0], borderColor: c.card, borderWidth: .5 } })) }],
  }, p => p.seriesType === "scatter" && seen[p.dataIndex]);
  const out = seen.filter(r => at(r).funnel && at(r).funnel !== "0");
  twin("funnel", !seen.length ? L("此指标没有控制限。", "This KPI has no control limits.")
    : L(`${say(k.name)}:${seen.length} 位,${out.length} 位在 95% 界外。`,
      `${say(k.name)}: ${seen.length} managers, ${out.length} outside the 95 % limits.`),
  () => [[L("经理", "Manager"), k ? say(k.name) : "", L("样本量", "Cases"), L("位置", "Place")],
    seen.map(r => [r, shown(at(r).value, k.unit), trim(at(r).cases, 1),
      REVIEW[at(r).funnel] ? L(...REVIEW[at(r).funnel]) : "—"])]);
}

function sorts(all) {
  const c = ink(), of = (list, id) => rising(list.map(r => ofCategory(r, id)).filter(x => x !== null));
  const five = list => [0, .25, .5, .75, 1].map(share => quantile(list, share));
  const known = categories.map(x => ({ name: say(x.name), own: of(all, x.id), every: of(rows, x.id) }))
    .filter(x => x.every.length);
  const says = x => `${x.name}\n` + (x.own.length ? five(x.own).map(v => fixed(v, 1)).join(" · ") : "—");
  draw("sorts", {
    grid: { left: 40, right: 12, top: 14, bottom: 28 },
    xAxis: { type: "category", data: known.map(x => x.name), axisLabel: { interval: 0 } },
    yAxis: { type: "value", min: 0, max: HIGHEST, interval: 20 },
    series: [{ type: "boxplot", boxWidth: [14, 44], itemStyle: { color: c.soft, borderColor: c.ink },
      data: known.map(x => ({ value: x.own.length ? five(x.own) : [], told: says(x) })),
      markLine: { silent: true, symbol: "none", label: { show: false },
        lineStyle: { color: c.good, type: "dashed" }, data: [{ yAxis: 100 }] } },
    { type: "scatter", symbol: "diamond", symbolSize: 13, z: 4,
      itemStyle: { color: c.acc, borderColor: c.card }, data: known.map((x, at) => ({
        value: [at, quantile(x.every, .5)],
        told: `${x.name}\n${L("全部的中位数", "median of all")}: ${fixed(quantile(x.every, .5), 1)}` })) }],
  });
  twin("sorts", known.map(x => `${x.name}: ${x.own.length ? fixed(quantile(x.own, .5), 1) : "—"}`)
    .join("; "), () => [[L("类别", "Category"), L("经理数", "Managers"), L("最低", "Lowest"), "25%",
    L("中位数", "Median"), "75%", L("最高", "Highest"), L("全部的中位数", "Median of all")],
  known.map(x => [x.name, x.own.length, ...(x.own.length ? five(x.own).map(v => fixed(v, 1))
    : Array(5).fill("—")), fixed(quantile(x.every, .5), 1)])]);
}

function tiles(all) {
  const known = all.map(r => r.total).filter(x => x !== null);
  const list = [[L("经理", "Managers"), all.length],
    [L("总分中位数", "Median total"), known.length ? fixed(quantile(rising(known), .5), 1) : "—"],
    [L("无总分", "Without a total"), all.length - known.length],
    [L("明显上升", "Clearly better"), all.filter(r => r.changed === "b").length],
    [L("明显下降", "Clearly worse"), all.filter(r => r.changed === "w").length],
    [L("漏斗界外(99.8%)", "Outside 99.8 % limits"),
      all.filter(r => r.cells.some(x => x.funnel === "B" || x.funnel === "W")).length]];
  $("tiles").replaceChildren(...list.map(([name, value]) => {
    const made = document.createElement("div");
    made.append(cell("dt", name), cell("dd", value));
    return made;
  }));
  $("told").textContent = L(`显示 ${all.length} 位经理`, `${all.length} managers shown`);
}

function show() {
  if (!globalThis.echarts) return;
  const all = chosen(), seen = new Set(all);
  for (const r of rows) r.tr.hidden = !seen.has(r);
  for (const one of [tiles, key, heat, spread, moves, funnel, sorts]) one(all);
}

// ---------------------------------------------------------------- beginning

async function unpack() {
  const text = $("echarts").textContent.replace(/-/g, "+").replace(/_/g, "/");
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const whole = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const made = document.createElement("script");  // runs by its hash in the page's policy
  made.textContent = await new Response(whole).text();
  document.body.append(made);
  if (!globalThis.echarts) throw new Error("charts");
}

for (const id of ["zh", "en"]) $(id).addEventListener("change", () => { offer(); show(); });
$("filters").addEventListener("change", () => { first = 0; show(); });
$("filters").addEventListener("submit", event => event.preventDefault());
$("filters").addEventListener("reset", () => setTimeout(() => { first = 0; show(); }));
$("prev").addEventListener("click", () => { first -= 1; show(); });
$("next").addEventListener("click", () => { first += 1; show(); });
for (const node of document.querySelectorAll("details.twin")) {
  node.addEventListener("toggle", () => { if (node.open) fill(node.parentNode.id.slice(2)); });
}
night.addEventListener("change", show);
addEventListener("resize", () => { if (!printing) show(); });
addEventListener("beforeprint", () => { printing = true; show(); });
addEventListener("afterprint", () => { printing = false; show(); });
$("all").open = rows.length <= 60;
if (rows.length) unpack().then(() => { offer(); show(); }, () => { $("old").hidden = false; });
})();
