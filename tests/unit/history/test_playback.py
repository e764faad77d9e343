"""A log played again says at every instant what was known then, under the names of the page."""

import io
import math
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest

from schemas import catalog
from schemas.codec import partition_of
from services.core.calendar import DAY_MS, HOUR_MS, MINUTE_MS, day_of, day_start
from services.core.marginals import Marginals
from services.core.record import SourceRecord, arrival_ms
from services.core.territory import Territories
from services.history.page import Page
from services.history.playback import Playback
from services.history.source_log import Place
from services.history.travel import SPAN_MS, Text, instants, into_blocks, into_folder, spans
from services.oracle.comparison import differences
from services.oracle.oracle import Oracle
from services.oracle.raw import RawRecord
from services.oracle.tables import Places as OraclePlaces
from services.runtime.reference import load_territories
from services.simulation.stream import KINDS
from services.simulation.world import world
from services.view import metrics as live

PARTITIONS = 2
#: A Wednesday, from ten to eleven.
END = day_start(day_of(date(2022, 9, 28))) + 11 * HOUR_MS
START = END - HOUR_MS
Log = dict[Place, list[SourceRecord]]


@pytest.fixture(scope="module")
def small() -> Territories:
    territories = load_territories()
    return Territories(
        [d for d in territories.districts.values() if d.province_code == "45"],
        [c for c in territories.communes.values() if c.province_code == "45"],
    )


@pytest.fixture(scope="module")
def log(small: Territories) -> Log:
    """Two days of a province, as they would lie in the topics of an event-clock system."""
    simulation = world(small, seed=7, faults={})
    found: Log = {(t.name, p): [] for t in catalog.SOURCES for p in range(PARTITIONS)}
    for kind in KINDS:
        begin = END - 2 * DAY_MS
        for arrival in [
            *simulation.opening(kind, begin),
            *simulation.stream(kind, begin, END, beats_from=END - HOUR_MS),
        ]:
            records = found[arrival.topic, partition_of(arrival.key, PARTITIONS)]
            header = ("ioc-arrival", str(arrival.at).encode())
            records.append(
                SourceRecord(len(records), 1_900_000_000_000, arrival.key, arrival.value, (header,))
            )
    return found


@pytest.fixture(scope="module")
def everywhere() -> Territories:
    return load_territories()


def played(log: Log, territories: Territories) -> Playback:
    return Playback(PARTITIONS, log, lambda place: iter(log[place]), territories)


@pytest.fixture(scope="module")
def playback(log: Log, everywhere: Territories) -> Playback:
    """Stopped at START."""
    found = played(log, everywhere)
    found.advance(START)
    return found


def test_exactly_what_had_arrived_is_in_it(log: Log, playback: Playback) -> None:
    known = [r for records in log.values() for r in records if arrival_ms(r, "event") <= START]
    everything = sum(map(len, log.values()))
    assert playback.taken == len(known)
    assert 1_000 < playback.taken < everything
    assert not playback.ended


def test_windows_and_stocks_are_those_of_the_oracle_over_what_had_arrived(
    log: Log, playback: Playback, everywhere: Territories
) -> None:
    places = OraclePlaces(
        {d.district_code: d.province_code for d in everywhere.districts.values()},
        {c.commune_code: (c.district_code, c.province_code) for c in everywhere.communes.values()},
    )
    known = [
        RawRecord(
            topic,
            partition,
            record.offset,
            record.timestamp,
            record.key,
            record.value,
            list(record.headers),
        )
        for (topic, partition), records in log.items()
        for record in records
        if arrival_ms(record, "event") <= START
    ]
    oracle = Oracle(known, PARTITIONS, "event", places)
    kpis = ("fr.received", "fr.open_now", "fr.overdue_now", "gov.overdue_now", "gov.near_due_now",
            "gov.on_time_rate", "eco.products", "eco.orders")  # fmt: skip
    wrong = differences(
        playback.view, oracle, START, as_of=START, windows=("1h", "today", "month"), kpis=kpis
    )
    assert list(wrong) == []


