"""Texts of a foreign log as values: times with a zone, durations, numbers."""

import datetime as dt
import re
import zoneinfo
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

#: Text to an instant with an offset. Raises ValueError.
Clock = Callable[[str], dt.datetime]

_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")
_DURATION = re.compile(r"(-?\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MEMO_LIMIT = 1 << 16
_NO_SHIFT = dt.timedelta(0)


def zone(text: str) -> dt.tzinfo:
    """``+07:00``, ``Z`` or a name of the IANA database. Raises ValueError."""
    if text == "Z":
        return dt.UTC
    found = _OFFSET.fullmatch(text)
    if found:
        sign, hours, minutes = found.groups()
        offset = dt.timedelta(hours=int(hours), minutes=int(minutes))
        return dt.timezone(-offset if sign == "-" else offset)
    try:
        return zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{text!r} is no zone: +07:00, or a name like Asia/Ho_Chi_Minh") from None


def clock(form: str, of: dt.tzinfo, shift: dt.timedelta = _NO_SHIFT) -> Clock:
    """A reader of times in one format, moved by ``shift``. Texts repeat, so it remembers them.

    Raises ValueError for a format that strptime would refuse.
    """
    known: dict[str, dt.datetime] = {}
    iso = form in ("iso", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
    length = None if form == "iso" else 19
    # Read together with the text, a fixed offset costs nothing.
    named = isinstance(of, zoneinfo.ZoneInfo)
    suffix = (
        dt.datetime(2000, 1, 1, tzinfo=of).isoformat()[19:]
        if length and isinstance(of, dt.timezone)
        else ""
    )
    if not iso:
        _try(form)

    def read(text: str) -> dt.datetime:
        at = known.get(text)
        if at is not None:
            return at
        if iso:
            # fromisoformat takes week dates too, and strptime's two forms have one length.
            if (length is not None and len(text) != length) or not _ISO_DAY.match(text):
                raise ValueError(text)
            at = dt.datetime.fromisoformat(text + suffix)
        else:
            at = dt.datetime.strptime(text, form)  # noqa: DTZ007 (the zone is given below)
        if at.tzinfo is None:
            at = at.replace(tzinfo=of)
        if named:
            # Arithmetic across a change of the clock is right with a plain offset only.
            at = at.replace(tzinfo=dt.timezone(at.utcoffset() or _NO_SHIFT))
        if shift:
            at += shift
        if len(known) >= _MEMO_LIMIT:
            known.clear()
        known[text] = at
        return at

    return read


def _try(form: str) -> None:
    sample = dt.datetime(2011, 7, 4, 8, 30, 15, tzinfo=dt.UTC)
    try:
        dt.datetime.strptime(sample.strftime(form), form)  # noqa: DTZ007 (only tried)
    except (ValueError, re.error) as error:
        raise ValueError(f"{form!r} is no format of times: {error}") from None
    if "%" not in form:
        raise ValueError(f"{form!r} is no format of times: iso, or like %d.%m.%Y %H:%M")


def duration(text: str) -> dt.timedelta:
    """``90s``, ``15m``, ``24h``, ``30d``, ``2w``. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no length of time: like 15m, 24h, 30d, 2w")
    return dt.timedelta(seconds=float(found[1]) * _SECONDS[found[2]])


def number(text: str) -> Decimal:
    """Digits with a point, or thousands with commas left out. Raises ValueError."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not found.is_finite():
        raise ValueError(text)
    return found


def whole(value: Decimal) -> int:
    """The nearest whole number, halves away from zero."""
    return int(value.to_integral_value(ROUND_HALF_UP))


_TRUE = frozenset({"true", "yes", "y", "t", "1"})
_FALSE = frozenset({"false", "no", "n", "f", "0"})


def truth(text: str) -> bool:
    """Yes or no, in the usual spellings. Raises ValueError."""
    word = text.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(text)


def shift_to(first: dt.datetime, near: dt.date) -> dt.timedelta:
    """Whole weeks that move ``first`` to within three and a half days of noon of ``near``.

    Weeks, so that weekday and hour stay.
    """
    target = dt.datetime.combine(near, dt.time(12), first.tzinfo)
    week = dt.timedelta(weeks=1)
    return round((target - first) / week) * week
