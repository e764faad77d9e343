"""What must hold once everything has settled, each violation as a line of text.

The raw topics are drained and given to the oracle (DuckDB, no code of the pipeline); then the
view's answers, the counters of the ring and the dead letters are held against it.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, cast

from schemas import catalog
from services.core.head import Head
from services.core.merge import QueryError, View
from services.core.ring import key_epoch, key_owner
from services.kpi.recovery import Ring, read_rings
from services.oracle.comparison import differences
from services.oracle.kpis import KPIS
from services.oracle.oracle import Oracle
from services.oracle.raw import RawLog, drain
from services.oracle.windows import WINDOWS
from services.runtime.reference import load_territories
from tests.chaos.line import PARTITIONS, Line
from tests.e2e.system import page, samples
from tests.strategies.events import PLACES

#: From the last repair on, for zombies to find out, groups to settle and the backlog to be read.
SETTLE_SECONDS = 150.0
#: A run that is wrong everywhere is not printed whole.
SHOWN = 40


@dataclass(frozen=True)
class Depth:
    """How much of the KPIs is compared: everywhere by territory, in part by dimension."""

    windows: Sequence[str]
    dimension_windows: Sequence[str]
    dimension_kpis: Sequence[str]

    @classmethod
    def whole(cls) -> "Depth":
        """Every KPI, window, territory and dimension: two minutes for 25,000 records."""
        return cls(WINDOWS, WINDOWS, tuple(KPIS))

    @classmethod
    def of_round(cls, rng: Random, *, windows: int = 2) -> "Depth":
        """Every KPI and territory in some windows, six KPIs by their dimensions too."""
        chosen = rng.sample(WINDOWS, windows)
        return cls(chosen, chosen[:2], rng.sample(sorted(KPIS), 6))


@dataclass
class Found:
    """The result of one check."""

    problems: list[str]
    records: int = 0
    rejected: int = 0
    letters: int = 0
    #: Flushes in the ring that did not fit into one record.
    large_flushes: int = 0
    #: Records in the ring that an older owner wrote after a newer one had begun.
    late_flushes: int = 0
    settle_seconds: float = 0.0
    check_seconds: float = 0.0


def wait_until_settled(line: Line, records: int) -> tuple[float, str | None]:
    """Wait until the view shows that many records; how long it took, and what is wrong if not."""
    began = time.monotonic()
    while True:
        seconds = time.monotonic() - began
        try:
            progress = line.progress()
        except (OSError, QueryError) as error:
            progress = {"partitions": [], "reason": str(error)}
        rows = progress["partitions"]
        applied = sum(row["applied"] for row in rows)
        if rows and applied == records and all(row["lag"] == 0 for row in rows):
            return seconds, None
        if line.deaths():
            return seconds, "somebody died"
        if seconds > SETTLE_SECONDS:
            behind = [row for row in rows if row["lag"]]
            return seconds, (
                f"not settled in {seconds:.0f} s: {applied} of {records} records applied,"
                f" reason {progress.get('reason')}, behind: {behind}"
            )
        line.look()
        time.sleep(0.25)


def check(line: Line, acked: int, depth: Depth) -> Found:
    """Wait until ``line`` has settled and compare everything with the oracle."""
    log = asyncio.run(drain(line.bootstrap, line.namespace))
    found = Found([], records=len(log))
    if acked > len(log):
        found.problems.append(f"{acked} records were acknowledged, {len(log)} are in the log")
    found.settle_seconds, trouble = wait_until_settled(line, len(log))
    found.problems += line.deaths()
    if trouble is not None:
        found.problems.append(trouble)
        return found
    began = time.monotonic()
    oracle = Oracle(log, PARTITIONS, line.clock, PLACES)
    found.problems += _numbers(line, oracle, depth)
    found.problems += _conservation(line, log, oracle, found)
    found.problems += _letters(line, log, found)
    del found.problems[SHOWN:]
    found.check_seconds = time.monotonic() - began
    return found


def _numbers(line: Line, oracle: Oracle, depth: Depth) -> Iterator[str]:
    now = int(time.time() * 1000) if line.clock == "wall" else oracle.event_clock() or 0
    view = cast("View", line.http)
    yield from differences(view, oracle, now, windows=depth.windows, dimensions=False)
    windows, kpis = depth.dimension_windows, depth.dimension_kpis
    yield from differences(view, oracle, now, windows=windows, kpis=kpis)


def _heads(line: Line, found: Found) -> Mapping[tuple[str, int], Head]:
    """The counters of every partition as the ring has them."""
    topic = catalog.KPI_PARTIAL.full_name(line.namespace)
    rings: Mapping[int, Ring] = asyncio.run(read_rings(line.bootstrap, topic, range(PARTITIONS)))
    view = View(load_territories(), PARTITIONS, line.clock)
    for partition, ring in rings.items():
        found.large_flushes += sum(key.endswith(b"/1") for key, _ in ring)
        found.late_flushes += _late(ring)
        # Fed anew for as long as a zombie's flush is found; what is known of zombies is kept.
        while not all(view.feed(partition, key, value) for key, value in ring):
            view.reset(partition)
    return view.heads


def _late(ring: Ring) -> int:
    """How many records of a ring lie behind one of a newer epoch of the same source partition."""
    newest: dict[tuple[str, int], int] = {}
    late = 0
    for key, value in ring:
        place, epoch = key_owner(key), key_epoch(key)
        if place is not None and value is not None:
            late += epoch < newest.get(place, 0)
            newest[place] = max(epoch, newest.get(place, 0))
    return late


def _conservation(line: Line, log: RawLog, oracle: Oracle, found: Found) -> Iterator[str]:
    """Records read = the sum of their outcomes = what the oracle says, in every partition."""
    heads = _heads(line, found)
    ends: dict[tuple[str, int], int] = {
        (topic, part): count
        for topic, part, count in log.connection.execute(
            "SELECT topic, part, max(off) + 1 FROM raw GROUP BY ALL"
        ).fetchall()
    }
    for place, end in ends.items():
        expected = {o: n for o, n in oracle.outcomes(*place).items() if n}
        head = heads.get(place)
        counted = {} if head is None else {o: n for o, n in head.outcomes.items() if n}
        if counted != expected:
            yield f"{place}: outcomes {counted}, the oracle says {expected}"
        if sum(counted.values()) != end:
            yield f"{place}: {end} records in the log, {sum(counted.values())} counted"
    text = page(line.http.url)
    shown = samples(text, "ioc_events_total", "topic", "outcome")
    if sum(shown.values()) != len(log):
        yield f"/metrics counts {sum(shown.values()):.0f} records, {len(log)} are in the log"
    if samples(text, "ioc_conservation_broken") != {(): 0.0}:
        yield "/metrics says that conservation is broken"


def _letters(line: Line, log: RawLog, found: Found) -> Iterator[str]:
    """Every rejected record has its letter: the same key and bytes, and the oracle's reason."""
    wanted: dict[tuple[str, int, int], tuple[Any, ...]] = {
        (topic, part, off): (key, value, reason)
        for topic, part, off, key, value, reason in log.connection.execute(
            "SELECT topic, part, off, key, value, reason FROM rejects JOIN raw"
            " USING (topic, part, off)"
        ).fetchall()
    }
    found.rejected = len(wanted)
    topics = (catalog.DEAD_LETTER.name,)
    letters = asyncio.run(drain(line.bootstrap, line.namespace, topics))
    seen = set()
    for letter in letters.records():
        found.letters += 1
        headers = dict(letter.headers)
        place = (
            headers["ioc-topic"].decode(),
            int(headers["ioc-partition"]),
            int(headers["ioc-offset"]),
        )
        if place not in wanted:
            yield f"a dead letter of a record that is not rejected: {place}"
            continue
        seen.add(place)
        sent = (letter.key, letter.value, headers["ioc-reason"].decode())
        if sent != wanted[place]:
            yield f"the dead letter of {place} is not the record: {str(sent)[:200]}"
    for place in sorted(wanted.keys() - seen):
        yield f"the dead letter of {place} is missing ({wanted[place][2]})"
