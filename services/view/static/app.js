// The wall: reads the catalogue and the state of the pipeline, shows one board, keeps it live, and
// says at once when its figures can no longer be believed.

import * as api from "./api.js";
import { Board } from "./board.js";
import { BOARDS, WINDOWS } from "./boards.js";
import { Detail } from "./detail.js";
import { h, setText } from "./dom.js";
import { clock, number } from "./format.js";
import { Header } from "./header.js";
import { IndicatorBoard } from "./indicators.js";
import { Live } from "./live.js";
import { freshness, placeName, quality } from "./panels.js";
import { assess, inScope } from "./risk.js";
import { lang, member, setLang, t } from "./text.js";

const WALL_MS = 3000;
const INDICATORS_MS = 15_000;
const DRAW_MS = 400;
const LOST_MS = 10_000;

const $ = (id) => document.getElementById(id);

/** What a viewer chose and wants to find again; a private window may refuse to keep it. */
const memory = {
  get: (name) => {
    try {
      return localStorage.getItem(`ioc.${name}`);
    } catch {
      return null;
    }
  },
  set: (name, value) => {
    try {
      localStorage.setItem(`ioc.${name}`, value);
    } catch {
      // Nothing is lost but the choice.
    }
  },
};

/** Territories by code; a name that is a number or that a neighbour bears too gets its kind or code. */
function named(territories) {
  const bearers = new Map();
  const key = (p) => `${p.level}|${p.parent}|${p.name}`;
  for (const p of territories) bearers.set(key(p), (bearers.get(key(p)) ?? 0) + 1);
  const name = (p) => {
    if (/^\d+$/.test(p.name)) return p.kind ? `${p.kind} ${p.name}` : p.name;
    if (bearers.get(key(p)) === 1) return p.name;
    return p.kind ? `${p.name} (${p.kind})` : `${p.name} (${p.code})`;
  };
  return new Map(territories.map((p) => [p.code, { ...p, name: name(p) }]));
}

class Wall {
  kpis = new Map();
  places = new Map();
  report = null;
  lags = new Map();
  behindBy = 0;
  #indicators = [];
  #board = null;
  #skew = 0;
  #goodAt = Date.now();
  #failures = 0;
  #behind = 0;
  #fault = null;
  #faultAt = 0;
  #drawn = 0;
  #seenUrgent = null;
  #simulated = null;
  #built = "";

