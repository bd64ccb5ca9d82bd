/* Second of three parts: the charts, and the table beside each, of the managers chosen. */

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
  if (rowOf) charts[id].on("click", p => { const r = rowOf(p); if (r) go(r); });
}
function go(r) {
  const link = document.createElement("a");
  link.href = r.href;
  document.body.append(link);
  link.click();
  link.remove();
}

// The cells of the heatmap by keyboard: one at a time, told as it is shown. `at` is [KPI, manager].
const walk = { at: null, cells: [], seen: [] };
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
  Home: [-Infinity, 0], End: [Infinity, 0], PageUp: [0, -Infinity], PageDown: [0, Infinity] };
function nearest([across, down]) {
  const [x, y] = walk.at;
  const ahead = walk.cells.map(c => c.value).filter(([cx, cy]) => across
    ? cy === y && (cx - x) * across > 0 : cx === x && (cy - y) * down > 0);
  const far = across || down, way = ([cx, cy]) => Math.abs(cx - x) + Math.abs(cy - y);
  ahead.sort((a, b) => Number.isFinite(far) ? way(a) - way(b) : way(b) - way(a));
  return ahead[0] || walk.at;
}
function point(type) {
  const is = walk.cells.findIndex(c => c.value[0] === walk.at[0] && c.value[1] === walk.at[1]);
  charts.heat.dispatchAction({ type, seriesIndex: 0, dataIndex: is });
  return walk.cells[is];
}
function stroll(event) {
  const move = MOVES[event.key];
  if (event.ctrlKey || event.altKey || event.metaKey || !walk.cells.length) return;
  if (event.key === "Enter" && walk.at) go(walk.seen[walk.at[1]]);
  else if (event.key === "Escape" && walk.at) leave();
  else if (!move) return;
  else {
    if (walk.at) { point("downplay"); walk.at = nearest(move); }
    else walk.at = walk.cells[0].value;
    point("highlight");
    $("told").textContent = point("showTip").told.replace(/\n/g, ", ");
  }
  event.preventDefault();
}
function leave() {
  if (!walk.at || !charts.heat) return;
  point("downplay");
  charts.heat.dispatchAction({ type: "hideTip" });
  walk.at = null;
}

function told(r, k) {
  const c = r.cells[k.at], name = say(k.name);
  if (c.score === null) {
    const cases = c.missing === "i" && c.cases !== null ? ` (n = ${trim(c.cases, 1)})` : "";
    return `${called(r)}\n${name}: `
      + (c.missing ? say(MISSING[c.missing]) + cases : L("不适用", "does not apply"));
  }
  return `${called(r)}\n${name}: ${fixed(c.score, 1)}`
    + (c.value === null ? "" : `\n${L("调整后", "adjusted")} ${shown(c.value, k.unit)} · n = ${trim(c.cases ?? 0, 1)}`)
    + (c.open ? "\n" + L("仍可能变化", "provisional") : "");
}

function heat(all) {
  const c = ink(), pages = Math.max(1, Math.ceil(all.length / PAGE));
  first = Math.min(first, pages - 1);
  const seen = all.slice(first * PAGE, (first + 1) * PAGE);
  const box = $("c-heat"), wide = box.clientWidth || 700;
  const left = wide < 600 ? 84 : 150, room = (wide - left) / (kpis.length || 1);
  const high = wide < 600 ? 144 : 96;
  box.style.height = `${high + 14 + Math.max(1, seen.length) * 22}px`;
  const data = seen.flatMap((r, y) => kpis.filter(k => r.cells[k.at].text !== "·").map(k => {
    const at = r.cells[k.at], step = colour(parseFloat(at.text));  // of the number shown
    const none = at.score === null;
    return { value: [k.at, y, none ? -1 : Math.min(Math.max(at.score, 0), HIGHEST)],
      told: told(r, k),
      itemStyle: none ? { color: c.card, borderColor: c.mid, borderType: "dashed", borderWidth: 1 }
        : { color: step[1], borderColor: c.card, borderWidth: 1 },
      label: { show: none || room > 26, color: none ? c.ink : step[2], fontSize: 11,
        formatter: none ? MISSING[at.missing].sign : at.text } };
  }));
  draw("heat", {
    grid: { left, right: 4, top: high, bottom: 4 },
    xAxis: { type: "category", position: "top", data: kpis.map(k => say(k.name)),
      axisLabel: { rotate: wide < 600 ? 90 : 40, interval: 0,
        width: wide < 600 ? high - 24 : high * 1.1,  // upright it has the height, aslant more
        overflow: "truncate", fontSize: wide < 600 ? 11 : 12 }, splitLine: { show: false } },
    yAxis: { type: "category", inverse: true, data: seen.map(r => called(r)),
      axisLabel: { interval: 0, width: left - 10, overflow: "truncate" },
      splitLine: { show: false } },
    series: [{ type: "heatmap", data, emphasis: { itemStyle: { borderColor: c.ink } } }],
  }, p => seen[p.value[1]]);
  Object.assign(walk, { at: null, cells: data, seen });
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
    ...Object.values(MISSING).map(mark => item("", mark.sign, say(mark))),
    item("", "", L("空白:不适用", "empty: does not apply")),
    item("", "*", L("仍可能变化", "provisional")));
}

