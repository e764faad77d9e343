// Charts by uPlot: small trend lines in tiles and one axis chart. Colours are read from the theme
// when a chart is made, so a change of theme makes them anew.

import { dayMonth, figure, full, hourMinute } from "./format.js";
import { h } from "./dom.js";

/* global uPlot */

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function finite(values) {
  return values.some((v) => v !== null && v !== undefined);
}

/** A chart that follows the size of its host. `draw(width, height)` makes a uPlot. */
class Fitted {
  #chart = null;
  #watcher;
  #frame = 0;

  constructor(host, draw) {
    this.host = host;
    this.draw = draw;
    this.#watcher = new ResizeObserver(() => {
      cancelAnimationFrame(this.#frame);
      this.#frame = requestAnimationFrame(() => this.#fit());
    });
    this.#watcher.observe(host);
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (width < 8 || height < 8) return;
    if (this.#chart) this.#chart.setSize({ width, height });
    else this.#chart = this.draw(width, height);
  }

  redraw() {
    this.#chart?.destroy();
    this.#chart = null;
    this.#fit();
  }

  destroy() {
    this.#watcher.disconnect();
    this.#chart?.destroy();
  }
}

/** A line without axes; `set(points)` takes [seconds, value] pairs. */
export class Spark {
  #points = [];
  #fitted;

  constructor(host) {
    this.#fitted = new Fitted(host, (width, height) => this.#draw(host, width, height));
  }

  #draw(host, width, height) {
    const values = this.#points.map((p) => p[1]);
    if (!finite(values)) return null;
    const muted = host.closest(".is-nodata, .is-frozen") !== null;
    return new uPlot(
      {
        width,
        height,
        padding: [3, 2, 2, 2],
        cursor: { show: false },
        legend: { show: false },
        axes: [{ show: false }, { show: false }],
        scales: { x: { time: false }, y: { range: (_, low, high) => (low === high ? [low - 1, high + 1] : [low - (high - low) * 0.12, high + (high - low) * 0.08]) } },
        series: [
          {},
          {
            stroke: colour(muted ? "muted" : "line"),
            width: 2,
            fill: colour(muted ? "line-fill-muted" : "line-fill"),
            points: { show: this.#points.length < 3 },
            spanGaps: false,
          },
        ],
      },
      [this.#points.map((p) => p[0]), values],
      host,
    );
  }

  set(points) {
    this.#points = points;
    this.#fitted.redraw();
  }

  redraw() {
    this.#fitted.redraw();
  }

  destroy() {
    this.#fitted.destroy();
  }
}

/** Counts stand on zero; rates and means on what they show, or their changes would be lost. */
function reach(unit, low, high) {
  if (unit !== "ratio" && unit !== "hours" && unit !== "days") return [Math.min(0, low), high > 0 ? high * 1.12 : 1];
  const pad = Math.max((high - low) * 0.15, unit === "ratio" ? 0.01 : 0.1);
  return [Math.max(0, low - pad), high + pad];
}

const DASHES = [[], [6, 4], [2, 3]];

/** Lines over time with axes; `set(lines)` takes [{label, unit, points}], one unit for all. */
export class Lines {
  #lines = [];
  #fitted;

  constructor(host) {
    this.legend = h("div", { class: "legend" });
    this.plot = h("div", { class: "plot" });
    host.append(this.legend, this.plot);
    this.#fitted = new Fitted(this.plot, (width, height) => this.#draw(width, height));
  }

  #draw(width, height) {
    if (!this.#lines.some((l) => finite(l.points.map((p) => p[1])))) return null;
    const unit = this.#lines[0].unit;
    const axis = {
      stroke: colour("muted"),
      font: `${Math.round(parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.75)}px ${getComputedStyle(document.body).fontFamily}`,
      grid: { stroke: colour("grid"), width: 1 },
      ticks: { show: false },
    };
    const xs = this.#lines[0].points.map((p) => p[0]);
    const span = xs.at(-1) - xs[0];
    const label = (at) => (span > 3 * 86400 ? dayMonth(at * 1000) : hourMinute(at * 1000));
    const whole = this.#lines.every((l) => l.points.every((p) => p[1] === null || Number.isInteger(p[1])));
    const colours = ["line", "line-2", "line-3"];
    return new uPlot(
      {
        width,
        height,
        padding: [8, 10, 0, 0],
        tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Asia/Ho_Chi_Minh"),
        cursor: { drag: { x: false, y: false }, points: { size: 7 } },
        legend: { show: false },
        scales: { x: { time: true }, y: { range: (_, low, high) => reach(unit, low, high) } },
        axes: [
          { ...axis, values: (_, splits) => splits.map(label), space: 64, size: 26 },
          {
            ...axis,
            values: (_, splits) => splits.map((v) => { const f = figure(v, unit); return unit === "ratio" ? `${f.main}${f.unit}` : [f.main, f.unit].join(" ").trim(); }),
            size: (self, values) => Math.max(36, ...(values ?? []).map((v) => v.length * 8 + 8)),
            incrs: whole && unit !== "vnd" ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 1e6] : undefined,
          },
        ],
        series: [
          {},
          ...this.#lines.map((l, i) => ({
            label: l.label,
            stroke: colour(colours[i]),
            width: 2.25,
            dash: DASHES[i],
            fill: i === 0 ? colour("line-fill") : undefined,
            points: { show: l.points.length < 3, size: 6 },
          })),
        ],
        hooks: {
          setCursor: [(self) => this.#read(self.cursor.idx)],
        },
      },
      [xs, ...this.#lines.map((l) => l.points.map((p) => p[1]))],
      this.plot,
    );
  }

  #read(index) {
    this.legend.replaceChildren(
      ...this.#lines.map((l, i) => {
        const point = index === null || index === undefined ? null : l.points[index];
        return h(
          "span",
          { class: `legend-item line-${i + 1}` },
          h("i", { "aria-hidden": "true" }),
          l.label,
          point ? h("b", { text: ` ${hourMinute(point[0] * 1000)} · ${full(point[1], l.unit)}` }) : null,
        );
      }),
    );
  }

  set(lines) {
    this.#lines = lines;
    this.#read(null);
    this.#fitted.redraw();
  }

  redraw() {
    this.#fitted.redraw();
  }

  destroy() {
    this.#fitted.destroy();
  }
}
