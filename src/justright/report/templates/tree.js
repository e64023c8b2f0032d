// Modules as nested details: the browser knows how to fold them with the keyboard and how to announce them.
const makeTree = () => {
  const root = { children: new Map(), sites: [], path: "" };
  sites.name.forEach((_, index) => {
    let node = root;
    const path = text("module", index);
    const steps = path ? path.split(".") : [];
    node.sites.push(index);
    steps.forEach((step, place) => {
      if (!node.children.has(step)) node.children.set(step, { children: new Map(), sites: [], path: steps.slice(0, place + 1).join(".") });
      node = node.children.get(step);
      node.sites.push(index);
    });
  });

  const range = (indices, column) => {
    const values = indices.map((index) => sites[column][index]).filter((value) => value !== null);
    const finite = values.filter((value) => typeof value === "number" && value > 0);
    const odd = [...new Set(values.filter((value) => typeof value === "string" || value === 0))].map(String);
    let [least, most] = [Infinity, -Infinity];
    finite.forEach((value) => { least = Math.min(least, value); most = Math.max(most, value); });
    const ends = finite.length ? [least === most ? show(least) : `${show(least)} to ${show(most)}`] : [];
    return [...ends, ...odd].join(", ") || "–";
  };
  const badge = (indices) => {
    const found = new Set(indices.flatMap((index) => sites.found[index]));
    const worst = [...found].map((number) => data.findings[number].severity).sort((a, b) => severities[b] - severities[a])[0];
    return worst ? make("span", { class: `badge ${worst}` }, `${worst}${found.size > 1 ? `, ${found.size} findings` : ""}`) : null;
  };
  const summary = (name, node) => make("summary", {},
    make("code", {}, name), " ", make("span", { class: "type" }, data.modules[node.path] || ""), " ", badge(node.sites),
    make("span", { class: "numbers" }, `rms ${range(node.sites, "rms")}; gradient ${range(node.sites, "gradient")}`));
  const links = (node) => {
    const more = make("a", { href: "#sites-title" }, node.sites.length === 1 ? "1 site in the table" : `${node.sites.length} sites in the table`);
    more.addEventListener("click", () => siteTable.search(node.path));
    return make("p", { class: "sites" }, more);
  };
  // Children are made when their parent is first unfolded, so that thousands of modules cost nothing until then.
  const fill = (details, node) => {
    if (details.children.length > 1) return;
    details.append(links(node), ...[...node.children].map(([name, child]) => branch(name, child)));
  };
  const branch = (name, node) => {
    const details = make("details", {}, summary(name, node));
    details.addEventListener("toggle", () => { if (details.open) fill(details, node); });
    return details;
  };

  const host = byId("modules");
  const top = branch(data.title || "model", root);
  host.append(top);
  const unfold = (details, node, depth) => {
    fill(details, node);
    details.open = true;
    const inner = details.querySelectorAll(":scope > details");
    if (depth > 1) [...node.children.values()].forEach((child, place) => unfold(inner[place], child, depth - 1));
  };
  byId("unfold").addEventListener("click", () => unfold(top, root, Infinity));
  byId("fold").addEventListener("click", () => host.querySelectorAll("details").forEach((each) => { each.open = each === top; }));
  unfold(top, root, 1);
};
