// Live figures. One EventSource per group of KPIs that share window, territory and split (browsers
// keep six connections a host, so at most three are streams); everything is read again from time
// to time, so that a stream that went quiet can never freeze a figure unseen.

import * as api from "./api.js";

const REREAD_MS = 30_000;
const POLL_MS = 5_000;
const REOPEN_MS = 5_000;

const keyOf = (kpi, window, territory, by) => `${kpi}|${window ?? ""}|${territory}|${by ?? ""}`;
const rowKey = (row) => `${row.territory}|${row.by ?? ""}`;

export class Live {
  #rows = new Map();
  #groups = [];
  #abort = new AbortController();
  #timer = 0;
  #isStock;
  #changed;

  /** `isStock(name)`: whether a KPI has no window; `changed()` is called after each change. */
  constructor({ isStock, changed }) {
    this.#isStock = isStock;
    this.#changed = changed;
  }

  /** Replace what is watched. Figures already known stay until they are read again. */
  watch(groups) {
    this.close();
    this.#abort = new AbortController();
    this.#groups = groups.filter((g) => g.kpis.length).map((g) => ({ ...g, source: null, live: false, reopenAt: 0, readAt: 0 }));
    for (const group of this.#groups) this.#open(group);
    this.#tick();
    this.#timer = setInterval(() => this.#tick(), 1000);
  }

  close() {
    clearInterval(this.#timer);
    this.#abort.abort();
    for (const group of this.#groups) group.source?.close();
    this.#groups = [];
  }

  /** How the figures come in: "stream" when every group streams, else "poll". */
  get mode() {
    return this.#groups.every((g) => g.live) ? "stream" : "poll";
  }

  /** The rows of a KPI, or null when nothing has been read yet. */
  rows(kpi, { window, territory, by }) {
    const found = this.#rows.get(keyOf(kpi, this.#isStock(kpi) ? null : window, territory, by));
    return found ? [...found.rows.values()] : null;
  }

  /** The one row of a KPI without split. */
  row(kpi, query) {
    return this.rows(kpi, query)?.[0] ?? null;
  }

  #open(group) {
    group.source?.close();
    const source = new EventSource(api.streamAddress(group));
    group.source = source;
    const take = (event) => {
      try {
        this.#take(JSON.parse(event.data), group, false);
      } catch (error) {
        console.warn("a stream sent what is not JSON", error);
      }
    };
    for (const name of ["message", "rows", "kpi", "change"]) source.addEventListener(name, take);
    source.addEventListener("open", () => {
      group.live = true;
      group.readAt = 0;
    });
    source.addEventListener("error", () => {
      group.live = false;
      // A refusal closes the source for good; a broken connection is tried again by the browser.
      if (source.readyState === EventSource.CLOSED) group.reopenAt = Date.now() + REOPEN_MS;
    });
  }

  #tick() {
    const now = Date.now();
    for (const group of this.#groups) {
      if (group.reopenAt && now >= group.reopenAt) {
        group.reopenAt = 0;
        this.#open(group);
      }
      if (now - group.readAt >= (group.live ? REREAD_MS : POLL_MS)) {
        group.readAt = now;
        void this.#read(group);
      }
    }
  }

  async #read(group) {
    const { signal } = this.#abort;
    const { window, territory, by } = group;
    await Promise.allSettled(
      group.kpis.map(async (name) => {
        const query = { window: this.#isStock(name) ? null : window, territory, by };
        this.#take(await api.kpi(name, query, { signal }), group, true);
      }),
    );
  }

  #take(answer, group, whole) {
    const changes = Array.isArray(answer) ? answer : [answer];
    for (const { kpi, rows, as_of: asOf } of changes) {
      const key = keyOf(kpi, this.#isStock(kpi) ? null : group.window, group.territory, group.by);
      const at = Date.parse(asOf) || 0;
      const known = this.#rows.get(key);
      const taken = new Map(rows.map((r) => [rowKey(r), r]));
      if (whole && (!known || at >= known.at)) {
        this.#rows.set(key, { at, whole: true, rows: taken });
      } else if (whole && !known.whole) {
        // Changes overtook the first answer: they win, row by row.
        this.#rows.set(key, { at: known.at, whole: true, rows: new Map([...taken, ...known.rows]) });
      } else if (!whole && (!known || at >= known.at)) {
        this.#rows.set(key, { at, whole: known?.whole ?? false, rows: new Map([...(known?.rows ?? []), ...taken]) });
      }
    }
    this.#changed();
  }
}
