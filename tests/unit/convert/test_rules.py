"""What the rules of a mapping do to the rows of a file, one rule after the other."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.codec import parse_instant
from services.convert.conversion import Findings
from services.convert.loading import parse
from services.convert.reading import NotThisLogError
from tests.unit.convert.invented import converted

Run = Callable[..., tuple[list[dict[str, Any]], Findings]]

REPORT: dict[str, Any] = {
    "mapping": 1,
    "name": "test",
    "source": "/test",
    "target": "field_report",
    "entity": "{id}",
    "territory": "unknown",
    "fields": {
        "category": "road",
        "channel": "web",
        "priority": "normal",
        "reported_at": {"column": "opened"},
    },
    "changes": [{"at": "opened", "set": {"status": "received"}}],
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Text through REPORT with members changed; the data of every event, and the findings."""

    def go(
        text: str | bytes,
        fields: dict[str, Any] | None = None,
        name: str = "log.csv",
        **members: Any,
    ) -> tuple[list[dict[str, Any]], Findings]:
        raw = REPORT | members
        raw["fields"] = REPORT["fields"] | members.get("fields", {}) | (fields or {})
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        found, findings = converted(parse(raw, tmp_path), path)
        return [msgspec.json.decode(r.value)["data"] for r in found], findings

    return go


ONE = "id,opened,a,b\n1,2022-09-27T08:00:00,{},{}\n"


def test_a_time_without_an_offset_gets_the_zone_of_the_mapping(run: Run) -> None:
    (data,), _ = run("id,opened\n1,2011-11-06 01:30:00\n", time={"zone": "America/New_York"})
    # The later of the two half past ones would be -05:00; a wall clock cannot say which it was.
    assert data["reported_at"] == "2011-11-06T01:30:00-04:00"
    (data,), _ = run("id,opened\n1,2011-11-06 01:30:00+02:00\n", time={"zone": "Z"})
    assert data["reported_at"] == "2011-11-06T01:30:00+02:00"


def test_times_are_read_in_the_format_of_the_mapping(run: Run) -> None:
    (data,), _ = run("id,opened\n1,27/9/2022 08:05\n", time={"format": "%d/%m/%Y %H:%M"})
    assert data["reported_at"] == "2022-09-27T08:05:00+07:00"
    _, findings = run("id,opened\n1,2022-09-27\n", time={"format": "%d/%m/%Y %H:%M"})
    assert findings.rejects == Counter({"opened is no time": 1})


def test_encoding_delimiter_and_compression_are_those_of_the_file(run: Run) -> None:
    # In this encoding a tone is a letter of its own.
    text = "id;opened;what\n1;2022-09-27T08:00:00;Đươ\u0300ng\n".encode("cp1258")
    rule = {"column": "what", "map": {"Đường": "drainage_flood"}}
    file = {"encoding": "cp1258", "delimiter": ";"}
    for packed in (text, gzip.compress(text)):
        (data,), _ = run(packed, {"category": rule}, file=file)
        assert data["category"] == "drainage_flood"


def test_a_byte_order_mark_is_no_part_of_a_name(run: Run) -> None:
    (data,), _ = run("\ufeffid,opened\n1,2022-09-27T08:00:00\n")
    assert data["report_id"] == "1"


@pytest.mark.parametrize(
    ("rule", "word", "value", "rejected"),
    [
        ({"map": {"x": "road"}}, "x", "road", None),
        ({"map": {"x": "road"}}, "y", None, "category: a is a word that the table lacks"),
        ({"map": {"x": "road"}, "default": "reject"}, "", None, "category: a is empty"),
        (
            {"map": {"x": "road"}, "default": "reject"},
            "y",
            None,
            "category: a is a word that the table lacks",
        ),
        ({"map": {"x": "road"}, "default": "other"}, "y", "other", None),
        ({"map": {"x": "road"}, "default": "other"}, "", "other", None),
        ({"map": {"x": "road"}}, "", None, "category: a is empty"),
        ({}, "waste_env", "waste_env", None),
        ({"filled": "road", "default": "other"}, "anything", "road", None),
        ({"filled": "road", "default": "other"}, "", "other", None),
    ],
)
def test_a_table_gives_a_value_a_default_or_a_reject(
    run: Run, rule: dict[str, Any], word: str, value: str | None, rejected: str | None
) -> None:
    found, findings = run(ONE.format(word, ""), {"category": {"column": "a"} | rule})
    assert [data["category"] for data in found] == ([] if value is None else [value])
    assert list(findings.rejects) == ([] if rejected is None else [rejected])


