// The dialog behind a tile: the figure and how it is made, its trend, its parts by a dimension, and
// where it comes from, one territory level down at a time.

import * as api from "./api.js";
import { bars } from "./bars.js";
import { BASE_OF, WINDOWS, windowOf } from "./boards.js";
import { Lines } from "./chart.js";
import { h, icon } from "./dom.js";
import { DASH, duration, figure, full, gap, goal, hourMinute, dayMonth, number } from "./format.js";
import { plan, read } from "./history.js";
import { judge } from "./judge.js";
import { has, member, t, title } from "./text.js";

const REREAD_MS = 15_000;

/** A line and, beside it, its target. */
function withTarget(line, target) {
  if (target === null || target === undefined || target === 0) return [line];
  return [line, { label: t("tile.target"), unit: line.unit, points: line.points.map(([at]) => [at, target]) }];
}

export class Detail {
  #abort = new AbortController();
  #timer = 0;
  #chart = null;

  /** `context()` gives {kpis, places, now, below(code), nameOf(code)}; `drill(code)` moves the wall. */
  constructor(dialog, { context, drill }) {
    this.dialog = dialog;
    this.context = context;
    this.drill = drill;
    dialog.addEventListener("close", () => this.#stop());
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
  }

  #stop() {
    clearInterval(this.#timer);
    this.#abort.abort();
    this.#chart?.destroy();
    this.#chart = null;
  }

  #frame(heading, sub, ...body) {
    this.#stop();
    this.#abort = new AbortController();
    this.dialog.replaceChildren(
      h("div", { class: "detail" },
        h("header", { class: "detail-head" },
          h("div", {}, h("h2", { id: "detail-title", text: heading }), sub),
          h("button", { type: "button", class: "button close", "aria-label": t("app.close"), onclick: () => this.dialog.close(), text: "✕" })),
        ...body),
    );
    if (!this.dialog.open) this.dialog.showModal();
  }

