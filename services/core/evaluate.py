"""From joint cells to the rows of an answer: filters, groups, sums, rates and quantiles.

Pure numpy over the cells of one window (or of the stocks). A *grouping* says which group each cell
belongs to; every measure of a KPI is summed per group, exactly (integers never pass through a
float that could round them).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from services.core import facts
from services.core.facts import TERRITORY_MASK, TERRITORY_SHIFT, Fact
from services.core.kpis import Kpi, Measure
from services.core.panes import Cells, Ints
from services.core.sums import grouped

MINUTE_MS = 60_000
DAY_MS = 86_400_000


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


class Grouping(NamedTuple):
    """Labels of the groups and, for cells of a fact, the group of each (-1: in none)."""

    labels: list[Label]
    assign: Callable[[Fact, Ints], Ints]


Select = Callable[[Fact], Cells]
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

    def sums(self, weights: Ints, size: int) -> list[int]:
        """Sums of integer weights per group, exact to 64 bits."""
        found: list[int] = grouped(self.groups, weights, size, self.chosen).tolist()
        return found


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


def _due_mask(kpi: Kpi, codes: Ints, as_of: int) -> NDArray[np.bool_] | None:
    """Which open entities a stock KPI speaks of; None for all of them."""
    name = kpi.name.partition(".")[2]
    if name == "open_now":
        return None
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


def evaluate(kpi: Kpi, select: Select, grouping: Grouping, where: Where, as_of: int) -> list[Row]:
    """The rows of a windowed or ``_now`` KPI; ``as_of`` in ms matters to due times only."""
    measure = kpi.numerator
    if measure is None:
        raise ValueError(f"{kpi.name} is not computed from cells")
    size = len(grouping.labels)
    cells = select(measure.fact)
    keep = _due_mask(kpi, cells.codes, as_of) if kpi.kind == "stock" else None
    picked = _pick(measure, cells, grouping, where, keep)
    if kpi.kind == "quantile":
        return _quantiles(kpi, picked, grouping)
    if kpi.denominator is None:
        counts = picked.sums(cells.n, size)
        values = counts if measure.column == "n" else picked.sums(cells.s, size)
        return [
            Row(label.territory, label.by, value, None, None, count)
            for label, value, count in zip(grouping.labels, values, counts, strict=True)
            if label.always or count
        ]
    tops = picked.sums(cells.n if measure.column == "n" else cells.s, size)
    below = kpi.denominator
    cells = cells if below.fact is measure.fact else select(below.fact)
    picked = _pick(below, cells, grouping, where, None)
    counts = picked.sums(cells.n, size)
    bottoms = counts if below.column == "n" else picked.sums(cells.s, size)
    rows = []
    for label, top, bottom, count in zip(grouping.labels, tops, bottoms, counts, strict=True):
        if not (label.always or count):
            continue
        numerator = top if kpi.scale == 1 else top / kpi.scale
        value = numerator / bottom if bottom else None
        rows.append(Row(label.territory, label.by, value, numerator, bottom, count))
    return rows


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


# --- listings -----------------------------------------------------------------------------------

ACTIVE = np.dtype([("base", "<i8"), ("store", "<u8"), ("product", "<u8"), ("empty", "u1")])


def evaluate_listings(
    kpi: Kpi,
    active: NDArray[np.void],
    grouping: Grouping,
    where: Where,
    communes: list[int],
    is_commune: NDArray[np.bool_],
) -> list[Row]:
    """The rows of a KPI over active listings.

    ``active`` holds one :data:`ACTIVE` record a listing; ``communes`` how many communes the
    territory of each group has; ``is_commune`` which rows are communes that exist.
    """
    fact = facts.ECO_CREATED
    base = active["base"]
    groups = grouping.assign(fact, base)
    mask = groups >= 0
    for name, value in where.items():
        mask &= field_of(fact, name, base) == value
    groups, active = groups[mask], active[mask]
    size = len(grouping.labels)
    products = np.bincount(groups, minlength=size).tolist()
    name = kpi.name
    if name == "eco.out_of_stock_rate":
        empty = np.bincount(groups[active["empty"] != 0], minlength=size).tolist()
        return _shares(grouping, empty, products)
    if name == "eco.commune_seller_share":
        rows = territory_of(active["base"])
        known = is_commune[rows]
        selling = _distinct(groups[known], rows[known].astype(np.uint64), size)
        return _shares(grouping, selling, communes)
    if name == "eco.products":
        values = products
    elif name == "eco.stores":
        values = _distinct(groups, active["store"], size)
    elif name == "eco.ocop_products":
        ocop = active["product"] != 0
        values = _distinct(groups[ocop], active["product"][ocop], size)
    else:
        raise ValueError(f"{name} is not computed from listings")
    return [
        Row(label.territory, label.by, value, None, None, value)
        for label, value in zip(grouping.labels, values, strict=True)
        if label.always or value
    ]


def _distinct(groups: Ints, things: NDArray[np.uint64], size: int) -> list[int]:
    if groups.size == 0:
        return [0] * size
    names, index = np.unique(things, return_inverse=True)
    pairs = np.unique(groups * names.size + index.reshape(-1))
    counts: list[int] = np.bincount(pairs // names.size, minlength=size).tolist()
    return counts


def _shares(grouping: Grouping, tops: list[int], bottoms: list[int]) -> list[Row]:
    return [
        Row(label.territory, label.by, top / bottom if bottom else None, top, bottom, bottom)
        for label, top, bottom in zip(grouping.labels, tops, bottoms, strict=True)
        if label.always or bottom
    ]
