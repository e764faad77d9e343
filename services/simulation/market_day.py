"""What begins on one day of a province's e-commerce floors, and the events that tell it. Pure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.calendar import local_day
from services.simulation.instants import iso, yymmdd

if TYPE_CHECKING:
    from services.simulation.market import Market

SOURCE = "/ioc/sim/listing"
#: Revisions of a listing: 1,000 per week of its life, the last of a week is kept for its end.
PER_WEEK = 1000


class Store(NamedTuple):
    """A seller on one platform and where it is."""

    store_id: str
    kind: str
    district: str
    commune: str | None


class Place(NamedTuple):
    """One place on a platform: the store and product that are there, and its rhythm."""

    number: int
    platform: str
    store: Store
    product: int
    #: Life of each of its listings in ms, and the instant the life of one of them began.
    life: int
    phase: int
    stocking: int


class Draw(NamedTuple):
    """One customer's wish: instant, place, pieces, what becomes of the order and when."""

    number: int
    at: int
    place: int
    quantity: int
    completes: bool
    ends: int
    payment: str


class Revision(NamedTuple):
    """One state of a listing: the instant it came to be and what differs from its birth."""

    at: int
    place: int
    born: int
    week: int
    ordinal: int
    stock: int
    active: bool


@dataclass(frozen=True)
class MarketDay:
    """What begins on a day: first the revisions of listings, then the orders.

    Slots: 0 a listing's revision or an order placed, 1 an order completed, 2 one cancelled.
    """

    market: "Market"
    day: int
    revisions: tuple[Revision, ...]
    orders: tuple[tuple[Draw, int], ...]

    def __len__(self) -> int:
        return len(self.revisions) + len(self.orders)

    @property
    def topic(self) -> str:
        return "ioc.listing.v1"

    @property
    def times(self) -> NDArray[np.int64]:
        rows = [(r.at, -1, -1) for r in self.revisions]
        rows += [
            (d.at, d.ends if d.completes else -1, -1 if d.completes else d.ends)
            for d, _ in self.orders
        ]
        return np.array(rows, dtype=np.int64).reshape(-1, 3)

    @property
    def district(self) -> NDArray[np.int64]:
        """The index of each entity's district in its province."""
        index = {d.row.district_code: i for i, d in enumerate(self.market.province.districts)}
        places = self.market.places()
        of = [r.place for r in self.revisions] + [d.place for d, _ in self.orders]
        return np.array([index[places[p].store.district] for p in of], dtype=np.int64)

    def take(self, rows: NDArray[np.int64]) -> "MarketDay":
        """This day, reduced to some of its entities."""
        k = len(self.revisions)
        return MarketDay(
            self.market,
            self.day,
            tuple(self.revisions[i] for i in rows.tolist() if i < k),
            tuple(self.orders[i - k] for i in rows.tolist() if i >= k),
        )

    def event(self, i: int, slot: int) -> tuple[str, dict[str, Any]]:
        """Key and CloudEvent of a listing's revision, or of an order after a step."""
        if i < len(self.revisions):
            return self._listing(self.revisions[i])
        return self._order(*self.orders[i - len(self.revisions)], slot)

    def _listing_id(self, place: Place, born: int) -> str:
        return f"L{self.market.province.code}-{place.number:04d}-{yymmdd(local_day(born))}"

    def _listing(self, r: Revision) -> tuple[str, dict[str, Any]]:
        place = self.market.places()[r.place]
        store = place.store
        listing_id = self._listing_id(place, r.born)
        revision = r.week * PER_WEEK + r.ordinal + 1
        data = {
            "listing_id": listing_id,
            "revision": revision,
            "store_id": store.store_id,
            "seller_kind": store.kind,
            "platform": place.platform,
            **self.market.product(place.product),
            "price_vnd": self.market.price(place.product, r.born, r.week),
            "stock": r.stock,
            "active": r.active,
            "province_code": self.market.province.code,
            "district_code": store.district,
            "commune_code": store.commune,
            "created_at": iso(r.born),
            "delisted_at": None if r.active else iso(r.at),
        }
        return store.store_id, self._envelope(
            f"{store.store_id}.{listing_id}-r{revision}", "ioc.listing.v1", r.at, data
        )

    def _order(self, d: Draw, born: int, slot: int) -> tuple[str, dict[str, Any]]:
        place = self.market.places()[d.place]
        store = place.store
        week, _ = self.market.week(place, born, d.at)
        order_id = f"DH{self.market.province.code}-{yymmdd(local_day(d.at))}-{d.number:05d}"
        at = d.at if slot == 0 else d.ends
        revision = 1 if slot == 0 else 2
        data = {
            "order_id": order_id,
            "revision": revision,
            "listing_id": self._listing_id(place, born),
            "store_id": store.store_id,
            "platform": place.platform,
            "status": ("placed", "completed", "cancelled")[slot],
            "quantity": d.quantity,
            "value_vnd": d.quantity * self.market.price(place.product, born, week),
            "payment": d.payment,
            "province_code": self.market.province.code,
            "district_code": store.district,
            "commune_code": store.commune,
            "placed_at": iso(d.at),
            "completed_at": iso(at) if slot == 1 else None,
            "cancelled_at": iso(at) if slot == 2 else None,
        }
        return store.store_id, self._envelope(f"{order_id}-r{revision}", "ioc.order.v1", at, data)

    @staticmethod
    def _envelope(name: str, kind: str, at: int, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": name,
            "source": SOURCE,
            "type": kind,
            "time": iso(at),
            "datacontenttype": "application/json",
            "data": data,
        }
