"""What a replay sends, in order: a recording through seek, filters, laps, shifts and faults.

The same recording and the same wishes give the same sequence every time: the sender plays it once,
the verdict reads it again, and a replay that was cut off goes on in the middle of it.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from schemas.codec import partition_of
from services.core.record import ARRIVAL_HEADER
from services.core.territory import Territories
from services.oracle.raw import SOURCE_TOPICS, RawRecord
from services.replay.framing import Frame, Headers, Recorded, decode_headers
from services.replay.mutate import KEPT, Fate, Mutations
from services.replay.recording import Recording
from services.replay.rewrite import rewrite
from services.replay.select import Filter, Wanted

#: A lap begins this long after the last arrival of the one before.
LAP_GAP_MS = 1_000


#: As the client wants them.
HeaderList = list[tuple[str, str | bytes | None]]
#: Key, value and headers.
Payload = tuple[bytes | None, bytes | None, HeaderList]


class Outgoing(NamedTuple):
    """One record as it is sent; ``arrival`` (ms) is what its header says."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: HeaderList
    arrival: int


@dataclass(frozen=True)
class Wishes:
    """What is done to a recording. ``since`` and ``until`` in ms by arrival; ``laps`` at least 1.

    ``shift`` (ms) moves all times; ``topics`` empty means all source topics.
    """

    wanted: Wanted = field(default_factory=Wanted)
    topics: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    laps: int = 1
    shift: int = 0
    mutations: Mutations = field(default_factory=Mutations)

    @property
    def whole(self) -> bool:
        """Every record of the recording, once, as it is: its numbers are the recording's."""
        return (
            self.wanted.everything
            and not self.topics
            and self.since is None
            and self.until is None
            and self.laps == 1
            and not self.shift
            and self.mutations.none
        )

    def describe(self) -> dict[str, Any]:
        """The wishes as plain values: a replay that goes on must have the same."""
        m = self.mutations
        return {
            **self.wanted.describe(),
            "topics": list(self.topics),
            "since": self.since,
            "until": self.until,
            "laps": self.laps,
            "shift": self.shift,
            "mutations": [m.duplicate, m.delay, m.delay_ms, m.drop, m.corrupt, m.seed],
        }


