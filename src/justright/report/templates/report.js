const heat = count ? makeHeatmap() : null;
if (count) makeTree();

const select = (toChart) => {
  const match = /^#site-(\d+)$/.exec(location.hash);
  if (!match || Number(match[1]) >= count) return;
  const index = Number(match[1]);
  heat.move(index);
  siteTable.select(index);
  if (toChart) byId("profile").scrollIntoView({ block: "start" });
  drawn.then(() => point(index)).catch(() => {});
};
// A link to the hash that is already there changes nothing that a browser would report.
addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#site-']");
  if (!link) return;
  event.preventDefault();
  if (link.getAttribute("href") !== location.hash) history.pushState(null, "", link.getAttribute("href"));
  select(link.hasAttribute("data-chart"));
});
addEventListener("hashchange", () => select(false));

const drawn = drawProfile().then(() => {
  for (const id of data.units ? ["profile", "units"] : ["profile"]) {
    byId(id).on("plotly_click", ({ points: [clicked] }) => {
      location.hash = `#site-${siteOf(clicked.data, clicked.pointNumber)}`;
    });
  }
  if (heat) byId("profile").on("plotly_relayout", () => heat.zoom(...byId("profile").layout.xaxis.range));
  repaints.push(drawProfile);
});
drawn.catch(withoutPlotly("profile"));
select(false);
