"""The view's consumer on a real Kafka: order, going back, ends with nothing in them, lost logs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from services.runtime.embedded import EmbeddedKafka
from services.runtime.kafka import admin
from services.view.ringlog import LogLostError, RingLog
from tests.e2e.workers import running_broker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

TOPIC = "partials"
COUNT = 500


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A broker with two partitions: 500 compressed records and the mark of a transaction's end in
    the first, nothing in the second."""
    folder: Path = tmp_path_factory.mktemp("ring-log")
    with running_broker(folder) as kafka:
        with admin(kafka.bootstrap) as client:
            client.create_topics(
                {TOPIC: {"num_partitions": 2, "replication_factor": 1}}, wait_for_metadata=True
            )
        producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "transactional.id": "ring-log",
                "compression.type": "snappy",
                "log_level": 2,
            }
        )
        producer.init_transactions(30)
        producer.begin_transaction()
        for number in range(COUNT):
            producer.produce(TOPIC, b"%d" % number * 200, b"k", partition=0)
        producer.commit_transaction(30)
        with_log(kafka, marked)
        yield kafka


def with_log(broker: EmbeddedKafka, scene: Callable[[RingLog], Awaitable[None]]) -> None:
    async def run() -> None:
        ring = RingLog(broker.bootstrap, TOPIC)
        try:
            async with asyncio.timeout(30):
                await scene(ring)
        finally:
            await ring.close()

    asyncio.run(run())


async def marked(ring: RingLog) -> None:
    """Wait for the mark of the transaction's end, which the broker writes in its own time."""
    while (await ring.bounds([0]))[0] != (0, COUNT + 1):  # noqa: ASYNC110 (the broker changes it)
        await asyncio.sleep(0.05)


async def take(ring: RingLog, count: int) -> list[Any]:
    """The next records of partition 0; no other partition has any."""
    found: list[Any] = []
    while len(found) < count:
        batches = await ring.some(0.1)
        assert set(batches) <= {0}
        found += batches.get(0, [])
    return found


def test_records_come_in_order_and_again_from_where_one_goes_back_to(broker: EmbeddedKafka) -> None:
    async def scene(ring: RingLog) -> None:
        assert await ring.bounds([0, 1]) == {0: (0, COUNT + 1), 1: (0, 0)}
        ring.read_from(0, 0)
        ring.read_from(1, 0)
        found = await take(ring, COUNT)
        assert [record.offset() for record in found] == list(range(COUNT))
        assert found[7].value() == b"7" * 200
        ring.read_from(0, COUNT - 3)
        assert [r.offset() for r in await take(ring, 3)] == [COUNT - 3, COUNT - 2, COUNT - 1]

    with_log(broker, scene)


def test_the_position_reaches_an_end_that_has_no_record(broker: EmbeddedKafka) -> None:
    async def scene(ring: RingLog) -> None:
        ring.read_from(0, COUNT - 1)
        await take(ring, 1)
        while ring.position(0) < COUNT + 1:
            assert not await ring.some(0.05)

    with_log(broker, scene)


def test_a_paused_partition_gives_nothing_until_it_is_resumed(broker: EmbeddedKafka) -> None:
    async def scene(ring: RingLog) -> None:
        ring.read_from(0, 0)
        ring.pause(0)
        assert not await ring.some(0.5)
        ring.resume(0)
        assert (await take(ring, COUNT))[0].offset() == 0

    with_log(broker, scene)


def test_an_offset_that_the_log_has_not_is_told_and_not_replaced(broker: EmbeddedKafka) -> None:
    async def scene(ring: RingLog) -> None:
        ring.read_from(0, COUNT * 10)
        with pytest.raises(LogLostError, match="partition 0"):
            await ring.some(20)
        ring.read_from(0, 0)
        assert (await take(ring, COUNT))[0].offset() == 0

    with_log(broker, scene)


def test_without_a_broker_the_bounds_are_an_oserror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.view.ringlog.ANSWER_S", 0.5)

    async def scene() -> None:
        ring = RingLog("127.0.0.1:1", TOPIC)
        try:
            with pytest.raises(OSError, match="broker connections are down"):
                await ring.bounds([0])
        finally:
            await ring.close()

    asyncio.run(scene())
