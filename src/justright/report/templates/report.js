"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const sites = data.sites;
  const count = sites.name.length;
  const pageSize = 25;
  const byId = (id) => document.getElementById(id);
  const text = (column, index) => data.texts[sites[column][index]];
  const show = (value) => {
    if (value === null) return "–";
    if (typeof value === "string" || value === 0) return String(value);
    const size = Math.abs(value);
    return size >= 1e-3 && size < 1e5 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
  };

  // Plotly reads a small HTML in hover texts, so that everything from the model is escaped here, in one place.
  const escaped = (value) => String(value).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const clipped = (value) => (value.length > 80 ? value.slice(0, 79) + "…" : value);
  const hover = (index) => {
    const lines = [
      sites.name[index],
      "operator " + text("op", index) + ", module " + (text("module", index) || "(top)"),
      text("source", index),
      text("type", index) + ", depth " + sites.depth[index],
      "rms " + show(sites.rms[index]) + ", gradient rms " + show(sites.gradient[index]) + ", gain " + show(sites.gain[index]),
    ];
    return lines.filter(Boolean).map((line) => escaped(clipped(line))).join("<br>");
  };

  const webgl = (() => {
    try { return Boolean(document.createElement("canvas").getContext("webgl")); } catch { return false; }
  })();
  const siteOf = (trace, point) => (trace.meta.sites || trace.x)[point];
  const crowding = Math.min(1, Math.max(0.4, Math.sqrt(400 / (count + 1))));
  const sizes = { activation: 5, parameter: 6, leaf: 7, zero: 9, nonfinite: 10, finding: 13 };

  const styled = (trace, colour) => {
    const kind = trace.meta.kind;
    const own = colour(kind);
    const bar = trace.type === "bar";
    const indices = trace.meta.sites || trace.x;
    const marker = { ...trace.marker, color: own };
    const edge = kind === "finding" ? 2 : 1;
    if (!bar) Object.assign(marker, { size: sizes[kind] * crowding, line: { width: edge * crowding, color: own } });
    if (bar && indices.length > 200) marker.pattern = {};
    const type = trace.type === "scattergl" && !webgl ? "scatter" : trace.type;
    return { ...trace, type, marker, line: { width: 1, color: own }, hoverinfo: "text", hovertext: indices.map(hover) };
  };

  const frame = (colour, bottom) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true, hovermode: "closest",
    font: { family: "system-ui, sans-serif", size: 13, color: colour("text") },
    hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("soft"), font: { color: colour("text") }, align: "left" },
    legend: { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom", itemsizing: "constant" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("soft"), activecolor: colour("link") },
    margin: { l: 70, r: 10, t: 30, b: bottom },
  });
  const axis = (colour, title, more) => ({
    title: { text: title }, gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, ...more,
  });
  const logAxis = (colour, title, range, domain) => {
    const decades = range[1] - range[0];
    const dtick = decades < 2.5 ? "D2" : Math.ceil(decades / 6);
    return axis(colour, title, { type: "log", range, domain, exponentformat: "power", dtick });
  };

  // A report may be confidential: plotly's own default offers to send the chart to a server.
  const config = {
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["select2d", "lasso2d"],
  };
  const draw = async () => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue("--" + name).trim();
    const { traces, ranges } = data.profile;
    // A legend below the chart takes a line or, on a narrow screen, one line an entry.
    const bottom = byId("profile").clientWidth < 640 ? 200 : 80;
    await Plotly.react("profile", traces.map((trace) => styled(trace, colour)), {
      ...frame(colour, bottom),
      xaxis: axis(colour, "site, in execution order", { anchor: "y2", range: [-0.02 * count - 0.5, 1.02 * count - 0.5] }),
      yaxis: logAxis(colour, "forward rms", ranges[0], [0.53, 1]),
      yaxis2: logAxis(colour, "gradient rms", ranges[1], [0, 0.47]),
    }, config);
    if (!data.units) return;
    byId("units-block").hidden = false;
    await Plotly.react("units", data.units.traces.map((trace) => styled(trace, colour)), {
      ...frame(colour, 80), barmode: "stack", bargap: data.units.traces[0].x.length > 200 ? 0 : 0.15,
      xaxis: axis(colour, "nonlinearity, in execution order", { tickformat: "d" }),
      yaxis: axis(colour, "share of units", { range: [0, data.units.highest], tickformat: ".0%" }),
    }, config);
  };

  let shown = sites.name.map((_, index) => index);
  let first = 0;
  let selected = -1;
  const cell = (row, value, kind) => {
    const made = row.insertCell();
    made.textContent = value;
    made.className = kind || "";
    return made;
  };
  const addRow = (body, index) => {
    const row = body.insertRow();
    row.id = "row-" + index;
    row.className = index === selected ? "selected" : "";
    const link = document.createElement("a");
    link.href = "#site-" + index;
    link.textContent = String(index);
    link.setAttribute("aria-label", "Show site " + index + " in the chart");
    cell(row, "").append(link);
    cell(row, sites.name[index], "name");
    cell(row, text("op", index));
    cell(row, text("source", index));
    cell(row, text("type", index));
    cell(row, String(sites.depth[index]), "number");
    for (const column of ["rms", "gradient", "gain", "absmax", "zeros"]) cell(row, show(sites[column][index]), "number");
  };
  const list = () => {
    const body = byId("sites").tBodies[0];
    const last = Math.min(first + pageSize, shown.length);
    body.replaceChildren();
    shown.slice(first, last).forEach((index) => addRow(body, index));
    byId("shown").textContent = shown.length ? `${first + 1} to ${last} of ${shown.length}` : "no site";
    byId("previous").disabled = first === 0;
    byId("next").disabled = last >= shown.length;
  };
  const filter = () => {
    const wanted = byId("query").value.toLowerCase();
    const matches = (index) => [sites.name[index], text("op", index), text("module", index), text("source", index)]
      .some((value) => value.toLowerCase().includes(wanted));
    shown = sites.name.map((_, index) => index).filter(matches);
    first = 0;
    list();
  };

  const point = () => {
    const chart = byId("profile");
    const found = [];
    chart.data.forEach((trace, curveNumber) => {
      const pointNumber = trace.x.indexOf(selected);
      const visible = pointNumber >= 0 && trace.y[pointNumber] !== null;
      if (visible && trace.meta.kind !== "finding") found.push({ curveNumber, pointNumber });
    });
    if (!found.length) return;
    const { yaxis } = chart.data[found[0].curveNumber];
    Plotly.Fx.hover(chart, found.slice(0, 1), [yaxis === "y2" ? "xy2" : "xy"]);
  };
  const select = () => {
    const match = /^#site-(\d+)$/.exec(location.hash);
    if (!match || Number(match[1]) >= count) return;
    selected = Number(match[1]);
    if (!shown.includes(selected)) { byId("query").value = ""; filter(); }
    first = Math.floor(shown.indexOf(selected) / pageSize) * pageSize;
    list();
    byId("profile").scrollIntoView({ block: "nearest" });
    byId("row-" + selected).querySelector("a").focus({ preventScroll: true });
    point();
  };

  byId("filter").addEventListener("submit", (event) => event.preventDefault());
  byId("query").addEventListener("input", filter);
  byId("previous").addEventListener("click", () => { first -= pageSize; list(); });
  byId("next").addEventListener("click", () => { first += pageSize; list(); });
  list();
  draw().then(() => {
    for (const id of data.units ? ["profile", "units"] : ["profile"]) {
      byId(id).on("plotly_click", ({ points: [clicked] }) => {
        location.hash = "#site-" + siteOf(clicked.data, clicked.pointNumber);
      });
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    addEventListener("hashchange", select);
    select();
  });
})();
