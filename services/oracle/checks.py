"""What a value may be, by the contract's text: each check gives the value as it is kept.

A check raises BadValueError that says what was expected.
"""

import math
import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Any, NoReturn

Json = Any
Check = Callable[[Json], Any]


class BadValueError(ValueError):
    """A value that is not what section 3 asks for."""


def bad(expected: str) -> NoReturn:
    """Refuse a value. Raises BadValueError saying what was expected."""
    raise BadValueError(expected)


_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_EPOCH = date(1970, 1, 1).toordinal()


def instant(value: Json) -> int:
    """RFC 3339 text with an offset as whole ms since the epoch, finer digits cut."""
    if type(value) is not str:
        bad("text")
    return _instant(value)


@lru_cache(maxsize=1 << 16)  # every revision repeats the times of the earlier ones
def _instant(value: str) -> int:
    if not (m := _RFC3339.fullmatch(value)):
        bad("RFC 3339 time with offset")
    day, hours, minutes, seconds, fraction, sign, off_hours, off_minutes = m.groups()
    hour, minute, second = int(hours), int(minutes), int(seconds)
    if hour > 23 or minute > 59 or second > 60:
        bad("a time of the day")
    offset = 0
    if sign:
        offset = int(off_hours) * 60 + int(off_minutes)
        if int(off_hours) > 23 or int(off_minutes) > 59:
            bad("an offset of at most 23:59")
        if sign == "-":
            offset = -offset
    ms = int(fraction[:3].ljust(3, "0")) if fraction else 0
    return (((_day(day) * 24 + hour) * 60 + minute - offset) * 60 + second) * 1000 + ms


@lru_cache(maxsize=1 << 12)
def _day(day: str) -> int:
    """Days since the epoch of YYYY-MM-DD."""
    try:
        return date(int(day[:4]), int(day[5:7]), int(day[8:])).toordinal() - _EPOCH
    except ValueError:
        bad("a day of the calendar")


def text(least: int = 0, most: int | None = None) -> Check:
    """Text of so many characters."""

    def check(value: Json) -> str:
        if type(value) is not str or len(value) < least or (most and len(value) > most):
            bad(f"text of {least} to {most} characters")
        return value

    return check


def whole(least: int, most: int) -> Check:
    """A whole number of that range."""

    def check(value: Json) -> int:
        if type(value) is not int or not least <= value <= most:
            bad(f"whole number from {least} to {most}")
        return value

    return check


class OneOf:
    """An enumeration of the contract; ``members`` in its order."""

    def __init__(self, *members: str) -> None:
        self.members = members
        self._set = frozenset(members)

    def __call__(self, value: Json) -> str:
        if type(value) is not str or value not in self._set:
            bad("one of " + ", ".join(self.members))
        return value


def number(value: Json) -> float:
    """A finite double."""
    if type(value) not in (int, float):
        bad("number")
    try:
        result = float(value)
    except OverflowError:
        bad("number of double precision")
    if not math.isfinite(result):
        bad("finite number")
    return result + 0.0  # minus zero is zero


def truth(value: Json) -> bool:
    """true or false."""
    if type(value) is not bool:
        bad("true or false")
    return value


def map_of(member: Check) -> Check:
    """An object whose members all pass a check."""

    def check(value: Json) -> dict[str, Any]:
        if type(value) is not dict:
            bad("object")
        return {k: member(v) for k, v in value.items()}

    return check
