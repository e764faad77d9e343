// What a trend line of a KPI is made of: which windows, at which instants, read no oftener than
// every five minutes. Instants lie a second before a boundary of the panes still kept (hours 40
// days, local days 400), so that every window asked for can be answered.

import * as api from "./api.js";
import { OFFSET_MS } from "./format.js";
import { isAverage } from "./boards.js";

const HOUR = 3600_000;
const DAY = 24 * HOUR;
const FRESH_MS = 5 * 60_000;
const cache = new Map();

/** The plan of a KPI's line: {window, from, to, step}. `now` is the clock of the figures, ms. */
export function plan(kpi, now, { long = false } = {}) {
  if (kpi.windows.length === 0) {
    const to = Math.floor(now / 60_000) * 60_000;
    return { window: null, from: to - 24 * HOUR, to, step: 600 };
  }
  if (isAverage(kpi) || long) {
    const midnight = Math.floor((now + OFFSET_MS) / DAY) * DAY - OFFSET_MS;
    return { window: long && !isAverage(kpi) ? "24h" : "7d", from: midnight - 30 * DAY - 1000, to: midnight - 1000, step: 86400 };
  }
  const hour = Math.floor(now / HOUR) * HOUR;
  return { window: "1h", from: hour - 47 * HOUR - 1000, to: hour - 1000, step: 3600 };
}

async function whole(kpi, asked, territory, now) {
  const points = await api.series(kpi.name, { ...asked, territory });
  // Days end at midnight; the last point is now.
  if (asked.step < DAY / 1000) return points;
  const { rows } = await api.kpi(kpi.name, { window: asked.window, territory });
  return [...points, [now / 1000, rows[0].value, rows[0].count]];
}

/** The points of a KPI's line; rejects when the view cannot be read. */
export async function read(kpi, territory, now, options = {}) {
  const asked = plan(kpi, now, options);
  const key = `${kpi.name}|${territory}|${asked.window}|${asked.step}|${asked.to > now ? 0 : Math.floor(asked.to / FRESH_MS)}`;
  const known = cache.get(key);
  if (known && Date.now() - known.at < FRESH_MS) return known.points;
  const points = whole(kpi, asked, territory, now);
  cache.set(key, { at: Date.now(), points });
  points.catch((error) => {
    // What the view refuses (the past of a commune's stock is not kept) it will refuse again.
    if (error.status >= 400 && error.status < 500) cache.set(key, { at: Date.now(), points: Promise.resolve([]) });
    else cache.delete(key);
  });
  if (cache.size > 400) cache.delete(cache.keys().next().value);
  return points;
}
