"""One owned partition: the guard against holes, and the order inside a flush."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from schemas import catalog
from services.core.record import SourceRecord
from services.kpi import partition
from services.kpi.metrics import Metrics
from services.kpi.partition import OwnedPartition
from services.kpi.rhythm import Rhythm
from tests.unit.kpi.fakes import FakeClock, FakeOutbox, FakeState

TOPIC = catalog.ADMIN_CASE.name


def records(offsets: Iterable[int], value: bytes = b"good") -> list[SourceRecord]:
    return [SourceRecord(offset, 0, b"key", value) for offset in offsets]


class Room:
    """One partition with everything around it faked."""

    def __init__(self, fence: int = -1) -> None:
        self.registry = CollectorRegistry()
        self.state = FakeState(fence)
        self.outbox = FakeOutbox()
        self.clock = FakeClock()
        self.rhythm = Rhythm(self.clock)
        self.part = OwnedPartition(
            TOPIC, 0, self.state, self.outbox, Metrics(self.registry), self.rhythm, now=self.clock
        )

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def room() -> Room:
    return Room()


def test_a_batch_that_follows_is_folded_and_moves_the_expected_offset(room: Room) -> None:
    assert room.part.check(0) == "fold"
    room.part.fold(records(range(5)))
    assert room.part.expected == 5
    assert room.part.check(5) == "fold"
    assert room.metric("ioc_worker_records_total", topic=TOPIC) == 5


def test_a_batch_that_was_read_before_is_folded_and_counted_once(room: Room) -> None:
    room.part.fold(records(range(5)))
    assert room.part.check(3) == "fold"
    room.part.fold(records(range(3, 8)))
    assert room.state.offsets == list(range(8))
    assert room.metric("ioc_worker_records_total", topic=TOPIC) == 8


def test_a_batch_of_old_records_only_does_not_move_the_expected_offset_back() -> None:
    room = Room(fence=9)
    room.part.fold(records(range(5)))
    assert room.part.expected == 10
    assert room.metric("ioc_worker_records_total", topic=TOPIC) == 0


def test_a_hole_is_counted_and_read_again_while_batches_under_way_are_dropped(room: Room) -> None:
    room.part.fold(records(range(5)))
    assert room.part.check(9) == "seek"
    assert room.part.check(12) == "drop"
    assert room.part.check(5) == "fold"
    assert room.metric("ioc_worker_holes_total") == 1


def test_a_hole_that_comes_back_from_the_log_is_a_hole_in_the_log(room: Room) -> None:
    room.part.fold(records(range(5)))
    assert room.part.check(9) == "seek"
    assert room.part.check(9) == "fold"
    assert room.metric("ioc_worker_holes_total") == 1


def test_a_hole_that_is_not_filled_for_long_is_asked_for_again(room: Room) -> None:
    room.part.fold(records(range(5)))
    assert room.part.check(9) == "seek"
    room.clock.seconds += partition.HOLE_PATIENCE_SECONDS + 1
    assert room.part.check(12) == "seek"
    assert room.metric("ioc_worker_holes_total") == 2


async def test_dead_letters_are_acknowledged_before_the_partial_that_covers_them(
    room: Room,
) -> None:
    room.part.fold(records(range(3), b"bad"))
    await room.part.flush()
    assert room.outbox.sent == [("letters", 3), ("partial", b"fence 2")]
    assert room.metric("ioc_worker_dead_letters_total", reason="schema") == 3


async def test_what_is_folded_during_a_flush_belongs_to_the_next_one(room: Room) -> None:
    room.part.fold(records(range(3)))
    room.outbox.gate.clear()
    first = asyncio.ensure_future(room.part.flush())
    await asyncio.sleep(0)
    room.part.fold(records(range(3, 6), b"bad"))
    room.outbox.gate.set()
    await first
    assert room.outbox.sent == [("partial", b"fence 2")]
    assert room.part.unsent
    await room.part.flush()
    assert room.outbox.sent[1:] == [("letters", 3), ("partial", b"fence 5")]
    assert not room.part.unsent


async def test_two_flushes_asked_for_at_once_follow_one_another(room: Room) -> None:
    room.part.fold(records(range(3)))
    room.outbox.gate.clear()
    first = asyncio.ensure_future(room.part.flush())
    await asyncio.sleep(0)
    room.part.fold(records(range(3, 6)))
    second = asyncio.ensure_future(room.part.flush())
    await asyncio.sleep(0)
    room.outbox.gate.set()
    await asyncio.gather(first, second)
    assert room.outbox.sent == [("partial", b"fence 2"), ("partial", b"fence 5")]


async def test_tombstones_go_out_after_the_partials(room: Room) -> None:
    room.part.fold(records(range(1)))
    room.state.old_keys = [b"old"]
    await room.part.flush()
    assert room.outbox.sent == [("partial", b"fence 0"), ("partial", None)]


async def test_a_letter_that_is_too_large_is_counted_and_does_not_stop_the_flush(
    room: Room,
) -> None:
    room.part.fold(records(range(1), b"bad"))
    room.outbox.too_large = 1
    await room.part.flush()
    assert room.metric("ioc_worker_dead_letters_total", reason="undeliverable") == 1
    assert room.outbox.sent[-1] == ("partial", b"fence 0")


async def test_a_flush_is_due_at_the_next_tick_and_when_there_is_something_to_send(
    room: Room,
) -> None:
    room.part.fold(records(range(1)))
    assert room.part.due(0.25)
    room.clock.seconds = 25.0
    await room.part.flush()
    room.clock.seconds += 1
    assert not room.part.due(0.25)  # nothing new
    room.clock.seconds = 25.16
    room.part.fold(records(range(1, 2)))
    assert not room.part.due(0.25)
    assert room.part.due(0.15)
    room.clock.seconds = 25.25
    assert room.part.due(0.25)


async def test_what_a_flush_takes_from_the_folding_is_told(room: Room) -> None:
    room.part.fold(records(range(1)))
    flush = room.state.flush

    def slowly() -> Any:
        room.clock.seconds += 0.02
        return flush()

    room.state.flush = slowly  # type: ignore[method-assign]
    await room.part.flush()
    room.clock.seconds += 10
    assert room.rhythm._spent == pytest.approx(0.02)


async def test_partitions_flush_at_the_same_ticks_whenever_each_flushed_last(room: Room) -> None:
    other = Room()
    for each, seconds in ((room, 10.01), (other, 10.2)):
        each.clock.seconds = seconds
        each.part.fold(records(range(1)))
        await each.part.flush()
        each.part.fold(records(range(1, 2)))
    due = {}
    for each in (room, other):
        each.clock.seconds = 10.24
        due[each] = [each.part.due(0.25)]
        each.clock.seconds = 10.25
        due[each].append(each.part.due(0.25))
    assert list(due.values()) == [[False, True], [False, True]]


async def test_no_second_flush_is_due_while_one_is_under_way(room: Room) -> None:
    room.part.fold(records(range(1)))
    room.outbox.gate.clear()
    flush = asyncio.ensure_future(room.part.flush())
    await asyncio.sleep(0)
    room.part.fold(records(range(1, 2)))
    room.clock.seconds += 1
    assert not room.part.due(0.15)
    held_back = [room.part.overfull]
    room.clock.seconds += partition.SLOW_FLUSH_SECONDS
    held_back.append(room.part.overfull)
    room.outbox.gate.set()
    await flush
    held_back.append(room.part.overfull)
    assert held_back == [False, True, False]


async def test_too_many_dead_letters_hold_the_partition_back_until_they_are_sent(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition, "LETTER_BYTES", 1000)
    room.part.fold(records(range(5), b"bad"))
    assert room.part.overfull
    assert room.part.due(0.25)
    await room.part.flush()
    assert not room.part.overfull


async def test_a_flush_that_fails_says_so(room: Room) -> None:
    room.part.fold(records(range(1)))
    room.outbox.error = ConnectionError("gone")
    with pytest.raises(ConnectionError):
        await room.part.flush()
    assert not room.part.due(0.15)
