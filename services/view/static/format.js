// Numbers, money, durations and times as an operator reads them. Null is always a dash, never 0.

import { has, lang, t } from "./text.js";

export const DASH = "—";
const ZONE = "Asia/Ho_Chi_Minh";
const cache = new Map();

function formatter(kind, options) {
  const locale = lang() === "vi" ? "vi-VN" : "en-GB";
  const key = locale + kind + JSON.stringify(options);
  if (!cache.has(key)) {
    cache.set(key, kind === "n" ? new Intl.NumberFormat(locale, options) : new Intl.DateTimeFormat(locale, options));
  }
  return cache.get(key);
}

/** A number with a fixed count of decimals. */
export const number = (value, decimals = 0) =>
  value === null || value === undefined || !Number.isFinite(value)
    ? DASH
    : formatter("n", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(value);

/** A fraction as a percentage with one decimal; above 100 % is valid and not clamped. */
export const percent = (value) => (value === null || value === undefined ? DASH : `${number(value * 100, 1)} %`);

function money(value) {
  const size = Math.abs(value);
  if (size >= 1e9) return { main: number(value / 1e9, size >= 1e11 ? 0 : size >= 1e10 ? 1 : 2), unit: t("vnd.billion") };
  if (size >= 1e6) return { main: number(value / 1e6, size >= 1e8 ? 0 : 1), unit: t("vnd.million") };
  return { main: number(value), unit: "₫" };
}

/** Value and unit apart, for a large figure: {main, unit}. */
export function figure(value, unit) {
  if (value === null || value === undefined || !Number.isFinite(value)) return { main: DASH, unit: "" };
  switch (unit) {
    case "ratio":
      return { main: number(value * 100, 1), unit: "%" };
    case "%":
      return { main: number(value, 1), unit: "%" };
    case "vnd":
    case "VND":
      return money(value);
    case "minutes":
      return value >= 120 ? { main: number(value / 60, 1), unit: t("unit.hours") } : { main: number(value), unit: t("unit.minutes") };
    case "hours":
    case "days":
      return { main: number(value, 1), unit: t(`unit.${unit}`) };
    case "seconds":
      return { main: duration(value), unit: "" };
    case "flag":
      return { main: value ? t("flag.yes") : t("flag.no"), unit: "" };
    default:
      return { main: number(value, Number.isInteger(value) ? 0 : Math.abs(value) < 10 ? 2 : 1), unit: has(`of.${unit}`) ? t(`of.${unit}`) : "" };
  }
}

/** Value and unit in one text. */
export function full(value, unit) {
  const { main, unit: suffix } = figure(value, unit);
  return suffix ? `${main} ${suffix}` : main;
}

/** A target, without decimals that say nothing. */
export function goal(value, unit) {
  if (unit === "ratio") return `${number(value * 100, Number.isInteger(Math.round(value * 1e6) / 1e4) ? 0 : 1)} %`;
  return full(value, unit);
}

/** A gap to a target in the unit of the value, with its sign; rates in percentage points. */
export function gap(value, unit) {
  if (value === null || value === undefined || unit === "flag") return DASH;
  const sign = value > 0 ? "+" : value < 0 ? "−" : "";
  if (unit === "ratio") return `${sign}${number(Math.abs(value) * 100, 1)} ${t("unit.points")}`;
  return sign + full(Math.abs(value), unit);
}

/** Seconds as the largest one or two parts. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return DASH;
  const whole = Math.max(0, Math.round(seconds));
  const parts = [
    [Math.floor(whole / 86400), "d"],
    [Math.floor((whole % 86400) / 3600), "h"],
    [Math.floor((whole % 3600) / 60), "m"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return `0 ${t("short.s")}`;
  const shown = [parts[first]];
  if (first < 2 && parts[first + 1][0] > 0 && parts[first][0] < 10) shown.push(parts[first + 1]);
  return shown.map(([n, u]) => `${n} ${t(`short.${u}`)}`).join(" ");
}

const time = (at, options) => formatter("d", { timeZone: ZONE, hourCycle: "h23", ...options }).format(at);
export const clock = (at) => time(at, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const hourMinute = (at) => time(at, { hour: "2-digit", minute: "2-digit" });
export const dayMonth = (at) => time(at, { day: "2-digit", month: "2-digit" }).replace("-", "/");
export const date = (at) => time(at, { weekday: "long", day: "2-digit", month: "2-digit", year: "numeric" });
/** Local hour of the day and local midnight, ms: Viet Nam has one offset and no daylight saving. */
export const OFFSET_MS = 7 * 3600_000;
