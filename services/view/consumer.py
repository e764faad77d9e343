"""The reader of the partial results: every partition from its beginning, for ever.

It never gives up: without a broker, without topics, or with a partition that cannot be read it
says so in ``reason`` and tries again, while the view goes on serving what it has.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from services.view.logends import check_topics
from services.view.pace import SLICE_S
from services.view.ringlog import LogLostError, RingLog

log = logging.getLogger(__name__)

POLL_S = 0.25
RETRY_S = 1.0
MAX_BACKOFF_S = 30.0
#: Finding out which worker's records are void takes a rewind or two.
FREE_RESTARTS = 3


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
        on_fed: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """``on_fed`` is awaited after every batch that reached the sink."""
        self._bootstrap, self._topic, self._sink, self._on_fed = bootstrap, topic, sink, on_fed
        self._all = range(partitions)
        #: Next offset to read, for partitions that were begun.
        self._positions: dict[int, int] = {}
        #: Where a partition ended when it was begun; it leaves this table on reaching that.
        self._targets: dict[int, int] = {}
        self._restarts: dict[int, int] = {}
        self._resume_at: dict[int, float] = {}
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
            except OSError as error:
                reason = str(error) or type(error).__name__
                if reason != self._trouble:
                    log.warning("cannot read the partial results: %s", reason)
                self._trouble = reason
            await asyncio.sleep(RETRY_S)

    async def _session(self) -> None:
        await check_topics(self._bootstrap, [self._topic], len(self._all))
        ring = RingLog(self._bootstrap, self._topic)
        try:
            await self._seek(ring)
            log.info("reading the partial results from %s", self._topic)
            self._trouble = None
            while True:
                await self._poll(ring)
        finally:
            await ring.close()

    async def _seek(self, ring: RingLog) -> None:
        """Go on where the last session stopped, or from the beginning where that is no more."""
        for p, (start, end) in (await ring.bounds(self._all)).items():
            position = self._positions.get(p)
            if position is None or not start <= position <= end:
                self._begin(p, start, end)
            ring.read_from(p, self._positions[p])

    def _begin(self, p: int, start: int, end: int) -> None:
        self._sink.reset(p)
        self._positions[p] = start
        if end > start:
            self._targets[p] = end
        else:
            self._targets.pop(p, None)

    async def _poll(self, ring: RingLog) -> None:
        try:
            batches = await ring.some(POLL_S)
        except LogLostError as error:
            log.warning("partial results were lost or made anew: %s", error)
            for p in self._all:
                await self._restart(ring, p, at_once=True)
            return
        for p, records in batches.items():
            await self._take(ring, p, records)
        if self._targets:
            self._note_gaps(ring)
        self._resume_due(ring)
        if batches and self._on_fed is not None:
            await self._on_fed()

    async def _take(self, ring: RingLog, p: int, records: list[Any]) -> None:
        began = time.perf_counter()
        allowed = SLICE_S
        for record in records:
            if not self._feed(p, record.key(), record.value()):
                await self._restart(ring, p)
                return
            self._positions[p] = record.offset() + 1
            now = time.perf_counter()
            if now - began > allowed:
                await asyncio.sleep(0)
                began = time.perf_counter()
                # Half of the loop is for what is new, however long others keep it.
                allowed = max(SLICE_S, began - now)
        self._note_position(p, self._positions[p])

    def _feed(self, partition: int, key: bytes | None, value: bytes | None) -> bool:
        try:
            return self._sink.feed(partition, key or b"", value)
        except Exception:
            # A record of a version we cannot read must not end the view: the partition is read
            # again, with growing pauses, until a worker has written a whole lap we can read.
            log.exception("a partial result of partition %d cannot be read", partition)
            return False

    def _note_position(self, p: int, position: int) -> None:
        if position >= self._targets.get(p, position + 1):
            del self._targets[p]
            self._restarts.pop(p, None)
            if not self._targets:
                log.info("the partial results are read to their end")

    def _note_gaps(self, ring: RingLog) -> None:
        """Compaction can leave nothing at the end of a log: then only the position moves."""
        for p in list(self._targets):
            if p not in self._resume_at:
                self._note_position(p, ring.position(p))

    async def _restart(self, ring: RingLog, p: int, *, at_once: bool = False) -> None:
        """Read one partition anew: a few times at once, then with growing pauses."""
        start, end = (await ring.bounds([p]))[p]
        self._begin(p, start, end)
        ring.read_from(p, start)
        again = self._restarts.get(p, 0)
        self._restarts[p] = again + 1
        log.warning("partition %d of the partial results is read again", p)
        if again >= FREE_RESTARTS and not at_once:
            ring.pause(p)
            wait = min(2.0 ** min(again - 1, 5), MAX_BACKOFF_S)
            self._resume_at[p] = time.monotonic() + wait

    def _resume_due(self, ring: RingLog) -> None:
        now = time.monotonic()
        for p in [p for p, due in self._resume_at.items() if due <= now]:
            del self._resume_at[p]
            ring.resume(p)
