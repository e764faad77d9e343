"""When events are due."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.load import profiles
from services.load.profiles import Profile, Schedule, build

RATES = st.floats(10, 5000)


def all_of(schedule: Schedule) -> profiles.Floats:
    return schedule.share(0, 1)


def test_a_constant_rate_has_equal_gaps() -> None:
    at = all_of(profiles.constant(1000, 3))
    assert len(at) == 3000
    assert at[0] == 0
    assert np.allclose(np.diff(at), 0.001)


def test_a_ramp_sends_half_its_time_at_each_side_of_the_middle_rate() -> None:
    schedule = profiles.ramp(0, 1000, 10)
    at = all_of(schedule)
    assert len(at) == 5000
    assert (at < 5).sum() == pytest.approx(1250, abs=1)


def test_a_step_holds_each_rate_equally_long() -> None:
    at = all_of(profiles.step(100, 500, 10))
    assert np.histogram(at, np.arange(0, 11, 2))[0].tolist() == [200, 400, 600, 800, 1000]


def test_a_spike_takes_the_middle_fifth() -> None:
    at = all_of(profiles.spike(100, 2000, 10))
    found = np.histogram(at, [0, 4, 6, 10])[0]
    assert found.tolist() == pytest.approx([400, 4000, 400], abs=1)


def test_a_day_is_busiest_in_the_morning_and_quiet_at_night() -> None:
    schedule = profiles.day(1000, 24)
    rates = schedule.due(np.arange(25.0))
    by_hour = np.diff(rates)
    assert 8 <= int(by_hour.argmax()) <= 10
    assert by_hour.max() == pytest.approx(1000, rel=0.1)
    assert by_hour[3] < 100


@pytest.mark.parametrize("profile", ["constant", "ramp", "step", "spike", "day"])
@given(rate=RATES, to=RATES, seconds=st.floats(1, 30))
def test_instants_and_counts_are_each_others_inverse(
    profile: Profile, rate: float, to: float, seconds: float
) -> None:
    schedule = build(profile, rate, None if profile in ("constant", "day") else to, seconds)
    numbers = np.arange(0, schedule.total, max(1, schedule.total // 500), dtype=np.int64)
    at = schedule.instants(numbers)
    assert all(a <= b for a, b in pairwise(at))
    assert at[0] >= 0
    assert at[-1] <= seconds * (1 + 1e-9)
    assert np.allclose(schedule.due(at), numbers, atol=1e-4 * max(1, schedule.top))


@given(rate=RATES, processes=st.integers(1, 7))
def test_the_shares_of_all_senders_are_the_schedule(rate: float, processes: int) -> None:
    schedule = profiles.constant(rate, 4)
    shares = np.concatenate([schedule.share(n, processes) for n in range(processes)])
    assert np.array_equal(np.sort(shares), all_of(schedule))


def test_a_warm_up_goes_before_at_the_first_rate() -> None:
    schedule = profiles.spike(100, 2000, 10).warmed(5)
    assert schedule.seconds == 15
    assert np.histogram(all_of(schedule), [0, 4.9999])[0].tolist() == [500]
    assert profiles.ramp(0, 1000, 10).warmed(5).points[0] == (0.0, 100.0)
    assert profiles.constant(5, 5).warmed(0) == profiles.constant(5, 5)


@pytest.mark.parametrize(
    "points",
    [((0.0, 5.0),), ((1.0, 5.0), (2.0, 5.0)), ((0.0, 5.0), (3.0, 5.0), (2.0, 5.0)),
     ((0.0, -1.0), (9.0, 5.0)), ((0.0, 0.01), (1.0, 0.01)), ((0.0, 5.0), (0.0, 5.0))],
)  # fmt: skip
def test_a_line_that_is_no_schedule_is_refused(points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match=r"schedule|rate"):
        Schedule(points)


def test_a_profile_says_which_rate_is_missing_or_too_much() -> None:
    with pytest.raises(ValueError, match="--to"):
        build("ramp", 10, None, 10)
    with pytest.raises(ValueError, match="one rate"):
        build("constant", 10, 20, 10)
    assert build("knee", 10, 20, 10) == profiles.constant(10, 10)
