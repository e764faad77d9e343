"""The oracle on logs so small that every number is worked out by hand beside it."""

import json
from typing import Any

import pytest

from services.oracle.checks import instant
from services.oracle.oracle import Oracle, Places, Row
from services.oracle.raw import RawLog, RawRecord, murmur2, partition_of
from services.oracle.reading import Rejected, read
from services.oracle.windows import DAY, HOUR, MINUTE, answerable, bounds, local_ms

#: Two provinces; 522 has communes 21001 and 21002, 523 has none; 461 is elsewhere.
PLACES = Places(
    districts={"522": "51", "523": "51", "461": "45"},
    communes={"21001": ("522", "51"), "21002": ("522", "51"), "19330": ("461", "45")},
)
NOON = local_ms(2026, 11, 20, 12)

Json = dict[str, Any]


def iso(ms: int) -> str:
    seconds, milli = divmod(ms - local_ms(2026, 11, 1), 1000)
    day, second = divmod(seconds, 86_400)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"2026-11-{day + 1:02}T{clock}.{milli:03}+07:00"


class Log:
    """A growing list of records on one partition each (partitions=1)."""

    def __init__(self) -> None:
        self.records: list[RawRecord] = []

    def add(self, topic: str, kind: str, key: str, data: Json, *, time: int, at: int) -> None:
        event = {
            "specversion": "1.0",
            "id": str(len(self.records)),
            "source": "/t",
            "type": kind,
            "time": iso(time),
            "data": data,
        }
        self.raw(topic, key.encode(), json.dumps(event).encode(), at)

    def raw(self, topic: str, key: bytes | None, value: bytes | None, at: int = NOON) -> None:
        offset = sum(r.topic == topic for r in self.records)
        self.records.append(RawRecord(topic, 0, offset, at, key, value))

    def report(self, key: str, revision: int, at: int = NOON, **fields: Any) -> None:
        data = {
            "report_id": key,
            "revision": revision,
            "status": "received",
            "category": "road",
            "channel": "app",
            "priority": "normal",
            "province_code": "51",
            "reported_at": iso(NOON - HOUR),
        } | fields
        self.add("ioc.field-report.v1", "ioc.field_report.v1", key, data, time=at, at=at)

    def case(self, key: str, **fields: Any) -> None:
        data = {
            "case_id": key,
            "revision": 1,
            "status": "processing",
            "level": "district",
            "procedure_code": "1",
            "procedure_field": "land",
            "service_level": "full",
            "channel": "online",
            "portal": "national",
            "province_code": "51",
            "registered_at": iso(NOON - DAY),
            "fee_due": 0,
            "components_total": 0,
            "components_digitised": 0,
            "components_signed": 0,
            "components_reused": 0,
            "result_digital": False,
            "auth": False,
            "popdb_checked": False,
            "popdb_fields": 0,
        } | fields
        self.add("ioc.admin-case.v1", "ioc.admin_case.v1", key, data, time=NOON, at=NOON)

    def listing(self, store: str, listing: str, **fields: Any) -> None:
        data = {
            "listing_id": listing,
            "revision": 1,
            "store_id": store,
            "seller_kind": "firm",
            "platform": "voso",
            "product_key": "p",
            "product_name": "n",
            "product_group": "food",
            "ocop_stars": 3,
            "price_vnd": 1,
            "stock": 0,
            "active": True,
            "province_code": "51",
            "created_at": iso(NOON - DAY),
        } | fields
        self.add("ioc.listing.v1", "ioc.listing.v1", store, data, time=NOON, at=NOON)

    def order(self, store: str, order: str, **fields: Any) -> None:
        data = {
            "order_id": order,
            "revision": 1,
            "listing_id": "?",
            "store_id": store,
            "platform": "voso",
            "status": "placed",
            "quantity": 1,
            "value_vnd": 100,
            "payment": "cod",
            "province_code": "51",
            "placed_at": iso(NOON - HOUR),
        } | fields
        self.add("ioc.listing.v1", "ioc.order.v1", store, data, time=NOON, at=NOON)

    def reading(self, start: int, end: int, revision: int = 1, at: int = NOON, **f: Any) -> None:
        data = {
            "domain": "d",
            "indicator": "d.x",
            "territory": "51",
            "period_start": iso(start),
            "period_end": iso(end),
            "revision": revision,
            "kind": "flow",
            "unit": "u",
            "source_system": "s",
        } | f
        self.add("ioc.indicator.v1", "ioc.indicator.v1", "d.x|51|", data, time=at, at=at)

    def oracle(self) -> Oracle:
        return Oracle(self.records, 1, "wall", PLACES)


