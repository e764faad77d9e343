"""Instants as text: RFC 3339 in Vietnamese local time, whole milliseconds. Pure."""

from functools import lru_cache

from services.core.calendar import MINUTE_MS, UTC_OFFSET_MS, day_date

_MINUTES_A_DAY = 1440


@lru_cache(maxsize=16_384)
def _minute_text(minute: int) -> str:
    day, of_day = divmod(minute, _MINUTES_A_DAY)
    return f"{day_date(day).isoformat()}T{of_day // 60:02}:{of_day % 60:02}:"


def iso(ms: int) -> str:
    """``2026-11-23T08:15:30.250+07:00``; an int of numpy works as well."""
    minute, rest = divmod(int(ms) + UTC_OFFSET_MS, MINUTE_MS)
    return f"{_minute_text(minute)}{rest // 1000:02}.{rest % 1000:03}+07:00"


def yymmdd(day: int) -> str:
    """A local day as six digits, as case numbers carry it."""
    return day_date(day).strftime("%y%m%d")
