"""One sender: events go out when they are due, whatever the system does; every one is remembered.

The loop never waits for an acknowledgement. Where it falls behind its schedule it says so by
itself: each event keeps the instant at which it was due and the one at which it was handed over.
"""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.load.population import LoadEvent
from services.load.profiles import Floats
from services.runtime.memory import uncollected
from services.simulation.instants import iso

#: Events handed over before the clock is read again.
BURST = 64
#: The longest wait between two looks at the clock while nothing is due, in seconds.
NAP_S = 0.01
#: The shortest: a burst of some events costs less than as many single ones.
LEAST_NAP_S = 0.002
#: How often somebody else gets to know how far it is.
TELL_S = 0.25
QUEUE_WAIT_S = 0.01


class Producer(Protocol):
    """What is needed of ``confluent_kafka.Producer``."""

    def produce(
        self, topic: str, value: bytes, key: bytes, *, on_delivery: Callable[[Any, Any], None]
    ) -> None: ...

    def poll(self, timeout: float) -> int: ...

    def flush(self, timeout: float) -> int: ...


@dataclass
class Told:
    """How far a sender is: events handed over, acknowledged, refused; its CPU seconds."""

    sent: int
    acked: int
    failed: int
    cpu_seconds: float


@dataclass
class Sent:
    """What a sender did: one entry an event that was handed over, in the order of the schedule.

    ``due``, ``sent`` and ``acked`` are seconds since the start of the run; ``offset`` is -1 where
    no acknowledgement came, and ``topic`` an index of ``schemas.catalog.SOURCES``.
    """

    scheduled: int
    due: Floats
    sent: Floats
    acked: Floats
    topic: NDArray[np.int8]
    partition: NDArray[np.int16]
    offset: NDArray[np.int64]
    #: How often the queue of the Kafka client was full, and the seconds lost by that.
    queue_full: int
    queue_wait_s: float
    cpu_seconds: float
    seconds: float
    errors: dict[str, int]
    bytes: int


#: Gives the next event at an instant: ms since the epoch, and the same as text.
Events = Callable[[int, bytes], LoadEvent]


def prepare(events: Events, due: Floats, began_wall_ms: int) -> Events:
    """All events of a schedule made before it begins: gives one after the other.

    Each carries the instant at which it is due. For a sender that shares its machine with what it
    measures: making an event costs more than handing it over.
    """
    with uncollected():
        instants = (began_wall_ms + (due * 1000).astype(np.int64)).tolist()
        ready = iter([events(ms, iso(ms).encode()) for ms in instants])
    return lambda now_ms, now: next(ready)


def send(
    producer: Producer,
    events: Events,
    due: Floats,
    topics: Sequence[str],
    *,
    began: float,
    began_wall_ms: int,
    clock: Callable[[], float],
    cpu_clock: Callable[[], float],
    stopped: Callable[[], bool] = lambda: False,
    tell: Callable[[Told], None] = lambda told: None,
    flush_s: float = 20.0,
) -> Sent:
    """Send every event when it is due; ``due`` in seconds after ``began``, an instant of ``clock``.

    ``topics`` are the names of ``schemas.catalog.SOURCES`` on the broker. ``stopped`` and ``tell``
    are called every quarter of a second. Ends when all is acknowledged, or ``flush_s`` after the
    last event.
    """
    total = len(due)
    instants = due.tolist()
    sent_at, acked_at = array("d", bytes(8 * total)), array("d", bytes(8 * total))
    offsets, partitions = array("q", [-1]) * total, array("h", bytes(2 * total))
    kinds = array("b", bytes(total))
    errors: dict[str, int] = {}
    acked = failed = number = queue_full = size = 0
    queue_wait = 0.0

    def delivered(n: int, error: Any, message: Any) -> None:
        nonlocal acked, failed
        if error is not None:
            failed += 1
            name = str(error.name())
            errors[name] = errors.get(name, 0) + 1
            return
        acked += 1
        acked_at[n] = clock() - began
        offsets[n] = message.offset()
        partitions[n] = message.partition()

    def account() -> None:
        tell(Told(number, acked, failed, cpu_clock() - cpu_began))

    cpu_began, told_at = cpu_clock(), began
    with uncollected():  # a collection would stop the schedule
        while number < total:
            now = clock()
            if now - told_at >= TELL_S:
                told_at = now
                account()
                if stopped():
                    break
            passed = now - began
            if instants[number] > passed:
                producer.poll(min(max(instants[number] - passed, LEAST_NAP_S), NAP_S))
                continue
            now_ms = began_wall_ms + int(passed * 1000)
            text = iso(now_ms).encode()
            first, last = number, min(number + BURST, total)
            while number < last and instants[number] <= passed:
                topic, key, value = events(now_ms, text)
                while True:
                    try:
                        producer.produce(
                            topics[topic], value, key, on_delivery=partial(delivered, number)
                        )
                        break
                    except BufferError:
                        queue_full += 1
                        waiting = clock()
                        producer.poll(QUEUE_WAIT_S)
                        queue_wait += clock() - waiting
                        if queue_full % 25 == 0 and stopped():
                            total = number  # leave both loops, without this event
                            break
                if number >= total:
                    break
                kinds[number] = topic
                size += len(value)
                number += 1
            passed = clock() - began
            for n in range(first, number):
                sent_at[n] = passed
            producer.poll(0)
        ended = clock()
        deadline = ended + flush_s
        while acked + failed < number and clock() < deadline:
            producer.flush(TELL_S)
            account()
    return Sent(
        scheduled=len(due),
        due=due[:number].copy(),
        sent=np.array(sent_at[:number]),
        acked=np.array(acked_at[:number]),
        topic=np.array(kinds[:number], dtype=np.int8),
        partition=np.array(partitions[:number], dtype=np.int16),
        offset=np.array(offsets[:number], dtype=np.int64),
        queue_full=queue_full,
        queue_wait_s=queue_wait,
        cpu_seconds=cpu_clock() - cpu_began,
        seconds=clock() - began,
        errors=errors,
        bytes=size,
    )
