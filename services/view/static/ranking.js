// The ranking of units: one row a unit, sortable by any column, with the count beside each rate.

import { h, icon, setAttr } from "./dom.js";
import { full, number } from "./format.js";
import { has, t, title } from "./text.js";

/** Null goes last whatever the direction; ties go by the other columns, then by name. */
function order(rows, column, descending, columns, worstIsHigh) {
  const compare = (name, down) => (a, b) => {
    const [x, y] = [a.cells[name]?.value ?? null, b.cells[name]?.value ?? null];
    if (x === null || y === null) return (x === null) - (y === null);
    return down ? y - x : x - y;
  };
  const tests = [compare(column, descending), ...columns.filter((c) => c !== column).map((c) => compare(c, worstIsHigh(c)))];
  return [...rows].sort((a, b) => {
    for (const test of tests) {
      const found = test(a, b);
      if (found) return found;
    }
    return a.name.localeCompare(b.name, "vi");
  });
}

export class Ranking {
  #shown = "";

  constructor({ columns, kpis, pick }) {
    this.columns = columns;
    this.kpis = kpis;
    this.pick = pick;
    this.column = columns[0];
    this.descending = this.#worstIsHigh(columns[0]);
    this.rows = [];
    this.head = h("tr");
    this.body = h("tbody");
    this.node = h("div", { class: "table-box", tabindex: 0, role: "region" },
      h("table", { class: "ranking" }, h("thead", {}, this.head), this.body));
  }

  #worstIsHigh(name) {
    const kpi = this.kpis.get(name);
    return kpi.unit !== "ratio" || kpi.direction === "down";
  }

  #sort(name) {
    if (name === this.column) this.descending = !this.descending;
    else {
      this.column = name;
      this.descending = this.#worstIsHigh(name);
    }
    this.#shown = "";
    this.update(this.rows, this.chosen);
  }

  /** `rows`: {code, name, sub, cells: {kpi: {value, count, status, faint}}}. */
  update(rows, chosen) {
    this.rows = rows;
    this.chosen = chosen;
    const sorted = order(rows, this.column, this.descending, this.columns, (name) => this.#worstIsHigh(name));
    const shown = JSON.stringify([sorted, this.column, this.descending, chosen, t("rank.place")]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    setAttr(this.node, "aria-label", t("rank.title"));
    this.#drawHead();
    const focused = this.body.contains(document.activeElement) ? document.activeElement.dataset.code : null;
    this.body.replaceChildren(...sorted.map((row, index) => this.#row(row, index, chosen)));
    if (focused) this.body.querySelector(`[data-code="${CSS.escape(focused)}"]`)?.focus();
  }

  #drawHead() {
    const focused = this.head.contains(document.activeElement) ? document.activeElement.dataset.column : null;
    this.head.replaceChildren(
      h("th", { scope: "col", class: "rank-n", text: "#" }),
      h("th", { scope: "col", class: "rank-place", text: t("rank.place") }),
      ...this.columns.map((name) => {
        const label = has(`col.${name}`) ? t(`col.${name}`) : title(this.kpis.get(name));
        const on = name === this.column;
        return h(
          "th",
          { scope: "col", class: "rank-figure", "aria-sort": on ? (this.descending ? "descending" : "ascending") : "none" },
          h("button", { type: "button", "data-column": name, "aria-label": t("rank.sort", { c: label }), onclick: () => this.#sort(name) },
            label, h("span", { class: "arrow", "aria-hidden": "true", text: on ? (this.descending ? " ▼" : " ▲") : "" })),
        );
      }),
    );
    if (focused) this.head.querySelector(`[data-column="${CSS.escape(focused)}"]`)?.focus();
  }

  #row(row, index, chosen) {
    const name = row.known
      ? h("button", { type: "button", class: "link", "data-code": row.code, onclick: () => this.pick(row.code), text: row.name })
      : h("span", { text: row.name });
    return h(
      "tr",
      { class: row.code === chosen ? "is-chosen" : "" },
      h("td", { class: "rank-n", text: String(index + 1) }),
      h("th", { scope: "row", class: "rank-place" }, name, row.sub ? h("span", { class: "sub", text: row.sub }) : null),
      ...this.columns.map((column) => {
        const cell = row.cells[column];
        const unit = this.kpis.get(column).unit;
        return h(
          "td",
          { class: `rank-figure is-${cell?.status ?? "nodata"}${cell?.faint ? " is-small" : ""}` },
          h("span", { class: "rank-value" }, cell && cell.status !== "plain" ? icon(cell.status) : null, full(cell?.value ?? null, unit)),
          unit === "ratio" ? h("span", { class: "sub", text: `(${number(cell?.count ?? 0)})` }) : null,
        );
      }),
    );
  }
}
