// Indicators: judged, sorted with those at risk first, as a short list and as a table by domain.

import { h, icon } from "./dom.js";
import { DASH, duration, figure, full, gap, goal } from "./format.js";
import { judge, readingIsOld, SEVERITY } from "./judge.js";
import { has, t, title } from "./text.js";

/** Adds status, old and how far the target is missed (part of the target, larger is worse). */
export function assess(reading) {
  const old = readingIsOld(reading);
  const direction = reading.kind === "rank" ? "down" : (reading.direction ?? "up");
  let status = reading.kind === "text" ? "plain" : judge({ value: reading.value, target: reading.target, low: reading.target_low, direction });
  if (old) status = "nodata";
  const distance = reading.gap === null || reading.gap === undefined || direction === "none"
    ? 0 : ((direction === "down" ? 1 : -1) * reading.gap) / (Math.abs(reading.target) || 1);
  // Rates are fractions whatever their unit is called.
  const unit = reading.kind === "rate" ? "ratio" : reading.kind === "flag" ? "flag" : reading.unit;
  return { ...reading, unit, domain: reading.domain ?? reading.indicator.split(".")[0], status, old, distance };
}

export function inScope(reading, scope, places) {
  if (scope === "all") return true;
  for (let code = reading.territory; code; code = places.get(code)?.parent) if (code === scope) return true;
  return false;
}

export const byRisk = (a, b) => SEVERITY[a.status] - SEVERITY[b.status] || b.distance - a.distance || title(a).localeCompare(title(b), "vi");

const domainName = (code) => (has(`dom.${code}`) ? t(`dom.${code}`) : code);
const dims = (reading) => Object.values(reading.dims ?? {}).join(", ");
const shownValue = (r) => (r.kind === "text" ? (r.text ?? DASH) : full(r.value, r.unit));

/** How many indicators have which status: a bar with numbers. */
export function tally(readings) {
  const counts = { bad: 0, warn: 0, good: 0, plain: 0, nodata: 0 };
  for (const r of readings) counts[r.status] += 1;
  return h("div", { class: "tally" }, Object.entries(counts).map(([status, n]) =>
    h("span", { class: `tally-part is-${status}`, title: t(`status.${status}`) }, icon(status), h("b", { text: String(n) }), h("span", { class: "tally-word", text: t(`status.${status}`) }))));
}

/** The worst few. */
export function riskList(readings, { places, most, open }) {
  // One line an indicator, its worst reading; how many others are at risk stands beside the place.
  const groups = new Map();
  for (const r of readings.filter((r) => r.status === "bad" || r.status === "warn").sort(byRisk)) {
    groups.set(r.indicator, [...(groups.get(r.indicator) ?? []), r]);
  }
  const worst = [...groups.values()].slice(0, most).map((all) => ({ ...all[0], more: all.length - 1 }));
  if (worst.length === 0) return h("p", { class: "empty", text: t(readings.length ? "risk.none" : "risk.empty") });
  return h("ol", { class: "risk-list" }, worst.map((r) =>
    h("li", { class: `is-${r.status}` }, icon(r.status),
      h("button", { type: "button", class: "link risk-what", onclick: () => open(r) }, h("b", { text: title(r) }),
        h("span", { class: "sub", text: [places.get(r.territory)?.name ?? r.territory, dims(r), r.more ? t("risk.more", { n: r.more }) : ""].filter(Boolean).join(" · ") })),
      h("span", { class: "risk-figure" }, h("b", { text: shownValue(r) }), h("span", { class: "sub", text: `${t("tile.target")} ${goal(r.target, r.unit)}` })))));
}

/** One card a domain with its tally; `chosen` is pressed. */
export function domainCards(readings, { chosen, pick }) {
  const groups = new Map();
  for (const r of readings) groups.set(r.domain, [...(groups.get(r.domain) ?? []), r]);
  const worst = (list) => list.filter((r) => r.status === "bad").length * 1000 + list.filter((r) => r.status === "warn").length;
  const sorted = [...groups].sort((a, b) => worst(b[1]) - worst(a[1]));
  const card = (code, name, list) =>
    h("button", { type: "button", class: "domain-card", "aria-pressed": String(code === chosen), "data-domain": code, onclick: () => pick(code) },
      h("span", { class: "domain-name" }, name, h("span", { class: "sub", text: String(list.length) })), tally(list), share(list));
  return [card("", t("ind.all"), readings), ...sorted.map(([code, list]) => card(code, domainName(code), list))];
}

function share(list) {
  const bar = h("span", { class: "share", "aria-hidden": "true" });
  for (const status of ["bad", "warn", "good", "plain", "nodata"]) {
    const n = list.filter((r) => r.status === status).length;
    if (n) bar.append(h("i", { class: `is-${status}`, css: { flex: String(n) } }));
  }
  return bar;
}

/** The table of readings, at risk first. */
export function riskTable(readings, { places, open }) {
  const head = ["name", "value", "target", "gap", "age"];
  return h("table", { class: "ranking indicators" },
    h("thead", {}, h("tr", {}, head.map((c) => h("th", { scope: "col", class: c === "name" ? "ind-name" : `rank-figure ind-${c}`, text: t(`ind.${c}`) })))),
    h("tbody", {}, [...readings].sort(byRisk).map((r) => {
      const { main, unit } = r.kind === "text" ? { main: r.text ?? DASH, unit: "" } : figure(r.value, r.unit);
      return h("tr", { class: `is-${r.status}`, "data-series": r.series },
        h("th", { scope: "row", class: "ind-name" }, h("span", { class: "ind-line" }, icon(r.status),
          h("span", {}, h("button", { type: "button", class: "link", onclick: () => open(r) }, title(r)),
            h("span", { class: "sub", text: [places.get(r.territory)?.name ?? r.territory, dims(r), r.old ? t("ind.old") : ""].filter(Boolean).join(" · ") })))),
        r.kind === "text" ? h("td", { class: "ind-text", colspan: 3, title: main }, h("span", { text: main }))
          : h("td", { class: `rank-figure is-${r.status}` }, h("b", { text: main }), unit ? ` ${unit}` : ""),
        ...(r.kind === "text" ? [] : [
        h("td", { class: "rank-figure", text: r.target === null || r.target === undefined ? DASH : goal(r.target, r.unit) }),
        h("td", { class: "rank-figure", text: gap(r.gap, r.unit) })]),
        h("td", { class: "rank-figure sub", text: duration(r.age_seconds) }));
    })));
}
