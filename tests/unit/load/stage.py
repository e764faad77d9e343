"""A load without Kafka, view or time: the clock is told, broker and view are formulas."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schemas import catalog
from services.load.measure import Measured, measure
from services.load.population import LoadEvent
from services.load.profiles import Schedule
from services.load.sender import Sent, send
from services.load.watch import Looks

TOPICS = [topic.name for topic in catalog.SOURCES]


class Clock:
    """Stands still until somebody spends time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Error:
    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        return self._name


@dataclass
class Message:
    at: int

    def offset(self) -> int:
        return self.at

    def partition(self) -> int:
        return 0


@dataclass
class Broker:
    """Takes events into one partition a topic; acknowledges ``delay`` seconds later.

    ``cost`` is the time that handing over one event takes; ``refuse`` says which are refused, by
    their number; of ``room`` events at most none is acknowledged.
    """

    clock: Clock
    delay: float = 0.01
    cost: float = 0.0
    refuse: Callable[[int], bool] = lambda number: False
    room: int = 10**9
    silent: bool = False
    count: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    waiting: list[tuple[float, Callable[[Any, Any], None], int | None]] = field(
        default_factory=list
    )

    def produce(
        self, topic: str, value: bytes, key: bytes, *, on_delivery: Callable[[Any, Any], None]
    ) -> None:
        if len(self.waiting) >= self.room:
            raise BufferError
        self.clock.now += self.cost
        self.count += 1
        offset: int | None = None
        if not self.refuse(self.count):
            offset = self.ends.get(topic, 0)
            self.ends[topic] = offset + 1
        self.waiting.append((self.clock.now + self.delay, on_delivery, offset))

    def poll(self, timeout: float) -> int:
        self.clock.now += timeout
        served = 0
        while self.waiting and self.waiting[0][0] <= self.clock.now and not self.silent:
            _, deliver, offset = self.waiting.pop(0)
            if offset is None:
                deliver(Error("_MSG_TIMED_OUT"), None)
            else:
                deliver(None, Message(offset))
            served += 1
        return served

    def flush(self, timeout: float) -> int:
        until = max((due for due, _, _ in self.waiting), default=self.clock.now)
        self.poll(timeout if self.silent else max(0.0, min(timeout, until - self.clock.now)))
        return len(self.waiting)


def event(number: int = 0) -> LoadEvent:
    return LoadEvent(number % len(TOPICS), b"key", b"value")


def run(schedule: Schedule, clock: Clock, broker: Broker, **more: Any) -> Sent:
    """One sender, which begins now; a second of it costs a tenth of a core."""
    return send(
        broker,
        lambda ms, text: event(ms),
        schedule.share(0, 1),
        TOPICS,
        began=clock.now,
        began_wall_ms=0,
        clock=clock,
        cpu_clock=lambda: clock.now / 10,
        **more,
    )


def looks(sent: Sent, began: float, lag: float, *, every: float = 0.05, until: float) -> Looks:
    """A view that shows everything ``lag`` seconds after it was acknowledged."""
    at = np.arange(0.0, until, every)
    columns = []
    for number in range(len(TOPICS)):
        mine = (sent.topic == number) & (sent.offset >= 0)
        columns.append(np.searchsorted(np.sort(sent.acked[mine]) + lag, at, "right"))
    applied = np.stack(columns, axis=1).astype(np.int64)
    return Looks(began + at - 0.001, began + at, [(name, 0) for name in TOPICS], applied)


def measured(
    schedule: Schedule,
    *,
    lag: float = 0.2,
    until: float | None = None,
    allowance_s: float = 2.0,
    stopped: Callable[[], bool] = lambda: False,
    **broker: Any,
) -> Measured:
    """A whole load against such a broker and such a view."""
    clock = Clock()
    began = clock.now
    sent = run(schedule, clock, Broker(clock, **broker), stopped=stopped)
    seen = looks(sent, began, lag, until=until or sent.seconds + lag + 5)
    return measure(schedule, 0.0, [sent], seen, began, allowance_s)
