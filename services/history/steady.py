"""The curves of what changes slowly or by itself: listings that are active, indicator readings."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from services.core.calendar import HOUR_MS, local_day
from services.core.kpis import CATALOGUE
from services.history.curves import Curve, Grid, Place, Places
from services.simulation import market, readings
from services.simulation.stream import Simulation

Floats = NDArray[np.float64]

#: The state of all listings is taken this often and holds until the next time.
_LOOK_EVERY_MS = 6 * HOUR_MS
_MARKET_KPIS = (
    "eco.products", "eco.stores", "eco.out_of_stock_rate", "eco.ocop_products",
    "eco.commune_seller_share",
)  # fmt: skip


def market_curves(simulation: Simulation, places: Places, grid: Grid) -> Iterator[Curve]:
    """Active listings and what is counted over them, for all and the provinces."""
    shown = grid.instants[grid.lead :]
    looks = np.arange(grid.start, grid.end + 1, _LOOK_EVERY_MS)
    held = np.clip((shown - grid.start) // _LOOK_EVERY_MS, 0, len(looks) - 1)
    found = {name: np.full((len(places), len(looks)), np.nan) for name in _MARKET_KPIS}
    for k, at in enumerate(looks.tolist()):
        sums = np.zeros((len(simulation.provinces), 6))
        for i, province in enumerate(simulation.provinces):
            sums[i] = _look(
                market.Market(simulation.seed, province, simulation.scenario.calendar), at
            )
        rows = [(0, sums.sum(axis=0))]
        rows += [(places.number[p.code], sums[i]) for i, p in enumerate(simulation.provinces)]
        for number, (products, stores, empty, ocop, covered, communes) in rows:
            for name, value in zip(
                _MARKET_KPIS,
                (products, stores, empty / products, ocop, covered / max(communes, 1)),
                strict=True,
            ):
                found[name][number, k] = value
    for name, values in found.items():
        for number, place in enumerate(places.all):
            if place.level != "district":
                yield Curve(CATALOGUE[name].metric, place.labels("now"), values[number][held])


def _look(place: market.Market, at: int) -> tuple[float, ...]:
    """Listings, stores, empty ones, OCOP products, communes with a seller, communes in all."""
    opening = place.opening(at)
    all_places = place.places()
    here = [(r, all_places[r.place]) for r in opening.revisions if r.active]
    return (
        len(here),
        len({p.store.store_id for _, p in here}),
        sum(r.stock == 0 for r, _ in here),
        len({p.product for _, p in here if p.product < place.scale.ocop}),
        len({p.store.commune for _, p in here if p.store.commune}),
        sum(len(d.communes) for d in place.province.districts),
    )


def indicator_curves(simulation: Simulation, grid: Grid) -> Iterator[Curve]:
    """``ioc_ind_value`` of every series of a province, and of districts where boards show them:
    heartbeats and what was published.
    """
    shown = grid.instants[grid.lead :]
    first = local_day(grid.start) - 1
    for province in simulation.provinces:
        columns: list[tuple[NDArray[np.int64], NDArray[np.int64], Floats]] = []
        series: tuple[readings.Series, ...] = readings.series_of(province)
        for day in range(first, local_day(grid.end) + 1):
            for batch in (
                readings.slow(simulation.seed, province, day, simulation.scenario.calendar),
                readings.beats(simulation.seed, province, day),
            ):
                with np.errstate(invalid="ignore", divide="ignore"):
                    ratio = batch.numerator / batch.denominator
                value = np.where(np.isnan(batch.value), ratio, batch.value)
                columns.append((batch.of, batch.time, value))
        of, time, value = (np.concatenate([c[k] for c in columns]) for k in range(3))
        order = np.lexsort((time, of))
        of, time, value = of[order], time[order], value[order]
        bounds = np.searchsorted(of, np.arange(len(series) + 1))
        for n, s in enumerate(series):
            low, high = int(bounds[n]), int(bounds[n + 1])
            place = _place(province.code, s)
            if low == high or place is None or np.isnan(value[low]):
                continue
            at = np.searchsorted(time[low:high], shown, side="right") - 1
            values = np.where(at >= 0, value[low:high][np.maximum(at, 0)], np.nan)
            dims = s.key.rsplit("|", 1)[-1]
            yield Curve(
                "ioc_ind_value",
                (
                    ("indicator", s.indicator.name),
                    ("province", place.province),
                    ("district", place.district),
                    ("level", place.level),
                    ("dims", dims),
                ),
                values,
            )


def _place(province: str, s: readings.Series) -> Place | None:
    if s.territory == province:
        return Place("province", province, "")
    if len(s.territory) == 3 and (s.fixed or s.indicator.cadence == "beat"):
        return Place("district", province, s.territory)
    return None
