"""The core without Kafka: records through partition states and their ring into a view.

Plays what the worker and the view do at the edge: split into batches, flush at some of the ends,
keep the partial topic's partitions as lists. Used by the contract tests only.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from random import Random
from typing import Literal

from schemas import catalog
from services.core.merge import View
from services.core.state import DeadLetter, PartitionState, restore
from services.oracle.raw import RawRecord
from services.runtime.reference import load_territories

Clock = Literal["wall", "event"]
Place = tuple[str, int]


def by_place(records: Iterable[RawRecord]) -> dict[Place, list[RawRecord]]:
    """Records of each source topic-partition in offset order."""
    places: defaultdict[Place, list[RawRecord]] = defaultdict(list)
    for record in records:
        places[record.topic, record.partition].append(record)
    for batch in places.values():
        batch.sort(key=lambda r: r.offset)
    return dict(places)


def splits(rng: Random, records: list[RawRecord], pieces: int) -> list[list[RawRecord]]:
    """The records cut into that many batches at random; some may be empty."""
    cuts = sorted(rng.randrange(len(records) + 1) for _ in range(pieces - 1))
    return [records[a:b] for a, b in pairwise([0, *cuts, len(records)])]


class Rig:
    """Partition states, the partial topic they wrote, and the dead letters they made."""

    def __init__(self, partitions: int, clock: Clock) -> None:
        self.partitions = partitions
        self.clock: Clock = clock
        self.territories = load_territories()
        self.states: dict[Place, PartitionState] = {}
        self.ring: defaultdict[int, list[tuple[bytes, bytes | None]]] = defaultdict(list)
        self.dead: defaultdict[Place, list[DeadLetter]] = defaultdict(list)
        self._owner = 0

    def state(self, place: Place) -> PartitionState:
        """The state of a partition, opened on first use."""
        if place not in self.states:
            topic, partition = place
            state = PartitionState(
                catalog.source(topic),
                partition,
                self.partitions,
                clock=self.clock,
                territories=self.territories,
            )
            self._open(place, state)
        return self.states[place]

    def _open(self, place: Place, state: PartitionState) -> None:
        self._owner += 1
        state.open_epoch(self._owner)
        self.states[place] = state

    def fold(self, place: Place, batch: list[RawRecord], *, flush: bool) -> None:
        """One batch of one partition; its dead letters are kept."""
        state = self.state(place)
        self.dead[place] += state.fold(batch)
        if flush and state.dirty:
            self.flush(place)

    def flush(self, place: Place) -> None:
        """One flush of the partition into the partial topic."""
        state = self.state(place)
        self.ring[place[1]] += state.flush().parts
        self.ring[place[1]] += [(key, None) for key in state.tombstones()]

    def restart(self, place: Place) -> None:
        """The owner dies: what was not flushed is lost, a new one takes up the ring."""
        topic, partition = place
        empty = PartitionState(
            catalog.source(topic),
            partition,
            self.partitions,
            clock=self.clock,
            territories=self.territories,
        )
        self._open(place, restore(empty, self.compacted(partition)))

    def compacted(self, partition: int) -> list[tuple[bytes, bytes | None]]:
        """The partition after a thorough cleaner: the last record of each key, no tombstones."""
        last = {key: n for n, (key, _) in enumerate(self.ring[partition])}
        records = self.ring[partition]
        return [records[n] for n in sorted(last.values()) if records[n][1] is not None]

    def view(self, *, compacted: bool = False) -> View:
        """A fresh view that has read the whole partial topic."""
        view = View(self.territories, self.partitions, self.clock)
        for partition in range(self.partitions):
            log = self.compacted(partition) if compacted else self.ring[partition]
            while not all(view.feed(partition, key, value) for key, value in log):
                view.reset(partition)
                log = self.compacted(partition)
        return view


def run(
    records: Iterable[RawRecord], partitions: int, clock: Clock, *, seed: int = 0, pieces: int = 5
) -> Rig:
    """All records through a rig, each partition in its own random batches, flushed at the end."""
    rng = Random(seed)
    rig = Rig(partitions, clock)
    for place, log in by_place(records).items():
        for batch in splits(rng, log, pieces):
            rig.fold(place, batch, flush=rng.random() < 0.7)
        if rig.state(place).dirty:
            rig.flush(place)
    return rig
