"""A row of the real log becomes what was known at each moment, and nothing else."""

import csv
import datetime as dt
import gzip
import json
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from click.testing import CliRunner, Result

from schemas import codec, v1
from services.convert.conversion import Findings, Revision
from services.convert.main import convert
from services.convert.mapping import TARGETS
from services.convert.values import shift_to
from services.runtime.reference import load_territories
from tests.unit.convert import invented
from tests.unit.convert.invented import OFFSET, SAMPLE, districts, mapping_of

HEADER, *ROWS = SAMPLE.read_text("utf-8").splitlines()


def at(text: str) -> int:
    return codec.parse_instant(f"{text}+07:00")


def log(*changes: tuple[str, str], row: int = 0) -> list[dict[str, str]]:
    """One row of the sample with some columns changed."""
    (values,) = csv.DictReader([HEADER, ROWS[row]])
    return [values | dict(changes)]


class Said(NamedTuple):
    """A revision, its event taken apart."""

    arrival: int
    key: str
    event: dict[str, Any]


def said(revision: Revision) -> Said:
    return Said(revision.arrival, revision.key.decode(), msgspec.json.decode(revision.value))


def converted(
    rows: list[dict[str, str]] | None = None, **options: Any
) -> tuple[list[Said], Findings]:
    path = SAMPLE
    with tempfile.TemporaryDirectory() as folder:
        if rows is not None:
            path = Path(folder) / "log.csv"
            with path.open("w", encoding="utf-8", newline="") as out:
                writer = csv.DictWriter(out, fieldnames=HEADER.split(","))
                writer.writeheader()
                writer.writerows(rows)
        found, findings = invented.converted(mapping_of("boston311"), path, **options)
    return [said(revision) for revision in found], findings


def history(report_id: str) -> list[dict[str, Any]]:
    found, _ = converted()
    return [r.event["data"] for r in found if r.key == report_id]


def test_a_closed_request_is_first_open_and_later_answered() -> None:
    first, last = history("900000000001")
    assert (first["revision"], first["status"]) == (1, "received")
    assert "answered_at" not in first
    assert "closed_at" not in first
    assert (last["revision"], last["status"]) == (2, "answered")
    assert at("2011-07-06T09:30:00") == codec.parse_instant(last["answered_at"])
    assert last["closed_at"] == last["answered_at"]
    assert {k: v for k, v in last.items() if k in first} | {
        "revision": 1,
        "status": "received",
    } == first


def test_the_due_time_is_known_from_the_opening_on() -> None:
    first, _ = history("900000000001")
    assert codec.parse_instant(first["due_at"]) == at("2011-07-18T08:00:00")


@pytest.mark.parametrize(
    ("report_id", "status"),
    [("900000000004", "duplicate"), ("900000000005", "rejected"), ("900000000007", "referred")],
)
def test_a_request_closed_without_an_answer_has_no_answer_time(report_id: str, status: str) -> None:
    _, last = history(report_id)
    assert last["status"] == status
    assert last["closed_at"] is not None
    assert "answered_at" not in last


def test_an_open_request_has_one_revision_and_keeps_its_far_due_time() -> None:
    (only,) = history("900000000006")
    assert only["status"] == "received"
    assert only["due_at"].startswith("2059-12-31T19:00:00")


def test_revisions_come_in_order_of_arrival_and_of_revision_within_a_second() -> None:
    found, _ = converted()
    assert [r.arrival for r in found] == sorted(r.arrival for r in found)
    same_second = [r.event["data"]["revision"] for r in found if r.key == "900000000003"]
    assert same_second == [1, 2]


def test_arrival_is_the_time_of_the_revision() -> None:
    found, _ = converted()
    assert all(codec.parse_instant(r.event["time"]) == r.arrival for r in found)


def test_what_happens_after_the_replay_clock_is_not_known_yet() -> None:
    clock = dt.datetime(2011, 7, 6, 9, 29, 59, tzinfo=OFFSET)
    found, findings = converted(until=clock)
    assert findings.rows == len(ROWS)
    assert max(r.arrival for r in found) <= at("2011-07-06T09:29:59")
    assert [r.event["data"]["status"] for r in found if r.key == "900000000001"] == ["received"]


