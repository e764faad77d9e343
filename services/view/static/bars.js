// Rows of bars: one KPI split by a dimension or by place, largest first, the count beside a rate.

import { h, icon } from "./dom.js";
import { DASH, full, number } from "./format.js";
import { SMALL_BASE } from "./judge.js";

/**
 * @param {Array<{name: string, value: number|null, count: number|null, status: string, act?: Function}>} rows
 * @param {{unit: string, label: string, ordered?: boolean}} options ordered: keep the given order
 */
export function bars(rows, { unit, label, ordered = false }) {
  const sorted = ordered ? rows : [...rows].sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity));
  const top = Math.max(unit === "ratio" ? 1 : 0, ...rows.map((r) => r.value ?? 0)) || 1;
  return h("ul", { class: "bars", "aria-label": label }, sorted.map((r) => {
    const faint = unit === "ratio" && (r.count ?? 0) < SMALL_BASE;
    return h("li", { class: `bar is-${r.status}${faint ? " is-small" : ""}` },
      h("span", { class: "bar-name" }, r.act ? h("button", { type: "button", class: "link", onclick: r.act, text: r.name }) : r.name),
      h("span", { class: "bar-track", "aria-hidden": "true" }, h("i", { css: { width: `${Math.max(0, ((r.value ?? 0) / top) * 100)}%` } })),
      h("span", { class: "bar-value" }, ["good", "warn", "bad"].includes(r.status) ? icon(r.status) : null,
        h("b", { text: r.value === null ? DASH : full(r.value, unit) }),
        unit === "ratio" || ["hours", "minutes", "days"].includes(unit) ? h("span", { class: "sub", text: `(${number(r.count ?? 0)})` }) : null));
  }));
}
