"""A recording in a system without Kafka: its numbers, and verdicts that are right and wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.core.record import Clock
from services.core.rows import Row
from services.core.state import PartitionState
from services.replay import (
    MemorySystem,
    Mutations,
    Outgoing,
    Recording,
    Sequence,
    Wanted,
    Wishes,
    replay_in_memory,
)
from services.replay.fixtures import replayed as replayed
from services.replay.verdict import judge, oracle_of
from services.runtime.reference import load_territories
from tests.unit.replay.recordings import PARTITIONS, recording, records

PLACES = load_territories()
#: All nine take seconds; the commands and the end-to-end tests compare them all.
FEW = ("24h", "year")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "day.iocrec"
    recording(path, seed=9, count=700)
    return path


@pytest.mark.parametrize("clock", ["wall", "event"])
def test_a_replay_has_the_numbers_of_the_recording(tmp_path: Path, clock: Clock) -> None:
    written = recording(tmp_path / "a.iocrec", seed=2, count=700, clock=clock)
    system = replay_in_memory(tmp_path / "a.iocrec")
    verdict = system.verdict(windows=FEW)
    assert verdict.examples == []
    assert verdict.compared > 30_000
    assert sum(system.outcomes().values()) == len(written)
    assert len(system.dead) == system.outcomes()["rejected"]


CHANGES: dict[str, dict[str, Any]] = {
    "duplicate": {"mutations": Mutations(duplicate=0.2)},
    "delay": {"mutations": Mutations(delay=0.2, delay_ms=7_200_000)},
    "drop": {"mutations": Mutations(drop=0.2)},
    "corrupt": {"mutations": Mutations(corrupt=0.2)},
    "laps": {"laps": 2},
    "rebase": {"shift": 12_345_678_901},
    "filters": {"wanted": Wanted.of(PLACES, territories=["51", "45"], types=["order", "listing"])},
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_was_changed_the_numbers_are_those_of_what_was_sent(
    day: Path, change: str
) -> None:
    assert replay_in_memory(day, **CHANGES[change]).verdict(windows=FEW).examples == []


@pytest.mark.parametrize("change", ["drop", "corrupt", "filters", "laps"])
def test_a_changed_replay_is_not_taken_for_the_recording(day: Path, change: str) -> None:
    system = replay_in_memory(day, **CHANGES[change])
    with Recording.open(day) as found:
        oracle = oracle_of(Sequence(found, Wishes(), PLACES, PARTITIONS).raw(), PARTITIONS)
    assert not judge(system.view, oracle, "the recording", now=0, windows=FEW).equal


def test_duplicates_and_delays_change_no_number_but_the_outcomes(day: Path) -> None:
    plain = replay_in_memory(day)
    twice = replay_in_memory(day, mutations=Mutations(duplicate=1.0))
    assert twice.kpi("gov.cases_received", "year") == plain.kpi("gov.cases_received", "year")
    assert twice.outcomes()["duplicate"] > plain.outcomes()["duplicate"]


def test_each_lap_has_entities_of_its_own(day: Path) -> None:
    plain, thrice = replay_in_memory(day), replay_in_memory(day, laps=3)
    for kpi in ("fr.open_now", "gov.open_now", "eco.stores", "eco.products"):
        once = plain.kpi(kpi)
        assert once
        assert thrice.kpi(kpi) == 3 * once


def test_a_record_lost_behind_the_verdicts_back_is_found(day: Path) -> None:
    with Recording.open(day) as found:
        sequence = Sequence(found, Wishes(), PLACES, PARTITIONS)
        sent: list[Outgoing] = list(sequence)
        whole = MemorySystem(PARTITIONS)
        whole.feed(sent)
        counted = next(
            n for n, out in enumerate(sent)
            if b'"ioc.field_report.v1"' in (out.value or b"")
            and oracle_outcome(sequence, n) == "applied"
        )  # fmt: skip
        oracle = oracle_of(sequence.raw(), PARTITIONS)
        lossy = MemorySystem(PARTITIONS)
        lossy.feed([*sent[:counted], *sent[counted + 1 :]])
        outcomes = {topic: lossy.outcomes(topic) for topic in found.meta.topics}
    assert judge(whole.view, oracle, "the recording", now=0, windows=FEW).equal
    verdict = judge(lossy.view, oracle, "the recording", now=0, windows=FEW, outcomes=outcomes)
    assert verdict.different > 0
    assert any("outcomes of ioc.field-report.v1" in line for line in verdict.examples)


def oracle_outcome(sequence: Sequence, number: int) -> str:
    raw = list(sequence.raw())
    record = raw[number]
    if not hasattr(sequence, "_known"):
        sequence._known = oracle_of(raw, PARTITIONS)  # type: ignore[attr-defined]  # made once
    oracle = sequence._known  # type: ignore[attr-defined]
    return str(oracle.outcome(record.topic, record.partition, record.offset))


class Liar:
    """A view that is off by one in one KPI."""

    def __init__(self, view: Any) -> None:
        self.view = view

    def query(self, kpi: str, **options: Any) -> tuple[int, list[Row]]:
        at, rows = self.view.query(kpi, **options)
        if kpi == "eco.orders":
            rows = [
                Row(r.territory, r.by, (r.value or 0) + 1, r.numerator, r.denominator, r.count)
                for r in rows
            ]
        return at, rows


def test_a_view_that_lies_is_found_and_the_kpi_is_named(day: Path) -> None:
    system = replay_in_memory(day)
    oracle = oracle_of(system.broker.raw(), PARTITIONS)
    verdict = judge(Liar(system.view), oracle, "the recording", now=system.clock, windows=FEW)
    assert not verdict.equal
    assert all(line.startswith("eco.orders") for line in verdict.examples)


def test_an_indicator_that_differs_is_found(day: Path) -> None:
    system = replay_in_memory(day)
    oracle = oracle_of(system.broker.raw(), PARTITIONS)
    rows = system.view.indicators(system.clock)
    rows[0]["age_seconds"] = float(str(rows[0]["age_seconds"])) + 1
    lost = rows.pop()
    verdict = judge(system.view, oracle, "x", now=0, windows=FEW, indicators=rows)
    assert verdict.different == 2
    assert any(str(lost["series"]) in line for line in verdict.examples)


def test_a_fold_that_counts_twice_is_found(day: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = PartitionState.fold

    def twice(self: PartitionState, batch: Any) -> Any:
        found = honest(self, batch)
        self._head.outcomes["applied"] += 1
        return found

    monkeypatch.setattr(PartitionState, "fold", twice)
    verdict = replay_in_memory(day).verdict(windows=FEW)
    assert {line.split(":")[0] for line in verdict.examples} == {
        f"outcomes of {t}"
        for t in ("ioc.field-report.v1", "ioc.admin-case.v1", "ioc.listing.v1", "ioc.indicator.v1")
    }


def test_nothing_at_all_is_a_verdict_too() -> None:
    assert MemorySystem().verdict(windows=FEW).examples == []


def test_the_fixture_replays_a_recording_and_answers(
    replayed: Callable[..., MemorySystem],
    day: Path,
) -> None:
    system = replayed(day)
    total = system.kpi("fr.received", "year")
    provinces = system.rows("fr.received", "year", by="province")
    assert total == sum(row.value or 0 for row in provinces)
    assert system.kpi("fr.received", "year", channel="app") is not None


def test_an_event_made_by_hand_counts_at_once() -> None:
    system = MemorySystem()
    at = "2026-03-02T08:00:00+07:00"
    data = {
        "report_id": "PA-1", "revision": 1, "status": "received", "category": "road",
        "channel": "app", "priority": "normal", "province_code": "51", "reported_at": at,
    }  # fmt: skip
    event = {
        "specversion": "1.0", "id": "1", "source": "/test", "type": "ioc.field_report.v1",
        "time": at, "data": data,
    }  # fmt: skip
    system.broker.produce(
        "ioc.field-report.v1", b"PA-1", json.dumps(event).encode(), arrival=1_772_413_200_000
    )
    assert system.kpi("fr.received", "24h", "51") == 1
    assert system.kpi("fr.open_now") == 1


def test_recorded_records_can_be_fed_as_they_are() -> None:
    system = MemorySystem(PARTITIONS)
    assert system.feed(records(4, 200)) == len(system.broker)
