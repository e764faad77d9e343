// The top of the page: boards, scope, window, clock, language and theme.

import { BOARDS, WINDOWS } from "./boards.js";
import { h, setText } from "./dom.js";
import { clock, date } from "./format.js";
import { t } from "./text.js";

const byName = (a, b) => a.name.localeCompare(b.name, "vi");

/** The select of one territory level; null when there is nothing to choose. */
function scopePick(label, every, list, chosen, up, go) {
  if (list.length === 0) return null;
  return h("select", { "aria-label": label, onchange: (e) => go({ territory: e.target.value || up }) },
    h("option", { value: "", text: every }),
    [...list].sort(byName).map((p) => h("option", { value: p.code, selected: p.code === chosen, text: p.name })));
}

export class Header {
  constructor(host) {
    this.host = host;
    this.time = h("span", { class: "clock-time" });
    this.day = h("span", { class: "clock-day" });
    this.link = h("span", { class: "link-state" });
  }

  /** Build anew for a choice of board, scope, window, language, theme. */
  draw(wall) {
    const { places, scope, go } = wall;
    const focused = this.host.contains(document.activeElement) ? document.activeElement.getAttribute("data-key") : null;
    const trail = { province: "", district: "", commune: "" };
    for (let p = places.get(scope); p; p = places.get(p.parent)) trail[p.level] = p.code;
    const of = (level, parent) => [...places.values()].filter((p) => p.level === level && (!parent || p.parent === parent));
    const provinces = of("province");
    const picks = [
      scopePick(t("app.province"), provinces.length === 4 ? t("app.all") : t("app.all.n"), provinces, trail.province, "all", go),
      trail.province ? scopePick(t("app.district"), t("app.every.district"), of("district", trail.province), trail.district, trail.province, go) : null,
      trail.district ? scopePick(t("app.commune"), t("app.every.commune"), of("commune", trail.district), trail.commune, trail.district, go) : null,
    ];
    const windows = h("select", { "aria-label": t("app.window"), onchange: (e) => go({ window: e.target.value }) },
      WINDOWS.map((w) => h("option", { value: w, selected: w === wall.window, text: w === "auto" ? `${t("app.window")}: ${t("w.auto")}` : t(`w.${w}`) })));
    picks.filter(Boolean).forEach((pick, i) => pick.setAttribute("data-key", `scope-${i}`));
    windows.setAttribute("data-key", "window");
    this.host.replaceChildren(
      h("div", { class: "brand" }, h("img", { src: "/static/icon.svg", alt: "", width: 32, height: 32 }),
        h("h1", {}, h("b", { text: "IOC" }), h("span", { class: "brand-name", text: t("app.title") }))),
      h("nav", { class: "boards", "aria-label": t("app.boards") }, Object.keys(BOARDS).map((name) =>
        h("button", { type: "button", "data-key": `board-${name}`, "data-board": name, "aria-current": name === wall.board ? "page" : null, onclick: () => go({ board: name }), text: t(`board.${name}`) }))),
      h("div", { class: "picks", role: "group", "aria-label": t("app.scope") }, ...picks, wall.board === "ind" ? null : windows),
      h("div", { class: "tools" },
        wall.report?.grafana ? h("a", { class: "button", href: wall.report.grafana, target: "_blank", rel: "noopener", text: t("app.grafana") }) : null,
        h("button", { type: "button", class: "button", id: "lang", "data-key": "lang", "aria-label": t("app.lang.label"), onclick: wall.toggleLang, text: t("app.lang") }),
        h("button", { type: "button", class: "button", id: "theme", "data-key": "theme", "aria-label": t("app.theme.label"), onclick: wall.toggleTheme, text: t(wall.theme === "dark" ? "app.theme.light" : "app.theme.dark") })),
      h("div", { class: "clock" }, this.time, h("span", { class: "clock-sub" }, this.day, this.link)),
    );
    if (focused) this.host.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  /** The clock of the wall; `dataClock` is shown when the figures live at another time. */
  tick(now, dataClock, link) {
    setText(this.time, clock(now));
    const apart = dataClock && Math.abs(dataClock - now) > 60_000;
    setText(this.day, apart ? `${t("app.dataclock")} ${clock(dataClock)} ${date(dataClock)}` : date(now));
    setText(this.link, t(`live.${link}`));
    this.link.dataset.state = link;
  }
}
