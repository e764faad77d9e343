"""What a struck record looks like: a good event as the bytes a broken producer sends. Pure."""

import unicodedata
from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any

import orjson

from services.core.calendar import DAY_MS, HOUR_MS
from services.simulation.instants import iso
from services.simulation.seeds import generator

Event = dict[str, Any]

HUGE_BYTES = 10_000_000


class Mutation(IntEnum):
    """What a fault does to a record."""

    SOUND = 0
    CONFLICT = 1
    FUTURE = 2
    MALFORMED = 3
    SCHEMA = 4
    TERRITORY = 5
    COORDINATES = 6
    TEXT = 7
    HUGE = 8
    LOCKED = 9


_OTHER_VALUE: Mapping[str, Callable[[Event], None]] = MappingProxyType(
    {
        "ioc.field_report.v1": lambda d: d.__setitem__(
            "priority", "normal" if d["priority"] == "complex" else "complex"
        ),
        "ioc.admin_case.v1": lambda d: d.__setitem__("fee_due", d["fee_due"] + 1000),
        "ioc.listing.v1": lambda d: d.__setitem__("stock", d["stock"] + 7),
        "ioc.order.v1": lambda d: d.__setitem__("quantity", d["quantity"] + 1),
        "ioc.indicator.v1": lambda d: d.__setitem__("source_system", "other"),
    }
)
_REQUIRED: Mapping[str, str] = MappingProxyType(
    {
        "ioc.field_report.v1": "category",
        "ioc.admin_case.v1": "procedure_field",
        "ioc.listing.v1": "price_vnd",
        "ioc.order.v1": "value_vnd",
        "ioc.indicator.v1": "unit",
    }
)
_ENUM: Mapping[str, str] = MappingProxyType(
    {
        "ioc.field_report.v1": "status",
        "ioc.admin_case.v1": "status",
        "ioc.listing.v1": "platform",
        "ioc.order.v1": "payment",
        "ioc.indicator.v1": "kind",
    }
)
_NUMBER: Mapping[str, str] = MappingProxyType(
    {
        "ioc.field_report.v1": "lat",
        "ioc.admin_case.v1": "fee_due",
        "ioc.listing.v1": "price_vnd",
        "ioc.order.v1": "value_vnd",
        "ioc.indicator.v1": "value",
    }
)


def _break_schema(event: Event, salt: int) -> None:
    data, kind = event["data"], event["type"]
    match salt % 5:
        case 0:
            del data[_REQUIRED[kind]]
        case 1:
            data["revision"] = str(data["revision"])
        case 2:
            data[_ENUM[kind]] = "khác"
        case 3:
            data[_NUMBER[kind]] = "8.090"
        case _:
            data[_NUMBER[kind]] = "89,66"


def _break_territory(event: Event, salt: int) -> None:
    data = event["data"]
    if event["type"] == "ioc.indicator.v1":
        data["territory"] = f"0{data['territory']}"
        return
    match salt % 3:
        case 0:
            data["commune_code"] = "00000"
        case 1:
            data["district_code"] = "999"
        case _:
            data["commune_code"] = "20002"


def _odd_text(event: Event, salt: int) -> None:
    data = event["data"]
    text = "Đường ngập 🌊🚧, đề nghị xử lý sớm 🙏. " + str(data.get("description") or "")
    text = unicodedata.normalize("NFD", text)
    if salt % 2:
        text = (text * (4000 // len(text) + 1))[:4000]
    field_name = {
        "ioc.field_report.v1": "description",
        "ioc.listing.v1": "product_name",
    }.get(event["type"], "note")
    data[field_name] = text


def _malformed(value: bytes, salt: int) -> bytes:
    match salt % 4:
        case 0:
            return value[: len(value) * 2 // 3]
        case 1:
            return b""
        case 2:
            return b'{"specversion":"1.0","id":"\xff\xfe\xc3("}'
        case _:
            return b"<html>502 Bad Gateway</html>"


def spoil(event: Event, mutation: int, salt: int, time: int) -> bytes:
    """The bytes of an event of an instant (ms) struck by a fault. Changes ``event``: pass a fresh
    one.
    """
    match mutation:
        case Mutation.CONFLICT:
            _OTHER_VALUE[event["type"]](event["data"])
        case Mutation.FUTURE:
            event["time"] = iso(time + (7 * HOUR_MS if salt % 2 else DAY_MS))
        case Mutation.MALFORMED:
            return _malformed(orjson.dumps(event), salt)
        case Mutation.SCHEMA:
            _break_schema(event, salt)
        case Mutation.TERRITORY:
            _break_territory(event, salt)
        case Mutation.COORDINATES if event["type"] == "ioc.field_report.v1":
            data = event["data"]
            swapped = (data["lon"], data["lat"])
            data["lat"], data["lon"] = swapped if salt % 2 else (0.0, 0.0)
        case Mutation.TEXT:
            _odd_text(event, salt)
        case Mutation.HUGE:  # random digits, which no compression makes small
            noise = generator(salt, "huge").bytes(HUGE_BYTES // 2).hex()
            event["data"]["description"] = noise
        case Mutation.LOCKED:  # as if encrypted, which is no UTF-8
            return b"\xff\xfeLOCKED" + generator(salt, "locked").bytes(600)
        case _:
            pass
    return orjson.dumps(event)
