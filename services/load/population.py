"""The events of a load: entities that live, each event the next revision of one of them.

Valid events of the contract in bytes, made fast: what does not change in an entity is written once
as bytes when it is born; an event adds its time, revision and status. Which entity is next follows
Zipf's law over a pool of fixed size, so a few are hot and most are cold. Time is an argument.
"""

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import orjson

from schemas import catalog, v1
from services.core.calendar import DAY_MS, day_start, local_day
from services.core.territory import CommuneRow
from services.simulation.instants import iso

#: The kinds of a mix, with the topic of each.
TOPIC_OF: Mapping[str, catalog.Topic] = MappingProxyType(
    {
        "cases": catalog.ADMIN_CASE,
        "reports": catalog.FIELD_REPORT,
        "listings": catalog.LISTING,
        "orders": catalog.LISTING,
        "indicators": catalog.INDICATOR,
    }
)
DEFAULT_MIX: Mapping[str, float] = MappingProxyType(
    {"cases": 60, "reports": 10, "listings": 5, "orders": 5, "indicators": 20}
)
#: How many events are drawn at once.
_CHUNK = 8192
#: Of all cases and reports, those that will be answered too late: due at once.
_LATE_SHARE = 0.1
_CASE_PATH = (b"registered", b"accepted", b"processing", b"solved", b"returned")
_REPORT_PATH = (b"received", b"verifying", b"assigned", b"in_progress", b"answered")
_STEPS = (b"receive", b"appraise", b"approve", b"sign", b"return")
_STORES_PER_LISTING = 0.1


class LoadEvent(NamedTuple):
    """One event: the index of its topic in ``schemas.catalog.SOURCES``, key and value."""

    topic: int
    key: bytes
    value: bytes


class Birth(NamedTuple):
    """What an entity is born with: its id, a seeded source of chance, its commune, the time."""

    name: str
    rng: Random
    place: CommuneRow
    now_ms: int
    now: bytes


def _members(data: Mapping[str, object]) -> bytes:
    """The members of an object, without its braces."""
    return orjson.dumps(data)[1:-1]


def _place(place: CommuneRow) -> dict[str, str]:
    return {
        "province_code": place.province_code,
        "district_code": place.district_code,
        "commune_code": place.commune_code,
    }


class Entity:
    """One entity: ``state`` gives the members of ``data`` at its next revision."""

    __slots__ = ("always", "key", "marks", "revision")

    def __init__(self, key: str, always: Mapping[str, object]) -> None:
        self.key = key.encode()
        #: Members that never change.
        self.always = _members(always)
        #: Members that are added as it lives, each with its comma.
        self.marks = b""
        self.revision = 0

    def state(self, now: bytes) -> bytes:
        raise NotImplementedError


class Case(Entity):
    __slots__ = ("steps",)

    def __init__(self, birth: Birth) -> None:
        rng = birth.rng
        total = rng.randrange(3, 9)
        due = birth.now_ms if rng.random() < _LATE_SHARE else birth.now_ms + 10 * DAY_MS
        super().__init__(
            birth.name,
            {
                "case_id": birth.name,
                "level": rng.choice(v1.values(v1.Level)),
                "procedure_code": f"1.{rng.randrange(1000):06d}",
                "procedure_field": rng.choice(v1.values(v1.ProcedureField)),
                "service_level": rng.choice(v1.values(v1.ServiceLevel)),
                "channel": rng.choice(v1.values(v1.CaseChannel)),
                "portal": rng.choice(v1.values(v1.Portal)),
                **_place(birth.place),
                "registered_at": birth.now.decode(),
                "due_at": iso(due),
                "fee_due": 20_000,
                "components_total": total,
                "components_digitised": total - 1,
                "components_signed": 1,
                "components_reused": rng.randrange(total),
                "result_digital": True,
                "auth": rng.random() < 0.7,
                "popdb_checked": rng.random() < 0.5,
            },
        )
        self.steps = b""

    def state(self, now: bytes) -> bytes:
        n = self.revision
        if 0 < n < len(_CASE_PATH):
            self.steps += b'%b"%b":"%b"' % (b"," if self.steps else b"", _STEPS[n - 1], now)
            if n == 1:
                self.marks = b',"accepted_at":"%b"' % now
            elif n == 2:
                self.marks += b',"payment":{"amount":20000,"method":"bank","paid_at":"%b"}' % now
            elif n == 3:
                self.marks += b',"solved_at":"%b"' % now
            else:
                self.marks += b',"result_channel":"online","returned_at":"%b"' % now
        return b'%b,"status":"%b","popdb_fields":%d%b,"steps":{%b}' % (
            self.always, _CASE_PATH[min(n, 4)], n % 21, self.marks, self.steps,
        )  # fmt: skip