def test_each_outcome_once() -> None:
    log = Log()
    log.report("a", 2)  # 0 applied: the first
    log.report("a", 2, reported_at="2026-11-20T04:00:00Z")  # 1 duplicate: 11:00+07:00 = 04:00Z
    log.report("a", 2, status="answered")  # 2 conflict: the first one stays
    log.report("a", 1)  # 3 stale
    log.report("a", 3, status="answered")  # 4 applied
    log.report("a", 2)  # 5 stale: 3 is known now, though 2 had been
    log.raw("ioc.field-report.v1", b"a", b"{")  # 6 rejected
    log.report("b", 1)  # 7 expired: its time is 400 days and 1 ms before arrival
    late = log.records[7]
    log.records[7] = RawRecord(
        late.topic, 0, 7, NOON + 400 * DAY + 1, late.key, late.value, late.headers
    )
    log.report("c", 1)  # 8 applied: exactly 400 days are taken
    late = log.records[8]
    log.records[8] = RawRecord(
        late.topic, 0, 8, NOON + 400 * DAY, late.key, late.value, late.headers
    )
    oracle = log.oracle()
    assert [oracle.outcome("ioc.field-report.v1", 0, n) for n in range(9)] == [
        "applied", "duplicate", "conflict", "stale", "applied", "stale", "rejected:not_json",
        "expired", "applied",
    ]  # fmt: skip
    assert oracle.outcomes("ioc.field-report.v1") == {
        "applied": 3, "duplicate": 1, "conflict": 1, "stale": 2, "rejected": 1, "expired": 1,
    }  # fmt: skip
    assert oracle.reasons("ioc.field-report.v1")["not_json"] == 1
    assert oracle.event_clock() == NOON


def test_only_the_highest_revision_counts_and_of_equals_the_first() -> None:
    log = Log()
    log.report("a", 2, category="other")
    log.report("a", 1, category="road")
    log.report("a", 2, category="disaster")
    rows = log.oracle().rows("fr.received", "24h", NOON, by="category")
    assert rows["all", "other"].value == 1
    assert rows["all", "road"].value == rows["all", "disaster"].value == 0


def test_a_rolling_window_has_exactly_its_panes() -> None:
    # 5m at 12:00:00.000 has panes of 10 s: [11:55:10, 12:00:10).
    assert bounds("5m", NOON) == (NOON - 5 * MINUTE + 10_000, NOON + 10_000)
    # 24h at 12:00:59.999 has minute panes: [12:01 the day before, 12:01).
    assert bounds("24h", NOON + 59_999) == (NOON + MINUTE - DAY, NOON + MINUTE)
    log = Log()
    for n, at in enumerate((-290_001, -290_000, 9_999, 10_000)):
        log.report(str(n), 1, reported_at=iso(NOON + at))
    # Of 11:55:09.999, 11:55:10, 12:00:09.999 and 12:00:10 the middle two are in.
    assert log.oracle().rows("fr.received", "5m", NOON)["all", None].value == 2


def test_calendar_windows_begin_at_local_midnight_and_end_with_the_minute() -> None:
    as_of = NOON + 61_000  # 12:01:01
    end = NOON + 2 * MINUTE
    assert bounds("today", as_of) == (local_ms(2026, 11, 20), end)
    assert bounds("month", as_of) == (local_ms(2026, 11), end)
    assert bounds("quarter", as_of) == (local_ms(2026, 10), end)
    assert bounds("year", as_of) == (local_ms(2026), end)
    # 00:30 of 1 January in Ho Chi Minh City is still 31 December in UTC.
    assert bounds("year", local_ms(2027, 1, 1, 0, 30))[0] == local_ms(2027)
    assert local_ms(2027) == instant("2026-12-31T17:00:00Z")


def test_what_can_be_answered_counts_back_from_the_clock() -> None:
    assert answerable("5m", NOON, NOON)
    # Its ends are on minutes and are answered from minute panes, kept 27 h; 10 s panes live 3 h.
    assert answerable("5m", NOON + 50_000 - 5 * HOUR, NOON)
    assert answerable("5m", NOON - 5 * HOUR, NOON) is False
    assert answerable("24h", NOON - 10 * DAY - 30_000, NOON)  # ends on a full hour, 40 days
    assert answerable("24h", NOON - 10 * DAY, NOON) is False  # ends at 12:01
    assert answerable("today", local_ms(2026, 3, 5) - 1, NOON)  # a whole local day, 400 days
    assert answerable("today", local_ms(2026, 3, 5), NOON) is False
    assert answerable("year", NOON, NOON)
    assert answerable("5m", NOON + 15 * MINUTE + 1, NOON) is False


