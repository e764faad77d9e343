"""The ring: laps, epochs, zombies and gaps, written as data."""

from collections.abc import Iterable

import pytest

from schemas import catalog
from services.core import ring
from services.core.record import SourceRecord
from services.core.ring import Chain, RingGap
from services.core.state import PartitionState, refold, restore
from services.runtime.reference import load_territories

TERRITORIES = load_territories()
NOW = 1_795_312_812_345
Log = list[tuple[bytes, bytes | None]]


def fresh() -> PartitionState:
    return PartitionState(catalog.FIELD_REPORT, 0, 1, clock="wall", territories=TERRITORIES)


def rebuilt(log: Iterable[tuple[bytes, bytes | None]]) -> PartitionState:
    return restore(fresh(), list(log))


def garbage(offset: int) -> SourceRecord:
    return SourceRecord(offset, NOW, b"k", b"{")


def step(state: PartitionState, log: Log, offset: int) -> None:
    state.fold([garbage(offset)])
    log.extend(state.flush().parts)


def compacted(log: Log) -> Log:
    last = {key: i for i, (key, _) in enumerate(log)}
    return [record for i, record in enumerate(log) if last[record[0]] == i]


@pytest.mark.parametrize("flushes", [1, 2, 255, 256, 257, 600])
def test_a_lap_rebuilds_the_state_from_a_compacted_log(flushes: int) -> None:
    state, log = fresh(), Log()
    state.open_epoch(1)
    for offset in range(flushes):
        step(state, log, offset)
    again = rebuilt(compacted(log))
    assert again.fence == flushes - 1
    assert again.read == flushes


def test_a_new_owner_continues_and_the_old_epoch_is_buried_after_a_lap() -> None:
    first, log = fresh(), Log()
    first.open_epoch(1)
    for offset in range(300):
        step(first, log, offset)
    second = rebuilt(compacted(log))
    second.open_epoch(2)
    assert second.dirty
    buried: list[bytes] = []
    for offset in range(300, 600):
        step(second, log, offset)
        buried += second.tombstones()
    assert len(buried) == 256
    assert all(ring.key_epoch(key) == ring.key_epoch(log[0][0]) for key in buried)
    left = [record for record in compacted(log) if record[0] not in set(buried)]
    assert rebuilt(left).fence == 599


def test_flushes_of_a_zombie_beyond_the_point_of_takeover_do_not_count() -> None:
    zombie, log = fresh(), Log()
    zombie.open_epoch(1)
    for offset in range(5):
        step(zombie, log, offset)
    owner = rebuilt(log)
    owner.open_epoch(2)
    step(zombie, log, 5)  # lands before the owner's first flush
    step(zombie, log, 6)
    step(owner, log, 5)
    step(zombie, log, 7)
    step(owner, log, 6)
    again = rebuilt(log)
    assert again.fence == 6
    assert again.read == 7


def test_a_fork_of_the_same_number_is_settled_for_one_side() -> None:
    origin, log = fresh(), Log()
    origin.open_epoch(1)
    step(origin, log, 0)
    a, b = rebuilt(log), rebuilt(log)
    a.open_epoch(1)
    b.open_epoch(2)
    step(a, log, 1)
    step(b, log, 1)
    step(a, log, 2)
    again = rebuilt(log)
    assert (again.fence, again.read) == (1, 2)
    again.open_epoch(3)
    step(again, log, 2)
    assert rebuilt(log).read == 3


def test_a_flush_that_was_cut_off_is_not_used() -> None:
    state, log = fresh(), Log()
    state.open_epoch(1)
    step(state, log, 0)
    state.fold([garbage(i) for i in range(1, 50)])
    body = ring.Body("x", (0, -1), 1, 1, 1, b"", (b"", b"", b"", b""), [b"z" * 2_000_000], [], [])
    parts = ring.encode("field-report", 0, 1 << 48 | 1, 1, body).parts
    assert len(parts) == 3
    assert rebuilt([*log, parts[0], parts[2]]).fence == 0


def test_a_gap_is_never_bridged() -> None:
    state, log = fresh(), Log()
    state.open_epoch(1)
    for offset in range(20):
        step(state, log, offset)
    with pytest.raises(RingGap, match="field-report"):
        rebuilt(log[:7] + log[8:])


def test_an_empty_ring_gives_an_empty_state() -> None:
    assert rebuilt([]).fence == -1
    assert Chain().empty


def test_records_at_or_below_the_fence_are_not_counted_again() -> None:
    state = fresh()
    state.open_epoch(1)
    state.fold([garbage(0), garbage(1)])
    assert state.fold([garbage(0), garbage(1), garbage(2)])[0].headers[-1] == ("ioc-offset", b"2")
    assert state.read == 3


def test_a_refold_takes_the_place_of_a_ring_that_cannot_be_used() -> None:
    state, log = fresh(), Log()
    state.open_epoch(1)
    for offset in range(20):
        step(state, log, offset)
    broken = log[:7] + log[8:]
    again = refold(fresh(), broken)
    again.open_epoch(2)
    for offset in range(3):
        step(again, broken, offset)
    assert (rebuilt(broken).fence, rebuilt(broken).read) == (2, 3)
