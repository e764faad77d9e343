// The panels about the pipeline itself: feed freshness, data quality, last urgent reports.

import { h, icon } from "./dom.js";
import { dayMonth, duration, hourMinute, number } from "./format.js";
import { feedStatus } from "./judge.js";
import { member, t } from "./text.js";

const TOPICS = ["ioc.field-report.v1", "ioc.admin-case.v1", "ioc.listing.v1", "ioc.indicator.v1"];
const sum = (counts) => Object.values(counts ?? {}).reduce((a, b) => a + b, 0);

/** Seconds since the last arrival of each topic from each province. */
export function freshness(wall, provinces) {
  const age = new Map(wall.feeds.map((f) => [`${f.topic}|${f.province}`, f.age_seconds]));
  return h(
    "table",
    { class: "grid-table freshness" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col", text: t("feeds.topic") }), provinces.map((p) => h("th", { scope: "col", text: p.name })))),
    h("tbody", {}, TOPICS.map((topic) =>
      h("tr", {}, h("th", { scope: "row", text: t(`topic.${topic}`) }), provinces.map((p) => {
        const seconds = age.get(`${topic}|${p.code}`) ?? null;
        const status = feedStatus(topic, seconds);
        return h("td", { class: `is-${status}`, "data-topic": topic, "data-province": p.code, title: t(status === "nodata" ? "status.silent" : `status.${status}`) },
          icon(status), h("span", { text: seconds === null ? t("feeds.never") : duration(seconds) }));
      })))),
  );
}

/** Rejected or unknown up to half a percent is life, up to one percent a caution. */
const share = (part, all) => (all === 0 ? "nodata" : part / all > 0.01 ? "bad" : part / all > 0.005 ? "warn" : "good");

/** What became of the records read, by topic. */
export function quality(wall, lags) {
  const columns = ["read", "rejected", "unknown", "duplicate", "conflict", "stale", "lag"];
  return h(
    "table",
    { class: "grid-table quality" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col", text: t("feeds.topic") }), columns.map((c) => h("th", { scope: "col", class: "figure", text: t(`quality.${c}`) })))),
    h("tbody", {}, TOPICS.map((topic) => {
      const outcomes = wall.outcomes[topic] ?? {};
      const all = sum(outcomes);
      const reasons = Object.entries(wall.rejects[topic] ?? {}).sort((a, b) => b[1] - a[1]).map(([r, n]) => `${r} ${number(n)}`).join(", ");
      const rate = (name, part) => {
        const status = share(part, all);
        return h("td", { class: `figure is-${status}`, title: name === "rejected" && reasons ? `${t("quality.reasons")}: ${reasons}` : null },
          icon(status), h("span", { text: all ? percent2(part / all) : "—" }), h("span", { class: "sub", text: `(${number(part)})` }));
      };
      const lag = lags.get(topic) ?? null;
      return h("tr", {}, h("th", { scope: "row", text: t(`topic.${topic}`) }),
        h("td", { class: "figure", text: number(all) }),
        rate("rejected", outcomes.rejected ?? 0),
        rate("unknown", wall.unknown[topic] ?? 0),
        ...["duplicate", "conflict", "stale"].map((o) => h("td", { class: "figure", text: number(outcomes[o] ?? 0) })),
        h("td", { class: "figure", text: number(lag) }));
    })),
  );
}

const percent2 = (value) => `${number(value * 100, 2)} %`;

/** The last urgent reports, newest first. */
export function urgentList(reports, { places, now, most }) {
  if (reports.length === 0) return h("p", { class: "empty", text: t("urgent.none") });
  return h("ol", { class: "urgent-list" }, reports.slice(0, most).map((u) => {
    const due = u.due_at ? (Date.parse(u.due_at) - now) / 1000 : null;
    const closed = ["answered", "rejected", "duplicate", "referred"].includes(u.status);
    const status = closed ? "good" : due === null ? "plain" : due < 0 ? "bad" : due < 3600 ? "warn" : "plain";
    const at = Date.parse(u.reported_at);
    const when = now - at < 20 * 3600_000 ? hourMinute(at) : `${dayMonth(at)} ${hourMinute(at)}`;
    return h("li", { class: `is-${status}`, "data-report": u.report_id },
      icon(status),
      h("span", { class: "urgent-what" }, h("b", { text: member(u.category) }), h("span", { class: "sub", text: placeName(u, places) })),
      h("span", { class: "urgent-when" },
        h("span", { text: `${when} · ${member(u.status)}` }),
        due === null || closed ? null : h("b", { class: "due", text: t(due < 0 ? "urgent.over" : "urgent.left", { d: duration(Math.abs(due)) }) })));
  }));
}

/** Commune and district of a report, or as much of them as is known. */
export function placeName(report, places) {
  const names = [report.commune_code, report.district_code].map((code) => places.get(code)?.name).filter(Boolean);
  return names.length ? names.join(", ") : (places.get(report.province_code)?.name ?? t("rank.unknown"));
}
