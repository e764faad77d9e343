"""Windows of contract section 4, written again from its text: half-open intervals in epoch ms."""

from datetime import UTC, datetime, timedelta, timezone

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
#: Asia/Ho_Chi_Minh has been UTC+7 without summer time since 1975.
HO_CHI_MINH = timezone(timedelta(hours=7))

#: Rolling windows: (length, pane).
ROLLING = {
    "5m": (5 * MINUTE, 10 * SECOND),
    "1h": (HOUR, 10 * SECOND),
    "24h": (24 * HOUR, MINUTE),
    "7d": (7 * DAY, HOUR),
    "30d": (30 * DAY, HOUR),
}
CALENDAR = ("today", "month", "quarter", "year")
WINDOWS = (*ROLLING, *CALENDAR)
#: How long panes are kept, counted back from the clock: (pane, ms).
KEPT = ((10 * SECOND, 3 * HOUR), (MINUTE, 27 * HOUR), (HOUR, 40 * DAY), (DAY, 400 * DAY))


def floor(t: int, pane: int) -> int:
    """The start of the epoch-aligned pane that contains t."""
    return t - t % pane


def local(t: int) -> datetime:
    """The wall clock in Ho Chi Minh City; t in ms, the result cut to its second."""
    return datetime.fromtimestamp(t // 1000, UTC).astimezone(HO_CHI_MINH)


def local_ms(year: int, month: int = 1, day: int = 1, hour: int = 0, minute: int = 0) -> int:
    """A wall-clock instant of Ho Chi Minh City in epoch ms."""
    moment = datetime(year, month, day, hour, minute, tzinfo=HO_CHI_MINH)
    return round(moment.timestamp()) * 1000


def bounds(window: str, as_of: int) -> tuple[int, int]:
    """[start, end) of a window at an instant. Raises KeyError for an unknown window."""
    if window in ROLLING:
        length, pane = ROLLING[window]
        end = floor(as_of, pane) + pane
        return end - length, end
    now = local(as_of)
    first = {
        "today": (now.month, now.day),
        "month": (now.month, 1),
        "quarter": ((now.month - 1) // 3 * 3 + 1, 1),
        "year": (1, 1),
    }[window]
    return local_ms(now.year, *first), floor(as_of, MINUTE) + MINUTE


def answerable(window: str, as_of: int, clock: int) -> bool | None:
    """Whether the view must answer: True, False (422), or None within one pane of the border.

    Both ends must lie on boundaries of panes still kept. The contract does not say whether the
    pane that is just running out is still kept, so nobody is held to either answer there.
    """
    if as_of > clock + 15 * MINUTE:
        return False
    verdicts = [_on_kept_boundary(t, clock) for t in bounds(window, as_of)]
    if False in verdicts:
        return False
    return None if None in verdicts else True


def _on_kept_boundary(t: int, clock: int) -> bool | None:
    unsure = False
    for pane, keep in KEPT:
        # Day panes are local days: their boundaries lie seven hours before the epoch's.
        if (t + 7 * HOUR) % pane if pane == DAY else t % pane:
            continue
        if t >= clock - keep + pane:
            return True
        unsure = unsure or t > clock - keep - pane
    return None if unsure else False
