"""Instants, steps and the Accept header, as text."""

import pytest

from services.view import csv_out, instants
from services.view.server import accepts_gzip


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T07:00:00+07:00", 0),
        ("1970-01-01T07:00:00 07:00", 0),
        ("1969-12-31t23:59:59.9999z", -1),
        ("2026-03-10T09:30:00.5+07:00", 1_773_109_800_500),
        ("2026-03-10 02:30:00.123456789Z", 1_773_109_800_123),
    ],
)
def test_an_instant_is_read_to_the_whole_millisecond(text: str, ms: int) -> None:
    assert instants.parse(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1773109800",
        "2026-03-10",
        "2026-03-10T09:30:00",
        "2026-03-10T09:30Z",
        "2026-03-10T25:30:00Z",
        "2026-13-10T09:30:00Z",
        "2026-03-10T09:30:00+7",
        "2026-03-10T09:30:00+99:00",
        "２０２６-03-10T09:30:00Z",
        "0001-01-01T00:00:00+23:59x",
    ],
)
def test_what_is_no_instant_with_an_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is n"):
        instants.parse(text)


def test_an_instant_is_shown_at_plus_seven_with_milliseconds_when_there_are_any() -> None:
    assert instants.show(1_773_109_800_000) == "2026-03-10T09:30:00+07:00"
    assert instants.show(1_773_109_800_120) == "2026-03-10T09:30:00.120+07:00"
    assert instants.parse(instants.show(-1)) == -1


@pytest.mark.parametrize(
    ("text", "ms"),
    [("60", 60_000), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000), ("1d", 86_400_000)],
)
def test_a_step_is_seconds_or_has_a_unit(text: str, ms: int) -> None:
    assert instants.parse_step(text) == ms


@pytest.mark.parametrize("text", ["", "-60", "1.5", "1w", "60 s", "PT60S"])
def test_what_is_no_step_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a step"):
        instants.parse_step(text)


@pytest.mark.parametrize(
    ("accept", "wants_csv"),
    [
        ("", False),
        ("*/*", False),
        ("text/csv", True),
        ("TEXT/CSV; charset=utf-8", True),
        ("text/*", True),
        ("text/csv, */*", True),
        ("text/csv;q=0.5, application/json", False),
        ("text/csv;q=0.5, application/json;q=0.4", True),
        ("text/csv, application/json", False),
        ("text/csv;q=0", False),
        ("text/csv;q=0, text/*", False),
        ("text/csv;q=x", False),
        ("application/*;q=0.2, text/csv;q=0.3", True),
    ],
)
def test_csv_is_given_to_who_prefers_it(accept: str, wants_csv: bool) -> None:
    assert csv_out.wanted(accept) is wants_csv


@pytest.mark.parametrize(
    ("header", "takes"),
    [("", False), ("gzip", True), ("br, gzip;q=0.8", True), ("gzip; q=0", False), ("*", True)],
)
def test_gzip_is_for_who_takes_it(header: str, takes: bool) -> None:
    assert accepts_gzip(header) is takes


def test_a_csv_cell_with_a_comma_is_quoted_and_truth_is_written_out() -> None:
    body = csv_out.write(("a", "b", "c"), [{"a": "x,y", "b": None, "c": True}])
    assert body == b'a,b,c\r\n"x,y",,true\r\n'
