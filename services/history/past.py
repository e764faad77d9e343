"""The past as events: the streams of an interval sent at full speed, whole batches at a time.

The live producers send one record after another with kafka-python, which is plenty for life and
slow for a week at once; here aiokafka's own batches are filled directly.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.codec import partition_of
from services.core.entity import HISTORY_SUFFIX
from services.runtime.producer import CONTENT_TYPE
from services.runtime.reference import load_territories
from services.runtime.settings import Settings
from services.simulation.stream import BEATS_KEPT_MS, Arrival, Kind
from services.simulation.world import world

#: Under the topics' 1 MiB, with room for the batch's own header.
_BATCH_BYTES = 512 * 1024
#: Batches on their way per process.
_IN_FLIGHT = 12
_REPORT_EVERY = 2_000

#: Called with the simulated instant reached and the records sent so far.
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Past:
    """What is produced: an interval (ms) of the world of a seed."""

    start: int
    end: int
    seed: int
    played: tuple[tuple[str, int], ...]
    rates: Mapping[str, float]

    def arrivals(self, kind: Kind) -> Iterator[Arrival]:
        """The state of everything open at the start, then the stream up to the end."""
        simulation = world(
            load_territories(),
            seed=self.seed,
            faults=self.rates,
            played=self.played,
        )
        yield from simulation.opening(kind, self.start)
        yield from simulation.stream(
            kind, self.start, self.end, beats_from=max(self.start, self.end - BEATS_KEPT_MS)
        )


async def send(past: Past, kind: Kind, settings: Settings, report: Report) -> int:
    """Send one kind's past; the number of records, all acknowledged.

    Raises aiokafka's errors when the broker refuses or is gone for longer than its patience.
    """
    import aiokafka

    library: Any = aiokafka  # it carries no types
    producer = library.AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap,
        client_id=settings.named(f"history-{kind}"),
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=5,
        max_batch_size=_BATCH_BYTES,
        max_request_size=4 * 1024 * 1024,
        request_timeout_ms=60_000,
    )
    await producer.start()
    try:
        return await _send_all(past, kind, settings, report, producer)
    finally:
        await producer.stop()


async def _send_all(
    past: Past, kind: Kind, settings: Settings, report: Report, producer: Any
) -> int:
    batches: dict[tuple[str, int], Any] = {}
    on_the_way: set[asyncio.Future[Any]] = set()

    async def ship(where: tuple[str, int]) -> None:
        batch = batches.pop(where)
        batch.close()
        on_the_way.add(await producer.send_batch(batch, where[0], partition=where[1]))
        if len(on_the_way) >= _IN_FLIGHT:
            done, _ = await asyncio.wait(on_the_way, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()
            on_the_way.difference_update(done)

    count = 0
    topic = ""
    live = f'"source":"/ioc/sim/{kind}"'.encode()
    # Sent today about last week: the state does not count what such a source says as late.
    told = f'"source":"/ioc/sim/{kind}{HISTORY_SUFFIX}"'.encode()
    for arrival in past.arrivals(kind):
        topic = topic or settings.named(arrival.topic)
        where = (topic, partition_of(arrival.key, settings.partitions))
        headers = [CONTENT_TYPE, ("ioc-arrival", str(arrival.at).encode())]
        value = arrival.value and arrival.value.replace(live, told, 1)
        while True:
            batch = batches.get(where)
            if batch is None:
                batch = batches[where] = producer.create_batch()
            if (
                batch.append(key=arrival.key, value=value, timestamp=None, headers=headers)
                is not None
            ):
                break
            await ship(where)
        count += 1
        if count % _REPORT_EVERY == 0:
            report(arrival.at, count)
            await asyncio.sleep(0)
    for where in list(batches):
        await ship(where)
    for future in await asyncio.gather(*on_the_way, return_exceptions=True):
        if isinstance(future, BaseException):
            raise future
    report(past.end, count)
    return count
