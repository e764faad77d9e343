"""Does an event cost the same however much is known, and however many windows are watched?

In memory, CPU time of this process. By hand::

    python -m tests.bench.growth --populations 10000 100000 1000000 5000000
"""

import argparse
import gc
import resource
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from random import Random

from schemas import catalog
from services.core import speed
from services.core.kpis import WINDOWS
from services.core.merge import View
from services.core.record import SourceRecord
from services.core.state import PartitionState
from services.runtime.reference import load_territories
from tests.bench import population

NOW_MS = 1_795_000_000_000
UPDATES = 100_000
FLUSH_EVERY = 12_500
BATCH = 2_000


@dataclass(frozen=True)
class Population:
    """What a number of open cases costs: bytes each, and CPU µs for each later event."""

    entities: int
    bytes_each: float
    update_us: float
    flush_us: float


@dataclass(frozen=True)
class Watched:
    """What a number of windows costs the view: CPU µs for each event fed."""

    windows: int
    feed_us: float


def resident() -> int:
    """Bytes of memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _folded(state: PartitionState, records: Iterable[SourceRecord]) -> tuple[float, float, int]:
    """Fold and flush as a worker does; CPU seconds of both, and how many records."""
    fold = flush = 0.0
    count = unflushed = 0
    source = iter(records)
    while batch := list(islice(source, BATCH)):
        began = time.process_time()
        if state.fold(batch):
            raise ValueError("a record of the bench was rejected")
        fold += time.process_time() - began
        count += len(batch)
        unflushed += len(batch)
        if unflushed >= FLUSH_EVERY:
            unflushed = 0
            began = time.process_time()
            state.flush()
            flush += time.process_time() - began
    return fold, flush, count


def populate(entities: int) -> Population:
    """Make a state of that many open cases, then time updates spread over all of them."""
    gc.set_threshold(200_000, 20, 100)  # as the worker does
    state = PartitionState(catalog.ADMIN_CASE, 0, 1, clock="wall", territories=load_territories())
    state.open_epoch(1)
    # What the first events bring along (tables, modules) is not the population's.
    _folded(state, population.records(range(10**8, 10**8 + 2_000), 1, NOW_MS))
    gc.collect()
    before = resident()
    _folded(state, population.records(range(entities), 1, NOW_MS, offset=2_000))
    state.flush()
    gc.collect()
    held = resident() - before
    chosen = Random(7).sample(range(entities), min(UPDATES, entities))
    places, rng = population.communes(), Random(3)
    updates = [
        SourceRecord(
            entities + 2_000 + i, NOW_MS, population.case_id(n).encode(),
            population.case(n, 2, NOW_MS, rng, places),
        )
        for i, n in enumerate(chosen)
    ]  # fmt: skip
    fold, flush, count = _folded(state, updates)
    return Population(entities, held / entities, fold / count * 1e6, flush / count * 1e6)


def watch(windows: int, events: int = 200_000) -> Watched:
    """Feed the flushes of a stream to a view that is asked about that many windows all the time."""
    territories = load_territories()
    state = PartitionState(catalog.ADMIN_CASE, 0, 1, clock="wall", territories=territories)
    state.open_epoch(1)
    view = View(territories, 1, "wall")
    spent = 0.0
    source = population.records(range(events), 1, NOW_MS)
    while batch := list(islice(source, FLUSH_EVERY)):
        state.fold(batch)
        parts = state.flush().parts
        began = time.process_time()
        for key, value in parts:
            view.feed(0, key, value)
        spent += time.process_time() - began
        for window in WINDOWS[:windows]:
            view.query("gov.cases_received", now=NOW_MS, window=window, by="district")
    return Watched(windows, spent / events * 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--populations", type=int, nargs="+", default=[10_000, 100_000, 1_000_000, 5_000_000]
    )
    options = parser.parse_args()
    gc.set_threshold(200_000, 20, 100)  # as the worker does
    say = sys.stdout.write
    say(f"fold: {speed.describe()}\n")
    say(f"{'open cases':>12} {'bytes each':>11} {'fold µs':>8} {'flush µs':>9}\n")
    for entities in options.populations:
        # Each in a process of its own: what one gave back must not hide what another takes.
        with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
            p = fresh.submit(populate, entities).result()
        say(f"{p.entities:>12,} {p.bytes_each:>11.0f} {p.update_us:>8.2f} {p.flush_us:>9.2f}\n")
    say(f"{'windows':>12} {'feed µs an event':>17}\n")
    for windows in (1, 3, 5, 7, 9):
        w = watch(windows)
        say(f"{w.windows:>12} {w.feed_us:>17.2f}\n")


if __name__ == "__main__":
    main()
