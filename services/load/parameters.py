"""Values on the command line of `ioc load`: durations, shares, process ids by name."""

import re
from typing import Any

import click

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|min)?")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, None: 1.0}


class Duration(click.ParamType):
    """``1s``, ``250ms``, ``2m``; a number alone is seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float | int):
            return float(value)
        match = _DURATION.fullmatch(str(value).strip())
        if match is None or float(match[1]) <= 0:
            self.fail(f"{value!r} is no duration like 250ms, 1s or 2m", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


class Share(click.ParamType):
    """A share from 0 to 1, or with a percent sign."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        text = str(value).strip()
        try:
            share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is no share like 0.99 or 99%", param, ctx)
        return share


def pids(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, list[int]]:
    """A callback: the process ids by name of values like ``kpi-0=1234``."""
    out: dict[str, list[int]] = {}
    for value in values:
        name, _, number = value.rpartition("=")
        if not name or not number.isdecimal():
            raise click.BadParameter(f"{value!r} is not NAME=PID", ctx, param)
        out.setdefault(name, []).append(int(number))
    return out
