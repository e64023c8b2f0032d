const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

const show = (value) => {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string" || value === 0) return String(value);
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e5 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
};
const showShare = (value) => {
  if (typeof value !== "number") return show(value);
  return value === 0 ? "0" : value < 1e-4 ? (100 * value).toExponential(1) + " %" : Number((100 * value).toPrecision(3)) + " %";
};
const showPower = (exponent) => "2" + String(exponent).replace("-", "⁻").replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]);

// What comes from the model is only ever set as text, here and everywhere.
const make = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
};
const svg = (name, attributes, text) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
};

// A custom property keeps light-dark() as it is written; only a used colour tells which of the two is meant.
const probe = document.body.appendChild(make("span", { hidden: true }));
const colour = (name) => {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
};

const repaints = [];
const repaint = () => repaints.forEach((each) => each());
const preference = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : preference.matches;
};
const theme = byId("theme");
const showTheme = () => theme.setAttribute("aria-pressed", String(isDark()));
const remember = (value) => {
  try {
    if (value) localStorage.setItem("justright-theme", value);
    return localStorage.getItem("justright-theme");
  } catch {
    return null; // storage may be forbidden for a file; the choice then lasts as long as the page
  }
};
const remembered = remember();
if (remembered === "dark" || remembered === "light") document.documentElement.dataset.theme = remembered;
theme.hidden = false;
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  remember(document.documentElement.dataset.theme);
  showTheme();
  repaint();
});
preference.addEventListener("change", () => { showTheme(); repaint(); });
showTheme();
