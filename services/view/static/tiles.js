// A tile: one KPI as a figure, its target and colour, and its line. Made once, then kept current.

import { h, icon, setAttr, setText } from "./dom.js";
import { isAverage } from "./boards.js";
import { Spark } from "./chart.js";
import { figure, full, goal, number, percent } from "./format.js";
import { judge, SMALL_BASE } from "./judge.js";
import { t, title } from "./text.js";

export class Tile {
  #status = "";
  #change = null;
  #spark;

  constructor(kpi, open) {
    this.kpi = kpi;
    this.name = h("span", { class: "tile-name" });
    this.mark = h("span", { class: "tile-mark" });
    this.main = h("span", { class: "tile-main" });
    this.unit = h("span", { class: "tile-unit" });
    this.aim = h("span", { class: "tile-meta" });
    this.meta = h("span", { class: "tile-meta" });
    this.note = h("span", { class: "tile-note" });
    const line = h("span", { class: "tile-line", "aria-hidden": "true" });
    this.node = h(
      "button",
      { type: "button", class: "tile", "data-kpi": kpi.name, onclick: () => open(kpi) },
      this.name,
      h("span", { class: "tile-figure" }, this.main, this.unit, this.mark),
      this.aim,
      h("span", { class: "tile-foot" }, this.meta, this.note),
      line,
    );
    this.#spark = new Spark(line);
  }

  /**
   * @param {object} state row (null: not read yet), base (value of what the backlog is a part of),
   *   window, silent ({silent, all}) and names of the silent provinces.
   */
  update({ row, base, window, silent, frozen }) {
    const { kpi } = this;
    const value = row?.value ?? null;
    const shown = figure(value, kpi.unit);
    let status = judge({ value, target: kpi.target, direction: kpi.direction, base });
    if (silent.all) status = "nodata";
    setText(this.name, title(kpi));
    setText(this.main, row === null ? "…" : shown.main);
    setText(this.unit, shown.unit);
    this.#mark(silent.all ? "status.silent" : `status.${status}`, status);
    const span = window ? t(`w.${window}`) : t("tile.now");
    const aim = this.#aim(value, base, window);
    const counted = row && row.count !== null && (isAverage(kpi) || row.count !== value);
    const meta = counted ? `${span} · n = ${number(row.count)}` : span;
    setText(this.aim, aim);
    setText(this.meta, meta);
    setText(this.note, !silent.all && silent.silent.length ? t("tile.partial", { n: silent.silent.length }) : "");
    this.node.classList.toggle("is-small", Boolean(counted && row.count < SMALL_BASE));
    this.node.classList.toggle("is-waiting", row === null);
    setAttr(this.node, "aria-label", `${title(kpi)}: ${full(value, kpi.unit)}. ${t(silent.all ? "status.silent" : `status.${status}`)}. ${aim} ${meta}`);
    const look = `${status}${frozen ? " frozen" : ""}`;
    if (look !== this.#status) {
      this.#status = look;
      this.node.dataset.status = status;
      for (const s of ["good", "warn", "bad", "nodata", "plain"]) this.node.classList.toggle(`is-${s}`, s === status);
      this.#spark.redraw();
    }
  }

  /** The line under the figure: the target and what a backlog is a part of, else the change. */
  #aim(value, base, window) {
    const { kpi } = this;
    const parts = [];
    if (kpi.target !== null && kpi.target !== undefined && kpi.direction !== "none") {
      parts.push(`${t("tile.target")} ${kpi.direction === "down" ? "≤" : "≥"} ${goal(kpi.target, kpi.unit)}`);
    }
    if (base && value !== null) parts.push(`${percent(value / base)} ${t("tile.of")} ${number(base)}`);
    if (parts.length === 0 && window === "24h" && this.#change !== null) {
      const arrow = this.#change > 0 ? "▲" : this.#change < 0 ? "▼" : "■";
      parts.push(`${arrow} ${percent(Math.abs(this.#change))} ${t("tile.before")}`);
    }
    return parts.join(" · ");
  }

  #mark(key, status) {
    const text = t(key);
    if (this.mark.dataset.text === text && this.mark.dataset.status === status) return;
    this.mark.dataset.text = text;
    this.mark.dataset.status = status;
    this.mark.replaceChildren(icon(status), h("span", { class: "tile-mark-text", text }));
  }

  setLine(points) {
    // Hourly counts over two days: how the last 24 whole hours stand to the 24 before them.
    const hourly = points.length === 48 && !isAverage(this.kpi) && this.kpi.windows.length > 0;
    const total = (part) => part.reduce((sum, p) => sum + (p[1] ?? 0), 0);
    const before = hourly ? total(points.slice(0, 24)) : 0;
    this.#change = before > 0 ? total(points.slice(24)) / before - 1 : null;
    this.#spark.set(points);
  }

  redraw() {
    this.#spark.redraw();
  }

  destroy() {
    this.#spark.destroy();
  }
}
