"""Instants as text: RFC 3339 in, RFC 3339 at +07:00 (Asia/Ho_Chi_Minh) out. Pure."""

import re
from datetime import UTC, datetime, timedelta, timezone

#: Viet Nam has had no daylight saving and no other offset since 1975.
LOCAL = timezone(timedelta(hours=7))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:([Zz])|([+\- ])(\d\d:\d\d))", re.ASCII
)
_STEP = re.compile(r"(\d{1,9})(s|m|h|d)?", re.ASCII)
_UNIT_MS = {None: 1000, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse(text: str) -> int:
    """RFC 3339 with an offset → ms since the epoch, finer digits cut.

    A blank before the offset is read as the ``+`` it was before URL decoding. Raises ValueError.
    """
    found = _RFC3339.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not RFC 3339 with an offset, like 2026-03-01T08:00:00+07:00")
    day, clock, fraction, zulu, sign, offset = found.groups()
    zone = "+00:00" if zulu else ("-" if sign == "-" else "+") + offset
    try:
        instant = datetime.fromisoformat(f"{day}T{clock}{zone}")
        whole = (instant - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no instant: {error}") from None
    return whole + int(((fraction or "") + "000")[:3])


def show(ms: int) -> str:
    """Ms since the epoch → RFC 3339 at +07:00, with milliseconds only when there are any."""
    instant = (_EPOCH + timedelta(milliseconds=ms)).astimezone(LOCAL)
    return instant.isoformat(timespec="milliseconds" if ms % 1000 else "seconds")


def parse_step(text: str) -> int:
    """``60``, ``60s``, ``5m``, ``1h`` or ``1d`` → ms. Raises ValueError."""
    found = _STEP.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a step: seconds (60) or 60s, 5m, 1h, 1d")
    return int(found[1]) * _UNIT_MS[found[2]]
