"""What is sent: in order, filtered, delayed, in laps, and the same every time."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.codec import partition_of
from services.replay import Mutations, Outgoing, Recording, Sequence, Wanted, Wishes
from services.replay.sequence import rebased
from services.runtime.reference import load_territories
from tests.unit.replay.recordings import PARTITIONS, recording

PLACES = load_territories()


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Recording]:
    recording(tmp_path / "a.iocrec", seed=5, count=1_500)
    with Recording.open(tmp_path / "a.iocrec") as opened:
        yield opened


def sequence(found: Recording, partitions: int = PARTITIONS, **wishes: object) -> Sequence:
    return Sequence(found, Wishes(**wishes), PLACES, partitions)  # type: ignore[arg-type]  # by name


def values_by_key(sent: list[Outgoing]) -> dict[object, list[bytes | None]]:
    kept: dict[object, list[bytes | None]] = {}
    for out in sent:
        kept.setdefault((out.topic, out.key), []).append(out.value)
    return kept


def test_the_order_per_key_is_kept_and_the_arrival_stands_in_the_header(found: Recording) -> None:
    sent = list(sequence(found))
    recorded = list(found)
    assert [(o.key, o.value, o.partition) for o in sent] == [
        (r.key, r.value, r.partition) for r in recorded
    ]
    assert all(o.headers[-1] == ("ioc-arrival", b"%d" % o.arrival) for o in sent)
    assert all(n != "ioc-arrival" for o in sent for n, _ in o.headers[:-1])


def test_the_fast_way_sends_the_same_records_in_the_same_order_per_partition(
    found: Recording,
) -> None:
    slow: dict[tuple[str, int], list[object]] = {}
    for out in sequence(found):
        slow.setdefault((out.topic, out.partition), []).append((out.key, out.value, out.headers))
    fast: dict[tuple[str, int], list[object]] = {}
    assert sequence(found).unchanged
    for topic, partition, rows, _ in sequence(found).packs():
        fast.setdefault((topic, partition), []).extend(rows)
    assert fast == slow


@pytest.mark.parametrize("partitions", [1, 3, 8])
def test_with_other_partitions_keys_move_together_and_wrong_places_stay_wrong(
    found: Recording, partitions: int
) -> None:
    sent = list(sequence(found, partitions))
    assert not sequence(found, partitions).unchanged
    for out, record in zip(sent, found, strict=True):
        if out.key is None or record.key is None:
            continue
        was_right = partition_of(record.key, PARTITIONS) == record.partition
        is_right = partition_of(out.key, partitions) == out.partition
        assert is_right == was_right or partitions == 1
    assert values_by_key(sent) == values_by_key(list(sequence(found)))


def test_a_time_range_is_half_open(found: Recording) -> None:
    arrivals = [r.arrival for r in found]
    since, until = arrivals[300], arrivals[900]
    sent = list(sequence(found, since=since, until=until))
    assert [o.arrival for o in sent] == [a for a in arrivals if since <= a < until]


def test_filters_leave_out_what_is_not_wanted(found: Recording) -> None:
    wanted = Wanted.of(PLACES, types=["order"])
    sent = list(sequence(found, wanted=wanted))
    assert 0 < len(sent) < len(found)
    assert all(b"ioc.order.v1" in (o.value or b"") for o in sent)
    topics = {o.topic for o in sequence(found, topics=("ioc.indicator.v1",))}
    assert topics == {"ioc.indicator.v1"}


def test_dropped_records_are_missing_doubled_ones_follow_themselves(found: Recording) -> None:
    plain = list(sequence(found))
    dropped = list(sequence(found, mutations=Mutations(drop=0.3)))
    doubled = list(sequence(found, mutations=Mutations(duplicate=0.3)))
    assert 0.6 < len(dropped) / len(plain) < 0.8
    assert 1.2 < len(doubled) / len(plain) < 1.4
    assert Counter(o.value for o in dropped) <= Counter(o.value for o in plain)
    assert [o for n, o in enumerate(doubled) if n == 0 or o != doubled[n - 1]] == [
        o for n, o in enumerate(plain) if n == 0 or o != plain[n - 1]
    ]


def test_delayed_records_come_later_and_say_so(found: Recording) -> None:
    plain = {(o.key, o.value, o.arrival) for o in sequence(found)}
    sent = list(sequence(found, mutations=Mutations(delay=0.2, delay_ms=60_000)))
    late = [o for o in sent if (o.key, o.value, o.arrival) not in plain]
    assert 0.1 < len(late) / len(sent) < 0.3
    assert all((o.key, o.value, o.arrival - 60_000) in plain for o in late)
    assert [o.arrival for o in sent] == sorted(o.arrival for o in sent)


def test_corrupt_values_lie_where_the_good_ones_would(found: Recording) -> None:
    plain = list(sequence(found))
    sent = list(sequence(found, mutations=Mutations(corrupt=0.5)))
    assert [(o.key, o.partition, o.arrival) for o in sent] == [
        (o.key, o.partition, o.arrival) for o in plain
    ]
    changed = sum(a.value != b.value for a, b in zip(sent, plain, strict=True))
    assert 0.4 < changed / len(sent) < 0.6


def test_a_sequence_can_be_gone_through_again_and_is_the_same(found: Recording) -> None:
    one = sequence(found, laps=2, shift=5_000, mutations=Mutations(0.1, 0.1, 9_000, 0.1, 0.1, 3))
    assert list(one) == list(one)


def test_laps_follow_one_another_in_time(found: Recording) -> None:
    one = sequence(found, laps=3)
    arrivals = [o.arrival for o in one]
    assert arrivals == sorted(arrivals)
    assert len(arrivals) == 3 * len(found)
    assert arrivals[len(found)] == arrivals[0] + one.lap_ms


@pytest.mark.parametrize("laps", [1, 3])
def test_rebased_times_begin_or_end_now(found: Recording, laps: int) -> None:
    now = 2_000_000_000_000
    for begin in (True, False):
        shift = rebased(found, Wishes(laps=laps), PLACES, now, begin=begin)
        arrivals = [o.arrival for o in sequence(found, laps=laps, shift=shift)]
        assert (arrivals[0] if begin else arrivals[-1]) == now


def test_the_oracle_reads_what_was_sent(found: Recording) -> None:
    changed = sequence(found, mutations=Mutations(0.1, 0.1, 60_000, 0.1, 0.1))
    sent, raw = list(changed), list(changed.raw())
    assert [(r.topic, r.partition, r.timestamp, r.key, r.value) for r in raw] == [
        (o.topic, o.partition, o.arrival, o.key, o.value) for o in sent
    ]
    assert {r.offset for r in sequence(found).raw()} >= {r.offset for r in found}
