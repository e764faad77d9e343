"""How often a worker flushes, on a clock of the test's own."""

import pytest

from services.kpi.rhythm import BEHIND_SECONDS, INTERVALS, SPAN_SECONDS, Rhythm
from tests.unit.kpi.fakes import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def after(rhythm: Rhythm, clock: FakeClock, seconds: int, share: float) -> float:
    """The interval after so many seconds of which a share went into flushes."""
    for _ in range(seconds):
        rhythm.spent(share * SPAN_SECONDS)
        clock.seconds += SPAN_SECONDS
        interval = rhythm.interval(behind=False)
    return interval


def test_a_quiet_worker_flushes_as_often_as_it_may(clock: FakeClock) -> None:
    assert after(Rhythm(clock), clock, 5, 0.001) == INTERVALS[0]


def test_dear_flushes_become_rarer_up_to_a_limit_and_come_back(clock: FakeClock) -> None:
    rhythm = Rhythm(clock)
    assert after(rhythm, clock, 1, 0.2) == INTERVALS[1]
    assert after(rhythm, clock, 20, 0.2) == INTERVALS[-1]
    assert after(rhythm, clock, 20, 0.045) == INTERVALS[-1]  # neither too much nor little
    assert after(rhythm, clock, 1, 0.01) == INTERVALS[-2]
    assert after(rhythm, clock, 20, 0.01) == INTERVALS[0]


def test_a_moment_decides_nothing(clock: FakeClock) -> None:
    rhythm = Rhythm(clock)
    rhythm.spent(0.5)
    clock.seconds += SPAN_SECONDS / 2
    assert rhythm.interval(behind=False) == INTERVALS[0]


def test_while_records_wait_flushes_are_rarest(clock: FakeClock) -> None:
    rhythm = Rhythm(clock)
    assert rhythm.interval(behind=True) == BEHIND_SECONDS > max(INTERVALS)
    assert rhythm.interval(behind=False) == INTERVALS[0]
