"""The highest rate that keeps the SLO: raised until it breaks, then halved in between. Pure.

``Search`` says which rate to try next; whoever runs it tells what came of it.
"""

from dataclasses import dataclass, field

from services.load.verdict import Outcome

#: Each step up.
GROWTH = 2.0
#: Looked for no closer than this.
CLOSE = 0.07
MAX_TRIES = 14


@dataclass
class Try:
    """One rate that was run."""

    rate: float
    outcome: Outcome


@dataclass
class Search:
    """Where to look; ``highest`` is a bound on what is tried."""

    start: float
    highest: float
    tries: list[Try] = field(default_factory=list)

    @property
    def kept(self) -> float | None:
        """The highest rate below everything that broke that kept the SLO."""
        border = self.border
        kept = [t.rate for t in self.tries if t.outcome == "passed"]
        return max((rate for rate in kept if border is None or rate < border), default=None)

    @property
    def border(self) -> float | None:
        """The lowest rate that did not keep it, or at which the load was its own limit."""
        return min((t.rate for t in self.tries if t.outcome != "passed"), default=None)

    def next(self) -> float | None:
        """The next rate, None when there is nothing more to find."""
        if len(self.tries) >= MAX_TRIES:
            return None
        kept, border = self.kept, self.border
        if border is None:
            rate = self.start if kept is None else min(kept * GROWTH, self.highest)
            return None if rate == kept else rate
        if kept is None:
            rate = border / 2
            return rate if rate >= self.start / 16 else None
        return (kept + border) / 2 if border - kept > CLOSE * border else None

    @property
    def limited_by_load(self) -> bool:
        """At the border the load gave way, not the system: the knee lies at ``kept`` or higher."""
        border = self.border
        return any(t.rate == border and t.outcome == "inconclusive" for t in self.tries)