def test_a_word_that_the_table_lacks_is_counted(run: Run) -> None:
    rule = {"column": "a", "map": {"x": "road"}, "default": "other"}
    _, findings = run(ONE.format("dragons", ""), {"category": rule})
    assert findings.unknown == Counter({"a: dragons": 1})


def test_a_word_that_the_contract_does_not_know_is_refused_before_anything_is_sent(
    run: Run,
) -> None:
    found, findings = run(ONE.format("dragons", ""), {"category": {"column": "a"}})
    assert found == []
    (reason,) = findings.refused
    assert reason.startswith("schema: $.data.category")
    assert not findings.clean


def test_the_first_rule_that_gives_something_counts(run: Run) -> None:
    rules = [{"column": "a", "map": {"x": "road"}, "default": None}, {"const": "other"}]
    for word, value in (("x", "road"), ("y", "other")):
        (data,), findings = run(ONE.format(word, ""), {"category": {"first": rules}})
        assert data["category"] == value
        assert not findings.unknown


def test_numbers_are_multiplied_scaled_and_rounded_exactly(run: Run) -> None:
    raw = order_mapping()
    (data,), _ = run(ORDERS.format("-3", "2.55"), **raw)
    assert (data["quantity"], data["value_vnd"]) == (3, 252_450)
    (data,), _ = run(ORDERS.format("1", "0.000045"), **raw)
    assert data["value_vnd"] == 1  # 1.485
    _, findings = run(ORDERS.format("1", "two"), **raw)
    assert findings.rejects == Counter({"n or price is no number": 1})
    _, findings = run(ORDERS.format("NaN", "2"), **raw)
    assert findings.rejects == Counter({"n is no number": 1})


ORDERS = "id,opened,n,price\n1,2022-09-27T08:00:00,{},{}\n"


def order_mapping() -> dict[str, Any]:
    return {
        "target": "order",
        "fields": {},
        "changes": [{
            "at": "opened",
            "set": {
                "status": "placed", "placed_at": {"at": True}, "listing_id": "l", "store_id": "s",
                "platform": "voso", "payment": "cod",
                "quantity": {"column": "n", "absolute": True},
                "value_vnd": {"multiply": ["n", "price"], "times": 33_000, "absolute": True},
            },
        }],
    }  # fmt: skip


@pytest.fixture(autouse=True)
def _no_report_fields(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "numbers_are" in request.node.name:
        monkeypatch.setitem(REPORT, "fields", {})


def test_lengths_of_time_fall_into_bands(run: Run) -> None:
    bands = [
        {"below": "24h", "value": "urgent"},
        {"upto": "30d", "value": "normal"},
        {"value": "complex"},
    ]
    rule = {"span": {"from": "opened", "to": "a"}, "bands": bands, "default": "normal"}
    for due, value in (
        ("2022-09-28T07:59:59", "urgent"),
        ("2022-09-28T08:00:00", "normal"),
        ("2022-10-27T08:00:00", "normal"),
        ("2022-10-27T08:00:01", "complex"),
        ("", "normal"),
    ):
        (data,), _ = run(ONE.format(due, ""), {"priority": rule})
        assert data["priority"] == value, due


def test_a_time_may_be_another_one_and_a_while(run: Run) -> None:
    (data,), _ = run(ONE.format("", ""), {"due_at": {"column": "opened", "plus": "30d"}})
    assert data["due_at"] == "2022-10-27T08:00:00+07:00"


def test_what_is_not_mapped_is_not_sent(run: Run) -> None:
    (data,), _ = run(ONE.format("secret-1", "secret-2"))
    assert "secret" not in json.dumps(data)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("call 0905 123 456 please", "telephone"),
        ("+84 (905) 123-456", "telephone"),
        ("write to a.b@example.org", "e-mail"),
        ("pothole 40 cm deep since 2022-09-27", None),
        ("permit 2022/123", None),
    ],
)
def test_a_text_that_looks_personal_is_a_warning(run: Run, text: str, kind: str | None) -> None:
    (data,), findings = run(ONE.format(text, ""), {"description": {"column": "a"}})
    assert data["description"] == text
    expected = {} if kind is None else {f"description looks like {kind}": 1}
    assert findings.personal == Counter(expected)


def test_an_id_is_no_telephone_number(run: Run) -> None:
    _, findings = run("id,opened\n101000295613,2022-09-27T08:00:00\n")
    assert not findings.personal


