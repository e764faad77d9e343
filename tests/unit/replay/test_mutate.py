"""Faults on purpose: as often as asked, and the same every time."""

from collections import Counter

import pytest

from services.replay.mutate import KEPT, Mutations, parse_delay


def fates(mutations: Mutations, count: int = 20_000) -> Counter[str]:
    found: Counter[str] = Counter()
    for offset in range(count):
        fate = mutations.fate("ioc.listing.v1", 1, offset)
        found["dropped"] += fate.copies == 0
        found["doubled"] += fate.copies == 2
        found["late"] += fate.delay_ms > 0
        found["corrupt"] += fate.corrupt
    return found


def test_each_fault_comes_as_often_as_asked_and_by_itself() -> None:
    found = fates(Mutations(0.1, 0.05, 1_000, 0.02, 0.2, seed=4))
    assert found["dropped"] == pytest.approx(400, rel=0.2)
    assert found["doubled"] == pytest.approx(0.98 * 2_000, rel=0.1)
    assert found["late"] == pytest.approx(0.98 * 1_000, rel=0.15)
    assert found["corrupt"] == pytest.approx(0.98 * 4_000, rel=0.1)


def test_the_seed_decides_and_another_one_decides_otherwise() -> None:
    first, second = Mutations(drop=0.5, seed=1), Mutations(drop=0.5, seed=2)
    one = [first.fate("t", 0, n).copies for n in range(100)]
    assert one == [first.fate("t", 0, n).copies for n in range(100)]
    assert one != [second.fate("t", 0, n).copies for n in range(100)]
    assert one != [first.fate("t", 0, n, lap=1).copies for n in range(100)]


def test_without_faults_everything_is_kept() -> None:
    assert Mutations().none
    assert Mutations().fate("t", 0, 1) is KEPT


def test_a_damaged_value_is_another_one_and_always_the_same() -> None:
    mutations = Mutations(corrupt=1.0)
    value = b'{"a": 1, "b": [2, 3]}'
    damaged = [mutations.spoil(value, "t", 0, n, 0) for n in range(200)]
    assert value not in damaged
    assert damaged == [mutations.spoil(value, "t", 0, n, 0) for n in range(200)]
    assert len(set(damaged)) > 20
    assert mutations.spoil(None, "t", 0, 1, 0) is not None


def test_a_delay_is_a_chance_and_seconds() -> None:
    assert parse_delay("0.05:600") == (0.05, 600_000)
    for text in ("0.05", "2:1", "0.1:-3", "x:y", "0.1:0"):
        with pytest.raises(ValueError, match="a delay is"):
            parse_delay(text)
