"""Plays a rehearsal into a system, step by step, and keeps what the view shows at each instant.

A step is produced, acknowledged, applied and shown before the next one begins, so that a page is
exactly what is known at that instant of event time, however fast the machine is.
"""

import time
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from confluent_kafka import KafkaException, Producer

from schemas.codec import partition_of
from services.core.merge import QueryError
from services.rehearse.events import Step
from services.rehearse.scenario import Range, Rehearsal
from services.rehearse.tape import Tape, Wanted, parse_page, question
from services.rehearse.target import Target
from services.simulation.stream import Arrival

#: A view that takes nothing more for so long (seconds) will not come.
PATIENCE_S = 120.0
_POLL_S = 0.015
_CONTENT_TYPE = ("content-type", b"application/cloudevents+json")
Ends = dict[tuple[str, int], int]
Headers = list[tuple[str, str | bytes | None]]
#: Called with the instant reached and the records sent so far.
Report = Callable[[int, int], None]


class ConductError(Exception):
    """The rehearsal could not be played to its end; the message says why."""


class Conductor:
    """Sends what arrives, waits until it is shown, and looks."""

    def __init__(self, target: Target, wanted: Wanted) -> None:
        self._target, self._wanted = target, wanted
        self.sent = 0
        self._ends: Ends = {}
        self._failed: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": target.bootstrap,
                "client.id": "ioc-rehearse",
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",
                "linger.ms": 2,
                "message.max.bytes": 1024 * 1024,
                "message.timeout.ms": int(PATIENCE_S * 1000),
                "queue.buffering.max.messages": 200_000,
                "delivery.report.only.error": True,
                "on_delivery": self._report,
                "log_level": 0,
            }
        )

    def _report(self, error: Any, message: Any) -> None:
        if error is not None:
            self._failed.append(f"{message.topic()}: {error.str()}")

    def send(self, batch: Sequence[Arrival]) -> None:
        """Send records and wait until all are acknowledged. Raises ConductError."""
        produce, partitions = self._producer.produce, self._target.partitions
        names: dict[str, str] = {}
        for arrival in batch:
            topic = arrival.topic
            name = names.get(topic) or names.setdefault(topic, self._target.name(topic))
            partition = partition_of(arrival.key, partitions)
            headers: Headers = [_CONTENT_TYPE, ("ioc-arrival", str(arrival.at).encode())]
            while True:
                try:
                    produce(name, arrival.value, arrival.key, partition, headers=headers)
                except BufferError:
                    self._producer.poll(0.05)
                    continue
                except KafkaException as error:
                    raise ConductError(f"{name} cannot take a record: {error}") from error
                break
            key = (topic, partition)
            self._ends[key] = self._ends.get(key, 0) + 1
        self.sent += len(batch)
        self._producer.flush(PATIENCE_S)
        if self._failed or len(self._producer):
            why = self._failed[0] if self._failed else "Kafka does not acknowledge"
            raise ConductError(f"records could not be delivered: {why}")

    def wait_until_shown(self) -> None:
        """Until the view shows everything sent. Raises ConductError."""
        best, moved = -1, time.monotonic()
        while True:
            applied = self._applied()
            if applied is not None and all(applied.get(k, 0) >= n for k, n in self._ends.items()):
                return
            total = sum(applied.values()) if applied else 0
            if total > best:
                best, moved = total, time.monotonic()
            if time.monotonic() - moved > PATIENCE_S:
                raise ConductError(
                    f"the view stands at {best:,} of {self.sent:,} records for {PATIENCE_S:.0f} s"
                )
            time.sleep(_POLL_S)

    def _applied(self) -> Ends | None:
        try:
            progress = self._target.view.get("/api/v1/progress")
        except (OSError, QueryError):
            return None
        return {(p["topic"], p["partition"]): p["applied"] for p in progress["partitions"]}

    def look(self) -> dict[str, float]:
        """The page of metrics. Raises ConductError."""
        try:
            url = f"{self._target.view.url}/metrics"
            with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 (http, as told)
                return parse_page(answer.read().decode(), self._wanted)
        except OSError as error:
            raise ConductError(f"the view does not answer: {error}") from error

    def ask(self, asked: Range) -> float | None:
        """The value of a KPI at its instant. Raises ConductError."""
        shown = asked.shown
        try:
            _, rows = self._target.view.query(
                shown.kpi, now=asked.at, window=shown.window, territory=shown.territory,
                where=dict(shown.where),
            )  # fmt: skip
        except QueryError as error:
            raise ConductError(f"the view refuses {shown.title}: {error}") from error
        except OSError as error:
            raise ConductError(f"the view does not answer: {error}") from error
        return rows[0].value

    def close(self) -> None:
        """Forget what is on the way."""
        self._producer.purge(in_queue=True, in_flight=True, blocking=False)
        self._producer.flush(1.0)


def conduct(
    rehearsal: Rehearsal,
    steps: Iterable[Step],
    instants: Sequence[int],
    conductor: Conductor,
    *,
    speed: float | None,
    report: Report,
) -> Tape:
    """Play all steps and look at the instants; what the view showed.

    ``speed`` is the most event seconds a second from the start on (None: no limit). Raises
    ConductError.
    """
    tape = Tape()
    began = time.monotonic()
    clock: float | None = None
    looks = frozenset(instants)
    for at, batch in steps:
        if speed is not None and at > rehearsal.watched:
            clock = time.monotonic() if clock is None else clock
            due = clock + (at - rehearsal.watched) / 1000 / speed
            time.sleep(max(0.0, due - time.monotonic()))
        conductor.send(batch)
        if at not in looks:
            continue
        conductor.wait_until_shown()
        tape.add(at, conductor.look())
        for asked in rehearsal.ranges:
            if asked.at == at:
                tape.answers[question(asked)] = conductor.ask(asked)
        report(at, conductor.sent)
        if at == rehearsal.watched:
            tape.about["lead_seconds"] = round(time.monotonic() - began, 1)
    seconds = time.monotonic() - began
    watched = seconds - tape.about.get("lead_seconds", 0.0)
    tape.about |= {
        "scenario": rehearsal.name,
        "records": conductor.sent,
        "seconds": round(seconds, 1),
        "speed": round((instants[-1] - rehearsal.watched) / 1000 / max(watched, 0.001)),
    }
    return tape
