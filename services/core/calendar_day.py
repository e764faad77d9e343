"""The local calendar of the numbers: days, months, quarters and years of Asia/Ho_Chi_Minh.

Viet Nam keeps UTC+7 all year, so a local day is a fixed shift of the epoch.
"""

from datetime import UTC, date, datetime, timedelta, timezone

LOCAL = timezone(timedelta(hours=7))
OFFSET_MS = 7 * 3_600_000
DAY_MS = 86_400_000


def local_day(ms: int) -> int:
    """The number of the local day that holds an instant, counted from 1970-01-01."""
    return (ms + OFFSET_MS) // DAY_MS


def local_day_start(ms: int) -> int:
    """The first instant (ms) of the local day that holds an instant."""
    return (ms + OFFSET_MS) // DAY_MS * DAY_MS - OFFSET_MS


def period_start(window: str, ms: int) -> int:
    """The first instant (ms) of the calendar window (today, month, quarter, year) around ``ms``.

    Raises KeyError for any other window.
    """
    today = date.fromordinal(date(1970, 1, 1).toordinal() + local_day(ms))
    first = {
        "today": today,
        "month": today.replace(day=1),
        "quarter": today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1),
        "year": today.replace(month=1, day=1),
    }[window]
    return (first.toordinal() - date(1970, 1, 1).toordinal()) * DAY_MS - OFFSET_MS


def local_text(ms: int) -> str:
    """RFC 3339 text of an instant in local time, with milliseconds where there are any."""
    at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)
    spec = "milliseconds" if ms % 1000 else "seconds"
    return at.astimezone(LOCAL).isoformat(timespec=spec)
