"""How far the view has come: the source logs' ends against what was absorbed and is shown.

``Tracker`` is pure (time is an argument). ``Progress`` asks a broker for the ends, at most one
look-up at a time, and never lets an answer rest on ends fetched before the question came.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.core.head import Head
from services.view import instants

log = logging.getLogger(__name__)

TopicPartition = tuple[str, int]
#: A record not yet applied may be this old before the view is no longer caught up.
CAUGHT_UP_MS = 2_000
#: And this old before the view says itself that it should not be believed.
READY_MS = 30_000
#: Look-ups are at most this far apart while nobody asks.
INTERVAL_S = 1.0
LOOKUP_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Bounds:
    """One partition's log: ``start`` and ``end`` offset, ``end`` the next to be written."""

    start: int
    end: int


class LogEnds(Protocol):
    """Something that knows the bounds of the four source topics' partitions."""

    async def bounds(self) -> Mapping[TopicPartition, Bounds]:
        """The bounds now. Raises OSError with a reason fit for an operator."""
        ...


@dataclass(frozen=True)
class PartitionProgress:
    """One partition. ``end`` and ``lag`` are ``None`` while the broker was never heard."""

    topic: str
    partition: int
    end: int | None
    applied: int
    lag: int | None
    event_time: int | None
    #: Upper bound of the age in ms of the oldest record not yet applied; 0.0 when there is none.
    age_ms: float

    def row(self) -> dict[str, object]:
        """The row of contract section 6."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "end": self.end,
            "applied": self.applied,
            "lag": self.lag,
            "event_time": None if self.event_time is None else instants.show(self.event_time),
        }


class Tracker:
    """Remembers when which end was seen, and so how old an unapplied record can be at most."""

    def __init__(self) -> None:
        self.bounds: dict[TopicPartition, Bounds] = {}
        self._seen: dict[TopicPartition, deque[tuple[int, int]]] = {}

    def observe(self, at_ms: int, bounds: Mapping[TopicPartition, Bounds]) -> None:
        """Take in one look-up that was sent at ``at_ms``."""
        self.bounds = dict(bounds)
        for key, bound in bounds.items():
            seen = self._seen.setdefault(key, deque())
            if seen and seen[-1][1] > bound.end:
                seen.clear()  # the topic was made anew
            seen.append((at_ms, bound.end))
            while seen[0][0] < at_ms - READY_MS:
                seen.popleft()

    def age_ms(self, key: TopicPartition, applied: int, now_ms: int) -> float:
        """At most how old the record at offset ``applied`` is; infinite when that is unknown.

        A look-up sent at t that ended at or before ``applied`` proves that the record came after t.
        """
        for at_ms, end in reversed(self._seen.get(key, ())):
            if end <= applied:
                return now_ms - at_ms
        return float("inf")

    def partition(
        self, key: TopicPartition, head: Head | None, now_ms: int, absorbed: int
    ) -> PartitionProgress:
        """One partition's progress.

        ``absorbed`` is its fence + 1 before the look-up was sent. When even that lies behind the
        log's end the log is another one (a topic made anew): the lag is then negative, and age
        unknown, so that such a view never counts as caught up.
        """
        topic, partition = key
        applied = 0 if head is None else head.fence + 1
        event_time = None if head is None else head.event_time
        bound = self.bounds.get(key)
        if bound is None:
            return PartitionProgress(
                topic, partition, None, applied, None, event_time, float("inf")
            )
        if absorbed > bound.end:
            return PartitionProgress(
                topic, partition, bound.end, applied, bound.end - applied, event_time, float("inf")
            )
        # Absorbed since the look-up: then the log is at least that long.
        end = max(bound.end, applied)
        # Retention may have taken what nobody read: nothing is left to wait for before the start.
        lag = end - max(applied, bound.start)
        age = self.age_ms(key, max(applied, bound.start), now_ms) if lag else 0.0
        return PartitionProgress(topic, partition, end, applied, lag, event_time, age)


def caught_up(partitions: Sequence[PartitionProgress]) -> bool:
    """Contract section 6: every lag is 0 or its oldest record not applied is under 2 s old."""
    return bool(partitions) and all(p.age_ms < CAUGHT_UP_MS for p in partitions)


@dataclass(frozen=True)
class Snapshot:
    """What ``/api/v1/progress`` says. ``reason`` is why the view is not to be believed."""

    caught_up: bool
    partitions: tuple[PartitionProgress, ...]
    reason: str | None

    def lag(self, topic: str) -> int | None:
        """Records of a topic not yet applied; ``None`` while the broker was never heard."""
        lags = [p.lag for p in self.partitions if p.topic == topic]
        return None if None in lags else sum(lag or 0 for lag in lags)

    def answer(self) -> dict[str, object]:
        """The body of ``/api/v1/progress``."""
        return {
            "caught_up": self.caught_up,
            "partitions": [p.row() for p in self.partitions],
            "reason": self.reason,
        }


class Progress:
    """Keeps the look-ups going and answers from the freshest one."""

    def __init__(
        self,
        ends: LogEnds,
        heads: Callable[[], Mapping[TopicPartition, Head]],
        partitions: Sequence[TopicPartition],
        now_ms: Callable[[], int],
        reader_reason: Callable[[], str | None],
    ) -> None:
        """``reader_reason`` says why the partial results are not all read, if so."""
        self._ends, self._heads, self._now_ms = ends, heads, now_ms
        self._partitions = tuple(partitions)
        self._reader_reason = reader_reason
        self._tracker = Tracker()
        self._absorbed: dict[TopicPartition, int] = {}
        self._broken: str | None = "the ends of the source topics have not been looked up yet"
        self._looking = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        #: Look-ups that were begun; to be cancelled at the end.
        self.under_way: set[asyncio.Task[None]] = set()

    @property
    def broker_answers(self) -> bool:
        """The last look-up succeeded."""
        return self._broken is None

    async def run(self) -> None:
        """Look up at least once a second, for ever."""
        while True:
            await self.fresh()
            await asyncio.sleep(INTERVAL_S)

    async def fresh(self) -> None:
        """Return after a look-up that was sent after this call, good or failed."""
        if self._next is None:
            self._next = asyncio.create_task(self._look_up_next())
            self.under_way.add(self._next)
            self._next.add_done_callback(self.under_way.discard)
        await asyncio.shield(self._next)

    async def _look_up_next(self) -> None:
        # Whoever asks while a look-up is under way shares the one after it.
        async with self._looking:
            self._next = None
            await self._look_up()

    async def _look_up(self) -> None:
        absorbed = {key: head.fence + 1 for key, head in self._heads().items()}
        sent_ms = self._now_ms()
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                bounds = await self._ends.bounds()
        except OSError as error:  # TimeoutError is one
            reason = str(error) or "Kafka does not answer"
            if reason != self._broken:
                log.warning("cannot look up the ends of the source topics: %s", reason)
            self._broken = reason
            return
        if self._broken is not None:
            log.info("the ends of the source topics are known")
        self._broken = None
        self._absorbed = absorbed
        self._tracker.observe(sent_ms, bounds)

    def snapshot(self) -> Snapshot:
        """The state by the last look-up; ``await fresh()`` first to answer somebody."""
        heads, now = self._heads(), self._now_ms()
        rows = tuple(
            self._tracker.partition(key, heads.get(key), now, self._absorbed.get(key, 0))
            for key in self._partitions
        )
        reason = self._broken or self._reader_reason()
        return Snapshot(reason is None and caught_up(rows), rows, reason)

    def incomplete(self) -> str | None:
        """Why not all partial results there are have been read, ``None`` when they have."""
        return self._reader_reason()

    def unready(self) -> str | None:
        """Why the numbers should not be believed, ``None`` when they may be."""
        now = self.snapshot()
        if now.reason is not None:
            return now.reason
        late = [p for p in now.partitions if p.age_ms >= READY_MS]
        if not late:
            return None
        worst = max(late, key=lambda p: abs(p.lag or 0))
        return (
            f"{len(late)} partitions are behind: {worst.topic}/{worst.partition} "
            f"lacks {worst.lag} records, the oldest over {READY_MS // 1000} s old or of unknown age"
        )
