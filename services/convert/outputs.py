"""Where converted events go: a file of JSON lines, or Kafka with the recorded arrival."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from schemas.catalog import Topic
from services.convert.conversion import Revision
from services.runtime import kafka
from services.runtime.settings import Settings

CONTENT_TYPE = b"application/cloudevents+json"


class NotDeliveredError(Exception):
    """Some events did not get onto the broker; the message says how many and why."""


def write_lines(topic: Topic, revisions: Iterable[Revision], path: Path) -> int:
    """One JSON object per line, ``topic``, ``key``, ``arrival`` (ms) and ``event``. How many."""
    count = 0
    with path.open("wb") as out:
        for revision in revisions:
            line = {
                "topic": topic.name,
                "key": revision.key.decode(),
                "arrival": revision.arrival,
                "event": msgspec.Raw(revision.value),
            }
            out.write(msgspec.json.encode(line) + b"\n")
            count += 1
    return count


def push(topic: Topic, revisions: Iterable[Revision], settings: Settings) -> Iterator[int]:
    """Send every event in order; yields how many were sent, now and then and at the end.

    The header ``ioc-arrival`` carries the recorded arrival, for a system with IOC_CLOCK=event.
    Raises BrokerUnreachableError, NotDeliveredError when the topic is missing or a send failed.
    """
    import kafka as library

    name = topic.full_name(settings.namespace)
    with kafka.admin(settings.bootstrap) as admin:
        if name not in set(admin.list_topics()):
            raise NotDeliveredError(
                f"{settings.bootstrap} has no topic {name}. Start the system first (ioc up "
                f"--namespace {settings.namespace or 'NAME'}), or make its topics with ioc topics."
            )
    failures: Counter[str] = Counter()

    def failed(error: BaseException) -> None:
        failures[type(error).__name__] += 1

    connect: Any = library.KafkaProducer  # kafka-python carries no types
    producer = connect(**kafka.producer_settings(settings, "convert") | {"batch_size": 256 * 1024})
    sent = 0
    try:
        for revision in revisions:
            headers = [
                ("content-type", CONTENT_TYPE),
                ("ioc-arrival", str(revision.arrival).encode()),
            ]
            producer.send(
                name,
                key=revision.key,
                value=revision.value,
                headers=headers,
            ).add_errback(failed)
            sent += 1
            if sent % 5_000 == 0:
                yield sent
        producer.flush()
    finally:
        producer.close()
    if failures:
        reasons = ", ".join(f"{count} {reason}" for reason, count in failures.items())
        raise NotDeliveredError(f"{sum(failures.values())} of {sent} were not sent: {reasons}")
    yield sent