def test_rows_that_where_leaves_out_are_counted_and_not_rejected(run: Run) -> None:
    text = "id,opened,a\n" + "".join(f"{n},2022-09-27T08:00:00,{n}\n" for n in range(6))
    for condition, left in (
        ({"in": ["1", "2"]}, {"1", "2"}),
        ({"not_in": ["1", "2"]}, {"0", "3", "4", "5"}),
        ({"matches": "^[45]"}, {"4", "5"}),
        ({"empty": True}, set()),
    ):
        found, findings = run(text, where=[{"column": "a"} | condition])
        assert {data["report_id"] for data in found} == left
        assert findings.left_out == 6 - len(left)
        assert findings.clean


STATES = """id,opened,changed,state
1,2022-09-27T08:00:00,2022-09-27T10:00:00,done
1,2022-09-27T08:00:00,2022-09-27T08:00:00,new
1,2022-09-27T08:00:00,2022-09-27T09:00:00,work
1,2022-09-27T08:00:00,2022-09-27T09:30:00,work
"""
BY_STATE = [{
    "at": "changed",
    "set": {
        "status": {
            "column": "state",
            "map": {"new": "received", "work": "in_progress", "done": "answered"},
        },
        "acknowledged_at": {"at": True, "once": True, "if": {"status": ["in_progress"]}},
        "answered_at": {"at": True, "if": {"status": ["answered"]}},
    },
}]  # fmt: skip


def test_several_rows_of_an_entity_are_its_revisions_in_order_of_time(run: Run) -> None:
    found, _ = run(STATES, repeated_id="revision", changes=BY_STATE)
    assert [(d["revision"], d["status"]) for d in found] == [
        (1, "received"), (2, "in_progress"), (3, "in_progress"), (4, "answered"),
    ]  # fmt: skip
    assert {d.get("acknowledged_at") for d in found[1:]} == {"2022-09-27T09:00:00+07:00"}
    assert [d.get("answered_at") for d in found] == [None] * 3 + ["2022-09-27T10:00:00+07:00"]


def test_a_change_that_changes_nothing_can_be_left_out(run: Run) -> None:
    found, findings = run(STATES, repeated_id="revision", unchanged="skip", changes=BY_STATE)
    assert [d["revision"] for d in found] == [1, 2, 3]
    assert findings.unchanged == 1


def test_an_id_that_comes_again_is_rejected_or_numbered_as_the_mapping_says(run: Run) -> None:
    found, findings = run(STATES, changes=BY_STATE)
    assert [d["report_id"] for d in found] == ["1"]
    assert findings.rejects == Counter({"id twice": 3})
    found, findings = run(STATES, repeated_id="number", changes=BY_STATE)
    assert {d["report_id"] for d in found} == {"1", "1.2", "1.3", "1.4"}


CLOSED = [
    {"at": "opened", "set": {"status": "received"}},
    {"at": "closed", "early": "reject", "set": {"status": "answered", "answered_at": {"at": True}}},
]
EARLY = "id,opened,closed\n1,2022-09-27T08:00:00,2022-09-27T07:00:00\n"


def test_what_lies_before_the_opening_is_rejected_or_told_with_it(run: Run) -> None:
    found, findings = run(EARLY, changes=CLOSED)
    assert found == []
    assert findings.rejects == Counter({"closed lies before opened": 1})
    late = [CLOSED[0], CLOSED[1] | {"early": "at_opening"}]
    found, findings = run(EARLY, changes=late)
    assert [d["status"] for d in found] == ["received", "answered"]
    assert found[1]["answered_at"] == "2022-09-27T07:00:00+07:00"


def test_the_territory_of_foreign_data_is_unknown_or_comes_by_a_table(
    run: Run, tmp_path: Path
) -> None:
    (data,), _ = run(ONE.format("", ""))
    assert (data["province_code"], data["district_code"]) == ("unknown", None)
    (tmp_path / "places.csv").write_text("value,code\nNorth,522\nTown,21178\n", encoding="utf-8")
    places = {"column": "a", "file": "places.csv", "default": "unknown"}
    for word, codes in (("North", ("51", "522")), ("Elsewhere", ("unknown", None))):
        (data,), _ = run(ONE.format(word, ""), territory=places)
        assert (data["province_code"], data["district_code"]) == codes
    _, findings = run(ONE.format("Elsewhere", ""), territory=places | {"default": "reject"})
    assert findings.rejects == Counter({"territory: no place for this a": 1})