def test_every_report_counts_at_the_levels_it_is_known_at() -> None:
    log = Log()
    places: list[tuple[str, str | None, str | None]] = [
        ("51", "522", "21001"),  # 51, 522, 21001
        ("51", None, "21002"),  # 51, 522 filled in, 21002
        ("51", "522", None),  # 51, 522, 522.none
        ("51", "522", "99999"),  # 51, 522, 522.unknown
        ("51", "522", "19330"),  # 51, 522, 522.unknown: a commune outside its district
        ("51", None, None),  # 51, 51.none
        ("51", "999", "21001"),  # 51, 51.unknown
        ("51", "461", "19330"),  # 51, 51.unknown: a district outside its province
        ("99", "522", "21001"),  # unknown
    ]
    for n, (province, district, commune) in enumerate(places):
        log.report(str(n), 1, province_code=province, district_code=district, commune_code=commune)
    rows = log.oracle().rows("fr.received", "24h", NOON)
    counts = {t: row.value for (t, _), row in rows.items() if row.value}
    assert counts == {
        "all": 9, "51": 8, "unknown": 1, "522": 5, "51.none": 1, "51.unknown": 2,
        "21001": 1, "21002": 1, "522.none": 1, "522.unknown": 2,
    }  # fmt: skip
    assert rows["523", None] == Row(0, None, None, 0)
    assert ("523.none", None) not in rows


def test_rates_means_and_quantiles_of_reports() -> None:
    log = Log()
    start = NOON - 3 * HOUR
    # Answered after 60, 90 and 120 minutes, due after 90; the fourth before it was reported.
    for n, minutes in enumerate((60, 90, 120, -5)):
        log.report(
            str(n), 1, reported_at=iso(start), due_at=iso(start + 90 * MINUTE),
            answered_at=iso(start + minutes * MINUTE), extended_count=n % 2,
            rated_at=iso(NOON), rating=("satisfied", "accepted", "dissatisfied", None)[n],
        )  # fmt: skip
    oracle = log.oracle()

    def row(kpi: str) -> Row:
        return oracle.rows(kpi, "24h", NOON)["all", None]

    assert row("fr.on_time_rate") == Row(0.75, 3, 4, 4)
    assert row("fr.extension_rate") == Row(0.5, 2, 4, 4)
    assert row("fr.satisfaction_rate") == Row(0.5, 2, 4, 4)
    # The negative duration is left out: (60 + 90 + 120) / 3 minutes.
    assert row("fr.mean_hours_to_answer") == Row(1.5, 270 * MINUTE, 3, 3)
    assert row("fr.p50_hours_to_answer") == Row(1.5, None, None, 3)  # rank ceil(1.5) = 2
    assert row("fr.p90_hours_to_answer") == Row(2.0, None, None, 3)  # rank ceil(2.7) = 3
    assert row("fr.ack_minutes_mean") == Row(None, 0, 0, 0)


def test_due_times_are_compared_with_the_whole_minute() -> None:
    log = Log()
    for n, due in enumerate((-1, 0, 30_000, DAY - 1, DAY)):
        log.case(str(n), due_at=iso(NOON + due))
    log.case("paused", status="supplement", due_at=iso(NOON - DAY))
    oracle = log.oracle()
    # At 12:00:59.999 a = 12:00: only 11:59:59.999 is overdue; near due are 0, 30 s, 24 h - 1 ms.
    assert oracle.rows("gov.overdue_now", None, NOON + 59_999)["all", None].value == 1
    assert oracle.rows("gov.near_due_now", None, NOON + 59_999)["all", None].value == 3
    # One minute later 12:00:00.000 and 12:00:30 are overdue too.
    assert oracle.rows("gov.overdue_now", None, NOON + MINUTE)["all", None].value == 3
    assert oracle.rows("gov.open_now", None, NOON)["all", None].value == 6


def test_early_is_before_the_local_day_of_the_due_time() -> None:
    log = Log()
    midnight = local_ms(2026, 11, 20)
    for n, solved in enumerate((midnight - 1, midnight, NOON)):
        log.case(str(n), solved_at=iso(solved), due_at=iso(NOON))
    oracle = log.oracle()
    assert oracle.rows("gov.early_rate", "24h", NOON)["all", None] == Row(1 / 3, 1, 3, 3)
    assert oracle.rows("gov.on_time_rate", "24h", NOON)["all", None] == Row(1.0, 3, 3, 3)


