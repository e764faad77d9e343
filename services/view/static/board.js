// A board: bands of tiles, panels under them, map and ranking beside. Built once for a choice of
// board, scope, window and language; `update` keeps it current.

import { bars } from "./bars.js";
import { BASE_OF, BOARDS, TOPIC_OF, TRENDS, windowOf } from "./boards.js";
import { Lines } from "./chart.js";
import { h } from "./dom.js";
import { full } from "./format.js";
import { read } from "./history.js";
import { judge, silence, SMALL_BASE } from "./judge.js";
import { drawMap } from "./map.js";
import { urgentList } from "./panels.js";
import { Ranking } from "./ranking.js";
import { riskList, tally } from "./risk.js";
import { member, t, title } from "./text.js";
import { Tile } from "./tiles.js";

const LINES_MS = 5 * 60_000;
const MAP_MS = 2000;
const DISTRICTS_MS = 20_000;

const panel = (name, heading, ...body) =>
  h("section", { class: `panel panel-${name}`, "aria-label": typeof heading === "string" ? heading : null },
    h("header", { class: "panel-head" }, typeof heading === "string" ? h("h2", { text: heading }) : heading), ...body);

export class Board {
  #linesAt = 0;
  #mapAt = 0;
  #mapKey = "";

  /** `wall` is the page's state: kpis, live, places, scope, window, now(), open(kpi), … */
  constructor(wall, name) {
    this.wall = wall;
    this.spec = BOARDS[name];
    this.name = name;
    const { kpis } = wall;
    const known = (list) => list.filter((k) => kpis.has(k));
    this.tiles = new Map();
    const bands = this.spec.bands.map(([domain, names]) => {
      const tiles = known(names).map((k) => new Tile(kpis.get(k), (kpi) => wall.open(kpi)));
      for (const tile of tiles) this.tiles.set(tile.kpi.name, tile);
      return h("section", { class: `band band-${domain}`, "aria-label": t(`board.${domain}`) },
        this.spec.bands.length > 1 ? h("h2", { class: "band-title", text: t(`board.${domain}`) }) : null,
        h("div", { class: "tiles" }, tiles.map((tile) => tile.node)));
    });
    this.metrics = known(this.spec.map);
    this.metric = this.metrics[0];
    this.columns = known(this.spec.ranking);
    this.ranking = new Ranking({ columns: this.columns, kpis, pick: (code) => wall.go({ territory: code }) });
    this.map = h("div", { class: "map" });
    this.mapWatcher = new ResizeObserver(() => {
      this.#mapAt = 0;
      this.#mapKey = "";
      this.update();
    });
    this.mapWatcher.observe(this.map);
    const lists = [...this.#panels()];
    this.node = h("div", { class: `board board-${name} bands-${bands.length}` },
      h("div", { class: "board-main" }, h("div", { class: "bands" }, bands), h("div", { class: "row" }, lists)),
      h("div", { class: "board-side" }, this.#mapPanel(),
        panel("ranking", t("rank.title"), this.ranking.node, h("p", { class: "hint", text: this.#rankNote() }))));
  }

  #mapPanel() {
    const choice = h("select", { "aria-label": t("map.metric"), onchange: (e) => { this.metric = e.target.value; this.#mapAt = 0; this.update(); } },
      this.metrics.map((k) => h("option", { value: k, text: title(this.wall.kpis.get(k)) })));
    return panel("map", h("div", { class: "split-head" }, h("h2", { text: t("map.title") }), choice), this.map,
      h("p", { class: "hint", text: t("map.note") }));
  }

  *#panels() {
    let split = 0;
    for (const name of this.spec.panels) {
      if (name === "trend") yield this.#trendPanel();
      else if (name === "urgent") {
        this.urgent = h("div", { class: "scroll" });
        yield panel("urgent", t("urgent.title"), this.urgent);
      } else if (name === "risk") {
        this.risk = h("div", { class: "scroll" });
        this.riskTally = h("div");
        yield panel("risk", t("risk.title"), this.riskTally, this.risk);
      } else if (name === "split") {
        const [kpi, dimension] = this.spec.splits[split];
        split += 1;
        const host = h("div", { class: "scroll" });
        this.splits = [...(this.splits ?? []), { kpi, dimension, host }];
        yield panel("split", `${title(this.wall.kpis.get(kpi))} · ${t(`dim.${dimension}`)}`, host);
      }
    }
  }

  #trendPanel() {
    this.trend = this.spec.trends[0];
    const pick = (domain) => {
      this.trend = domain;
      for (const b of buttons) b.setAttribute("aria-pressed", String(b.dataset.domain === domain));
      this.#linesAt = 0;
      this.update();
    };
    const buttons = this.spec.trends.map((d) => h("button", { type: "button", "data-domain": d, "aria-pressed": String(d === this.trend), onclick: () => pick(d), text: t(`topic.${TOPIC_OF[d]}`) }));
    const host = h("div", { class: "trend" });
    this.lines = new Lines(host);
    return panel("trend", h("div", { class: "split-head" }, h("h2", { text: t("trend.title") }),
      buttons.length > 1 ? h("div", { class: "segments", role: "group", "aria-label": t("trend.pick") }, buttons) : null), host);
  }

  /** The groups of KPIs to watch: at most three, one stream each. */
  groups() {
    const { scope, kpis, below } = this.wall;
    const groups = new Map();
    const add = (kpi, by) => {
      const window = windowOf(kpis.get(kpi), this.wall.window);
      // A stock KPI has no window, so it rides on any group of its split.
      const key = by ?? window ?? "";
      if (!groups.has(key)) groups.set(key, { kpis: new Set(), window, by: by ?? null, territory: by ? this.wall.around : scope });
      const group = groups.get(key);
      group.window ??= window;
      group.kpis.add(kpi);
    };
    const names = [...this.tiles.keys(), ...[...this.tiles.keys()].map((k) => BASE_OF[k]).filter(Boolean)];
    for (const name of names) if (windowOf(kpis.get(name), this.wall.window)) add(name, null);
    const stock = names.filter((n) => !windowOf(kpis.get(n), this.wall.window));
    const first = [...groups.values()][0];
    if (first) stock.forEach((n) => first.kpis.add(n));
    else stock.forEach((n) => add(n, null));
    const placed = [...new Set([...this.columns, ...this.metrics, ...this.spec.hidden])].filter((k) => kpis.has(k));
    const rates = placed.map((k) => windowOf(kpis.get(k), this.wall.window));
    const common = this.#common(rates);
    groups.set("place", { kpis: new Set(placed), window: common, by: below, territory: this.wall.around });
    return [...groups.values()].map((g) => ({ ...g, kpis: [...g.kpis] }));
  }

  #rankNote() {
    const window = this.#common(this.columns.map((k) => windowOf(this.wall.kpis.get(k), this.wall.window)));
    return [window ? `${t("app.window")}: ${t(`w.${window}`)}` : null, t("rank.note")].filter(Boolean).join(" · ");
  }

  /** One window for all columns of the ranking: that of its rates. */
  #common(windows) {
    return windows.includes("30d") ? "30d" : (windows.find(Boolean) ?? null);
  }

  #placeRows(kpi) {
    const { kpis, live, around, below, codeOf } = this.wall;
    const placed = [...this.columns, ...this.metrics].map((k) => windowOf(kpis.get(k), this.wall.window));
    const rows = live.rows(kpi, { window: this.#common(placed), territory: around, by: below });
    return rows && new Map(rows.map((r) => [codeOf(r), r]));
  }

  update() {
    const { kpis, live, scope, province, frozen, report } = this.wall;
    for (const tile of this.tiles.values()) {
      const name = tile.kpi.name;
      const window = windowOf(tile.kpi, this.wall.window);
      const row = live.row(name, { window, territory: scope, by: null });
      const base = BASE_OF[name];
      const baseKpi = base && kpis.get(base);
      tile.update({
        row, window, frozen,
        base: baseKpi ? (live.row(base, { window: windowOf(baseKpi, this.wall.window), territory: scope, by: null })?.value ?? null) : null,
        silent: report ? silence(report.feeds, TOPIC_OF[name.split(".")[0]], province) : { silent: [], all: false },
      });
    }
    this.#updatePlaces();
    if (report && this.urgent) {
      const most = 20;
      this.urgent.replaceChildren(urgentList(this.wall.urgentHere(), { places: this.wall.places, now: this.wall.now(), most }));
    }
    if (this.risk) this.#updateRisk();
    if (Date.now() - this.#linesAt > LINES_MS && report) {
      this.#linesAt = Date.now();
      void this.#updateLines();
      void this.#updateSplits();
    }
  }

  #updatePlaces() {
    const { kpis, places, province, report } = this.wall;
    const rows = new Map(this.columns.concat(this.metrics, this.spec.hidden).map((k) => [k, this.#placeRows(k)]));
    const codes = new Set();
    for (const k of this.columns) for (const code of rows.get(k)?.keys() ?? []) codes.add(code);
    const cell = (name, code) => {
      const row = rows.get(name)?.get(code);
      const kpi = kpis.get(name);
      const base = BASE_OF[name] ? (rows.get(BASE_OF[name])?.get(code)?.value ?? null) : null;
      const value = row?.value ?? null;
      const home = code.length === 2 ? code : this.wall.provinceOf(code);
      const quiet = report && home && silence(report.feeds, TOPIC_OF[name.split(".")[0]], home).all;
      const status = quiet ? "nodata" : judge({ value, target: kpi.target, direction: kpi.direction, base });
      return { value, count: row?.count ?? null, status, faint: kpi.unit === "ratio" && (row?.count ?? 0) < SMALL_BASE };
    };
    this.ranking.update([...codes].map((code) => {
      const place = places.get(code);
      return {
        code,
        known: Boolean(place),
        name: this.wall.nameOf(code),
        sub: !province && place ? places.get(place.parent)?.name : "",
        cells: Object.fromEntries(this.columns.map((k) => [k, cell(k, code)])),
      };
    }), this.wall.scope);
    if (Date.now() - this.#mapAt < MAP_MS) return;
    this.#mapAt = Date.now();
    this.#drawMap(cell);
  }

  #drawMap(cell) {
    const { kpis, places, province, scope } = this.wall;
    const kpi = kpis.get(this.metric);
    const districts = [...places.values()].filter((p) => p.level === "district" && (!province || p.parent === province));
    // Communes have no coordinates: under a district the map keeps the province's districts.
    if (this.wall.below !== "district") void this.#readDistricts();
    const byDistrict = this.wall.below === "district" ? (code) => cell(this.metric, code) : (code) => this.#districtFigure(code);
    const figures = {
      kind: kpi.unit === "ratio" ? "rate" : "count",
      of: (code) => {
        const c = byDistrict(code);
        const text = full(c.value, kpi.unit);
        return { ...c, order: 0, short: c.value === null ? (c.status === "plain" ? "" : "—") : kpi.unit === "ratio" ? String(Math.round(c.value * 100)) : kpi.unit === "vnd" ? full(c.value / 1e6, "") : text,
          spoken: `${title(kpi)} ${text}${kpi.unit === "ratio" ? ` (${c.count ?? 0})` : ""}, ${t(`status.${c.status}`)}` };
      },
    };
    const urgent = this.name === "overview" || this.name === "fr" ? this.wall.urgentHere() : [];
    const key = JSON.stringify([districts.map((d) => figures.of(d.code)), urgent.map((u) => u.report_id), scope, this.metric, t("map.north")]);
    if (key === this.#mapKey) return;
    this.#mapKey = key;
    drawMap(this.map, {
      provinces: [...places.values()].filter((p) => p.level === "province" && (!province || p.code === province)),
      districts, figures, urgent, chosen: scope,
      pick: (code) => this.wall.go({ territory: code }),
      pickProvince: (code) => this.wall.go({ territory: code === province ? "all" : code }),
    });
  }

  async #readDistricts() {
    const key = `${this.metric}|${this.wall.province}`;
    if (this.districts?.key === key && Date.now() - this.districts.at < DISTRICTS_MS) return;
    const before = this.districts;
    this.districts = { key, at: Date.now(), rows: before?.key === key ? before.rows : new Map(), base: before?.key === key ? before.base : new Map() };
    const read = async (name) => {
      if (!name) return new Map();
      const answer = await this.wall.ask(name, { window: windowOf(this.wall.kpis.get(name), this.wall.window), territory: this.wall.province, by: "district" });
      return new Map(answer.rows.map((r) => [this.wall.codeOf(r), r]));
    };
    try {
      const [rows, base] = await Promise.all([read(this.metric), read(BASE_OF[this.metric])]);
      if (this.districts.key === key) Object.assign(this.districts, { rows, base });
    } catch {
      this.districts.at = Date.now() - DISTRICTS_MS + 5000;
    }
  }

  #districtFigure(code) {
    const kpi = this.wall.kpis.get(this.metric);
    const row = this.districts?.rows.get(code);
    const value = row?.value ?? null;
    const status = judge({ value, target: kpi.target, direction: kpi.direction, base: this.districts?.base.get(code)?.value ?? null });
    return { value, count: row?.count ?? null, status, faint: kpi.unit === "ratio" && (row?.count ?? 0) < SMALL_BASE };
  }

  #updateRisk() {
    const readings = this.wall.readings();
    const key = JSON.stringify(readings.map((r) => [r.series, r.value, r.status])) + t("risk.title");
    if (this.riskKey === key) return;
    this.riskKey = key;
    this.riskTally.replaceChildren(tally(readings));
    this.risk.replaceChildren(riskList(readings, { places: this.wall.places, most: 30, open: (r) => this.wall.openIndicator(r) }));
  }

  async #updateLines() {
    const { kpis, scope } = this.wall;
    const now = this.wall.now();
    const drawTrend = async () => {
      const domain = this.trend;
      try {
        const names = TRENDS[domain].filter((k) => kpis.has(k));
        const points = await Promise.all(names.map((k) => read(kpis.get(k), scope, now)));
        if (domain === this.trend) this.lines.set(names.map((k, i) => ({ label: title(kpis.get(k)), unit: kpis.get(k).unit, points: points[i] })));
      } catch {
        this.lines.legend.replaceChildren(h("span", { class: "empty", text: t("trend.empty") }));
        this.#linesAt = Date.now() - LINES_MS + 20_000;
      }
    };
    await Promise.all([drawTrend(), ...[...this.tiles.values()].map(async (tile) => {
      try {
        tile.setLine(await read(tile.kpi, scope, now));
      } catch {
        // The tile's figure says what there is; its line comes with the next reading.
        this.#linesAt = Date.now() - LINES_MS + 20_000;
      }
    })]);
  }

  async #updateSplits() {
    for (const { kpi: name, dimension, host } of this.splits ?? []) {
      const kpi = this.wall.kpis.get(name);
      try {
        const answer = await this.wall.ask(name, { window: windowOf(kpi, this.wall.window), territory: this.wall.scope, by: dimension });
        host.replaceChildren(bars(answer.rows.map((r) => ({ name: member(r.by), value: r.value, count: r.count, status: judge({ value: r.value, target: kpi.target, direction: kpi.direction }) })),
          { unit: kpi.unit, label: t(`dim.${dimension}`), ordered: dimension === "step" }));
      } catch {
        this.#linesAt = Date.now() - LINES_MS + 20_000;
      }
    }
  }

  redraw() {
    for (const tile of this.tiles.values()) tile.redraw();
    this.lines?.redraw();
  }

  destroy() {
    for (const tile of this.tiles.values()) tile.destroy();
    this.lines?.destroy();
    this.mapWatcher.disconnect();
  }
}

export { panel };
