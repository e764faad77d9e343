"""A simulated source at the edge: takes records from a generator when they are due, sends them to
Kafka, and knows after a restart where it stopped.

Nothing is lost: a record counts as sent only when the broker has acknowledged it, and the place to
go on from is the oldest one that it has not. The same records may be sent twice then, with the same
bytes, which no number notices (contract section 4, One law). While the broker is away records wait,
at most ``BUFFER_RECORDS`` of them; later ones wait in the generator, which costs nothing.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from services.runtime.bookmark import Bookmark
from services.runtime.settings import Settings

_log = logging.getLogger("producer")

#: Records that may wait for their acknowledgement.
BUFFER_RECORDS = 20_000
#: A record below this is never refused for its own size, only for the company it was batched with.
LARGEST_SAFE_BYTES = 512 * 1024
CONTENT_TYPE = ("content-type", b"application/cloudevents+json")
#: Seconds: how often the place to go on from is written, how long a wait for the broker may be
#: before the log says so, how long a stop waits for the last acknowledgements.
_SAVE_EVERY, _QUIET_LIMIT, _DRAIN = 5.0, 5.0, 10.0
_LONGEST_NAP = 0.5
#: Seconds between two rounds of sending failed records again, and how many a client is given.
_ROUND, _ROUNDS_PER_CLIENT = 0.25, 20


class Due(Protocol):
    """One record and the instant (ms) at which it arrives."""

    @property
    def at(self) -> int: ...
    @property
    def topic(self) -> str: ...
    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes: ...


class Pending(Protocol):
    """What kafka-python gives for a record on its way."""

    @property
    def is_done(self) -> bool: ...
    @property
    def exception(self) -> Any: ...
    def succeeded(self) -> bool: ...


class Client(Protocol):
    """The part of ``kafka.KafkaProducer`` that is used here."""

    def send(
        self, topic: str, *, key: bytes, value: bytes, headers: list[tuple[str, bytes]]
    ) -> Pending: ...
    def close(self, timeout: float | None = None) -> None: ...


class Source(Protocol):
    """What produces the records: the simulation, seen from here."""

    def opening(self, at: int) -> Iterator[Due]:
        """The state of everything alive at an instant, for a log that begins there."""

    def stream(self, start: int, end: int) -> Iterator[Due]:
        """The records that arrive from ``start`` up to before ``end``, in order."""


class Metrics:
    """The producer's own numbers (``ioc_producer_…``), by kind of source."""

    def __init__(self, kind: str, registry: CollectorRegistry = REGISTRY) -> None:
        self.kind = kind
        self.sent = Counter(
            "ioc_producer_sent", "Records handed to the Kafka client.", ["kind"], registry=registry
        ).labels(kind)
        self.acked = Counter(
            "ioc_producer_acked", "Records acknowledged by the broker.", ["kind"], registry=registry
        ).labels(kind)
        self._failed = Counter(
            "ioc_producer_failed",
            "Attempts that failed; too_large ones are given up, others are sent again.",
            ["kind", "reason"],
            registry=registry,
        )
        self.buffered = Gauge(
            "ioc_producer_buffered", "Records waiting for the broker.", ["kind"], registry=registry
        ).labels(kind)
        # A counter that appears with its first failure shows no increase for it.
        for reason in ("too_large", "timeout", "other"):
            self.failed(reason, 0)

    def failed(self, reason: str, count: int = 1) -> None:
        self._failed.labels(self.kind, reason).inc(count)


@dataclass(frozen=True)
class Clock:
    """Simulated time: ``simulated`` at wall instant ``wall`` (both ms), then ``speed`` times it."""

    simulated: int
    wall: int
    speed: float

    def now(self, wall: int) -> int:
        return self.simulated + int((wall - self.wall) * self.speed)

    def seconds_until(self, instant: int, wall: int) -> float:
        """Wall seconds until a simulated instant; negative when it has passed."""
        return (instant - self.now(wall)) / self.speed / 1000


