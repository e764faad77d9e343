"""KPIs over active listings: products, stores, OCOP products, selling communes. Pure numpy."""

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core import facts
from services.core.evaluate import Grouping, Where, field_of, territory_of
from services.core.kpis import Kpi
from services.core.panes import Ints
from services.core.rows import Row

#: One active listing: its code without flags, its store and OCOP product (0: none), out of stock.
ACTIVE = np.dtype([("base", "<i8"), ("store", "<u8"), ("product", "<u8"), ("empty", "u1")])
#: Pairs of group and thing up to which a table of all of them is quicker than sorting.
_TABLE = 1 << 24


class _Things(NamedTuple):
    """What each listing has one of: numbers from 0 up to before ``size``."""

    numbers: Ints
    size: int

    @classmethod
    def of(cls, names: NDArray[np.uint64]) -> "_Things":
        found, numbers = np.unique(names, return_inverse=True)
        return cls(numbers.reshape(-1), found.size)


class Active:
    """The active listings of one moment; what several KPIs need of them is made once."""

    def __init__(self, packed: bytes = b"") -> None:
        """``packed``: records of :data:`ACTIVE`."""
        self._listings = np.frombuffer(packed, dtype=ACTIVE)
        self.base: Ints = np.ascontiguousarray(self._listings["base"])
        self.size = self.base.size

    @cached_property
    def stores(self) -> _Things:
        return _Things.of(self._listings["store"])

    @cached_property
    def products(self) -> _Things:
        return _Things.of(self._listings["product"])

    @cached_property
    def communes(self) -> _Things:
        rows = territory_of(self.base)
        return _Things(rows, int(rows.max(initial=-1)) + 1)

    @cached_property
    def is_ocop(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self._listings["product"] != 0
        return found

    @cached_property
    def is_empty(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self._listings["empty"] != 0
        return found


def evaluate_listings(
    kpi: Kpi,
    active: Active,
    grouping: Grouping,
    where: Where,
    communes: list[int],
    is_commune: NDArray[np.bool_],
) -> list[Row]:
    """The rows of a KPI over active listings.

    ``communes``: how many communes the territory of each group has; ``is_commune`` which rows are
    communes that exist.
    """
    fact = facts.ECO_CREATED
    groups = grouping.assign(fact, active.base)
    mask = groups >= 0
    for name, value in where.items():
        mask &= field_of(fact, name, active.base) == value
    size = len(grouping.labels)
    name = kpi.name
    if name == "eco.out_of_stock_rate":
        empty = np.bincount(groups[mask & active.is_empty], minlength=size).tolist()
        return _shares(grouping, empty, np.bincount(groups[mask], minlength=size).tolist())
    if name == "eco.commune_seller_share":
        mask &= is_commune[active.communes.numbers]
        return _shares(grouping, _distinct(groups, mask, active.communes, size), communes)
    if name == "eco.products":
        values = np.bincount(groups[mask], minlength=size).tolist()
    elif name == "eco.stores":
        values = _distinct(groups, mask, active.stores, size)
    elif name == "eco.ocop_products":
        values = _distinct(groups, mask & active.is_ocop, active.products, size)
    else:
        raise ValueError(f"{name} is not computed from listings")
    return [
        Row(label.territory, label.by, value, None, None, value)
        for label, value in zip(grouping.labels, values, strict=True)
        if label.always or value
    ]


def _distinct(groups: Ints, mask: NDArray[np.bool_], things: _Things, size: int) -> list[int]:
    """How many different things each group has."""
    pairs = groups[mask] * things.size + things.numbers[mask]
    if size * things.size <= _TABLE:
        there = np.zeros(size * things.size, dtype=np.bool_)
        there[pairs] = True
        found = there.reshape(size, things.size).sum(axis=1)
    else:
        found = np.bincount(np.unique(pairs) // things.size, minlength=size)
    counts: list[int] = found.tolist()
    return counts


def _shares(grouping: Grouping, tops: list[int], bottoms: list[int]) -> list[Row]:
    return [
        Row(label.territory, label.by, top / bottom if bottom else None, top, bottom, bottom)
        for label, top, bottom in zip(grouping.labels, tops, bottoms, strict=True)
        if label.always or bottom
    ]
