"""All rows of a KPI at once: every province and district, or every value of a dimension.

A page that shows every KPI everywhere (``/metrics``) asks some five thousand questions. Asked one
by one, each goes through the cells of its window again; here one pass over the cells of a fact
gives the sums of all its measures at all places, and a window is the sum of its segments, whose
sums move with their changes (services.core.segments). Pure; equal to ``View.query``.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core import facts, listings
from services.core.active import Active
from services.core.evaluate import _due_mask, field_of, matches, territory_of
from services.core.facts import FACTS, Fact
from services.core.kpis import CATALOGUE, WINDOWS, Kpi, Measure
from services.core.merge import View
from services.core.panes import Cells, Ints
from services.core.rows import Label, Row, rows_of
from services.core.segments import Span
from services.core.sums import grouped
from services.core.windows import bounds

_BUCKETS = 1 << facts.BUCKET_BITS


class _Key(NamedTuple):
    """One measure as it is summed: ``stock`` names the stock KPI whose due times it minds."""

    fact: str
    column: str
    where: tuple[tuple[str, tuple[int, ...]], ...]
    stock: str | None
    buckets: bool

    @classmethod
    def of(cls, kpi: Kpi, measure: Measure) -> "_Key":
        stock = kpi.name if kpi.kind == "stock" else None
        quantile = kpi.kind == "quantile"
        return cls(measure.fact.name, measure.column, measure.where, stock, quantile)


class _Sums(NamedTuple):
    """Count and sum by place, and by (province, value) of each dimension; buckets: histograms."""

    n: Ints
    s: Ints
    by: dict[str, tuple[Ints, Ints]]


class _Together(NamedTuple):
    """The measures of a fact that are summed in one pass: all, or one with its histograms.

    Their sums lie one behind the other in one array; ``shapes`` are those of the counts of each,
    without dimension (None) and by each, and whether sums follow on them.
    """

    fact: Fact
    keys: tuple[_Key, ...]
    shapes: tuple[tuple[dict[str | None, tuple[int, ...]], bool], ...]

    @property
    def numbers(self) -> int:
        return sum(
            math.prod(shape) * (1 + summed)
            for shapes, summed in self.shapes
            for shape in shapes.values()
        )

    def split(self, flat: Ints) -> Iterator[tuple[_Key, _Sums]]:
        """The sums of each measure, as parts of their common array."""
        at = 0
        for key, (shapes, summed) in zip(self.keys, self.shapes, strict=True):
            found: dict[str | None, tuple[Ints, Ints]] = {}
            for dimension, shape in shapes.items():
                size = math.prod(shape)
                n = s = flat[at : at + size].reshape(shape)
                at += size
                if summed:
                    s = flat[at : at + size].reshape(shape)
                    at += size
                found[dimension] = n, s
            n, s = found.pop(None)
            yield key, _Sums(n, s, {str(name): both for name, both in found.items()})


class Marginals:
    """Sums over the windows and stocks of a view."""

    def __init__(self, view: View) -> None:
        self._view = view
        rows = view.territories.rows
        district, province = (view.territories.at_level[lv] for lv in ("district", "province"))
        own = np.arange(len(rows))
        place_row = np.where(district >= 0, district, np.where(province >= 0, province, own))
        #: Places (districts, their none and unknown rows, the unknown province), by province.
        places = sorted(set(place_row[1:].tolist()), key=lambda i: (int(province[i]), i))
        self._places = [rows[i] for i in places]
        self._place_of = np.full(len(rows), 0, dtype=np.int64)
        position = {row: i for i, row in enumerate(places)}
        self._place_of[1:] = [position[i] for i in place_row[1:].tolist()]
        of_place = [int(province[i]) for i in places]
        provinces = list(dict.fromkeys(of_place))
        self._provinces = [rows[i] for i in provinces]
        self._first = np.array([of_place.index(p) for p in provinces])
        self._province_of = np.array([provinces.index(p) for p in of_place])[self._place_of]
        self._together = {name: self._layouts(FACTS[name], keys) for name, keys in KEYS.items()}
        #: The windows of a topic at one moment (None: what is true now), by kind and whether now.
        self._spans: dict[tuple[str, bool], dict[str | None, Span]] = {}
        self._done: dict[tuple[_Key, str | None], _Sums] = {}
        self._of_provinces = listings.Provinces.of(view)
        self._listing: dict[tuple[str, str | None], list[Row]] = {}
        self._listed: Active | None = None

    def forget(self) -> None:
        """Begin a new moment; to be called whenever the view may have changed."""
        self._spans.clear()
        self._done.clear()

    def rows(self, kpi: Kpi, window: str | None, dimension: str | None, now: int) -> list[Row]:
        """Rows at ``now`` (ms): all, provinces and districts; or by ``dimension`` for all and the
        known provinces. ``by`` of a row is the dimension's value, else null.
        """
        if kpi.kind == "listing":
            return self._of_listings(kpi, dimension, now)
        at = self._view.clock_at(now)
        if kpi.numerator is None:
            raise ValueError(f"{kpi.name} has no marginals")
        top = self._sums(kpi, kpi.numerator, window, at)
        bottom = None if kpi.denominator is None else self._sums(kpi, kpi.denominator, window, at)
        if dimension is None:
            return self._by_place(kpi, top, bottom)
        return self._by_dimension(kpi, dimension, top, bottom)

    # --- rows -----------------------------------------------------------------------------------

    def _by_place(self, kpi: Kpi, top: _Sums, bottom: _Sums | None) -> list[Row]:
        codes: list[tuple[str, bool]] = [("all", True)]
        codes += [(row.code, row.known) for row in self._provinces]
        codes += [(row.code, row.known) for row in self._places if row.level == "district"]
        at_district = [i for i, row in enumerate(self._places) if row.level == "district"]

        def levels(x: Ints) -> Ints:
            provinces = np.add.reduceat(x, self._first, axis=0)
            return np.concatenate([provinces.sum(axis=0)[None], provinces, x[at_district]])

        return rows_of(
            kpi,
            [Label(code, None, known) for code, known in codes],
            levels(top.n),
            levels(top.s),
            None if bottom is None else levels(bottom.n),
            None if bottom is None else levels(bottom.s),
        )

    def _by_dimension(
        self, kpi: Kpi, dimension: str, top: _Sums, bottom: _Sums | None
    ) -> list[Row]:
        values = FACTS[kpi.numerator.fact.name].fields[dimension].values if kpi.numerator else ()
        known = [i for i, row in enumerate(self._provinces) if row.known]
        labels = [Label("all", value) for value in values]
        labels += [Label(self._provinces[i].code, value) for i in known for value in values]

        def levels(x: Ints) -> Ints:
            x = x[:, : len(values)]
            return np.concatenate([x.sum(axis=0)[None], x[known]]).reshape(-1, *x.shape[2:])

        below = None if bottom is None else bottom.by[dimension]
        return rows_of(
            kpi,
            labels,
            levels(top.by[dimension][0]),
            levels(top.by[dimension][1]),
            None if below is None else levels(below[0]),
            None if below is None else levels(below[1]),
        )

    def _of_listings(self, kpi: Kpi, dimension: str | None, now: int) -> list[Row]:
        active = self._view._active_listings()
        if active is not self._listed:
            self._listed = active
            self._listing.clear()
        rows = self._listing.get((kpi.name, dimension))
        if rows is None:
            rows = self._listing[kpi.name, dimension] = self._asked(kpi, dimension, now)
        return rows

    def _asked(self, kpi: Kpi, dimension: str | None, now: int) -> list[Row]:
        query = self._view.query
        if dimension is None:
            _, rows = query(kpi.name, now=now)
            for level in ("province", "district"):
                rows = rows + query(kpi.name, now=now, by=level)[1]
            return rows
        return self._of_provinces.rows(kpi, dimension, now)

    # --- sums -----------------------------------------------------------------------------------

    def steps(self, kpi: Kpi, window: str | None, now: int) -> Iterator[None]:
        """Do in steps what :meth:`rows` would otherwise do at once, for whoever has other work."""
        if kpi.kind != "listing":
            at = self._view.clock_at(now)
            for measure in (kpi.numerator, kpi.denominator):
                if measure is not None:
                    yield from self._prepare(kpi, measure, window, at)

    def _sums(self, kpi: Kpi, measure: Measure, window: str | None, at: int) -> _Sums:
        for _ in self._prepare(kpi, measure, window, at):
            pass
        return self._done[_Key.of(kpi, measure), window]

    def _prepare(self, kpi: Kpi, measure: Measure, window: str | None, at: int) -> Iterator[None]:
        """Sum every measure of a fact over a window, or over what is true now."""
        key, fact = _Key.of(kpi, measure), measure.fact
        if (key, window) in self._done:
            return
        stock = key.stock is not None
        span = self._moment(fact.topic.kind, at, stock=stock)[window]
        yield
        minute = at // 60_000 if stock else 0
        together = next(each for each in self._together[fact.name] if key in each.keys)

        def fold(cells: Cells) -> Ints:
            one = _Pass(self, fact, cells, minute)
            return np.concatenate([x for each in together.keys for x in one.flat(each)])

        name = ("everywhere", together.keys, minute)
        flat = span.sums(name, fact.codes, fold, together.numbers)
        for each, sums in together.split(flat):
            self._done[each, window] = sums
        yield

    def _moment(self, kind: str, at: int, *, stock: bool) -> dict[str | None, Span]:
        """All windows of a topic as they are when the first of them is asked for."""
        found = self._spans.get((kind, stock))
        if found is None:
            if stock:
                found = {None: Span([each.snapshot() for each in self._view._stock(kind).segments])}
            else:
                windows = [bounds(name, at) for name in WINDOWS]
                spans = dict(zip(WINDOWS, self._view._windows(kind, windows, at), strict=True))
                segments = {id(each): each for span in spans.values() for each in span.segments}
                copies = {number: each.snapshot() for number, each in segments.items()}
                found = {
                    name: Span([copies[id(each)] for each in span.segments])
                    for name, span in spans.items()
                }
            self._spans[kind, stock] = found
        return found

    def _layouts(self, fact: Fact, keys: Sequence[_Key]) -> list[_Together]:
        plain = [key for key in keys if not key.buckets]
        groups = [plain, *([key] for key in keys if key.buckets)]
        return [
            _Together(fact, tuple(group), tuple(self._shapes(fact, key) for key in group))
            for group in groups
            if group
        ]

    def _shapes(self, fact: Fact, key: _Key) -> tuple[dict[str | None, tuple[int, ...]], bool]:
        more = (_BUCKETS,) if key.buckets else ()
        shapes: dict[str | None, tuple[int, ...]] = {None: (len(self._places), *more)}
        for name in DIMENSIONS[fact.name]:
            shapes[name] = (len(self._provinces), 1 << fact.fields[name].bits, *more)
        return shapes, key.column == "s"


class _Pass:
    """One pass over cells of one fact; what several measures need is computed once."""

    def __init__(self, of: Marginals, fact: Fact, cells: Cells, minute: int) -> None:
        self._fact, self._cells, self._minute = fact, cells, minute
        self._of = of
        self._groups: dict[str | None, Ints] = {}

    def _group(self, dimension: str | None) -> Ints:
        found = self._groups.get(dimension)
        if found is None:
            rows = territory_of(self._cells.codes)
            if dimension is None:
                found = self._of._place_of[rows]
            else:
                width = 1 << self._fact.fields[dimension].bits
                values = field_of(self._fact, dimension, self._cells.codes)
                found = self._of._province_of[rows] * width + values
            self._groups[dimension] = found
        return found

    def flat(self, key: _Key) -> Iterator[Ints]:
        """The sums of a measure in the order of its shapes (see :class:`_Together`)."""
        fact, codes = self._fact, self._cells.codes
        mask: NDArray[np.bool_] | None = None
        if key.stock is not None:
            mask = _due_mask(CATALOGUE[key.stock], codes, self._minute * 60_000)
        for keep in matches(fact, key.where, codes):
            mask = keep if mask is None else mask & keep
        picked = None if mask is None else np.flatnonzero(mask)
        buckets = field_of(fact, "bucket", codes) if key.buckets else None
        shapes, summed = self._of._shapes(fact, key)
        for dimension, shape in shapes.items():
            groups, size = self._group(dimension), math.prod(shape)
            if buckets is not None:
                groups = groups * _BUCKETS + buckets
            yield grouped(groups, self._cells.n, size, picked)
            if summed:
                yield grouped(groups, self._cells.s, size, picked)


def _keys() -> dict[str, list[_Key]]:
    """What is to be summed of each fact."""
    found: dict[str, dict[_Key, None]] = {}
    for kpi in CATALOGUE.values():
        for measure in (kpi.numerator, kpi.denominator):
            if measure is not None:
                found.setdefault(measure.fact.name, {})[_Key.of(kpi, measure)] = None
    return {name: list(keys) for name, keys in found.items()}


def _dimensions() -> dict[str, list[str]]:
    """The dimensions by which some KPI splits each fact."""
    found: dict[str, dict[str, None]] = {}
    for kpi in CATALOGUE.values():
        for measure in (kpi.numerator, kpi.denominator):
            if measure is not None:
                found.setdefault(measure.fact.name, {}).update(dict.fromkeys(kpi.dimensions))
    return {name: list(dimensions) for name, dimensions in found.items()}


KEYS = _keys()
DIMENSIONS = _dimensions()
