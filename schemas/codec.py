"""Bytes to event: the one decoder of the source topics. Total: no input makes it raise.

The fast path is one typed decode. Whatever it does not accept goes through :func:`_explain`, which
walks contract section 5 in its order and names the first reason that applies. Details give a path
and what was expected, never a value (values may hold personal data).
"""

import json
import re
from dataclasses import dataclass
from datetime import date, datetime
from math import isfinite
from typing import Any, NoReturn

import msgspec
import xxhash

from schemas import catalog, v1
from schemas.v1 import Instant

FUTURE_TOLERANCE_MS = 15 * 60 * 1000
REASONS = (
    "too_large",
    "not_utf8",
    "not_json",
    "not_cloudevent",
    "unknown_type",
    "schema",
    "key_mismatch",
    "future_time",
)


@dataclass(frozen=True)
class Rejected:
    """Why a record cannot be used; ``source`` is the envelope's, where it could be read."""

    reason: str
    detail: str
    source: str | None = None


# --- instants -----------------------------------------------------------------------------------

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.(\d+))?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EXPECTED_INSTANT = "Expected an RFC 3339 time with an offset"
# Texts repeat: every revision carries the times of the earlier ones.
_INSTANTS: dict[str, Instant] = {}
_INSTANT_LIMIT = 1 << 16


