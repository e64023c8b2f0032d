// Plotly travels compressed, which halves the page; the policy allows this one text to run and no other.
const plotly = (async () => {
  const packed = Uint8Array.from(atob(byId("plotly").textContent), (char) => char.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = make("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  return window.Plotly;
})();

const webgl = (() => {
  try { return Boolean(document.createElement("canvas").getContext("webgl")); } catch { return false; }
})();
const renderer = (type) => (type === "scattergl" && !webgl ? "scatter" : type);

// Plotly reads a small HTML in hover texts, so that everything from the model is escaped here, in one place.
const escaped = (value) => String(value).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const clipped = (value) => (value.length > 80 ? value.slice(0, 79) + "…" : value);
const hoverLines = (lines) => lines.filter(Boolean).map((line) => escaped(clipped(line))).join("<br>");

const frame = (bottom) => ({
  paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true, hovermode: "closest",
  font: { family: "system-ui, sans-serif", size: 13, color: colour("text") },
  hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("soft"), font: { color: colour("text") }, align: "left" },
  legend: { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom", itemsizing: "constant" },
  modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("soft"), activecolor: colour("link") },
  margin: { l: 70, r: 10, t: 30, b: bottom }, uirevision: "kept",
});
const axis = (title, more) => ({
  title: { text: title }, gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, ...more,
});
const logAxis = (title, range, domain) => {
  const decades = range[1] - range[0];
  const dtick = decades < 2.5 ? "D2" : Math.ceil(decades / 6);
  return axis(title, { type: "log", range, domain, exponentformat: "power", dtick });
};
// A legend below the chart takes a line or, on a narrow screen, one line an entry.
const legendHeight = (id, entries) => (byId(id).clientWidth < 640 ? 200 : entries > 4 ? 115 : 85);

// A report may be confidential: plotly's own default offers to send the chart to a server.
const config = {
  responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
  modeBarButtonsToRemove: ["select2d", "lasso2d"],
};
const withoutPlotly = (id) => () => {
  byId(id).classList.remove("chart");
  byId(id).textContent = "This browser cannot unpack the chart; the tables hold the same numbers.";
};