def test_codes_of_ours_in_columns_are_taken_as_they_are(run: Run) -> None:
    columns = {"codes": {"province": "a", "district": "b"}}
    (data,), _ = run(ONE.format("51", "522"), territory=columns)
    assert (data["province_code"], data["district_code"]) == ("51", "522")
    (data,), _ = run(ONE.format("", "522"), territory=columns)
    assert data["province_code"] == "51"
    (data,), _ = run(ONE.format("", ""), territory=columns)
    assert data["province_code"] == "unknown"


def test_a_file_without_a_column_of_the_mapping_is_not_this_log(run: Run) -> None:
    with pytest.raises(NotThisLogError, match=r"no column opened \(there are id, closed\)"):
        run("id,closed\n")


JSON_DUMP = json.dumps([
    {
        "service_request_id": "638344", "status": "closed", "service_name": "Graffiti",
        "requested_datetime": "2010-04-14T06:37:38-08:00",
        "updated_datetime": "2010-04-15T06:37:38-08:00", "lat": 37.7, "long": -122.4,
    },
    {
        "service_request_id": "638349", "status": "open", "service_name": None,
        "requested_datetime": "2010-04-19T06:37:38-08:00", "address": "8TH AVE",
    },
])  # fmt: skip
XML_DUMP = """<?xml version="1.0" encoding="utf-8"?>
<service_requests>
 <request>
  <service_request_id>638344</service_request_id><status>closed</status>
  <service_name>Graffiti</service_name>
  <requested_datetime>2010-04-14T06:37:38-08:00</requested_datetime>
  <updated_datetime>2010-04-15T06:37:38-08:00</updated_datetime>
  <lat>37.7</lat><long>-122.4</long>
 </request>
 <request>
  <service_request_id>638349</service_request_id><status>open</status><service_name/>
  <requested_datetime>2010-04-19T06:37:38-08:00</requested_datetime>
 </request>
</service_requests>
"""


@pytest.mark.parametrize(
    "text",
    [JSON_DUMP, f'{{"service_requests": {JSON_DUMP}}}', XML_DUMP, gzip.compress(XML_DUMP.encode())],
    ids=["json", "json-object", "xml", "xml-gzip"],
)
def test_an_open311_dump_is_read_as_json_and_as_xml(text: str | bytes, tmp_path: Path) -> None:
    from services.convert.loading import load

    path = tmp_path / "dump"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    mapping = load(Path(__file__).parents[3] / "examples" / "mappings" / "open311.yml")
    found, findings = converted(mapping, path)
    assert findings.clean
    data = [msgspec.json.decode(r.value)["data"] for r in found]
    assert [(d["report_id"], d["status"], d["category"]) for d in data] == [
        ("638344", "received", "urban_order"),
        ("638344", "answered", "urban_order"),
        ("638349", "received", "other"),
    ]
    assert (data[0]["lat"], data[0]["lon"]) == (37.7, -122.4)
    assert parse_instant(data[1]["answered_at"]) == found[1].arrival


@pytest.mark.parametrize("text", ["", "hello", "<a><b></a>", '{"a": 1}', "[1]", "<requests/>"])
def test_what_is_no_open311_dump_is_named(run: Run, text: str) -> None:
    with pytest.raises(NotThisLogError):
        run(text, file={"format": "open311"})


def test_an_indicator_is_mapped_with_its_series_as_the_key(tmp_path: Path) -> None:
    mapping = parse({
        "mapping": 1, "name": "i", "source": "/i", "target": "indicator",
        "entity": "{place}-{day}", "territory": {"codes": {"district": "place"}},
        "fields": {
            "domain": "infra", "indicator": "infra.mail_rate", "kind": "rate", "unit": "ratio",
            "source_system": "mail", "period_start": {"column": "day"},
            "period_end": {"column": "day", "plus": "1d"},
            "numerator": {"column": "users"}, "denominator": {"column": "staff"},
            "dims.office": {"column": "office"},
        },
        "changes": [{"at": "told"}],
    })  # fmt: skip
    path = tmp_path / "log.csv"
    path.write_text(
        "place,day,told,users,staff,office\n522,2022-09-26,2022-09-27T06:00:00,8,10,main\n",
        encoding="utf-8",
    )
    (revision,), findings = converted(mapping, path)
    assert findings.clean
    assert revision.key == b"infra.mail_rate|522|office=main"
    data = msgspec.json.decode(revision.value)["data"]
    assert data["period_end"] == "2022-09-27T00:00:00+07:00"
