"""Windows (contract section 4): from a name and an instant to [start, end)."""

from services.core.calendar_day import DAY_MS, period_start
from services.core.kpis import CALENDAR

MINUTE_MS = 60_000
HOUR_MS = 3_600_000

#: Length and pane of the rolling windows, ms.
ROLLING_MS = {
    "5m": (5 * MINUTE_MS, 10_000),
    "1h": (HOUR_MS, 10_000),
    "24h": (DAY_MS, MINUTE_MS),
    "7d": (7 * DAY_MS, HOUR_MS),
    "30d": (30 * DAY_MS, HOUR_MS),
}


def bounds(window: str, as_of: int) -> tuple[int, int]:
    """[start, end) in ms of a window at ``as_of``. Raises KeyError for an unknown window.

    A rolling window is exactly its length in whole panes, the one that holds ``as_of`` included; a
    calendar window runs from the period's local start through the minute that holds ``as_of``.
    """
    if window in CALENDAR:
        return period_start(window, as_of), as_of // MINUTE_MS * MINUTE_MS + MINUTE_MS
    length, pane = ROLLING_MS[window]
    end = as_of // pane * pane + pane
    return end - length, end
