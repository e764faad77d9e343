"""The known holes of stock Faust 0.15.3, each shown without our guard and closed with it.

The stock half of a test runs the real classes of faust-streaming (app, recovery, consumer,
producer, table) on a broker that is a list of records; our half runs the worker of services/kpi on
the same. When a newer version closes a hole its stock half fails: the guard may then be weighed
again.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import faust
import pytest
from aiokafka.structs import ConsumerRecord
from faust.types import TP, ConsumerMessage
from prometheus_client import CollectorRegistry

from schemas import catalog
from services.core.record import SourceRecord
from services.core.state import DeadLetter, PartitionState, restore
from services.kpi import app as app_module
from services.kpi.app import Worker
from services.kpi.metrics import Metrics
from services.kpi.partition import OwnedPartition
from services.kpi.recovery import Ring
from services.kpi.rhythm import Rhythm
from services.kpi.transport import BatchMessage
from services.runtime.reference import load_territories
from services.runtime.settings import Settings
from tests.chaos.traffic import newcomers
from tests.unit.kpi.fakes import FakeOutbox, FakeState

TOPIC = catalog.ADMIN_CASE.name
HERE = TP(TOPIC, 0)
#: What a call into Faust's consumer thread takes to come back, in seconds.
HOP = 0.02


class Log:
    """A broker with one partition: ``fetch`` reads on from ``position``, a few records a time."""

    def __init__(self, end: int, step: int = 3) -> None:
        self.end, self.step = end, step
        self.position = 0
        self.committed = 0
        self.commits: list[dict[TP, int]] = []

    async def fetch(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109
        await asyncio.sleep(0.001)
        if HERE not in active_partitions or self.position >= self.end:
            return {}
        first = self.position
        self.position = min(self.end, first + self.step)
        return {HERE: [_raw(offset) for offset in range(first, self.position)]}

    async def seek_to_committed(self) -> Mapping[TP, int]:
        return await self.seek({HERE: self.committed})

    async def seek(self, positions: Mapping[TP, int]) -> Mapping[TP, int]:
        """The seek is done in another thread; the caller hears of it a little later."""
        self.position = positions[HERE]
        await asyncio.sleep(HOP)
        return dict(positions)

    async def commit(self, offsets: Mapping[TP, int]) -> bool:
        self.commits.append(dict(offsets))
        self.committed = offsets[HERE]
        return True


def _raw(offset: int) -> ConsumerRecord[Any, Any]:
    return ConsumerRecord(TOPIC, 0, offset, 1_000, 1, b"k", b"%d" % offset, None, 1, 2, ())


def _plug(consumer: Any, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the log in the place of what would talk to a broker."""
    consumer._thread.thread_loop.close()  # it never starts
    stubs = {
        "_getmany": log.fetch,
        "_commit": log.commit,
        "seek_to_committed": log.seek_to_committed,
        "seek_wait": log.seek,
        "assignment": lambda: {HERE},
        "highwater": lambda tp: log.end,
        # Without a partition to fetch from the drain loop sleeps a second.
        "sleep": lambda seconds: asyncio.sleep(min(seconds, 0.001)),
    }
    for name, stub in stubs.items():
        assert callable(getattr(consumer, name))
        monkeypatch.setattr(consumer, name, stub)


def _stock_app(datadir: Path) -> Any:
    return faust.App(
        "stock",
        broker="kafka://127.0.0.1:1",
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        store="memory://",
        datadir=str(datadir),
    )