  /** Open on a KPI; `window` as chosen on the wall. */
  kpi(kpi, territory, window, dimension = kpi.dimensions[0] ?? null) {
    const { nameOf, places } = this.context();
    const span = windowOf(kpi, window);
    const again = (next) => this.kpi(kpi, next.territory ?? territory, next.window ?? window, next.dimension ?? dimension);
    const windows = kpi.windows.length
      ? h("label", { class: "pick" }, t("app.window"), " ",
          h("select", { onchange: (e) => again({ window: e.target.value }) },
            WINDOWS.filter((w) => w === "auto" || kpi.windows.includes(w)).map((w) => h("option", { value: w, selected: w === window, text: w === "auto" ? `${t("w.auto")} (${t(`w.${windowOf(kpi, w)}`)})` : t(`w.${w}`) }))))
      : h("span", { class: "chip", text: t("tile.now") });
    const trail = [];
    for (let code = territory; code; code = code === "all" ? null : (places.get(code)?.parent ?? "all")) trail.unshift(code);
    const crumbs = h("nav", { class: "crumbs", "aria-label": t("app.scope") },
      trail.map((code) => h("button", { type: "button", class: "link", "aria-current": code === territory ? "true" : null, onclick: () => again({ territory: code }), text: nameOf(code) })));
    const large = h("div", { class: "detail-figure" });
    const host = h("div", { class: "detail-chart" });
    const parts = h("div", { class: "detail-list" });
    const where = h("div", { class: "detail-list" });
    const dimensions = h("div", { class: "segments", role: "group", "aria-label": t("detail.by") },
      kpi.dimensions.map((d) => h("button", { type: "button", "aria-pressed": String(d === dimension), onclick: () => again({ dimension: d }), text: t(`dim.${d}`) })));
    this.#frame(title(kpi), crumbs,
      h("div", { class: "detail-top" }, large,
        h("div", { class: "detail-how" }, windows, h("p", {}, h("b", { text: `${t("detail.formula")}: ` }), kpi.formula),
          territory === "all" ? null : h("button", { type: "button", class: "button", onclick: () => { this.dialog.close(); this.drill(territory); }, text: t("detail.drill", { p: nameOf(territory) }) }))),
      h("section", { class: "detail-trend" }, h("h3", { text: this.#trendTitle(kpi) }), host),
      h("div", { class: "detail-columns" },
        h("section", {}, h("h3", { text: t("detail.by") }), dimensions, parts),
        h("section", {}, h("h3", { text: t("detail.where") }), where)));
    this.#chart = new Lines(host);
    const query = { window: span, territory };
    const refresh = () => void this.#fill(kpi, query, { large, parts, where, dimension, again });
    refresh();
    this.#timer = setInterval(refresh, REREAD_MS);
    void this.#draw(kpi, territory);
  }

  #trendTitle(kpi) {
    const { step } = plan(kpi, this.context().now());
    return t(`detail.trend.${step < 3600 ? 60 : step}`);
  }

  async #draw(kpi, territory) {
    const chart = this.#chart;
    try {
      const points = await read(kpi, territory, this.context().now());
      if (this.#chart === chart) chart?.set(withTarget({ label: title(kpi), unit: kpi.unit, points }, kpi.target));
    } catch {
      if (this.#chart === chart) chart?.legend.replaceChildren(h("span", { class: "empty", text: t("trend.empty") }));
    }
  }

  async #fill(kpi, query, { large, parts, where, dimension, again }) {
    const { signal } = this.#abort;
    const ask = (name, extra) => api.kpi(name, { ...query, ...extra }, { signal });
    const base = BASE_OF[kpi.name];
    const below = this.context().below(query.territory);
    const fill = async (host, work) => {
      try {
        const content = await work();
        if (!signal.aborted) host.replaceChildren(...[content].flat());
      } catch (error) {
        if (!signal.aborted) host.replaceChildren(h("p", { class: "empty", text: t("detail.failed") }));
      }
    };
    const baseOf = async (extra) => {
      if (!base) return () => null;
      const rows = (await ask(base, extra)).rows;
      return (row) => rows.find((r) => r.by === row.by && r.territory === row.territory)?.value ?? null;
    };
    const judged = (row, baseValue) => judge({ value: row.value, target: kpi.target, direction: kpi.direction, base: baseValue });
    await Promise.all([
      fill(large, async () => {
        const [answer, of] = await Promise.all([ask(kpi.name), baseOf({})]);
        const row = answer.rows[0];
        const status = judged(row, of(row));
        const { main, unit } = figure(row.value, kpi.unit);
        const facts = [];
        if (kpi.target !== null && kpi.target !== undefined) facts.push(`${t("tile.target")} ${kpi.direction === "down" ? "≤" : "≥"} ${goal(kpi.target, kpi.unit)}`);
        if (row.numerator !== null && row.numerator !== undefined && kpi.unit === "ratio") facts.push(`${number(row.numerator)} / ${number(row.denominator)}`);
        else if (row.count !== null && row.count !== row.value) facts.push(`${number(row.count)} ${t("detail.count")}`);
        return h("div", { class: `is-${status}` }, h("p", { class: "detail-main" }, main, " ", h("small", { text: unit })),
          h("p", { class: "detail-status" }, icon(status), t(`status.${status}`)), facts.map((f) => h("p", { class: "sub", text: f })));
      }),
      fill(parts, async () => {
        if (!dimension) return h("p", { class: "empty", text: DASH });
        const [answer, of] = await Promise.all([ask(kpi.name, { by: dimension }), baseOf({ by: dimension })]);
        return bars(answer.rows.map((r) => ({ name: member(r.by), value: r.value, count: r.count, status: judged(r, of(r)) })),
          { unit: kpi.unit, label: t(`dim.${dimension}`), ordered: dimension === "step" });
      }),
      fill(where, async () => {
        if (!below) return h("p", { class: "empty", text: DASH });
        const [answer, of] = await Promise.all([ask(kpi.name, { by: below }), baseOf({ by: below })]);
        const { nameOf, codeOf, places } = this.context();
        return bars(answer.rows.map((r) => {
          const code = codeOf(r);
          return { name: nameOf(code), value: r.value, count: r.count, status: judged(r, of(r)), act: places.has(code) ? () => again({ territory: code }) : null };
        }), { unit: kpi.unit, label: t("detail.where") });
      }),
    ]);
  }

  /** Open on one indicator reading (judged by `assess`). */
  indicator(reading) {
    const { nameOf, now } = this.context();
    const { main, unit } = reading.kind === "text" ? { main: reading.text ?? DASH, unit: "" } : figure(reading.value, reading.unit);
    const when = (at) => (at ? `${hourMinute(Date.parse(at))} ${dayMonth(Date.parse(at))}` : DASH);
    const facts = [
      [t("ind.target"), reading.target === null || reading.target === undefined ? DASH : goal(reading.target, reading.unit)],
      [t("ind.gap"), gap(reading.gap, reading.unit)],
      [t("ind.base"), reading.denominator ? `${number(reading.numerator)} / ${number(reading.denominator)}` : DASH],
      [t("ind.age"), duration(reading.age_seconds)],
      [t("ind.period"), `${when(reading.period_start)} – ${when(reading.period_end)}`],
      [t("ind.source"), reading.source_system ?? DASH],
    ];
    const host = h("div", { class: "detail-chart" });
    const domain = `dom.${reading.domain}`;
    const dims = Object.entries(reading.dims ?? {}).map(([k, v]) => `${k} ${v}`);
    this.#frame(title(reading), h("p", { class: "sub", text: [nameOf(reading.territory), has(domain) ? t(domain) : reading.domain, ...dims, reading.indicator].join(" · ") }),
      h("div", { class: "detail-top" },
        h("div", { class: `detail-figure is-${reading.status}` }, h("p", { class: "detail-main" }, main, " ", h("small", { text: unit })),
          h("p", { class: "detail-status" }, icon(reading.status), reading.old ? t("ind.old") : t(`status.${reading.status}`))),
        h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", { text: name }), h("dd", { text: value }))))),
      reading.kind === "text" ? null : h("section", { class: "detail-trend" }, h("h3", { text: t("detail.trend") }), host));
    if (reading.kind === "text") return;
    const chart = new Lines(host);
    this.#chart = chart;
    const to = Math.floor(now() / 3600_000) * 3600_000;
    const day = 24 * 3600_000;
    api.series("ind.value", { series: reading.series, from: to - 30 * day, to, step: 6 * 3600 }, { signal: this.#abort.signal })
      .then((points) => this.#chart === chart && chart.set(withTarget({ label: title(reading), unit: reading.unit, points }, reading.target)))
      .catch(() => this.#chart === chart && chart.legend.replaceChildren(h("span", { class: "empty", text: t("trend.empty") })));
  }
}

