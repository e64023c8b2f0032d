const sites = data.sites;
const count = sites.name.length;
const text = (column, index) => data.texts[sites[column][index]];

const findingLinks = (index) => {
  const links = make("span");
  sites.found[index].forEach((number) => {
    const { code, severity, name } = data.findings[number];
    const label = `${code}: ${severity}, ${name}`;
    links.append(make("a", { href: `#finding-${number + 1}`, class: `code ${severity}`, "aria-label": label, title: label }, code), " ");
  });
  return links;
};
const plain = (column) => ({ cell: (index) => text(column, index), value: (index) => text(column, index) });
const quantity = (column, format = show) => ({
  kind: "number", width: "6.2rem", cell: (index) => format(sites[column][index]), value: (index) => sites[column][index],
});
const severities = { error: 3, warning: 2, note: 1 };
const worstOf = (index) => Math.max(0, ...sites.found[index].map((number) => severities[data.findings[number].severity]));

const siteTable = makeTable({
  table: byId("sites"), query: byId("query"), status: byId("shown"), noun: "sites", rowName: "row", count,
  haystack: (index) => [sites.name[index], text("op", index), text("module", index), text("source", index),
    ...sites.found[index].map((number) => data.findings[number].code)],
  columns: [
    { label: "#", kind: "number", width: "4rem", value: (index) => index,
      cell: (index) => make("a", { href: `#site-${index}`, "data-chart": true, "aria-label": `Show site ${index} in the charts` }, String(index)) },
    { label: "site", kind: "name", width: "17rem", cell: (index) => sites.name[index], value: (index) => sites.name[index] },
    { label: "findings", kind: "number found", width: "6.4rem", cell: findingLinks, value: (index) => worstOf(index) || null },
    { label: "depth", ...quantity("depth", String), width: "4.6rem" },
    { label: "rms", ...quantity("rms") },
    { label: "gradient rms", ...quantity("gradient"), width: "8rem" },
    { label: "gain", ...quantity("gain") },
    { label: "largest", ...quantity("absmax") },
    { label: "zeros", ...quantity("zeros", showShare) },
    { label: "operator", width: "8rem", ...plain("op") },
    { label: "source", width: "12rem", ...plain("source") },
    { label: "tensor", width: "11rem", ...plain("type") },
  ],
});
