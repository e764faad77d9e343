"""The delivery faults of domain rule 7.5: what goes wrong between a desk and the log. Pure.

``Faults`` holds a rate per fault; ``strike`` decides which records of a day are struck and when
they then arrive; what then becomes of their bytes is in :mod:`services.simulation.spoiling`.
Each fault draws from a generator of its own, so switching one off moves no other.

A corrupt record (future, malformed, schema) is followed by the right one within half an hour, as a
source does that notices its error: no entity stays behind for ever because of a fault.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.calendar import DAY_MS, HOUR_MS, MINUTE_MS, UTC_OFFSET_MS, day_start
from services.simulation.scenarios import Scenario
from services.simulation.seeds import fraction, generator, whole
from services.simulation.spoiling import Mutation

Ints = NDArray[np.int64]

#: Share of records; ``silence`` is the chance of one quiet half hour in one district per day.
DEFAULT_RATES: Mapping[str, float] = MappingProxyType(
    {
        "late": 0.03,
        "very_late": 0.003,
        "duplicate": 0.005,
        "conflict": 0.0005,
        "out_of_order": 0.005,
        "future": 0.001,
        "malformed": 0.001,
        "schema": 0.002,
        "territory": 0.001,
        "coordinates": 0.001,
        "text": 0.001,
        "silence": 1.0,
        "huge": 0.0,
    }
)
MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "late": "arrives 10 minutes to 6 hours after its time",
        "very_late": "arrives 1 to 7 days after its time",
        "duplicate": "sent twice, the same bytes",
        "conflict": "the same id and revision once more with other data",
        "out_of_order": "arrives after the entity's next event",
        "future": "stamped 7 hours or a day ahead by a wrong clock",
        "malformed": "truncated, empty, not UTF-8 or not JSON",
        "schema": "a field missing, of a wrong type, not in its enum, or a number as text",
        "territory": "an unknown code, or a commune outside its district",
        "coordinates": "latitude and longitude swapped, or 0,0",
        "text": "emoji, decomposed Unicode, or the longest text allowed",
        "silence": "a district sends nothing for 30 minutes (chance per day)",
        "huge": "a record of 10 MB, which the broker refuses",
    }
)
_IN_PLACE = (
    ("territory", Mutation.TERRITORY),
    ("coordinates", Mutation.COORDINATES),
    ("text", Mutation.TEXT),
)
_CORRUPT = (
    ("future", Mutation.FUTURE),
    ("malformed", Mutation.MALFORMED),
    ("schema", Mutation.SCHEMA),
)
_SILENCE_MS = 30 * MINUTE_MS


@dataclass(frozen=True)
class Faults:
    """A rate in [0, 1] per fault; what is not named does not happen."""

    rates: Mapping[str, float] = field(default_factory=lambda: DEFAULT_RATES)

    def __post_init__(self) -> None:
        for name, rate in self.rates.items():
            if name not in DEFAULT_RATES:
                raise ValueError(f"no fault is called {name}: {', '.join(DEFAULT_RATES)}")
            if not 0 <= rate <= 1:
                raise ValueError(f"{name}: a rate lies between 0 and 1, not at {rate}")

    def rate(self, name: str) -> float:
        return self.rates.get(name, 0.0)

    def changed(self, changes: Mapping[str, float]) -> "Faults":
        """These faults with some rates changed. Raises ValueError for an unknown name."""
        return Faults({**self.rates, **changes})


NO_FAULTS = Faults({})


@dataclass(frozen=True)
class Records:
    """The records of a day's births, by arrival: flat columns of equal length."""

    at: Ints
    entity: NDArray[np.int32]
    slot: NDArray[np.uint8]
    mutation: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.at)

    def where(self, keep: NDArray[np.bool_]) -> "Records":
        return Records(self.at[keep], self.entity[keep], self.slot[keep], self.mutation[keep])


@lru_cache(maxsize=1024)
def quiet_half_hour(seed: int, rate: float, day: int, districts: int) -> tuple[int, int]:
    """The district (its index over all provinces, -1 for none) and start in ms of a day's quiet."""
    if fraction(seed, "silence", day) >= rate or districts == 0:
        return -1, 0
    start = day_start(day) + 7 * HOUR_MS + whole(seed, 13 * HOUR_MS, "silence-start", day)
    return whole(seed, districts, "silence-district", day), start