def parse_instant(text: str) -> Instant:
    """Milliseconds since the epoch of RFC 3339 text with an offset; finer digits are cut.

    Raises ValueError with a message that does not repeat the text.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(_EXPECTED_INSTANT)
    day, hour, minute, second, fraction, sign, off_hour, off_minute = match.groups()
    try:
        days = date.fromisoformat(day).toordinal() - _EPOCH_DAY
    except ValueError:
        raise ValueError(_EXPECTED_INSTANT) from None
    seconds = days * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second)
    if sign is not None:
        offset = int(off_hour) * 3600 + int(off_minute) * 60
        seconds -= offset if sign == "+" else -offset
    ms = seconds * 1000
    if fraction is not None:
        ms += int(fraction[:3].ljust(3, "0"))
    return Instant(ms)


def _instant(text: str) -> Instant:
    """:func:`parse_instant` with the usual form, whole seconds and an offset, read by C."""
    # fromisoformat takes more than RFC 3339: what differs at this length is kept from it.
    if (
        len(text) == 25
        and text[10] == "T"
        and text[7] == "-"
        and text[16] == ":"
        and text[19] in "+-"
        and text[22] == ":"
        and text[23] < "6"
    ):
        try:
            instant = Instant(int(datetime.fromisoformat(text).timestamp()) * 1000)
        except ValueError:
            instant = parse_instant(text)
    else:
        instant = parse_instant(text)
    if len(_INSTANTS) >= _INSTANT_LIMIT:
        _INSTANTS.clear()
    _INSTANTS[text] = instant
    return instant


def _dec_hook(kind: type, value: Any) -> Any:
    if kind is Instant:
        if type(value) is str:
            return _INSTANTS.get(value) or _instant(value)
        raise ValueError(_EXPECTED_INSTANT)
    raise NotImplementedError(kind)


# --- partitions ---------------------------------------------------------------------------------

_HASHES: dict[bytes, int] = {}
_HASH_LIMIT = 1 << 16


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 of a key, as the Java client computes it (unsigned 32 bits)."""
    length = len(data)
    h = 0x9747B28C ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * 0x5BD1E995 & 0xFFFFFFFF
        k = (k ^ k >> 24) * 0x5BD1E995 & 0xFFFFFFFF
        h = (h * 0x5BD1E995 & 0xFFFFFFFF) ^ k
    if length & 3:
        h = (h ^ int.from_bytes(data[whole:], "little")) * 0x5BD1E995 & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return h ^ h >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key: murmur2 as in the Java client."""
    h = _HASHES.get(key)
    if h is None:
        h = murmur2(key) & 0x7FFFFFFF
        if len(_HASHES) >= _HASH_LIMIT:
            _HASHES.clear()
        _HASHES[key] = h
    return h % partitions


# --- decoding -----------------------------------------------------------------------------------


# One union for all topics: msgspec asks for the tag of a union, but not for that of one struct.
_EVENT: msgspec.json.Decoder[v1.Event] = msgspec.json.Decoder(v1.Event, dec_hook=_dec_hook)
_STRUCTS = {topic.name: frozenset(topic.events.values()) for topic in catalog.SOURCES}
_ANY = msgspec.json.Decoder()
#: Digits; no field takes a number that comes near.
_LONGEST_NUMBER = 1000


def decode(
    topic: catalog.Topic,
    key: bytes | None,
    value: bytes | None,
    partition: int,
    partitions: int,
    arrival: int,
    *,
    check_partition: bool = True,
) -> v1.Event | Rejected:
    """The event in a record, or why it cannot be used (contract section 5, first reason wins).

    ``arrival`` is in ms since the epoch. ``check_partition`` may be False for a key that has been
    checked before in this partition.
    """
    event: v1.Event
    if value is None:
        return Rejected("not_json", "$: expected a JSON object, got a null value")
    if len(value) > catalog.MAX_EVENT_BYTES:
        return Rejected("too_large", f"$: expected at most {catalog.MAX_EVENT_BYTES} bytes")
    try:
        event = _EVENT.decode(value)
        if type(event) not in _STRUCTS[topic.name]:
            raise ValueError(topic.name)
        if not value.isascii():
            value.decode()  # msgspec does not look into strings that it skips
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        explained = _explain(topic, value)
        if isinstance(explained, Rejected):
            return explained
        event = explained
    data = event.data
    expected = entity_key(data)
    if key is None:
        return Rejected("key_mismatch", f"key: expected {_KEY_NAMES[type(data)]}", event.source)
    try:
        matches = key == expected.encode()
    except UnicodeEncodeError:
        matches = False
    if not matches:
        return Rejected("key_mismatch", f"key: expected {_KEY_NAMES[type(data)]}", event.source)
    if check_partition and partition_of(key, partitions) != partition:
        return Rejected(
            "key_mismatch", "partition: expected murmur2(key) modulo partitions", event.source
        )
    latest = arrival + FUTURE_TOLERANCE_MS
    if event.time > latest:
        return _future("$.time", event.source)
    late = _future_milestone(data, latest)
    if late is not None:
        return _future(late, event.source)
    return event


def entity_key(data: v1.Data) -> str:
    """The Kafka key of an entity (contract section 1)."""
    if isinstance(data, v1.Indicator):
        return data.series_key
    key: str = getattr(data, _KEY_NAMES[type(data)])
    return key


_KEY_NAMES: dict[type, str] = {
    v1.FieldReport: "report_id",
    v1.AdminCase: "case_id",
    v1.Listing: "store_id",
    v1.Order: "store_id",
    v1.Indicator: "the series key",
}

_MILESTONES: dict[type, tuple[str, ...]] = {
    v1.FieldReport: ("reported_at", "acknowledged_at", "answered_at", "closed_at", "rated_at"),
    v1.AdminCase: (
        "registered_at", "accepted_at", "solved_at", "returned_at", "dvcqg_synced_at", "rated_at",
    ),
    v1.Listing: ("created_at", "delisted_at"),
    v1.Order: ("placed_at", "completed_at", "cancelled_at"),
    v1.Indicator: (),
}  # fmt: skip


def _future_milestone(data: v1.Data, latest: int) -> str | None:
    for name in _MILESTONES[type(data)]:
        at = getattr(data, name)
        if at is not None and at > latest:
            return f"$.data.{name}"
    if type(data) is v1.AdminCase:
        if data.payment is not None and data.payment.paid_at > latest:
            return "$.data.payment.paid_at"
        if data.steps and max(data.steps.values()) > latest:
            return "$.data.steps[...]"
    return None


def _future(path: str, source: str) -> Rejected:
    return Rejected("future_time", f"{path}: expected at most 15 minutes after the arrival", source)


def _explain(topic: catalog.Topic, value: bytes) -> v1.Event | Rejected:
    """The readable truth of the decoder, one rule after the other."""
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return Rejected("not_utf8", f"byte {error.start}: expected UTF-8")
    try:
        envelope = _any(value)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return Rejected("not_json", "$: expected one JSON object")
    if not isinstance(envelope, dict):
        return Rejected("not_cloudevent", "$: expected an object")
    source = envelope.get("source")
    if not isinstance(source, str) or not source:
        return Rejected("not_cloudevent", "$.source: expected text that is not empty")
    if envelope.get("specversion") != "1.0":
        return Rejected("not_cloudevent", '$.specversion: expected "1.0"', source)
    for name in ("id", "type"):
        text = envelope.get(name)
        if not isinstance(text, str) or not text:
            return Rejected("not_cloudevent", f"$.{name}: expected text that is not empty", source)
    try:
        time = _dec_hook(Instant, envelope.get("time"))
    except ValueError:
        return Rejected(
            "not_cloudevent", "$.time: expected an RFC 3339 time with an offset", source
        )
    if "data" not in envelope:
        return Rejected("not_cloudevent", "$.data: expected an object", source)
    struct = topic.events.get(envelope["type"])
    if struct is None:
        return Rejected("unknown_type", f"$.type: expected {' or '.join(topic.events)}", source)
    data_type = struct.__annotations__["data"]
    try:
        data = msgspec.convert(envelope["data"], data_type, dec_hook=_dec_hook)
    except (msgspec.ValidationError, RecursionError, ValueError) as error:
        return Rejected("schema", _detail(error), source)
    return struct(specversion="1.0", id=envelope["id"], source=source, time=time, data=data)


class _TooLarge:
    """A number that nothing of ours can hold. It is JSON; whatever it stands for is not usable."""


def _float(digits: str) -> float | _TooLarge:
    number = float(digits)
    return number if isfinite(number) else _TooLarge()


def _whole(digits: str) -> int | _TooLarge:
    return int(digits) if len(digits) < _LONGEST_NUMBER else _TooLarge()


def _any(value: bytes) -> Any:
    """Any JSON. Raises ValueError (of which msgspec's errors are) or RecursionError.

    RFC 8259 lets a reader limit the range of numbers (section 6), not the grammar: `1e999` is JSON.
    """
    try:
        return _ANY.decode(value)
    except msgspec.ValidationError:  # with nothing asked of it, only a number can be out of range
        parsed = json.loads(
            value, parse_float=_float, parse_int=_whole, parse_constant=_no_constant
        )
        # Half a surrogate pair is no text: this raises a ValueError.
        json.dumps(parsed, ensure_ascii=False, default=repr).encode()
        return parsed


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_PATH = re.compile(r"^(.*?)(?: - at `(?:key in )?\$(.*)`)?$", re.DOTALL)


def _detail(error: Exception) -> str:
    """``path: what was expected`` of a msgspec error, without the value it quotes."""
    match = _PATH.match(str(error))
    message, path = (match.group(1), match.group(2) or "") if match else ("", "")
    if message.startswith("Invalid enum value"):
        message = "expected one of the values of the contract"
    elif message.startswith(("Expected", "Object missing required field")):
        message = message[0].lower() + message[1:]
    else:
        message = "expected a value as in the contract"
    return f"$.data{path}: {message}"


# --- identity of content ------------------------------------------------------------------------

_FLOATS: dict[type, tuple[str, ...]] = {
    v1.FieldReport: ("lat", "lon"),
    v1.Indicator: ("value", "numerator", "denominator", "target", "target_low"),
}
_CANONICAL = msgspec.msgpack.Encoder(enc_hook=int, order="deterministic")


def digest(data: v1.Data) -> int:
    """A 64-bit digest of all fields of an entity, times as instants, equal for equal content."""
    for name in _FLOATS.get(type(data), ()):
        if getattr(data, name) == 0:
            setattr(data, name, 0.0)  # -0.0 equals 0.0 and is written otherwise
    return xxhash.xxh64_intdigest(_CANONICAL.encode(data))
