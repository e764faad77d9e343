"""The ends of the source topics, looked up on a connection of its own.

A broker answers one connection's requests in order, so a look-up behind the reader's long poll
would wait half a second; and a reader that is stuck must not hide how far behind it is.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from services.view.progress import Bounds
from services.view.progress import TopicPartition as SourcePartition

#: Retention moves the start of a log; that is looked up this seldom.
START_INTERVAL_S = 30.0
REQUEST_TIMEOUT_MS = 2_000
_Client: Any = AIOKafkaClient  # aiokafka is untyped
_Consumer: Any = AIOKafkaConsumer


class TopicsMissingError(OSError):
    """Topics are not on the broker, or not with the partitions they should have."""


async def check_topics(bootstrap: str, names: Iterable[str], partitions: int) -> None:
    """Raises TopicsMissingError naming all that is wrong, OSError when no broker answers.

    Asks for the metadata of all topics: asking for one by name could create it.
    """
    client = _Client(bootstrap_servers=bootstrap, request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await client.bootstrap()
        cluster = await client.fetch_all_metadata()
    except KafkaError as error:
        raise OSError(f"Kafka at {bootstrap} does not answer") from error
    finally:
        await client.close()
    wrong = []
    for name in sorted(names):
        found = cluster.partitions_for_topic(name)
        if not found:
            wrong.append(f"{name} is missing")
        elif len(found) != partitions:
            wrong.append(f"{name} has {len(found)} partitions, expected {partitions}")
    if wrong:
        raise TopicsMissingError(f"run `ioc topics` first: {'; '.join(wrong)}")


class KafkaLogEnds:
    """Bounds of the source topics' partitions; connects when first asked, and again after a loss.

    ``topics`` maps the contract's names to the names on the broker.
    """

    def __init__(self, bootstrap: str, topics: Mapping[str, str], partitions: int) -> None:
        self._bootstrap, self._topics, self._count = bootstrap, dict(topics), partitions
        self._partitions: dict[TopicPartition, SourcePartition] = {
            TopicPartition(full, p): (name, p)
            for name, full in topics.items()
            for p in range(partitions)
        }
        self._consumer: Any = None
        self._starts: dict[TopicPartition, int] = {}
        self._starts_at = 0.0

    async def bounds(self) -> dict[SourcePartition, Bounds]:
        """One request, now and then two. Raises OSError when the broker or a topic is missing."""
        try:
            if self._consumer is None:
                await self._connect()
            consumer = self._consumer
            if consumer is None:
                raise OSError("closed")
            if time.monotonic() - self._starts_at > START_INTERVAL_S:
                self._starts = await consumer.beginning_offsets(list(self._partitions))
                self._starts_at = time.monotonic()
            ends = await consumer.end_offsets(list(self._partitions))
        except KafkaError as error:
            await self.close()
            raise OSError(f"Kafka at {self._bootstrap} does not answer") from error
        except asyncio.CancelledError:
            await self.close()
            raise
        return {
            name: Bounds(min(self._starts.get(tp, 0), ends[tp]), ends[tp])
            for tp, name in self._partitions.items()
        }

    async def _connect(self) -> None:
        await check_topics(self._bootstrap, self._topics.values(), self._count)
        consumer = _Consumer(
            bootstrap_servers=self._bootstrap,
            enable_auto_commit=False,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        self._consumer, self._starts_at = consumer, float("-inf")

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()