@dataclass(frozen=True)
class Delivery:
    """How records of a run travel: its seed, faults and scenario, and all district codes."""

    seed: int
    faults: Faults
    scenario: Scenario
    districts: tuple[str, ...]

    def _silenced(self, at: Ints, district: Ints) -> Ints:
        """Arrivals inside a silence of their district move to its end."""
        at = at.copy()
        spans = [
            (self.districts.index(s.district), s.start, s.end)
            for s in self.scenario.silences
            if s.district in self.districts
        ]
        rate = self.faults.rate("silence")
        if rate > 0 and len(at):
            days = (at + UTC_OFFSET_MS) // DAY_MS
            first = int(days.min())
            quiet = [
                quiet_half_hour(self.seed, rate, d, len(self.districts))
                for d in range(first, int(days.max()) + 1)
            ]
            where = np.array([q[0] for q in quiet], dtype=np.int64)
            start = np.array([q[1] for q in quiet], dtype=np.int64)
            i = days - first
            hit = (where[i] == district) & (where[i] >= 0)
            hit &= (at >= start[i]) & (at < start[i] + _SILENCE_MS)
            at[hit] = start[i][hit] + _SILENCE_MS + at[hit] % 20_000
        for index, begin, end in spans:
            hit = (district == index) & (at >= begin) & (at < end)
            at = _drained(at, hit, begin, end)
        return at

    def _held(self, records: Records, kind: str, province: str) -> Records:
        """What would arrive in an outage of its source comes behind its end.

        Where the source sends garbage meanwhile, a copy of each arrives in its time, locked.
        """
        for outage in self.scenario.outages:
            at = records.at
            hit = (at >= outage.start) & (at < outage.end)
            if not outage.of(kind, province) or not hit.any():
                continue
            later = _drained(at, hit, outage.start, outage.end)
            columns = [(later, records.entity, records.slot, records.mutation)]
            if outage.garbage:
                bad = np.full(int(hit.sum()), Mutation.LOCKED, dtype=np.uint8)
                columns.append((at[hit], records.entity[hit], records.slot[hit], bad))
            records = _sorted(columns)
        return records

    def deliver(
        self,
        times: Ints,
        district: Ints,
        *labels: str | int,
        hold: Ints | None = None,
    ) -> Records:
        """The records of a batch of entities.

        ``times`` is entities x slots, -1 where an entity skips a slot; ``district`` the index of
        each entity's district (-1 for none); ``hold`` the earliest arrival of each entity, for
        those that are uploaded later.
        """
        entity, slot = np.nonzero(times >= 0)
        time = times[entity, slot]
        where = district[entity]
        m = len(time)

        def rng(name: str) -> np.random.Generator:
            return generator(self.seed, "delivery", name, *labels)

        def struck(name: str) -> NDArray[np.bool_]:
            rate = self.faults.rate(name)
            return rng(name).random(m) < rate if rate else np.zeros(m, dtype=bool)

        travel = rng("latency")
        at = time + 150 + travel.exponential(400.0, m).astype(np.int64)
        if hold is not None:
            # An upload delivers what had happened by then in one go, and later things live.
            at = np.where(at < hold[entity], hold[entity] + slot * 200 + entity % 150, at)
        late, very_late = struck("late"), struck("very_late")
        extra = rng("late-by").random(m)
        at = at + np.where(late, (10 * MINUTE_MS + extra * 350 * MINUTE_MS).astype(np.int64), 0)
        at = at + np.where(very_late, (DAY_MS + extra * 6 * DAY_MS).astype(np.int64), 0)
        if m > 1:
            behind = struck("out_of_order")[:-1] & (entity[1:] == entity[:-1])
            at[:-1][behind] = at[1:][behind] + 1000 + (extra[:-1][behind] * 29_000).astype(np.int64)
        at = self._silenced(at, where)

        mutation = np.zeros(m, dtype=np.uint8)
        for name, code in _IN_PLACE:
            mutation[struck(name)] = code
        columns = [(at, entity, slot, mutation)]
        for name, code in _CORRUPT:
            hit = struck(name)
            bad = np.full(int(hit.sum()), code, dtype=np.uint8)
            columns.append((at[hit], entity[hit], slot[hit], bad))
            at = at + np.where(hit, (1000 + extra * 1_799_000).astype(np.int64), 0)
        columns[0] = (at, entity, slot, mutation)
        for name, other, within in (
            ("duplicate", None, 300_000),
            ("conflict", Mutation.CONFLICT, 60_000),
        ):
            hit = struck(name)
            again = (
                at[hit]
                + 1000
                + (rng(f"{name}-by").random(int(hit.sum())) * within).astype(np.int64)
            )
            kind = mutation[hit] if other is None else np.full(len(again), other, dtype=np.uint8)
            columns.append((again, entity[hit], slot[hit], kind))
        hit = struck("huge")
        if hit.any():
            huge = np.full(int(hit.sum()), Mutation.HUGE, dtype=np.uint8)
            columns.append((at[hit], entity[hit], slot[hit], huge))
        columns.extend(self._duplicate_storm(at, entity, slot, mutation, rng("duplicate-storm")))
        records = _sorted(columns)
        if self.scenario.outages:
            source, province = (str(label) for label in labels[:2])
            records = self._held(records, source, province)
        return records

    def _duplicate_storm(
        self,
        at: Ints,
        entity: NDArray[np.intp],
        slot: NDArray[np.intp],
        mutation: NDArray[np.uint8],
        rng: np.random.Generator,
    ) -> list[tuple[Any, ...]]:
        if not self.scenario.duplicate_share:
            return []
        begin, end = self.scenario.duplicate_span
        hit = (rng.random(len(at)) < self.scenario.duplicate_share) & (at >= begin) & (at < end)
        return [
            (at[hit] + gap + (rng.random(int(hit.sum())) * 60_000).astype(np.int64),
             entity[hit], slot[hit], mutation[hit])
            for gap in (500, 5_000, 60_000)
        ]  # fmt: skip


def _drained(at: Ints, hit: NDArray[np.bool_], begin: int, end: int) -> Ints:
    """A backlog drains over some minutes, in the order it was written."""
    late = end + (at - begin) * (5 * MINUTE_MS) // max(end - begin, 1)
    return np.where(hit, late, at)


def _sorted(columns: Sequence[tuple[Any, ...]]) -> Records:
    at = np.concatenate([c[0] for c in columns])
    entity = np.concatenate([c[1] for c in columns]).astype(np.int32)
    slot = np.concatenate([c[2] for c in columns]).astype(np.uint8)
    mutation = np.concatenate([c[3] for c in columns]).astype(np.uint8)
    order = np.lexsort((mutation, slot, entity, at))
    return Records(at[order], entity[order], slot[order], mutation[order])