class Clients(Protocol):
    """Where the Kafka clients come from."""

    def main(self) -> Client:
        """A new idempotent client."""

    def large(self) -> Client:
        """A new client for large records, without idempotence: when the broker refuses a record,
        kafka-python's idempotent client never gets another one of that partition through.
        """


class Pump:
    """Hands records to the Kafka client in order and keeps account of every one."""

    def __init__(self, clients: Clients, named: Callable[[str], str], metrics: Metrics) -> None:
        self._clients = clients
        self._client = clients.main()
        self._large: Client | None = None
        self._named = named
        self._metrics = metrics
        self._failed_rounds = 0
        self._next_round = 0.0
        self._waiting: deque[tuple[Due, Pending, float]] = deque()
        #: Every record up to this arrival (ms) has been settled; None before the first.
        self.settled: int | None = None
        self._silent = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        return len(self._waiting) >= BUFFER_RECORDS

    def offer(self, due: Due, now: float) -> bool:
        """Send one record; False when the client cannot take it now (no broker, no topic)."""
        from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

        headers = [CONTENT_TYPE, ("ioc-arrival", str(due.at).encode())]
        client = self._client
        if len(due.value) > LARGEST_SAFE_BYTES:
            client = self._large = self._large or self._clients.large()
        try:
            pending = client.send(
                self._named(due.topic), key=due.key, value=due.value, headers=headers
            )
        except MessageSizeTooLargeError:
            self._metrics.sent.inc()
            self._give_up(due)
            return True
        except KafkaTimeoutError:
            self._metrics.failed("timeout")
            self._say_silent(f"the topic {self._named(due.topic)} or its broker is not there")
            return False
        self._metrics.sent.inc()
        self._waiting.append((due, pending, now))
        return True

    def _give_up(self, due: Due) -> None:
        self._metrics.failed("too_large")
        _log.error(
            "%s: a record of %d bytes was refused for its size and is given up",
            due.key.decode("utf-8", "replace"),
            len(due.value),
        )

    def settle(self, now: float) -> None:
        """Take account of what the broker has answered; ``now`` in seconds of a steady clock."""
        while self._waiting and self._waiting[0][1].is_done:
            due, pending, _ = self._waiting.popleft()
            if pending.succeeded():
                self._metrics.acked.inc()
                self._failed_rounds = 0
                self.settled = due.at
            elif self._hopeless(due, pending):
                self._give_up(due)
                self.settled = due.at
            else:
                # The place to go on from stays before this record until it is through.
                self._waiting.appendleft((due, pending, now))
                self._send_again(now)
                break
        self._metrics.buffered.set(len(self._waiting))
        if self._waiting and now - self._waiting[0][2] > _QUIET_LIMIT:
            self._say_silent("the broker does not answer")
        elif self._silent and len(self._waiting) < BUFFER_RECORDS // 2:
            self._silent = False
            _log.info("the broker answers again")

    def close(self) -> None:
        """Close the clients; what they still hold is given five seconds."""
        self._client.close(timeout=5)
        if self._large is not None:
            self._large.close(timeout=1)

    @staticmethod
    def _hopeless(due: Due, pending: Pending) -> bool:
        from kafka.errors import MessageSizeTooLargeError

        return (
            isinstance(pending.exception, MessageSizeTooLargeError)
            and len(due.value) > LARGEST_SAFE_BYTES
        )

    def _send_again(self, now: float) -> None:
        """Offer every failed record once more; each keeps its place in the account.

        At most a few times a second; a client that never succeeds again is replaced.
        """
        if now < self._next_round:
            return
        self._next_round = now + _ROUND
        self._failed_rounds += 1
        if self._failed_rounds > _ROUNDS_PER_CLIENT:
            self._failed_rounds = 0
            self._client.close(timeout=1)
            self._client = self._clients.main()
        for i, (due, pending, _) in enumerate(list(self._waiting)):
            if not pending.is_done or pending.succeeded() or self._hopeless(due, pending):
                continue
            name = type(pending.exception).__name__
            self._metrics.failed("timeout" if "Timeout" in name else "other")
            _log.debug("%s: %s, sent again", due.key.decode("utf-8", "replace"), name)
            if not self.offer(due, now):
                return
            self._waiting[i] = self._waiting.pop()

    def _say_silent(self, what: str) -> None:
        if not self._silent:
            self._silent = True
            _log.warning("%s; records wait and nothing is lost (said once)", what)


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def pace(
    source: Source,
    pump: Pump,
    clock: Clock,
    bookmark: Bookmark,
    stop: threading.Event,
    *,
    start: int,
    end: int,
    opening: bool,
    once: bool,
    wall: Callable[[], int] = wall_ms,
    steady: Callable[[], float] = time.monotonic,
) -> None:
    """Send what is due until ``stop``, ``end`` or, with ``once``, the present; then settle.

    ``opening`` sends the state of everything alive at ``start`` first.
    """
    saved = steady()

    def keep_account() -> None:
        nonlocal saved
        now = steady()
        pump.settle(now)
        if now - saved >= _SAVE_EVERY:
            saved = now
            _save(pump, bookmark)

    def send(due: Due) -> bool:
        """Offer until taken; False when asked to stop before."""
        while pump.full or not pump.offer(due, steady()):
            keep_account()
            if stop.wait(0.05):
                return False
        return True

    if opening:
        _log.info("sending the state of everything that is open")
        for number, due in enumerate(source.opening(start)):
            if stop.is_set() or not send(due):
                return
            if number % 200 == 0:
                keep_account()
    present = clock.now(wall()) if once else end
    records = iter(source.stream(start, min(end, present)))
    finished = True
    for number, due in enumerate(records):
        while (left := clock.seconds_until(due.at, wall())) > 0:
            keep_account()
            if stop.wait(min(left, _LONGEST_NAP)):
                break
        if stop.is_set() or not send(due):
            finished = False
            break
        if number % 200 == 0:
            keep_account()
    deadline = steady() + _DRAIN
    while len(pump) and steady() < deadline:
        keep_account()
        time.sleep(0.01)
    if len(pump):
        _log.warning("%d records were not acknowledged; they are sent again next time", len(pump))
        _save(pump, bookmark)
    elif finished:
        bookmark.write(min(end, present))
    else:
        _save(pump, bookmark)


