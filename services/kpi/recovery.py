"""Recovery: read the ring of some partitions and rebuild the states that were written there."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from logging import getLogger
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

log = getLogger(__name__)

#: The ring of one partition: (key, value) in offset order, of each key only the last record.
Ring = list[tuple[bytes, bytes | None]]
#: Seconds without a single record before a read of the ring counts as failed.
STALL_SECONDS = 120.0


class RingUnreadable(Exception):
    """The broker stopped giving records of the ring before its end was reached."""


@asynccontextmanager
async def _reader(bootstrap: str) -> AsyncIterator[Any]:
    client: Any = AIOKafkaConsumer  # untyped
    consumer = client(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 * 1024 * 1024,
        fetch_max_bytes=64 * 1024 * 1024,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def read_rings(bootstrap: str, topic: str, partitions: Collection[int]) -> Mapping[int, Ring]:
    """Read partitions of the partial topic from their beginning to the end they have now.

    What an old owner still appends behind that end belongs to an epoch that the new owner closes
    (services.core.ring). Raises RingUnreadable when nothing comes for :data:`STALL_SECONDS`.
    """
    rings: dict[int, dict[bytes, bytes | None]] = {p: {} for p in partitions}
    tps = [TopicPartition(topic, p) for p in partitions]
    if not tps:
        return {}
    async with _reader(bootstrap) as consumer:
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        starts = await consumer.beginning_offsets(tps)
        await consumer.seek_to_beginning(*tps)
        open_tps = {tp for tp in tps if ends[tp] > starts[tp]}
        progress = monotonic()
        while open_tps:
            got = await consumer.getmany(*open_tps, timeout_ms=1000)
            for tp, records in got.items():
                ring = rings[tp.partition]
                for record in records:
                    # Like the compaction of the log: the last record of a key, in its place.
                    ring.pop(record.key, None)
                    ring[record.key] = record.value
            if got:
                progress = monotonic()
            elif monotonic() > progress + STALL_SECONDS:
                names = ", ".join(f"{tp.topic}/{tp.partition}" for tp in sorted(open_tps))
                raise RingUnreadable(f"no record of {names} for {STALL_SECONDS:.0f} s")
            for tp in list(open_tps):
                if await consumer.position(tp) >= ends[tp]:
                    open_tps.discard(tp)
            await asyncio.sleep(0)
    return {p: list(ring.items()) for p, ring in rings.items()}