def test_a_step_lasts_since_the_nearest_earlier_step_there_is() -> None:
    log = Log()
    start = NOON - 10 * HOUR
    steps = {
        "receive": start + 10 * MINUTE,  # 10 min since registration
        "approve": start + 40 * MINUTE,  # 30 min since receive; appraise is missing
        "sign": start + 35 * MINUTE,  # -5 min: left out
        "return": start + 95 * MINUTE,  # 60 min since sign
        "photocopy": start + 99 * MINUTE,  # kept, not counted
    }
    log.case("c", registered_at=iso(start), steps={k: iso(v) for k, v in steps.items()})
    oracle = log.oracle()
    rows = oracle.rows("gov.step_minutes", "24h", NOON, by="step")
    assert {v: row.value for (t, v), row in rows.items() if t == "all"} == {
        "receive": 10, "appraise": None, "approve": 30, "sign": None, "return": 60,
    }  # fmt: skip
    total = oracle.rows("gov.step_minutes", "24h", NOON)["all", None]
    assert total == Row(100 / 3, 100 * MINUTE, 3, 3)


def test_payments_components_and_the_pair_of_dimensions() -> None:
    log = Log()
    paid = {"amount": 10**15, "method": "bank", "paid_at": iso(NOON)}
    log.case("a", fee_due=5, solved_at=iso(NOON), payment=paid, accepted_at=iso(NOON - DAY),
             components_total=4, components_digitised=3, components_reused=1)  # fmt: skip
    log.case("b", fee_due=5, solved_at=iso(NOON), payment=paid | {"method": "cash"},
             channel="direct", accepted_at=iso(NOON - HOUR))  # fmt: skip
    oracle = log.oracle()

    def row(kpi: str, window: str = "7d") -> Row:
        return oracle.rows(kpi, window, NOON)["all", None]

    assert row("gov.online_payments") == Row(1, None, None, 1)
    assert row("gov.online_payment_value_vnd") == Row(10**15, None, None, 1)
    assert row("gov.online_payment_rate") == Row(0.5, 1, 2, 2)
    assert row("gov.components_digitised_rate") == Row(0.75, 3, 4, 2)
    assert row("gov.reuse_rate", "1h") == Row(None, 0, 0, 0)  # 11:00:00 is before 11:00:10
    assert row("gov.mean_processing_days") == Row(25 / 48, 25 * HOUR, 2, 2)
    pair = oracle.rows("gov.cases_received", "7d", NOON, by=("procedure_field", "channel"))
    assert pair["all", "land|online"].value == pair["all", "land|direct"].value == 1
    assert pair["all", "land|postal"].value == 0
    online = oracle.rows("gov.cases_received", "7d", NOON, where={"channel": "online"})
    assert online["51", None].value == 1


def test_distinct_things_are_counted_once() -> None:
    log = Log()
    log.listing("s1", "1", district_code="522", commune_code="21001", stock=5)
    log.listing("s1", "2", district_code="522", commune_code="21002")  # the same product again
    log.listing("s2", "1", ocop_stars=2, product_key="q", district_code="523")
    log.listing("s3", "1", active=False, district_code="461", province_code="45")
    oracle = log.oracle()

    def now(kpi: str, place: str = "all") -> Row:
        return oracle.rows(kpi, None, NOON)[place, None]

    assert now("eco.products").value == 3
    assert now("eco.stores").value == 2
    assert now("eco.ocop_products") == Row(1, None, None, 1)
    assert now("eco.out_of_stock_rate") == Row(2 / 3, 2, 3, 3)
    assert now("eco.commune_seller_share") == Row(2 / 3, 2, 3, 3)
    assert now("eco.commune_seller_share", "45") == Row(0.0, 0, 1, 1)
    assert now("eco.commune_seller_share", "523") == Row(None, 0, 0, 0)


def test_an_order_and_a_listing_of_one_id_are_two_entities() -> None:
    log = Log()
    log.listing("s", "x")
    done = {"completed_at": iso(NOON), "status": "completed"}
    log.order("s", "x", **done)
    log.order("s", "y", value_vnd=300, payment="bank", **done)
    log.order("s", "z", status="cancelled", cancelled_at=iso(NOON))
    oracle = log.oracle()

    def row(kpi: str) -> Row:
        return oracle.rows(kpi, "7d", NOON)["51", None]

    assert oracle.outcomes("ioc.listing.v1")["applied"] == 4
    assert row("eco.orders").value == 3
    assert row("eco.gmv_vnd") == Row(400, None, None, 2)
    assert row("eco.aov_vnd") == Row(200.0, 400, 2, 2)
    assert row("eco.cancel_rate") == Row(1 / 3, 1, 3, 3)
    assert row("eco.cashless_rate") == Row(0.5, 1, 2, 2)


