"""Contract tests on the private methods of faust-streaming that the transport overrides.

The real classes run in one process: the drain loop, the conductor, a stream, the acks and the
commit; only fetching, seeking and committing are stubbed. When a new version of faust-streaming
changes one of the methods, these fail, not a worker.
"""

import asyncio
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, cast

import faust
import pytest
from aiokafka.errors import IllegalStateError, KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.structs import ConsumerRecord
from faust.transport.consumer import Consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from services.kpi import transport
from services.kpi.transport import (
    BatchConsumer,
    BatchMessage,
    BatchProducer,
    BatchSchema,
    BatchTransport,
    rounds,
)

TOPIC = "events"
HERE = TP(TOPIC, 0)


def record(offset: int, partition: int = 0) -> ConsumerRecord[Any, Any]:
    return ConsumerRecord(TOPIC, partition, offset, 1_000, 1, b"k", b"v", None, 1, 1, ())


class Owner:
    """Says where to read from when it is let, and remembers failures."""

    def __init__(self) -> None:
        self.next: Mapping[TP, int] = {}
        self.restored = asyncio.Event()
        self.failures: list[BaseException] = []
        self.error: BaseException | None = None

    async def positions(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        await self.restored.wait()
        if self.error is not None:
            raise self.error
        return self.next

    async def fail(self, reason: BaseException) -> None:
        self.failures.append(reason)


class Driver:
    """A Faust app with our transport whose broker is a list of fetches."""

    def __init__(self, *, compiled: bool = True) -> None:
        self.owner = Owner()
        self.app = faust.App(
            "contract",
            broker="kafka://127.0.0.1:1",
            autodiscover=False,
            cython_optimizations=compiled,
            web_enabled=False,
            topic_allow_declare=False,
            table_standby_replicas=0,
        )
        made = BatchTransport(self.app.conf.broker_consumer, self.app)
        made.owner = self.owner
        self.app.transport = made
        self.topic = self.app.topic(TOPIC, schema=BatchSchema(), maxsize=8)
        self.stream = self.topic.stream()
        self.fetches: list[Mapping[TP, Sequence[ConsumerRecord[Any, Any]]]] = []
        self.commits: list[Mapping[TP, int]] = []
        self.seeks: list[Mapping[TP, int]] = []
        self.seen: list[BatchMessage] = []
        self.finished = asyncio.Event()
        consumer = self.app.consumer
        assert isinstance(consumer, BatchConsumer)
        self.consumer: BatchConsumer = consumer
        # The thread that would talk to a broker never starts; its loop is open from the beginning.
        consumer._thread.thread_loop.close()
        self._stub()

    def _stub(self) -> None:
        async def fetch(active_partitions: object, timeout: float) -> object:  # noqa: ASYNC109
            if self.fetches:
                return self.fetches.pop(0)
            self.finished.set()
            await asyncio.sleep(0.001)
            return {}

        async def commit(offsets: Mapping[TP, int]) -> bool:
            self.commits.append(dict(offsets))
            return True

        async def seek_wait(positions: Mapping[TP, int]) -> None:
            self.seeks.append(dict(positions))

        stubs: dict[str, Callable[..., object]] = {
            "_getmany": fetch,
            "_commit": commit,
            "seek_wait": seek_wait,
            "assignment": lambda: {HERE},
            "highwater": lambda tp: 1_000,
        }
        for name, stub in stubs.items():
            assert callable(getattr(self.consumer, name))
            setattr(self.consumer, name, stub)

    async def assign(self) -> None:
        app = self.app
        app.consumer_generation_id = 1
        topics: Any = app.topics
        topics._acking_topics.add(TOPIC)
        topics._tp_index[HERE].add(self.stream.channel)
        topics._update_callback_map()
        self.consumer._active_partitions = {HERE}
        app.flow_control.resume()
        self.consumer.resume_flow()
        await self.consumer.perform_seek()

    async def run(self, body: Callable[[BatchMessage], Any] | None = None) -> None:
        """Let everything that can be fetched go through; ``body`` is awaited for each batch."""

        async def agent() -> None:
            async for batch in self.stream:
                self.seen.append(batch)
                if body is not None:
                    await body(batch)

        class Fetcher:
            _stopped = asyncio.Event()

        self.finished.clear()
        reading = asyncio.ensure_future(agent())
        drain = asyncio.ensure_future(self.consumer._drain_messages(Fetcher()))  # type: ignore[arg-type]  # a stub
        await self.finished.wait()
        # Enough turns of the loop for every batch that is queued, and for slow bodies.
        for _ in range(2000):
            await asyncio.sleep(0)
        drain.cancel()
        reading.cancel()
        await asyncio.gather(drain, reading, return_exceptions=True)

    @property
    def offsets(self) -> list[int]:
        return [r.offset for batch in self.seen for r in batch.records]


def ready(*, compiled: bool = True) -> Driver:
    made = Driver(compiled=compiled)
    made.owner.next = {HERE: 0}
    made.owner.restored.set()
    return made


def signature(method: object) -> list[str]:
    return list(inspect.signature(method).parameters)  # type: ignore[arg-type]  # a method


def test_faust_is_the_version_that_was_read() -> None:
    assert version("faust-streaming") == "0.15.3"


@pytest.mark.parametrize(
    "name",
    [
        "perform_seek",
        "getmany",
        "_new_offset",
        "on_partitions_revoked",
        "on_buffer_full",
        "on_stop",
    ],
)
def test_what_is_overridden_exists_and_takes_the_same_arguments(name: str) -> None:
    assert signature(getattr(BatchConsumer, name)) == signature(getattr(driver.Consumer, name))


async def test_what_is_used_without_being_public_is_still_there() -> None:
    assert signature(Consumer._wait_next_records) == ["self", "timeout"]
    assert signature(driver.Producer._settings_extra) == ["self"]
    assert signature(driver.Producer._ensure_producer) == ["self"]
    assert signature(driver.Producer.flush) == ["self"]
    assert signature(driver.Consumer.seek_wait) == ["self", "partitions"]
    assert {"_committed_offset", "_acked", "_acked_index", "_read_offset"} <= set(
        vars(Driver().consumer)
    )


def test_faust_seeks_before_it_lets_records_flow() -> None:
    source = inspect.getsource(faust.tables.recovery.Recovery._resume_streams)
    assert source.index("perform_seek") < source.index("consumer.resume_flow")


def test_the_batches_of_partitions_take_turns() -> None:
    cut = list(rounds({"a": [1, 2, 3, 4, 5], "b": [6], "c": [7, 8, 9]}, 2))
    assert cut == [("a", [1, 2]), ("b", [6]), ("c", [7, 8]), ("a", [3, 4]), ("c", [9]), ("a", [5])]
    assert list(rounds({})) == []


@pytest.mark.parametrize("compiled", [True, False])
async def test_one_message_stands_for_a_batch_and_its_ack_for_all_of_it(compiled: bool) -> None:
    made = ready(compiled=compiled)
    made.fetches = [{HERE: [record(o) for o in range(n * 100, n * 100 + 100)]} for n in range(30)]
    asked: list[int] = []

    async def body(batch: BatchMessage) -> None:
        if len(made.seen) in (7, 15, 30):
            await made.consumer.commit()
            asked.append(made.commits[-1][HERE])

    await made.assign()
    await made.run(body)
    await made.consumer.commit()
    assert len(made.seen) == 30
    assert made.offsets == list(range(3000))
    assert asked == [600, 1400, 2900]
    assert made.commits[-1] == {HERE: 3000}
    assert not made.consumer._acked[HERE]
    assert not made.consumer._flight[HERE]


async def test_a_large_fetch_is_cut_into_batches_of_bounded_size() -> None:
    made = ready()
    made.fetches = [{HERE: [record(o) for o in range(2 * transport.BATCH_RECORDS + 1)]}]
    await made.assign()
    await made.run()
    assert [len(b.records) for b in made.seen] == [transport.BATCH_RECORDS] * 2 + [1]
    assert made.offsets == list(range(2 * transport.BATCH_RECORDS + 1))


async def test_the_commit_waits_at_the_first_batch_that_is_not_acked() -> None:
    consumer = ready().consumer
    consumer._flight[HERE].extend([99, 199, 299])
    consumer._acked[HERE] = [199, 299]
    consumer._acked_index[HERE] = {199, 299}
    assert consumer._new_offset(HERE) is None
    consumer._acked[HERE].append(99)
    consumer._acked_index[HERE].add(99)
    assert consumer._new_offset(HERE) == 300
    assert consumer._acked[HERE] == []


async def test_nothing_is_committed_after_a_failure() -> None:
    consumer = ready().consumer
    consumer._flight[HERE].append(99)
    consumer._acked_index[HERE] = {99}
    consumer.poisoned = True
    assert consumer._new_offset(HERE) is None


async def test_no_batch_is_handed_over_before_the_owner_has_said_where_to_read() -> None:
    made = Driver()
    made.owner.next = {HERE: 500}
    made.fetches = [{HERE: [record(500)]}]
    await made.assign()
    drain = asyncio.ensure_future(made.run())
    for _ in range(50):
        await asyncio.sleep(0)
    assert made.fetches
    made.owner.restored.set()
    await drain
    assert made.seeks == [{HERE: 500}]
    assert made.offsets == [500]


async def test_a_batch_below_what_was_read_is_handed_over_all_the_same() -> None:
    made = ready()
    made.fetches = [
        {HERE: [record(o) for o in range(100, 200)]},
        {HERE: [record(o) for o in range(50, 100)]},
    ]
    await made.assign()
    await made.run()
    assert [b.first_offset for b in made.seen] == [100, 50]


async def test_a_full_queue_does_not_stop_the_fetching_of_a_partition() -> None:
    made = ready()
    made.fetches = [{HERE: [record(n)]} for n in range(40)]

    async def body(batch: BatchMessage) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        assert made.consumer._active_partitions == {HERE}

    await made.assign()
    await made.run(body)
    assert made.offsets == list(range(40))


async def test_a_partition_held_back_still_gives_what_was_fetched() -> None:
    made = ready()
    made.fetches = [{HERE: [record(o) for o in range(2 * transport.BATCH_RECORDS)]}]

    async def body(batch: BatchMessage) -> None:
        made.consumer.pause_partitions({HERE})

    await made.assign()
    made.consumer._active_partitions = {HERE, TP(TOPIC, 1)}
    await made.run(body)
    assert len(made.seen) == 2


async def test_an_older_generation_hands_over_nothing_more() -> None:
    made = ready()
    made.fetches = [{HERE: [record(o) for o in range(3 * transport.BATCH_RECORDS)]}]

    async def body(batch: BatchMessage) -> None:
        made.app.consumer_generation_id = 2

    await made.assign()
    await made.run(body)
    assert len(made.seen) == 1


async def test_an_ack_below_the_committed_offset_counts_after_a_seek() -> None:
    made = ready()
    made.consumer._committed_offset[HERE] = 10_000
    made.fetches = [{HERE: [record(o) for o in range(100)]}]
    await made.assign()
    await made.run()
    await made.consumer.commit()
    assert made.commits == [{HERE: 100}]


async def test_a_revoked_partition_stops_the_restore_and_forgets_its_batches() -> None:
    made = Driver()
    revoked: list[object] = []

    async def on_revoked(tps: object) -> None:
        revoked.append(tps)

    made.consumer._on_partitions_revoked = on_revoked
    await made.assign()
    made.consumer._flight[HERE].append(5)
    starting = made.consumer._starting
    assert starting is not None
    await asyncio.sleep(0)
    await made.consumer.on_partitions_revoked({HERE})
    assert starting.cancelled()
    assert not made.consumer._flight
    assert revoked == [{HERE}]
    assert made.seeks == []


async def test_a_failed_restore_is_told_to_the_owner() -> None:
    made = ready()
    made.owner.error = ValueError("no ring")
    await made.assign()
    assert made.consumer._starting is not None
    await made.consumer._starting
    assert made.owner.failures == [made.owner.error]


@pytest.mark.parametrize("rebalancing", [True, False])
async def test_a_seek_on_a_partition_just_lost_is_no_failure(rebalancing: bool) -> None:
    made = ready()
    made.owner.error = IllegalStateError("not assigned")
    made.app.rebalancing = rebalancing
    await made.assign()
    assert made.consumer._starting is not None
    await made.consumer._starting
    assert bool(made.owner.failures) is not rebalancing


async def test_reading_again_seeks_and_forgets_the_batches_under_way() -> None:
    made = ready()
    made.consumer._flight[HERE].extend([5, 9])
    await made.consumer.rewind(HERE, 3)
    assert made.seeks == [{HERE: 3}]
    assert not made.consumer._flight[HERE]


class Client:
    """An aiokafka producer that keeps what it is given; ``busy`` times its buffer is full."""

    def __init__(self, busy: int = 0) -> None:
        self.busy = busy
        self.records: list[tuple[str, int, bytes | None, bytes | None]] = []
        self.packs: list[int] = []

    def _future(self) -> asyncio.Future[None]:
        if self.busy:
            self.busy -= 1
            raise KafkaTimeoutError
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    async def send(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int
    ) -> asyncio.Future[None]:
        future = self._future()
        self.records.append((topic, partition, key, value))
        return future

    async def send_batch(self, pack: Any, topic: str, partition: int) -> asyncio.Future[None]:
        future = self._future()
        self.packs.append(pack.record_count())
        return future


def producer(client: Client) -> BatchProducer:
    made = Driver().app.producer
    assert isinstance(made, BatchProducer)
    made._producer = cast("Any", client)
    return made


async def test_the_producer_is_idempotent_and_waits_for_all_replicas() -> None:
    settings = producer(Client())._settings_extra()
    assert settings == {"acks": "all", "enable_idempotence": True}


async def test_a_record_is_sent_once_when_the_buffer_was_full_at_first() -> None:
    client = Client(busy=2)
    await producer(client).send_all("ring", 3, [(b"k", b"v"), (b"old", None)])
    assert client.records == [("ring", 3, b"k", b"v"), ("ring", 3, b"old", None)]


async def test_letters_are_packed_and_a_large_one_goes_alone() -> None:
    client = Client(busy=1)
    big = b"x" * (transport.PACK_BYTES + 1)
    letters: list[transport.Letter] = [
        (None, None, [("ioc-reason", b"not_json")]),
        (b"k", b"v", ()),
        (b"k", big, ()),
        (b"k", b"v", ()),
    ]
    packs = await producer(client).send_letters("dead", 0, letters)
    assert client.packs == [2, 1, 1]
    assert len(packs) == 3


async def test_a_very_large_letter_is_compressed_and_one_that_never_fits_is_not_sent() -> None:
    client = Client()
    letters: list[transport.Letter] = [
        (b"k", b"v", ()),
        (b"k", b"x" * 10_000_000, ()),
        (b"k", os.urandom(3_000_000), ()),
        (b"k", b"v", ()),
    ]
    packs = await producer(client).send_letters("dead", 0, letters)
    assert client.packs == [1, 1, 1]
    assert [pack.exception() is None for pack in packs] == [True, True, False, True]
    assert isinstance(packs[2].exception(), MessageSizeTooLargeError)
