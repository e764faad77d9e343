"""The five event types of contract version 1 as msgspec structs.

Every event carries the whole current state of one entity. Optional fields are ``None`` when
absent. Instants are whole milliseconds since the epoch (finer digits are cut); amounts are whole
Vietnamese dong. Room: schemas (no I/O, no clock). The evolution rule: new fields are optional,
nothing is renamed or retyped.
"""

from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct
from msgspec.structs import fields


class Instant(int):
    """Milliseconds since 1970-01-01T00:00:00Z, decoded from RFC 3339 text with an offset."""

    __slots__ = ()


#: Far above any real amount (Viet Nam's yearly GDP is about 10^16 VND) and low enough that sums of
#: a year of such amounts stay exact in 64 bits.
MAX_VND = 10**15

Id = Annotated[str, Meta(min_length=1, max_length=256)]
Text = Annotated[str, Meta(min_length=1)]
Revision = Annotated[int, Meta(ge=1, le=2**53)]
Count = Annotated[int, Meta(ge=0, le=2**31)]
Vnd = Annotated[int, Meta(ge=0, le=MAX_VND)]

ReportStatus = Literal[
    "received", "verifying", "assigned", "in_progress", "extended",
    "answered", "reopened", "rejected", "duplicate", "referred",
]  # fmt: skip
ReportCategory = Literal[
    "road", "lighting_power", "waste_env", "drainage_flood", "urban_order", "security_traffic",
    "water_supply", "food_health", "admin_service", "disaster", "other",
]  # fmt: skip
ReportChannel = Literal[
    "app", "web", "hotline", "zalo", "facebook", "email", "camera", "field_staff"
]
Priority = Literal["urgent", "normal", "complex"]
Rating = Literal["satisfied", "accepted", "dissatisfied"]

CaseStatus = Literal[
    "registered", "accepted", "refused", "processing", "supplement",
    "payment_due", "withdrawn", "stopped", "solved", "returned",
]  # fmt: skip
Level = Literal["province", "district", "commune"]
ProcedureField = Literal[
    "civil_status", "certification", "land", "business", "construction",
    "transport", "labour_social", "police_residence", "other",
]  # fmt: skip
ServiceLevel = Literal["info", "partial", "full"]
CaseChannel = Literal["online", "direct", "postal"]
Portal = Literal["national", "provincial"]
Device = Literal["mobile", "desktop", "kiosk"]
PaymentMethod = Literal["cash", "bank", "wallet", "portal"]
Step = Literal["receive", "appraise", "approve", "sign", "return"]

SellerKind = Literal["household", "cooperative", "firm"]
Platform = Literal["postmart", "voso", "sendo", "provincial"]
ProductGroup = Literal["food", "drink", "herbal", "handicraft", "ornamental", "tourism", "other"]
OrderStatus = Literal["placed", "completed", "cancelled"]
OrderPayment = Literal["cod", "bank", "wallet"]

IndicatorKind = Literal["level", "flow", "rate", "rank", "flag", "text"]


def values(enum: object) -> tuple[str, ...]:
    """The members of a ``Literal`` type of this module, in contract order."""
    return get_args(enum)


OPEN_REPORT = frozenset(
    {"received", "verifying", "assigned", "in_progress", "extended", "reopened"}
)
OPEN_CASE = frozenset({"registered", "accepted", "processing", "supplement", "payment_due"})
#: The clock of an open case stands still in these: never overdue, never near due.
PAUSED_CASE = frozenset({"supplement", "payment_due"})


class FieldReport(Struct, gc=False):
    """A citizen's report from the field (phản ánh hiện trường), contract section 3.1."""

    report_id: Id
    revision: Revision
    status: ReportStatus
    category: ReportCategory
    channel: ReportChannel
    priority: Priority
    province_code: Text
    reported_at: Instant
    district_code: str | None = None
    commune_code: str | None = None
    lat: float | None = None
    lon: float | None = None
    agency_code: str | None = None
    acknowledged_at: Instant | None = None
    due_at: Instant | None = None
    answered_at: Instant | None = None
    closed_at: Instant | None = None
    rating: Rating | None = None
    rated_at: Instant | None = None
    extended_count: Count | None = None
    duplicate_of: str | None = None
    description: Annotated[str, Meta(max_length=4000)] | None = None
    media_url: str | None = None
    status_note: str | None = None
    reporter_ref: str | None = None


class Payment(Struct, gc=False):
    """A fee that was paid: amount in VND and the instant of payment."""

    amount: Vnd
    method: PaymentMethod
    paid_at: Instant


