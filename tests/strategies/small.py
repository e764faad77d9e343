"""Hypothesis strategies for the laws: small streams in which order, copies and cuts do not matter.

A stream is a choice of items from a seeded pool, so a failing example shrinks to few records.
"""

from functools import lru_cache

from hypothesis import strategies as st

from services.oracle.raw import RawRecord
from services.oracle.reading import Rejected, read
from services.oracle.windows import DAY, HOUR, local_ms
from tests.strategies.events import Item, log, stream

NOW = local_ms(2026, 11, 22, 10, 17) + 34_567


@lru_cache(maxsize=32)
def pool(seed: int) -> tuple[Item, ...]:
    """Items of an event-clock system whose numbers do not depend on the order they come in.

    Left out is what the contract lets depend on it: contradictions of one revision (the lowest
    offset stays) and periods too old for anything but being the latest of their series. Records in
    a wrong partition are left out too, so that the number of partitions may change.
    """
    first: dict[tuple[str, str, int], int] = {}
    chosen = []
    for item in stream(seed, 150, NOW, event_clock=True):
        if item.partition is not None:
            continue
        (record,) = log([item], 1, event_clock=True)
        reading = read(record, 1, item.arrival)
        if not isinstance(reading, Rejected):
            name = (reading.table, reading.entity, reading.revision)
            if first.setdefault(name, reading.digest) != reading.digest:
                continue
            if reading.table == "reading" and _period_is_old(reading.columns, item.arrival):
                continue
        chosen.append(item)
    return tuple(chosen)


def _period_is_old(columns: dict[str, int], arrival: int) -> bool:
    length = columns["period_end"] - columns["period_start"]
    return columns["period_end"] < arrival - (48 * HOUR if length < DAY else 400 * DAY)


@st.composite
def streams(draw: st.DrawFn, most: int = 60) -> list[Item]:
    """Some of the items of one pool, in their order."""
    items = pool(draw(st.integers(0, 15)))
    picked = draw(st.sets(st.integers(0, len(items) - 1), min_size=1, max_size=most))
    return [items[i] for i in sorted(picked)]


@st.composite
def disorders(draw: st.DrawFn, items: list[Item]) -> list[Item]:
    """The same items in any order, some of them more than once."""
    copies = draw(st.lists(st.sampled_from(items), max_size=10))
    return draw(st.permutations(items + copies))


def records(items: list[Item], partitions: int) -> list[RawRecord]:
    """The items as the log of an event-clock system."""
    return log(items, partitions, event_clock=True)
