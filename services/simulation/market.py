"""E-commerce floors of one province: stores, listings, orders, stock. Pure.

Each platform has a fixed number of places; a place holds one listing at a time, and when a listing
is taken down the next one is put up in the same instant, so the number of active listings is what
the sources say on every day. A listing is stocked up once a week; orders take from that stock, and
whoever finds too little does not order. So the state of a listing is decided by its last stocking
and the orders since, at most seven days back.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

import numpy as np

from schemas import v1
from services.core.calendar import DAY_MS, HOUR_MS, MINUTE_MS, Calendar, day_start, local_day
from services.simulation.goods import DEFAULT_NAMES, DEFAULT_SCALE, FORMS, NAMES, SCALES, Scale
from services.simulation.market_day import PER_WEEK, Draw, MarketDay, Place, Revision, Store
from services.simulation.provinces import Province
from services.simulation.scenarios import Sale
from services.simulation.seeds import fraction, gamma_noise, generator, whole
from services.simulation.shapes import ORDER_HOURS, Weights, order_factor

PLATFORMS: tuple[str, ...] = get_args(v1.Platform)
GROUPS: tuple[str, ...] = get_args(v1.ProductGroup)
#: An order is completed or cancelled within this many days.
LONGEST_LIFE_DAYS = 10
_STOCKING_DAYS = 7
_COMPLETED, _CASHLESS = 0.93, 0.46
_SOLD_OUT_WEEK = 0.03
#: Orders of a day's sales are numbered from here, those of the shelves below.
_FIRST_OF_SALE = 50_000


@dataclass(frozen=True)
class Market:
    """The floors of one province under one seed."""

    seed: int
    province: Province
    calendar: Calendar

    @property
    def scale(self) -> Scale:
        return SCALES.get(self.province.code, DEFAULT_SCALE)

    # --- what is there -----------------------------------------------------------------------

    def _stores(self, platform: str, count: int) -> list[Store]:
        rng = generator(self.seed, "stores", self.province.code, platform)
        stores = []
        homes = [i for i, d in enumerate(self.province.districts) if d.communes]
        weights = self.province.weights[homes]
        for i in range(count):
            district = self.province.districts[
                homes[int(rng.choice(len(homes), p=weights / weights.sum()))]
            ]
            commune = district.communes[int(rng.integers(len(district.communes)))]
            kind = ("household", "cooperative", "firm")[int(rng.choice(3, p=[0.55, 0.3, 0.15]))]
            name = f"S{self.province.code}-{platform}-{i:03d}"
            stores.append(Store(name, kind, district.row.district_code, commune))
        return stores

    def places(self) -> tuple[Place, ...]:
        return _places(self)

    def product(self, number: int) -> dict[str, Any]:
        """What an event says of a product, but for its price."""
        names = NAMES.get(self.province.code, DEFAULT_NAMES)
        name, group, unit = names[number % len(names)]
        form = FORMS[number // len(names) % len(FORMS)]
        lot = number // (len(names) * len(FORMS))
        stars = 0
        if number < self.scale.ocop:
            stars = 5 if number % 29 == 0 else 4 if number % 3 == 0 else 3
        return {
            "product_key": f"P{self.province.code}-{number:04d}",
            "product_name": f"{name}{form}" + (f" số {lot + 1}" if lot else ""),
            "product_group": "other" if number % 41 == 40 else group,
            "ocop_stars": stars,
            "unit": unit,
        }

    def price(self, product: int, born: int, week: int) -> int:
        """What a piece of a listing costs in a week of its life, in VND."""
        rng = generator(self.seed, "price", self.province.code, product)
        base = 95_000 * float(np.exp(rng.normal(0.0, 0.65)))
        drift = 1 + 0.12 * (fraction(self.seed, "drift", product, born, week // 3) - 0.5)
        return max(1000, round(base * drift / 1000) * 1000)

    def _stocked(self, place: int, born: int, week: int) -> int:
        return _stocked(self.seed, self.province.code, place, born, week)

    # --- one listing at an instant -----------------------------------------------------------

    @staticmethod
    def _born(place: Place, at: int) -> int:
        """When the listing that is in a place at an instant was put up."""
        return place.phase + (at - place.phase) // place.life * place.life

    @staticmethod
    def week(place: Place, born: int, at: int) -> tuple[int, int]:
        """How often a listing has been stocked up again by an instant, and when last."""
        first = local_day(born) + 1
        first += (place.stocking - first) % _STOCKING_DAYS
        since = local_day(at) - first
        if since < 0:
            return 0, born
        return since // _STOCKING_DAYS + 1, day_start(first + since // 7 * _STOCKING_DAYS)

    def _draws(self, day: int) -> tuple[Draw, ...]:
        return _draws(self, day)

    def _recent(self, day: int) -> dict[int, list[Draw]]:
        """The wishes of a day and the seven before it, by place, in order."""
        out: dict[int, list[Draw]] = defaultdict(list)
        for d in range(day - _STOCKING_DAYS, day + 1):
            for draw in self._draws(d):
                out[draw.place].append(draw)
        return out

    def _sold(
        self, place: Place, wishes: list[Draw], until: int
    ) -> Iterator[tuple[Draw, Revision]]:
        """The wishes that become orders in the week of stock that ``until`` falls in."""
        born = self._born(place, until)
        week, stocked_at = self.week(place, born, until)
        stock = self._stocked(place.number, born, week)
        ordinal = 0
        for wish in wishes:
            if wish.at < stocked_at or wish.at < born or wish.at > until:
                continue
            if wish.quantity > stock or ordinal >= PER_WEEK - 3:
                continue
            stock -= wish.quantity
            ordinal += 1
            yield wish, Revision(wish.at, place.number, born, week, ordinal, stock, True)

    def state(self, place: Place, wishes: list[Draw], at: int) -> Revision:
        """The latest state of a place's listing at an instant."""
        born = self._born(place, at)
        week, stocked_at = self.week(place, born, at)
        latest = Revision(
            stocked_at, place.number, born, week, 0, self._stocked(place.number, born, week), True
        )
        for _, sold in self._sold(place, wishes, at):
            latest = sold
        return latest

    # --- one day -----------------------------------------------------------------------------

    def day(self, day: int) -> MarketDay:
        """Everything that begins on a local day: revisions of listings, and orders."""
        start, end = day_start(day), day_start(day + 1)
        recent = self._recent(day)
        revisions: list[Revision] = []
        orders: list[tuple[Draw, int]] = []
        for place in self.places():
            wishes = recent.get(place.number, [])
            born = self._born(place, end - 1)
            if born >= start:
                before = self.state(place, wishes, born - 1)
                revisions.append(before._replace(at=born, ordinal=PER_WEEK - 2, active=False))
                stock = self._stocked(place.number, born, 0)
                revisions.append(Revision(born, place.number, born, 0, 0, stock, True))
            if day % _STOCKING_DAYS == place.stocking and self._born(place, start) < start:
                was = self._born(place, start)
                week, _ = self.week(place, was, start)
                stock = self._stocked(place.number, was, week)
                revisions.append(Revision(start, place.number, was, week, 0, stock, True))
            ends = [end - 1] if born < start else [born - 1, end - 1]
            for until in ends:
                for wish, revision in self._sold(place, wishes, until):
                    if wish.at >= start:
                        orders.append((wish, revision.born))
                        revisions.append(revision)
        revisions.sort(key=lambda r: (r.at, r.place, r.week, r.ordinal))
        orders.sort(key=lambda o: o[0].number)
        return MarketDay(self, day, tuple(revisions), tuple(orders))

    def sold_off(self, day: int, sales: Sequence[Sale]) -> MarketDay:
        """The orders that sales add on a local day: of lots set aside, so that no shelf is emptier.

        They come by themselves: a sale that begins in the middle of a day that has been sent in
        part changes nothing of it.
        """
        orders: list[tuple[Draw, int]] = []
        start, end = day_start(day), day_start(day + 1)
        for sale in sales:
            if sale.start >= end or sale.end <= start or sale.factor <= 1:
                continue
            hours = start + np.arange(24) * HOUR_MS
            during = (hours < sale.end) & (hours + HOUR_MS > sale.start)
            rng = generator(self.seed, "sale", self.province.code, day, sale.start)
            weights = np.where(during, ORDER_HOURS * (sale.factor - 1), 0.0)
            first = _FIRST_OF_SALE + len(orders)
            orders += [
                (wish, self._born(self.places()[wish.place], wish.at))
                for wish in _wishes(self, day, rng, weights, first)
                if sale.start <= wish.at < sale.end
            ]
        return MarketDay(self, day, (), tuple(orders))

    def opening(self, at: int) -> MarketDay:
        """The latest state of every active listing at an instant, as one batch."""
        recent = self._recent(local_day(at))
        states = tuple(self.state(p, recent.get(p.number, []), at - 1) for p in self.places())
        return MarketDay(self, local_day(at), states, ())


