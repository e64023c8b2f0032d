const count = data.name.length;
const panels = { forward: "y", gradient: "y2" };
const times = { before: { dash: "dot", symbol: "circle-open" }, after: { dash: "solid", symbol: "circle" } };

const hover = (index) => hoverLines([
  data.name[index], data.was[index] && `before: ${data.was[index]}`,
  ...Object.keys(panels).map((name) =>
    `${name} rms ${show(data[name].before[index])} before, ${show(data[name].after[index])} after: ${data[name].words[index]}`),
]);
const crowding = Math.min(1, Math.max(0.4, Math.sqrt(400 / (count + 1))));
// The line joins the activations; what has no logarithm interrupts it.
const trace = (panel, time) => {
  const drawable = (value) => (typeof value === "number" && value > 0 ? value : null);
  const x = data.name.map((_, index) => index).filter((index) => data.activation[index]);
  return {
    type: renderer(data.renderer), mode: "lines+markers", name: time, legendgroup: time, showlegend: panel === "forward",
    yaxis: panels[panel], x, y: x.map((index) => drawable(data[panel][time][index])), hoverinfo: "text", hovertext: x.map(hover),
    line: { width: 1.5, color: colour(time), dash: times[time].dash },
    marker: { size: 5 * crowding, symbol: times[time].symbol, color: colour(time) },
  };
};
const drawProfiles = async () => {
  const Plotly = await plotly;
  const traces = Object.keys(panels).flatMap((panel) => Object.keys(times).map((time) => trace(panel, time)));
  await Plotly.react("profile", traces, {
    ...frame(85),
    xaxis: axis("site, in execution order", { anchor: "y2", range: [-0.02 * count - 0.5, 1.02 * count - 0.5] }),
    yaxis: logAxis("forward rms", data.forward.range, [0.53, 1]),
    yaxis2: logAxis("gradient rms", data.gradient.range, [0, 0.47]),
  }, config);
};

const rms = (panel, time) => ({
  kind: "number", width: "6.6rem", cell: (index) => show(data[panel][time][index]), value: (index) => data[panel][time][index],
});
const change = (panel) => ({
  kind: "number", width: "8.6rem", cell: (index) => data[panel].words[index], value: (index) => data[panel].size[index],
});
const table = makeTable({
  table: byId("sites"), query: byId("query"), status: byId("shown"), noun: "sites", rowName: "row", count,
  haystack: (index) => [data.name[index], data.was[index], data.module[index]],
  columns: [
    { label: "#", kind: "number", width: "4rem", value: (index) => index,
      cell: (index) => make("a", { href: `#site-${index}`, "aria-label": `Site ${index}` }, String(index)) },
    { label: "site", kind: "name", width: "16rem", value: (index) => data.name[index],
      cell: (index) => data.name[index] + (data.was[index] ? ` (before: ${data.was[index]})` : "") },
    { label: "rms before", ...rms("forward", "before") }, { label: "rms after", ...rms("forward", "after") },
    { label: "change", ...change("forward") },
    { label: "gradient before", ...rms("gradient", "before"), width: "8.8rem" },
    { label: "gradient after", ...rms("gradient", "after"), width: "8.2rem" },
    { label: "gradient change", ...change("gradient") },
  ],
});
const select = () => {
  const match = /^#site-(\d+)$/.exec(location.hash);
  if (match && Number(match[1]) < count) table.select(Number(match[1]));
};
addEventListener("hashchange", select);
select();

drawProfiles().then(() => {
  byId("profile").on("plotly_click", ({ points: [clicked] }) => { location.hash = `#site-${clicked.x}`; });
  repaints.push(drawProfiles);
}).catch(withoutPlotly("profile"));
