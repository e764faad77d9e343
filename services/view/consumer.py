"""The reader of the partial results: every partition from its beginning, for ever.

It never gives up: without a broker, without topics, or with a partition that cannot be read it
says so in ``reason`` and tries again, while the view goes on serving what it has.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from services.view.logends import check_topics
from services.view.pace import SLICE_S

log = logging.getLogger(__name__)

POLL_MS = 250
RETRY_S = 1.0
MAX_BACKOFF_S = 30.0
#: Finding out which worker's records are void takes a rewind or two.
FREE_RESTARTS = 3
FETCH_BYTES = 4 * 1024 * 1024
_Consumer: Any = AIOKafkaConsumer  # aiokafka is untyped


class Sink(Protocol):
    """Where partial results go; ``services.core.merge.View`` fits it."""

    def feed(self, partition: int, key: bytes, value: bytes | None) -> bool: ...

    def reset(self, partition: int) -> None: ...


class PartialsReader:
    """Feeds the compacted topic ``topic`` (name on the broker) into a sink."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        partitions: int,
        sink: Sink,
        on_fed: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_fed`` is called after every batch that reached the sink."""
        self._bootstrap, self._topic, self._sink, self._on_fed = bootstrap, topic, sink, on_fed
        self._all = [TopicPartition(topic, p) for p in range(partitions)]
        #: Next offset to read, for partitions that were begun.
        self._positions: dict[TopicPartition, int] = {}
        #: Where a partition ended when it was begun; it leaves this table on reaching that.
        self._targets: dict[TopicPartition, int] = {}
        self._restarts: dict[TopicPartition, int] = {}
        self._resume_at: dict[TopicPartition, float] = {}
        self._trouble: str | None = "the partial results have not been read yet"

    @property
    def reason(self) -> str | None:
        """Why the sink does not hold everything, ``None`` when it does."""
        if self._trouble is not None:
            return self._trouble
        if self._targets:
            done = len(self._all) - len(self._targets)
            return f"reading the partial results: {done} of {len(self._all)} partitions read"
        return None

    @property
    def complete(self) -> bool:
        """Every partition was read to the end it had when its reading began."""
        return len(self._positions) == len(self._all) and not self._targets

    async def run(self) -> None:
        """Read for ever; connection and topic trouble is logged once and waited out."""
        while True:
            try:
                await self._session()
            except (KafkaError, OSError) as error:
                reason = str(error) or type(error).__name__
                if reason != self._trouble:
                    log.warning("cannot read the partial results: %s", reason)
                self._trouble = reason
            await asyncio.sleep(RETRY_S)

    async def _session(self) -> None:
        await check_topics(self._bootstrap, [self._topic], len(self._all))
        consumer = _Consumer(
            bootstrap_servers=self._bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=POLL_MS,
            request_timeout_ms=10_000,
        )
        try:
            await consumer.start()
            consumer.assign(self._all)
            await self._seek(consumer)
            log.info("reading the partial results from %s", self._topic)
            self._trouble = None
            while True:
                await self._poll(consumer)
        finally:
            await consumer.stop()

    async def _seek(self, consumer: Any) -> None:
        """Go on where the last session stopped, or from the beginning where that is no more."""
        starts = await consumer.beginning_offsets(self._all)
        ends = await consumer.end_offsets(self._all)
        for tp in self._all:
            position = self._positions.get(tp)
            if position is None or not starts[tp] <= position <= ends[tp]:
                self._begin(tp, starts[tp], ends[tp])
            consumer.seek(tp, self._positions[tp])

    def _begin(self, tp: TopicPartition, start: int, end: int) -> None:
        self._sink.reset(tp.partition)
        self._positions[tp] = start
        if end > start:
            self._targets[tp] = end
        else:
            self._targets.pop(tp, None)

    async def _poll(self, consumer: Any) -> None:
        try:
            batches = await consumer.getmany(timeout_ms=POLL_MS)
        except OffsetOutOfRangeError as error:
            log.warning("partial results were lost or made anew: %s", error)
            for tp in self._all:
                await self._restart(consumer, tp, at_once=True)
            return
        for tp, records in batches.items():
            await self._take(consumer, tp, records)
        if self._targets:
            await self._note_gaps(consumer)
        await self._resume_due(consumer)
        if batches:
            self._on_fed()

    async def _take(self, consumer: Any, tp: TopicPartition, records: list[Any]) -> None:
        began = time.perf_counter()
        allowed = SLICE_S
        for record in records:
            if not self._feed(tp.partition, record.key, record.value):
                await self._restart(consumer, tp)
                return
            self._positions[tp] = record.offset + 1
            now = time.perf_counter()
            if now - began > allowed:
                await asyncio.sleep(0)
                began = time.perf_counter()
                # Half of the loop is for what is new, however long others keep it.
                allowed = max(SLICE_S, began - now)
        self._note_position(tp, self._positions[tp])

    def _feed(self, partition: int, key: bytes | None, value: bytes | None) -> bool:
        try:
            return self._sink.feed(partition, key or b"", value)
        except Exception:
            # A record of a version we cannot read must not end the view: the partition is read
            # again, with growing pauses, until a worker has written a whole lap we can read.
            log.exception("a partial result of partition %d cannot be read", partition)
            return False

    def _note_position(self, tp: TopicPartition, position: int) -> None:
        if position >= self._targets.get(tp, position + 1):
            del self._targets[tp]
            self._restarts.pop(tp, None)
            if not self._targets:
                log.info("the partial results are read to their end")

    async def _note_gaps(self, consumer: Any) -> None:
        """Compaction can leave nothing at the end of a log: then only the position moves."""
        for tp in list(self._targets):
            if tp not in self._resume_at:
                self._note_position(tp, await consumer.position(tp))

    async def _restart(self, consumer: Any, tp: TopicPartition, *, at_once: bool = False) -> None:
        """Read one partition anew: a few times at once, then with growing pauses."""
        start = (await consumer.beginning_offsets([tp]))[tp]
        end = (await consumer.end_offsets([tp]))[tp]
        self._begin(tp, start, end)
        consumer.seek(tp, start)
        again = self._restarts.get(tp, 0)
        self._restarts[tp] = again + 1
        log.warning("partition %d of the partial results is read again", tp.partition)
        if again >= FREE_RESTARTS and not at_once:
            consumer.pause(tp)
            self._resume_at[tp] = time.monotonic() + min(2.0 ** (again - 1), MAX_BACKOFF_S)

    async def _resume_due(self, consumer: Any) -> None:
        now = time.monotonic()
        for tp in [tp for tp, due in self._resume_at.items() if due <= now]:
            del self._resume_at[tp]
            consumer.resume(tp)


class MinuteSampler:
    """Has the stock KPIs sampled once in every minute of the clock that it sees."""

    def __init__(
        self, sample: Callable[[int], None], clock: Callable[[], int], ready: Callable[[], bool]
    ) -> None:
        """``clock`` gives the system's clock in ms; nothing is sampled before ``ready``."""
        self._sample, self._clock, self._ready = sample, clock, ready
        self._minute: int | None = None

    def tick(self) -> None:
        """Sample if a new minute has begun."""
        if not self._ready():
            return
        now = self._clock()
        if self._minute is None or now // 60_000 > self._minute:
            self._minute = now // 60_000
            self._sample(now)
