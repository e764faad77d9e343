"""Stand-ins for what a partition and a worker talk to: a state, an outbox, a clock."""

import asyncio
from collections.abc import Sequence

from services.core.record import Record
from services.core.ring import Flush
from services.core.state import DeadLetter


class FakeState:
    """Remembers offsets; a record whose value is ``b"bad"`` becomes a dead letter."""

    def __init__(self, fence: int = -1) -> None:
        self.fence = fence
        self.offsets: list[int] = []
        self.owner: int | None = None
        self._flushed = fence
        self._seq = -1
        self.old_keys: list[bytes] = []

    def open_epoch(self, owner: int) -> None:
        self.owner = owner
        self._flushed = -2

    def fold(self, records: Sequence[Record]) -> list[DeadLetter]:
        letters = []
        for record in records:
            if record.offset <= self.fence:
                continue
            self.offsets.append(record.offset)
            self.fence = record.offset
            if record.value == b"explode":
                raise ValueError("cannot fold this")
            if record.value == b"bad":
                letters.append(DeadLetter(record.key, record.value, [], "schema"))
        return letters

    @property
    def dirty(self) -> bool:
        return self._flushed != self.fence

    def flush(self) -> Flush:
        self._flushed = self.fence
        self._seq += 1
        return Flush(self._seq, [(b"key/%d" % self._seq, b"fence %d" % self.fence)])

    def tombstones(self) -> list[bytes]:
        keys, self.old_keys = self.old_keys, []
        return keys


class FakeOutbox:
    """Keeps what was sent in order; ``gate`` closed means that Kafka acknowledges nothing."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, object]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.too_large = 0
        self.error: Exception | None = None

    async def letters(self, partition: int, letters: Sequence[DeadLetter]) -> int:
        await self.gate.wait()
        self.sent.append(("letters", len(letters)))
        return self.too_large

    async def partials(self, partition: int, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        if self.error is not None:
            raise self.error
        await self.gate.wait()
        self.sent += [("partial", value) for _, value in records]


class FakeClock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds
