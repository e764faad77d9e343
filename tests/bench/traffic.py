"""The stream of the comparison: two hours of a centre at work, with the faults that a real log has.

The shapes are those of `mixed`; here an event happens when it is sent, so its milestones lie in the
windows that are asked for, and the revision law matters: entities change their place and their due
dates, arrive late, twice, out of order, and under a revision that is already taken.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random
from typing import Any

from schemas import codec
from tests.bench.mixed import Event, Mix, State, envelope, text

SPAN_MS = 2 * 3_600_000
_MINUTE, _DAY = 60_000, 86_400_000
#: Shares of events: sent twice, sent late (behind up to `_LATE_BY` of all), sent again with other
#: data under the same revision, moved to another commune, sent without a district, without a place
#: below the province, and with a district that nobody knows.
_TWICE, _LATE, _CONFLICT = 0.02, 0.04, 0.005
_LATE_BY = 0.05
_MOVED, _NO_DISTRICT, _NO_PLACE, _UNKNOWN = 0.02, 0.05, 0.01, 0.005
#: New entities whose first revision here is not their first: open since before the stream began.
_BACKLOG = 0.15


class _Live(Mix):
    """Milestones happen at the moment of the event that brings them."""

    moment = 0

    def entity(self, kind: str) -> dict[str, Any]:
        state = super().entity(kind)
        n, at = state["n"], state["at"]
        if n == 0:
            at[:] = [self.moment] * 5
            state["quick"] = self.rng.randrange(5, 600) * _MINUTE
            if self.rng.random() < _BACKLOG:
                state["n"] = n = self.rng.randrange(1, 4)
                at[0] = self.moment - self.rng.randrange(_DAY, 15 * _DAY)
                at[1:n] = [at[0] + i * 3 * 3_600_000 for i in range(1, n)]
        at[n:] = [self.moment] * (5 - n)
        if self.rng.random() < _MOVED:
            state["place"] = self.place()
        return state

    def place(self) -> dict[str, Any]:
        commune, roll = self.rng.choice(self.communes), self.rng.random()
        place: dict[str, Any] = {
            "province_code": commune.province_code,
            "district_code": commune.district_code,
            "commune_code": commune.commune_code,
        }
        if roll < _NO_DISTRICT:
            place["district_code"] = None
        elif roll < _NO_DISTRICT + _NO_PLACE:
            place |= {"district_code": None, "commune_code": None}
        elif roll < _NO_DISTRICT + _NO_PLACE + _UNKNOWN:
            place["district_code"] = "999"
        return place

    def state(self) -> State:
        """The next state of some entity, now."""
        topic, type_, key, _, data = self.rng.choice(self.kinds())()
        if "due_at" in data:
            # Due within minutes to hours, so that some are answered too late.
            born = next(data[n] for n in ("registered_at", "reported_at") if n in data)
            due = codec.parse_instant(born) + self.rng.randrange(5, 600) * _MINUTE
            data["due_at"] = text(due)
        return topic, type_, key, self.moment, data


def traffic(count: int, partitions: int, *, now_ms: int, seed: int = 7) -> Iterator[Event]:
    """``count`` events of the two hours before ``now_ms``, in the order of arrival."""
    live, rng = _Live(seed, now_ms), Random(seed + 1)
    late: list[tuple[int, int, Event]] = []
    sent = serial = 0
    late_by = max(100, int(count * _LATE_BY))
    while sent < count:
        if late and late[0][0] <= sent:
            yield heappop(late)[2]
            sent += 1
            continue
        serial += 1
        live.moment = now_ms - SPAN_MS + sent * SPAN_MS // count
        topic, type_, key_text, time, data = live.state()
        key = key_text.encode()
        place = topic, codec.partition_of(key, partitions), key
        event: Event = (*place, envelope(f"bench-{seed}-{serial}", type_, time, data))
        roll = rng.random()
        if roll < _LATE:
            heappush(late, (sent + rng.randrange(1, late_by), serial, event))
            continue
        yield event
        sent += 1
        if roll < _LATE + _TWICE:
            heappush(late, (sent + rng.randrange(late_by), serial, event))
        elif roll < _LATE + _TWICE + _CONFLICT and "value_vnd" not in data:
            other = data | live.place()
            again: Event = (*place, envelope(f"bench-{seed}-{serial}-b", type_, time, other))
            heappush(late, (sent + rng.randrange(late_by), serial, again))
