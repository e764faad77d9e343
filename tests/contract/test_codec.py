"""The codec tried from the outside: contract sections 2, 3 and 5 with real bytes."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import catalog, codec
from services.oracle.raw import RawRecord, partition_of
from services.oracle.reading import REASONS, TYPES
from services.oracle.reading import Rejected as Expected
from services.oracle.reading import read as oracle_read
from services.oracle.windows import MINUTE, local_ms
from tests.strategies import events

PARTITIONS = 4
ARRIVAL = local_ms(2026, 11, 20, 12)
CANARY = "Nguyễn Văn A 0912345678"

Json = dict[str, Any]

REPORT: Json = {
    "report_id": "r1",
    "revision": 1,
    "status": "received",
    "category": "road",
    "channel": "app",
    "priority": "normal",
    "province_code": "51",
    "district_code": "522",
    "reported_at": "2026-11-20T11:00:00+07:00",
}
CASE: Json = {
    "case_id": "c1",
    "revision": 1,
    "status": "processing",
    "level": "district",
    "procedure_code": "1.001",
    "procedure_field": "land",
    "service_level": "full",
    "channel": "online",
    "portal": "national",
    "province_code": "51",
    "registered_at": "2026-11-20T09:00:00+07:00",
    "fee_due": 0,
    "components_total": 3,
    "components_digitised": 2,
    "components_signed": 0,
    "components_reused": 1,
    "result_digital": False,
    "auth": True,
    "popdb_checked": True,
    "popdb_fields": 20,
}
LISTING: Json = {
    "listing_id": "l1",
    "revision": 1,
    "store_id": "s1",
    "seller_kind": "firm",
    "platform": "voso",
    "product_key": "p1",
    "product_name": "Tỏi Lý Sơn",
    "product_group": "food",
    "ocop_stars": 4,
    "price_vnd": 45_000,
    "stock": 0,
    "active": True,
    "province_code": "51",
    "created_at": "2026-11-01T00:00:00Z",
}
ORDER: Json = {
    "order_id": "o1",
    "revision": 1,
    "listing_id": "l1",
    "store_id": "s1",
    "platform": "voso",
    "status": "placed",
    "quantity": 1,
    "value_vnd": 45_000,
    "payment": "cod",
    "province_code": "51",
    "placed_at": "2026-11-20T04:00:00Z",
}
INDICATOR: Json = {
    "domain": "infra",
    "indicator": "infra.vc_points_online",
    "territory": "51",
    "period_start": "2026-11-19T17:00:00Z",
    "period_end": "2026-11-20T17:00:00Z",
    "revision": 1,
    "kind": "level",
    "unit": "points",
    "source_system": "vc",
}
GOOD = {
    "ioc.field_report.v1": (REPORT, "r1"),
    "ioc.admin_case.v1": (CASE, "c1"),
    "ioc.listing.v1": (LISTING, "s1"),
    "ioc.order.v1": (ORDER, "s1"),
    "ioc.indicator.v1": (INDICATOR, "infra.vc_points_online|51|"),
}


def envelope(kind: str, data: Any, /, **members: Any) -> Json:
    """An event; a member given as ``...`` is left out."""
    event = {
        "specversion": "1.0",
        "id": "e1",
        "source": "/test",
        "type": kind,
        "time": "2026-11-20T11:30:00+07:00",
        "data": data,
    }
    return {k: v for k, v in (event | members).items() if v is not ...}


def decode(
    kind: str, value: bytes | None, key: bytes | None = b"", *, partition: int | None = None
) -> Any:
    """What the codec says of the value on the topic of that type, by default under its key."""
    if key == b"":
        key = GOOD[kind][1].encode()
    if partition is None:
        partition = partition_of(key, PARTITIONS) if key else 0
    topic = catalog.source(TYPES[kind][0])
    return codec.decode(topic, key, value, partition, PARTITIONS, ARRIVAL)


def outcome(kind: str, event: Any, **options: Any) -> str:
    """``ok`` or the reason."""
    value = event if isinstance(event, bytes) or event is None else json.dumps(event).encode()
    result = decode(kind, value, **options)
    return result.reason if isinstance(result, codec.Rejected) else "ok"


def with_fields(kind: str, /, **fields: Any) -> Json:
    data = {k: v for k, v in (GOOD[kind][0] | fields).items() if v is not ...}
    return envelope(kind, data)


KINDS = list(GOOD)
R = "ioc.field_report.v1"
C = "ioc.admin_case.v1"


@pytest.mark.parametrize("kind", KINDS)
def test_the_smallest_event_of_each_type_is_taken(kind: str) -> None:
    assert outcome(kind, envelope(kind, GOOD[kind][0])) == "ok"


@pytest.mark.parametrize("kind", KINDS)
def test_each_required_field_is_required_and_null_is_absent(kind: str) -> None:
    for name in GOOD[kind][0]:
        if kind == R and name == "district_code":
            assert outcome(kind, with_fields(kind, district_code=None)) == "ok"
            continue
        assert outcome(kind, with_fields(kind, **{name: ...})) == "schema", name
        assert outcome(kind, with_fields(kind, **{name: None})) == "schema", name


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_members_are_ignored_everywhere(kind: str) -> None:
    event = envelope(kind, GOOD[kind][0] | {"later_at": "9999-01-01", "x": [{}]}, ext={"a": 1})
    assert outcome(kind, event) == "ok"


NOT_JSON = [
    None, b"", b" ", b"{", b"{}x", b"NaN", b"[Infinity]", b"{'a':1}", b'{"a":1,}',
    b"\xef\xbb\xbf{}",
    b"\x00", b'{"a":"\x01"}', b'"\\x41"', b"01", b"+1", b".5", b"True", b"// c\n{}", b"{}{}",
    b"[1 2]",
]  # fmt: skip


@pytest.mark.parametrize("value", NOT_JSON)
def test_what_is_no_json_is_not_json(value: bytes | None) -> None:
    assert outcome(R, value) == "not_json"


@pytest.mark.parametrize("broken", [b'"a\\qb"', b'"a\x01b"', b"01", b"[1,]", b"NaN", b"nul"])
def test_broken_json_inside_an_unknown_member_is_not_json(broken: bytes) -> None:
    good = json.dumps(envelope(R, REPORT)).encode()
    assert outcome(R, good[:-1] + b', "x": ' + broken + b"}") == "not_json"


@pytest.mark.parametrize("value", [b"\xff", b'{"a":"\xc3"}', b"\xed\xa0\x80", b"\xc0\x80"])
def test_bytes_that_are_no_utf8_are_not_utf8(value: bytes) -> None:
    assert outcome(R, value) == "not_utf8"


def test_bad_utf8_inside_an_unknown_member_of_a_good_event_is_not_utf8() -> None:
    value = json.dumps(envelope(R, REPORT, extra="@")).encode().replace(b"@", b"\xe9")
    assert outcome(R, value) == "not_utf8"


def test_256_kib_is_taken_and_one_byte_more_is_too_large() -> None:
    value = json.dumps(envelope(R, REPORT)).encode()
    limit = value[:-1] + b" " * (256 * 1024 - len(value)) + b"}"
    assert len(limit) == 256 * 1024
    assert outcome(R, limit) == "ok"
    assert outcome(R, limit + b" ") == "too_large"


MALFORMED: list[Json] = [
    {"specversion": ...}, {"specversion": "0.3"}, {"specversion": 1.0}, {"specversion": None},
    {"id": ...}, {"id": 1}, {"id": None}, {"source": ...}, {"source": {}}, {"type": ...},
    {"type": 5}, {"time": ...}, {"time": None}, {"time": 1_700_000_000}, {"time": "yesterday"},
    {"time": "2026-11-20T11:30:00"}, {"time": "2026-11-20"}, {"time": "2026-02-30T00:00:00Z"},
    {"time": "2026-11-20T24:00:00Z"}, {"time": "2026-11-20T11:30:00+0700"},
    {"time": "2026-11-20T11:30:00+24:00"}, {"time": "2026-11-20T11:60:00Z"},
    {"time": "2026-11-20T11:30Z"}, {"time": "2026-11-20T11:30:00.Z"},
    {"time": " 2026-11-20T11:30:00Z"}, {"time": "2026-11-20T11:30:00Z\n"},
    {"time": "２026-11-20T11:30:00Z"}, {"time": "2026-13-20T11:30:00Z"}, {"data": ...},
]  # fmt: skip


@pytest.mark.parametrize("members", MALFORMED, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_a_required_envelope_member_missing_or_malformed_is_not_cloudevent(
    kind: str, members: Json
) -> None:
    assert outcome(kind, envelope(kind, GOOD[kind][0], **members)) == "not_cloudevent"


@pytest.mark.parametrize("value", [b"[]", b"1", b"null", b'"text"', b"true", b"{}"])
def test_json_that_is_no_event_is_not_cloudevent(value: bytes) -> None:
    assert outcome(R, value) == "not_cloudevent"


@pytest.mark.parametrize("members", [{"subject": 5}, {"traceparent": []}, {"dataschema": 1}])
def test_optional_envelope_members_do_not_make_an_event_unusable(members: Json) -> None:
    assert outcome(R, envelope(R, REPORT, **members)) == "ok"


def test_a_type_unknown_or_on_a_wrong_topic_is_unknown_type() -> None:
    assert outcome(R, envelope("ioc.field_report.v2", REPORT)) == "unknown_type"
    assert outcome(R, envelope("IOC.field_report.v1", REPORT)) == "unknown_type"
    for kind in KINDS:
        for other in KINDS:
            same = TYPES[kind][0] == TYPES[other][0]
            result = outcome(kind, envelope(other, GOOD[other][0]))
            assert result == ("ok" if same else "unknown_type"), (kind, other)


WRONG: list[tuple[str, Json]] = [
    (R, {"revision": 0}), (R, {"revision": -1}), (R, {"revision": 1.5}), (R, {"revision": "1"}),
    (R, {"revision": True}), (R, {"status": "open"}), (R, {"status": 1}),
    (R, {"status": "Received"}), (R, {"category": ""}), (R, {"rating": "good"}),
    (R, {"province_code": 51}), (R, {"district_code": 522}), (R, {"lat": "16.8"}),
    (R, {"lat": "89,66"}), (R, {"lat": True}), (R, {"reported_at": "2026-11-20T11:00:00"}),
    (R, {"reported_at": 1_700_000_000_000}), (R, {"due_at": "soon"}),
    (R, {"answered_at": "2026-02-29T00:00:00Z"}), (R, {"extended_count": "1"}),
    (R, {"description": "x" * 4001}), (R, {"report_id": 1}),
    (C, {"steps": []}), (C, {"steps": {"sign": 5}}), (C, {"steps": {"other": "x"}}),
    (C, {"payment": {}}), (C, {"payment": {"amount": 1, "method": "cash"}}),
    (C, {"payment": {"amount": 1.5, "method": "cash", "paid_at": "2026-11-20T00:00:00Z"}}),
    (C, {"payment": {"amount": 1, "method": "cheque", "paid_at": "2026-11-20T00:00:00Z"}}),
    (C, {"popdb_fields": 21}), (C, {"popdb_fields": -1}), (C, {"auth": 1}), (C, {"auth": "true"}),
    (C, {"fee_due": 1000.5}), (C, {"fee_due": "8.090"}), (C, {"device": "tablet"}),
    ("ioc.listing.v1", {"price_vnd": 0}), ("ioc.listing.v1", {"price_vnd": 100_000_000}),
    ("ioc.listing.v1", {"stock": -1}), ("ioc.listing.v1", {"ocop_stars": 6}),
    ("ioc.listing.v1", {"active": None}), ("ioc.order.v1", {"quantity": 0}),
    ("ioc.order.v1", {"payment": "cash"}), ("ioc.order.v1", {"status": "returned"}),
    ("ioc.indicator.v1", {"value": "8.090"}), ("ioc.indicator.v1", {"value": "89,66"}),
    ("ioc.indicator.v1", {"kind": "gauge"}), ("ioc.indicator.v1", {"dims": {"a": 1}}),
    ("ioc.indicator.v1", {"dims": [["a", "b"]]}), ("ioc.indicator.v1", {"territory": 51}),
    ("ioc.indicator.v1", {"period_end": "2026"}), ("ioc.indicator.v1", {"text": 5}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields"), WRONG, ids=repr)
def test_a_field_that_is_not_as_section_3_says_is_schema(kind: str, fields: Json) -> None:
    assert outcome(kind, with_fields(kind, **fields)) == "schema"


@pytest.mark.parametrize("data", [[], "text", 5, True])
def test_data_that_is_no_object_is_schema(data: Any) -> None:
    assert outcome(R, envelope(R, data)) == "schema"


def test_numbers_beyond_double_precision_are_refused() -> None:
    """JSON sets no range and lets a parser set one, so either reason is right."""
    kind = "ioc.indicator.v1"
    text = json.dumps(with_fields(kind, value="@"))
    for number in ("1e400", "-1e400", "9" * 400):
        reason = outcome(kind, text.replace('"@"', number).encode())
        assert reason in ("schema", "not_json"), number


def test_integers_of_any_length_never_raise() -> None:
    text = json.dumps(with_fields(R, extended_count="@"))
    for digits in (19, 20, 400, 5000):
        reason = outcome(R, text.replace('"@"', "9" * digits).encode())
        assert reason in ("schema", "not_json"), digits


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"data":['])
def test_deep_nesting_never_raises(opening: bytes) -> None:
    reason = outcome(R, opening * (200_000 // len(opening)))
    assert reason == "not_json"


def test_deep_nesting_in_an_unknown_member_never_raises() -> None:
    good = json.dumps(envelope(R, REPORT, x="@"))
    deep = "[" * 50_000 + "]" * 50_000
    assert outcome(R, good.replace('"@"', deep).encode()) in ("ok", "not_json")


@pytest.mark.parametrize("kind", KINDS)
def test_the_key_must_be_the_entitys_key(kind: str) -> None:
    event = envelope(kind, GOOD[kind][0])
    key = GOOD[kind][1].encode()
    assert outcome(kind, event, key=None) == "key_mismatch"
    for wrong in (key + b" ", key[:-1] + b"?", b"\xff", b'"' + key + b'"'):
        assert outcome(kind, event, key=wrong) == "key_mismatch", wrong
    right = partition_of(key, PARTITIONS)
    for partition in range(PARTITIONS):
        expected = "ok" if partition == right else "key_mismatch"
        assert outcome(kind, event, key=key, partition=partition) == expected


def test_the_series_key_sorts_its_dims_and_keeps_their_text() -> None:
    kind = "ioc.indicator.v1"
    event = with_fields(kind, dims={"ngành": "y tế", "a": "1"})
    assert outcome(kind, event, key="infra.vc_points_online|51|a=1;ngành=y tế".encode()) == "ok"
    assert outcome(kind, event, key=b"infra.vc_points_online|51|") == "key_mismatch"


def rfc3339(ms: int) -> str:
    return events.rfc3339(Random(ms), ms)


LIMIT = ARRIVAL + 15 * MINUTE
MILESTONES: list[tuple[str, Callable[[str], Json]]] = [
    *[
        (R, lambda t, f=f: with_fields(R, **{f: t}))
        for f in ("reported_at", "acknowledged_at", "answered_at", "closed_at", "rated_at")
    ],
    *[
        (C, lambda t, f=f: with_fields(C, **{f: t}))
        for f in ("registered_at", "accepted_at", "solved_at", "returned_at", "rated_at",
                  "dvcqg_synced_at")
    ],
    (C, lambda t: with_fields(C, steps={"receive": "2026-11-01T00:00:00Z", "sign": t})),
    (C, lambda t: with_fields(C, steps={"photocopy": t})),
    (C, lambda t: with_fields(C, payment={"amount": 1, "method": "cash", "paid_at": t})),
    ("ioc.listing.v1", lambda t: with_fields("ioc.listing.v1", created_at=t)),
    ("ioc.listing.v1", lambda t: with_fields("ioc.listing.v1", delisted_at=t)),
    *[
        ("ioc.order.v1", lambda t, f=f: with_fields("ioc.order.v1", **{f: t}))
        for f in ("placed_at", "completed_at", "cancelled_at")
    ],
    *[(k, lambda t, k=k: envelope(k, GOOD[k][0], time=t)) for k in KINDS],
]  # fmt: skip


@pytest.mark.parametrize(("kind", "make"), MILESTONES)
def test_a_milestone_is_taken_up_to_15_minutes_after_arrival(
    kind: str, make: Callable[[str], Json]
) -> None:
    assert outcome(kind, make(rfc3339(LIMIT))) == "ok"
    # Finer digits are cut before times are compared.
    assert outcome(kind, make("2026-11-20T12:15:00.0009999+07:00")) == "ok"
    assert outcome(kind, make("2026-11-20T12:15:00.001+07:00")) == "future_time"
    assert outcome(kind, make(rfc3339(LIMIT + 1))) == "future_time"


def test_a_due_time_and_an_indicators_period_may_lie_in_the_future() -> None:
    assert outcome(R, with_fields(R, due_at="2099-01-01T00:00:00Z")) == "ok"
    assert outcome(C, with_fields(C, due_at="9999-12-31T23:59:59.999Z")) == "ok"
    kind = "ioc.indicator.v1"
    assert outcome(kind, with_fields(kind, period_end="2099-01-01T00:00:00Z")) == "ok"


def ladder() -> list[tuple[str, bytes | None, bytes | None]]:
    """One record per reason that also has every later fault that can still be had."""
    late = "2099-01-01T00:00:00Z"
    bad_data = REPORT | {"revision": 0, "reported_at": late}
    untyped = envelope("no.such.type", bad_data, time=late)
    eventless = json.dumps(untyped | {"specversion": "2.0"}).encode()
    return [
        ("too_large", b"\xff" * (256 * 1024 + 1), None),
        ("not_utf8", b"\xff" + eventless, None),
        ("not_json", eventless + b"}", None),
        ("not_cloudevent", eventless, None),
        ("unknown_type", json.dumps(untyped).encode(), None),
        ("schema", json.dumps(envelope(R, bad_data, time=late)).encode(), None),
        ("key_mismatch", json.dumps(envelope(R, REPORT, time=late)).encode(), None),
        ("key_mismatch", json.dumps(envelope(R, REPORT, time=late)).encode(), b"r2"),
        ("future_time", json.dumps(envelope(R, REPORT, time=late)).encode(), b"r1"),
    ]


@pytest.mark.parametrize(("reason", "value", "key"), ladder())
def test_the_first_reason_that_applies_wins(
    reason: str, value: bytes | None, key: bytes | None
) -> None:
    assert outcome(R, value, key=key) == reason


def test_the_reasons_are_those_of_the_contract_in_its_order() -> None:
    assert codec.REASONS == REASONS


@pytest.mark.parametrize("kind", KINDS)
def test_a_detail_never_repeats_what_was_sent(kind: str) -> None:
    """Every field in turn holds a name and a phone number; so do keys, members and envelope."""
    key = GOOD[kind][1]
    tried = 0
    for event in [
        *(with_fields(kind, **{f: CANARY}) for f in [*GOOD[kind][0], "due_at", "lat", "steps"]),
        *(with_fields(kind, **{f: {CANARY: CANARY}}) for f in GOOD[kind][0]),
        with_fields(kind, steps={CANARY: CANARY}, dims={CANARY: 5}, payment={CANARY: CANARY}),
        with_fields(kind, payment={"amount": CANARY, "method": CANARY, "paid_at": CANARY}),
        *(
            envelope(kind, GOOD[kind][0], **{m: CANARY})
            for m in ("specversion", "type", "time", "data")
        ),
        *(envelope(kind, GOOD[kind][0], **{m: [CANARY]}) for m in ("id", "source", "type", "time")),
    ]:
        result = decode(kind, json.dumps(event, ensure_ascii=False).encode(), key.encode())
        if isinstance(result, codec.Rejected):
            tried += 1
            for secret in CANARY.split():
                if len(secret) > 1:
                    assert secret not in result.detail
            assert result.detail
    assert tried > 8
    for value in (CANARY.encode(), b'{"' + CANARY.encode(), CANARY.encode("utf-16")):
        result = decode(kind, value)
        assert isinstance(result, codec.Rejected)
        assert "0912345678" not in result.detail
    wrong_key = decode(kind, json.dumps(envelope(kind, GOOD[kind][0])).encode(), CANARY.encode())
    assert wrong_key.reason == "key_mismatch"
    assert "0912345678" not in wrong_key.detail


def test_a_schema_detail_names_the_path_and_what_was_expected() -> None:
    value = json.dumps(with_fields(C, payment={"amount": "x", "method": "cash"})).encode()
    assert "payment" in decode(C, value).detail
    assert "reported_at" in decode(R, json.dumps(with_fields(R, reported_at=5)).encode()).detail
    assert "status" in decode(R, json.dumps(with_fields(R, status=...)).encode()).detail


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(catalog.SOURCES),
    st.none() | st.binary(max_size=40),
    st.none() | st.binary(max_size=200),
    st.integers(0, 3),
)
def test_no_bytes_ever_raise(
    topic: catalog.Topic, key: bytes | None, value: bytes | None, partition: int
) -> None:
    result = codec.decode(topic, key, value, partition, PARTITIONS, ARRIVAL)
    assert isinstance(result, codec.Rejected)
    assert result.reason in REASONS


@given(st.data(), st.sampled_from(KINDS))
def test_no_member_ever_raises_and_the_reason_is_the_contracts(
    data: st.DataObject, kind: str
) -> None:
    """Any field or member replaced by any JSON value: the codec and the oracle agree."""
    body = dict(GOOD[kind][0])
    event = envelope(kind, body)
    optional = ("due_at", "district_code", "lat", "steps", "payment", "dims", "value", "text")
    fields = data.draw(st.lists(st.sampled_from([*body, *optional]), max_size=2))
    for field in fields:
        body[field] = data.draw(json_values)
    member = data.draw(st.none() | st.sampled_from(list(event)))
    if member is not None:
        event[member] = data.draw(json_values)
    value = json.dumps(event).encode()
    key = GOOD[kind][1].encode()
    partition = partition_of(key, PARTITIONS)
    topic = catalog.source(TYPES[kind][0])
    result = codec.decode(topic, key, value, partition, PARTITIONS, ARRIVAL)
    record = RawRecord(topic.name, partition, 0, ARRIVAL, key, value)
    expected = oracle_read(record, PARTITIONS, ARRIVAL)
    ours = result.reason if isinstance(result, codec.Rejected) else "ok"
    assert ours == (expected.reason if isinstance(expected, Expected) else "ok")


@given(st.integers(0, 2**32), st.integers(local_ms(1971), local_ms(2100)))
def test_every_text_of_an_instant_is_the_same_millisecond(seed: int, ms: int) -> None:
    assert codec.parse_instant(events.rfc3339(Random(seed), ms)) == ms


def test_generated_streams_are_judged_as_the_oracle_judges_them() -> None:
    now = local_ms(2026, 11, 20, 12)
    records = events.log(events.stream(7, 3000, now), PARTITIONS)
    for record in records:
        result = codec.decode(
            catalog.source(record.topic),
            record.key,
            record.value,
            record.partition,
            PARTITIONS,
            record.timestamp,
        )
        expected = oracle_read(record, PARTITIONS, record.timestamp)
        ours = result.reason if isinstance(result, codec.Rejected) else "ok"
        assert ours == (expected.reason if isinstance(expected, Expected) else "ok"), record


@given(st.binary(max_size=30))
def test_the_partition_of_a_key_is_murmur2_of_the_java_client(key: bytes) -> None:
    assert codec.partition_of(key, 7) == partition_of(key, 7)


def test_minus_zero_and_zero_are_the_same_number_and_the_same_digest() -> None:
    pair = []
    for number in ("0.0", "-0.0", "0", "0e5"):
        text = json.dumps(with_fields(R, lat="@")).replace('"@"', number)
        event = decode(R, text.encode())
        assert not isinstance(event, codec.Rejected)
        pair.append(codec.digest(event.data))
    assert len(set(pair)) == 1


def test_order_of_members_and_form_of_times_do_not_change_the_digest() -> None:
    steps = {"sign": "2026-11-20T01:00:00Z", "receive": "2026-11-20T08:00:00.0004+07:00"}
    same = {"receive": "2026-11-20T01:00:00.000Z", "sign": "2026-11-20T00:00:00-01:00"}
    first = decode(C, json.dumps(with_fields(C, steps=steps)).encode())
    body = dict(reversed((CASE | {"steps": same, "due_at": None, "x": 1}).items()))
    second = decode(C, json.dumps(envelope(C, body, time="2026-11-20T00:00:00Z")).encode())
    assert codec.digest(first.data) == codec.digest(second.data)
    changed = decode(C, json.dumps(with_fields(C, steps=steps, popdb_fields=19)).encode())
    assert codec.digest(first.data) != codec.digest(changed.data)
