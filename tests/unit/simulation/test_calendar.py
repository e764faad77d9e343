"""Working days, holidays, office hours and the lunar year."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.calendar import (
    DAY_MS,
    HOUR_MS,
    Calendar,
    OfficeAxis,
    day_date,
    day_of,
    day_start,
    local_day,
    tet_break,
    weekday,
)
from services.core.lunar import lunar_date, tet
from services.simulation.instants import iso

CALENDAR = Calendar()
AXIS = OfficeAxis("51", day_of(date(2025, 9, 1)), day_of(date(2026, 4, 1)))


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return day_start(day_of(date(year, month, day))) + hour * HOUR_MS + minute * 60_000


@pytest.mark.parametrize(
    ("year", "month", "day"),
    [(2022, 2, 1), (2023, 1, 22), (2024, 2, 10), (2025, 1, 29), (2026, 2, 17), (2030, 2, 2)],
)
def test_the_lunar_new_year_falls_where_viet_nam_keeps_it(year: int, month: int, day: int) -> None:
    assert tet(year) == date(year, month, day)


def test_the_hung_kings_are_remembered_after_a_leap_month_too() -> None:
    assert lunar_date(2023, 3, 10) == date(2023, 4, 29)
    assert lunar_date(2025, 3, 10) == date(2025, 4, 7)


@pytest.mark.parametrize("year", range(2018, 2040))
def test_every_tet_break_holds_the_first_lunar_day_and_a_week(year: int) -> None:
    first, last = tet_break(year)
    assert first <= day_of(tet(year)) <= last
    assert last - first >= 6


def test_offices_close_at_weekends_and_holidays() -> None:
    closed = [date(2025, 9, 2), date(2025, 9, 3), date(2025, 11, 1), date(2026, 1, 1)]
    assert not any(CALENDAR.is_working_day(day_of(d)) for d in closed)
    assert CALENDAR.is_working_day(day_of(date(2025, 11, 3)))


def test_a_local_day_begins_at_five_in_the_afternoon_of_utc() -> None:
    assert iso(day_start(day_of(date(2025, 11, 3)))) == "2025-11-03T00:00:00.000+07:00"
    assert local_day(at(2025, 11, 3) - 1) == day_of(date(2025, 11, 2))
    assert weekday(day_of(date(2025, 11, 3))) == 0
    assert day_date(day_of(date(2025, 11, 3))) == date(2025, 11, 3)


def test_intake_after_three_counts_from_the_next_morning() -> None:
    accepted = np.array([at(2025, 11, 7, 14, 59), at(2025, 11, 7, 15, 0)])
    due = AXIS.due(accepted, np.array([3, 3])).tolist()
    # Friday plus three working days; the later one starts on Monday at the opening.
    assert due == [at(2025, 11, 12, 14, 59), at(2025, 11, 13, 7, 30)]


def test_a_case_of_no_days_is_due_when_the_office_closes() -> None:
    accepted = np.array([at(2025, 11, 5, 9, 0)])
    assert AXIS.due(accepted, np.array([0])).tolist() == [at(2025, 11, 5, 17, 30)]


def test_a_due_date_jumps_over_tet() -> None:
    accepted = np.array([at(2026, 2, 13, 9, 0)])
    assert AXIS.due(accepted, np.array([1])).tolist() == [at(2026, 2, 23, 9, 0)]


@settings(max_examples=200)
@given(st.integers(at(2025, 9, 10), at(2026, 3, 20)))
def test_office_time_runs_only_in_office_hours(instant: int) -> None:
    one = np.array([instant])
    opened = AXIS.next_open(one)
    assert opened[0] >= instant
    assert AXIS.elapsed(opened)[0] == AXIS.elapsed(one)[0]
    assert AXIS.next_open(opened)[0] == opened[0]
    assert CALENDAR.is_working_day(local_day(int(opened[0])))
    later = AXIS.elapsed(one + DAY_MS)[0] - AXIS.elapsed(one)[0]
    assert 0 <= later <= 8 * HOUR_MS + HOUR_MS // 2


def test_a_scenario_can_move_the_festival() -> None:
    first = day_of(date(2025, 11, 4))
    moved = Calendar(extra_break=(first, first + 6))
    assert not moved.is_working_day(first)
    assert moved.tet_days(first + 9) == (first, first + 6)
    assert moved.tet_days(first - 1) == CALENDAR.tet_days(first - 1)
