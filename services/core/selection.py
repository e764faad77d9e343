"""Which KPIs of the catalogue a system computes: all, or the few that somebody chose.

A fact that no chosen KPI measures is not folded at all, so a small selection costs less. Entities,
revisions and outcomes stay what they are. Two processes of different selections never mix: the
selection is part of the catalogue's digest.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from services.core.facts import FACT_SHIFT
from services.core.kpis import CATALOGUE


@dataclass(frozen=True)
class Selection:
    """KPI names, in catalogue order, and the facts behind them as a bit mask by fact number."""

    kpis: tuple[str, ...]
    facts: int

    @classmethod
    def of(cls, names: Iterable[str]) -> "Selection":
        """The selection of these KPIs. Raises ValueError naming those that are not known."""
        wanted = set(names)
        unknown = sorted(wanted - CATALOGUE.keys())
        if unknown:
            raise ValueError(f"no KPI is called {', '.join(unknown)}")
        mask = 0
        for name in wanted:
            for measure in (CATALOGUE[name].numerator, CATALOGUE[name].denominator):
                if measure is not None:
                    mask |= 1 << measure.fact.number
        return cls(tuple(name for name in CATALOGUE if name in wanted), mask)

    @property
    def whole(self) -> bool:
        """Everything is computed."""
        return len(self.kpis) == len(CATALOGUE)

    def __contains__(self, kpi: str) -> bool:
        return kpi in self.kpis

    def keeps(self, code: int) -> bool:
        """Whether a packed contribution belongs to a chosen KPI."""
        return bool(self.facts >> (code >> FACT_SHIFT) & 1)


#: Every KPI, and every fact even if no KPI speaks of it yet.
ALL = Selection(tuple(CATALOGUE), (1 << 32) - 1)
