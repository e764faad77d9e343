"""How traffic is spread over hours, weekdays and the year (domain rules 7.1 and 7.2). Pure."""

from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.core.calendar import Calendar, day_date, weekday

Weights = NDArray[np.float64]


def _shape(hours: dict[int, float]) -> Weights:
    out: Weights = np.array([hours.get(h, 0.0) for h in range(24)])
    out /= out.sum()
    return out


def _spread(first: int, last: int, weight: float) -> dict[int, float]:
    return dict.fromkeys(range(first, last + 1), weight)


DIRECT_HOURS = _shape({7: 10, 8: 19, 9: 18, 10: 15, 11: 5, 13: 5, 14: 13, 15: 10, 16: 5})
ONLINE_HOURS = _shape(
    _spread(0, 5, 0.4)
    | {6: 1.6, 7: 6, 8: 10, 9: 11, 10: 9, 11: 5, 12: 3, 13: 5, 14: 9, 15: 9, 16: 7}
    | {17: 4, 18: 2.5, 19: 3.5, 20: 5, 21: 4, 22: 2, 23: 1}
)
REPORT_HOURS = _shape(
    _spread(0, 4, 0.6)
    | {5: 1.5, 6: 4, 7: 7, 8: 8, 9: 7.5, 10: 6.5, 11: 5, 12: 3, 13: 4, 14: 5.5, 15: 6}
    | {16: 6.5, 17: 7.5, 18: 6, 19: 6, 20: 5.5, 21: 4, 22: 2.2, 23: 1.3}
)
ORDER_HOURS = _shape(
    {0: 2, 1: 1, 5: 1, 6: 2, 7: 3, 8: 5, 9: 6, 10: 7, 11: 7, 12: 6}
    | _spread(2, 4, 0.5)
    | _spread(13, 16, 5)
    | {17: 4, 18: 4, 19: 6, 20: 9, 21: 9, 22: 5, 23: 1.5}
)
#: By weekday, Monday first.
DIRECT_WEEK = (1.25, 1.10, 1.00, 0.95, 0.80, 0.0, 0.0)
ONLINE_WEEK = (1.0, 1.0, 1.0, 1.0, 1.0, 0.35, 0.25)
REPORT_WEEK = (1.0, 1.0, 1.0, 1.0, 1.0, 0.85, 0.75)
ORDER_WEEK = (1.0, 1.0, 1.0, 1.0, 1.0, 1.1, 1.1)
_DOUBLE_DAYS = frozenset({(9, 9), (10, 10), (11, 11), (12, 12)})
#: The yearly digital transformation day and the month around it lift online filing.
CAMPAIGN_DAY = (10, 10)


def weeks_to_tet(calendar: Calendar, day: int) -> int | None:
    """0 in the break, -1 for the seven days before it, 1 for those after it, and so on up to five
    weeks before and three after; None in the rest of the year.
    """
    first, last = calendar.tet_days(day)
    if first <= day <= last:
        return 0
    if day < first:
        week = -((first - day + 6) // 7)
        return week if week >= -5 else None
    week = (day - last + 6) // 7
    return week if week <= 3 else None


_CASE_TET = {-3: 1.2, -2: 1.2, -1: 0.6, 1: 0.7, 2: 1.3, 3: 1.3}


def direct_factor(calendar: Calendar, day: int) -> float:
    """Cases filed at a desk or by post on a day, relative to a mean working day."""
    if not calendar.is_working_day(day):
        return 0.0
    week = weeks_to_tet(calendar, day)
    return DIRECT_WEEK[weekday(day)] * (1.0 if week is None else _CASE_TET.get(week, 1.0))


def online_factor(calendar: Calendar, day: int) -> float:
    """Cases filed online on a day, relative to a mean working day."""
    week = weeks_to_tet(calendar, day)
    if week == 0:
        return 0.1
    factor = ONLINE_WEEK[weekday(day)] * (1.0 if week is None else _CASE_TET.get(week, 1.0))
    return factor * (0.5 if calendar.is_holiday(day) else 1.0)


def report_factor(calendar: Calendar, day: int) -> float:
    return REPORT_WEEK[weekday(day)]


def order_factor(calendar: Calendar, day: int) -> float:
    """Orders on a day, relative to a plain weekday."""
    when = day_date(day)
    factor = ORDER_WEEK[weekday(day)] * (3.0 if (when.month, when.day) in _DOUBLE_DAYS else 1.0)
    match weeks_to_tet(calendar, day):
        case 0:
            return factor * 0.2
        case -5 | -4 | -3 | -2:
            return factor * 2.5
        case _:
            return factor


def in_campaign(day: int) -> bool:
    """True in the drives that lift online filing: 5 Aug to 5 Sep, and the week around 10 Oct."""
    when = day_date(day)
    if date(when.year, 8, 5) <= when <= date(when.year, 9, 5):
        return True
    return abs((when - date(when.year, *CAMPAIGN_DAY)).days) <= 3