def test_the_priority_comes_from_the_length_of_the_service_level() -> None:
    lengths = {
        "2011-07-05 07:59:59": "urgent",
        "2011-07-05 08:00:00": "normal",
        "2011-08-03 08:00:00": "normal",
        "2011-08-03 08:00:01": "complex",
        "2011-07-04 07:00:00": "urgent",
        "": "normal",
    }
    for target, priority in lengths.items():
        found, _ = converted(log(("target_dt", target)))
        assert found[0].event["data"]["priority"] == priority, target


def test_words_of_the_log_become_words_of_the_contract() -> None:
    found, _ = converted()
    first = {r.key[-1]: r.event["data"] for r in found if r.event["data"]["revision"] == 1}
    assert {k: (d["category"], d["channel"], d["agency_code"]) for k, d in first.items()} == {
        "1": ("lighting_power", "hotline", "PWDx"),
        "2": ("road", "web", "PWDx"),
        "3": ("admin_service", "field_staff", "INFO"),
        "4": ("disaster", "app", "PARK"),
        "5": ("food_health", "facebook", "ISD"),
        "6": ("security_traffic", "field_staff", "BTDT"),
        "7": ("urban_order", "hotline", "PROP"),
    }


def test_a_word_that_nobody_knows_is_counted_and_loses_no_report() -> None:
    found, findings = converted(
        log(("reason", "Dragons"), ("source", "Pigeon"), ("neighborhood", "Atlantis"))
    )
    data = found[0].event["data"]
    assert (data["category"], data["channel"], data["district_code"]) == ("other", "hotline", None)
    assert findings.unknown == Counter(
        {"reason: Dragons": 1, "source: Pigeon": 1, "neighborhood: Atlantis": 1}
    )
    assert not findings.rejects


def test_every_place_is_one_of_the_territory_tables() -> None:
    territories = load_territories()
    assert len(set(districts().values())) == len(districts()) == 23
    for district in districts().values():
        assert territories.districts[district].commune_count > 0
    found, _ = converted()
    for data in (r.event["data"] for r in found):
        if data["district_code"] is None:
            assert data["province_code"] == "51"
            assert data["commune_code"] is None
        else:
            commune = territories.communes[data["commune_code"]]
            assert commune.district_code == data["district_code"]
            assert commune.province_code == data["province_code"]


def test_every_reason_and_source_of_the_log_has_a_word_of_the_contract() -> None:
    fields = mapping_of("boston311").fields
    assert fields["category"].first is not None
    reasons = fields["category"].first[1].map
    assert len(reasons) == 35
    assert set(reasons.values()) <= set(v1.values(v1.ReportCategory))
    assert set((fields["channel"].map or {}).values()) <= set(v1.values(v1.ReportChannel))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([("case_enquiry_id", " ")], "no {case_enquiry_id}"),
        ([("open_dt", "")], "no open_dt"),
        ([("open_dt", "4 July 2011")], "open_dt is no time"),
        ([("target_dt", "2011-02-30 00:00:00")], "target_dt is no time"),
        ([("closed_dt", "2011-07-04 07:59:59")], "closed_dt lies before open_dt"),
    ],
)
def test_a_row_that_cannot_be_used_is_rejected_with_its_line(
    changes: list[tuple[str, str]], reason: str
) -> None:
    found, findings = converted(log(*changes) + log(row=1))
    assert findings.rejects == Counter({reason: 1})
    assert findings.examples == {reason: "line 2"}
    assert {r.key for r in found} == {"900000000002"}


def test_an_id_that_comes_twice_is_taken_once() -> None:
    _, findings = converted(log() + log())
    assert findings.rejects == Counter({"id twice": 1})


def test_a_shift_is_whole_weeks_and_lands_near_the_date() -> None:
    first = dt.datetime(2011, 7, 4, 8, tzinfo=OFFSET)
    for day in range(1, 29):
        near = dt.date(2026, 2, day)
        shift = shift_to(first, near)
        assert shift % dt.timedelta(weeks=1) == dt.timedelta(0)
        assert abs((first + shift).date() - near) <= dt.timedelta(days=4)
        assert (first + shift).weekday() == first.weekday()