class Report(Entity):
    __slots__ = ()

    def __init__(self, birth: Birth) -> None:
        rng = birth.rng
        due = birth.now_ms if rng.random() < _LATE_SHARE else birth.now_ms + 5 * DAY_MS
        super().__init__(
            birth.name,
            {
                "report_id": birth.name,
                "category": rng.choice(v1.values(v1.ReportCategory)),
                "channel": rng.choice(v1.values(v1.ReportChannel)),
                "priority": "urgent" if rng.random() < 0.05 else "normal",
                **_place(birth.place),
                "lat": round(16.6 + rng.random(), 6),
                "lon": round(106.6 + rng.random(), 6),
                "reported_at": birth.now.decode(),
                "due_at": iso(due),
                "description": "Ổ gà lớn trên tuyến đường liên xã, xe máy khó đi khi trời mưa.",
            },
        )

    def state(self, now: bytes) -> bytes:
        n = self.revision
        if n == 1:
            self.marks = b',"acknowledged_at":"%b"' % now
        elif n == 4:
            self.marks += b',"answered_at":"%b"' % now
        return b'%b,"status":"%b","status_note":"%d"%b' % (
            self.always, _REPORT_PATH[min(n, 4)], n, self.marks,
        )  # fmt: skip


def _store(birth: Birth, stores: int) -> str:
    sender = birth.name.rsplit("-", 2)[0]
    return f"{sender}-store-{birth.rng.randrange(stores)}"


class Listing(Entity):
    __slots__ = ()

    def __init__(self, birth: Birth, stores: int) -> None:
        rng = birth.rng
        store = _store(birth, stores)
        super().__init__(
            store,
            {
                "listing_id": birth.name,
                "store_id": store,
                "seller_kind": rng.choice(v1.values(v1.SellerKind)),
                "platform": rng.choice(v1.values(v1.Platform)),
                "product_key": f"load-{rng.randrange(900)}",
                "product_name": "Tiêu Cùa hạt khô loại một, túi 500 g",
                "product_group": rng.choice(v1.values(v1.ProductGroup)),
                "ocop_stars": rng.randrange(6),
                "price_vnd": rng.randrange(10_000, 500_000),
                "active": True,
                **_place(birth.place),
                "created_at": birth.now.decode(),
            },
        )

    def state(self, now: bytes) -> bytes:
        return b'%b,"stock":%d' % (self.always, self.revision * 7 % 5)


class Order(Entity):
    __slots__ = ()

    def __init__(self, birth: Birth, stores: int) -> None:
        rng = birth.rng
        store = _store(birth, stores)
        super().__init__(
            store,
            {
                "order_id": birth.name,
                "listing_id": f"{store}-sp-{rng.randrange(50)}",
                "store_id": store,
                "platform": rng.choice(v1.values(v1.Platform)),
                "value_vnd": rng.randrange(40_000, 900_000),
                "payment": rng.choice(v1.values(v1.OrderPayment)),
                **_place(birth.place),
                "placed_at": birth.now.decode(),
            },
        )

    def state(self, now: bytes) -> bytes:
        if self.revision == 1:
            self.marks = b',"completed_at":"%b"' % now
        status = b"completed" if self.revision else b"placed"
        return b'%b,"quantity":%d,"status":"%b"%b' % (
            self.always, 1 + self.revision % 1000, status, self.marks,
        )  # fmt: skip


class Indicator(Entity):
    """One series and its running period, which began with the local day."""

    __slots__ = ()

    def __init__(self, birth: Birth) -> None:
        number = birth.rng.randrange(60)
        name, place = f"infra.load_{number:02d}", birth.place.commune_code
        super().__init__(
            f"{name}|{place}|load={birth.name}",
            {
                "domain": "infra",
                "indicator": name,
                "territory": place,
                "dims": {"load": birth.name},
                "period_start": iso(day_start(local_day(birth.now_ms))),
                "kind": "rate",
                "denominator": 1000,
                "target": 0.9,
                "target_low": 0.7,
                "unit": "ratio",
                "source_system": "load",
            },
        )

    def state(self, now: bytes) -> bytes:
        return b'%b,"period_end":"%b","numerator":%d' % (
            self.always, now, self.revision * 37 % 1001,
        )  # fmt: skip


