"""The past as curves: what the view would have shown every five minutes of a simulated interval.

Computed from the same simulated entities that the events are made of, all at once with numpy: the
contributions of their final states are binned and added up, and what is open or overdue is counted
from the steps of each life. Final states, so a value may differ a little from what was known at
that minute (a case refused later counts as refused).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from schemas import codec
from schemas.catalog import BY_NAME
from services.core import facts
from services.core.calendar import DAY_MS, day_start, local_day
from services.core.contributions import (
    PANE_MS,
    STOCK,
    Contribution,
    case_contributions,
    listing_base,
    listing_contributions,
    order_contributions,
    report_contributions,
)
from services.core.facts import TERRITORY_MASK, TERRITORY_SHIFT
from services.core.kpis import CATALOGUE, Kpi, Measure
from services.core.territory import Territories
from services.simulation import cases, reports
from services.simulation.market_day import MarketDay
from services.simulation.stream import LOOK_BACK_DAYS, Batch, Kind, Simulation

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

STEP_MS = 5 * 60_000
#: Length and pane of the rolling windows, in ms.
WINDOWS = {"1h": (3_600_000, 10_000), "24h": (DAY_MS, 60_000)}
#: KPIs whose curves are kept for districts too, in these windows.
DISTRICT_KPIS = frozenset({"fr.received", "gov.cases_received", "gov.on_time_rate"})
DISTRICT_WINDOWS = ("24h", "today")
DISTRICT_STOCKS = frozenset({"fr.open_now", "gov.open_now", "gov.overdue_now"})
_NEAR_MS = DAY_MS
_KINDS: tuple[Kind, ...] = ("field-report", "admin-case", "listing")


@dataclass(frozen=True)
class Curve:
    """One series: metric name, labels in order, values on the grid (nan: no sample)."""

    metric: str
    labels: tuple[tuple[str, str], ...]
    values: Floats


@dataclass(frozen=True)
class Place:
    """One row of ``all``, the provinces and the districts, with its labels."""

    level: str
    province: str
    district: str

    def labels(self, window: str) -> tuple[tuple[str, str], ...]:
        return (
            ("window", window),
            ("level", self.level),
            ("province", self.province),
            ("district", self.district),
        )


class Places:
    """All places, and the places that a deepest territory row counts for."""

    def __init__(self, territories: Territories) -> None:
        self.all = [Place("all", "", "")]
        number = {"all": 0}
        for code in territories.provinces:
            number[code] = len(self.all)
            self.all.append(Place("province", code, ""))
        for d in territories.districts.values():
            number[d.district_code] = len(self.all)
            self.all.append(Place("district", d.province_code, d.district_code))
        rows = territories.rows
        self.province_of = np.full(len(rows), -1, dtype=np.int64)
        self.district_of = np.full(len(rows), -1, dtype=np.int64)
        for out, level in ((self.province_of, "province"), (self.district_of, "district")):
            at = territories.at_level[level]  # type: ignore[index]  # both are levels
            for i in range(len(rows)):
                out[i] = number.get(rows[at[i]].code, -1) if at[i] >= 0 else -1
        self.number = number

    def __len__(self) -> int:
        return len(self.all)


@dataclass(frozen=True)
class Grid:
    """The instants of the curves, five minutes apart, and a lead of a day and a bit before."""

    start: int
    end: int

    @property
    def origin(self) -> int:
        return day_start(local_day(self.start - DAY_MS))

    @property
    def instants(self) -> Ints:
        """From the lead's begin to the end."""
        return np.arange(self.origin, self.end + 1, STEP_MS, dtype=np.int64)

    @property
    def lead(self) -> int:
        """How many instants come before the first that is shown."""
        return -(-(self.start - self.origin) // STEP_MS)

    def bins(self, times: Ints, delay: int = 0) -> Ints:
        """The index of the first instant at which a time is past (``delay`` ms before counts)."""
        found = (times - delay - self.origin) // STEP_MS + 1
        return np.clip(found, 0, len(self.instants))


def _grown(grid: Grid, place: Ints, at: Ints, weight: Floats | None, places: int) -> Floats:
    """Running sums, places x instants (int64-exact up to 2^53)."""
    n = len(grid.instants) + 1
    flat = np.bincount(place * n + at, weights=weight, minlength=places * n)
    return flat.reshape(places, n)[:, :-1].astype(float).cumsum(axis=1)


class Totals:
    """Running sums of measures at every place, from contributions of final states."""

    def __init__(self, grid: Grid, places: Places, contributions: list[Contribution]) -> None:
        self._grid, self._places = grid, places
        columns = np.array(contributions, dtype=np.int64).reshape(-1, 3)
        order = np.argsort(columns[:, 1] >> facts.FACT_SHIFT, kind="stable")
        self._time = columns[order, 0] * PANE_MS
        self._code = columns[order, 1]
        self._sum = columns[order, 2]
        self._fact = self._code >> facts.FACT_SHIFT

    def before(self, measure: Measure, ahead: int) -> Floats:
        """The measure of all milestones before each instant plus ``ahead`` ms, at every place."""
        low, high = np.searchsorted(self._fact, [measure.fact.number, measure.fact.number + 1])
        code = self._code[low:high]
        keep = np.ones(len(code), dtype=bool)
        for name, allowed in measure.where:
            field = measure.fact.fields[name]
            keep &= np.isin((code >> field.shift) & field.mask, allowed)
        row = (code[keep] >> TERRITORY_SHIFT) & TERRITORY_MASK
        at = self._grid.bins(self._time[low:high][keep], ahead)
        weight = self._sum[low:high][keep].astype(float) if measure.column == "s" else None
        return _at_all_levels(self._grid, self._places, row, at, weight)


def _at_all_levels(
    grid: Grid, places: Places, row: Ints, at: Ints, weight: Floats | None
) -> Floats:
    out = np.zeros((len(places), len(grid.instants)))
    for of in (np.zeros_like(places.province_of), places.province_of, places.district_of):
        place = of[row]
        keep = place >= 0
        out += _grown(
            grid, place[keep], at[keep], None if weight is None else weight[keep], len(places)
        )
    return out


def _windowed(grid: Grid, totals: Totals, measure: Measure, window: str) -> Floats:
    """A measure over a window at the shown instants.

    The window ends with the pane that contains the instant (of which nothing later is known), so a
    rolling one begins a pane after the instant minus its length.
    """
    shown = np.arange(grid.lead, len(grid.instants))
    now = totals.before(measure, 0)[:, shown]
    if window == "today":
        midnight = np.array([day_start(local_day(int(t))) for t in grid.instants[shown]])
        return now - totals.before(measure, 0)[:, (midnight - grid.origin) // STEP_MS]
    length, pane = WINDOWS[window]
    return now - totals.before(measure, pane)[:, shown - length // STEP_MS]


def windowed_curves(grid: Grid, places: Places, totals: Totals) -> Iterator[Curve]:
    """Counts, sums, rates and means in the windows 1h, 24h and today."""
    for kpi in CATALOGUE.values():
        if kpi.kind not in ("count", "sum", "rate", "mean") or kpi.numerator is None:
            continue
        for window in (*WINDOWS, "today"):
            values = _values(grid, totals, kpi, kpi.numerator, window)
            for number, place in enumerate(places.all):
                if place.level == "district" and not (
                    kpi.name in DISTRICT_KPIS and window in DISTRICT_WINDOWS
                ):
                    continue
                yield Curve(kpi.metric, place.labels(window), values[number])


def _values(grid: Grid, totals: Totals, kpi: Kpi, above: Measure, window: str) -> Floats:
    numerator = _windowed(grid, totals, above, window)
    if kpi.denominator is None:
        return numerator / kpi.scale * kpi.metric_factor
    denominator = _windowed(grid, totals, kpi.denominator, window)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(
            denominator > 0, numerator / denominator / kpi.scale * kpi.metric_factor, np.nan
        )


# --- what is open, overdue, near due ------------------------------------------------------------


class Stocks:
    """Entities inside intervals of time, counted at every place and instant."""

    def __init__(self, grid: Grid, places: Places) -> None:
        self._grid, self._places = grid, places
        self._parts: dict[str, list[tuple[Ints, Ints, Ints]]] = {}

    def add(self, kpi: str, place: Ints, start: Ints, end: Ints) -> None:
        """From ``start`` to ``end`` (ms); rows with an empty interval are left out."""
        keep = end > start
        self._parts.setdefault(kpi, []).append((place[keep], start[keep], end[keep]))

    def curves(self) -> Iterator[Curve]:
        grid = self._grid
        for kpi, parts in self._parts.items():
            place, start, end = (np.concatenate([p[k] for p in parts]) for k in range(3))
            count = np.zeros((len(self._places), len(grid.instants)))
            for sign, at in ((1.0, grid.bins(start, 1)), (-1.0, grid.bins(end, 1))):
                count += sign * _grown(grid, place, at, None, len(self._places))
            codes = [self._places.number.get(p.province, 0) for p in self._places.all]
            provinces = np.zeros_like(count)
            for number, p in enumerate(self._places.all):
                if p.level == "district":
                    provinces[codes[number]] += count[number]
            provinces[0] = provinces[1:].sum(axis=0)
            for number, p in enumerate(self._places.all):
                if p.level == "district" and kpi not in DISTRICT_STOCKS:
                    continue
                values = count if p.level == "district" else provinces
                yield Curve(CATALOGUE[kpi].metric, p.labels("now"), values[number][grid.lead :])


_NEVER = 2**62


def _next(times: Ints, slots: tuple[int, ...]) -> Ints:
    """The earliest of some steps, or never."""
    found = np.full(len(times), _NEVER, dtype=np.int64)
    for slot in slots:
        found = np.minimum(found, np.where(times[:, slot] >= 0, times[:, slot], _NEVER))
    return found


def _add_cases(stocks: Stocks, batch: cases.Cases, place: Ints) -> None:
    t = batch.times
    closed = np.where(batch.refused, t[:, cases.INTAKE], _next(t, (cases.ENDED,)))
    stocks.add("gov.open_now", place, t[:, cases.REGISTERED], closed)
    taken = ~batch.refused
    for begin, ends, due in (
        (cases.INTAKE, (cases.SUPPLEMENT, cases.PAYMENT_DUE, cases.ENDED), batch.due),
        (cases.RESUMED, (cases.PAYMENT_DUE, cases.ENDED), batch.due_after),
        (cases.PAID, (cases.ENDED,), batch.due_paid),
    ):
        here = taken & (t[:, begin] >= 0)
        start, end = t[here, begin], _next(t[here], ends)
        stocks.add("gov.overdue_now", place[here], np.maximum(start, due[here]), end)
        stocks.add(
            "gov.near_due_now",
            place[here],
            np.maximum(start, due[here] - _NEAR_MS),
            np.minimum(end, due[here]),
        )


def _add_reports(stocks: Stocks, batch: reports.Reports, place: Ints) -> None:
    t = batch.times
    closing = np.where(batch.outcome != 0, t[:, reports.DECIDED], t[:, reports.ANSWERED])
    stocks.add("fr.open_now", place, t[:, reports.RECEIVED], closing)
    again = t[:, reports.REOPENED] >= 0
    stocks.add(
        "fr.open_now", place[again], t[again, reports.REOPENED], t[again, reports.ANSWERED_AGAIN]
    )
    extended = t[:, reports.EXTENDED] >= 0
    first_end = np.where(extended, t[:, reports.EXTENDED], closing)
    stocks.add("fr.overdue_now", place, np.maximum(t[:, reports.VERIFYING], batch.due), first_end)
    stocks.add(
        "fr.overdue_now",
        place[extended],
        np.maximum(t[extended, reports.EXTENDED], batch.due_extended[extended]),
        closing[extended],
    )
    stocks.add(
        "fr.overdue_now",
        place[again],
        np.maximum(t[again, reports.REOPENED], batch.due_reopened[again]),
        t[again, reports.ANSWERED_AGAIN],
    )


# --- everything ---------------------------------------------------------------------------------


def event_curves(simulation: Simulation, territories: Territories, grid: Grid) -> Iterator[Curve]:
    """The curves of reports, cases, listings and orders."""
    places = Places(territories)
    stocks = Stocks(grid, places)
    contributions: list[Contribution] = []
    for kind in _KINDS:
        first = local_day(grid.origin) - LOOK_BACK_DAYS[kind]
        for day in range(first, local_day(grid.end) + 1):
            for birth in simulation.births(kind, day):
                batch = birth.batch
                if not len(batch):
                    continue
                alive = batch.times.max(axis=1) >= grid.origin
                if isinstance(batch, cases.Cases):
                    alive &= batch.hold <= grid.end  # what is uploaded later nobody knew
                batch = batch.take(np.flatnonzero(alive))
                if not len(batch):
                    continue
                contributions += _contributions(batch, grid.end, territories)
                codes = [
                    d.row.district_code for d in simulation.provinces[birth.province].districts
                ]
                numbers = np.array([places.number[c] for c in codes], dtype=np.int64)
                if isinstance(batch, cases.Cases):
                    _add_cases(stocks, batch, numbers[batch.district])
                elif isinstance(batch, reports.Reports):
                    _add_reports(stocks, batch, numbers[batch.district])
    yield from windowed_curves(grid, places, Totals(grid, places, contributions))
    yield from stocks.curves()


def _contributions(batch: Batch, end: int, territories: Territories) -> list[Contribution]:
    """The contributions of the last states before an instant, stocks left out."""
    out: list[Contribution] = []
    times = batch.times
    past = (times >= 0) & (times < end)
    last = times.shape[1] - 1 - np.argmax(past[:, ::-1], axis=1)
    topic = BY_NAME[batch.topic]
    skip = len(batch.revisions) if isinstance(batch, MarketDay) else 0
    for i in np.flatnonzero(past.any(axis=1)).tolist():
        if i < skip:
            continue
        key, event = batch.event(i, int(last[i]))
        found = codec.decode(
            topic, key.encode(), orjson.dumps(event), 0, 1, end + DAY_MS, check_partition=False
        )
        out += _of(found, territories)
    if isinstance(batch, MarketDay):
        for i, revision in enumerate(batch.revisions):
            if revision.active and (revision.week or revision.ordinal):
                continue
            key, event = batch.event(i, 0)
            found = codec.decode(
                topic, key.encode(), orjson.dumps(event), 0, 1, end + DAY_MS, check_partition=False
            )
            of_listing = _of(found, territories)
            # The birth of a listing is told by its first revision, not again by its last.
            out += of_listing if revision.active else of_listing[1:]
    return [c for c in out if c[0] != STOCK]


def _of(event: Any, territories: Territories) -> list[Contribution]:
    from schemas import v1

    match event:
        case v1.AdminCaseEvent(data=data):
            return case_contributions(data, territories)
        case v1.FieldReportEvent(data=data):
            return report_contributions(data, territories)
        case v1.OrderEvent(data=data):
            return order_contributions(data, territories)
        case v1.ListingEvent(data=data):
            return listing_contributions(data, listing_base(data, territories))
        case _:
            raise TypeError(f"the simulation wrote what its own contract refuses: {event}")
