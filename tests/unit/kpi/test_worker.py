"""The worker without a broker: what it does when partitions come, go, and fail."""

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.structs import ConsumerRecord
from faust.types import TP
from prometheus_client import CollectorRegistry

from schemas import catalog
from services.kpi import app as app_module
from services.kpi.app import CannotContinue, Worker
from services.kpi.metrics import Metrics
from services.kpi.recovery import Ring
from services.kpi.transport import BatchMessage
from services.runtime.settings import Settings
from tests.unit.kpi.fakes import FakeOutbox, FakeState

NAME = f"ns.{catalog.ADMIN_CASE.name}"
HERE, THERE = TP(NAME, 0), TP(NAME, 1)


def record(offset: int, value: bytes = b"good") -> ConsumerRecord[Any, Any]:
    return ConsumerRecord(NAME, 0, offset, 1_000, 1, b"k", value, None, 1, 1, ())


def batch(offsets: Sequence[int], tp: TP = HERE, value: bytes = b"good") -> BatchMessage:
    records: Any = [record(offset, value) for offset in offsets]
    return BatchMessage(
        tp.topic, tp.partition, offsets[-1], 1.0, 1, None, None, records, None, tp=tp
    )  # fmt: skip


class Rig:
    """A worker whose broker has ``start`` to ``end`` in every partition and an empty ring."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.states: dict[tuple[str, int], FakeState] = {}
        self.fences: dict[int, int] = {}
        self.start, self.end = 0, 1_000
        self.error: Exception | None = None
        self.registry = CollectorRegistry()
        self.rewinds: list[tuple[TP, int]] = []
        self.outbox = FakeOutbox()

        async def no_rings(bootstrap: str, topic: str, partitions: set[int]) -> Mapping[int, Ring]:
            assert topic == f"ns.{catalog.KPI_PARTIAL.name}"
            return {p: [] for p in partitions}

        monkeypatch.setattr(app_module, "read_rings", no_rings)
        settings = Settings(bootstrap="127.0.0.1:1", namespace="ns")
        self.worker = Worker(settings, self.restore, Metrics(self.registry))
        monkeypatch.setattr(self.worker, "_outbox", self.outbox)
        self._stub(monkeypatch)

    def restore(self, topic: catalog.Topic, partition: int, ring: Ring) -> FakeState:
        if self.error is not None:
            raise self.error
        state = FakeState(self.fences.get(partition, -1))
        self.states[topic.name, partition] = state
        return state

    def _stub(self, monkeypatch: pytest.MonkeyPatch) -> None:
        consumer: Any = self.worker.consumer
        consumer._thread.thread_loop.close()

        async def ends(*tps: TP) -> Mapping[TP, int]:
            return dict.fromkeys(tps, self.end)

        async def starts(*tps: TP) -> Mapping[TP, int]:
            return dict.fromkeys(tps, self.start)

        async def rewind(tp: TP, offset: int) -> None:
            self.rewinds.append((tp, offset))

        async def crash(reason: BaseException) -> None:
            pass

        monkeypatch.setattr(consumer, "highwaters", ends)
        monkeypatch.setattr(consumer, "earliest_offsets", starts)
        monkeypatch.setattr(consumer, "rewind", rewind)
        monkeypatch.setattr(self.worker.app, "crash", crash)

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    @property
    def state(self) -> FakeState:
        return self.states[catalog.ADMIN_CASE.name, 0]


async def test_an_assignment_is_restored_owned_and_flushed_before_reading_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    rig.fences = {0: 41, 1: -1}
    positions = await rig.worker.positions(frozenset({HERE, THERE}))
    assert positions == {HERE: 42, THERE: 0}
    assert sorted(str(value) for _, value in rig.outbox.sent) == ["b'fence -1'", "b'fence 41'"]
    owners = {state.owner for state in rig.states.values()}
    assert len(owners) == 2
    assert None not in owners
    assert rig.metric("ioc_worker_partitions") == 2
    assert rig.metric("ioc_worker_restores_total") == 2


async def test_a_group_led_by_one_that_knows_no_topics_looks_again_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A broker that has just come back may not know its topics: then nobody owns anything."""
    nothing_known: Any = SimpleNamespace(partitions_for_topic=lambda topic: None)
    member: Any = SimpleNamespace(subscription=[HERE.topic])
    shares: Any = RoundRobinPartitionAssignor.assign(nothing_known, {"leader": member})
    assert shares["leader"].assignment == []
    # Only other metadata make the group join again, and only their age makes it ask for them.
    assert Rig(monkeypatch).worker.app.conf.consumer_metadata_max_age_ms <= 10_000


