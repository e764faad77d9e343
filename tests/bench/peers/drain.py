"""The ceiling: aiokafka's getmany of the same bytes, with nothing done, or only with decoding.

The first argument says which: ``raw`` or ``decode``. Decoding is the least that a Python consumer
does with a record: orjson into a dict.
"""

import asyncio
import gc
import sys
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer

from tests.bench.peers.law import Report

Absorb = Callable[[str, int, Sequence[Any]], None]


def decode(_: str, __: int, records: Sequence[Any]) -> None:
    """What is done with a batch in the second form."""
    for record in records:
        orjson.loads(record.value)


async def drain(report: Report, absorb: Absorb | None) -> None:
    """Read every event once, in a group as a worker does."""
    make: Any = AIOKafkaConsumer  # untyped
    consumer = make(
        *report.topics,
        bootstrap_servers=report.bootstrap,
        group_id=report.name,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        while not consumer.assignment():  # noqa: ASYNC110 (there is no event for it)
            await asyncio.sleep(0.01)
        # Before the first batch: unpacking it is part of the work.
        report.start()
        while report.absorbed < report.events:
            batches = await consumer.getmany(timeout_ms=1000)
            for tp, records in batches.items():
                if absorb is not None:
                    absorb(tp.topic, tp.partition, records)
                report.absorbed += len(records)
        report.done()
    finally:
        await consumer.stop()


if __name__ == "__main__":
    gc.set_threshold(50_000, 20, 100)  # as the worker does
    asked = Report()
    asyncio.run(drain(asked, decode if sys.argv[1] == "decode" else None))
