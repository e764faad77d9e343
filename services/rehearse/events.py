"""The records of a rehearsal: all sources, step by step, in order of arrival.

Made in a thread of their own, a few steps ahead, while the system works on the step before.
"""

import threading
from collections.abc import Iterator, Sequence
from queue import Empty, Full, Queue

from services.core.calendar import local_day
from services.core.territory import Territories
from services.rehearse.scenario import Rehearsal
from services.rehearse.tables import ScenarioError
from services.simulation.faults import Faults
from services.simulation.stream import KINDS, Arrival, Birth, Kind, Simulation

#: Heartbeats of the lead are of no use, but for the last ones.
_BEATS_BEFORE_MS = 15 * 60_000
_AHEAD = 6
#: The longest stretch of event time in one batch: an hour of records fits into memory.
_PART_MS = 3_600_000
_WAIT_S = 0.2
#: An instant (ms) and the records that arrive before it.
Step = tuple[int, list[Arrival]]


def check_places(rehearsal: Rehearsal, territories: Territories) -> None:
    """Raises ScenarioError when the scenario names a place that is in no territory table."""
    played = rehearsal.scenario
    struck = [effect.provinces for effect in played.outages]
    struck += [storm.provinces for storm in played.storms]
    provinces = {*rehearsal.provinces}.union(*struck)
    places = {s.territory for s in (*rehearsal.charts, *(r.shown for r in rehearsal.ranges))}
    districts = {silence.district for silence in played.silences}
    for found, known, what in (
        (provinces, set(territories.provinces), "province"),
        (districts, set(territories.districts), "district"),
        (places, {"all", *(row.code for row in territories.rows if row.known)}, "territory"),
    ):
        if found - known:
            raise ScenarioError(f"{rehearsal.name}: no {what} has the code {min(found - known)!r}")


def only(territories: Territories, provinces: Sequence[str]) -> Territories:
    """The territory tables of some provinces; all when none is named."""
    if not provinces:
        return territories
    return Territories(
        [d for d in territories.districts.values() if d.province_code in provinces],
        [c for c in territories.communes.values() if c.province_code in provinces],
    )


class World(Simulation):
    """A simulation that makes the births of a day before once, for the opening and the stream."""

    def __init__(self, rehearsal: Rehearsal, territories: Territories) -> None:
        super().__init__(
            only(territories, rehearsal.provinces),
            rehearsal.seed,
            Faults(rehearsal.faults),
            rehearsal.scenario,
        )
        self._today = local_day(rehearsal.begin)
        self._born: dict[tuple[Kind, int], list[Birth]] = {}

    def births(self, kind: Kind, day: int) -> Iterator[Birth]:
        found = self._born.pop((kind, day), None)
        if found is not None:
            yield from found
            return
        found = list(super().births(kind, day))
        if day <= self._today:
            self._born[kind, day] = found
        yield from found


def batches(rehearsal: Rehearsal, world: Simulation, instants: Sequence[int]) -> Iterator[Step]:
    """For each instant (ms, ascending) the records that arrive before it and after the last one.

    The lead comes in parts, of which the first has everything that is open when it begins.
    """
    streams = []
    for kind in KINDS:
        beats = rehearsal.watched - _BEATS_BEFORE_MS
        streams.append(
            _Stream(world, kind, rehearsal.begin, instants[-1] if instants else 0, beats)
        )
    before = rehearsal.begin
    for at in instants:
        for until in (*range(before + _PART_MS, at, _PART_MS), at):
            batch: list[Arrival] = []
            for stream in streams:
                stream.until(until, batch)
            yield until, batch
        before = at


class _Stream:
    def __init__(self, world: Simulation, kind: Kind, begin: int, end: int, beats: int) -> None:
        self._arrivals = self._all(world, kind, begin, end, beats)
        self._next = next(self._arrivals, None)

    @staticmethod
    def _all(world: Simulation, kind: Kind, begin: int, end: int, beats: int) -> Iterator[Arrival]:
        yield from world.opening(kind, begin)
        yield from world.stream(kind, begin, end, beats_from=beats)

    def until(self, at: int, into: list[Arrival]) -> None:
        arrival = self._next
        while arrival is not None and arrival.at < at:
            into.append(arrival)
            arrival = next(self._arrivals, None)
        self._next = arrival


class Ahead:
    """An iterator drawn from in a thread, a few items ahead; close it when done."""

    def __init__(self, items: Iterator[Step]) -> None:
        self._queue: Queue[Step | BaseException | None] = Queue(_AHEAD)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._draw, args=(items,), daemon=True)
        self._thread.start()

    def _draw(self, items: Iterator[Step]) -> None:
        last: BaseException | None = None
        try:
            for item in items:
                if not self._put(item):
                    return
        except Exception as error:
            last = error
        self._put(last)

    def _put(self, item: Step | BaseException | None) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_WAIT_S)
            except Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[Step]:
        while True:
            try:
                item = self._queue.get(timeout=_WAIT_S)
            except Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        self._closed.set()
        self._thread.join(10)
