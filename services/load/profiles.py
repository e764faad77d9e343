"""When each event is due: a rate over time, and from it the instant of every event. Pure.

A schedule knows nothing of the system under load: that is what makes a load open-loop. The rate is
a line through points; the instant of event n is where the area under the line is n.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from services.simulation import shapes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Profile = Literal["constant", "ramp", "step", "spike", "day", "knee"]

#: A spike takes the middle fifth of its run.
_SPIKE_FROM, _SPIKE_TO = 0.4, 0.6
STEPS = 5
#: What a schedule that begins at nothing is warmed up with, as a share of its highest rate.
_WARM_SHARE = 0.1


@dataclass(frozen=True)
class Schedule:
    """Events a second over time: a line through ``points`` of (seconds, rate).

    Two points at one instant are a jump. Raises ValueError for a line that is none: instants that
    fall, a negative rate, no duration, not one event.
    """

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        times = [t for t, _ in self.points]
        if len(times) < 2 or times[0] != 0.0 or times != sorted(times) or times[-1] <= 0.0:
            raise ValueError("a schedule goes from second 0 to a later one")
        if any(rate < 0 for _, rate in self.points):
            raise ValueError("a rate is 0 or more")
        if self.total < 1:
            raise ValueError("not one event is due in this schedule")

    @cached_property
    def _curve(self) -> tuple[Floats, Floats, Floats]:
        """Instants, rates, and events due before each of the points."""
        times, rates = (np.array(column, dtype=np.float64) for column in zip(*self.points))  # noqa: B905 (pairs)
        areas = (rates[:-1] + rates[1:]) / 2 * np.diff(times)
        return times, rates, np.concatenate(([0.0], np.cumsum(areas)))

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.points[-1][0]

    @property
    def total(self) -> int:
        """How many events it has."""
        return int(np.floor(self._curve[2][-1] + 1e-6))

    @property
    def top(self) -> float:
        """Its highest rate, events a second."""
        return max(rate for _, rate in self.points)

    def due(self, at: Floats) -> Floats:
        """How many events are due before each instant (seconds); a fraction where one is on its
        way."""
        times, rates, counts = self._curve
        at = np.clip(at, 0.0, times[-1])
        k = np.clip(np.searchsorted(times, at, "right") - 1, 0, len(times) - 2)
        x, span = at - times[k], times[k + 1] - times[k]
        slope = (rates[k + 1] - rates[k]) / np.where(span > 0, span, 1.0)
        return np.asarray(counts[k] + rates[k] * x + slope * x * x / 2)

    def instants(self, numbers: Ints) -> Floats:
        """The instant (seconds from the start) of the events of these numbers, from 0."""
        times, rates, counts = self._curve
        n = numbers.astype(np.float64)
        k = np.clip(np.searchsorted(counts, n, "right") - 1, 0, len(times) - 2)
        missing, span = n - counts[k], times[k + 1] - times[k]
        slope = (rates[k + 1] - rates[k]) / np.where(span > 0, span, 1.0)
        # The root of rate * x + slope * x^2 / 2 = missing that does not cancel when slope is 0.
        root = np.sqrt(np.maximum(rates[k] ** 2 + 2 * slope * missing, 0.0))
        below = rates[k] + root
        x = np.divide(2 * missing, below, out=np.zeros_like(missing), where=below > 0)
        return np.asarray(times[k] + np.clip(x, 0.0, span))

    def share(self, process: int, processes: int) -> Floats:
        """The instants of one of several senders: every ``processes``-th event."""
        return self.instants(np.arange(process, self.total, processes, dtype=np.int64))

    def warmed(self, seconds: float) -> "Schedule":
        """The same after ``seconds`` at the rate with which it begins."""
        if seconds <= 0:
            return self
        rate = self.points[0][1] or self.top * _WARM_SHARE
        return Schedule(((0.0, rate), (seconds, rate), *((seconds + t, r) for t, r in self.points)))


def constant(rate: float, seconds: float) -> Schedule:
    """Always the same rate."""
    return Schedule(((0.0, rate), (seconds, rate)))


def ramp(low: float, high: float, seconds: float) -> Schedule:
    """From one rate to another, in a straight line."""
    return Schedule(((0.0, low), (seconds, high)))


def step(low: float, high: float, seconds: float, steps: int = STEPS) -> Schedule:
    """Equal stairs from one rate to another, each held equally long."""
    rates = np.linspace(low, high, steps)
    edges = np.linspace(0.0, seconds, steps + 1)
    points: list[tuple[float, float]] = []
    for rate, begin, end in zip(rates, edges[:-1], edges[1:], strict=True):
        points += [(float(begin), float(rate)), (float(end), float(rate))]
    return Schedule(tuple(points))


def spike(low: float, high: float, seconds: float) -> Schedule:
    """One rate, with another in the middle fifth."""
    begin, end = seconds * _SPIKE_FROM, seconds * _SPIKE_TO
    return Schedule(
        ((0.0, low), (begin, low), (begin, high), (end, high), (end, low), (seconds, low))
    )


def day(high: float, seconds: float) -> Schedule:
    """A working day from midnight to midnight in ``seconds``, ``high`` at its busiest hour.

    The hours at which cases are filed online (`services.simulation.shapes`).
    """
    hours: Sequence[float] = [float(h) for h in shapes.ONLINE_HOURS]
    scale = high / max(hours)
    border = (hours[0] + hours[-1]) / 2 * scale
    middles = [((h + 0.5) / 24 * seconds, rate * scale) for h, rate in enumerate(hours)]
    return Schedule(((0.0, border), *middles, (seconds, border)))


def build(profile: Profile, rate: float, to: float | None, seconds: float) -> Schedule:
    """The schedule of a profile; ``to`` is the other rate of those that have two.

    Raises ValueError naming what is missing or too much.
    """
    if profile in _TWO_RATES:
        if to is None:
            raise ValueError(f"--profile {profile} needs a second rate: --to")
        return _TWO_RATES[profile](rate, to, seconds)
    if to is not None and profile != "knee":
        raise ValueError(f"--profile {profile} has one rate: --to belongs to ramp, step and spike")
    return day(rate, seconds) if profile == "day" else constant(rate, seconds)


_TWO_RATES: Mapping[str, Callable[[float, float, float], Schedule]] = MappingProxyType(
    {"ramp": ramp, "step": step, "spike": spike}
)