  constructor() {
    this.header = new Header($("top"));
    this.live = new Live({ isStock: (name) => (this.kpis.get(name)?.windows.length ?? 0) === 0, changed: () => this.#schedule() });
    this.detail = new Detail($("detail"), {
      context: () => ({ kpis: this.kpis, places: this.places, now: this.dataNow, nameOf: this.nameOf, codeOf: this.codeOf, below: this.#childLevel }),
      drill: (territory) => this.go({ territory }),
    });
    this.strip = h("div", { class: "strip" });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      if (!memory.get("theme")) this.#applyTheme();
    });
    addEventListener("hashchange", () => this.#fromHash());
  }

  // --- what is chosen ---------------------------------------------------------------------------

  #fromHash() {
    const [board, query] = location.hash.slice(1).split("?");
    const asked = new URLSearchParams(query ?? "");
    this.board = board in BOARDS ? board : "overview";
    this.window = WINDOWS.includes(asked.get("w")) ? asked.get("w") : "auto";
    this.scope = asked.get("t") ?? "all";
    if (this.places.size && this.scope !== "all" && !this.places.has(this.scope)) this.scope = "all";
    setLang(asked.get("lang") ?? memory.get("lang") ?? "vi");
    this.asked = { lang: asked.get("lang"), theme: asked.get("theme") };
    this.#applyTheme();
    if (this.kpis.size && this.report) this.#build();
  }

  /** Show another board, territory or window; the address keeps it. */
  go = (change) => {
    const next = { board: this.board, territory: this.scope, window: this.window, ...change };
    const query = new URLSearchParams();
    if (next.territory !== "all") query.set("t", next.territory);
    if (next.window !== "auto") query.set("w", next.window);
    if (this.asked.lang) query.set("lang", this.asked.lang);
    if (this.asked.theme) query.set("theme", this.asked.theme);
    const text = query.toString();
    const hash = `#${next.board}${text ? `?${text}` : ""}`;
    if (location.hash === hash) this.#fromHash();
    else location.hash = hash;
  };

  toggleLang = () => {
    const next = lang() === "vi" ? "en" : "vi";
    memory.set("lang", next);
    this.asked.lang = null;
    setLang(next);
    this.go({});
  };

  toggleTheme = () => {
    memory.set("theme", this.theme === "dark" ? "light" : "dark");
    this.asked.theme = null;
    this.go({});
  };

  #applyTheme() {
    const own = this.asked?.theme ?? memory.get("theme");
    this.theme = own === "dark" || own === "light" ? own : matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
    document.documentElement.dataset.theme = this.theme;
    this.#board?.redraw();
  }

  // --- what boards ask --------------------------------------------------------------------------

  /** The time of the server now, ms. */
  now = () => Date.now() + this.#skew;
  /** The clock of the figures, ms: now, or the event clock of a replay. */
  dataNow = () => (this.report?.clock ? Date.parse(this.report.clock) + (this.now() - Date.parse(this.report.now)) : this.now());
  ask = (name, query) => api.kpi(name, query);
  open = (kpi) => this.detail.kpi(kpi, this.scope, this.window);
  openIndicator = (reading) => this.detail.indicator(reading);

  get province() {
    return this.scope === "all" ? null : this.provinceOf(this.scope);
  }

  provinceOf = (code) => {
    let place = this.places.get(code) ?? this.places.get(code.split(".")[0]);
    while (place?.parent) place = this.places.get(place.parent);
    return place?.code ?? null;
  };

  /** The territory whose units are ranked, and their level. */
  get around() {
    const place = this.places.get(this.scope);
    return place?.level === "commune" ? place.parent : this.scope;
  }

  get below() {
    const level = this.places.get(this.around)?.level;
    return level === "district" ? "commune" : "district";
  }

  #childLevel = (code) => ({ province: "district", district: "commune", commune: null })[this.places.get(code)?.level] ?? (code === "all" ? "province" : null);

  /** The code a row speaks of when it was split by place. */
  codeOf = (row) => (row.by && (this.places.has(row.by) || row.by.includes(".") || row.by === "unknown" || row.by === "none") ? row.by : row.territory);

  nameOf = (code) => {
    if (code === "all") return t("app.all.n");
    const place = this.places.get(code);
    if (place) return place.name;
    const [parent, kind] = code.includes(".") ? code.split(".") : [null, code];
    const what = kind === "none" ? t("rank.none") : t("rank.unknown");
    return parent ? `${what} (${this.places.get(parent)?.name ?? parent})` : what;
  };

  urgentHere = () => {
    const { scope } = this;
    const here = (u) => scope === "all" || [u.province_code, u.district_code, u.commune_code].includes(scope);
    return (this.report?.urgent ?? []).filter(here).sort((a, b) => Date.parse(b.reported_at) - Date.parse(a.reported_at));
  };

  readings = () => this.#indicators.filter((r) => inScope(r, this.scope, this.places));

  // --- life -------------------------------------------------------------------------------------

  async start() {
    this.#fromHash();
    setText($("skip"), t("app.skip"));
    $("main").replaceChildren(h("p", { class: "loading", text: t("app.loading") }));
    setInterval(() => this.#second(), 1000);
    for (;;) {
      await this.#readWall();
      if (this.report) {
        try {
          this.kpis = await api.catalogue();
          break;
        } catch {
          this.#failures += 1;
        }
      }
      this.#judgeHealth();
      await new Promise((go) => setTimeout(go, WALL_MS));
    }
    this.#fromHash();
    void this.#every(WALL_MS, () => this.#readWall());
    void this.#every(INDICATORS_MS, () => this.#readIndicators(), true);
  }

  async #every(pause, work, first = false) {
    if (!first) await new Promise((go) => setTimeout(go, pause));
    for (;;) {
      await work();
      await new Promise((go) => setTimeout(go, pause));
    }
  }

  async #readWall() {
    try {
      const [report, progress] = await Promise.all([api.wall(), api.progress().catch(() => null)]);
      // A replay's clock is no one's now: then the screen's own clock is shown beside it.
      report.now ??= report.clock_kind === "event" ? new Date().toISOString() : report.clock;
      this.#skew = Date.parse(report.now) - Date.now();
      this.report = report;
      if (this.places.size !== report.territories.length) this.places = named(report.territories);
      if (progress) {
        this.lags = new Map();
        for (const p of progress.partitions) this.lags.set(p.topic, (this.lags.get(p.topic) ?? 0) + p.lag);
        this.behindBy = [...this.lags.values()].reduce((a, b) => a + b, 0);
      }
      this.#goodAt = Date.now();
      this.#failures = 0;
      this.#behind = report.caught_up ? 0 : this.#behind + 1;
      this.#announceUrgent();
    } catch {
      this.#failures += 1;
    }
    this.#judgeHealth();
    this.#schedule();
  }

