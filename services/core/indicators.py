"""The known indicators: what a reading means, which way is good, what its target is. Pure data.

A rate is a fraction (0.98, never 98). ``level`` takes the last value, ``flow`` a sum over periods;
a ``rank`` is better when smaller; a ``flag`` is 0 or 1; ``text`` has no number. The list is in
``indicator_catalogue``; what it does not know is still accepted, stored and shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from schemas.v1 import IndicatorKind

Direction = Literal["up", "down", "none"]
#: How often a reading is due: every five minutes, every day, or a running (for ``half``: the last
#: closed) month, quarter, half-year or year sent anew each day.
Cadence = Literal["beat", "day", "month", "quarter", "half", "year"]
Level = Literal["province", "district", "commune"]

BEAT_MS = 5 * 60_000
Dims = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Reported:
    """What a source has reported for one territory: a number, or two behind it, or a text."""

    value: float | None = None
    numerator: float | None = None
    denominator: float | None = None
    text: str | None = None
    dims: Dims = ()
    target: float | None = None
    target_low: float | None = None

    @property
    def number(self) -> float | None:
        """``value``, or numerator / denominator where value is absent; None for a text."""
        if self.value is not None:
            return self.value
        if self.numerator is None or not self.denominator:
            return None
        return self.numerator / self.denominator


@dataclass(frozen=True)
class Indicator:
    """One known indicator.

    ``reported`` holds the published values by territory code; ``plausible`` a range (low, high)
    for the other territories of a level, for the simulation only; ``base`` the denominator that
    such a rate has there (a number, or "communes" of the territory).
    """

    name: str
    kind: IndicatorKind
    unit: str
    title_vi: str
    title_en: str
    direction: Direction = "up"
    cadence: Cadence = "month"
    target: float | None = None
    target_low: float | None = None
    reported: Mapping[str, tuple[Reported, ...]] = field(default_factory=dict)
    plausible: Mapping[Level, tuple[float, float]] = field(default_factory=dict)
    base: int | Literal["communes"] | None = None
    source_system: str = "IOC"

    @property
    def domain(self) -> str:
        return self.name.partition(".")[0]


def by_name() -> Mapping[str, Indicator]:
    """Every known indicator by its name, in catalogue order."""
    from services.core.indicator_catalogue import INDICATORS

    return MappingProxyType({i.name: i for i in INDICATORS})
