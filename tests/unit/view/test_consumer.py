"""The reader of partial results: what it reads again, and what it waits for."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from services.view import consumer
from services.view.consumer import MinuteSampler, PartialsReader
from tests.unit.view.rig import NOW

TOPIC = "ioc.kpi-partial.v1"


class Record(NamedTuple):
    offset: int
    key: bytes
    value: bytes | None


@dataclass
class Sink:
    """Refuses a record whose value is in ``refused``, once per mention."""

    refused: list[bytes] = field(default_factory=list)
    unreadable: set[bytes] = field(default_factory=set)
    held: dict[int, list[bytes]] = field(default_factory=dict)
    resets: list[int] = field(default_factory=list)

    def feed(self, partition: int, key: bytes, value: bytes | None) -> bool:
        if value in self.unreadable:
            raise ValueError("unknown version")
        if value in self.refused:
            self.refused.remove(value)
            return False
        self.held.setdefault(partition, []).append(value or b"")
        return True

    def reset(self, partition: int) -> None:
        self.resets.append(partition)
        self.held[partition] = []


class Kafka:
    """One session's consumer over lists of records; ends its reader when all is read."""

    def __init__(self, logs: dict[int, list[bytes]]) -> None:
        self.logs = {TopicPartition(TOPIC, p): log for p, log in logs.items()}
        self.at: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.raises: list[Exception] = []
        self.idle: Callable[[], object] = lambda: None

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def assign(self, tps: list[TopicPartition]) -> None: ...

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.at[tp] = offset

    def pause(self, tp: TopicPartition) -> None:
        self.paused.add(tp)

    def resume(self, tp: TopicPartition) -> None:
        self.paused.discard(tp)

    async def position(self, tp: TopicPartition) -> int:
        return self.at[tp]

    async def beginning_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, 0)

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: len(self.logs[tp]) for tp in tps}

    async def getmany(self, timeout_ms: int) -> dict[TopicPartition, list[Record]]:
        await asyncio.sleep(0)
        if self.raises:
            raise self.raises.pop()
        out = {}
        for tp, log in self.logs.items():
            at = self.at[tp]
            if tp not in self.paused and at < len(log):
                out[tp] = [Record(at + i, b"k", v) for i, v in enumerate(log[at : at + 2])]
                self.at[tp] = at + len(out[tp])
        if not out:
            self.idle()
        return out


def read(kafka: Kafka, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> PartialsReader:
    """Run a reader until nothing is left to read."""

    async def there(*_: object) -> None: ...

    monkeypatch.setattr(consumer, "check_topics", there)
    monkeypatch.setattr(consumer, "_Consumer", lambda **_: kafka)

    async def run() -> PartialsReader:
        reader = PartialsReader("nowhere:1", TOPIC, len(kafka.logs), sink)
        assert not reader.complete
        assert reader.reason is not None
        task: asyncio.Task[Any] = asyncio.create_task(reader.run())
        kafka.idle = task.cancel
        await asyncio.wait([task])
        return reader

    return asyncio.run(run())


def test_every_partition_is_read_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    reader = read(Kafka({0: [b"a", b"b", b"c"], 1: []}), sink, monkeypatch)
    assert sink.held == {0: [b"a", b"b", b"c"], 1: []}
    assert reader.complete
    assert reader.reason is None


def test_a_refused_record_has_its_partition_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink(refused=[b"b", b"c"])
    reader = read(Kafka({0: [b"a", b"b", b"c"], 1: [b"x"]}), sink, monkeypatch)
    assert sink.held == {0: [b"a", b"b", b"c"], 1: [b"x"]}
    assert sink.resets.count(0) == 3
    assert reader.complete


def test_a_record_nobody_can_read_is_tried_a_few_times_and_then_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = Sink(unreadable={b"?"})
    kafka = Kafka({0: [b"a", b"?"], 1: [b"x"]})
    reader = read(kafka, sink, monkeypatch)
    assert sink.held[1] == [b"x"]
    assert kafka.paused == {TopicPartition(TOPIC, 0)}
    assert not reader.complete
    assert reader.reason == "reading the partial results: 1 of 2 partitions read"


def test_a_log_made_anew_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    kafka = Kafka({0: [b"a"]})
    kafka.raises = [OffsetOutOfRangeError({})]
    read(kafka, sink, monkeypatch)
    assert sink.resets == [0, 0]
    assert sink.held == {0: [b"a"]}


def test_stock_kpis_are_sampled_once_a_minute_of_the_clock_and_not_before_all_is_read() -> None:
    sampled: list[int] = []
    ready = False
    clock = iter((NOW, NOW + 59_999, NOW + 60_000, NOW + 60_001, NOW + 600_000, NOW + 590_000))
    sampler = MinuteSampler(sampled.append, lambda: next(clock), lambda: ready)
    sampler.tick()
    ready = True
    for _ in range(6):
        sampler.tick()
    assert sampled == [NOW, NOW + 60_000, NOW + 600_000]
