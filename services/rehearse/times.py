"""Instants and spans as a scenario file writes them. Pure.

A local date and time is Vietnamese time; ``"+2h30m"`` counts from the scenario's start.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone

from services.core.calendar import UTC_OFFSET_MS

VIETNAM = timezone(timedelta(milliseconds=UTC_OFFSET_MS))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
_PARTS = re.compile(r"(?:\d+[dhms])+")
_PART = re.compile(r"(\d+)([dhms])")


def length(value: object) -> int:
    """``"90m"``, ``"1d2h"`` in ms. Raises ValueError."""
    if not isinstance(value, str) or not _PARTS.fullmatch(value):
        raise ValueError(f'{value!r} is no length like "90m" or "1d2h"')
    return sum(int(n) * _UNITS_MS[unit] for n, unit in _PART.findall(value))


def instant(value: object, start: int | None = None) -> int:
    """An instant in ms since the epoch; ``"+..."`` counts from ``start``. Raises ValueError."""
    if isinstance(value, datetime):
        at = value if value.tzinfo else value.replace(tzinfo=VIETNAM)
        return (at - _EPOCH) // timedelta(milliseconds=1)
    if isinstance(value, date):
        return instant(datetime(value.year, value.month, value.day, tzinfo=VIETNAM))
    if isinstance(value, str) and value.startswith("+") and start is not None:
        return start + length(value[1:])
    after = "" if start is None else ', nor "+2h30m" after the start'
    raise ValueError(f"{value!r} is no date and time like 2022-09-27T18:00:00{after}")


def show(ms: int) -> str:
    """``27 Sep 18:05``, Vietnamese time."""
    return f"{_EPOCH.astimezone(VIETNAM) + timedelta(milliseconds=ms):%d %b %H:%M}"


def iso(ms: int) -> str:
    """RFC 3339 with the Vietnamese offset."""
    return (_EPOCH.astimezone(VIETNAM) + timedelta(milliseconds=ms)).isoformat()


def show_length(ms: int) -> str:
    """``2 d 3 h``, ``5 min``."""
    minutes = ms // 60_000
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = ((days, "d"), (hours, "h"), (rest, "min"))
    return " ".join(f"{n} {unit}" for n, unit in parts if n) or "0 min"
