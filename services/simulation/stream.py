"""The stream of one source: every record of an interval, in order of arrival. Pure.

``Simulation.stream`` gives the same bytes for the same seed, faults, scenario and instants,
wherever it starts: it makes the births of the days before again and skips what has arrived already.
``Simulation.opening`` gives the state of everything that is open at an instant, for a log that
begins there.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, get_args
from zlib import crc32

import numpy as np
import orjson
from numpy.typing import NDArray

from services.core.calendar import DAY_MS, MINUTE_MS, OfficeAxis, day_start, local_day
from services.core.indicators import BEAT_MS
from services.core.territory import Territories
from services.simulation import caseload, cases, market, readings, report_births, reports
from services.simulation.faults import Delivery, Faults, Records
from services.simulation.market_day import MarketDay
from services.simulation.provinces import Province, provinces
from services.simulation.scenarios import Scenario
from services.simulation.spoiling import Mutation, spoil

Kind = Literal["field-report", "admin-case", "listing", "indicator"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Ints = NDArray[np.int64]

#: A record may arrive this long after its event's time: a very late one, and a silence.
_LONGEST_TRAVEL_DAYS = 8
LONGEST_TRAVEL_MS = _LONGEST_TRAVEL_DAYS * DAY_MS
LOOK_BACK_DAYS: Mapping[Kind, int] = MappingProxyType(
    {
        "field-report": reports.LONGEST_LIFE_DAYS + _LONGEST_TRAVEL_DAYS,
        "admin-case": cases.LONGEST_LIFE_DAYS + _LONGEST_TRAVEL_DAYS,
        "listing": market.LONGEST_LIFE_DAYS + _LONGEST_TRAVEL_DAYS,
        "indicator": 1 + _LONGEST_TRAVEL_DAYS,
    }
)
#: Readings older than two days are not kept for periods under a day (contract 3.5).
BEATS_KEPT_MS = 2 * DAY_MS


class Arrival(NamedTuple):
    """One record: arrival in ms, topic without namespace, key and value."""

    at: int
    topic: str
    key: bytes
    value: bytes


class Batch(Protocol):
    """Entities born together, as columns."""

    @property
    def topic(self) -> str: ...

    @property
    def times(self) -> Ints:
        """Entities x slots: the instant of each step, -1 where there is none."""

    @property
    def district(self) -> Ints:
        """The index of each entity's district in its province, -1 for none."""

    def __len__(self) -> int: ...

    def take(self, rows: Ints) -> "Batch": ...

    def event(self, i: int, slot: int) -> tuple[str, dict[str, Any]]: ...


@dataclass(frozen=True)
class Birth:
    """A batch with what names its deliveries: the province's number and the labels."""

    batch: Batch
    province: int
    labels: tuple[str | int, ...]
    hold: Ints | None = None


@dataclass
class _Loaded:
    batch: Batch
    records: Records
    cursor: int = 0


