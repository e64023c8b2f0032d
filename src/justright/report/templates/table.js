// A table of any length of which only the rows in sight exist: rows are equally high, and two spacers hold the rest.
const OVERSCAN = 12;

const sortKey = (value) => {
  if (value === "inf") return Infinity;
  if (value === "-inf") return -Infinity;
  return value;
};
// What is not a number needs attention, so that it counts as larger than all others; what is missing comes last.
const compare = (a, b, sign) => {
  if (a === null || b === null) return (a === null) - (b === null);
  if (a === "nan" || b === "nan") return sign * ((a === "nan") - (b === "nan"));
  const [x, y] = [sortKey(a), sortKey(b)];
  return sign * (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
};

const makeTable = ({ table, query, status, noun, count, columns, haystack, rowName }) => {
  const scroller = table.parentElement;
  const body = table.tBodies[0];
  const texts = Array.from({ length: count }, (_, index) => haystack(index).join("\n").toLowerCase());
  let order = texts.map((_, index) => index);
  let sorted = { column: -1, sign: 1 };
  let selected = -1;
  let rowHeight = 33;
  let drawn = "";

  const heads = columns.map(({ label, kind }, column) => {
    const button = make("button", { type: "button" }, label);
    button.addEventListener("click", () => { sortBy(column); });
    return make("th", { scope: "col", class: kind, "aria-sort": "none" }, button);
  });
  table.tHead.replaceChildren(make("tr", { "aria-rowindex": 1 }, ...heads));
  table.prepend(make("colgroup", {}, ...columns.map(({ width }) => make("col", { style: `width:${width}` }))));

  const row = (position) => {
    const index = order[position];
    const cells = columns.map(({ cell, kind }) => {
      const content = cell(index);
      const made = make("td", { class: kind }, content);
      if (typeof content === "string") made.title = content;
      return made;
    });
    return make("tr", {
      id: `${rowName}-${index}`, "aria-rowindex": position + 2,
      class: index === selected ? "selected" : null, "aria-current": index === selected ? "true" : null,
    }, ...cells);
  };
  const spacer = (rows) => make("tr", { "aria-hidden": "true", class: "spacer" },
    make("td", { colspan: columns.length, style: `height:${rows * rowHeight}px` }));

  const render = (force) => {
    const headHeight = table.tHead.offsetHeight;
    const first = Math.max(0, Math.floor(scroller.scrollTop / rowHeight) - OVERSCAN);
    const inSight = Math.ceil((scroller.clientHeight - headHeight) / rowHeight) + 2 * OVERSCAN;
    const last = Math.min(order.length, first + inSight);
    if (!force && drawn === `${first} ${last}`) return;
    drawn = `${first} ${last}`;
    const focused = body.contains(document.activeElement);
    const focusedRow = focused ? document.activeElement.closest("tr").id : "";
    const rows = Array.from({ length: last - first }, (_, place) => row(first + place));
    body.replaceChildren(spacer(first), ...rows, spacer(order.length - last));
    if (focused) (byId(focusedRow)?.querySelector("a") || scroller).focus({ preventScroll: true });
    if (rows.length && rows[0].offsetHeight && rows[0].offsetHeight !== rowHeight) {
      rowHeight = rows[0].offsetHeight;
      render(true);
    }
  };
  const tell = () => {
    const found = order.length === count ? `${count} ${noun}` : `${order.length} of ${count} ${noun}`;
    const by = sorted.column < 0 ? "" : `, by ${columns[sorted.column].label}, ${sorted.sign < 0 ? "largest" : "smallest"} first`;
    status.textContent = order.length ? found + by : `no ${noun}`;
  };
  const refresh = () => {
    const wanted = query.value.trim().toLowerCase();
    order = texts.map((_, index) => index).filter((index) => texts[index].includes(wanted));
    const { column, sign } = sorted;
    if (column >= 0) {
      const keys = texts.map((_, index) => columns[column].value(index));
      order.sort((a, b) => compare(keys[a], keys[b], sign) || a - b);
    }
    table.setAttribute("aria-rowcount", order.length + 1);
    scroller.scrollTop = 0;
    tell();
    render(true);
  };
  // The first click shows what is largest, of texts what comes first; the third one restores the order of execution.
  const sortBy = (column) => {
    const start = columns[column].kind === "number" ? -1 : 1;
    const again = sorted.column === column;
    sorted = again && sorted.sign !== start ? { column: -1, sign: 1 } : { column, sign: again ? -start : start };
    heads.forEach((head, place) => {
      const state = place !== sorted.column ? "none" : sorted.sign > 0 ? "ascending" : "descending";
      head.setAttribute("aria-sort", state);
    });
    refresh();
  };
  const select = (index) => {
    selected = index;
    if (!order.includes(index)) { query.value = ""; refresh(); }
    const top = order.indexOf(index) * rowHeight;
    scroller.scrollTop = Math.max(0, top - (scroller.clientHeight - rowHeight) / 2);
    render(true);
    byId(`${rowName}-${index}`).querySelector("a").focus({ preventScroll: true });
    scroller.scrollIntoView({ block: "nearest" });
  };
  const search = (words) => { query.value = words; refresh(); };

  scroller.addEventListener("scroll", () => requestAnimationFrame(() => render(false)), { passive: true });
  addEventListener("resize", () => render(true));
  query.addEventListener("input", refresh);
  query.form.addEventListener("submit", (event) => event.preventDefault());
  refresh();
  return { select, search };
};