class AdminCase(Struct):
    """An administrative case (hồ sơ thủ tục hành chính), contract section 3.2."""

    case_id: Id
    revision: Revision
    status: CaseStatus
    level: Level
    procedure_code: str
    procedure_field: ProcedureField
    service_level: ServiceLevel
    channel: CaseChannel
    portal: Portal
    province_code: Text
    registered_at: Instant
    fee_due: Vnd
    components_total: Count
    components_digitised: Count
    components_signed: Count
    components_reused: Count
    result_digital: bool
    auth: bool
    popdb_checked: bool
    popdb_fields: Annotated[int, Meta(ge=0, le=20)]
    result_channel: CaseChannel | None = None
    district_code: str | None = None
    commune_code: str | None = None
    agency_code: str | None = None
    accepted_at: Instant | None = None
    due_at: Instant | None = None
    solved_at: Instant | None = None
    returned_at: Instant | None = None
    steps: dict[str, Instant] | None = None
    payment: Payment | None = None
    dvcqg_synced_at: Instant | None = None
    device: Device | None = None
    rating: Rating | None = None
    rated_at: Instant | None = None


class Listing(Struct, gc=False):
    """A product on an e-commerce floor, contract section 3.3; the entity is (store, listing)."""

    listing_id: Id
    revision: Revision
    store_id: Id
    seller_kind: SellerKind
    platform: Platform
    product_key: Text
    product_name: str
    product_group: ProductGroup
    ocop_stars: Annotated[int, Meta(ge=0, le=5)]
    price_vnd: Annotated[int, Meta(ge=1, le=99_999_999)]
    stock: Annotated[int, Meta(ge=0, le=2**53)]
    active: bool
    province_code: Text
    created_at: Instant
    unit: str | None = None
    district_code: str | None = None
    commune_code: str | None = None
    delisted_at: Instant | None = None


class Order(Struct, gc=False):
    """An order on an e-commerce floor, contract section 3.4; the entity is (store, order)."""

    order_id: Id
    revision: Revision
    listing_id: Id
    store_id: Id
    platform: Platform
    status: OrderStatus
    quantity: Annotated[int, Meta(ge=1, le=2**53)]
    value_vnd: Vnd
    payment: OrderPayment
    province_code: Text
    placed_at: Instant
    district_code: str | None = None
    commune_code: str | None = None
    completed_at: Instant | None = None
    cancelled_at: Instant | None = None


class Indicator(Struct):
    """One reading of one indicator for one period, contract section 3.5."""

    domain: Text
    indicator: Text
    territory: Text
    period_start: Instant
    period_end: Instant
    revision: Revision
    kind: IndicatorKind
    unit: str
    source_system: str
    value: float | None = None
    numerator: float | None = None
    denominator: float | None = None
    target: float | None = None
    target_low: float | None = None
    dims: dict[str, str] | None = None
    text: str | None = None

    @property
    def series_key(self) -> str:
        """``indicator|territory|k=v;k=v`` with sorted dims: the Kafka key of its events."""
        dims = ";".join(f"{k}={v}" for k, v in sorted((self.dims or {}).items()))
        return f"{self.indicator}|{self.territory}|{dims}"


Data = FieldReport | AdminCase | Listing | Order | Indicator


class _Envelope(Struct, kw_only=True, tag_field="type"):
    """The required members of structured-mode CloudEvents 1.0 JSON; all others are ignored."""

    specversion: Literal["1.0"]
    id: Text
    source: Text
    time: Instant


class FieldReportEvent(_Envelope, kw_only=True, tag="ioc.field_report.v1"):
    data: FieldReport


class AdminCaseEvent(_Envelope, kw_only=True, tag="ioc.admin_case.v1"):
    data: AdminCase


class ListingEvent(_Envelope, kw_only=True, tag="ioc.listing.v1"):
    data: Listing


class OrderEvent(_Envelope, kw_only=True, tag="ioc.order.v1"):
    data: Order


class IndicatorEvent(_Envelope, kw_only=True, tag="ioc.indicator.v1"):
    data: Indicator


Event = FieldReportEvent | AdminCaseEvent | ListingEvent | OrderEvent | IndicatorEvent

#: Struct -> its fields that are instants (not those inside of others).
INSTANTS: dict[type[Struct], frozenset[str]] = {
    struct: frozenset(f.name for f in fields(struct) if f.type in (Instant, Instant | None))
    for struct in (Payment, *get_args(Data))
}
