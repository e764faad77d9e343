"""The pacer: gaps kept, divided by the speed; a pause does not count."""

import pytest

from services.replay.pace import Pacer, parse_speed


@pytest.mark.parametrize(("speed", "wait"), [(1.0, 10_000), (10.0, 1_000), (0.5, 20_000)])
def test_the_gap_between_arrivals_is_kept_at_every_speed(speed: float, wait: int) -> None:
    pacer = Pacer(speed)
    assert pacer.wait(1_000_000, 50) == 0
    assert pacer.wait(1_010_000, 50) == wait
    assert pacer.wait(1_010_000, 50 + wait) == 0


def test_at_full_speed_everything_is_due() -> None:
    pacer = Pacer(None)
    assert pacer.wait(0, 0) == 0
    assert pacer.wait(10**12, 0) == 0


def test_being_late_is_made_up_and_not_added() -> None:
    pacer = Pacer(1.0)
    pacer.wait(0, 0)
    assert pacer.wait(1_000, 5_000) == 0
    assert pacer.wait(6_000, 5_000) == 1_000


def test_a_pause_does_not_count() -> None:
    pacer = Pacer(1.0)
    pacer.wait(0, 0)
    pacer.pause(400)
    assert pacer.wait(1_000, 90_000) is None
    pacer.resume(100_400)
    assert pacer.wait(1_000, 100_400) == 600


def test_a_step_lets_one_record_through_and_time_goes_on_from_there() -> None:
    pacer = Pacer(1.0)
    pacer.wait(0, 0)
    pacer.step(100)
    assert pacer.paused
    assert pacer.wait(60_000, 200) == 0
    pacer.sent(60_000)
    assert pacer.wait(61_000, 300) is None
    pacer.toggle(1_000)
    assert pacer.wait(61_000, 1_000) == 1_000


def test_pausing_twice_is_one_pause() -> None:
    pacer = Pacer(1.0)
    pacer.wait(0, 0)
    pacer.pause(100)
    pacer.pause(5_000)
    pacer.resume(10_100)
    pacer.resume(20_000)
    assert pacer.wait(1_000, 10_100) == 900


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("1", 1.0), ("600x", 600.0)])
def test_a_speed_is_a_number_or_max(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "fast", "inf", "nan", ""])
def test_anything_else_is_no_speed(text: str) -> None:
    with pytest.raises(ValueError, match="a speed is"):
        parse_speed(text)
