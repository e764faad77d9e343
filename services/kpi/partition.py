"""One owned source partition: its state, what is expected next, and its flushes. No Kafka here.

The order that makes a kill harmless: a flush is a snapshot of the state *and* of the dead letters
taken at one instant; first the letters are acknowledged, then the parts of the snapshot are sent
in order, and only one flush is under way at a time. Whatever was folded since then is not durable
yet and will be read again from the fence on.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from logging import getLogger
from time import monotonic
from typing import Literal, Protocol

from services.core.record import Record
from services.core.ring import Flush
from services.core.state import DeadLetter
from services.kpi.metrics import Metrics
from services.kpi.rhythm import Rhythm

log = getLogger(__name__)

#: A flush under way for longer than this means that the broker is slow: stop reading meanwhile.
SLOW_FLUSH_SECONDS = 2.0
#: Dead letters held in memory before the partition stops reading, in bytes.
LETTER_BYTES = 8 * 1024 * 1024
#: After this many seconds of waiting for records that were asked for again, ask once more.
HOLE_PATIENCE_SECONDS = 10.0

Verdict = Literal["fold", "drop", "seek"]


class State(Protocol):
    """What a partition's state must do; ``services.core.state.PartitionState`` does."""

    fence: int

    def open_epoch(self, owner: int) -> None: ...
    def fold(self, records: Sequence[Record]) -> list[DeadLetter]: ...
    @property
    def dirty(self) -> bool: ...
    def flush(self) -> Flush: ...
    def tombstones(self) -> list[bytes]: ...


class Outbox(Protocol):
    """Where a partition sends to. Every method returns when Kafka has acknowledged it all."""

    async def letters(self, partition: int, letters: Sequence[DeadLetter]) -> int:
        """Send dead letters; returns how many had to be given up (too large for the topic)."""
        ...

    async def partials(self, partition: int, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Send records of the ring in their order."""
        ...


class OwnedPartition:
    """A source partition while this worker owns it. ``topic`` is its name without namespace."""

    def __init__(
        self,
        topic: str,
        number: int,
        state: State,
        outbox: Outbox,
        metrics: Metrics,
        rhythm: Rhythm,
        *,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.topic = topic
        self.number = number
        self.state = state
        #: The offset that must come next.
        self.expected = state.fence + 1
        self._outbox = outbox
        self._metrics = metrics
        self._rhythm = rhythm
        self._now = now
        self._letters: list[DeadLetter] = []
        self._letter_bytes = 0
        self._one_flush = asyncio.Lock()
        self._flush_began: float | None = None
        #: When the last one began; before the first, long ago (an infinite time is in no tick).
        self._flush_last = -1e9
        self._hole: int | None = None
        self._hole_seen = 0.0

    def check(self, first: int) -> Verdict:
        """Whether a batch that begins at offset ``first`` may be folded.

        "seek": records before it are missing; read again from :attr:`expected`. "drop": it was
        under way before that. When the very same hole comes back from the log, the log itself has
        it (retention, or the marks of a transaction) and the batch is folded.
        """
        if first <= self.expected:
            self._hole = None
            return "fold"
        now = self._now()
        if self._hole == first:
            log.error(
                "%s/%d: offsets %d to %d are not in the log; going on behind them",
                self.topic, self.number, self.expected, first - 1,
            )  # fmt: skip
            self._hole = None
            return "fold"
        if self._hole is not None and now < self._hole_seen + HOLE_PATIENCE_SECONDS:
            return "drop"
        self._metrics.holes.inc()
        self._hole, self._hole_seen = first, now
        log.warning(
            "%s/%d: offsets %d to %d did not arrive; reading again from %d",
            self.topic, self.number, self.expected, first - 1, self.expected,
        )  # fmt: skip
        return "seek"

    def fold(self, records: Sequence[Record]) -> None:
        """Absorb a batch; its dead letters wait for the next flush."""
        fence = self.state.fence
        began = self._now()
        letters = self.state.fold(records)
        seconds = self._now() - began
        if records[0].offset > fence:
            absorbed = len(records)
        else:
            absorbed = sum(record.offset > fence for record in records)
        self._metrics.folded(self.topic, absorbed, seconds)
        self.expected = max(self.expected, records[-1].offset + 1)
        if letters:
            self._letters += letters
            self._letter_bytes += sum(map(_size, letters))

    @property
    def unsent(self) -> bool:
        """Something would be lost if the worker died now."""
        return self.state.dirty or bool(self._letters)

    @property
    def overfull(self) -> bool:
        """Reading should stop until a flush is through."""
        began = self._flush_began
        slow = began is not None and self._now() > began + SLOW_FLUSH_SECONDS
        return slow or self._letter_bytes > LETTER_BYTES

    def due(self, interval: float) -> bool:
        """Whether a flush should begin now, where they begin at whole multiples of ``interval`` s.

        All partitions of a worker flush at the same ticks of the clock: then one request carries
        all of them, and the view reads them at once.
        """
        if self._flush_began is not None or not self.unsent:
            return False
        return self._now() // interval > self._flush_last // interval or self.overfull

    async def flush(self) -> None:
        """Send everything that is unsent and wait until Kafka has it; one at a time."""
        async with self._one_flush:
            if self.unsent:
                await self._flush()

    async def _flush(self) -> None:
        self._flush_began = self._flush_last = began = self._now()
        # One instant: no await between the letters, the snapshot and what else it deletes.
        letters, self._letters = self._letters, []
        snapshot = self.state.flush()
        tombstones = self.state.tombstones()
        self._rhythm.spent(self._now() - began)
        if letters:
            given_up = await self._outbox.letters(self.number, letters)
            self._count(letters, given_up)
            self._letter_bytes -= sum(map(_size, letters))
        await self._outbox.partials(self.number, snapshot.parts)
        if tombstones:
            await self._outbox.partials(self.number, [(key, None) for key in tombstones])
        self._flush_began = None
        self._metrics.flush_seconds.observe(self._now() - began)
        self._metrics.flush_bytes.inc(sum(len(value) for _, value in snapshot.parts))

    def _count(self, letters: list[DeadLetter], given_up: int) -> None:
        for reason, count in Counter(letter.reason for letter in letters).items():
            self._metrics.dead_letters.labels(reason).inc(count)
        if given_up:
            self._metrics.dead_letters.labels("undeliverable").inc(given_up)


def _size(letter: DeadLetter) -> int:
    return 256 + len(letter.key or b"") + len(letter.value or b"")