def test_indicators_are_looked_up_from_the_latest_ended_period() -> None:
    log = Log()
    day = local_ms(2026, 11, 18)
    log.reading(day, day + DAY, value=10, target=4)
    log.reading(day + DAY, day + 2 * DAY, numerator=9, denominator=2, target=5, at=NOON - HOUR)
    log.reading(day + 2 * DAY, day + 3 * DAY, value=99)  # not ended at noon
    log.reading(day, day + DAY, revision=2, value=20)
    oracle = log.oracle()
    assert oracle.indicators(NOON) == {"d.x|51|": (4.5, 5.0, -0.5, 3600.0, day + DAY)}
    # Ends in the 7 days before noon: 19 and 20 November 0:00, with 20 and 4.5.
    assert oracle.indicator_sums("7d", NOON) == {"d.x|51|": (24.5, 2)}


def test_an_old_short_period_is_expired_unless_it_is_the_latest_of_its_series() -> None:
    log = Log()
    old = NOON - 4 * DAY
    log.reading(old, old + HOUR, value=1)  # 0 applied: old, and the latest there is
    log.reading(NOON - 2 * HOUR, NOON - HOUR, value=2)  # 1 applied
    log.reading(old, old + HOUR, revision=2, value=3)  # 2 expired: ended over 48 h ago
    log.reading(old - 3 * DAY, old - 2 * DAY, value=4)  # 3 applied: a whole day, kept 400 days
    oracle = log.oracle()
    assert [oracle.outcome("ioc.indicator.v1", 0, n) for n in range(4)] == [
        "applied", "applied", "expired", "applied",
    ]  # fmt: skip


def test_arrival_is_the_header_in_an_event_system_and_the_brokers_time_else() -> None:
    log = Log()
    log.report("a", 1, reported_at=iso(NOON + 10 * MINUTE))
    (plain,) = log.records
    early = [("ioc-arrival", str(NOON - 10 * MINUTE).encode())]
    record = RawRecord(plain.topic, 0, 0, NOON, plain.key, plain.value, early)
    topic = "ioc.field-report.v1"
    assert Oracle([record], 1, "wall", PLACES).outcome(topic, 0, 0) == "applied"
    assert Oracle([record], 1, "event", PLACES).outcome(topic, 0, 0) == "rejected:future_time"


def test_a_raw_log_keeps_records_as_they_were() -> None:
    records = [
        RawRecord("ioc.listing.v1", 1, 3, 5, b"\xff\x00", None, [("a", b""), ("a", b"\x00")]),
        RawRecord("ioc.admin-case.v1", 0, 9, 7, None, b"", []),
    ]
    raw = RawLog()
    assert raw.append(records) == len(raw) == 2
    assert list(raw.records()) == sorted(records, key=lambda r: r.topic)
    oracle = Oracle(raw, 4, "wall", PLACES)
    assert oracle.reasons("ioc.listing.v1")["not_json"] == 1


@pytest.mark.parametrize(
    ("key", "hash_"),
    # The vectors of Kafka's own UtilsTest.testMurmur2, signed there.
    [
        (b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)  # fmt: skip
def test_murmur2_is_that_of_the_java_client(key: bytes, hash_: int) -> None:
    assert murmur2(key) == hash_ & 0x7FFFFFFF
    assert partition_of(key, 4) == (hash_ & 0x7FFFFFFF) % 4


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T07:00:00.0019999+07:00", 1),
        ("1969-12-31T23:59:59.9999999Z", -1),
        ("2024-02-29T23:59:59.5-00:00", 1_709_251_199_500),
    ],
)
def test_finer_digits_of_a_time_are_cut(text: str, ms: int) -> None:
    assert instant(text) == ms


def test_reading_never_raises_on_strange_bytes() -> None:
    deep = b'{"data":' * 20_000
    for value in (None, b"", b"\xff", deep, b'"\\ud800"', b"1" * 5_000, b"[1e400]"):
        assert isinstance(read(RawRecord("ioc.listing.v1", 0, 0, 0, b"", value), 1, 0), Rejected)