async def test_records_that_retention_deleted_are_a_hole_that_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    rig.fences, rig.start = {0: 41}, 100
    assert await rig.worker.positions(frozenset({HERE})) == {HERE: 100}
    assert rig.metric("ioc_worker_holes_total") == 1


async def test_a_topic_that_was_made_anew_is_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    rig.fences, rig.end = {0: 41}, 10
    with pytest.raises(CannotContinue, match="made anew; delete the partial topic"):
        await rig.worker.positions(frozenset({HERE}))
    assert rig.outbox.sent == []


async def test_missing_records_are_read_again_and_nothing_is_folded_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    await rig.worker.positions(frozenset({HERE}))
    await rig.worker._take(batch(range(0, 10)))
    await rig.worker._take(batch(range(20, 30)))  # 10 to 19 never came
    assert rig.rewinds == [(HERE, 10)]
    await rig.worker._take(batch(range(30, 40)))  # was under way
    await rig.worker._take(batch(range(10, 40)))
    assert rig.state.offsets == list(range(40))
    assert rig.metric("ioc_worker_holes_total") == 1


async def test_a_batch_of_a_partition_that_was_lost_is_left_to_its_new_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    await rig.worker.positions(frozenset({HERE}))
    await rig.worker._take(batch(range(5), THERE))
    assert rig.state.offsets == []


async def test_revoked_partitions_are_flushed_for_the_last_time_and_no_more_folded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    await rig.worker.positions(frozenset({HERE}))
    await rig.worker._take(batch(range(5)))
    await rig.worker.app.on_partitions_revoked.send({HERE})
    assert rig.outbox.sent[-1] == ("partial", b"fence 4")
    await rig.worker._take(batch(range(5, 9)))
    assert rig.state.fence == 4
    assert rig.metric("ioc_worker_partitions") == 0


async def test_a_batch_that_cannot_be_folded_ends_the_worker_and_is_never_flushed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    await rig.worker.positions(frozenset({HERE}))
    before = list(rig.outbox.sent)

    class Stream:
        channel = type("Channel", (), {"queue": asyncio.Queue()})

        async def __aiter__(self) -> Any:
            yield batch(range(5), value=b"explode")
            yield batch(range(5, 9))

    await rig.worker._agent(Stream())
    assert isinstance(rig.worker.failed.result(), ValueError)
    assert rig.worker.consumer.poisoned
    await rig.worker._release()
    assert rig.outbox.sent == before
    assert rig.state.fence == 0


async def test_a_flush_that_fails_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    await rig.worker.positions(frozenset({HERE}))
    await rig.worker._take(batch(range(5)))
    rig.outbox.error = ConnectionError("gone")
    await rig.worker._flush(HERE, rig.worker.owned[HERE])
    assert rig.worker.failed.result() is rig.outbox.error


async def test_a_partition_held_back_reads_on_after_its_flush(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(monkeypatch)
    monkeypatch.setattr("services.kpi.partition.LETTER_BYTES", 1_000)
    consumer = rig.worker.consumer
    await rig.worker.positions(frozenset({HERE, THERE}))
    consumer._active_partitions = {HERE, THERE}
    await rig.worker._take(batch(range(9), value=b"bad"))
    assert consumer._active_partitions == {THERE}
    await rig.worker._flush(HERE, rig.worker.owned[HERE])
    assert consumer._active_partitions == {HERE, THERE}
