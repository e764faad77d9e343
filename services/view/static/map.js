// The district map: one sketch a province (no tiles, no borders), a marker a district at its
// coordinates, its figure inside, its shape and colour by status. Markers that would cover each
// other are pushed apart and tied to their place by a line.

import { h, s } from "./dom.js";
import { COAST, RIVERS, SEA } from "./coast.js";
import { member, t } from "./text.js";

const PAD = 30;
const LEAST = { width: 240, height: 150 };
/** The layout in which the page fills the screen and does not scroll (layout.css). */
const FILLS = "(min-width: 1200px) and (min-height: 840px)";

/** Equirectangular, as large as fits. */
function projection(places, { width, height }) {
  const lats = places.map((p) => p.lat);
  const lons = places.map((p) => p.lon);
  const lat0 = (Math.min(...lats) + Math.max(...lats)) / 2;
  const lon0 = (Math.min(...lons) + Math.max(...lons)) / 2;
  const squeeze = Math.cos((lat0 * Math.PI) / 180);
  const scale = Math.min(
    (width - 2 * PAD) / Math.max(0.05, (Math.max(...lons) - Math.min(...lons)) * squeeze),
    (height - 2 * PAD) / Math.max(0.05, Math.max(...lats) - Math.min(...lats)),
  );
  const to = ([lat, lon]) => [width / 2 + (lon - lon0) * squeeze * scale, height / 2 - (lat - lat0) * scale];
  const back = ([x, y]) => [lat0 - (y - height / 2) / scale, lon0 + (x - width / 2) / scale / squeeze];
  return { to, back };
}

/** Push overlapping markers apart; each has x, y, r. */
function spread(marks, { width, height }) {
  for (const m of marks) Object.assign(m, { x: m.x0, y: m.y0 });
  for (let round = 0; round < 80; round += 1) {
    let moved = false;
    for (let i = 0; i < marks.length; i += 1) {
      for (let j = i + 1; j < marks.length; j += 1) {
        const [a, b] = [marks[i], marks[j]];
        const [dx, dy] = [b.x - a.x || 0.01, b.y - a.y || 0.01];
        const far = Math.hypot(dx, dy);
        const need = a.r + b.r + 3;
        if (far >= need) continue;
        const push = (need - far) / 2 / far;
        a.x -= dx * push;
        a.y -= dy * push;
        b.x += dx * push;
        b.y += dy * push;
        moved = true;
      }
    }
    for (const m of marks) {
      m.x = Math.min(width - m.r - 2, Math.max(m.r + 2, m.x));
      m.y = Math.min(height - m.r - 2, Math.max(m.r + 16, m.y));
    }
    if (!moved) break;
  }
}

/** Names go where they cover nothing: right, left, below, above, or nowhere. */
function placeNames(marks, { width, height }, size, taken) {
  const boxes = marks.map((m) => [m.x - m.r, m.y - m.r, m.x + m.r, m.y + m.r]);
  boxes.push([0, 0, width * 0.42, 20], ...taken);
  const free = (box) =>
    box[0] >= 2 && box[2] <= width - 2 && box[1] >= 2 && box[3] <= height - 2 &&
    boxes.every((b) => box[2] <= b[0] || box[0] >= b[2] || box[3] <= b[1] || box[1] >= b[3]);
  for (const m of [...marks].sort((a, b) => a.order - b.order)) {
    const w = m.name.length * size * 0.56;
    const options = [
      ["start", m.x + m.r + 3, m.y + size * 0.35],
      ["end", m.x - m.r - 3, m.y + size * 0.35],
      ["middle", m.x, m.y + m.r + size],
      ["middle", m.x, m.y - m.r - 3],
    ];
    for (const [anchor, x, y] of options) {
      const left = anchor === "start" ? x : anchor === "end" ? x - w : x - w / 2;
      const box = [left, y - size, left + w, y + size * 0.25];
      if (!free(box)) continue;
      boxes.push(box);
      m.label = { anchor, x, y };
      break;
    }
  }
}

function outline(status, r) {
  switch (status) {
    case "warn":
      return s("path", { d: `M0 ${-r * 1.18}L${r * 1.2} ${r * 0.92}H${-r * 1.2}Z` });
    case "bad":
      return s("rect", { x: -r, y: -r, width: 2 * r, height: 2 * r, rx: r * 0.22 });
    default:
      return s("circle", { r });
  }
}

function graticule(proj, size) {
  const [south, west] = proj.back([0, size.height]);
  const [north, east] = proj.back([size.width, 0]);
  const step = north - south > 0.9 ? 0.5 : 0.25;
  const lines = [];
  for (let lat = Math.ceil(south / step) * step; lat < north; lat += step) {
    const y = proj.to([lat, west])[1];
    if (y < 14) continue;
    lines.push(s("path", { d: `M0 ${y}H${size.width}` }), s("text", { x: size.width - 3, y: y - 2, "text-anchor": "end", text: `${lat.toFixed(2)}°${t("map.north")}` }));
  }
  for (let lon = Math.ceil(west / step) * step; lon < east; lon += step) {
    const x = proj.to([south, lon])[0];
    lines.push(s("path", { d: `M${x} 0V${size.height}` }));
  }
  return s("g", { class: "graticule", "aria-hidden": "true" }, lines);
}

const path = (line, proj) => "M" + line.map((p) => proj.to(p).map((n) => n.toFixed(1)).join(" ")).join("L");