class Simulation:
    """All sources of all provinces under one seed."""

    def __init__(
        self, territories: Territories, seed: int, faults: Faults, scenario: Scenario
    ) -> None:
        self.seed = seed
        self.scenario = scenario
        self.provinces: tuple[Province, ...] = provinces(territories)
        codes = tuple(d.row.district_code for p in self.provinces for d in p.districts)
        self._delivery = Delivery(seed, faults, scenario, codes)
        self._first_district = np.cumsum([0, *(len(p.districts) for p in self.provinces)])
        self._axes: dict[str, OfficeAxis] = {}

    # --- births ------------------------------------------------------------------------------

    def _axis(self, province: Province, day: int) -> OfficeAxis:
        axis = self._axes.get(province.code)
        if axis is None or not axis.first + 15 <= day <= axis.last - cases.LONGEST_LIFE_DAYS - 40:
            axis = caseload.axis_for(province, day, 180, self.scenario.calendar)
            self._axes[province.code] = axis
        return axis

    def births(self, kind: Kind, day: int) -> Iterator[Birth]:
        """What begins on a local day, province by province."""
        makers: dict[Kind, Callable[[Province, int], Iterator[Batch]]] = {
            "field-report": self._reports,
            "admin-case": self._cases,
            "listing": self._market,
            "indicator": self._readings,
        }
        for number, province in enumerate(self.provinces):
            for part, batch in enumerate(makers[kind](province, day)):
                hold = batch.hold if isinstance(batch, cases.Cases) else None
                yield Birth(batch, number, (kind, province.code, day, part), hold)

    def _reports(self, province: Province, day: int) -> Iterator[Batch]:
        axis = self._axis(province, day)
        yield from report_births.born(self.seed, province, day, self.scenario, axis)

    def _cases(self, province: Province, day: int) -> Iterator[Batch]:
        yield caseload.born(self.seed, province, day, self.scenario, self._axis(province, day))

    def _market(self, province: Province, day: int) -> Iterator[Batch]:
        place = market.Market(self.seed, province, self.scenario.calendar)
        yield place.day(day)
        if self.scenario.sales:
            yield place.sold_off(day, self.scenario.sales)

    def _readings(self, province: Province, day: int) -> Iterator[Batch]:
        yield readings.slow(self.seed, province, day, self.scenario.calendar)
        yield readings.beats(self.seed, province, day)

    def deliver(self, birth: Birth) -> Records:
        """When and how the records of a birth arrive."""
        district = birth.batch.district
        first = int(self._first_district[birth.province])
        return self._delivery.deliver(
            birth.batch.times,
            np.where(district >= 0, district + first, -1),
            *birth.labels,
            hold=birth.hold,
        )

    def _load(self, kind: Kind, day: int, start: int, beats_from: int | None) -> list[_Loaded]:
        loaded = []
        for birth in self.births(kind, day):
            if not len(birth.batch):
                continue
            records = self.deliver(birth)
            keep = records.at >= start
            if beats_from is not None and isinstance(birth.batch, readings.Readings):
                batch = birth.batch
                beat = batch.end - batch.start <= BEAT_MS
                keep &= ~beat[records.entity] | (batch.end[records.entity] >= beats_from)
            if keep.any():
                loaded.append(_reduced(birth.batch, records.where(keep)))
        return loaded

    # --- the stream --------------------------------------------------------------------------

    def stream(
        self,
        kind: Kind,
        start: int,
        end: int,
        *,
        step_ms: int = 15 * MINUTE_MS,
        beats_from: int | None = None,
    ) -> Iterator[Arrival]:
        """The records that arrive from ``start`` up to before ``end`` (ms), in order.

        Births are made day by day as the stream goes on, records rendered as they are taken.
        ``beats_from`` leaves out heartbeats whose period ended earlier.
        """
        today = local_day(start)
        active: list[_Loaded] = []
        for day in range(today - LOOK_BACK_DAYS[kind], today + 1):
            active += self._load(kind, day, start, beats_from)
        at = start
        while at < end:
            if local_day(at) != today:
                today = local_day(at)
                active += self._load(kind, today, start, beats_from)
            until = min(at + step_ms, end, day_start(today + 1))
            yield from _window(active, until)
            active = [a for a in active if a.cursor < len(a.records)]
            at = until

    def opening(self, kind: Kind, at: int) -> Iterator[Arrival]:
        """The latest state of everything that is alive at an instant, all arriving then."""
        today = local_day(at)
        if kind == "listing":
            for province in self.provinces:
                place = market.Market(self.seed, province, self.scenario.calendar)
                yield from _states(place.opening(at), at, everything=True)
        first = today - LOOK_BACK_DAYS[kind] + _LONGEST_TRAVEL_DAYS
        if kind == "indicator":
            first = today - 1
        for day in range(first, today + 1):
            for birth in self.births(kind, day):
                batch = birth.batch
                if isinstance(batch, readings.Readings):
                    beat = batch.end - batch.start <= BEAT_MS
                    recent = ~beat | (batch.end > at - 2 * BEAT_MS)
                    batch = batch.take(np.flatnonzero(recent & (batch.time < at)))
                    yield from _states(batch, at, everything=True)
                elif isinstance(batch, MarketDay):
                    listings = len(batch.revisions)
                    rows = np.arange(listings, len(batch))
                    yield from _states(batch.take(rows), at, everything=False)
                else:
                    yield from _states(batch, at, everything=False)


def _reduced(batch: Batch, records: Records) -> _Loaded:
    """Keeps only the entities that still have records to send: a day's tail is short."""
    rows, entity = np.unique(records.entity, return_inverse=True)
    if len(rows) < len(batch):
        batch = batch.take(rows.astype(np.int64))
        records = Records(records.at, entity.astype(np.int32), records.slot, records.mutation)
    return _Loaded(batch, records)


def _states(batch: Batch, at: int, *, everything: bool) -> Iterator[Arrival]:
    """The states at an instant: of all entities begun, or of those that have steps to come."""
    if not len(batch):
        return
    times = batch.times
    begun = times[:, 0] < at
    alive = begun if everything else begun & (times.max(axis=1) >= at)
    topic = batch.topic
    past = (times >= 0) & (times < at)
    last = times.shape[1] - 1 - np.argmax(past[:, ::-1], axis=1)
    for i in np.flatnonzero(alive).tolist():
        key, event = batch.event(i, int(last[i]))
        yield Arrival(at, topic, key.encode(), orjson.dumps(event))


def _window(active: list[_Loaded], until: int) -> Iterator[Arrival]:
    """The records of the loaded batches that arrive before an instant, in order."""
    spans = [(a, a.cursor, int(np.searchsorted(a.records.at, until))) for a in active]
    spans = [(a, low, high) for a, low, high in spans if high > low]
    if not spans:
        return
    for a, _, high in spans:
        a.cursor = high
    at = np.concatenate([a.records.at[low:high] for a, low, high in spans])
    which = np.repeat(np.arange(len(spans)), [high - low for _, low, high in spans])
    row = np.concatenate([np.arange(low, high) for _, low, high in spans])
    order = np.argsort(at, kind="stable")
    for when, k, r in zip(
        at[order].tolist(), which[order].tolist(), row[order].tolist(), strict=True
    ):
        yield _arrival(spans[k][0], when, r)


def _arrival(loaded: _Loaded, at: int, row: int) -> Arrival:
    records, batch = loaded.records, loaded.batch
    entity, slot = int(records.entity[row]), int(records.slot[row])
    mutation = int(records.mutation[row])
    key, event = batch.event(entity, slot)
    if mutation == Mutation.SOUND:
        return Arrival(at, batch.topic, key.encode(), orjson.dumps(event))
    # Of the event itself: rows are numbered anew when a batch is reduced.
    value = spoil(event, mutation, crc32(event["id"].encode()), at)
    if mutation == Mutation.TERRITORY and event["type"] == "ioc.indicator.v1":
        name, _, dims = key.split("|", 2)
        key = f"{name}|{event['data']['territory']}|{dims}"
    return Arrival(at, batch.topic, key.encode(), value)
