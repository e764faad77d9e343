"""A record of a source topic as the core sees it; what a Kafka client returns satisfies it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

Clock = Literal["wall", "event"]
#: Header that carries the arrival (ms since the epoch, decimal text) in an event-clock system.
ARRIVAL_HEADER = "ioc-arrival"
#: A header from here on (the year 2527) is no time of arrival: every instant of an event that is
#: taken must have a pane, and a flush must be able to state it.
_LATEST_ARRIVAL = 1 << 44


class Record(Protocol):
    """One Kafka record: ``timestamp`` is the broker's, in ms since the epoch."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class SourceRecord(NamedTuple):
    """A plain :class:`Record` for tests, tools and replays."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


def arrival_ms(record: Record, clock: Clock) -> int:
    """When the record arrived (contract section 1).

    The broker's timestamp; in an event-clock system the ``ioc-arrival`` header where it is a valid
    number, so that a replay treats a record as it was treated the first time.
    """
    if clock == "event":
        for name, value in record.headers or ():
            if name == ARRIVAL_HEADER and value and value.isdigit() and len(value) <= 20:
                arrival = int(value)
                if arrival < _LATEST_ARRIVAL:
                    return arrival
    return record.timestamp