function sketch({ province, districts, figures, urgent, chosen, large, size, pick, pickProvince }) {
  const proj = projection(districts, size);
  const counts = figures.kind === "count";
  const top = Math.max(1, ...districts.map((d) => figures.of(d.code).value ?? 0));
  const rest = Math.min(large ? 17 : 12.5, Math.max(9, size.height / 14));
  const marks = districts.map((d) => {
    const f = figures.of(d.code);
    const [x0, y0] = proj.to([d.lat, d.lon]);
    const grow = counts ? Math.sqrt((f.value ?? 0) / top) : 0.5;
    return { ...f, code: d.code, name: d.name, x0, y0, r: rest + grow * rest * 0.5 };
  });
  spread(marks, size);
  const seas = SEA.map((p) => proj.to(p)).filter(([x, y]) => x > 0 && x < size.width - 60 && y > 12 && y < size.height);
  placeNames(marks, size, large ? 13 : 11, seas.map(([x, y]) => [x, y - 10, x + 62, y + 3]));
  const dots = urgent
    .map((u) => ({ ...u, at: proj.to([u.lat, u.lon]) }))
    .filter((u) => u.at[0] > 4 && u.at[0] < size.width - 4 && u.at[1] > 4 && u.at[1] < size.height - 4);
  const picture = s(
    "svg",
    { viewBox: `0 0 ${size.width} ${size.height}`, class: "sketch", role: "group", "aria-label": province.name },
    graticule(proj, size),
    s("g", { class: "water", "aria-hidden": "true" },
      COAST.map((line) => s("path", { class: "coast", d: path(line, proj) })),
      RIVERS.map((line) => s("path", { class: "river", d: path(line, proj) })),
      seas.map(([x, y]) => s("text", { x, y, class: "sea", text: t("map.sea") }))),
    s("g", { class: "ties", "aria-hidden": "true" },
      marks.filter((m) => Math.hypot(m.x - m.x0, m.y - m.y0) > 4)
        .map((m) => s("g", {}, s("path", { d: `M${m.x0} ${m.y0}L${m.x} ${m.y}` }), s("circle", { cx: m.x0, cy: m.y0, r: 2 })))),
    s("g", { class: "urgent-dots", "aria-hidden": "true" },
      dots.map((u) => s("path", { transform: `translate(${u.at[0]} ${u.at[1]})`, d: "M0-7 5 0 0 7-5 0Z" }, s("title", { text: `${t("map.urgent")}: ${member(u.category)}` })))),
    marks.map((m) => {
      const act = (event) => {
        if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        pick(m.code);
      };
      return s(
        "g",
        {
          class: `mark is-${m.status}${m.faint ? " is-small" : ""}${m.code === chosen ? " is-chosen" : ""}`,
          transform: `translate(${m.x.toFixed(1)} ${m.y.toFixed(1)})`,
          tabindex: 0,
          role: "button",
          "aria-label": `${m.name}: ${m.spoken}`,
          "data-code": m.code,
          onclick: act,
          onkeydown: act,
        },
        s("title", { text: `${m.name}: ${m.spoken}` }),
        outline(m.status, m.r),
        s("text", { class: "mark-value", y: m.status === "warn" ? m.r * 0.5 : m.r * 0.32, text: m.short, "font-size": Math.min(m.r * 0.95, (m.r * 3.1) / Math.max(2, m.short.length)).toFixed(1) }),
      );
    }),
    s("g", { class: "names", "aria-hidden": "true" },
      marks.filter((m) => m.label).map((m) => s("text", { x: m.label.x, y: m.label.y, "text-anchor": m.label.anchor, text: m.name }))),
  );
  return h(
    "div",
    { class: "sketch-box" },
    h("button", { type: "button", class: "sketch-title", onclick: () => pickProvince(province.code), text: province.name }),
    picture,
  );
}

/**
 * Draw the map anew into `host`.
 * @param {object} data provinces and districts in scope, figures ({kind, of(code)}), urgent reports,
 *   chosen district, pick(code), pickProvince(code)
 */
export function drawMap(host, { provinces, districts, urgent, ...rest }) {
  const large = provinces.length === 1;
  const focused = host.contains(document.activeElement) ? document.activeElement.getAttribute("data-code") : null;
  host.classList.toggle("is-single", large);
  // Drawn in the pixels it will have, at a 16 px root: a wall's larger root scales it as a whole.
  const root = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  const columns = large || getComputedStyle(host).gridTemplateColumns.split(" ").length < 2 ? 1 : 2;
  const lines = Math.ceil(provinces.length / columns);
  const free = host.clientHeight / root - (lines - 1) * 6.4;
  const width = Math.max(LEAST.width, (host.clientWidth / root - (columns - 1) * 6.4) / columns - 2);
  const height = matchMedia(FILLS).matches ? Math.max(LEAST.height, free / lines - 2) : width * (large ? 0.8 : 0.62);
  const size = { width, height };
  host.replaceChildren(
    ...provinces.map((province) =>
      sketch({
        ...rest,
        size,
        province,
        large,
        districts: districts.filter((d) => d.parent === province.code && d.lat !== null && d.lon !== null),
        urgent: urgent.filter((u) => u.province_code === province.code && u.lat && u.lon),
      }),
    ),
  );
  if (focused) host.querySelector(`[data-code="${CSS.escape(focused)}"]`)?.focus();
}
