"""The other real logs: their mappings against queries over invented files of the same shape."""

import importlib.util
import itertools
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from schemas import codec
from services.convert.conversion import Revision
from services.convert.mapping import LogMapping
from services.core.merge import View
from services.core.record import SourceRecord
from services.core.state import PartitionState
from services.runtime.reference import load_territories
from tests.unit.convert.invented import converted, mapping_of
from tests.unit.convert.invented_logs import MAKERS, loans, permits, retail
from tests.unit.convert.test_compare import EXAMPLE, PARTITIONS, InProcess


def load_example(name: str) -> ModuleType:
    path = EXAMPLE.with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


compare: Any = load_example("compare_logs")


def view_of(mapping: LogMapping, revisions: list[Revision]) -> View:
    """The events through the pure room."""
    territories = load_territories()
    view = View(territories, PARTITIONS, "event")
    batches: list[list[SourceRecord]] = [[] for _ in range(PARTITIONS)]
    for revision in revisions:
        batch = batches[codec.partition_of(revision.key, PARTITIONS)]
        arrival = (("ioc-arrival", str(revision.arrival).encode()),)
        batch.append(SourceRecord(len(batch), 0, revision.key, revision.value, arrival))
    for partition, batch in enumerate(batches):
        state = PartitionState(
            mapping.target.topic, partition, PARTITIONS, clock="event", territories=territories
        )
        state.open_epoch(1)
        assert not state.fold(batch)
        for key, value in state.flush().parts:
            assert view.feed(partition, key, value)
    return view


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_every_number_of_the_view_is_that_of_the_query(name: str, tmp_path: Path) -> None:
    log = MAKERS[name](tmp_path / "log.csv")
    mapping = mapping_of(name)
    revisions, findings = converted(mapping, log)
    assert findings.clean, findings
    client = InProcess(view_of(mapping, revisions))
    clock = client.clock()
    expected = compare.from_file(name, log, clock)
    got = compare.from_view(client, expected, clock)
    nothing = compare.Answer(None, None, None)
    different = {
        key: (expected.get(key), got.get(key))
        for key in expected.keys() | got.keys()
        if not compare.agree(key[0], expected.get(key, nothing), got.get(key, nothing))
    }
    assert different == {}
    assert len(expected) > (5 if name == "retail_listings" else 25)


def events(log: Path, name: str) -> list[dict[str, Any]]:
    found, _ = converted(mapping_of(name), log)
    return [msgspec.json.decode(revision.value) for revision in found]


def test_a_step_before_its_case_is_told_when_the_case_is_opened(tmp_path: Path) -> None:
    of_case = [
        e for e in events(permits(tmp_path / "log.csv"), "permits") if e["subject"] == "case-7"
    ]
    first, second = of_case[0], of_case[1]
    assert first["data"]["status"] == "registered"
    assert second["time"] == first["time"]
    assert codec.parse_instant(second["data"]["steps"]["receive"]) < codec.parse_instant(
        first["time"]
    )


def test_the_end_of_a_case_is_not_known_before_it_came(tmp_path: Path) -> None:
    for event in events(permits(tmp_path / "log.csv"), "permits"):
        solved = event["data"].get("solved_at")
        if solved is not None:
            assert codec.parse_instant(solved) <= codec.parse_instant(event["time"])
        else:
            assert event["data"]["status"] != "solved"


def test_a_decided_application_stays_decided(tmp_path: Path) -> None:
    statuses: dict[str, list[str]] = {}
    for event in events(loans(tmp_path / "log.csv"), "loans"):
        statuses.setdefault(event["subject"], []).append(event["data"]["status"])
    closed = {"solved", "refused", "withdrawn"}
    for told in statuses.values():
        decided = next((n for n, status in enumerate(told) if status in closed), len(told))
        assert len(set(told[decided:])) <= 1
    assert Counter(told[-1] for told in statuses.values())["solved"] == 40


def test_a_line_that_stands_twice_is_two_orders_and_postage_is_none(tmp_path: Path) -> None:
    found = events(retail(tmp_path / "log.csv"), "retail_orders")
    assert any(event["subject"].endswith(".2") for event in found)
    assert not any("POST" in event["subject"] for event in found)
    assert all(event["data"]["quantity"] >= 1 for event in found)
    cancelled = [e["data"] for e in found if e["data"]["order_id"].startswith("C")]
    assert cancelled
    assert {d["status"] for d in cancelled} == {"cancelled"}


def test_every_line_takes_from_the_stock_and_a_return_gives_back(tmp_path: Path) -> None:
    levels: dict[str, list[int]] = {}
    for event in events(retail(tmp_path / "log.csv"), "retail_listings"):
        levels.setdefault(event["subject"], []).append(event["data"]["stock"])
    assert all(level[0] != 100_000 for level in levels.values())
    steps = [b - a for level in levels.values() for a, b in itertools.pairwise(level)]
    assert min(steps) < 0 < max(steps)