def _save(pump: Pump, bookmark: Bookmark) -> None:
    if pump.settled is not None:
        # Records that arrive in the same millisecond may follow: it is done again.
        bookmark.write(pump.settled)


class KafkaClients:
    """kafka-python producers, made as soon as a broker answers."""

    def __init__(self, settings: Settings, kind: str, stop: threading.Event) -> None:
        self._settings, self._kind, self._stop = settings, kind, stop

    def _settings_of(self, **more: Any) -> dict[str, Any]:
        from services.runtime.kafka import producer_settings

        return (
            producer_settings(self._settings, f"sim-{self._kind}")
            | {
                "batch_size": 128 * 1024,
                "max_block_ms": 2_000,
                "bootstrap_timeout_ms": 3_000,
                # A record waits as long as it takes: giving up would lose it.
                "delivery_timeout_ms": 24 * 3_600_000,
                # The broker, not this client, says what is too large.
                "max_request_size": 16 * 1024 * 1024,
                "allow_auto_create_topics": False,
                "metrics_enabled": False,
            }
            | more
        )

    def main(self) -> Client:
        return self._connect()

    def large(self) -> Client:
        return self._connect(enable_idempotence=False)

    def _connect(self, **more: Any) -> Client:
        """Raises StoppedError when asked to stop before a broker answers."""
        import kafka
        from kafka.errors import KafkaError

        library: Any = kafka  # it carries no types
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        said = False
        while not self._stop.is_set():
            try:
                client: Client = library.KafkaProducer(**self._settings_of(**more))
                return client
            except (KafkaError, OSError):
                if not said:
                    said = True
                    _log.warning(
                        "no Kafka broker answers at %s; trying on (IOC_BOOTSTRAP)",
                        self._settings.bootstrap,
                    )
                self._stop.wait(1.0)
        raise StoppedError


class StoppedError(Exception):
    """Asked to stop while waiting for a broker."""
