"""The ring: how a partition's state is written to, and rebuilt from, ``ioc.kpi-partial.v1``.

Every flush is one logical record: what changed since the last one, and one slice (one slot of
:data:`SLOTS`) of the whole state. Any :data:`SLOTS` flushes in a row, or all flushes since the
first, rebuild everything. Keys are ``kind/partition/epoch/slot/part``, so compaction keeps one lap.

Each owner of a partition opens an *epoch* that names the flush it continues. Flushes of an older
epoch beyond that point are a zombie's and are never used; a gap is never bridged.
"""

from collections import deque
from collections.abc import Iterable
from struct import Struct as Layout
from typing import Any, Literal

import msgspec
import numpy as np

from services.core.panes import SLOTS, Delta, Packed

FORMAT = 1
PART_BYTES = 900_000
_PART = Layout("<BQQHH")  # format, epoch, seq, part, parts


class Body(msgspec.Struct, array_like=True, gc=False):
    """One flush. Times are ms since the epoch; arrays are little-endian int64 bytes."""

    catalogue: str
    continues: tuple[int, int]
    fence: int
    clock: int
    arrival: int
    head: bytes
    delta: tuple[bytes, bytes, bytes, bytes]
    entities: list[bytes]
    slice_cells: list[Packed]
    slice_entities: list[bytes]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Body)


class RingGap(Exception):
    """The ring of a partition has no complete chain: its state cannot be rebuilt from it."""


class Flush(msgspec.Struct, frozen=True):
    """A flush as records for the partial topic: (key, value) in the order to send them."""

    seq: int
    parts: list[tuple[bytes, bytes]]


class Arrived(msgspec.Struct, frozen=True):
    """A flush that was read back whole. ``restart`` says that the state before it is void."""

    epoch: int
    seq: int
    body: Body
    restart: bool


def record_key(kind: str, partition: int, epoch: int, seq: int, part: int) -> bytes:
    """The key of one part of a flush."""
    return f"{kind}/{partition}/{epoch}/{seq % SLOTS}/{part}".encode()


def key_owner(key: bytes) -> tuple[str, int] | None:
    """(kind, partition) of a record's key, or None for a key that is not of the ring."""
    fields = key.split(b"/")
    if len(fields) != 5 or not fields[1].isdigit():
        return None
    return fields[0].decode(errors="replace"), int(fields[1])


def key_epoch(key: bytes) -> int:
    """The epoch of a record's key."""
    return int(key.split(b"/")[2])


def encode(kind: str, partition: int, epoch: int, seq: int, body: Body) -> Flush:
    """A flush in parts of at most :data:`PART_BYTES`."""
    blob = _ENCODER.encode(body)
    count = -(-len(blob) // PART_BYTES)
    return Flush(
        seq,
        [
            (
                record_key(kind, partition, epoch, seq, i),
                _PART.pack(FORMAT, epoch, seq, i, count)
                + blob[i * PART_BYTES : (i + 1) * PART_BYTES],
            )
            for i in range(count)
        ],
    )


def pack_delta(delta: Delta) -> tuple[bytes, bytes, bytes, bytes]:
    return (
        delta.panes.tobytes(),
        delta.codes.tobytes(),
        delta.n.tobytes(),
        delta.s.tobytes(),
    )


def unpack_delta(packed: tuple[bytes, bytes, bytes, bytes]) -> Delta:
    return Delta(*(np.frombuffer(column, dtype="<i8") for column in packed))


class Chain:
    """Follows the flushes of one source partition in log order and yields those that count."""

    def __init__(self) -> None:
        self.epoch = 0
        self.seq = -1
        #: How many flushes in a row have been taken, without a gap.
        self.run = 0
        self._from_start = False
        self._cuts: dict[int, int] = {}
        self._parts: dict[tuple[int, int], dict[int, bytes]] = {}

    @property
    def complete(self) -> bool:
        """The state rebuilt so far is whole."""
        return self._from_start or self.run >= SLOTS

    @property
    def empty(self) -> bool:
        return self.seq < 0

    def rewind(self) -> None:
        """Begin again at the start of the log, with what is known of zombies kept."""
        self.epoch, self.seq, self.run = 0, -1, 0
        self._from_start = False
        self._parts.clear()

    def feed(self, value: bytes) -> Arrived | Literal["rewind"] | None:
        """Take one record of this partition's ring.

        Returns the flush it completes, None when there is nothing to do, or "rewind" when flushes
        already taken turned out to be a zombie's: the log must then be read from its start again.
        """
        if len(value) < _PART.size:
            return None
        version, epoch, seq, part, parts = _PART.unpack_from(value)
        if version != FORMAT or seq > self._cuts.get(epoch, seq):
            return None
        if epoch < self.epoch or (epoch == self.epoch and seq <= self.seq):
            return None
        chunk = value[_PART.size :]
        if parts > 1:
            held = self._parts.setdefault((epoch, seq), {})
            held[part] = chunk
            if len(held) < parts:
                return None
            chunk = b"".join(held[i] for i in range(parts))
        if self._parts:
            self._parts = {k: v for k, v in self._parts.items() if k > (epoch, seq)}
        body = _DECODER.decode(chunk)
        return self._take(epoch, seq, body)

    def _take(self, epoch: int, seq: int, body: Body) -> Arrived | Literal["rewind"]:
        before, last = body.continues
        if epoch != self.epoch and before:
            self._cuts[before] = min(last, self._cuts.get(before, last))
            if self.epoch == before and self.seq > last:
                return "rewind"
            if before < self.epoch:
                # The epoch taken so far was opened beside this one: none of it counts.
                self._cuts[self.epoch] = -1
                return "rewind"
        follows = seq == self.seq + 1 and (epoch == self.epoch or before == self.epoch)
        restart = not follows or (not before and epoch != self.epoch)
        if restart:
            self.run = 0
            self._from_start = seq == 0
        self.epoch, self.seq = epoch, seq
        self.run += 1
        return Arrived(epoch, seq, body, restart)


def follow(
    chain: Chain, kind: str, partition: int, records: Iterable[tuple[bytes, bytes | None]]
) -> Iterable[Arrived]:
    """The flushes of one source partition among ``records``, zombies left out.

    ``records`` must be a collection that can be gone through again (a list).
    """
    while True:
        taken: deque[Arrived] = deque(maxlen=SLOTS)  # one lap rebuilds the whole
        again = False
        for key, value in records:
            if value is None or key_owner(key) != (kind, partition):
                continue
            arrived = chain.feed(value)
            if arrived == "rewind":
                again = True
                break
            if arrived is not None:
                if arrived.restart:
                    taken.clear()
                taken.append(arrived)
        if not again:
            return taken
        chain.rewind()


def decode_entities(flat: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    """(key, value) pairs of a flat list; an empty value means that the entity is forgotten."""
    iterator: Any = iter(flat)
    return zip(iterator, iterator, strict=True)
