"""Records into Kafka as fast as one process can, each acknowledged, none twice in the log.

confluent-kafka with an idempotent producer: when the cluster is gone it keeps what is on the way,
waits, and goes on where it was. The partition is always named: the key decides it, not the client.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from services.replay.sequence import HeaderList, Payload

#: What may be on the way at once.
MAX_WAITING = 200_000
_QUIET_SECONDS = 5.0


class SendError(Exception):
    """Some records cannot be delivered; the message says why."""


class Sender:
    """One producer. ``patience`` (seconds): how long a cluster may be gone.

    ``tell`` hears when the cluster is gone and when it is back.
    """

    def __init__(
        self,
        bootstrap: str,
        name: Callable[[str], str],
        *,
        patience: float = 600.0,
        tell: Callable[[str], None] = lambda _: None,
        **settings: Any,
    ) -> None:
        self.sent = 0
        self._bootstrap = bootstrap
        self._name = name
        self._names: dict[str, str] = {}
        self._patience = patience
        self._tell = tell
        self._failed: list[str] = []
        self._down: str | None = None
        self._moved = time.monotonic()
        self._left = 0
        self._told = False
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "client.id": "ioc-replay",
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",
                "linger.ms": 50,
                # Large batches cost the broker a third of what small ones do.
                "batch.size": 1_000_000,
                "batch.num.messages": 10_000,
                "message.max.bytes": 1024 * 1024,
                "queue.buffering.max.messages": MAX_WAITING,
                "queue.buffering.max.kbytes": 256 * 1024,
                # A record waits for its cluster as long as the caller does.
                "message.timeout.ms": 0,
                "reconnect.backoff.max.ms": 2_000,
                # Reports only of what failed: two of three calls into Python less.
                "delivery.report.only.error": True,
                "on_delivery": self._report,
                "error_cb": self._error,
                "log_level": 0,
                **settings,
            }
        )
        self.produce = self._producer.produce

    def _report(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._failed.append(f"{message.topic()}/{message.partition()}: {error.str()}")

    def _error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failed.append(error.str())
        self._down = error.str()

    def full_name(self, topic: str) -> str:
        """The topic as it is called on the target."""
        found = self._names.get(topic)
        if found is None:
            found = self._names[topic] = self._name(topic)
        return found

    def send(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: HeaderList,
    ) -> None:
        """One record; waits while too much is on the way. Raises SendError."""
        name = self._names.get(topic) or self.full_name(topic)
        try:
            self.produce(name, value, key, partition, headers=headers)
        except BufferError:
            self.wait_for_room()
            self.send(topic, partition, key, value, headers)
            return
        except KafkaException as error:
            raise SendError(f"{name}/{partition} cannot take a record: {error}") from error
        self.sent += 1

    def send_all(self, topic: str, partition: int, rows: Iterable[Payload]) -> None:
        """Many records of one partition, as :meth:`send`."""
        name, produce = self.full_name(topic), self.produce
        count = 0
        for key, value, headers in rows:
            try:
                produce(name, value, key, partition, headers=headers)
                count += 1
            except (BufferError, KafkaException):
                self.send(topic, partition, key, value, headers)
        self.sent += count

    def wait_for_room(self) -> None:
        """Let the producer work until something has gone out. Raises SendError."""
        before = len(self._producer)
        while True:
            self.poll(0.02)
            if len(self._producer) < before:
                return

    def poll(self, seconds: float = 0.0) -> None:
        """Serve the client, and look how it is doing. Raises SendError."""
        self._producer.poll(seconds)
        self._look()

    def _look(self) -> None:
        if self._failed:
            raise SendError(
                f"{len(self._failed)} records could not be delivered, the first: {self._failed[0]}"
            )
        left, now = len(self._producer), time.monotonic()
        if left < self._left or not left:
            if self._told:
                self._tell(f"{self._bootstrap} answers again")
            self._moved, self._told, self._down = now, False, None
        self._left = left
        quiet = now - self._moved
        if self._down is not None and quiet > _QUIET_SECONDS and not self._told:
            self._told = True
            self._tell(f"{self._bootstrap} is gone ({self._down}): waiting for it to come back")
        if quiet > self._patience:
            raise SendError(
                f"{self._bootstrap} has taken nothing for {self._patience:.0f} s; {left:,} records "
                "are on the way"
            )

    def flush(self) -> None:
        """Until everything is acknowledged. Raises SendError."""
        while self._producer.flush(0.25):
            self._look()
        self._look()

    def abandon(self) -> None:
        """Forget what is on the way."""
        self._producer.purge(in_queue=True, in_flight=True, blocking=False)
        self._producer.flush(1.0)
