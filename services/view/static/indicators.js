// The board of indicators: domains with their tally on one side, readings at risk first on the other.

import { h } from "./dom.js";
import { panel } from "./board.js";
import { domainCards, riskTable } from "./risk.js";
import { t } from "./text.js";

export class IndicatorBoard {
  #key = "";

  constructor(wall) {
    this.wall = wall;
    this.domain = "";
    this.cards = h("div", { class: "domains" });
    this.table = h("div", { class: "table-box", tabindex: 0, role: "region", "aria-label": t("ind.title") });
    this.node = h("div", { class: "board board-ind" },
      panel("domains", t("ind.domains"), this.cards),
      panel("indicators", t("ind.title"), this.table));
  }

  /** Nothing streams here: readings come with the page's own reading of `/indicators`. */
  groups() {
    return [];
  }

  update() {
    const readings = this.wall.readings();
    const key = JSON.stringify(readings.map((r) => [r.series, r.value, r.target, r.status, Math.floor((r.age_seconds ?? 0) / 30)])) + this.domain;
    if (key === this.#key) return;
    this.#key = key;
    const focused = this.cards.contains(document.activeElement) ? document.activeElement.dataset.domain : null;
    this.cards.replaceChildren(...domainCards(readings, {
      chosen: this.domain,
      pick: (code) => {
        this.domain = code;
        this.update();
      },
    }));
    if (focused !== null) this.cards.querySelector(`[data-domain="${CSS.escape(focused)}"]`)?.focus();
    const shown = readings.filter((r) => !this.domain || r.domain === this.domain);
    this.table.replaceChildren(riskTable(shown, { places: this.wall.places, open: (r) => this.wall.openIndicator(r) }));
  }

  redraw() {}
  destroy() {}
}
