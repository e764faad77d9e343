"""Indicator readings of one province and local day: heartbeats, daily numbers, running periods.

Heartbeats come every five minutes and stand for the period that just ended; the nodes of the
dedicated network fail and come back, and a district's rate follows from its communes' nodes. Daily
numbers are sent at 0:05 and, corrected, at 7:30; monthly, quarterly, half-yearly and yearly ones as
running periods (or the last closed one) each morning, with more reports in the last two working
days of a month and on the 14th and 15th. Pure.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.calendar import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Calendar,
    day_date,
    day_of,
    day_start,
    local_day,
    month_start,
    quarter_start,
    weekday,
    year_start,
)
from services.core.indicators import BEAT_MS, Indicator, Level, Reported, by_name
from services.simulation.instants import iso
from services.simulation.provinces import Province
from services.simulation.seeds import fraction, generator
from services.simulation.shapes import ONLINE_HOURS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SOURCE = "/ioc/sim/indicator"
BEATS = DAY_MS // BEAT_MS
NODES = "infra.tslcd_rate"
#: The first daily number comes at 0:05, its correction at 7:30.
_FIRST, _CORRECTED = 5 * MINUTE_MS, 7 * HOUR_MS + 30 * MINUTE_MS
#: How often, per day, a node or system fails, and for how many five-minute periods on average.
_FAILURES, _FAILED_BEATS = 0.12, 4.0
_EVENING_REPORT = 16 * HOUR_MS + 20 * MINUTE_MS


@dataclass(frozen=True)
class Series:
    """One series of a province: an indicator, a territory, dims, and what is reported there."""

    indicator: Indicator
    territory: str
    #: Index of the territory's district in its province, -1 for the province itself.
    district: int
    reported: Reported
    #: The denominator that a rate is reported with, 0 for none.
    base: int
    #: True where the value was published, and therefore stays as it is.
    fixed: bool

    @property
    def key(self) -> str:
        dims = ";".join(f"{k}={v}" for k, v in self.reported.dims)
        return f"{self.indicator.name}|{self.territory}|{dims}"


def _plausible(indicator: Indicator, territory: str, level: Level, communes: int) -> Reported:
    """A made-up but steady value for a territory of which nothing was published."""
    low, high = indicator.plausible[level]
    value = low + (high - low) * fraction(0, "reading", indicator.name, territory)
    match indicator.kind:
        case "rate" if indicator.base is not None:
            base = communes if indicator.base == "communes" else indicator.base
            if level == "district":
                base = max(base // 12, 5)
            return Reported(numerator=round(value * base), denominator=base)
        case "rate":
            return Reported(value=round(value, 4))
        case "flag":
            return Reported(value=float(round(value)))
        case _:
            whole = round(value) if high >= 3 else round(value, 3)
            return Reported(value=whole)


@lru_cache(maxsize=64)
def series_of(province: Province) -> tuple[Series, ...]:
    """Every series of a province, in catalogue order."""
    out: list[Series] = []
    districts = {d.row.district_code: i for i, d in enumerate(province.districts)}
    communes = {code: i for i, d in enumerate(province.districts) for code in d.communes}
    levels: dict[Level, dict[str, int]] = {
        "province": {province.code: -1},
        "district": districts,
        "commune": communes,
    }
    for indicator in by_name().values():
        for level, codes in levels.items():
            for code, district in codes.items():
                given = indicator.reported.get(code)
                if given is not None:
                    out.extend(Series(indicator, code, district, r, 0, True) for r in given)
                elif level in indicator.plausible:
                    r = _plausible(indicator, code, level, len(communes))
                    out.append(Series(indicator, code, district, r, int(r.denominator or 0), False))
    return tuple(out)


def _down(seed: int, what: str, day: int) -> NDArray[np.bool_]:
    """In which five-minute periods of a day a node or system is down."""
    rng = generator(seed, "down", what, day)
    out = np.zeros(BEATS, dtype=bool)
    for _ in range(int(rng.poisson(_FAILURES))):
        start = int(rng.integers(BEATS))
        out[start : start + 1 + int(rng.geometric(1 / _FAILED_BEATS))] = True
    return out


@dataclass(frozen=True)
class Readings:
    """The readings of one province and day; one entity and one slot per reading."""

    province: Province
    series: tuple[Series, ...]
    of: Ints
    start: Ints
    end: Ints
    time: Ints
    revision: Ints
    value: Floats
    numerator: Floats
    denominator: Floats

    def __len__(self) -> int:
        return len(self.of)

    @property
    def topic(self) -> str:
        return "ioc.indicator.v1"

    @property
    def times(self) -> Ints:
        return self.time.reshape(-1, 1)

    @property
    def district(self) -> Ints:
        index = np.array([s.district for s in self.series], dtype=np.int64)
        found: Ints = index[self.of]
        return found

    def take(self, rows: Ints) -> "Readings":
        """These readings, reduced to some rows."""
        return Readings(
            self.province, self.series, self.of[rows], self.start[rows], self.end[rows],
            self.time[rows], self.revision[rows], self.value[rows], self.numerator[rows],
            self.denominator[rows],
        )  # fmt: skip

    def event(self, i: int, slot: int) -> tuple[str, dict[str, Any]]:
        """Key and CloudEvent of a reading."""
        series = self.series[self.of[i]]
        indicator, reported = series.indicator, series.reported
        revision = int(self.revision[i])
        start = iso(self.start[i])
        value, numerator, denominator = (
            None if np.isnan(x) else _plain(float(x))
            for x in (self.value[i], self.numerator[i], self.denominator[i])
        )
        target = reported.target if reported.target is not None else indicator.target
        data = {
            "domain": indicator.domain,
            "indicator": indicator.name,
            "territory": series.territory,
            "period_start": start,
            "period_end": iso(self.end[i]),
            "revision": revision,
            "kind": indicator.kind,
            "value": value,
            "numerator": numerator,
            "denominator": denominator,
            "target": target,
            "target_low": indicator.target_low,
            "unit": indicator.unit,
            "dims": dict(reported.dims) or None,
            "text": reported.text,
            "source_system": indicator.source_system,
        }
        key = series.key
        return key, {
            "specversion": "1.0",
            "id": f"{key}{start}-r{revision}",
            "source": SOURCE,
            "type": "ioc.indicator.v1",
            "time": iso(self.time[i]),
            "datacontenttype": "application/json",
            "data": data,
        }


def _plain(number: float) -> float | int:
    """5.0 as 5: counts are written as counts."""
    return int(number) if number.is_integer() else number


class _Rows:
    """Collects columns of readings."""

    def __init__(self) -> None:
        self.parts: list[tuple[Any, ...]] = []

    def add(
        self, of: int, start: Any, end: Any, time: Any, revision: Any, value: Any,
        numerator: Any = np.nan, denominator: Any = np.nan,
    ) -> None:  # fmt: skip
        columns = np.broadcast_arrays(of, start, end, time, revision, value, numerator, denominator)
        self.parts.append(tuple(np.atleast_1d(c) for c in columns))

    def readings(self, province: Province, series: tuple[Series, ...]) -> Readings:
        parts = self.parts or [tuple(np.zeros(0) for _ in range(8))]
        columns = [np.concatenate([p[k] for p in parts]) for k in range(8)]
        of, start, end, time, revision = (c.astype(np.int64) for c in columns[:5])
        value, numerator, denominator = (c.astype(np.float64) for c in columns[5:])
        return Readings(
            province, series, of, start, end, time, revision, value, numerator, denominator
        )


def beats(seed: int, province: Province, day: int) -> Readings:
    """The heartbeats sent on a local day: periods that end in it."""
    series = series_of(province)
    rows = _Rows()
    ends = day_start(day) + np.arange(1, BEATS + 1) * BEAT_MS
    starts = ends - BEAT_MS
    nodes = _node_state(seed, province, day)
    for n, s in enumerate(series):
        if s.indicator.cadence != "beat":
            continue
        # Each sender has its own second of the minute after the period.
        time = ends + int(fraction(seed, "beat-phase", s.key) * 45_000)
        if s.indicator.name == NODES:
            up, total = nodes[s.territory]
            rows.add(n, starts, ends, time, 1, np.nan, up, total)
        elif s.indicator.kind == "flow":
            rows.add(n, starts, ends, time, 1, _flow_beats(seed, s, day))
        elif s.indicator.kind == "flag":
            rows.add(n, starts, ends, time, 1, np.where(_down(seed, s.key, day), 0.0, 1.0))
        else:
            rows.add(n, starts, ends, time, 1, _feeds_alive(seed, province, s, day))
    return rows.readings(province, series)


def _flow_beats(seed: int, s: Series, day: int) -> Floats:
    rng = generator(seed, "flow", s.key, day)
    mean = (s.reported.value or 1.0) * np.repeat(ONLINE_HOURS * 24, BEATS // 24)
    found: Floats = rng.poisson(mean * rng.gamma(11.1, 1 / 11.1, BEATS)).astype(float)
    return found


def _feeds_alive(seed: int, province: Province, s: Series, day: int) -> Floats:
    """How many feeds of a scope are alive: those whose own flag says so."""
    from services.core.indicator_catalogue import SCREEN_FEEDS, SECTOR_FEEDS

    scope = dict(s.reported.dims).get("scope")
    feeds = SCREEN_FEEDS if scope == "screens" else SECTOR_FEEDS
    down = [_down(seed, f"ioc.feed_live|{province.code}|feed={f}", day) for f in feeds]
    alive: Floats = len(feeds) - np.sum(down, axis=0).astype(float)
    return alive


def _node_state(seed: int, province: Province, day: int) -> dict[str, tuple[Floats, float]]:
    """Nodes up and nodes in all, by territory code, for each five minutes of a day."""
    out: dict[str, tuple[Floats, float]] = {}
    all_up, all_count = np.zeros(BEATS), 0.0
    for district in province.districts:
        office = district.row.district_code
        up, count = (~_down(seed, f"node-{office}", day)).astype(float), 1.0
        for commune in district.communes:
            alive = (~_down(seed, f"node-{commune}", day)).astype(float)
            out[commune] = (alive, 1.0)
            up, count = up + alive, count + 1
        out[office] = (up, count)
        all_up, all_count = all_up + up, all_count + count
    out[province.code] = (all_up, all_count)
    return out


def _period(cadence: str, day: int, at: int) -> tuple[int, int]:
    """Start and end of the period that a reading of an instant speaks of."""
    match cadence:
        case "month":
            return day_start(month_start(day)), at
        case "quarter":
            return day_start(quarter_start(day)), at
        case "year":
            return day_start(year_start(day)), at
        case _:
            when = day_date(day)
            if when.month > 6:
                first = when.replace(month=1, day=1)
                return day_start(day_of(first)), day_start(day_of(when.replace(month=7, day=1)))
            first = when.replace(year=when.year - 1, month=7, day=1)
            return day_start(day_of(first)), day_start(day_of(when.replace(month=1, day=1)))


def _numbers(seed: int, s: Series, day: int, draft: bool) -> tuple[float, float, float]:
    """Value, numerator and denominator of a slow reading; published ones stay as they are."""
    r = s.reported
    nan = float("nan")
    if s.indicator.cadence == "day" and not s.fixed:
        return _daily(seed, s, day, draft)
    if s.indicator.kind == "flow" and s.indicator.cadence == "day":
        rng = generator(seed, "daily", s.key, day)
        return float(max(0, rng.poisson(r.value or 0) - int(draft))), nan, nan
    if r.value is not None:
        drift = 0.0
        if not s.fixed and s.indicator.kind == "level" and s.indicator.cadence == "month":
            # Running sums of unpublished places creep up through the year.
            drift = float(int(r.value * 0.02 * (day - year_start(day)) / 365))
        return r.value + drift, nan, nan
    if r.numerator is not None and r.denominator is not None:
        return nan, r.numerator, r.denominator
    return nan, nan, nan


def _daily(seed: int, s: Series, day: int, draft: bool) -> tuple[float, float, float]:
    rng = generator(seed, "daily", s.key, day)
    nan = float("nan")
    if s.indicator.kind == "rate":
        base = max(1, int(rng.poisson(max(s.base, 1))))
        rate = s.reported.number or 0.0
        return nan, float(rng.binomial(base, min(rate, 1.0))), float(base)
    if s.indicator.name == "sec.incidents":
        return float(rng.poisson(0.15)), nan, nan
    mean = (s.reported.value or 0.0) * (0.55 if weekday(day) >= 5 else 1.1)
    value = int(rng.poisson(mean * float(rng.gamma(44.4, 1 / 44.4))))
    # The first count misses what the night shift enters in the morning.
    return float(max(0, value - value // 50 - 1) if draft else value), nan, nan


def _reading_clocks(calendar: Calendar, day: int) -> tuple[int, ...]:
    """When slow numbers are sent on a day: 7:30, and once more where monthly reports crowd."""
    crowd = day_date(day).day in (14, 15) or day in calendar.last_working_days_of_month(day, 2)
    return (_CORRECTED, _EVENING_REPORT) if crowd else (_CORRECTED,)


def slow(seed: int, province: Province, day: int, calendar: Calendar) -> Readings:
    """The daily and running readings sent on a local day."""
    series = series_of(province)
    rows = _Rows()
    midnight = day_start(day)
    for n, s in enumerate(series):
        scatter = int(fraction(seed, "slow-phase", s.key) * 10 * MINUTE_MS)
        match s.indicator.cadence:
            case "beat":
                continue
            case "day":
                # Yesterday's number, first in the night, then corrected.
                for revision, clock in ((1, _FIRST), (2, _CORRECTED)):
                    number = _numbers(seed, s, day - 1, revision == 1)
                    rows.add(
                        n,
                        midnight - DAY_MS,
                        midnight,
                        midnight + clock + scatter,
                        revision,
                        *number,
                    )
            case cadence:
                for k, clock in enumerate(_reading_clocks(calendar, day)):
                    at = midnight + clock + scatter
                    start, end = _period(cadence, day, at)
                    revision = 2 * (day - local_day(start)) + k + 1
                    rows.add(n, start, end, at, revision, *_numbers(seed, s, day, False))
    return rows.readings(province, series)
