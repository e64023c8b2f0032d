const hover = (index) => hoverLines([
  sites.name[index],
  "operator " + text("op", index) + ", module " + (text("module", index) || "(top)"),
  text("source", index),
  text("type", index) + ", depth " + sites.depth[index],
  "rms " + show(sites.rms[index]) + ", gradient rms " + show(sites.gradient[index]) + ", gain " + show(sites.gain[index]),
]);
const siteOf = (trace, point) => (trace.meta.sites || trace.x)[point];
const crowding = Math.min(1, Math.max(0.4, Math.sqrt(400 / (count + 1))));
const sizes = { activation: 5, parameter: 6, leaf: 7, zero: 9, nonfinite: 10, finding: 13 };
let chosen = -1;

const styled = (trace) => {
  const kind = trace.meta.kind;
  const own = colour(kind);
  const bar = trace.type === "bar";
  const indices = trace.meta.sites || trace.x;
  const marker = { ...trace.marker, color: own };
  const edge = kind === "finding" ? 2 : 1;
  if (!bar) Object.assign(marker, { size: sizes[kind] * crowding, line: { width: edge * crowding, color: own } });
  if (bar && indices.length > 200) marker.pattern = {};
  const type = renderer(trace.type);
  return { ...trace, type, marker, line: { width: 1, color: own }, hoverinfo: "text", hovertext: indices.map(hover) };
};
const mark = () => (chosen < 0 ? [] : [{
  type: "line", x0: chosen, x1: chosen, y0: 0, y1: 1, yref: "paper", line: { color: colour("link"), width: 2, dash: "dot" },
}]);

const drawProfile = async () => {
  const Plotly = await plotly;
  const { traces, ranges } = data.profile;
  await Plotly.react("profile", traces.map(styled), {
    ...frame(legendHeight("profile", new Set(traces.map((trace) => trace.legendgroup)).size)), shapes: mark(),
    xaxis: axis("site, in execution order", { anchor: "y2", range: [-0.02 * count - 0.5, 1.02 * count - 0.5] }),
    yaxis: logAxis("forward rms", ranges[0], [0.53, 1]),
    yaxis2: logAxis("gradient rms", ranges[1], [0, 0.47]),
  }, config);
  if (!data.units) return;
  byId("units-block").hidden = false;
  await Plotly.react("units", data.units.traces.map(styled), {
    ...frame(80), barmode: "stack", bargap: data.units.traces[0].x.length > 200 ? 0 : 0.15,
    xaxis: axis("nonlinearity, in execution order", { tickformat: "d" }),
    yaxis: axis("share of units", { range: [0, data.units.highest], tickformat: ".0%" }),
  }, config);
};

const point = async (index) => {
  chosen = index;
  const Plotly = await plotly;
  const chart = byId("profile");
  await Plotly.relayout(chart, { shapes: mark() });
  const found = [];
  chart.data.forEach((trace, curveNumber) => {
    const pointNumber = trace.x.indexOf(index);
    const visible = pointNumber >= 0 && trace.y[pointNumber] !== null;
    if (visible && trace.meta.kind !== "finding") found.push({ curveNumber, pointNumber });
  });
  if (!found.length) return;
  const { yaxis } = chart.data[found[0].curveNumber];
  Plotly.Fx.hover(chart, found.slice(0, 1), [yaxis === "y2" ? "xy2" : "xy"]);
};
