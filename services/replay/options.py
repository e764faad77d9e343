"""The kinds of values that the options of `ioc record` and `ioc replay` take."""

import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Generic, TypeVar

import click

from services.replay.framing import Place
from services.replay.mutate import parse_delay
from services.replay.pace import parse_speed
from services.replay.select import topic_name, type_name
from services.replay.source import Stretch
from services.runtime.settings import Settings, SettingsError, read

T = TypeVar("T")
LOCAL = timezone(timedelta(hours=7))
_AGO = re.compile(r"-(\d+(?:\.\d+)?)([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_OFFSETS = re.compile(r"([a-z.\-0-9]+?)/(\d+):(\d*)-(\d*)")


class Parsed(click.ParamType, Generic[T]):
    """A value by a function from text that raises ValueError."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def moment(text: str) -> int:
    """An instant in ms: RFC 3339, a date or local time of Viet Nam, or ``-2h`` before now."""
    ago = _AGO.fullmatch(text)
    if ago:
        return time.time_ns() // 1_000_000 - round(float(ago[1]) * _UNITS[ago[2]] * 1000)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no instant: 2026-11-23, 2026-11-23T08:00:00+07:00, or -2h"
        ) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=LOCAL)
    return (found - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def show(ms: int | None) -> str:
    """An instant as people of the province read it."""
    if ms is None:
        return "-"
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return at.astimezone(LOCAL).isoformat(sep=" ", timespec="seconds")


def offsets(text: str) -> tuple[Place, Stretch]:
    """``field-report/0:100-200``: offsets of one partition, the end excluded."""
    match = _OFFSETS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r}: offsets are TOPIC/PARTITION:FROM-TO, as field-report/0:10-20")
    topic, partition, start, end = match.groups()
    stretch = Stretch(int(start or 0), int(end) if end else None)
    if stretch.end is not None and stretch.end < stretch.start:
        raise ValueError(f"{text!r}: the end lies before the beginning")
    return (topic_name(topic), int(partition)), stretch


def _chance(text: str) -> float:
    chance = float(text)
    if not 0 <= chance <= 1:
        raise ValueError(f"{text!r}: a chance is a number from 0 to 1")
    return chance


MOMENT = Parsed("time", moment)
OFFSETS = Parsed("topic/p:from-to", offsets)
SPEED = Parsed("speed", parse_speed)
DELAY = Parsed("p:seconds", parse_delay)
CHANCE = Parsed("p", _chance)
TOPIC = Parsed("topic", topic_name)
TYPE = Parsed("type", type_name)


def settings(bootstrap: str | None = None, namespace: str | None = None) -> Settings:
    """The environment with these flags above it. Raises click.UsageError."""
    given = {"IOC_BOOTSTRAP": bootstrap, "IOC_NAMESPACE": namespace}
    try:
        return read(os.environ | {k: v for k, v in given.items() if v is not None})
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