  async #readIndicators() {
    try {
      this.#indicators = (await api.indicators()).map(assess);
      this.#schedule();
    } catch {
      // The page's own reading of the pipeline says when the view is gone.
    }
  }

  get frozen() {
    return this.#fault !== null;
  }

  #judgeHealth() {
    const silent = Date.now() - this.#goodAt;
    let fault = null;
    if (this.#failures >= 2 || silent > LOST_MS) fault = "lost";
    else if (this.report && !this.report.broker) fault = "broker";
    else if (this.#behind >= 2) fault = "behind";
    if (fault !== this.#fault) {
      if (fault === null) {
        setText($("announcer"), t("banner.back"));
      } else if (this.#fault === null) this.#faultAt = fault === "lost" ? this.#goodAt : Date.now();
      this.#fault = fault;
      document.body.classList.toggle("is-frozen", fault !== null);
      if (fault) document.body.dataset.fault = fault;
      else delete document.body.dataset.fault;
      this.#board?.redraw();
    }
    const banner = $("banner");
    banner.hidden = fault === null;
    if (fault) setText(banner, t(`banner.${fault}`, { at: clock(this.#faultAt + this.#skew), n: number(this.behindBy) }));
    const simulated = this.report?.simulated ?? false;
    const key = `${simulated}${lang()}`;
    if (key !== this.#simulated) {
      this.#simulated = key;
      $("ribbon").hidden = !simulated;
      $("ribbon").replaceChildren(h("b", { text: t("ribbon.simulated") }), h("span", { text: t("ribbon.note") }));
    }
  }

  #announceUrgent() {
    const ids = new Set(this.report.urgent.map((u) => u.report_id));
    const fresh = this.#seenUrgent ? this.report.urgent.filter((u) => !this.#seenUrgent.has(u.report_id)) : [];
    this.#seenUrgent = ids;
    if (fresh.length) setText($("announcer"), t("urgent.new", { c: member(fresh[0].category), p: placeName(fresh[0], this.places) }));
  }

  #second() {
    const link = this.#fault === "lost" ? "lost" : !this.report ? "wait" : this.live.mode;
    this.header.tick(this.now(), this.report && Math.abs(this.dataNow() - this.now()) > 60_000 ? this.dataNow() : null, link);
    if (this.report) this.#judgeHealth();
  }

  #build() {
    const key = [this.board, this.scope, this.window, lang(), this.theme].join("|");
    if (key === this.#built) return;
    this.#built = key;
    setText($("skip"), t("app.skip"));
    document.title = `IOC – ${t(`board.${this.board}`)}${this.scope === "all" ? "" : ` – ${this.nameOf(this.scope)}`}`;
    this.#board?.destroy();
    this.header.draw(this);
    this.#board = this.board === "ind" ? new IndicatorBoard(this) : new Board(this, this.board);
    $("main").replaceChildren(this.#board.node, this.strip);
    $("main").dataset.board = this.board;
    this.live.watch(this.#board.groups());
    this.#second();
    this.#judgeHealth();
    this.#draw();
  }

  #schedule() {
    if (this.#drawn || !this.#board) return;
    this.#drawn = setTimeout(() => {
      this.#drawn = 0;
      this.#draw();
    }, DRAW_MS);
  }

  #draw() {
    this.#board.update();
    const provinces = [...this.places.values()].filter((p) => p.level === "province" && (!this.province || p.code === this.province));
    this.strip.replaceChildren(
      h("section", { class: "panel panel-feeds" }, h("header", { class: "panel-head" }, h("h2", { text: t("feeds.title") })), freshness(this.report, provinces)),
      h("section", { class: "panel panel-quality" }, h("header", { class: "panel-head" }, h("h2", { text: t("quality.title") }),
        this.report.conservation_broken ? h("span", { class: "chip is-bad", text: t("quality.broken") }) : null,
        this.report.namespace ? h("span", { class: "chip", text: this.report.namespace }) : null,
        h("span", { class: `chip is-${this.report.caught_up ? "good" : "warn"}`, text: t(this.report.caught_up ? "quality.caught" : "quality.behind") })),
      h("div", { class: "scroll-x", tabindex: 0, role: "region", "aria-label": t("quality.title") }, quality(this.report, this.lags))),
    );
  }
}

void new Wall().start();
