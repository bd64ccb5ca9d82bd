/* Last of three parts: what is shown, and when it is drawn again. */
function tiles(all) {
  const known = all.map(r => r.total).filter(x => x !== null);
  const list = [[L("经理", "Managers"), all.length === rows.length ? all.length : `${all.length} / ${rows.length}`],
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

$("c-heat").tabIndex = 0;
$("c-heat").setAttribute("role", "application");  // an image would not be given the keys
$("c-heat").addEventListener("keydown", stroll);
$("c-heat").addEventListener("blur", leave);
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
if (rows.length) unpack().then(() => { offer(); $("role").value = usual(); show(); }, () => { $("old").hidden = false; });
