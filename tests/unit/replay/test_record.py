"""The recorder: which offsets are read, what goes on, and what is refused."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from services.replay import Recorded, Recording, Wanted, Writer
from services.replay.framing import Place, Positions
from services.replay.record import (
    DiskError,
    Order,
    Recorder,
    continued,
    describe,
    schema_hash,
    stretches,
)
from services.replay.source import Source, SourceError, Stretch
from services.runtime.reference import load_territories

TOPIC = "ioc.listing.v1"
A, B = (TOPIC, 0), (TOPIC, 1)


class Message:
    def __init__(self, place: Place, offset: int, timestamp: int, value: bytes = b"{}") -> None:
        self.place, self.at, self.stamp, self.content = place, offset, timestamp, value

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return self.content

    def headers(self) -> list[tuple[str, bytes]]:
        return [("ioc-arrival", b"%d" % (self.stamp * 10))]

    def offset(self) -> int:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return 2, self.stamp


class Log:
    """A source whose partition 0 has the offsets 10 to 29 and 1 none; timestamp 1000 + offset."""

    def __init__(self, break_after: int | None = None) -> None:
        self.partitions = {TOPIC: 2}
        self.limits: dict[Place, tuple[int, int]] = {A: (10, 30), B: (0, 0)}
        self.break_after = break_after

    def places(self) -> list[Place]:
        return [A, B]

    def bounds(self, place: Place) -> tuple[int, int]:
        return self.limits[place]

    def at_time(self, ms: int) -> Positions:
        first, last = self.limits[A]
        return {A: min(max(ms - 1000, first), last), B: 0}

    def read(
        self, wanted: dict[Place, Stretch], *, tell: Callable[[str], None]
    ) -> Iterator[tuple[list[Any], Positions]]:
        done = {p: s.start for p, s in wanted.items()}
        begin, end = wanted[A].start, wanted[A].end
        for offset in range(begin, 30 if end is None else end):
            if offset == self.break_after:
                raise SourceError("gone")
            done[A] = offset + 1
            yield [(A, Message(A, offset, 1000 + offset))], done


def source(**options: Any) -> Source:
    return cast("Source", Log(**options))


def meta(order: Order) -> Any:
    return describe([TOPIC], {TOPIC: 2}, order.clock, wanted=order.describe())


def record(path: Path, order: Order, *, log: Source | None = None) -> list[Recorded]:
    log = log or source()
    with Writer.create(path, meta(order)) as writer:
        todo = stretches(log, order, follow=False)
        Recorder(log, writer, order, load_territories()).run(todo)
    with Recording.open(path) as found:
        return list(found)


def test_everything_that_is_kept_is_recorded_with_its_offsets(tmp_path: Path) -> None:
    found = record(tmp_path / "a", Order(topics=(TOPIC,)))
    assert [(r.offset, r.timestamp) for r in found] == [(n, 1000 + n) for n in range(10, 30)]
    with Recording.open(tmp_path / "a") as recording:
        assert recording.positions == {A: 30, B: 0}
        assert recording.finished == "the end of the range"
        assert recording.meta.schema == schema_hash()
        assert recording.meta.contract == "1"


def test_a_time_range_is_looked_up_by_the_brokers_time(tmp_path: Path) -> None:
    found = record(tmp_path / "a", Order(topics=(TOPIC,), since=1015, until=1020))
    assert [r.offset for r in found] == list(range(15, 20))


def test_on_an_event_clock_the_time_range_is_that_of_the_header(tmp_path: Path) -> None:
    order = Order(topics=(TOPIC,), since=10_150, until=10_200, clock="event")
    found = record(tmp_path / "a", order)
    assert [r.offset for r in found] == list(range(15, 20))
    assert [r.arrival for r in found] == [10 * r.timestamp for r in found]


def test_offsets_of_one_partition_leave_out_the_others(tmp_path: Path) -> None:
    order = Order(topics=(TOPIC,), offsets={A: Stretch(12, 14)})
    assert [r.offset for r in record(tmp_path / "a", order)] == [12, 13]
    with pytest.raises(SourceError, match="has the offsets 10 to 30, not 3"):
        stretches(source(), Order(topics=(TOPIC,), offsets={A: Stretch(3, 14)}), follow=False)


def test_following_has_no_end_but_the_one_asked_for() -> None:
    follow = stretches(source(), Order(topics=(TOPIC,)), follow=True)
    assert {s.end for s in follow.values()} == {None}
    until = stretches(source(), Order(topics=(TOPIC,), until=1012), follow=True)
    assert until[A] == Stretch(10, 12)
    later = stretches(source(), Order(topics=(TOPIC,), until=9_999), follow=True)
    assert later[A].end is None


def test_what_filters_leave_out_is_read_and_not_kept(tmp_path: Path) -> None:
    order = Order(topics=(TOPIC,), wanted=Wanted(types=("ioc.order.v1",)))
    assert record(tmp_path / "a", order) == []
    with Recording.open(tmp_path / "a") as found:
        assert found.positions[A] == 30
        assert Order.of(found.meta) == order


def test_an_order_survives_the_file(tmp_path: Path) -> None:
    order = Order((TOPIC,), 1011, 1025, {A: Stretch(11, None)}, Wanted((), ("51",), ("x",)))
    record(tmp_path / "a", order)
    with Recording.open(tmp_path / "a") as found:
        assert Order.of(found.meta) == order


def test_going_on_begins_where_the_file_ends() -> None:
    todo = stretches(source(), Order(topics=(TOPIC,)), follow=False)
    assert continued(source(), todo, {A: 17})[A] == Stretch(17, 30)
    assert continued(source(), todo, {A: 30})[A].length == 0


def test_going_on_is_refused_where_it_would_leave_a_gap_or_mix_two_logs() -> None:
    log = Log()
    todo = stretches(cast("Source", log), Order(topics=(TOPIC,)), follow=True)
    log.limits[A] = (20, 30)
    with pytest.raises(SourceError, match="would leave a gap"):
        continued(cast("Source", log), todo, {A: 17})
    log.limits[A] = (0, 5)
    with pytest.raises(SourceError, match="not the topics that the recording was made from"):
        continued(cast("Source", log), todo, {A: 17})


def test_when_the_cluster_goes_the_file_is_whole_and_knows_how_far_it_is(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        record(tmp_path / "a", Order(topics=(TOPIC,)), log=source(break_after=21))
    with Recording.open(tmp_path / "a") as found:
        assert found.torn is None
        assert found.finished is None
        assert found.positions[A] == 21
        assert len(found) == 11


def test_a_full_disk_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a"
    order = Order(topics=(TOPIC,))
    with Writer.create(path, meta(order)) as writer:
        monkeypatch.setattr(writer, "_write", full)
        recorder = Recorder(source(), writer, order, load_territories())
        with pytest.raises(DiskError, match=r"the disk is full.*0 whole records.*--append"):
            recorder.run(stretches(source(), order, follow=False))


def test_whoever_stops_it_is_named(tmp_path: Path) -> None:
    order = Order(topics=(TOPIC,))
    with Writer.create(tmp_path / "a", meta(order)) as writer:
        recorder = Recorder(source(), writer, order, load_territories())
        progress = recorder.run(
            stretches(source(), order, follow=True),
            stopped=lambda: "stopped by hand" if recorder.progress.kept == 4 else None,
        )
    assert progress.reason == "stopped by hand"
    with Recording.open(tmp_path / "a") as found:
        assert (len(found), found.finished) == (4, "stopped by hand")
