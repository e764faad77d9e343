"""One record read by the contract's text: sections 2, 3 and 5 in plain Python.

`read` gives either a `Rejected` with the first reason that applies, or a `Reading`: the entity's
columns as the oracle's tables hold them. The enumerations and field lists below are written out
again from the contract on purpose: they must not follow a mistake of the pipeline's schemas.

Where the contract leaves a bound open the project's documented limits are used: ids of 1 to 256
characters, codes not empty, counts to 2^31, other whole numbers to 2^53, amounts to 10^15 VND.
A number that no double holds (1e999) is JSON all the same (RFC 8259, section 6, lets a reader limit
the range of numbers, not the grammar): it spoils the member that it stands in, nothing else.
"""

import json
import math
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple, NoReturn

import orjson

from services.oracle.checks import (
    BadValueError,
    Check,
    Json,
    OneOf,
    bad,
    instant,
    map_of,
    number,
    text,
    truth,
    whole,
)
from services.oracle.records import RawRecord, partition_of

MAX_BYTES = 256 * 1024
FUTURE = 15 * 60 * 1000
#: Reasons in the order in which they are tried.
REASONS = (
    "too_large", "not_utf8", "not_json", "not_cloudevent",
    "unknown_type", "schema", "key_mismatch", "future_time",
)  # fmt: skip
STEPS = ("receive", "appraise", "approve", "sign", "return")


class Rejected(NamedTuple):
    """A record for the dead-letter topic: the reason and where it was found."""

    reason: str
    detail: str


class Reading(NamedTuple):
    """A usable record: its table, entity, revision, digest of all fields, and the fields."""

    table: str
    entity: str
    revision: int
    digest: int
    time: int
    data: dict[str, Any]

    @property
    def columns(self) -> dict[str, Any]:
        """The fields as columns: maps and objects taken apart, without the revision."""
        return _columns(self.table, self.data)


_ID, _CODE, _STR = text(1, 256), text(1), text()
_REVISION, _COUNT = whole(1, 2**53), whole(0, 2**31)
_VND, _SIZE = whole(0, 10**15), whole(1, 2**53)
_CHANNEL = OneOf("online", "direct", "postal")
_RATING = OneOf("satisfied", "accepted", "dissatisfied")
_PLATFORM = OneOf("postmart", "voso", "sendo", "provincial")
_DEVICE = OneOf("mobile", "desktop", "kiosk")


def _payment(value: Json) -> dict[str, Any]:
    if type(value) is not dict:
        bad("object")
    return _fields(value, _PAYMENT_PLAN, "payment.")


_PAYMENT: dict[str, Check] = {
    "amount": _VND,
    "method": OneOf("cash", "bank", "wallet", "portal"),
    "paid_at": instant,
}