def test_a_shift_moves_every_time_of_a_report() -> None:
    week = dt.timedelta(weeks=1)
    plain, _ = converted()
    moved, _ = converted(shift=week)
    for before, after in zip(plain, moved, strict=True):
        assert after.arrival - before.arrival == 7 * 86_400_000
        for name, value in before.event["data"].items():
            if name.endswith("_at") and value is not None:
                expected = codec.parse_instant(value) + 7 * 86_400_000
                assert codec.parse_instant(after.event["data"][name]) == expected


def test_the_decoder_of_the_pipeline_takes_every_event() -> None:
    found, findings = converted()
    assert findings.clean
    topic = TARGETS["field_report"].topic
    for one in found:
        key, value = one.key.encode(), msgspec.json.encode(one.event)
        event = codec.decode(topic, key, value, codec.partition_of(key, 4), 4, one.arrival)
        assert not isinstance(event, codec.Rejected)


def test_an_event_that_the_decoder_would_refuse_is_named_and_not_written() -> None:
    found, findings = converted(log(("case_enquiry_id", "9" * 300)) + log(row=1))
    assert {one.key for one in found} == {"900000000002"}
    (reason,) = findings.refused
    assert reason.startswith("schema: $.data.report_id")
    assert findings.examples[reason] == "line 2"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(convert, ["boston311", *arguments])


def test_the_command_writes_one_json_object_per_line(tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    result = run(str(SAMPLE), "--out", str(out), "--json")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    found, _ = converted()
    assert [(x["key"], x["arrival"], x["event"]) for x in lines] == [
        (r.key, r.arrival, r.event) for r in found
    ]
    assert {line["topic"] for line in lines} == {"ioc.field-report.v1"}
    summary = json.loads(result.stdout)
    assert summary["rows"] == summary["entities"] == 7
    assert summary["events"] == summary["written"] == 13


def test_the_command_reads_gzip_and_checks_without_writing(tmp_path: Path) -> None:
    packed = tmp_path / "log.csv.gz"
    packed.write_bytes(gzip.compress(SAMPLE.read_bytes()))
    result = run(str(packed), "--check")
    assert result.exit_code == 0
    assert re.search(r"^rows +7$", result.stdout, re.MULTILINE)
    assert re.search(r"^events +13 +ioc.field-report.v1$", result.stdout, re.MULTILINE)
    assert "word that no table has: neighborhood: Somewhere New (1)" in result.stdout


def test_a_check_that_finds_bad_rows_says_why_and_exits_1(tmp_path: Path) -> None:
    bad = tmp_path / "log.csv"
    bad.write_text("\n".join([HEADER, ROWS[0], ROWS[0], "x"]), encoding="utf-8")
    result = run(str(bad), "--check")
    assert result.exit_code == 1
    assert re.search(r"id twice +1 +first: line 3", result.stdout)
    assert re.search(r"no open_dt +1 +first: line 4", result.stdout)


def test_the_clock_and_the_date_can_be_given_together(tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    result = run(
        str(SAMPLE), "--out", str(out), "--until", "2011-07-06", "--rebase", "2026-07-01", "--json"
    )
    summary = json.loads(result.stdout)
    assert summary["shift_weeks"] == 782
    assert summary["entities"] == 4
    assert summary["not_yet_known"] == 7
    assert summary["last"] < "2026-07-04"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to do"),
        (["--to", "127.0.0.1:1"], "--namespace"),
        (["--to", "nowhere", "--namespace", "x"], "host:port"),
        (["--to", "127.0.0.1:1", "--namespace", "a.b"], "IOC_NAMESPACE"),
    ],
)
def test_a_wrong_call_says_what_is_wrong_and_exits_2(arguments: list[str], said: str) -> None:
    result = run(str(SAMPLE), *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"id,opened\n1,2\n", "no column case_enquiry_id"),
        (b"", "no column"),
        (b"\xff\xfe\x00", "utf-8"),
    ],
)
def test_a_file_that_is_not_this_log_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_bytes(content)
    result = run(str(other), "--check")
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr
    assert said in result.stderr


def test_a_broken_gzip_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "log.csv.gz"
    broken.write_bytes(gzip.compress(SAMPLE.read_bytes())[:200])
    result = run(str(broken), "--check")
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr
