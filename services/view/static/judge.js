// Which colour a figure gets, and when a feed counts as silent. Pure.
//
// good: the target is met · warn: missed by at most a tenth of it (or not below target_low) ·
// bad: missed by more · nodata: null, or its feed is silent · plain: there is no target.

const DAY_MS = 86_400_000;
/** Viet Nam has one offset and no daylight saving. */
const OFFSET_MS = 7 * 3600_000;

/** Part of the target by which a figure may miss it and still be yellow. */
export const TOLERANCE = 0.1;
/** A backlog with target 0 is yellow up to this share of what is open. */
export const BACKLOG_SHARE = 0.15;
/** A rate over fewer entities than this is shown faint: it says little. */
export const SMALL_BASE = 10;

export const SEVERITY = { bad: 0, warn: 1, nodata: 2, good: 3, plain: 4 };

/**
 * @param {{value: number|null, target?: number|null, low?: number|null, direction?: string,
 *   base?: number|null}} figure `base`: what a backlog with target 0 is a part of.
 */
export function judge({ value, target, low, direction, base }) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "nodata";
  if (target === null || target === undefined || direction === "none" || !direction) return "plain";
  if (direction === "up") {
    if (value >= target) return "good";
    const floor = low ?? target - Math.abs(target) * TOLERANCE;
    return value >= floor ? "warn" : "bad";
  }
  if (value <= target) return "good";
  if (target === 0) return base && value / base <= BACKLOG_SHARE ? "warn" : "bad";
  return value <= (low ?? target + Math.abs(target) * TOLERANCE) ? "warn" : "bad";
}

/** Seconds since the last arrival: from `late` on yellow, from `silent` on grey. */
export const FEED_LIMITS = {
  "ioc.field-report.v1": { late: 30 * 60, silent: 2 * 3600 },
  "ioc.admin-case.v1": { late: 30 * 60, silent: 2 * 3600 },
  "ioc.listing.v1": { late: 2 * 3600, silent: 6 * 3600 },
  "ioc.indicator.v1": { late: 10 * 60, silent: 15 * 60 },
};

export function feedStatus(topic, age) {
  if (age === null || age === undefined) return "nodata";
  const { late, silent } = FEED_LIMITS[topic] ?? { late: 900, silent: 3600 };
  return age >= silent ? "nodata" : age >= late ? "warn" : "good";
}

/**
 * The silent provinces of a topic under a scope.
 * @returns {{silent: string[], all: boolean}} `all`: not one feed in the scope lives.
 */
export function silence(feeds, topic, province) {
  const here = feeds.filter((f) => f.topic === topic && (!province || f.province === province));
  const silent = here.filter((f) => feedStatus(topic, f.age_seconds) === "nodata").map((f) => f.province);
  return { silent, all: here.length > 0 && silent.length === here.length };
}

/**
 * A heartbeat is old after a quarter of an hour. All else is read at least once a day (a running
 * period starts at a local midnight, and its first reading may cover minutes), so old is two days.
 */
export function readingIsOld({ age_seconds: age, period_start: start, period_end: end, kind, cadence }) {
  if (age === null || age === undefined) return true;
  if (kind === "text" || kind === "rank") return false;
  const period = Date.parse(end) - Date.parse(start);
  const atMidnight = (Date.parse(start) + OFFSET_MS) % DAY_MS === 0;
  const beats = cadence ? cadence === "beat" : period < DAY_MS / 2 && !atMidnight;
  return age > (beats ? 900 : 2 * 86400);
}