class Population:
    """The entities of one sender, and its next event.

    ``mix`` gives the weights of the kinds, ``size`` how many entities of each kind live at a time,
    ``skew`` the exponent of Zipf's law over them (0: all alike), ``revisions`` after how many
    events an entity makes room for a new one. ``run`` and ``process`` go into every id, so that no
    other sender has the same entity: its revisions come from here alone, in order.
    """

    def __init__(
        self,
        run: str,
        process: int,
        communes: list[CommuneRow],
        *,
        mix: Mapping[str, float] = DEFAULT_MIX,
        size: int = 10_000,
        skew: float = 1.0,
        revisions: int = 5,
        seed: int = 1,
    ) -> None:
        self.source = f"/ioc/sim/load/{run}"
        self._name = f"load-{run}-{process}"
        self._communes = communes
        self._revisions = revisions
        self._rng = Random(f"{seed} {process}")  # noqa: S311 (simulation, not cryptography)
        self._dice = np.random.default_rng([seed, process])
        self._kinds = [kind for kind in TOPIC_OF if mix.get(kind, 0) > 0]
        weights = np.array([mix[kind] for kind in self._kinds], dtype=np.float64)
        self._kind_bounds = np.cumsum(weights / weights.sum())
        ranks = np.arange(1, size + 1, dtype=np.float64) ** -skew
        self._rank_bounds = np.cumsum(ranks / ranks.sum())
        stores = max(1, int(size * _STORES_PER_LISTING))
        births: dict[str, Callable[[Birth], Entity]] = {
            "cases": Case,
            "reports": Report,
            "listings": lambda birth: Listing(birth, stores),
            "orders": lambda birth: Order(birth, stores),
            "indicators": Indicator,
        }
        self._births = [births[kind] for kind in self._kinds]
        self._topics = [catalog.SOURCES.index(TOPIC_OF[kind]) for kind in self._kinds]
        self._heads = [self._head(kind) for kind in self._kinds]
        self._pools: list[list[Entity | None]] = [[None] * size for _ in self._kinds]
        self._drawn: list[tuple[int, int]] = []
        #: Events made so far.
        self.serial = 0

    def _head(self, kind: str) -> bytes:
        types = {"listings": "ioc.listing.v1", "orders": "ioc.order.v1"}
        type_ = types.get(kind) or next(iter(TOPIC_OF[kind].events))
        members = {
            "specversion": "1.0",
            "source": self.source,
            "type": type_,
            "datacontenttype": "application/json",
        }
        return b'{%b,"id":"%b-' % (_members(members), self._name.encode())

    def next(self, now_ms: int, now: bytes) -> LoadEvent:
        """The next event, at an instant (ms since the epoch, and as ``iso`` text in bytes)."""
        if not self._drawn:
            self._draw()
        kind, rank = self._drawn.pop()
        pool = self._pools[kind]
        entity = pool[rank]
        if entity is None or entity.revision >= self._revisions:
            entity = pool[rank] = self._born(kind, now_ms, now)
        state = entity.state(now)
        entity.revision += 1
        self.serial += 1
        value = b'%b%d","time":"%b","data":{%b,"revision":%d}}' % (
            self._heads[kind], self.serial, now, state, entity.revision,
        )  # fmt: skip
        return LoadEvent(self._topics[kind], entity.key, value)

    def _draw(self) -> None:
        rolls = self._dice.random((2, _CHUNK))
        kinds = np.searchsorted(self._kind_bounds, rolls[0], "right")
        ranks = np.searchsorted(self._rank_bounds, rolls[1], "right")
        last = len(self._kinds) - 1, len(self._rank_bounds) - 1
        self._drawn = list(
            zip(
                np.minimum(kinds, last[0]).tolist(), np.minimum(ranks, last[1]).tolist(),
                strict=True,
            )
        )  # fmt: skip

    def _born(self, kind: int, now_ms: int, now: bytes) -> Entity:
        rng = self._rng
        name = f"{self._name}-{self._kinds[kind][0]}-{self.serial}"
        place = self._communes[rng.randrange(len(self._communes))]
        return self._births[kind](Birth(name, rng, place, now_ms, now))


def parse_mix(text: str) -> dict[str, float]:
    """``cases=60,reports=40`` as weights. Raises ValueError saying what was expected."""
    mix: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        kind, _, share = part.partition("=")
        try:
            weight = float(share)
        except ValueError:
            weight = -1.0
        if kind not in TOPIC_OF or kind in mix or not 0 <= weight < float("inf"):
            raise ValueError(
                f"{part!r}: expected KIND=SHARE once each, with KIND of {', '.join(TOPIC_OF)}"
            )
        mix[kind] = weight
    if not sum(mix.values()) > 0:
        raise ValueError("at least one kind must have a share above 0")
    return mix
