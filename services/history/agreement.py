"""The samples of an instant against what a running view of the same log answers to that instant."""

import math

from grafana.metrics import exposed, windows
from services.core.marginals import Marginals
from services.core.merge import View
from services.core.rows import Row
from services.runtime.http_view import HttpView

_SAME = 1e-12


def _text(ms: int) -> str:
    import datetime as dt

    at = dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(milliseconds=ms)
    return at.isoformat(timespec="milliseconds")


def compared(view: View, running: HttpView, at: int) -> tuple[int, list[str]]:
    """How many rows were compared at an instant (ms), and what differs.

    The running view must have absorbed the same records. What one side leaves out is empty there.
    """
    marginals = Marginals(view)
    names = sorted({window for kpi in exposed() for window in windows(kpi)})
    count, wrong = 0, []
    for window in names:
        answer = running.get("/api/v1/numbers", window=window, by="dimensions", as_of=_text(at))[
            "kpis"
        ]
        for kpi in exposed():
            if window not in windows(kpi) or kpi.name not in answer:
                continue
            found = answer[kpi.name]
            for dimension in (None, *kpi.dimensions):
                rows = found["rows"] if dimension is None else found["by"][dimension]
                # Without a dimension the territory tells a row, whatever stands beside it.
                theirs = {(r[0], r[1] if dimension else None): r[2] for r in rows}
                asked = None if kpi.is_stock else window
                for row in marginals.rows(kpi, asked, dimension, at):
                    count += 1
                    other = theirs.get((row.territory, row.by if dimension else None))
                    if not _agree(row, other):
                        place = " ".join(str(x) for x in (row.territory, row.by) if x)
                        wrong.append(f"{kpi.name} {window} {place}: log {row.value}, view {other}")
    return count, wrong


def _agree(row: Row, other: float | None) -> bool:
    if row.value is None or other is None:
        return not row.value and not other
    return math.isclose(float(row.value), other, rel_tol=_SAME)