function spread(all) {
  const c = ink(), bins = Array(HIGHEST / STEP).fill(0);
  const known = all.map(r => r.total).filter(x => x !== null);
  for (const x of known) bins[Math.min(Math.max(Math.floor(x / STEP), 0), bins.length - 1)] += 1;
  const names = bins.map((_, at) => `${at * STEP}–${(at + 1) * STEP}`);
  const middle = known.length ? quantile(rising(known), .5) : null;
  const without = all.length - known.length;
  draw("spread", {
    grid: { left: 40, right: 12, top: 30, bottom: 44 },
    xAxis: { type: "category", data: names, name: L("总分", "Total"), nameLocation: "middle", nameGap: 28,
      axisLabel: { interval: "auto", hideOverlap: true } },
    yAxis: { type: "value", minInterval: 1, name: L("经理数", "managers") },
    series: [{ type: "bar", barCategoryGap: "8%", data: bins.map((value, at) => ({ value,
      told: `${names[at]}: ${value}`,
      itemStyle: { color: colour(at * STEP)[1], borderColor: c.mid, borderWidth: 1 } })) }] });
  twin("spread", middle === null ? L("没有总分。", "No totals.") : L(
    `总分:${known.length} 位,中位数 ${fixed(middle, 1)};${without} 位无总分。`,
    `Total: ${known.length} managers, median ${fixed(middle, 1)}; ${without} without a total.`),
  () => [[L("总分", "Total"), L("经理数", "Managers")],
    [...names.map((n, at) => [n, bins[at]]), [L("无总分", "no total"), without]]]);
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
  const c = ink(), k = kpi();
  const seen = k ? all.filter(r => inFunnel(r, k)) : [];
  const at = r => r.cells[k.at], most = Math.max(1, ...seen.map(r => at(r).cases));
  const least = Math.min(most, ...seen.map(r => at(r).cases)) * .9;
  const wide = n => Math.sqrt(k.within / n + k.between);
  const xs = Array.from({ length: 49 }, (_, i) => least * (most * 1.1 / least) ** (i / 48));
  const lowest = { rate: k?.reference >= 0 ? 0 : -1, net_rate: -1 }[k?.unit];
  const clamp = y => lowest === undefined ? y : Math.min(Math.max(y, lowest), 1);
  const far = most > least * 20, on = far ? Math.log2 : x => x;  // doublings, where cases differ much
  const line = (z, type, width) => ({ type: "line", symbol: "none", silent: true,
    lineStyle: { color: c.mut, type, width },
    data: xs.map(x => [on(x), clamp(k.reference + z * wide(x))]) });
  const look = f => ({ b: [c.good, "diamond"], w: [c.poor, "diamond"], B: [c.good, "triangle"],
    W: [c.poor, "triangle"] }[f] || [c.mid, "circle"]);
  const says = r => `${called(r)}\n${L("调整后", "adjusted")} ${shown(at(r).value, k.unit)} · n = ${trim(at(r).cases, 1)}`
    + (REVIEW[at(r).funnel] ? "\n" + L(...REVIEW[at(r).funnel]) : "");
  draw("funnel", {
    grid: { left: 56, right: 16, top: 30, bottom: 44 },
    xAxis: { type: "value", scale: true, min: on(least), max: on(most * 1.1),
      name: L("样本量", "Cases"), nameLocation: "middle", nameGap: 28, splitLine: { show: false },
      ...(far ? { interval: 1, min: Math.floor(on(least)), max: Math.ceil(on(most)) } : {}),
      axisLabel: { hideOverlap: true, formatter: x => trim(far ? 2 ** x : x, 0),
        ...(far ? {} : { showMinLabel: false, showMaxLabel: false }) } },
    yAxis: { type: "value", scale: true, name: k ? say(k.name) : "",
      nameTextStyle: { color: c.mut, align: "left", padding: [0, 0, 0, -40] },
      axisLabel: { formatter: y => shown(y, k.unit) } },
    series: !seen.length ? [] : [line(0, "solid", 1), line(1.959964, "dashed", 1),
      line(-1.959964, "dashed", 1), line(3.090232, "solid", 1.5), line(-3.090232, "solid", 1.5),
      { type: "scatter", data: seen.map(r => ({ value: [on(at(r).cases), at(r).value],
        told: says(r),
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
  const role = $("role").value, peers = rows.filter(r => !role || r.role === role.slice(1));
  const known = categories.map(x => ({ name: say(x.name), own: of(all, x.id), every: of(peers, x.id) }))
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
        told: `${x.name}\n${L("该岗位的中位数", "median of the role")}: ${fixed(quantile(x.every, .5), 1)}` })) }],
  });
  twin("sorts", known.map(x => `${x.name}: ${x.own.length ? fixed(quantile(x.own, .5), 1) : "—"}`)
    .join("; "), () => [[L("类别", "Category"), L("经理数", "Managers"), L("最低", "Lowest"), "25%",
    L("中位数", "Median"), "75%", L("最高", "Highest"), L("该岗位的中位数", "Median of the role")],
  known.map(x => [x.name, x.own.length, ...(x.own.length ? five(x.own).map(v => fixed(v, 1))
    : Array(5).fill("—")), fixed(quantile(x.every, .5), 1)])]);
}
