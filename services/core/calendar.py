"""Local days, public holidays and office hours of Viet Nam. Pure: the instant is an argument.

Instants are milliseconds since the epoch; a *day* is the number of a local day (Asia/Ho_Chi_Minh,
UTC+7 all year) since 1970-01-01. ``OfficeAxis`` lays office hours end to end on one line, so that
"three working days later" is an addition there; it takes and gives whole numpy arrays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from services.core.lunar import lunar_date, tet

UTC_OFFSET_MS = 7 * 3_600_000
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
_EPOCH = date(1970, 1, 1)
#: 1970-01-01 was a Thursday.
_EPOCH_WEEKDAY = 3
#: Intake after this hour counts from the next working morning.
LATE_INTAKE_HOUR = 15

#: Tết breaks announced by the government: first and last day. Other years: two days before the
#: first lunar day to four days after it.
_TET_BREAKS: Mapping[int, tuple[date, date]] = MappingProxyType(
    {
        2023: (date(2023, 1, 20), date(2023, 1, 26)),
        2024: (date(2024, 2, 8), date(2024, 2, 14)),
        2025: (date(2025, 1, 25), date(2025, 2, 2)),
        2026: (date(2026, 2, 14), date(2026, 2, 22)),
    }
)
_FIXED_HOLIDAYS = ((1, 1), (4, 30), (5, 1), (9, 2), (9, 3))


def local_day(ms: int) -> int:
    """The local day that contains an instant."""
    return (ms + UTC_OFFSET_MS) // DAY_MS


def day_start(day: int) -> int:
    """The first instant of a local day."""
    return day * DAY_MS - UTC_OFFSET_MS


def day_date(day: int) -> date:
    return _EPOCH + timedelta(days=day)


def day_of(when: date) -> int:
    return (when - _EPOCH).days


def weekday(day: int) -> int:
    """0 for Monday to 6 for Sunday."""
    return (day + _EPOCH_WEEKDAY) % 7


def month_start(day: int) -> int:
    """The first day of the month of a day."""
    return day_of(day_date(day).replace(day=1))


def quarter_start(day: int) -> int:
    when = day_date(day)
    return day_of(when.replace(month=(when.month - 1) // 3 * 3 + 1, day=1))


def year_start(day: int) -> int:
    return day_of(day_date(day).replace(month=1, day=1))


@lru_cache(maxsize=256)
def tet_break(year: int) -> tuple[int, int]:
    """First and last day of the Tết break of a civil year."""
    if year in _TET_BREAKS:
        first, last = _TET_BREAKS[year]
        return day_of(first), day_of(last)
    new_year = day_of(tet(year))
    return new_year - 2, new_year + 4


@lru_cache(maxsize=256)
def _holidays(year: int) -> frozenset[int]:
    days = {day_of(date(year, month, day)) for month, day in _FIXED_HOLIDAYS}
    days.add(day_of(lunar_date(year, 3, 10)))
    first, last = tet_break(year)
    days.update(range(first, last + 1))
    return frozenset(days)


@dataclass(frozen=True)
class Calendar:
    """Which days offices work. ``extra_break``: one more Tết break (first and last day), with
    which a scenario moves the festival to where it wants it.
    """

    extra_break: tuple[int, int] | None = None

    def is_holiday(self, day: int) -> bool:
        if self.extra_break is not None and self.extra_break[0] <= day <= self.extra_break[1]:
            return True
        return day in _holidays(day_date(day).year)

    def is_working_day(self, day: int) -> bool:
        return weekday(day) < 5 and not self.is_holiday(day)

    def next_working_day(self, day: int) -> int:
        """The first working day after a day."""
        day += 1
        while not self.is_working_day(day):
            day += 1
        return day

    def add_working_days(self, day: int, count: int) -> int:
        """The ``count``-th working day after a day; the day itself for 0."""
        for _ in range(count):
            day = self.next_working_day(day)
        return day

    def last_working_days_of_month(self, day: int, count: int) -> frozenset[int]:
        """The last ``count`` working days of the month of a day."""
        first_of_next = month_start(month_start(day) + 31)
        found: list[int] = []
        at = first_of_next - 1
        while len(found) < count:
            if self.is_working_day(at):
                found.append(at)
            at -= 1
        return frozenset(found)

    def tet_days(self, day: int) -> tuple[int, int]:
        """The Tết break nearest to a day; from its first day on the scenario's own, if any."""
        if self.extra_break is not None and day >= self.extra_break[0]:
            return self.extra_break
        year = day_date(day).year
        breaks = [tet_break(y) for y in (year - 1, year, year + 1)]
        return min(breaks, key=lambda b: abs(b[0] - day))


@dataclass(frozen=True)
class OfficeHours:
    """Two sessions of a working day, in ms since local midnight."""

    opens: int
    noon: int
    resumes: int
    closes: int