#: Section 3, one table per entity. A name that ends in "?" is optional: null when absent.
FIELDS: dict[str, dict[str, Check]] = {
    "report": {
        "report_id": _ID, "revision": _REVISION,
        "status": OneOf(
            "received", "verifying", "assigned", "in_progress", "extended", "answered",
            "reopened", "rejected", "duplicate", "referred"),
        "category": OneOf(
            "road", "lighting_power", "waste_env", "drainage_flood", "urban_order",
            "security_traffic", "water_supply", "food_health", "admin_service", "disaster",
            "other"),
        "channel": OneOf(
            "app", "web", "hotline", "zalo", "facebook", "email", "camera", "field_staff"),
        "priority": OneOf("urgent", "normal", "complex"),
        "province_code": _CODE, "district_code?": _STR, "commune_code?": _STR,
        "lat?": number, "lon?": number, "agency_code?": _STR, "reported_at": instant,
        "acknowledged_at?": instant, "due_at?": instant, "answered_at?": instant,
        "closed_at?": instant, "rating?": _RATING, "rated_at?": instant,
        "extended_count?": _COUNT, "duplicate_of?": _STR, "description?": text(0, 4000),
        "media_url?": _STR, "status_note?": _STR, "reporter_ref?": _STR,
    },
    "kase": {
        "case_id": _ID, "revision": _REVISION,
        "status": OneOf(
            "registered", "accepted", "refused", "processing", "supplement", "payment_due",
            "withdrawn", "stopped", "solved", "returned"),
        "level": OneOf("province", "district", "commune"), "procedure_code": _STR,
        "procedure_field": OneOf(
            "civil_status", "certification", "land", "business", "construction", "transport",
            "labour_social", "police_residence", "other"),
        "service_level": OneOf("info", "partial", "full"), "channel": _CHANNEL,
        "result_channel?": _CHANNEL, "portal": OneOf("national", "provincial"),
        "province_code": _CODE, "district_code?": _STR, "commune_code?": _STR,
        "agency_code?": _STR, "registered_at": instant, "accepted_at?": instant,
        "due_at?": instant, "solved_at?": instant, "returned_at?": instant,
        "steps?": map_of(instant), "fee_due": _VND, "payment?": _payment,
        "components_total": _COUNT, "components_digitised": _COUNT,
        "components_signed": _COUNT, "components_reused": _COUNT, "result_digital": truth,
        "auth": truth, "popdb_checked": truth, "popdb_fields": whole(0, 20),
        "dvcqg_synced_at?": instant, "device?": _DEVICE, "rating?": _RATING, "rated_at?": instant,
    },
    "listing": {
        "listing_id": _ID, "revision": _REVISION, "store_id": _ID,
        "seller_kind": OneOf("household", "cooperative", "firm"), "platform": _PLATFORM,
        "product_key": _CODE, "product_name": _STR,
        "product_group": OneOf(
            "food", "drink", "herbal", "handicraft", "ornamental", "tourism", "other"),
        "ocop_stars": whole(0, 5), "unit?": _STR, "price_vnd": whole(1, 99_999_999),
        "stock": whole(0, 2**53), "active": truth, "province_code": _CODE,
        "district_code?": _STR, "commune_code?": _STR, "created_at": instant,
        "delisted_at?": instant,
    },
    "orders": {
        "order_id": _ID, "revision": _REVISION, "listing_id": _ID, "store_id": _ID,
        "platform": _PLATFORM, "status": OneOf("placed", "completed", "cancelled"),
        "quantity": _SIZE, "value_vnd": _VND, "payment": OneOf("cod", "bank", "wallet"),
        "province_code": _CODE, "district_code?": _STR, "commune_code?": _STR,
        "placed_at": instant, "completed_at?": instant, "cancelled_at?": instant,
    },
    "reading": {
        "domain": _CODE, "indicator": _CODE, "territory": _CODE, "period_start": instant,
        "period_end": instant, "revision": _REVISION,
        "kind": OneOf("level", "flow", "rate", "rank", "flag", "text"), "value?": number,
        "numerator?": number, "denominator?": number, "target?": number,
        "target_low?": number, "unit": _STR, "dims?": map_of(_STR), "text?": _STR,
        "source_system": _STR,
    },
}  # fmt: skip

#: CloudEvents type -> (topic, table).
TYPES = {
    "ioc.field_report.v1": ("ioc.field-report.v1", "report"),
    "ioc.admin_case.v1": ("ioc.admin-case.v1", "kase"),
    "ioc.listing.v1": ("ioc.listing.v1", "listing"),
    "ioc.order.v1": ("ioc.listing.v1", "orders"),
    "ioc.indicator.v1": ("ioc.indicator.v1", "reading"),
}


class _Plan:
    """What `_fields` goes by: the check of each field, which are required, all of them null."""

    def __init__(self, spec: Mapping[str, Check]) -> None:
        self.checks = {name.rstrip("?"): check for name, check in spec.items()}
        self.required = tuple(name for name in spec if not name.endswith("?"))
        self.blank: dict[str, Any] = dict.fromkeys(self.checks)


_PLANS = {table: _Plan(spec) for table, spec in FIELDS.items()}
_PAYMENT_PLAN = _Plan(_PAYMENT)


def _fields(data: Mapping[str, Json], plan: _Plan, path: str) -> dict[str, Any]:
    """All fields in the plan's order, checked; unknown members are left out."""
    out = plan.blank.copy()
    checks = plan.checks
    name = ""
    try:
        for name, value in data.items():
            if value is not None and name in checks:
                out[name] = checks[name](value)
        for name in plan.required:
            if out[name] is None:
                bad("required")
    except BadValueError as problem:
        raise BadValueError(f"{path}{name}: {problem}") from None
    return out


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) < 1000 else math.inf


#: Deeper nesting than this goes to the reader of the standard library, which knows its limit.
_SHALLOW = 200


def _parse(value: bytes | None) -> Json | Rejected:
    if value is None:
        return Rejected("not_json", "no value")
    if len(value) > MAX_BYTES:
        return Rejected("too_large", f"{len(value)} bytes")
    if value.count(b"{") + value.count(b"[") < _SHALLOW:
        try:
            # Takes nothing that the slow reader refuses. Its whole numbers of over 64 bits become
            # doubles, which no field of whole numbers takes either.
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            pass
    return _parse_slowly(value)


