"""A producer loses nothing, counts everything and goes on where it stopped."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, NotLeaderForPartitionError
from prometheus_client import CollectorRegistry

from services.runtime.bookmark import Bookmark
from services.runtime.producer import (
    BUFFER_RECORDS,
    Clock,
    Metrics,
    Pump,
    pace,
)

MINUTE = 60_000


class Record(NamedTuple):
    at: int
    topic: str = "ioc.admin-case.v1"
    key: bytes = b"k"
    value: bytes = b"v"


class Answer:
    """What the broker says about one record, when it says it."""

    def __init__(self) -> None:
        self.is_done = False
        self.exception: Any = None

    def succeeded(self) -> bool:
        return self.is_done and self.exception is None

    def settle(self, error: Any = None) -> None:
        self.is_done, self.exception = True, error


class FakeClient:
    """Kafka as a list; ``refuse`` may raise for a record, ``auto`` answers at once."""

    def __init__(self, auto: bool = True) -> None:
        self.auto = auto
        self.closed = False
        self.made = self.large_made = 0
        self.sent: list[tuple[str, bytes, bytes, dict[str, bytes], Answer]] = []
        self.refuse: Callable[[bytes], Exception | None] = lambda value: None
        self.answer: Callable[[bytes], Exception | None] = lambda value: None

    def send(
        self, topic: str, *, key: bytes, value: bytes, headers: list[tuple[str, bytes]]
    ) -> Answer:
        error = self.refuse(value)
        if error is not None:
            raise error
        answer = Answer()
        if self.auto:
            answer.settle(self.answer(value))
        self.sent.append((topic, key, value, dict(headers), answer))
        return answer

    def close(self, timeout: float | None = None) -> None:
        self.closed = True

    def main(self) -> "FakeClient":
        self.made += 1
        return self

    def large(self) -> "FakeClient":
        self.large_made += 1
        return self


class FakeSource:
    def __init__(self, records: list[Record], opened: list[Record] | None = None) -> None:
        self.records = records
        self.opened = opened or []
        self.asked: list[tuple[int, int]] = []

    def opening(self, at: int) -> Iterator[Record]:
        return iter(self.opened)

    def stream(self, start: int, end: int) -> Iterator[Record]:
        self.asked.append((start, end))
        return (r for r in self.records if start <= r.at < end)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics("admin-case", registry)


def _value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, {"kind": "admin-case", **labels})


def _pump(client: FakeClient, metrics: Metrics) -> Pump:
    return Pump(client, lambda topic: f"ns.{topic}", metrics)


def _run(
    source: FakeSource,
    pump: Pump,
    bookmark: Bookmark,
    *,
    start: int = 0,
    end: int = 10 * MINUTE,
    opening: bool = False,
    once: bool = False,
    wall: int = 100 * MINUTE,
    stop: threading.Event | None = None,
) -> None:
    pace(
        source,
        pump,
        Clock(0, 0, 1.0),
        bookmark,
        stop or threading.Event(),
        start=start,
        end=end,
        opening=opening,
        once=once,
        wall=lambda: wall,
    )


@pytest.fixture
def bookmark(tmp_path: Path) -> Bookmark:
    return Bookmark(tmp_path / "producers" / "admin-case.json", {"seed": 1})


def test_a_record_carries_its_arrival_and_content_type_into_its_namespace(metrics: Metrics) -> None:
    client = FakeClient()
    assert _pump(client, metrics).offer(Record(12_345), 0.0)
    topic, key, value, headers, _ = client.sent[0]
    assert (topic, key, value) == ("ns.ioc.admin-case.v1", b"k", b"v")
    assert headers == {
        "content-type": b"application/cloudevents+json",
        "ioc-arrival": b"12345",
    }


def test_what_is_overdue_is_sent_at_once_and_the_place_is_kept(
    metrics: Metrics, bookmark: Bookmark, registry: CollectorRegistry
) -> None:
    client = FakeClient()
    source = FakeSource([Record(i * 1000, value=b"%d" % i) for i in range(50)])
    _run(source, _pump(client, metrics), bookmark)
    assert [s[2] for s in client.sent] == [b"%d" % i for i in range(50)]
    assert bookmark.read() == 10 * MINUTE
    assert _value(registry, "ioc_producer_sent_total") == 50
    assert _value(registry, "ioc_producer_acked_total") == 50
    assert _value(registry, "ioc_producer_buffered") == 0


def test_once_ends_at_the_present(metrics: Metrics, bookmark: Bookmark) -> None:
    client = FakeClient()
    source = FakeSource([Record(i * MINUTE) for i in range(100)])
    _run(source, _pump(client, metrics), bookmark, end=1000 * MINUTE, once=True, wall=7 * MINUTE)
    assert len(client.sent) == 7
    assert bookmark.read() == 7 * MINUTE


def test_a_fresh_log_begins_with_what_is_open(metrics: Metrics, bookmark: Bookmark) -> None:
    client = FakeClient()
    source = FakeSource([Record(5, value=b"later")], [Record(0, value=b"open")])
    _run(source, _pump(client, metrics), bookmark, opening=True)
    assert [s[2] for s in client.sent] == [b"open", b"later"]


def test_the_bookmark_never_passes_a_record_without_answer(
    metrics: Metrics, bookmark: Bookmark
) -> None:
    client = FakeClient(auto=False)
    pump = _pump(client, metrics)
    for i in range(5):
        assert pump.offer(Record(i), 0.0)
    for answer in (client.sent[0][4], client.sent[1][4], client.sent[3][4]):
        answer.settle()
    pump.settle(0.0)
    assert pump.settled == 1
    assert len(pump) == 3


def test_a_failed_record_is_sent_again_and_counted(
    metrics: Metrics, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    client = FakeClient(auto=False)
    pump = _pump(client, metrics)
    with caplog.at_level(logging.WARNING):
        for i in range(3):
            pump.offer(Record(i, value=b"%d" % i), 0.0)
        client.sent[0][4].settle(NotLeaderForPartitionError())
        client.sent[1][4].settle()
        client.sent[2][4].settle()
        pump.settle(0.0)
        assert len(pump) == 3
        client.sent[3][4].settle()
        pump.settle(0.0)
    assert [s[2] for s in client.sent] == [b"0", b"1", b"2", b"0"]
    assert pump.settled == 2
    assert len(pump) == 0
    assert _value(registry, "ioc_producer_failed_total", reason="other") == 1
    assert _value(registry, "ioc_producer_acked_total") == 3


def test_a_record_refused_for_its_size_is_counted_said_and_given_up(
    metrics: Metrics, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    client = FakeClient()
    huge = b"x" * 2_000_000
    client.answer = lambda value: MessageSizeTooLargeError() if value == huge else None
    pump = _pump(client, metrics)
    with caplog.at_level(logging.ERROR):
        pump.offer(Record(1, value=huge, key=b"case-1"), 0.0)
        pump.offer(Record(2), 0.0)
        pump.settle(0.0)
    assert pump.settled == 2
    assert client.large_made == 1
    assert _value(registry, "ioc_producer_failed_total", reason="too_large") == 1
    assert "case-1" in caplog.text
    client.refuse = lambda value: MessageSizeTooLargeError()
    assert pump.offer(Record(3), 0.0)
    assert _value(registry, "ioc_producer_failed_total", reason="too_large") == 2


def test_a_small_record_in_the_batch_of_a_huge_one_is_sent_again(
    metrics: Metrics, registry: CollectorRegistry
) -> None:
    client = FakeClient(auto=False)
    pump = _pump(client, metrics)
    pump.offer(Record(1, value=b"small"), 0.0)
    client.sent[0][4].settle(MessageSizeTooLargeError())
    pump.settle(0.0)
    client.sent[1][4].settle()
    pump.settle(0.0)
    assert [s[2] for s in client.sent] == [b"small", b"small"]
    assert pump.settled == 1
    assert _value(registry, "ioc_producer_failed_total", reason="too_large") == 0


def test_a_client_that_never_gets_through_again_is_replaced(metrics: Metrics) -> None:
    client = FakeClient()
    client.answer = lambda value: NotLeaderForPartitionError()
    pump = _pump(client, metrics)
    pump.offer(Record(1), 0.0)
    for second in range(60):
        pump.settle(float(second))
    assert client.closed
    assert client.made >= 2
    client.answer = lambda value: None
    pump.settle(61.0)
    pump.settle(62.0)
    assert len(pump) == 0
    assert pump.settled == 1


def test_a_broker_that_is_away_is_named_once_and_again_when_back(
    metrics: Metrics, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    client = FakeClient(auto=False)
    pump = _pump(client, metrics)
    with caplog.at_level(logging.INFO):
        pump.offer(Record(1), 0.0)
        for second in range(60):
            pump.settle(float(second))
        assert len(caplog.records) == 1
        assert "nothing is lost" in caplog.text
        assert _value(registry, "ioc_producer_buffered") == 1
        client.sent[0][4].settle()
        pump.settle(61.0)
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]


def test_a_missing_topic_keeps_the_record(metrics: Metrics, registry: CollectorRegistry) -> None:
    client = FakeClient()
    client.refuse = lambda value: KafkaTimeoutError()
    pump = _pump(client, metrics)
    assert not pump.offer(Record(1), 0.0)
    client.refuse = lambda value: None
    assert pump.offer(Record(1), 0.0)
    assert _value(registry, "ioc_producer_failed_total", reason="timeout") == 1


def test_the_buffer_has_an_end(metrics: Metrics, bookmark: Bookmark) -> None:
    client = FakeClient(auto=False)
    pump = _pump(client, metrics)
    stop = threading.Event()
    source = FakeSource([Record(i) for i in range(BUFFER_RECORDS + 500)])

    class StopWhenFull(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            for sent in client.sent:
                sent[4].settle()
            self.set()
            return True

    stop = StopWhenFull()
    _run(source, pump, bookmark, stop=stop)
    assert len(client.sent) == BUFFER_RECORDS
    assert bookmark.read() == BUFFER_RECORDS - 1


def test_a_stop_in_the_middle_keeps_the_place(metrics: Metrics, bookmark: Bookmark) -> None:
    stop = threading.Event()

    class Stopping(FakeClient):
        def send(self, topic: str, **more: Any) -> Answer:
            if len(self.sent) == 9:
                stop.set()
            return super().send(topic, **more)

    client = Stopping()
    source = FakeSource([Record(i * 10) for i in range(100)])
    _run(source, _pump(client, metrics), bookmark, stop=stop)
    assert len(client.sent) == 10
    assert bookmark.read() == 90
    again = FakeClient()
    _run(source, _pump(again, metrics), bookmark, start=90)
    assert len(again.sent) == 91
    assert source.asked[-1] == (90, 10 * MINUTE)


def test_a_bookmark_of_another_world_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    Bookmark(path, {"seed": 1}).write(77)
    assert Bookmark(path, {"seed": 1}).read() == 77
    assert Bookmark(path, {"seed": 2}).read() is None
    path.write_text("{", encoding="utf-8")
    assert Bookmark(path, {"seed": 1}).read() is None
    path.write_text(json.dumps({"identity": {"seed": 1}, "until": "soon"}), encoding="utf-8")
    assert Bookmark(path, {"seed": 1}).read() is None
    assert Bookmark(tmp_path / "none.json", {}).read() is None


def test_other_fault_rates_go_back_by_the_longest_delay(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    Bookmark(path, {}, {"late": 0.03}, 1_000).write(5_000)
    assert Bookmark(path, {}, {"late": 0.03}, 1_000).read() == 5_000
    assert Bookmark(path, {}, {}, 1_000).read() == 4_000


def test_a_fast_clock_runs_ahead() -> None:
    clock = Clock(simulated=1_000_000, wall=500_000, speed=60)
    assert clock.now(501_000) == 1_060_000
    assert clock.seconds_until(1_120_000, 501_000) == pytest.approx(1.0)
