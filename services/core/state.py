"""The state of one partition: the fold, and how it is written to and rebuilt from the ring.

One :class:`PartitionState` per source partition, nothing shared. A flush takes everything that
moved since the last one, and a slice of the whole, in one record (:mod:`services.core.ring`).
"""

import hashlib
from collections.abc import Iterable
from zlib import crc32

from schemas import catalog
from services.core import facts, head, ring, speed
from services.core.entity import view_part
from services.core.fold import DeadLetter, Fold
from services.core.panes import LEVELS, SLOTS
from services.core.record import Clock
from services.core.selection import ALL, Selection
from services.core.territory import Territories


class CatalogueChanged(Exception):
    """The ring was written by another version of the KPI catalogue or of the territories."""


def catalogue_digest(territories: Territories, selection: Selection = ALL) -> str:
    """Changes when packed cells or panes would mean something else: then the state is refolded."""
    layouts = [
        (f.number, f.name, [(x.name, x.shift, x.bits, x.values) for x in f.fields.values()])
        for f in facts.FACTS.values()
    ]
    text = repr((layouts, [tuple(level) for level in LEVELS]))
    if not selection.whole:
        text += repr(selection.kpis)
    return hashlib.sha256(f"1|{text}|{territories.digest}".encode()).hexdigest()[:16]


class PartitionState(Fold):
    """Everything known from one partition of one source topic, and its place in the ring."""

    def __init__(
        self,
        topic: catalog.Topic,
        partition: int,
        partitions: int,
        *,
        clock: Clock,
        territories: Territories,
        form: speed.Form | None = None,
        selection: Selection = ALL,
    ) -> None:
        """An empty state. ``form`` None: the faster one that can run here."""
        super().__init__(
            topic,
            partition,
            partitions,
            clock=clock,
            territories=territories,
            form=form,
            selection=selection,
        )
        self._catalogue = catalogue_digest(territories, selection)
        self._cells = speed.store(self.form)
        self._seq = -1
        self._flushed_fence = -1
        self._epoch = 0
        self._superseded = 0
        self._continues = (0, -1)
        self._epoch_first_seq = 0
        self._old_keys: list[bytes] = []

    @property
    def dirty(self) -> bool:
        """Something moved since the last flush, if only the fence."""
        return self.fence != self._flushed_fence or bool(self._dirty)

    def open_epoch(self, owner: int) -> None:
        """Become the owner: ``owner`` (48 bits) makes the epoch unlike any other of its number.

        To be called once, before the first fold. The epoch names the flush it continues.
        """
        number = (max(self._epoch, self._superseded) >> 48) + 1
        self._continues = (self._epoch, self._seq)
        self._epoch = number << 48 | (owner & 0xFFFF_FFFF_FFFF)
        self._epoch_first_seq = self._seq + 1
        self._flushed_fence = -2  # the first flush says who owns the partition now

    def flush(self) -> ring.Flush:
        """One flush of all that moved, atomically; afterwards nothing is dirty.

        Raises RuntimeError before :meth:`open_epoch`.
        """
        if not self._epoch:
            raise RuntimeError("open_epoch() first")
        self._seq += 1
        slot = self._seq % SLOTS
        delta = self._changes.take()
        self._cells.add(delta, self.clock)
        self._cells.expire(self.clock)
        entities = [x for pair in self._dirty.items() for x in pair]
        self._dirty.clear()
        self._head.fence = self.fence
        self._head.clock = self.clock
        self._flushed_fence = self.fence
        body = ring.Body(
            self._catalogue,
            self._continues,
            self.fence,
            self.clock,
            self._arrival,
            head.encode(self._head),
            ring.pack_delta(delta),
            entities,
            self._cells.packed_slice(slot),
            [x for pair in self._entities[slot].items() for x in pair],
        )
        return ring.encode(self.topic.kind, self.partition, self._epoch, self._seq, body)

    def tombstones(self) -> list[bytes]:
        """Keys of older epochs that nothing needs any more, once; mostly empty."""
        if not self._old_keys or self._seq - self._epoch_first_seq < SLOTS:
            return []
        keys, self._old_keys = self._old_keys, []
        return keys

    def _apply(self, arrived: ring.Arrived) -> None:
        body = arrived.body
        if body.catalogue != self._catalogue:
            raise CatalogueChanged(f"{self.topic.name}/{self.partition}")
        slot = arrived.seq % SLOTS
        self._cells.add(ring.unpack_delta(body.delta), body.clock)
        self._cells.expire(body.clock)
        self._cells.replace_packed_slice(slot, body.slice_cells)
        self._entities[slot].clear()
        for key, value in ring.decode_entities(body.slice_entities):
            self._entities[slot][key] = value
        for key, value in ring.decode_entities(body.entities):
            shard = self._entities[crc32(key) % SLOTS]
            if value:
                shard[key] = value
            else:
                shard.pop(key, None)
        self.fence = body.fence
        self.clock = body.clock
        self._arrival = body.arrival
        self._seq = arrived.seq
        self._epoch = arrived.epoch
        self._head = head.decode(body.head)
        self._urgent_ids = {
            province: {r.report_id for r in reports}
            for province, reports in self._head.urgent.items()
        }
        self._flushed_fence = self.fence


def restore(state: PartitionState, records: Iterable[tuple[bytes, bytes | None]]) -> PartitionState:
    """Bring an empty state to what the partial topic says of it; returns it.

    ``records`` are all (key, value) of the partial topic's partition of the same number, in offset
    order; those of other source topics are left out. An empty ring leaves an empty state.
    Raises :class:`ring.RingGap` where no complete chain is there, :class:`CatalogueChanged` where
    it was written by another catalogue: both call for a refold, of another empty state.
    """
    topic, partition = state.topic, state.partition
    mine = [r for r in records if ring.key_owner(r[0]) == (topic.kind, partition)]
    followed = ring.Chain()
    for arrived in ring.follow(followed, topic.kind, partition, mine):
        state._apply(arrived)
    if not followed.empty and not followed.complete:
        raise ring.RingGap(
            f"{topic.name}/{partition}: only {followed.run} of {SLOTS} flushes follow one another"
        )
    if topic is catalog.INDICATOR:
        state._index_periods()
    state._old_keys = sorted({key for key, value in mine if value is not None})
    return state


def refold(state: PartitionState, records: Iterable[tuple[bytes, bytes | None]]) -> PartitionState:
    """Let an empty state take the place of a ring that cannot be used; returns it.

    Its epoch will be above every other, and it continues none of them: the source log is folded
    again from its start. ``records`` as for :func:`restore`.
    """
    owned = (state.topic.kind, state.partition)
    keys = {k for k, value in records if value is not None and ring.key_owner(k) == owned}
    state._superseded = max(map(ring.key_epoch, keys), default=0)
    state._old_keys = sorted(keys)
    return state


__all__ = [
    "CatalogueChanged",
    "DeadLetter",
    "PartitionState",
    "catalogue_digest",
    "refold",
    "restore",
    "view_part",
]
