"""The replayed log and a query over the file give the same numbers (examples/, without Kafka)."""

import datetime as dt
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from schemas import catalog, codec
from services.core.merge import View
from services.core.state import PartitionState
from services.runtime.reference import load_territories
from tests.unit.convert.invented import CLOCK, converted, invented_log, mapping_of

PARTITIONS = 4
EXAMPLE = Path(__file__).parents[3] / "examples" / "compare_boston311.py"


def load_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare_boston311", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


compare: Any = load_example()


@dataclass
class Record:
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def replay(log: Path, *, shift_weeks: int = 0) -> View:
    """The log through the pure room: folded per partition, flushed, merged."""
    territories = load_territories()
    states = [
        PartitionState(catalog.FIELD_REPORT, p, PARTITIONS, clock="event", territories=territories)
        for p in range(PARTITIONS)
    ]
    batches: list[list[Record]] = [[] for _ in states]
    shift = dt.timedelta(weeks=shift_weeks)
    revisions, findings = converted(
        mapping_of("boston311"), log, territories=territories, shift=shift, until=CLOCK + shift
    )
    for revision in revisions:
        batch = batches[codec.partition_of(revision.key, PARTITIONS)]
        arrival = ("ioc-arrival", str(revision.arrival).encode())
        batch.append(Record(len(batch), 0, revision.key, revision.value, [arrival]))
    assert findings.clean
    view = View(territories, PARTITIONS, "event")
    for partition, (state, batch) in enumerate(zip(states, batches, strict=True)):
        state.open_epoch(1)
        assert not state.fold(batch)
        for part_key, value in state.flush().parts:
            assert view.feed(partition, part_key, value)
    return view


class InProcess(compare.View):  # type: ignore[misc]  # loaded from a file, so Any to mypy
    """The example's client, asking a view of this process instead of one over HTTP."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.now = view.clock_at(0)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        given = query.get("as_of")
        as_of, rows = self.view.query(
            path.rpartition("/")[2],
            now=self.now,
            window=query.get("window"),
            territory=query.get("territory", "all"),
            by=query.get("by"),
            as_of=None if given is None else codec.parse_instant(given),
        )
        return {"as_of": as_of, "rows": [msgspec.to_builtins(row) for row in rows]}


@pytest.mark.parametrize("shift_weeks", [0, 700])
def test_every_number_of_the_view_is_that_of_the_query(tmp_path: Path, shift_weeks: int) -> None:
    log = invented_log(tmp_path / "log.csv")
    client = InProcess(replay(log, shift_weeks=shift_weeks))
    clock = client.clock()
    expected = compare.from_file(log, clock, shift_weeks)
    assert len({kpi for kpi, *_ in expected}) == 11
    assert len({month for _, month, *_ in expected}) >= 6
    got = {
        key: answer
        for kpi, month in sorted({key[:2] for key in expected})
        for key, answer in client.rows(kpi, month, compare.moment(month, clock))
    }
    nothing = compare.Answer(None, None, None)
    different = {
        key: (expected.get(key), got.get(key))
        for key in expected.keys() | got.keys()
        if not compare.agree(key[0], expected.get(key, nothing), got.get(key, nothing))
    }
    assert different == {}
    assert len(expected) > 300


def test_a_wrong_number_is_a_difference() -> None:
    count = compare.Answer(10, 10, None)
    assert not compare.agree("fr.received", count, compare.Answer(11, 11, None))
    assert not compare.agree("fr.received", count, compare.Answer(None, None, None))
    rate = compare.Answer(0.5, 1, 2)
    assert not compare.agree("fr.on_time_rate", rate, compare.Answer(0.5, 2, 4))
    assert not compare.agree("fr.on_time_rate", compare.Answer(None, None, None), rate)
    median = compare.Answer(100.0, None, None)
    assert compare.agree("fr.p50_hours_to_answer", median, compare.Answer(101.9, None, None))
    assert not compare.agree("fr.p50_hours_to_answer", median, compare.Answer(103.0, None, None))
