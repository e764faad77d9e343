"""Filters: by type, by territory with its children, by entity."""

import json
from typing import Any

import pytest

from services.replay.select import Filter, Wanted, topic_name, type_name
from services.runtime.reference import load_territories

PLACES = load_territories()


def event(type_: str, **data: Any) -> bytes:
    return json.dumps({"type": f"ioc.{type_}.v1", "data": data}).encode()


def passes(value: bytes | None, key: bytes | None = b"k", **wanted: Any) -> bool:
    return Filter(Wanted.of(PLACES, **wanted), PLACES)(key, value)


COMMUNE = next(c for c in PLACES.communes.values() if c.province_code == "51")
PLACE = {
    "province_code": "51",
    "district_code": COMMUNE.district_code,
    "commune_code": COMMUNE.commune_code,
}


@pytest.mark.parametrize("code", ["all", "51", COMMUNE.district_code, COMMUNE.commune_code])
def test_a_territory_has_everything_below_it(code: str) -> None:
    assert passes(event("field_report", **PLACE), territories=[code])


@pytest.mark.parametrize("code", ["45", "461", "unknown", "51.unknown", "51.none"])
def test_and_nothing_beside_it(code: str) -> None:
    assert not passes(event("field_report", **PLACE), territories=[code])


def test_the_rows_for_unknown_and_missing_places_can_be_asked_for() -> None:
    lost = event("order", province_code="51", district_code="999")
    assert passes(lost, territories=["51.unknown"])
    assert passes(lost, territories=["51"])
    assert passes(event("order", province_code="51"), territories=["51.none"])
    assert passes(event("order", province_code="00"), territories=["unknown"])


def test_a_district_left_out_is_that_of_the_commune() -> None:
    value = event("order", province_code="51", commune_code=COMMUNE.commune_code)
    assert passes(value, territories=[COMMUNE.district_code])


def test_an_indicator_lies_in_its_territory() -> None:
    value = event("indicator", territory=COMMUNE.district_code)
    assert passes(value, territories=["51"])
    assert not passes(value, territories=["45"])


def test_a_type_may_be_named_shortly() -> None:
    assert type_name("order") == type_name("ioc.order.v1") == "ioc.order.v1"
    assert type_name("field-report") == "ioc.field_report.v1"
    assert passes(event("order"), types=["order", "indicator"])
    assert not passes(event("listing"), types=["order"])
    with pytest.raises(ValueError, match="no type is called"):
        type_name("orders")
    assert topic_name("listing") == "ioc.listing.v1"
    with pytest.raises(ValueError, match="no topic is called"):
        topic_name("ioc.kpi-partial.v1")


def test_an_entity_is_found_by_its_id_or_by_the_key() -> None:
    order = event("order", order_id="o1", listing_id="l1", store_id="s1")
    assert passes(order, entities=["o1"])
    assert passes(order, entities=["s1"])
    assert not passes(order, entities=["l1"])
    assert passes(event("listing", listing_id="l1", store_id="s1"), entities=["l1"])
    assert passes(b"garbage", key=b"pa-1", entities=["pa-1"])


@pytest.mark.parametrize("value", [None, b"", b"garbage", b"[]", b'{"type": 1}', b"\xff"])
def test_what_cannot_be_read_passes_only_where_nothing_is_asked_of_it(value: bytes | None) -> None:
    assert passes(value)
    assert not passes(value, types=["order"])
    assert not passes(value, territories=["all"])


def test_all_kinds_of_filters_must_agree() -> None:
    value = event("order", order_id="o1", **PLACE)
    assert passes(value, types=["order"], territories=["51"], entities=["o1"])
    assert not passes(value, types=["order"], territories=["45"], entities=["o1"])


def test_a_territory_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no territory"):
        Wanted.of(PLACES, territories=["9999"])
