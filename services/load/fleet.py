"""The senders as processes of their own: started before, told when to begin, heard at the end.

A sender that loses its parent ends by itself. Ctrl-C reaches the parent alone; it asks the senders
to stop, and they still hand over what they did.
"""

import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self, cast

from schemas import catalog
from services.load.population import Population
from services.load.profiles import Schedule
from services.load.sender import Events, Sent, Told, prepare, send

#: What the Kafka client may hold that is not acknowledged yet, per sender.
QUEUE_EVENTS, QUEUE_KB = 1_000_000, 512 * 1024
DELIVERY_TIMEOUT_MS = 30_000
READY_S = 60.0
#: All begin at one instant this far ahead.
LEAD_S = 0.5
#: What it takes at most to make an event, for senders that make all of them before.
_MAKE_S = 15e-6


class SenderError(Exception):
    """A sender could not start or ended early; the message says why."""


@dataclass(frozen=True)
class Make:
    """What a sender is made of; the same for all but their number."""

    bootstrap: str
    namespace: str
    run: str
    mix: Mapping[str, float]
    size: int
    skew: float
    revisions: int
    seed: int
    #: Make all events of a schedule before it begins; see :func:`lead`.
    prepared: bool = False


def producer_settings(bootstrap: str) -> dict[str, Any]:
    """Of librdkafka: nothing lost or doubled, the partition of the Java client, and a queue so
    large that only a broker that takes nothing fills it."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": "ioc-load",
        "partitioner": "murmur2_random",
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": 25,
        "batch.size": 512 * 1024,
        "queue.buffering.max.messages": QUEUE_EVENTS,
        "queue.buffering.max.kbytes": QUEUE_KB,
        "message.timeout.ms": DELIVERY_TIMEOUT_MS,
        "log_level": 0,
        "allow.auto.create.topics": False,
    }


def _cpu_seconds() -> float:
    """Of this process with all its threads, those of librdkafka too."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def serve(connection: Connection, make: Make, process: int, processes: int, parent: int) -> None:
    """The life of a sender process: run what it is told until the other end is closed."""
    from confluent_kafka import KafkaException, Producer

    from services.runtime.reference import load_territories

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    topics = [topic.full_name(make.namespace) for topic in catalog.SOURCES]
    communes = list(load_territories().communes.values())
    population = Population(
        make.run, process, communes, mix=make.mix, size=make.size, skew=make.skew,
        revisions=make.revisions, seed=make.seed,
    )  # fmt: skip
    producer = Producer(producer_settings(make.bootstrap))
    try:
        producer.list_topics(timeout=10)
    except KafkaException as error:
        connection.send(("failed", f"no Kafka broker answers at {make.bootstrap}: {error}"))
        return

    def stopped() -> bool:
        if os.getppid() != parent:
            raise SystemExit(1)
        return connection.poll() and connection.recv() == "stop"

    connection.send(("ready", os.getpid()))
    try:
        while True:
            order = connection.recv()
            if order == "end":
                return
            if order == "stop":
                continue
            schedule, began, began_wall_ms = cast("tuple[Schedule, float, int]", order)
            due = schedule.share(process, processes)
            events: Events = population.next
            if make.prepared:
                events = prepare(events, due, began_wall_ms)
            sent = send(
                cast("Any", producer), events, due, topics,
                began=began, began_wall_ms=began_wall_ms, clock=time.monotonic,
                cpu_clock=_cpu_seconds, stopped=stopped,
                tell=lambda told: connection.send(("told", told)),
            )  # fmt: skip
            connection.send(("sent", sent))
    except (EOFError, BrokenPipeError):
        return  # nobody listens any more
    finally:
        producer.purge()


@dataclass
class _Child:
    process: Any
    connection: Connection
    told: Told = field(default_factory=lambda: Told(0, 0, 0, 0.0))
    sent: Sent | None = None


class Fleet:
    """All senders of one load; a context manager that leaves none behind."""

    def __init__(self, make: Make, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pids: list[int] = []
        self._children: list[_Child] = []
        self.made = make
        for number in range(processes):
            ours, theirs = context.Pipe()
            child = context.Process(
                target=serve, args=(theirs, make, number, processes, os.getpid()), daemon=True
            )
            child.start()
            theirs.close()
            self._children.append(_Child(child, ours))

    def ready(self) -> None:
        """Wait until all can begin. Raises SenderError."""
        deadline = time.monotonic() + READY_S
        for child in self._children:
            if not child.connection.poll(max(0.0, deadline - time.monotonic())):
                raise SenderError("a sender is not ready within a minute")
            try:
                what, said = child.connection.recv()
            except EOFError:
                raise SenderError("a sender ended before it began") from None
            if what == "failed":
                raise SenderError(str(said))
            self.pids.append(int(said))

    def lead(self, schedule: Schedule) -> float:
        """How far ahead a schedule must begin, in seconds, so that all senders are ready."""
        if not self.made.prepared:
            return LEAD_S
        return LEAD_S + _MAKE_S * schedule.total / len(self._children)

    def run(
        self,
        schedule: Schedule,
        began: float,
        began_wall_ms: int,
        *,
        told: Callable[[Told], None] = lambda told: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> list[Sent]:
        """Send a whole schedule, and what each sender did.

        ``told`` hears the sum of all about four times a second. Raises SenderError when one dies.
        """
        for child in self._children:
            child.sent = None
            child.told = Told(0, 0, 0, 0.0)
            child.connection.send((schedule, began, began_wall_ms))
        asked = False
        while missing := [child for child in self._children if child.sent is None]:
            for ready in wait([child.connection for child in missing], timeout=0.25):
                self._hear(next(child for child in missing if child.connection is ready))
            told(
                Told(
                    sum(c.told.sent for c in self._children),
                    sum(c.told.acked for c in self._children),
                    sum(c.told.failed for c in self._children),
                    sum(c.told.cpu_seconds for c in self._children),
                )
            )
            if stopped() and not asked:
                asked = True
                for child in missing:
                    child.connection.send("stop")
        return [child.sent for child in self._children if child.sent is not None]

    @staticmethod
    def _hear(child: _Child) -> None:
        try:
            what, said = child.connection.recv()
        except EOFError:
            raise SenderError("a sender died; what it sent is not known") from None
        if what == "told":
            child.told = said
        else:
            child.sent = said

    def close(self) -> None:
        for child in self._children:
            try:
                child.connection.send("end")
            except OSError:
                pass
            child.connection.close()
        for child in self._children:
            child.process.join(5)
            if child.process.is_alive():
                child.process.kill()
                child.process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
