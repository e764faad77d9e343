"""The rows of an answer: sums, rates, means and quantiles from what was counted and summed."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from services.core import facts
from services.core.kpis import Kpi
from services.core.sums import Ints


class Row(Struct, frozen=True, gc=False):
    """One row of an answer (contract section 6)."""

    territory: str
    by: str | None
    value: float | int | None
    numerator: float | int | None
    denominator: float | int | None
    count: int | None


class Label(NamedTuple):
    """The identity of a row. A row that is not ``always`` there is left out when empty."""

    territory: str
    by: str | None
    always: bool = True


def rows_of(
    kpi: Kpi,
    labels: Sequence[Label],
    top_n: Ints,
    top_s: Ints,
    bottom_n: Ints | None,
    bottom_s: Ints | None,
) -> list[Row]:
    """Rows of sums (of a quantile KPI: histograms in place of the counts) in the order of
    ``labels``. ``bottom`` is that of the denominator, None where the KPI has none.
    """
    if kpi.kind == "quantile":
        return _quantile_rows(kpi, labels, top_n)
    measure, below = kpi.numerator, kpi.denominator
    tops = (top_s if measure is not None and measure.column == "s" else top_n).tolist()
    if bottom_n is None or bottom_s is None or below is None:
        return [
            Row(code, by, value, None, None, count)
            for (code, by, always), value, count in zip(labels, tops, top_n.tolist(), strict=True)
            if always or count
        ]
    bottoms = (bottom_s if below.column == "s" else bottom_n).tolist()
    rows = []
    for (code, by, always), top, bottom, count in zip(
        labels, tops, bottoms, bottom_n.tolist(), strict=True
    ):
        if always or count:
            numerator = top if kpi.scale == 1 else top / kpi.scale
            rows.append(
                Row(code, by, numerator / bottom if bottom else None, numerator, bottom, count)
            )
    return rows


def _quantile_rows(kpi: Kpi, labels: Sequence[Label], histograms: Ints) -> list[Row]:
    ranks = histograms.cumsum(axis=1)
    counts = ranks[:, -1]
    wanted = -(-round((kpi.quantile or 0) * 100) * counts // 100)
    at = (ranks >= np.maximum(wanted, 1)[:, None]).argmax(axis=1)
    return [
        Row(code, by, facts.bucket_ms(bucket) / kpi.scale if count else None, None, None, count)
        for (code, by, always), bucket, count in zip(
            labels, at.tolist(), counts.tolist(), strict=True
        )
        if always or count
    ]