def test_names_labels_and_values_are_those_of_the_metrics_page(
    playback: Playback, everywhere: Territories
) -> None:
    marginals, places = Marginals(playback.view), live.Places(everywhere)
    expected: dict[str, float] = {}
    for part in live.parts():
        rows = marginals.rows(part.kpi, part.window, part.dimension, START)
        for line in live.lines(part, rows, places):
            series, _, value = line.rpartition(" ")
            expected[series] = float(value)
    found = {
        f"{metric}{{{labels}}}": float(value)
        for metric, labels, value in Page(playback.view, everywhere).samples(START)
        if metric.startswith(("ioc_fr_", "ioc_gov_", "ioc_eco_"))
    }
    assert found == expected
    assert len(found) > 5_000
    names = {series.partition("{")[0] for series in found}
    assert {"ioc_fr_answer_p90_seconds", "ioc_gov_on_time_ratio_entities"} <= names
    assert any("_by_channel" in name for name in names)
    assert {'window="30d"', 'window="month"', 'window="now"'} <= {
        series.partition("{")[2].partition(",")[0] for series in found
    }


def test_indicators_outcomes_and_feeds_have_a_past_too(
    playback: Playback, everywhere: Territories
) -> None:
    samples = list(Page(playback.view, everywhere).samples(START))
    names = {metric for metric, _, _ in samples}
    assert {
        "ioc_ind_value", "ioc_ind_age_seconds", "ioc_events_total", "ioc_feed_age_seconds",
        "ioc_territory_info", "ioc_simulated",
    } <= names  # fmt: skip
    applied = sum(v for m, labels, v in samples if m == "ioc_events_total")
    assert applied == playback.taken
    ages = [v for m, _, v in samples if m == "ioc_feed_age_seconds"]
    assert ages
    assert min(ages) >= 0
    assert all(math.isfinite(value) for _, _, value in samples)


def test_instants_are_multiples_of_the_step_with_both_ends() -> None:
    five = 5 * MINUTE_MS
    assert list(instants(five, 3 * five, five)) == [five, 2 * five, 3 * five]
    assert list(instants(1, 2 * five - 1, five)) == [five]
    assert list(instants(1, 2, five)) == []


def test_a_stretch_becomes_texts_that_end_with_the_log(log: Log, everywhere: Territories) -> None:
    playback = played(log, everywhere)
    told: list[tuple[int, int, int]] = []
    times = instants(END - 15 * MINUTE_MS, END + DAY_MS, 5 * MINUTE_MS)
    texts = list(spans(playback, everywhere, times, lambda *note: told.append(note)))
    assert playback.ended
    assert [at for at, _, _ in told] == list(range(times[0], END + 1, 5 * MINUTE_MS))
    assert told[-1][2] == sum(text.samples for text in texts)
    # The end is a multiple of no span: everything but a border lies in one.
    assert len(texts) == len({at // SPAN_MS for at, _, _ in told})


def _text() -> Text:
    text = Text()
    for at in (0, MINUTE_MS):
        text.add(END + at, iter([("b", 'x="1"', at + 0.5), ("a", "", 1.0), ("b", 'x="2"', 2.0)]))
    return text


def test_the_text_keeps_a_metric_together_and_its_times_in_order() -> None:
    out = io.StringIO()
    _text().write(out)
    first, second = END / 1000, (END + MINUTE_MS) / 1000
    extra = 'job="view",instance="view",service="view"'
    assert out.getvalue().splitlines() == [
        "# TYPE b unknown",
        f'b{{x="1",{extra}}} 0.5 {first:.3f}',
        f'b{{x="1",{extra}}} 60000.5 {second:.3f}',
        f'b{{x="2",{extra}}} 2.0 {first:.3f}',
        f'b{{x="2",{extra}}} 2.0 {second:.3f}',
        "# TYPE a unknown",
        f"a{{{extra}}} 1.0 {first:.3f}",
        f"a{{{extra}}} 1.0 {second:.3f}",
        "# EOF",
    ]


def test_texts_can_be_kept_as_files(tmp_path: Path) -> None:
    assert into_folder(iter([_text(), _text()]), tmp_path / "out") == 12
    assert [p.name for p in sorted((tmp_path / "out").iterdir())] == [
        "history-0000.om",
        "history-0001.om",
    ]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on PATH")
def test_prometheus_takes_the_blocks(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert into_blocks(iter([_text()]), data) == 6
    listed = subprocess.run(
        ["promtool", "tsdb", "list", str(data)], capture_output=True, text=True, check=True
    ).stdout
    assert sum(int(line.split()[4]) for line in listed.splitlines()[1:]) == 6
    assert not list(tmp_path.glob("ioc-backfill-*"))