class Sequence:
    """The records to send to a target of ``partitions`` partitions; can be gone through again."""

    def __init__(
        self, recording: Recording, wishes: Wishes, places: Territories, partitions: int
    ) -> None:
        self.recording = recording
        self.wishes = wishes
        self.partitions = partitions
        self._filter = Filter(wishes.wanted, places)
        self._topics = frozenset(wishes.topics or SOURCE_TOPICS) & frozenset(SOURCE_TOPICS)
        self._headers: dict[Headers, HeaderList] = {}

    @property
    def unchanged(self) -> bool:
        """Sent byte for byte to the partitions where they lay: order between them is free."""
        sources = frozenset(self.recording.meta.topics) <= self._topics
        same = all(n == self.partitions for n in self.recording.meta.partitions.values())
        return self.wishes.whole and sources and same

    @property
    def lap_ms(self) -> int:
        """How long one lap lasts in replayed time, in whole seconds."""
        span = self.span
        if span is None:
            return LAP_GAP_MS
        return (span[1] - span[0] + LAP_GAP_MS + 999) // 1000 * 1000

    @property
    def span(self) -> tuple[int, int] | None:
        """First and last arrival of the recording inside ``since`` and ``until``, not shifted."""
        found = self.recording.arrivals
        if found is None:
            return None
        first, last = found
        since, until = self.wishes.since, self.wishes.until
        first = first if since is None else max(first, since)
        last = last if until is None else min(last, until - 1)
        return (first, last) if first <= last else None

    def __iter__(self) -> Iterator[Outgoing]:
        """In order of arrival; the delayed ones behind those that were in time."""
        waiting: list[tuple[int, int, Recorded, Fate, int]] = []
        tie = count()
        for lap in range(self.wishes.laps):
            for record, fate in self._fated(lap):
                shift = self._shift(lap)
                arrival = record.arrival + shift
                while waiting and waiting[0][0] < arrival:
                    yield from self._made(*heapq.heappop(waiting)[2:])
                if fate.delay_ms:
                    due = arrival + fate.delay_ms
                    heapq.heappush(waiting, (due, next(tie), record, fate, lap))
                else:
                    yield from self._made(record, fate, lap)
        while waiting:
            yield from self._made(*heapq.heappop(waiting)[2:])

    def packs(self) -> Iterator[tuple[str, int, list[Payload], int]]:
        """Of an unchanged sequence: topic, partition, payloads and last arrival, frame by frame.

        The order between partitions is that of the file, which changes no number.
        """
        recording = self.recording
        for frame in recording.frames:
            if recording.meta.clock == "wall":
                rows = self._payloads(frame)
            else:
                rows = [self._payload(r) for r in recording.rows(frame)]
            yield frame.topic, frame.partition, rows, frame.last_arrival
        if recording.salvaged:
            last = recording.salvaged[-1]
            rows = [self._payload(r) for r in recording.salvaged]
            yield last.topic, last.partition, rows, last.arrival

    def _payload(self, record: Recorded) -> Payload:
        arrival = (ARRIVAL_HEADER, b"%d" % record.arrival)
        return record.key, record.value, [*self._without_arrival(record.headers), arrival]

    def _payloads(self, frame: Frame) -> list[Payload]:
        """Those of a frame whose arrivals are timestamps, with nothing made that is not needed."""
        known: dict[bytes, HeaderList] = {}
        rows: list[Payload] = []
        headers: HeaderList = []
        blob_before, at_before = b"", -1
        for key, value, blob, timestamp in self.recording.payloads(frame):
            if timestamp != at_before or blob != blob_before:
                plain = known.get(blob)
                if plain is None:
                    plain = known[blob] = self._without_arrival(decode_headers(blob))
                headers = [*plain, (ARRIVAL_HEADER, b"%d" % timestamp)]
                blob_before, at_before = blob, timestamp
            rows.append((key, value, headers))
        return rows

    def _fated(self, lap: int) -> Iterator[tuple[Recorded, Fate]]:
        mutations, wishes = self.wishes.mutations, self.wishes
        calm = mutations.none
        for record in self.recording.records(wishes.since, wishes.until):
            if record.topic not in self._topics or not self._filter(record.key, record.value):
                continue
            if calm:
                yield record, KEPT
                continue
            fate = mutations.fate(record.topic, record.partition, record.offset, lap)
            if fate.copies:
                yield record, fate

    def _shift(self, lap: int) -> int:
        return self.wishes.shift + lap * self.lap_ms

    def _made(self, record: Recorded, fate: Fate, lap: int) -> Iterator[Outgoing]:
        shift = self._shift(lap)
        key, value = record.key, record.value
        if shift or lap:
            key, value = rewrite(key, value, shift=shift, lap=lap)
        if fate.corrupt:
            place = record.topic, record.partition, record.offset, lap
            value = self.wishes.mutations.spoil(value, *place)
        arrival = record.arrival + shift + fate.delay_ms
        out = Outgoing(
            record.topic,
            self._partition(record, key),
            key,
            value,
            [*self._without_arrival(record.headers), (ARRIVAL_HEADER, b"%d" % arrival)],
            arrival,
        )
        for _ in range(fate.copies):
            yield out

    def _partition(self, record: Recorded, key: bytes | None) -> int:
        """Where the record belongs; one that lay in a wrong partition goes to a wrong one."""
        before = self.recording.meta.partitions.get(record.topic, self.partitions)
        if key == record.key and before == self.partitions:
            return record.partition
        if key is None or record.key is None:
            return record.partition % self.partitions
        right = partition_of(key, self.partitions)
        lay_right = partition_of(record.key, before) == record.partition
        return right if lay_right else (right + 1) % self.partitions

    def _without_arrival(self, headers: Headers) -> HeaderList:
        found = self._headers.get(headers)
        if found is None:
            if len(self._headers) > 10_000:
                self._headers.clear()
            found = [(name, value) for name, value in headers if name != ARRIVAL_HEADER]
            self._headers[headers] = found
        return found

    def raw(self) -> Iterator[RawRecord]:
        """The sequence as the oracle reads it: offsets in order of sending, arrival as timestamp.

        Of an unchanged recording it is the recording itself, by its own offsets and arrivals.
        """
        if self.unchanged:
            for r in self.recording.records():
                yield RawRecord(r.topic, r.partition, r.offset, r.arrival, r.key, r.value)
            return
        offsets: dict[tuple[str, int], int] = {}
        for out in self:
            place = out.topic, out.partition
            offset = offsets[place] = offsets.get(place, -1) + 1
            yield RawRecord(*place, offset, out.arrival, out.key, out.value)


def rebased(
    recording: Recording, wishes: Wishes, places: Territories, now: int, *, begin: bool
) -> int:
    """The shift (whole ms) that brings the replay to ``now``: its beginning, or else its end."""
    plain = Sequence(recording, wishes, places, 1)
    if plain.span is None:
        return 0
    first, last = plain.span
    return now - first if begin else now - last - (wishes.laps - 1) * plain.lap_ms
