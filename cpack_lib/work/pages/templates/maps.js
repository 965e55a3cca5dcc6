// The same texts on several maps: what is pointed at in one is marked in all; asks nobody for anything.
const { texts, topics, maps } = JSON.parse(document.getElementById("data").textContent);
const legend = [...document.querySelectorAll(".legend .dot")];
const colours = legend.map(dot => dot.dataset.colour), names = legend.map(dot => dot.parentElement.textContent.trim());
const SVG = "http://www.w3.org/2000/svg", REACH = 40, MARGIN = 25, LISTED = 50;  // in units of a map of 1,000
const by = id => document.getElementById(id);
const hover = by("hover");
let kept = null, shown = null;

function made(name, parent, about = {}, space = null) {
  const element = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(about)) element.setAttribute(key, value);
  return parent.appendChild(element);
}

function draw(map) {
  const panel = made("section", by("maps"), { class: "map" });
  made("h2", panel).textContent = map.name;
  made("p", panel, { class: "state" }).textContent = map.note;
  const side = Math.max(...map.size) + 2 * MARGIN, [left, top] = map.size.map(size => (size - side) / 2);
  const about = { viewBox: [left, top, side, side].join(" "), role: "img", "aria-label": "map by " + map.name };
  const svg = made("svg", panel, about, SVG);
  const points = map.places.map(([cx, cy], row) =>
    made("circle", svg, { cx, cy, r: 9, class: "point", fill: colours[topics[row]] }, SVG));
  const near = map.near[0].map(() => made("circle", svg, { r: 15, class: "near", visibility: "hidden" }, SVG));
  const here = made("circle", svg, { r: 17, class: "here", visibility: "hidden" }, SVG);
  const view = { map, svg, points, near, here, list: made("ol", panel) };
  svg.addEventListener("pointermove", event => point(view, event));
  svg.addEventListener("pointerleave", () => { hover.hidden = true; choose(kept); });
  svg.addEventListener("click", event => { kept = nearest(view, event); point(view, event); choose(kept); });
  return view;
}

function nearest(view, event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(view.svg.getScreenCTM().inverse());
  let best = null, least = REACH ** 2;
  view.map.places.forEach(([x, y], row) => {
    const away = (x - at.x) ** 2 + (y - at.y) ** 2;
    if (away < least) [best, least] = [row, away];
  });
  return best;
}

function point(view, event) {
  const row = nearest(view, event);
  hover.hidden = row === null;
  if (row !== null) {
    hover.textContent = names[topics[row]] + ": " + short(texts[row], 120);
    const { innerWidth, innerHeight } = window, right = innerWidth - hover.offsetWidth - 8;
    hover.style.left = Math.max(8, Math.min(event.clientX + 14, right)) + "px";
    const below = event.clientY + 14 + hover.offsetHeight < innerHeight;
    hover.style.top = (below ? event.clientY + 14 : event.clientY - hover.offsetHeight - 10) + "px";
  }
  if (kept === null) choose(row);
}

function short(text, length) {
  return text.length > length ? text.slice(0, length) + "…" : text;
}

function place(mark, at) {
  mark.setAttribute("visibility", at ? "visible" : "hidden");
  if (at) [["cx", at[0]], ["cy", at[1]]].forEach(([key, value]) => mark.setAttribute(key, value));
}

function choose(row) {
  if (row === shown) return;
  shown = row;
  by("topic").textContent = row === null ? "no text chosen" : names[topics[row]];
  by("text").textContent = row === null ? "" : texts[row];
  for (const { map, near, here, list } of views) {
    place(here, row === null ? null : map.places[row]);
    near.forEach((mark, rank) => place(mark, row === null ? null : map.places[map.near[row][rank]]));
    list.replaceChildren();
    if (row !== null) map.near[row].forEach((other, rank) => entry(list, other, map.cosines[row][rank], row));
  }
}

function entry(list, other, cosine, row) {
  const item = made("li", list, { class: topics[other] === topics[row] ? "same" : "other" });
  made("span", item, { class: "dot" }).style.background = colours[topics[other]];
  item.append(short(texts[other], 40));
  made("span", item, { class: "score" }).textContent = cosine.toFixed(3);
}

function search(line) {
  const words = line.toLowerCase().split(/\s+/).filter(Boolean);
  const holds = text => words.length > 0 && words.every(word => text.toLowerCase().includes(word));
  const found = texts.map(holds), rows = [...found.keys()].filter(row => found[row]);
  document.body.classList.toggle("searching", words.length > 0);
  views.forEach(view => view.points.forEach((mark, row) => mark.classList.toggle("found", found[row])));
  by("count").textContent = words.length ? rows.length + " of " + texts.length + " texts" : "";
  by("found").replaceChildren();
  for (const row of rows.slice(0, LISTED)) {
    const button = made("button", made("li", by("found")), { type: "button" });
    button.textContent = short(texts[row], 60);
    button.addEventListener("click", () => { kept = row; choose(row); });
  }
}

const views = maps.map(draw);
by("search").addEventListener("input", event => search(event.target.value));
document.addEventListener("keydown", event => {
  if (event.key === "Escape") { kept = null; hover.hidden = true; choose(null); }
});
