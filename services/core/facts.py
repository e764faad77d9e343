"""Facts: what one entity contributes, and how a contribution is packed into one 64-bit code.

A *fact* is one thing that happened to (or is true of) an entity: a report was answered, a case is
open. A contribution is ``(time, code, n, s)``: the milestone's instant, the code, a count of one
and a sum (milliseconds, VND, components; 0 where the fact has none). The code holds the fact, the
deepest territory row and every dimension and flag of the fact together::

    63   58 57        42 41                                0
    [fact 5][territory 16][fields of the fact, 42 bits in all]

So one contribution is one cell however many dimensions its KPIs have; the marginals by dimension,
flag and larger territory are summed where they are read (docs/architecture.md, "Joint cells").
"""

import math
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from schemas import catalog, v1

FACT_SHIFT = 58
TERRITORY_SHIFT = 42
TERRITORY_MASK = 0xFFFF

#: Relative width of a duration bucket: the value shown is within 1 % of the true one.
_ACCURACY = 0.01
_GAMMA = (1 + _ACCURACY) / (1 - _ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)
BUCKET_BITS = 11
DUE_BITS = 27


@dataclass(frozen=True)
class Field:
    """One packed field. ``values`` are the enum's members; empty for flags and numbers."""

    name: str
    shift: int
    bits: int
    values: tuple[str, ...] = ()

    @property
    def mask(self) -> int:
        return (1 << self.bits) - 1


