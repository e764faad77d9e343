// Elements from data. Styles go through CSSOM (`css`), never through a style attribute: the page
// must live under `style-src 'self'`.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "css") for (const [k, v] of Object.entries(value)) node.style.setProperty(k, v);
    else if (name === "text") node.textContent = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

/** An HTML element. */
export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);

/** An SVG element. */
export const s = (tag, props, ...children) =>
  fill(document.createElementNS(SVG, tag), props, children);

/** Set text only when it changes, so that nothing is repainted or announced for nothing. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttr(node, name, value) {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// One shape a status, so that colour is never alone: disc with a tick, triangle with a bar,
// square with a cross, hollow ring, dot.
const SHAPES = {
  good: () => [s("circle", { cx: 8, cy: 8, r: 7 }), s("path", { d: "M4.6 8.2 7 10.6l4.6-5", class: "ink" })],
  warn: () => [s("path", { d: "M8 1.2 15.4 14.4H.6Z" }), s("path", { d: "M8 6v4m0 2v.4", class: "ink" })],
  bad: () => [s("rect", { x: 1.4, y: 1.4, width: 13.2, height: 13.2, rx: 2 }), s("path", { d: "m5 5 6 6m0-6-6 6", class: "ink" })],
  nodata: () => [s("circle", { cx: 8, cy: 8, r: 6, class: "ring" })],
  plain: () => [s("circle", { cx: 8, cy: 8, r: 3.4 })],
};

/** The icon of a status: good, warn, bad, nodata or plain. */
export function icon(status) {
  return s("svg", { viewBox: "0 0 16 16", class: `icon is-${status}`, "aria-hidden": "true" }, SHAPES[status]());
}
