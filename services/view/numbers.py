"""All numbers of one window, of one moment: what the state is when the question is answered.

KPIs, offsets and outcomes come from one turn of the event loop, so they speak of the same records;
nothing else on this interface promises that. The audit rests on it.
"""

from collections.abc import Sequence

from schemas.catalog import SOURCES
from services.core.everywhere import Everywhere
from services.core.head import OUTCOMES
from services.core.kpis import CATALOGUE, Kpi
from services.core.merge import View
from services.core.questions import QueryError
from services.core.rows import Row
from services.view import instants
from services.view.question import NOW

INDICATOR_COLUMNS = ("series", "value", "target", "gap", "age_seconds")
COLUMNS = ("territory", "by", "value", "numerator", "denominator", "count")
STOCK_LOOKBACK_MS = 27 * 3_600_000
FUTURE_MS = 15 * 60_000
FLOWS = "ind.sum"
LATEST = "ind.value"


class Numbers:
    """Answers from the merged state."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._everywhere = Everywhere(view)

    def answer(
        self, window: str, names: Sequence[str], as_of: int | None, now: int, *, by: bool
    ) -> dict[str, object]:
        """The body of ``/api/v1/numbers``; ``names`` are KPIs of that window.

        ``now`` is the system's clock in ms. Raises QueryError for an instant out of reach.
        """
        at = now if as_of is None else as_of
        if at > now + FUTURE_MS:
            raise QueryError("as_of", "expected at most 15 minutes after the clock")
        if window == NOW and at < now - STOCK_LOOKBACK_MS:
            raise QueryError("as_of", "expected at most 27 hours before the clock")
        body: dict[str, object] = {
            "window": None if window == NOW else window,
            "as_of": instants.show(at),
            "columns": COLUMNS,
            "kpis": {
                name: self._kpi(CATALOGUE[name], window, at, now, by=by)
                for name in names
                if CATALOGUE[name].kind != "indicator"
            },
        }
        if LATEST in names and at == now:
            body["indicators"] = [
                [row[name] for name in INDICATOR_COLUMNS] for row in self._view.indicators(now)
            ]
        if FLOWS in names:
            body["flows"] = self._flows(window, at, now)
        body["partitions"] = self._partitions()
        return body

    def _kpi(self, kpi: Kpi, window: str, at: int, now: int, *, by: bool) -> dict[str, object]:
        found = self._everywhere.rows(kpi, None if window == NOW else window, at, now, by=by)
        out: dict[str, object] = {"unit": kpi.unit, "rows": _table(found.pop(None))}
        if by:
            out["by"] = {dimension: _table(rows) for dimension, rows in found.items()}
        return out

    def _flows(self, window: str, at: int, now: int) -> list[tuple[str, object, object]]:
        """(series, sum, periods) of the series of flows whose periods are still kept."""
        out: list[tuple[str, object, object]] = []
        for series in self._view.indicators(now):
            if series["kind"] != "flow":
                continue
            key = str(series["series"])
            try:
                _, rows = self._view.query(
                    FLOWS, now=now, window=window, where={"series": key}, as_of=at
                )
            except QueryError:
                continue  # of that window not every period is kept
            out.append((key, rows[0].value, rows[0].count))
        return out

    def _partitions(self) -> list[dict[str, object]]:
        """Every source partition: what the numbers of this answer rest on."""
        out: list[dict[str, object]] = []
        for topic in SOURCES:
            for partition in range(self._view.partitions):
                head = self._view.heads.get((topic.name, partition))
                outcomes = {} if head is None else head.outcomes
                out.append(
                    {
                        "topic": topic.name,
                        "partition": partition,
                        "applied": 0 if head is None else head.fence + 1,
                        "gaps": 0 if head is None else head.gaps,
                        "outcomes": {name: outcomes.get(name, 0) for name in OUTCOMES},
                        "reasons": {} if head is None else dict(head.reasons),
                    }
                )
        return out


def _table(rows: Sequence[Row]) -> list[tuple[object, ...]]:
    return [(r.territory, r.by, r.value, r.numerator, r.denominator, r.count) for r in rows]