@lru_cache(maxsize=32_768)
def _stocked(seed: int, province: str, place: int, born: int, week: int) -> int:
    """How many pieces a place is stocked up to in a week of its listing."""
    if fraction(seed, "sold-out", province, place, born, week) < _SOLD_OUT_WEEK:
        return 0
    return 4 + whole(seed, 60, "stock", province, place, born, week)


@lru_cache(maxsize=64)
def _places(market: Market) -> tuple[Place, ...]:
    scale = market.scale
    seed, code = market.seed, market.province.code
    counts = {name: getattr(scale, name) for name in PLATFORMS}
    products = max(int(max(counts.values()) * 1.15), scale.ocop)
    out: list[Place] = []
    for platform, count in counts.items():
        stores = market._stores(
            platform,
            scale.provincial_stores if platform == "provincial" else max(1, count // 5),
        )
        # The first floor starts with the OCOP products, the others further on in the range.
        offset = 0 if platform == "postmart" else whole(seed, products, "range", code, platform)
        for i in range(count):
            life = (90 + whole(seed, 210, "life", code, platform, i)) * DAY_MS
            hour = 8 * HOUR_MS + whole(seed, 12 * HOUR_MS, "hour", code, platform, i)
            phase = day_start(whole(seed, life // DAY_MS, "phase", code, platform, i)) + hour
            out.append(
                Place(
                    len(out), platform, stores[i % len(stores)], (i + offset) % products,
                    life, phase, whole(seed, _STOCKING_DAYS, "stocking", code, platform, i),
                )
            )  # fmt: skip
    return tuple(out)


@lru_cache(maxsize=256)
def _draws(market: Market, day: int) -> tuple[Draw, ...]:
    """The wishes of a day, in order: what customers would buy if it is there."""
    rng = generator(market.seed, "orders", market.province.code, day)
    return _wishes(market, day, rng, ORDER_HOURS, 0)


def _wishes(
    market: Market, day: int, rng: np.random.Generator, hours: Weights, first: int
) -> tuple[Draw, ...]:
    """Wishes by the weights of the hours, numbered from ``first`` on."""
    volume = market.province.volume.orders * order_factor(market.calendar, day)
    noise = gamma_noise(rng, 0.15, (1,)) * gamma_noise(rng, 0.3, (24,))
    # One in fifty finds the shelf empty.
    counts = rng.poisson(volume * 1.02 * hours * noise)
    hour = np.repeat(np.arange(24), counts)
    n = len(hour)
    at = np.sort(day_start(day) + hour * HOUR_MS + (rng.random(n) * HOUR_MS).astype(np.int64) + 5)
    places = market.places()
    popularity = 1.0 / (8.0 + np.arange(len(places)))
    shuffled = generator(market.seed, "popularity", market.province.code).permutation(popularity)
    place = rng.choice(len(places), size=n, p=shuffled / shuffled.sum())
    quantity = np.minimum(rng.geometric(0.68, n), 12)
    completes = rng.random(n) < _COMPLETED
    took = np.clip(np.exp(rng.normal(0.6, 0.5, n)), 0.3, 7.0) * DAY_MS
    gave_up = rng.random(n) * 1.5 * DAY_MS + 5 * MINUTE_MS
    ends = at + np.where(completes, took, gave_up).astype(np.int64)
    cashless = rng.random(n) < _CASHLESS
    by = np.where(cashless, np.where(rng.random(n) < 0.6, 1, 2), 0)
    payments = get_args(v1.OrderPayment)
    columns = (
        at.tolist(), place.tolist(), quantity.tolist(), completes.tolist(), ends.tolist(),
        by.tolist(),
    )  # fmt: skip
    return tuple(
        Draw(i, when, where, pieces, done, end, payments[how])
        for i, (when, where, pieces, done, end, how) in enumerate(zip(*columns, strict=True), first)
    )
