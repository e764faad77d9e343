"""All rows of a KPI at once: every province and district, or every value of a dimension.

A page that shows every KPI everywhere (``/metrics``) asks some five thousand questions. Asked one
by one, each goes through the cells of its window again; here one pass over the cells of a fact
gives the sums of all its measures at all places, and a window is the sum of its segments
(services.core.tables). The big run of a segment, which rarely changes, is summed once; only the
small runs behind it are summed at every call. Pure; equal to ``View.query``.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core import facts, listings
from services.core.evaluate import Row, _due_mask, field_of, matches, territory_of
from services.core.facts import FACTS, Fact
from services.core.kpis import CATALOGUE, WINDOWS, Kpi, Measure
from services.core.merge import View
from services.core.panes import NO_CELLS, Block, Cells, Ints, gather
from services.core.rows import rows_of
from services.core.sums import grouped
from services.core.tables import Span
from services.core.windows import bounds

_BUCKETS = 1 << facts.BUCKET_BITS
#: Base runs smaller than this are not worth remembering.
_REMEMBER = 1024


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


class _Known(NamedTuple):
    """The sums of a base run (told by its array), for due times as of a minute."""

    codes: Ints
    minute: int
    sums: _Sums


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
        self._known: dict[tuple[_Key, int], _Known] = {}
        self._done: dict[tuple[_Key, str | None], _Sums] = {}
        self._of_provinces = listings.Provinces.of(view)
        self._listing: dict[tuple[str, str | None], list[Row]] = {}
        self._listed: NDArray[np.void] | None = None

    def forget(self) -> None:
        """Drop the sums made since; to be called whenever the view may have changed. Those of
        base runs stay."""
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
            [(code, None, known) for code, known in codes],
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
        labels: list[tuple[str, str | None, bool]] = [("all", value, True) for value in values]
        labels += [(self._provinces[i].code, value, True) for i in known for value in values]

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
        """Sum every measure of a fact, over all windows or over what is true now."""
        key, fact = _Key.of(kpi, measure), measure.fact
        if (key, window) in self._done:
            return
        kind = fact.topic.kind
        spans: dict[str | None, Span]
        if key.stock is not None:
            spans = {None: self._view._stock(kind)}
        else:
            windows = self._view._windows(kind, [bounds(name, at) for name in WINDOWS], at)
            spans = dict(zip(WINDOWS, windows, strict=True))
        blocks = {id(block): block.copy() for span in spans.values() for block in span.segments}
        order = {name: [id(block) for block in span.segments] for name, span in spans.items()}
        yield
        minute = 0 if key.stock is None else at // 60_000
        keys = [each for each in KEYS[fact.name] if (each.stock is None) == (key.stock is None)]
        sums: dict[tuple[_Key, int], _Sums | None] = {}
        known: dict[tuple[_Key, int], _Known] = {}
        for number, block in blocks.items():
            for each, found in self._of_block(fact, keys, block, minute, known):
                sums[each, number] = found
                yield
        histograms = [each for each in keys if each.buckets]
        for name, numbers in order.items():
            if histograms:
                # They are large: they are made of a window at once.
                cells = Span([blocks[number] for number in numbers]).select(fact.codes)
                whole = _Pass(self, fact, cells, minute)
                for each in histograms:
                    self._done[each, name] = whole.sums(each)
                    yield
            for each in keys:
                if not each.buckets:
                    self._done[each, name] = self._together(
                        fact, each, [sums[each, number] for number in numbers], minute
                    )
            yield
        self._known = {k: v for k, v in self._known.items() if k[0] not in keys} | known

    def _of_block(
        self,
        fact: Fact,
        keys: Iterable[_Key],
        block: Block,
        minute: int,
        known: dict[tuple[_Key, int], _Known],
    ) -> Iterator[tuple[_Key, _Sums | None]]:
        """The sums of a block that stays as it is, None for none; those of its base go to
        ``known``."""
        base, *rest = block.runs or [NO_CELLS]
        pass_base = _Pass(self, fact, gather(base.within(fact.codes)), minute)
        small = gather(part for run in rest for part in run.within(fact.codes))
        pass_rest = _Pass(self, fact, small, minute)
        for key in keys:
            if key.buckets:
                continue
            found: _Sums | None = None
            if pass_base.size:
                name = (key, id(base.codes))
                before = self._known.get(name)
                if before is not None and before.codes is base.codes and before.minute == minute:
                    known[name] = before
                    found = before.sums
                else:
                    found = pass_base.sums(key)
                    if base.codes.size >= _REMEMBER:
                        known[name] = _Known(base.codes, minute, found)
            if pass_rest.size:
                more = pass_rest.sums(key)
                found = more if found is None else _added(found, more)
            yield key, found

    def _together(self, fact: Fact, key: _Key, parts: Sequence[_Sums | None], minute: int) -> _Sums:
        there = [part for part in parts if part is not None]
        if not there:
            return _Pass(self, fact, NO_CELLS, minute).sums(key)
        return reduce(_added, there)


class _Pass:
    """One pass over cells of one fact; what several measures need is computed once."""

    def __init__(self, of: Marginals, fact: Fact, cells: Cells, minute: int) -> None:
        self._fact, self._cells, self._minute = fact, cells, minute
        self._places, self._provinces = len(of._places), len(of._provinces)
        self._of = of
        self.size = cells.codes.size
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

    def sums(self, key: _Key) -> _Sums:
        fact, codes = self._fact, self._cells.codes
        mask: NDArray[np.bool_] | None = None
        if key.stock is not None:
            mask = _due_mask(CATALOGUE[key.stock], codes, self._minute * 60_000)
        for keep in matches(fact, key.where, codes):
            mask = keep if mask is None else mask & keep
        n, s = self._cells.n, self._cells.s
        picked = None if mask is None else np.flatnonzero(mask)
        buckets = field_of(fact, "bucket", codes) if key.buckets else None
        need_s = key.column == "s"

        def total(groups: Ints, *shape: int) -> tuple[Ints, Ints]:
            if buckets is not None:
                groups = groups * _BUCKETS + buckets
                shape = (*shape, _BUCKETS)
            size = math.prod(shape)
            counts = grouped(groups, n, size, picked).reshape(shape)
            return counts, grouped(groups, s, size, picked).reshape(shape) if need_s else counts

        by = {
            name: total(self._group(name), self._provinces, 1 << fact.fields[name].bits)
            for name in DIMENSIONS[fact.name]
        }
        return _Sums(*total(self._group(None), self._places), by)


def _added(a: _Sums, b: _Sums) -> _Sums:
    by = {name: (a.by[name][0] + b.by[name][0], a.by[name][1] + b.by[name][1]) for name in a.by}
    return _Sums(a.n + b.n, a.s + b.s, by)


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
