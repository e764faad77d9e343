"""Topics read from a real broker, from their beginnings to named offsets, as raw records.

Joins no group, commits nothing, creates nothing: a topic that is not there is an error. What is
read is handed on batch by batch, so that a log of any length takes the memory of a few batches.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from services.oracle.records import CHUNK, Place, RawRecord

#: A broker that is there answers sooner.
CONNECT_SECONDS = 10.0
#: And sends something sooner, where it has something.
SILENCE_SECONDS = 60.0
FETCH_BYTES = 1 << 20
_Consumer: Any = AIOKafkaConsumer  # aiokafka is untyped
_Client: Any = AIOKafkaClient


class BrokerError(OSError):
    """No broker answers, or it stopped answering; the message is fit for an operator."""


class TopicMissingError(KeyError):
    """A topic is not on the broker; the argument is its name there."""


@dataclass(frozen=True)
class Extent:
    """One partition's log: offsets from ``start`` to before ``end``; what lay below is gone."""

    start: int
    end: int


class LogReader:
    """Some topics of one namespace; topics are named as in the contract, without namespace."""

    def __init__(self, bootstrap: str, namespace: str, topics: Sequence[str]) -> None:
        self._bootstrap = bootstrap
        self._prefix = f"{namespace}." if namespace else ""
        self._topics = tuple(topics)
        self._consumer: Any = None
        self._assigned: list[TopicPartition] = []
        #: Known after :meth:`start`, by (topic, partition).
        self.extents: dict[Place, Extent] = {}

    async def start(self) -> None:
        """Connects. Raises BrokerError or TopicMissingError."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._connect()
        except (KafkaError, OSError) as error:
            await self.stop()
            raise BrokerError(f"Kafka at {self._bootstrap} does not answer") from error
        except BaseException:
            await self.stop()
            raise

    async def _connect(self) -> None:
        # The metadata of all topics: asking for one by name could create it.
        client = _Client(bootstrap_servers=self._bootstrap)
        try:
            await client.bootstrap()
            cluster = await client.fetch_all_metadata()
        finally:
            await client.close()
        for topic in self._topics:
            numbers = cluster.partitions_for_topic(self._prefix + topic)
            if not numbers:
                raise TopicMissingError(self._prefix + topic)
            self._assigned += [TopicPartition(self._prefix + topic, n) for n in sorted(numbers)]
        self._consumer = _Consumer(
            bootstrap_servers=self._bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        await self._consumer.start()
        self._consumer.assign(self._assigned)
        # Nothing is fetched before it is asked for.
        self._consumer.pause(*self._assigned)
        await self.look_up()

    async def look_up(self) -> None:
        """Looks the extents up again."""
        starts = await self._consumer.beginning_offsets(self._assigned)
        ends = await self._consumer.end_offsets(self._assigned)
        self.extents = {self._place(tp): Extent(starts[tp], ends[tp]) for tp in self._assigned}

    def _place(self, tp: TopicPartition) -> Place:
        return tp.topic.removeprefix(self._prefix), tp.partition

    async def stop(self) -> None:
        """Disconnects; may be called at any time."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    async def batches(
        self, until: Mapping[Place, int] | None = None, *, size: int = CHUNK, rest: float = 0.0
    ) -> AsyncIterator[list[RawRecord]]:
        """All records below the offsets in ``until`` (the ends at :meth:`start`, where None).

        Partitions that ``until`` does not name are left out. ``rest``: seconds of sleep for each
        second of work between two batches, for whoever reads beside a live system. Raises
        BrokerError when nothing comes for a minute.
        """
        stop_at: dict[TopicPartition, int] = {}
        for tp in self._assigned:
            extent = self.extents[self._place(tp)]
            end = extent.end if until is None else min(until.get(self._place(tp), 0), extent.end)
            if end > extent.start:
                stop_at[tp] = end
                self._consumer.seek(tp, extent.start)
                self._consumer.resume(tp)
        heard = began = time.monotonic()
        while stop_at:
            try:
                found = await self._consumer.getmany(*stop_at, timeout_ms=1000, max_records=size)
                records = [r for tp, batch in found.items() for r in self._raw(tp, batch, stop_at)]
                for tp in list(stop_at):
                    # Not the last record: what lies behind it may be marks of a transaction.
                    if await self._consumer.position(tp) >= stop_at[tp]:
                        del stop_at[tp]
                        self._consumer.pause(tp)
            except KafkaError as error:
                raise BrokerError(f"Kafka at {self._bootstrap}: {error}") from error
            now = time.monotonic()
            if found:
                heard = now
            elif now - heard > SILENCE_SECONDS:
                raise BrokerError(f"Kafka at {self._bootstrap} has sent nothing for a minute")
            if records:
                yield records
            if rest:
                await asyncio.sleep((time.monotonic() - began) * rest)
                began = time.monotonic()

    def _raw(
        self, tp: TopicPartition, batch: Sequence[Any], stop_at: Mapping[TopicPartition, int]
    ) -> list[RawRecord]:
        topic, partition = self._place(tp)
        end = stop_at[tp]
        return [
            RawRecord(
                topic,
                partition,
                m.offset,
                m.timestamp,
                m.key,
                m.value,
                # a value may be null
                [(str(n), bytes(v or b"")) for n, v in m.headers] if m.headers else [],
            )
            for m in batch
            if m.offset < end
        ]
