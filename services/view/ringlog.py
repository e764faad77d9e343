"""The partial topic as the view reads it: fetched and unpacked beside the event loop.

librdkafka's threads do the network, the checksums and the decompression without the interpreter's
lock. A reader on the event loop takes a turn of it for each 64 KiB that arrive, and between two
turns everybody else has one: under a thousand open streams and a scrape it fell seconds behind
while the view was far from busy (docs/performance.md).
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition

#: What waits in memory, fetched and not yet taken.
QUEUED_KBYTES = 16_384
QUEUE_BACKOFF_MS = 20
FETCH_BYTES = 4 * 1024 * 1024
ANSWER_S = 10.0
#: Records handed over at once, and the pause between two looks when there are none.
RECORDS = 256
LOOK_S = 0.02


class LogLostError(Exception):
    """A position is beyond its log: the log lost records, or was made anew."""


@contextmanager
def _told() -> Iterator[None]:
    """What the library cannot do is an OSError: a new beginning may mend it."""
    try:
        yield
    except KafkaException as error:
        raise OSError(error.args[0].str()) from error


class RingLog:
    """A consumer without a group. Not for two tasks at a time. Its methods raise OSError."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        """``topic``: its name on the broker. Nothing is asked of the broker yet."""
        self._topic = topic
        self._positions: dict[int, int] = {}
        make: Any = Consumer  # its stubs know no configuration
        self._consumer: Any = make(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "ioc-view",  # required by the library, and never joined
                "client.id": "ioc-view",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "check.crcs": True,
                # Nobody writes here in transactions; the end is the end, whoever has one open.
                "isolation.level": "read_uncommitted",
                "fetch.message.max.bytes": FETCH_BYTES,
                "queued.max.messages.kbytes": QUEUED_KBYTES,
                # A full queue is asked for again as soon as it can have been emptied, not in a
                # second, as the library would.
                "fetch.queue.backoff.ms": QUEUE_BACKOFF_MS,
                "socket.timeout.ms": int(ANSWER_S * 1000),
                # Whether the broker answers is told by those who look for the ends of the logs.
                "log_level": 0,
            }
        )

    async def bounds(self, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        """First offset and end of each partition."""

        def ask() -> dict[int, tuple[int, int]]:
            return {
                p: self._consumer.get_watermark_offsets(self._place(p), timeout=ANSWER_S)
                for p in partitions
            }

        with _told():
            return await asyncio.to_thread(ask)

    def read_from(self, partition: int, offset: int) -> None:
        """Go on at an offset; what was fetched of the partition before is thrown away."""
        with _told():
            if partition in self._positions:
                self._consumer.incremental_unassign([self._place(partition)])
            self._positions[partition] = offset
            self._consumer.incremental_assign([self._place(partition, offset)])

    def pause(self, partition: int) -> None:
        with _told():
            self._consumer.pause([self._place(partition)])

    def resume(self, partition: int) -> None:
        with _told():
            self._consumer.resume([self._place(partition)])

    def position(self, partition: int) -> int:
        """The offset after the last record taken, or the end of the log that was seen there."""
        return self._positions[partition]

    async def some(self, seconds: float) -> dict[int, list[Any]]:
        """Records that have arrived, by partition in order; waits for so long at most.

        Raises LogLostError as well.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            found = self._taken()
            if found or loop.time() >= deadline:
                return found
            await asyncio.sleep(LOOK_S)

    def _taken(self) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = {}
        with _told():
            messages = self._consumer.consume(RECORDS, 0)
        for message in messages:
            partition = message.partition()
            error = message.error()
            if error is None:
                found.setdefault(partition, []).append(message)
                self._positions[partition] = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self._positions[partition] = message.offset()
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise LogLostError(f"partition {partition}: {error.str()}")
            else:
                raise OSError(error.str())
        return found

    async def close(self) -> None:
        await asyncio.to_thread(self._consumer.close)

    def _place(self, partition: int, offset: int = OFFSET_INVALID) -> TopicPartition:
        return TopicPartition(self._topic, partition, offset)