_H = HOUR_MS
SUMMER = OfficeHours(7 * _H, 11 * _H + _H // 2, 13 * _H + _H // 2, 17 * _H)
WINTER = OfficeHours(7 * _H + _H // 2, 11 * _H + _H // 2, 13 * _H + _H // 2, 17 * _H + _H // 2)
MEKONG = OfficeHours(7 * _H, 11 * _H, 13 * _H, 17 * _H)
#: The central coast keeps winter hours from mid October to mid April, the Mekong provinces the
#: same hours all year (assumptions; every province may decide for itself).
_SEASONAL = frozenset({"45", "51"})


def office_hours(province: str, day: int) -> OfficeHours:
    """The office hours of a province on a working day of that season."""
    if province not in _SEASONAL:
        return MEKONG
    when = day_date(day)
    return SUMMER if (4, 16) <= (when.month, when.day) <= (10, 15) else WINTER


Ints = NDArray[np.int64]


@dataclass(frozen=True)
class OfficeAxis:
    """Office time of one province between two days (last one excluded), in ms since ``first``.

    Instants outside the span count as its ends: choose it wide enough.
    """

    province: str
    first: int
    last: int
    calendar: Calendar = field(default_factory=Calendar)

    def __post_init__(self) -> None:
        n = self.last - self.first
        hours = np.zeros((n, 4), dtype=np.int64)
        working = np.zeros(n, dtype=bool)
        for i in range(n):
            h = office_hours(self.province, self.first + i)
            hours[i] = (h.opens, h.noon, h.resumes, h.closes)
            working[i] = self.calendar.is_working_day(self.first + i)
        morning = np.where(working, hours[:, 1] - hours[:, 0], 0)
        afternoon = np.where(working, hours[:, 3] - hours[:, 2], 0)
        cumulated = np.concatenate(([0], np.cumsum(morning + afternoon)))
        for name, value in (
            ("_hours", hours), ("_working", working), ("_morning", morning),
            ("_afternoon", afternoon), ("_cumulated", cumulated),
            ("_day_number", np.concatenate(([0], np.cumsum(working)))),
            ("_working_days", np.flatnonzero(working)),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    _hours: Ints = field(init=False, repr=False, compare=False)
    _working: NDArray[np.bool_] = field(init=False, repr=False, compare=False)
    _morning: Ints = field(init=False, repr=False, compare=False)
    _afternoon: Ints = field(init=False, repr=False, compare=False)
    _cumulated: Ints = field(init=False, repr=False, compare=False)
    _day_number: Ints = field(init=False, repr=False, compare=False)
    _working_days: Ints = field(init=False, repr=False, compare=False)

    def elapsed(self, instants: Ints) -> Ints:
        """Office time from the axis' start to each instant, in ms."""
        day = (instants + UTC_OFFSET_MS) // DAY_MS - self.first
        inside = np.clip(day, 0, self.last - self.first - 1)
        of_day = instants - ((inside + self.first) * DAY_MS - UTC_OFFSET_MS)
        hours = self._hours[inside]
        morning = np.clip(of_day - hours[:, 0], 0, self._morning[inside])
        afternoon = np.clip(of_day - hours[:, 2], 0, self._afternoon[inside])
        total: Ints = self._cumulated[inside] + morning + afternoon
        return total

    def instant(self, elapsed: Ints) -> Ints:
        """The earliest office instant after which ``elapsed`` ms of office time begin to count.

        At the seam between two working days this is the opening of the later one.
        """
        inside = np.searchsorted(self._cumulated, elapsed, side="right") - 1
        inside = np.clip(inside, 0, self.last - self.first - 1)
        rest = elapsed - self._cumulated[inside]
        hours = self._hours[inside]
        of_day = np.where(
            rest < self._morning[inside],
            hours[:, 0] + rest,
            hours[:, 2] + rest - self._morning[inside],
        )
        found: Ints = (inside + self.first) * DAY_MS - UTC_OFFSET_MS + of_day
        return found

    def next_open(self, instants: Ints) -> Ints:
        """The instant itself in office hours, else the next opening."""
        return self.instant(self.elapsed(instants))

    def due(self, accepted: Ints, working_days: Ints) -> Ints:
        """When a case accepted at an instant is due (domain rule: intake from 15:00 on counts
        from the next working morning; 0 working days means by closing time of that day).
        """
        day = (accepted + UTC_OFFSET_MS) // DAY_MS - self.first
        of_day = accepted + UTC_OFFSET_MS - (day + self.first) * DAY_MS
        late = (of_day >= LATE_INTAKE_HOUR * HOUR_MS) | ~self._working[day]
        # _day_number[d] counts the working days before d: also the index of the next one from d.
        at = np.where(late, self._day_number[day + 1], self._day_number[day]) + working_days
        target = self._working_days[at]
        clock = np.where(late, self._hours[target, 0], of_day)
        clock = np.where(working_days == 0, self._hours[target, 3], clock)
        due: Ints = (target + self.first) * DAY_MS - UTC_OFFSET_MS + clock
        return due
