"""The reader of partial results: what it reads again, and what it waits for."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.view import consumer
from services.view.consumer import PartialsReader
from services.view.ringlog import LogLostError

TOPIC = "ioc.kpi-partial.v1"


class Record:
    """As confluent_kafka's Message."""

    def __init__(self, offset: int, value: bytes) -> None:
        self._offset, self._value = offset, value

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return self._value


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


class Ring:
    """One session's log over lists of records; ends its reader when all is read."""

    def __init__(self, logs: dict[int, list[bytes]]) -> None:
        self.logs = logs
        self.at: dict[int, int] = {}
        self.paused: set[int] = set()
        self.raises: list[Exception] = []
        self.idle: Callable[[], object] = lambda: None

    async def close(self) -> None: ...

    def read_from(self, p: int, offset: int) -> None:
        self.at[p] = offset

    def pause(self, p: int) -> None:
        self.paused.add(p)

    def resume(self, p: int) -> None:
        self.paused.discard(p)

    def position(self, p: int) -> int:
        return self.at[p]

    async def bounds(self, partitions: list[int]) -> dict[int, tuple[int, int]]:
        return {p: (0, len(self.logs[p])) for p in partitions}

    async def some(self, seconds: float) -> dict[int, list[Record]]:
        await asyncio.sleep(0)
        if self.raises:
            raise self.raises.pop()
        out = {}
        for p, log in self.logs.items():
            at = self.at[p]
            if p not in self.paused and at < len(log):
                out[p] = [Record(at + i, v) for i, v in enumerate(log[at : at + 2])]
                self.at[p] = at + len(out[p])
        if not out:
            self.idle()
        return out


def read(ring: Ring, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> PartialsReader:
    """Run a reader until nothing is left to read."""

    async def there(*_: object) -> None: ...

    monkeypatch.setattr(consumer, "check_topics", there)
    monkeypatch.setattr(consumer, "RingLog", lambda *_: ring)

    async def run() -> PartialsReader:
        reader = PartialsReader("nowhere:1", TOPIC, len(ring.logs), sink)
        assert not reader.complete
        assert reader.reason is not None
        task: asyncio.Task[Any] = asyncio.create_task(reader.run())
        ring.idle = task.cancel
        await asyncio.wait([task])
        return reader

    return asyncio.run(run())


def test_every_partition_is_read_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    reader = read(Ring({0: [b"a", b"b", b"c"], 1: []}), sink, monkeypatch)
    assert sink.held == {0: [b"a", b"b", b"c"], 1: []}
    assert reader.complete
    assert reader.reason is None


def test_a_refused_record_has_its_partition_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink(refused=[b"b", b"c"])
    reader = read(Ring({0: [b"a", b"b", b"c"], 1: [b"x"]}), sink, monkeypatch)
    assert sink.held == {0: [b"a", b"b", b"c"], 1: [b"x"]}
    assert sink.resets.count(0) == 3
    assert reader.complete


def test_a_record_nobody_can_read_is_tried_a_few_times_and_then_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = Sink(unreadable={b"?"})
    ring = Ring({0: [b"a", b"?"], 1: [b"x"]})
    reader = read(ring, sink, monkeypatch)
    assert sink.held[1] == [b"x"]
    assert ring.paused == {0}
    assert not reader.complete
    assert reader.reason == "reading the partial results: 1 of 2 partitions read"


def test_a_log_made_anew_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    ring = Ring({0: [b"a"]})
    ring.raises = [LogLostError("partition 0: out of range")]
    read(ring, sink, monkeypatch)
    assert sink.resets == [0, 0]
    assert sink.held == {0: [b"a"]}
