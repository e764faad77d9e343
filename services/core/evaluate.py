"""From joint cells to the rows of an answer: filters, groups, sums, rates and quantiles.

Pure numpy over the cells of one window (or of the stocks). A *grouping* says which group each cell
belongs to; every measure of a KPI is summed per group, exactly (integers never pass through a
float that could round them).
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core import facts
from services.core.facts import TERRITORY_MASK, TERRITORY_SHIFT, Fact
from services.core.kpis import Kpi, Measure
from services.core.panes import Cells, Ints
from services.core.rows import Label, Row, rows_of
from services.core.segments import Span
from services.core.sums import grouped

MINUTE_MS = 60_000
DAY_MS = 86_400_000


class Grouping(NamedTuple):
    """Labels of the groups and, for cells of a fact, the group of each (-1: in none).

    ``name`` tells the groups from all others of the same territories.
    """

    name: Hashable
    labels: list[Label]
    assign: Callable[[Fact, Ints], Ints]


#: The cells of what is asked: of a window, or what is true now.
Of = Callable[[Fact], Span]
Where = Mapping[str, int]


def field_of(fact: Fact, name: str, codes: Ints) -> Ints:
    """The packed values of one field of a fact's codes."""
    field = fact.fields[name]
    return codes >> field.shift & field.mask


def territory_of(codes: Ints) -> Ints:
    """The deepest territory row of each code."""
    return codes >> TERRITORY_SHIFT & TERRITORY_MASK


def matches(
    fact: Fact, where: Iterable[tuple[str, tuple[int, ...]]], codes: Ints
) -> Iterator[NDArray[np.bool_]]:
    """For each condition of a measure, which codes have one of the wanted values."""
    for name, values in where:
        wanted = np.zeros(1 << fact.fields[name].bits, dtype=np.bool_)
        wanted[list(values)] = True
        yield wanted[field_of(fact, name, codes)]


class _Picked(NamedTuple):
    """The cells of a measure: ``chosen`` says which of them count (None: all), ``groups`` where."""

    cells: Cells
    groups: Ints
    chosen: Ints | None

    def sums(self, weights: Ints, size: int) -> Ints:
        """Sums of integer weights per group, exact to 64 bits."""
        return grouped(self.groups, weights, size, self.chosen)


def _pick(
    measure: Measure, cells: Cells, grouping: Grouping, where: Where, keep: NDArray[np.bool_] | None
) -> _Picked:
    fact, codes = measure.fact, cells.codes
    groups = grouping.assign(fact, codes)
    mask = groups >= 0
    if keep is not None:
        mask &= keep
    for name, value in where.items():
        mask &= field_of(fact, name, codes) == value
    for wanted in matches(fact, measure.where, codes):
        mask &= wanted
    return _Picked(cells, groups, None if mask.all() else np.flatnonzero(mask))


def _minds_due(kpi: Kpi) -> bool:
    return kpi.kind == "stock" and not kpi.name.endswith(".open_now")


def _due_mask(kpi: Kpi, codes: Ints, as_of: int) -> NDArray[np.bool_] | None:
    """Which open entities a stock KPI speaks of; None for all of them."""
    if not _minds_due(kpi):
        return None
    name = kpi.name.partition(".")[2]
    minute = as_of // MINUTE_MS
    due = codes & ((1 << facts.DUE_BITS) - 1) << _DUE_SHIFT[kpi.domain]
    due = (due >> _DUE_SHIFT[kpi.domain]) - 1
    if name == "overdue_now":
        return (due >= 0) & (due < minute)
    return (due >= minute) & (due < minute + DAY_MS // MINUTE_MS)


_DUE_SHIFT = {
    "fr": facts.FR_OPEN.fields["due"].shift,
    "gov": facts.GOV_OPEN.fields["due"].shift,
}


class _Asked(NamedTuple):
    """One question: ``places`` are the ranges of deepest rows it is about."""

    of: Of
    places: Ints
    grouping: Grouping
    where: Where
    as_of: int

    def sums(self, kpi: Kpi, measure: Measure) -> tuple[Ints, Ints]:
        """Counts and sums of a measure per group; of one that only counts, the counts twice."""
        fact, size, grouping = measure.fact, len(self.grouping.labels), self.grouping
        minute = self.as_of // MINUTE_MS if _minds_due(kpi) else None

        def fold(cells: Cells) -> Ints:
            keep = None if minute is None else _due_mask(kpi, cells.codes, self.as_of)
            picked = _pick(measure, cells, grouping, self.where, keep)
            columns = (cells.n, cells.s) if measure.column == "s" else (cells.n,)
            return np.stack([picked.sums(column, size) for column in columns])

        name = (
            fact.name, measure.column, measure.where, None if minute is None else kpi.name, minute,
            tuple(self.where.items()), grouping.name,
        )  # fmt: skip
        found = self.of(fact).sums(name, fact.codes_in(self.places), fold, 2 * size)
        return found[0], found[-1]


def evaluate(
    kpi: Kpi, of: Of, places: Ints, grouping: Grouping, where: Where, as_of: int
) -> list[Row]:
    """The rows of a windowed or ``_now`` KPI; ``as_of`` in ms matters to due times only.

    Codes are in order of the territory: of all cells only those at ``places`` are looked at.
    """
    measure = kpi.numerator
    if measure is None:
        raise ValueError(f"{kpi.name} is not computed from cells")
    if kpi.kind == "quantile":
        cells = of(measure.fact).select(measure.fact.codes_in(places))
        return _quantiles(kpi, _pick(measure, cells, grouping, where, None), grouping)
    asked = _Asked(of, places, grouping, where, as_of)
    top = asked.sums(kpi, measure)
    below = (None, None) if kpi.denominator is None else asked.sums(kpi, kpi.denominator)
    return rows_of(kpi, grouping.labels, *top, *below)


def _quantiles(kpi: Kpi, picked: _Picked, grouping: Grouping) -> list[Row]:
    fact = kpi.numerator.fact if kpi.numerator else None
    if fact is None or kpi.quantile is None:
        raise ValueError(f"{kpi.name} is no quantile")
    width = 1 << facts.BUCKET_BITS
    size = len(grouping.labels)
    # Runs that are not merged yet may hold a cell twice, once negative: sum first, then rank.
    histogram = picked.groups * width + field_of(fact, "bucket", picked.cells.codes)
    weights = picked.cells.n
    if picked.chosen is not None:
        histogram, weights = histogram[picked.chosen], weights[picked.chosen]
    keys, where = np.unique(histogram, return_inverse=True)
    n = grouped(where.reshape(-1), weights, keys.size)
    groups, buckets = keys // width, keys % width
    starts = np.searchsorted(groups, np.arange(size + 1))
    rows = []
    for i, label in enumerate(grouping.labels):
        a, b = starts[i], starts[i + 1]
        ranks = np.cumsum(n[a:b])
        count = int(ranks[-1]) if a < b else 0
        if not (label.always or count):
            continue
        value: float | None = None
        if count > 0:
            # ceil(q * n) in integers: q has two digits
            rank = -(-round(kpi.quantile * 100) * count // 100)
            at = int(np.searchsorted(ranks, max(rank, 1)))
            value = facts.bucket_ms(int(buckets[a + at])) / kpi.scale
        rows.append(Row(label.territory, label.by, value, None, None, count))
    return rows