def _parse_slowly(value: bytes) -> Json | Rejected:
    """The readable truth, and the judge of whatever the fast reader does not take."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return Rejected("not_utf8", "value")
    try:
        parsed = json.loads(text, parse_constant=_no_constant, parse_int=_whole_number)
        if "\\u" in text:  # half a surrogate pair is no text: this raises a ValueError
            json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return Rejected("not_json", "value")
    return parsed


def _envelope(event: Json) -> int | Rejected:
    """The envelope's ``time``, or what is wrong with a required member."""
    if type(event) is not dict:
        return Rejected("not_cloudevent", "an object was expected")
    if event.get("specversion") != "1.0":
        return Rejected("not_cloudevent", "specversion: 1.0")
    for member in ("id", "source", "type"):
        value = event.get(member)
        if type(value) is not str or not value:
            return Rejected("not_cloudevent", f"{member}: text")
    if "data" not in event:
        return Rejected("not_cloudevent", "data: required")
    try:
        return instant(event.get("time"))
    except BadValueError:
        return Rejected("not_cloudevent", "time: RFC 3339 with offset")


def series_key(data: Mapping[str, Any]) -> str:
    """The key of an indicator's events: ``indicator|territory|k=v;k=v`` with sorted dims."""
    dims = ";".join(f"{k}={v}" for k, v in sorted((data["dims"] or {}).items()))
    return f"{data['indicator']}|{data['territory']}|{dims}"


def _identity(table: str, data: Mapping[str, Any]) -> tuple[str, str]:
    """(Kafka key, entity within the table)."""
    if table == "report":
        return data["report_id"], data["report_id"]
    if table == "kase":
        return data["case_id"], data["case_id"]
    if table == "reading":
        key = series_key(data)
        return key, f"{data['period_start']} {key}"
    store = data["store_id"]
    inner = data["listing_id" if table == "listing" else "order_id"]
    return store, f"{len(store)} {store} {inner}"


_MILESTONES = {
    table: tuple(n for n in plan.checks if n.endswith("_at") and n != "due_at")
    for table, plan in _PLANS.items()
}


def _later(table: str, data: Mapping[str, Any], latest: int) -> bool:
    """Whether a milestone lies after ``latest``."""
    for name in _MILESTONES[table]:
        at = data[name]
        if at is not None and at > latest:
            return True
    if table != "kase":
        return False
    steps, payment = data["steps"], data["payment"]
    if payment and payment["paid_at"] > latest:
        return True
    return any(at > latest for at in steps.values()) if steps else False


def _digest(data: Mapping[str, Any]) -> int:
    # The fields stand in the order of the plan; only maps within them come in any order.
    canonical = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(blake2b(canonical, digest_size=8).digest(), "big", signed=True)


def _columns(table: str, data: dict[str, Any]) -> dict[str, Any]:
    columns = {k: v for k, v in data.items() if k not in ("steps", "payment", "dims", "revision")}
    if table == "kase":
        steps, payment = data["steps"] or {}, data["payment"] or {}
        columns |= {f"step_{s}": steps.get(s) for s in STEPS}
        columns |= {f"pay_{k}": payment.get(k) for k in _PAYMENT}
    elif table == "orders":
        columns["payment"] = data["payment"]  # here a method, not an object
    elif table == "reading":
        columns["series"] = series_key(data)
    return columns


def read(record: RawRecord, partitions: int, arrival: int) -> Reading | Rejected:
    """What the contract makes of one record. Never raises."""
    event = _parse(record.value)
    if isinstance(event, Rejected):
        return event
    time = _envelope(event)
    if isinstance(time, Rejected):
        return time
    topic, table = TYPES.get(event["type"], ("", ""))
    if topic != record.topic:
        return Rejected("unknown_type", "type")
    if type(event["data"]) is not dict:
        return Rejected("schema", "data: an object was expected")
    try:
        data = _fields(event["data"], _PLANS[table], "data.")
    except BadValueError as problem:
        return Rejected("schema", str(problem))
    key, entity = _identity(table, data)
    if record.key is None or record.key != key.encode():
        return Rejected("key_mismatch", "key")
    if partition_of(record.key, partitions) != record.partition:
        return Rejected("key_mismatch", "partition")
    if time > arrival + FUTURE or _later(table, data, arrival + FUTURE):
        return Rejected("future_time", "a time more than 15 minutes after arrival")
    return Reading(table, entity, data["revision"], _digest(data), time, data)