@dataclass(frozen=True)
class Fact:
    """One kind of contribution: its number, its source topic and its packed fields."""

    number: int
    name: str
    topic: catalog.Topic
    fields: MappingProxyType[str, Field]
    #: True for what is so now (no pane); False for what happened at an instant.
    stock: bool = False

    @property
    def base(self) -> int:
        return self.number << FACT_SHIFT

    @property
    def codes(self) -> NDArray[np.int64]:
        """The codes of its cells: from, and up to before."""
        return np.array([self.base, (self.number + 1) << FACT_SHIFT])

    def codes_in(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The codes of its cells at some ranges of deepest territory rows: bounds as ``rows``."""
        return self.base + (rows << TERRITORY_SHIFT)


FACTS: dict[str, Fact] = {}


def _fact(
    number: int,
    name: str,
    topic: catalog.Topic,
    *fields: tuple[str, int, tuple[str, ...]],
    stock: bool = False,
) -> Fact:
    shift = 0
    packed: dict[str, Field] = {}
    for field_name, bits, members in fields:
        packed[field_name] = Field(field_name, shift, bits, members)
        if len(members) > 1 << bits:
            raise ValueError(f"{name}.{field_name}: {len(members)} values do not fit {bits} bits")
        shift += bits
    if shift > TERRITORY_SHIFT or number >= 1 << 5:
        raise ValueError(f"{name}: does not fit the code")
    fact = Fact(number, name, topic, MappingProxyType(packed), stock)
    FACTS[name] = fact
    return fact


_REPORT = (
    ("category", 4, v1.values(v1.ReportCategory)),
    ("channel", 3, v1.values(v1.ReportChannel)),
    ("priority", 2, v1.values(v1.Priority)),
)
_CASE = (
    ("level", 2, v1.values(v1.Level)),
    ("procedure_field", 4, v1.values(v1.ProcedureField)),
    ("channel", 2, v1.values(v1.CaseChannel)),
    ("service_level", 2, v1.values(v1.ServiceLevel)),
    ("portal", 1, v1.values(v1.Portal)),
)
_LISTING = (
    ("platform", 2, v1.values(v1.Platform)),
    ("product_group", 3, v1.values(v1.ProductGroup)),
    ("seller_kind", 2, v1.values(v1.SellerKind)),
)
_ORDER = (
    ("platform", 2, v1.values(v1.Platform)),
    ("payment", 2, v1.values(v1.OrderPayment)),
)


def _flag(name: str) -> tuple[str, int, tuple[str, ...]]:
    return (name, 1, ())


_TIMELINESS: tuple[str, int, tuple[str, ...]] = ("timeliness", 2, ())
NO_DUE, LATE, ON_TIME, EARLY = range(4)
_FEE: tuple[str, int, tuple[str, ...]] = ("fee", 2, ())
NO_FEE, FEE_DUE, FEE_PAID_ONLINE = range(3)
_BUCKET: tuple[str, int, tuple[str, ...]] = ("bucket", BUCKET_BITS, ())
_DUE: tuple[str, int, tuple[str, ...]] = ("due", DUE_BITS, ())
#: ``bucket`` 0: a negative or unknown duration, left out of means and quantiles.
NO_DURATION = 0
#: ``due`` 0: no due time, or the clock stands still.
NO_DUE_MINUTE = 0

_FR, _AC, _EL = catalog.FIELD_REPORT, catalog.ADMIN_CASE, catalog.LISTING

FR_REPORTED = _fact(1, "fr.reported", _FR, *_REPORT)
FR_ANSWERED = _fact(
    2, "fr.answered", _FR, *_REPORT, _TIMELINESS, _flag("extended"), _BUCKET
)  # s: ms from report to answer
FR_CLOSED = _fact(3, "fr.closed", _FR, *_REPORT, ("status", 4, v1.values(v1.ReportStatus)))
FR_ACKNOWLEDGED = _fact(4, "fr.acknowledged", _FR, *_REPORT, _flag("valid"))  # s: ms to ack
FR_RATED = _fact(5, "fr.rated", _FR, *_REPORT, _flag("good"))
FR_OPEN = _fact(
    6, "fr.open", _FR, *_REPORT, ("status", 4, v1.values(v1.ReportStatus)), _DUE, stock=True
)

GOV_REGISTERED = _fact(
    7, "gov.registered", _AC, *_CASE, *map(_flag, ("auth", "popdb", "synced", "refused"))
)
GOV_ACCEPTED = _fact(8, "gov.accepted", _AC, *_CASE)  # s: components in all
GOV_DIGITISED = _fact(9, "gov.digitised", _AC, *_CASE)  # s: components digitised
GOV_REUSED = _fact(10, "gov.reused", _AC, *_CASE)  # s: components reused
GOV_SOLVED = _fact(
    11, "gov.solved", _AC, *_CASE, _TIMELINESS, _flag("digital"), _FEE, _BUCKET
)  # s: ms from acceptance to solution
GOV_RETURNED = _fact(12, "gov.returned", _AC, *_CASE, _flag("online"))
GOV_PAID = _fact(13, "gov.paid", _AC, *_CASE)  # paid online; s: VND
GOV_STEP = _fact(
    14, "gov.step", _AC, *_CASE, ("step", 3, v1.values(v1.Step)), _flag("valid")
)  # s: ms since the step before
GOV_RATED = _fact(15, "gov.rated", _AC, *_CASE, _flag("good"))
GOV_OPEN = _fact(
    16, "gov.open", _AC, *_CASE, ("status", 4, v1.values(v1.CaseStatus)), _DUE, stock=True
)

ECO_CREATED = _fact(17, "eco.created", _EL, *_LISTING)
ECO_DELISTED = _fact(18, "eco.delisted", _EL, *_LISTING)
ECO_PLACED = _fact(19, "eco.placed", _EL, *_ORDER, _flag("cancelled"))
ECO_COMPLETED = _fact(20, "eco.completed", _EL, *_ORDER, _flag("completed"))  # s: VND


def due_minute(due_ms: int) -> int:
    """The ``due`` field of a due time: its whole minute plus one, clipped to the field."""
    return min(max(due_ms // 60_000 + 1, 1), (1 << DUE_BITS) - 1)


def duration_bucket(ms: int) -> int:
    """The ``bucket`` field of a duration in ms (>= 0); at most 1 % wide to each side."""
    if ms <= 0:
        return 1
    return min(2 + math.ceil(math.log(ms) / _LOG_GAMMA), (1 << BUCKET_BITS) - 1)


def bucket_ms(bucket: int) -> float:
    """The duration in ms that stands for a bucket (>= 1): off by at most 1 %."""
    if bucket <= 1:
        return 0.0
    return 2.0 * _GAMMA ** (bucket - 2) / (1 + _GAMMA)
