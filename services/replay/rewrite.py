"""Another life for an event: all its times moved, its entity renamed. Pure.

What no decoder could read is left as it is. Members that the contract does not know stay. Written
times keep their offset; digits finer than a millisecond are cut, as everywhere (contract 2).
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec

from schemas import v1
from schemas.catalog import MAX_EVENT_BYTES
from schemas.codec import parse_instant
from schemas.v1 import INSTANTS

_LONGEST_ID = 256
#: CloudEvents type -> the instants of its data, and the member that is its Kafka key.
_TYPES: dict[str, tuple[frozenset[str], str]] = {
    "ioc.field_report.v1": (INSTANTS[v1.FieldReport], "report_id"),
    "ioc.admin_case.v1": (INSTANTS[v1.AdminCase], "case_id"),
    "ioc.listing.v1": (INSTANTS[v1.Listing], "store_id"),
    "ioc.order.v1": (INSTANTS[v1.Order], "store_id"),
    "ioc.indicator.v1": (INSTANTS[v1.Indicator], ""),
}
#: The dimension that tells an indicator series of one lap from that of another.
LAP_DIMENSION = "lap"
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def shift_text(text: Any, ms: int) -> Any:
    """An RFC 3339 instant moved by ``ms``, with its own offset; anything else unchanged."""
    if type(text) is not str:
        return text
    try:
        at = parse_instant(text) + ms
        match = _OFFSET.search(text)
        minutes = 0
        if match:
            minutes = (int(match[2]) * 60 + int(match[3])) * (-1 if match[1] == "-" else 1)
        moved = (_EPOCH + timedelta(milliseconds=at)).astimezone(
            timezone(timedelta(minutes=minutes))
        )
    except (ValueError, OverflowError):
        return text
    return moved.isoformat(timespec="milliseconds" if at % 1000 else "seconds")


def rename(name: Any, lap: int) -> Any:
    """An id in another lap; what is no id is unchanged."""
    if type(name) is not str or not name:
        return name
    mark = f"~{lap}"
    # At most 256 characters are an id.
    return name[: _LONGEST_ID - len(mark)] + mark if len(name) <= _LONGEST_ID else name


def rewrite(
    key: bytes | None, value: bytes | None, *, shift: int = 0, lap: int = 0
) -> tuple[bytes | None, bytes | None]:
    """Key and value of the same event, ``shift`` ms later, of the entity's namesake in a lap.

    A lap of 0 renames nothing. A key that was wrong stays wrong, a value that was too large stays
    too large.
    """
    if value is None or not (shift or lap):
        return key, value
    try:
        event = _members(value)
        data = _members(event["data"])
    except (msgspec.DecodeError, KeyError, RecursionError, UnicodeDecodeError):
        return key, value
    kind = _value(event.get("type"))
    instants, member = _TYPES.get(kind if type(kind) is str else "", (frozenset[str](), ""))
    name_of = _series_key if kind == "ioc.indicator.v1" else lambda d: _value(d.get(member))
    before = name_of(data)
    if shift:
        _change(event, "time", shift_text, shift)
        for name in instants & data.keys():
            _change(data, name, shift_text, shift)
        _change_inside(data, "steps", None, shift)
        _change_inside(data, "payment", "paid_at", shift)
    if lap:
        _change(event, "id", rename, lap)
        if kind == "ioc.indicator.v1":
            _change(data, "dims", _lapped, lap, missing=b"null")
        elif member:
            _change(data, member, rename, lap)
        _change(data, "duplicate_of", rename, lap)
        after = name_of(data)
        if type(before) is str and type(after) is str:
            if _value(event.get("subject")) == before:
                event["subject"] = msgspec.Raw(msgspec.json.encode(after))
            key = after.encode() if key == before.encode() else key
    event["data"] = msgspec.Raw(msgspec.json.encode(data))
    made = msgspec.json.encode(event)
    return key, made.ljust(len(value)) if len(value) > MAX_EVENT_BYTES else made


Members = dict[str, msgspec.Raw]
_members = msgspec.json.Decoder(Members).decode


def _value(raw: msgspec.Raw | None) -> Any:
    """A member as a value; None when it is not there, or holds what nobody can read."""
    try:
        return None if raw is None else msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _change(
    members: Members, name: str, change: Any, by: int, *, missing: bytes | None = None
) -> None:
    """Put ``change(value, by)`` in the place of a member; its bytes stay where nothing changes."""
    raw = members.get(name)
    if raw is None:
        if missing is None:
            return
        raw = msgspec.Raw(missing)
    before = _value(raw)
    after = change(before, by)
    if after is not before:
        members[name] = msgspec.Raw(msgspec.json.encode(after))


def _change_inside(data: Members, name: str, only: str | None, shift: int) -> None:
    """Move the instants of a member that is an object itself: all, or the one named."""
    raw = data.get(name)
    if raw is None:
        return
    try:
        inside = _members(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return
    for each in inside if only is None else {only} & inside.keys():
        _change(inside, each, shift_text, shift)
    data[name] = msgspec.Raw(msgspec.json.encode(inside))


def _lapped(dims: Any, lap: int) -> Any:
    if dims is not None and type(dims) is not dict:
        return dims
    return (dims or {}) | {LAP_DIMENSION: str(lap)}


def _series_key(data: Members) -> str | None:
    dims = _value(data.get("dims")) or {}
    if type(dims) is not dict:
        return None
    text = ";".join(f"{k}={v}" for k, v in sorted(dims.items()))
    return f"{_value(data.get('indicator'))}|{_value(data.get('territory'))}|{text}"
