"""A simulated source at the edge: takes records from a generator when they are due, sends them to
Kafka, and knows after a restart where it stopped.

Nothing is lost: a record counts as sent only when the broker has acknowledged it, and the place to
go on from is the oldest one that it has not. The same records may be sent twice then, with the same
bytes, which no number notices (contract section 4, One law). While the broker is away records wait,
at most ``BUFFER_RECORDS`` of them; later ones wait in the generator, which costs nothing.
"""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from services.runtime.settings import Settings

_log = logging.getLogger("producer")

#: Records that may wait for their acknowledgement.
BUFFER_RECORDS = 20_000
CONTENT_TYPE = ("content-type", b"application/cloudevents+json")
#: Seconds: how often the place to go on from is written, how long a wait for the broker may be
#: before the log says so, how long a stop waits for the last acknowledgements.
_SAVE_EVERY, _QUIET_LIMIT, _DRAIN = 5.0, 5.0, 10.0
_LONGEST_NAP = 0.5


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


class Bookmark:
    """The file that holds where to go on from: every record that arrives earlier was acknowledged.

    It belongs to a seed and scenario; under others it does not count.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        self.identity = identity

    def read(self) -> int | None:
        """The instant (ms) to go on from, or None when nothing was sent under this identity."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        if not isinstance(found, dict) or found.get("identity") != self.identity:
            return None
        until = found.get("until")
        return until if isinstance(until, int) else None

    def write(self, until: int) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps({"identity": self.identity, "until": until}), encoding="utf-8")
        draft.replace(self.path)


def bookmark_path(settings: Settings, kind: str) -> Path:
    """Where the bookmark of a kind lies: one per namespace."""
    return settings.data_dir / "producers" / (settings.namespace or "live") / f"{kind}.json"


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


class Pump:
    """Hands records to the Kafka client in order and keeps account of every one."""

    def __init__(self, client: Client, named: Callable[[str], str], metrics: Metrics) -> None:
        self._client = client
        self._named = named
        self._metrics = metrics
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
        try:
            pending = self._client.send(
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
        from kafka.errors import MessageSizeTooLargeError

        while self._waiting and self._waiting[0][1].is_done:
            due, pending, _ = self._waiting.popleft()
            if pending.succeeded():
                self._metrics.acked.inc()
                self.settled = due.at
            elif isinstance(pending.exception, MessageSizeTooLargeError):
                self._give_up(due)
                self.settled = due.at
            else:
                # The place to go on from stays before this record until it is through.
                self._metrics.failed(_reason(pending.exception))
                self._say_silent(f"{type(pending.exception).__name__}, sent again")
                if not self.offer(due, now):
                    self._waiting.appendleft((due, pending, now))
                    break
                self._waiting.rotate(1)
                break
        self._metrics.buffered.set(len(self._waiting))
        if self._waiting and now - self._waiting[0][2] > _QUIET_LIMIT:
            self._say_silent("the broker does not answer")
        elif self._silent and len(self._waiting) < BUFFER_RECORDS // 2:
            self._silent = False
            _log.info("the broker answers again")

    def _say_silent(self, what: str) -> None:
        if not self._silent:
            self._silent = True
            _log.warning("%s; records wait and nothing is lost (said once)", what)


def _reason(error: object) -> str:
    name = type(error).__name__
    return "timeout" if "Timeout" in name else "other"


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


def connect(settings: Settings, kind: str, stop: threading.Event) -> Client | None:
    """A kafka-python producer, as soon as a broker answers; None when asked to stop before."""
    import kafka
    from kafka.errors import KafkaError

    library: Any = kafka  # it carries no types

    from services.runtime.kafka import producer_settings

    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    said = False
    while not stop.is_set():
        try:
            client: Client = library.KafkaProducer(
                **producer_settings(settings, f"sim-{kind}")
                | {
                    "batch_size": 128 * 1024,
                    "max_block_ms": 2_000,
                    "bootstrap_timeout_ms": 3_000,
                    # A record waits as long as it takes: giving up would lose it.
                    "delivery_timeout_ms": 24 * 3_600_000,
                    # The broker, not this client, says what is too large.
                    "max_request_size": 64 * 1024 * 1024,
                    "allow_auto_create_topics": False,
                    "metrics_enabled": False,
                }
            )
            return client
        except (KafkaError, OSError):
            if not said:
                said = True
                _log.warning(
                    "no Kafka broker answers at %s; trying on (IOC_BOOTSTRAP)", settings.bootstrap
                )
            stop.wait(1.0)
    return None
