"""Small recordings for tests: a seeded stream with all that a real one has, bad bytes too."""

from pathlib import Path

from services.core.record import Clock
from services.replay import Meta, Recorded, describe, write
from services.replay.framing import arrival_of
from tests.strategies.events import log, stream

NOW = 1_760_000_000_000
PARTITIONS = 4
TOPICS = ("ioc.field-report.v1", "ioc.admin-case.v1", "ioc.listing.v1", "ioc.indicator.v1")


def description(clock: Clock = "wall") -> Meta:
    """As of a recording of the four topics."""
    return describe(TOPICS, dict.fromkeys(TOPICS, PARTITIONS), clock)


def records(seed: int, count: int, clock: Clock = "wall") -> list[Recorded]:
    """At least ``count`` records in order of arrival."""
    items = stream(seed, count, NOW, event_clock=clock == "event")
    found = [
        Recorded(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers))
        for r in log(items, PARTITIONS, event_clock=clock == "event")
    ]
    return [r._replace(arrival=arrival_of(r, clock)) for r in found]


def recording(path: Path, seed: int = 7, count: int = 300, clock: Clock = "wall") -> list[Recorded]:
    """A finished file of them; what is in it."""
    found = records(seed, count, clock)
    write(path, found, description(clock))
    return found
