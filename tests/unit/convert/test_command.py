"""`ioc convert check`, `run`, `list`: a table and JSON, before anything is sent."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from services.convert.main import convert, shipped
from tests.unit.convert.invented_logs import permits

MINE = """
mapping: 1
name: mine
title: Mine
source: /mine
target: field_report
entity: "{id}"
territory: unknown
fields:
  category: {column: kind, map: {hole: road}, default: other}
  channel: web
  priority: normal
  reported_at: {column: opened}
  description: {column: text}
changes:
  - {at: opened, required: true, set: {status: received}}
"""
LOG = """id,opened,kind,text
1,2022-09-27T08:00:00,hole,in the road
2,2022-09-27T09:00:00,dragon,call 0905 123 456
3,tomorrow,hole,
1,2022-09-27T10:00:00,hole,
5,,hole,
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    mapping, log = tmp_path / "mine.yml", tmp_path / "log.csv"
    mapping.write_text(MINE, encoding="utf-8")
    log.write_text(LOG, encoding="utf-8")
    return str(mapping), str(log)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(convert, list(arguments))


def test_a_check_shows_rows_rejects_and_reasons_and_exits_1(files: tuple[str, str]) -> None:
    result = run("check", *files)
    assert result.exit_code == 1, result.output
    for pattern in (
        r"^rows +5$",
        r"^  rejected +3$",
        r"^    opened is no time +1  first: line 4$",
        r"^    id twice +1  first: line 5$",
        r"^    no opened +1  first: line 6$",
        r"^  used +2$",
        r"^events +2  ioc\.field-report\.v1$",
        r"^word that no table has: kind: dragon \(1\)$",
        r"^warning: description looks like telephone, 1 times",
    ):
        assert re.search(pattern, result.stdout, re.MULTILINE), (pattern, result.stdout)


def test_the_same_as_json_with_the_first_events(files: tuple[str, str]) -> None:
    result = run("check", *files, "--json", "--show", "1")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["rejected"] == {"opened is no time": 1, "id twice": 1, "no opened": 1}
    assert found["first_at"]["id twice"] == "line 5"
    assert found["unknown_words"] == {"kind: dragon": 1}
    assert found["looks_personal"] == {"description looks like telephone": 1}
    (event,) = found["shown"]
    assert event["data"]["category"] == "road"


def test_good_rows_are_written_and_bad_ones_make_the_exit_code(
    files: tuple[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "events.jsonl"
    result = run("run", *files, "--out", str(out))
    assert result.exit_code == 1
    assert "written 2 events" in result.stdout
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [line["key"] for line in lines] == ["1", "2"]
    assert [line["arrival"] for line in lines] == sorted(line["arrival"] for line in lines)


def test_a_shipped_mapping_is_named_or_is_a_command(tmp_path: Path) -> None:
    log = str(permits(tmp_path / "log.csv"))
    for arguments in (("check", "permits", log, "--json"), ("permits", log, "--check", "--json")):
        result = run(*arguments)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["topic"] == "ioc.admin-case.v1"


def test_the_list_has_every_shipped_mapping() -> None:
    listed = run("list").stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(shipped())
    assert {"boston311", "permits", "loans", "retail_orders"} <= set(shipped())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "nothing.yml", "LOG"], "nothing.yml: no such file, and shipped are"),
        (["check", "boston311", "LOG"], "no column case_enquiry_id"),
        (["check", "BAD", "LOG"], "fields.chanel: field_report has no such field"),
        (["check", "MINE", "gone.csv"], "gone.csv"),
        (["run", "MINE", "LOG"], "nothing to do"),
        (["run", "MINE", "LOG", "--to", "127.0.0.1:1"], "--namespace"),
    ],
)
def test_a_wrong_call_says_what_is_wrong_and_exits_2(
    files: tuple[str, str], tmp_path: Path, arguments: list[str], said: str
) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text(MINE.replace("channel:", "chanel:"), encoding="utf-8")
    names = {"MINE": files[0], "LOG": files[1], "BAD": str(bad)}
    result = run(*(names.get(argument, argument) for argument in arguments))
    assert result.exit_code == 2, result.output
    assert said in result.stderr
