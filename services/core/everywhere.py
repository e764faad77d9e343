"""Every KPI of one window in every territory at once: one pass over the cells of each fact.

For whoever wants all numbers of one moment together (`/api/v1/numbers`, and through it the audit):
asked one by one, territory level by territory level, each would go through the cells of its window
again. Pure; equal to ``View.query``. Rows in which there is nothing are left out.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core import facts, listings
from services.core.evaluate import _due_mask, field_of, matches, territory_of
from services.core.facts import Fact
from services.core.kpis import CATALOGUE, Kpi, Measure
from services.core.merge import View
from services.core.panes import Cells, Ints
from services.core.rows import Row
from services.core.sums import grouped
from services.core.territory import LEVELS
from services.core.windows import bounds

_WIDTH = 1 << facts.BUCKET_BITS

#: Dimension (None: none), and the rows of all territories (by a dimension: of all and provinces).
Found = dict[str | None, list[Row]]


class _Picked(NamedTuple):
    """The cells of one measure: deepest territory row, count, sum."""

    codes: Ints
    rows: Ints
    n: Ints
    s: Ints


class _Split(NamedTuple):
    """Rows of an answer to be: (territory, by) of each, and for each deepest territory row the
    rows it counts in, as arrays of first indices (-1: in none)."""

    labels: list[tuple[str, str | None]]
    into: list[Ints]
    #: How many values of a dimension follow one another in ``labels``.
    values: int
    dimension: str | None


class Everywhere:
    """Answers for all territories of a view."""

    def __init__(self, view: View) -> None:
        self._view = view
        territories = view.territories
        at_level = [territories.at_level[level] for level in LEVELS]
        self._places = _Split([(r.code, None) for r in territories.rows], at_level, 1, None)
        known = ["all", *territories.provinces]
        index = {row.index: known.index(row.code) for row in territories.rows if row.code in known}
        self._provinces = known
        self._listings = listings.Provinces.of(view)
        #: For each deepest row where all and its province stand in a list of those.
        self._top = [
            np.array([index.get(i, -1) for i in at.tolist()], dtype=np.int64) for at in at_level[:2]
        ]

    def rows(self, kpi: Kpi, window: str | None, at: int, clock: int, *, by: bool) -> Found:
        """The rows of one KPI at an instant (ms), with ``by`` those of each dimension as well.

        Raises QueryError where the panes are no longer kept. Not for indicators (ValueError).
        """
        if kpi.kind == "listing":
            return self._of_listings(kpi, at, by=by)
        if kpi.numerator is None:
            raise ValueError(f"{kpi.name} is not computed from cells")
        top = self._pick(kpi, kpi.numerator, window, at, clock)
        bottom = None
        if kpi.denominator is not None:
            bottom = self._pick(kpi, kpi.denominator, window, at, clock)
        out: Found = {}
        for split in self._splits(kpi, by=by):
            fact = kpi.numerator.fact
            if kpi.kind == "quantile":
                out[split.dimension] = _quantiles(kpi, fact, top, split)
                continue
            n, s = _sums(fact, top, split)
            tops = n if kpi.numerator.column == "n" else s
            if bottom is None or kpi.denominator is None:
                out[split.dimension] = _plain(split, tops, n)
                continue
            n, s = _sums(kpi.denominator.fact, bottom, split)
            out[split.dimension] = _quotients(
                kpi, split, tops, n if kpi.denominator.column == "n" else s, n
            )
        return out

    def _splits(self, kpi: Kpi, *, by: bool) -> Iterable[_Split]:
        yield self._places
        for dimension in kpi.dimensions if by else ():
            values = kpi.numerator.fact.fields[dimension].values if kpi.numerator else ()
            size = len(values)
            labels: list[tuple[str, str | None]] = [
                (territory, value) for territory in self._provinces for value in values
            ]
            into = [np.where(at < 0, -1, at * size) for at in self._top]
            yield _Split(labels, into, size, dimension)

    def _pick(self, kpi: Kpi, measure: Measure, window: str | None, at: int, clock: int) -> _Picked:
        fact = measure.fact
        if kpi.kind == "stock":
            cells = self._view._stock(fact.topic.kind).select(fact.codes)
        else:
            windows = [bounds(window or "", at)]
            (span,) = self._view._windows(fact.topic.kind, windows, clock)
            cells = span.select(fact.codes)
        mask = _due_mask(CATALOGUE[kpi.name], cells.codes, at) if kpi.kind == "stock" else None
        for keep in matches(fact, measure.where, cells.codes):
            mask = keep if mask is None else mask & keep
        if mask is not None:
            picked = np.flatnonzero(mask)
            cells = Cells(cells.codes[picked], cells.n[picked], cells.s[picked])
        return _Picked(cells.codes, territory_of(cells.codes), cells.n, cells.s)

    def _of_listings(self, kpi: Kpi, at: int, *, by: bool) -> Found:
        query = self._view.query
        _, rows = query(kpi.name, now=at)
        for level in LEVELS[1:]:
            rows = rows + query(kpi.name, now=at, by=level)[1]
        out: Found = {None: [Row(r.territory, None, *_numbers(r)) for r in rows if _is_there(r)]}
        for dimension in kpi.dimensions if by else ():
            rows = self._listings.rows(kpi, dimension, at)
            out[dimension] = [row for row in rows if _is_there(row)]
        return out


def _numbers(row: Row) -> tuple[float | None, float | None, float | None, int | None]:
    return row.value, row.numerator, row.denominator, row.count


def _is_there(row: Row) -> bool:
    return any(_numbers(row))


def _groups(fact: Fact, picked: _Picked, split: _Split, into: Ints) -> tuple[Ints, Ints | None]:
    """The row that each cell counts in, and which cells count in any (None: all)."""
    groups = into[picked.rows]
    if split.dimension is not None:
        groups = np.where(groups < 0, -1, groups + field_of(fact, split.dimension, picked.codes))
    inside = np.flatnonzero(groups >= 0)
    return (groups, None) if inside.size == groups.size else (groups[inside], inside)


def _sums(fact: Fact, picked: _Picked, split: _Split) -> tuple[Ints, Ints]:
    """Count and sum of every row."""
    size = len(split.labels)
    if split.dimension is None:
        # Once for the deepest rows; what lies above are sums of those.
        deep = [grouped(picked.rows, x, size) for x in (picked.n, picked.s)]
        out = [np.zeros(size, dtype=np.int64) for _ in deep]
        for into in split.into:
            there = np.flatnonzero(into >= 0)
            for x, total in zip(deep, out, strict=True):
                np.add.at(total, into[there], x[there])
        return out[0], out[1]
    n, s = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for into in split.into:
        groups, inside = _groups(fact, picked, split, into)
        n += grouped(groups, picked.n if inside is None else picked.n[inside], size)
        s += grouped(groups, picked.s if inside is None else picked.s[inside], size)
    return n, s


def _plain(split: _Split, values: Ints, counts: Ints) -> list[Row]:
    there = np.flatnonzero((counts != 0) | (values != 0)).tolist()
    v, n = values.tolist(), counts.tolist()
    return [Row(*split.labels[i], v[i], None, None, n[i]) for i in there]


def _quotients(kpi: Kpi, split: _Split, tops: Ints, bottoms: Ints, counts: Ints) -> list[Row]:
    there = np.flatnonzero((counts != 0) | (tops != 0) | (bottoms != 0)).tolist()
    t, b, n = tops.tolist(), bottoms.tolist(), counts.tolist()
    rows = []
    for i in there:
        numerator = t[i] if kpi.scale == 1 else t[i] / kpi.scale
        value = numerator / b[i] if b[i] else None
        rows.append(Row(*split.labels[i], value, numerator, b[i], n[i]))
    return rows


def _quantiles(kpi: Kpi, fact: Fact, picked: _Picked, split: _Split) -> list[Row]:
    buckets = field_of(fact, "bucket", picked.codes)
    rows: list[Row] = []
    for into in split.into:
        groups, inside = _groups(fact, picked, split, into)
        n = picked.n if inside is None else picked.n[inside]
        # Runs that are not merged yet may hold a cell twice, once negative: sum first, then rank.
        keys, where = np.unique(
            groups * _WIDTH + (buckets if inside is None else buckets[inside]), return_inverse=True
        )
        n = grouped(where.reshape(-1), n, keys.size)
        rows += _ranked(kpi, split, keys, n)
    return rows


def _ranked(kpi: Kpi, split: _Split, keys: Ints, n: NDArray[np.int64]) -> list[Row]:
    if not keys.size:
        return []
    groups = keys // _WIDTH
    present, starts = np.unique(groups, return_index=True)
    ends = [*starts[1:].tolist(), keys.size]
    rows = []
    for group, a, b in zip(present.tolist(), starts.tolist(), ends, strict=True):
        ranks = np.cumsum(n[a:b])
        count = int(ranks[-1])
        if count == 0:
            continue
        value: float | None = None
        if count > 0:
            rank = -(-round((kpi.quantile or 0) * 100) * count // 100)
            found = int(np.searchsorted(ranks, max(rank, 1)))
            value = facts.bucket_ms(int(keys[a + found] % _WIDTH)) / kpi.scale
        territory, by = split.labels[group]
        rows.append(Row(territory, by, value, None, None, count))
    return rows
