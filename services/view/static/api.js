// The view's HTTP interface, read with a time limit and a bounded number of requests at once.

const LIMIT_MS = 8000;
const AT_ONCE = 3;
let running = 0;
const waiting = [];

async function slot() {
  if (running < AT_ONCE) running += 1;
  else await new Promise((go) => waiting.push(go));
}

function release() {
  const next = waiting.shift();
  if (next) next();
  else running -= 1;
}

async function get(path, query, { signal, now = false } = {}) {
  const url = new URL(`/api/v1/${path}`, location.href);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  if (!now) await slot();
  try {
    const limit = AbortSignal.timeout(LIMIT_MS);
    const answer = await fetch(url, {
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      headers: { accept: "application/json" },
      cache: "no-store",
    });
    if (!answer.ok) throw Object.assign(new Error(`${answer.status} ${url.pathname}`), { status: answer.status });
    return await answer.json();
  } finally {
    if (!now) release();
  }
}

/** The catalogue by name: unit, titles, formula, windows, dimensions, target, direction. */
export async function catalogue() {
  const data = await get("kpis");
  const list = Array.isArray(data) ? data : data.kpis;
  return new Map(
    list.map((k) => [
      k.name,
      { ...k, title: { vi: k.titles?.vi ?? k.title_vi ?? k.name, en: k.titles?.en ?? k.title_en ?? k.name } },
    ]),
  );
}

/** One KPI: {kpi, unit, window, as_of, rows}. */
export const kpi = (name, query, options) => get(`kpis/${name}`, query, options);

/** A KPI at each step as [seconds, value] pairs; a value that is not there is null. */
export async function series(name, { from, to, step, ...query }, options) {
  const iso = (at) => new Date(at).toISOString();
  const data = await get(`kpis/${name}/series`, { from: iso(from), to: iso(to), step, ...query }, options);
  const points = Array.isArray(data) ? data : (data.points ?? data.series ?? data.steps ?? []);
  return points.map((p) => {
    const row = p.rows ? p.rows[0] : p;
    const at = p.as_of ?? p.at ?? p.time ?? p.t;
    return [(typeof at === "number" ? at : Date.parse(at)) / 1000, row?.value ?? null, row?.count ?? null];
  });
}

/** The latest reading of each indicator series. */
export async function indicators(options) {
  const data = await get("indicators", null, options);
  return Array.isArray(data) ? data : (data.indicators ?? data.series ?? data.rows ?? []);
}

/** Figures about the pipeline and the last urgent reports; not queued behind other requests. */
export const wall = () => get("wall", null, { now: true });
export const progress = () => get("progress", null, { now: true });

/** The address of a stream of changes. */
export function streamAddress({ kpis, window, territory, by }) {
  const url = new URL("/api/v1/stream", location.href);
  for (const name of kpis) url.searchParams.append("kpi", name);
  if (window) url.searchParams.set("window", window);
  url.searchParams.set("territory", territory);
  if (by) url.searchParams.set("by", by);
  return url;
}