class StockStream:
    """A stock app that reads one topic and notes what reaches its agent."""

    def __init__(self, log: Log, datadir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log = log
        self.app = _stock_app(datadir)
        _plug(self.app.consumer, log, monkeypatch)
        _assign(self.app, self.app.topic(TOPIC, value_serializer="raw").stream(), monkeypatch)
        self.seen: list[int] = []

    async def agent(self) -> None:
        async for value in self.stream:
            self.seen.append(int(value))
            # A body that does something: stock Faust queues up to 4096 events meanwhile.
            await asyncio.sleep(0.001)

    @property
    def stream(self) -> Any:
        return self.app.test_stream


def _assign(app: Any, stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a finished rebalance leaves behind, up to the end of the recovery of tables."""
    app.test_stream = stream
    app.consumer_generation_id = 1
    app.topics._acking_topics.add(TOPIC)
    app.topics._tp_index[HERE].add(stream.channel)
    app.topics._update_callback_map()
    app.consumer._active_partitions = set()
    app.consumer.pause_partitions({HERE})

    async def nothing() -> None:
        return None

    monkeypatch.setattr(app._fetcher, "maybe_start", nothing)


@asynccontextmanager
async def _reading(app: Any, agent: Any) -> AsyncIterator[None]:
    """Faust's drain loop and an agent at work."""

    class Fetcher:
        _stopped = asyncio.Event()

    tasks = [
        asyncio.ensure_future(agent),
        asyncio.ensure_future(app.consumer._drain_messages(Fetcher())),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _quiet(look: Any) -> None:
    """Wait until ``look`` has given the same for a while."""
    seen, same = look(), 0
    while same < 25:
        await asyncio.sleep(0.002)
        now = look()
        seen, same = (now, same + 1) if now == seen else (now, 0)


async def _until(look: Callable[[], object]) -> None:
    """Let the loop turn until ``look`` gives something true."""
    for _ in range(100_000):
        if look():
            return
        await asyncio.sleep(0)
    pytest.fail("it never came")


class Ours:
    """Our worker on a log, with a state that notes the offsets it folds."""

    def __init__(self, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log = log
        self.state = FakeState()
        self.registry = CollectorRegistry()

        async def no_rings(bootstrap: str, topic: str, partitions: set[int]) -> Mapping[int, Ring]:
            return {p: [] for p in partitions}

        def no_restore(topic: catalog.Topic, partition: int, ring: Ring) -> FakeState:
            return self.state

        monkeypatch.setattr(app_module, "read_rings", no_rings)
        settings = Settings(bootstrap="127.0.0.1:1", partitions=1)
        self.worker = Worker(settings, no_restore, Metrics(self.registry))
        monkeypatch.setattr(self.worker, "_outbox", FakeOutbox())
        self.app: Any = self.worker.app
        consumer: Any = self.worker.consumer
        _plug(consumer, log, monkeypatch)

        async def bounds(*tps: TP, at: int = 0) -> Mapping[TP, int]:
            return dict.fromkeys(tps, at)

        monkeypatch.setattr(consumer, "earliest_offsets", bounds)
        monkeypatch.setattr(consumer, "highwaters", lambda *tps: bounds(*tps, at=log.end))
        # The agent that the worker made, on a stream of its own topic.
        (agent,) = self.app.agents.values()
        self.stream = agent.channel.stream()
        _assign(self.app, self.stream, monkeypatch)

    async def agent(self) -> None:
        await self.worker._agent(self.stream)

    @property
    def holes(self) -> float | None:
        return self.registry.get_sample_value("ioc_worker_holes_total")


# --- #596: records between the seek and the clearing of the queues ------------------------------


async def test_stock_faust_loses_what_it_fetched_while_a_recovery_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Recovery.on_recovery_completed` lets partitions be fetched, awaits a seek and only then
    calls `flow_control.resume()`, which clears the queues: what came in between is gone, while the
    position has moved on (faust-streaming #596, for apps with tables)."""
    stock = StockStream(Log(150), tmp_path, monkeypatch)
    stock.app.Table("counts", default=int, partitions=1)
    # The changelogs were read: the flow is on, the source partition still paused.
    stock.app.flow_control.resume()
    stock.app.consumer.resume_flow()
    async with _reading(stock.app, stock.agent()):
        await stock.app.tables.recovery.on_recovery_completed(1)
        await _quiet(lambda: len(stock.seen))
        missing = sorted(set(range(150)) - set(stock.seen))
        assert missing, "nothing was lost: is #596 repaired?"
        # Everybody believes that all is well: the log is read to its end.
        assert stock.log.position == 150
        # A hole in the middle, not the end: nothing will ever read it again in this process.
        assert max(missing) < 149


async def test_our_worker_loses_nothing_while_a_recovery_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = Ours(Log(60), monkeypatch)
    ours.app.flow_control.resume()
    ours.app.consumer.resume_flow()
    async with _reading(ours.app, ours.agent()):
        await ours.app.tables.recovery.on_recovery_completed(1)
        await _quiet(lambda: len(ours.state.offsets))
    assert ours.state.offsets == list(range(60))


async def test_our_worker_reads_again_what_cleared_queues_took_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same clearing in the middle of reading, whoever causes it: a hole is seen and filled."""
    ours = Ours(Log(90), monkeypatch)
    ours.app.flow_control.resume()
    ours.app.consumer.resume_flow()
    async with _reading(ours.app, ours.agent()):
        await ours.app.tables.recovery.on_recovery_completed(1)
        await _until(lambda: bool(ours.state.offsets))
        queue = ours.stream.channel.queue
        await _until(queue.qsize)
        ours.app.flow_control.resume()
        assert queue.qsize() == 0, "what was queued is gone"
        await _quiet(lambda: len(ours.state.offsets))
    assert ours.state.offsets == list(range(90))
    assert ours.holes == 1


# --- producer.flush() gives up -------------------------------------------------------------------


async def test_stock_faust_commits_offsets_whose_records_are_still_in_its_buffer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ProducerBuffer.flush_atmost` gives up when nothing was handed over for 0.1 s, and the commit
    goes on: with a slow broker a crash now loses changelog rows of events that count as done."""
    stock = StockStream(Log(5), tmp_path, monkeypatch)
    rows = stock.app.topic("changelog", value_serializer="raw")
    gate = asyncio.Event()

    async def slow(*_: Any, **__: Any) -> None:
        await gate.wait()

    monkeypatch.setattr(rows, "publish_message", slow)
    buffer = stock.app.producer.buffer
    await buffer.start()
    try:
        for _ in range(5):
            rows.send_soon(key=b"k", value=b"row")
        await asyncio.sleep(0)
        consumer = stock.app.consumer
        consumer._acked[HERE] = list(range(5))
        consumer._acked_index[HERE] = set(range(5))
        async with asyncio.timeout(2):
            await consumer.commit()
        assert stock.log.commits == [{HERE: 5}]
        assert buffer.size == 4, "one is on its way, four were not even handed over"
    finally:
        gate.set()
        await _quiet(lambda: buffer.size)
        await buffer.stop()


class KeptOutbox(FakeOutbox):
    """Keeps what Kafka acknowledged of the ring, as the next owner will read it."""

    def __init__(self) -> None:
        super().__init__()
        self.ring: dict[bytes, bytes | None] = {}
        self.letters_sent: list[DeadLetter] = []

    async def letters(self, partition: int, letters: Sequence[DeadLetter]) -> int:
        await self.gate.wait()
        self.letters_sent += letters
        return 0

    async def partials(self, partition: int, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        await self.gate.wait()
        for key, value in records:
            self.ring.pop(key, None)
            self.ring[key] = value


def _owner(outbox: KeptOutbox, owner: int) -> OwnedPartition:
    """The next owner of the partition: its state is what the ring says."""
    empty = PartitionState(catalog.ADMIN_CASE, 0, 4, clock="wall", territories=load_territories())
    state = restore(empty, list(outbox.ring.items()))
    state.open_epoch(owner)
    return OwnedPartition(TOPIC, 0, state, outbox, Metrics(CollectorRegistry()), Rhythm())


def _cases(first: int, last: int) -> list[SourceRecord]:
    """Records of new cases at those offsets; every fifth cannot be read."""
    items = list(newcomers("hole", last, 1_700_000_000_000, 0))[first:]
    return [
        SourceRecord(
            offset, 1_700_000_000_000, item.key, b"{" if offset % 5 == 4 else item.value, []
        )
        for offset, item in enumerate(items, first)
    ]


def _read(part: OwnedPartition) -> int:
    return cast("PartitionState", part.state).read


async def test_our_position_moves_only_behind_what_kafka_has_acknowledged() -> None:
    """The offset is in the flush itself: while Kafka is slow nothing moves, whatever the committed
    offset says; the letters come first."""
    outbox = KeptOutbox()
    ours = _owner(outbox, 1)
    await ours.flush()
    ours.fold(_cases(0, 10))
    outbox.gate.clear()
    flushing = asyncio.ensure_future(ours.flush())
    await asyncio.sleep(0.25)  # longer than stock Faust's patience
    assert not flushing.done()
    assert _owner(outbox, 2).expected == 0, "after a crash now all ten are read again"
    outbox.gate.set()
    await flushing
    assert len(outbox.letters_sent) == 2
    assert _owner(outbox, 2).expected == 10


async def test_our_letters_are_acknowledged_before_the_offset_moves() -> None:
    outbox = KeptOutbox()
    ours = _owner(outbox, 1)
    await ours.flush()
    ours.fold(_cases(0, 10))

    async def refuse(partition: int, letters: Sequence[DeadLetter]) -> int:
        raise ConnectionError("the broker is gone")

    outbox.letters = refuse  # type: ignore[method-assign]  # Kafka takes no letter
    with pytest.raises(ConnectionError):
        await ours.flush()
    assert _owner(outbox, 2).expected == 0


# --- rows of a zombie ---------------------------------------------------------------------------


async def test_stock_faust_recovers_the_late_row_of_an_old_owner(tmp_path: Path) -> None:
    """A table is rebuilt from the last row of each key, whoever wrote it: an owner that stood still
    and was replaced sends its buffered row late, and the count goes back."""
    app = _stock_app(tmp_path)
    table = app.Table("counts", default=int, partitions=1)
    changelog = TP(table.changelog_topic.get_topic_name(), 0)

    def row(offset: int, count: int) -> Any:
        value = json.dumps(count).encode()
        message = ConsumerMessage(
            changelog.topic, 0, offset, 1.0, 1, [], b'"k"', value, None, tp=changelog
        )
        return app.create_event("k", count, [], message)

    new_owner = [row(0, 6), row(1, 7), row(2, 8)]
    zombie = [row(3, 6)]
    table.apply_changelog_batch([*new_owner, *zombie])
    assert dict(table.data.items()) == {"k": 6}, "two events of the new owner are forgotten"


async def test_a_late_flush_of_our_old_owner_counts_for_nobody() -> None:
    """An owner opens an epoch that names the flush it continues: what an older one writes behind
    that point is left out by the next owner and by the view."""
    outbox = KeptOutbox()
    old = _owner(outbox, 1)
    await old.flush()
    old.fold(_cases(0, 6))
    await old.flush()
    new = _owner(outbox, 2)
    await new.flush()
    new.fold(_cases(6, 8))
    await new.flush()
    old.fold(_cases(6, 7))  # it wakes up with a batch in its hands
    await old.flush()
    heir = _owner(outbox, 3)
    assert heir.expected == 8
    assert _read(heir) == 8
    # The zombie's flush is in the ring all the same: it is left out, not prevented.
    epoch = b"/%d/" % cast("PartitionState", old.state)._epoch
    assert sum(epoch in key for key in outbox.ring) == 3


# --- acks that are not committed when partitions are revoked ------------------------------------


async def test_stock_faust_redoes_everything_since_the_last_commit_after_a_revoke(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Consumer.on_partitions_revoked` forgets the acks before the commit that would save them: the
    next owner starts at the last timed commit, and counters restored from a changelog count those
    events a second time."""
    stock = StockStream(Log(30), tmp_path, monkeypatch)
    app = stock.app
    app.consumer.resume_partitions({HERE})
    app.flow_control.resume()
    app.consumer.resume_flow()
    async with _reading(app, stock.agent()):
        await _quiet(lambda: len(stock.seen))
        assert stock.seen == list(range(30))
        assert len(app.consumer._acked[HERE]) >= 29
        app.rebalancing = True
        await app.consumer.on_partitions_revoked({HERE})
    assert stock.log.commits == []
    assert stock.log.committed == 0, "all thirty are done again"


async def test_our_next_owner_redoes_nothing_after_a_revoke_and_counts_nothing_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log(10)
    ours = Ours(log, monkeypatch)
    outbox = KeptOutbox()
    part = _owner(outbox, 1)
    await part.flush()
    ours.worker.owned = {HERE: part}
    records: Any = _cases(0, 10)
    batch = BatchMessage(TOPIC, 0, 9, 1.0, 1, None, None, records, None, tp=HERE)
    await ours.worker._take(batch)
    ours.app.rebalancing = True
    with suppress(asyncio.CancelledError):
        await ours.worker.consumer.on_partitions_revoked({HERE})
    assert log.commits == [], "nothing was committed here either, and nobody needs it"
    heir = _owner(outbox, 2)
    assert heir.expected == 10
    # Even when they are delivered again, they are known.
    heir.fold(_cases(0, 10))
    assert _read(heir) == 10
