"""Measure the fold in memory, in both its forms: mixed events to flushes, no Kafka.

CPU time of this process, so that a busy machine changes the figures little; the two forms run in
turns over the same records, so that what it does change hits both. By hand::

    python -m tests.bench.fold --events 200000 --rounds 3
"""

import argparse
import gc
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas import catalog
from services.core import speed
from services.core.packed import PackedRecords
from services.core.record import SourceRecord
from services.core.state import PartitionState
from services.runtime.reference import load_territories
from tests.bench.mixed import Event, mixed

PARTITIONS = 4
#: Events between two flushes of all partitions: a quarter of a second at 50,000/s.
FLUSH_EVERY = 12_500
BATCH = 500
NOW_MS = 1_795_000_000_000
Place = tuple[catalog.Topic, int]
Batch = tuple[Place, Sequence[SourceRecord]]


@dataclass(frozen=True)
class Cost:
    """CPU seconds of one form over all events."""

    events: int
    fold: float
    flush: float

    @property
    def rate(self) -> float:
        """Events per CPU second, flushes included."""
        return self.events / (self.fold + self.flush)


def batches(events: Iterable[Event], size: int = BATCH) -> list[Batch]:
    """The events as the worker gets them: batches of one partition each, in order of arrival."""
    held: defaultdict[tuple[str, int], list[SourceRecord]] = defaultdict(list)
    offsets: defaultdict[tuple[str, int], int] = defaultdict(int)
    out: list[Batch] = []
    for topic, partition, key, value in events:
        place = topic.name, partition
        held[place].append(SourceRecord(offsets[place], NOW_MS, key, value))
        offsets[place] += 1
        if len(held[place]) == size:
            out.append(((topic, partition), held.pop(place)))
    out += [((catalog.BY_NAME[name], p), rest) for (name, p), rest in held.items()]
    return out


def run(work: list[Batch], form: speed.Form) -> Cost:
    """Fold everything from empty states and flush now and then."""
    territories = load_territories()
    states: dict[tuple[str, int], PartitionState] = {}
    for topic, partition in {(t.name, p): (t, p) for (t, p), _ in work}.values():
        state = PartitionState(
            topic, partition, PARTITIONS, clock="wall", territories=territories, form=form
        )
        state.open_epoch(1)
        states[topic.name, partition] = state
    gc.collect()
    fold = flush = 0.0
    count = unflushed = 0
    for (topic, partition), records in work:
        began = time.process_time()
        dead = states[topic.name, partition].fold(records)
        fold += time.process_time() - began
        if dead:
            raise ValueError(dead[0].reason)
        count += len(records)
        unflushed += len(records)
        if unflushed >= FLUSH_EVERY:
            unflushed = 0
            began = time.process_time()
            for state in states.values():
                state.flush()
            flush += time.process_time() - began
    return Cost(count, fold, flush)


def measure(events: int, rounds: int) -> dict[speed.Form, list[Cost]]:
    """Both forms in turns (only the pure one where the other is not built)."""
    gc.set_threshold(200_000, 20, 100)  # as the worker does
    work = batches(mixed(events, PARTITIONS, now_ms=NOW_MS))
    # As each form gets them from its fetches.
    packed: list[Batch] = [(place, PackedRecords.of(records)) for place, records in work]
    forms: list[speed.Form] = ["pure", "compiled"] if speed.built() else ["pure"]
    costs: dict[speed.Form, list[Cost]] = {form: [] for form in forms}
    for _ in range(rounds):
        for form in forms:
            costs[form].append(run(packed if form == "compiled" else work, form))
    return costs


def report(costs: dict[speed.Form, list[Cost]]) -> str:
    """A line per form (its best round) and the ratio."""
    best = {form: max(found, key=lambda c: c.rate) for form, found in costs.items()}
    lines = [
        f"{form:>8}: {c.rate:>9,.0f} events per CPU second "
        f"(fold {c.fold / c.events * 1e6:.2f} + flush {c.flush / c.events * 1e6:.2f} µs an event)"
        for form, c in best.items()
    ]
    if len(best) == 2:
        lines.append(f"   ratio: {best['compiled'].rate / best['pure'].rate:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(report(measure(options.events, options.rounds)), file=sys.stderr)  # noqa: T201 (a bench speaks)
