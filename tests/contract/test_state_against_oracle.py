"""The pure core against the batch oracle: every outcome and every KPI of generated streams."""

import json
import math
from collections.abc import Mapping
from random import Random

import pytest

from services.core.merge import QueryError, View
from services.oracle.comparison import differences
from services.oracle.kpis import KPIS
from services.oracle.oracle import Oracle
from services.oracle.raw import SOURCE_TOPICS, RawRecord
from services.oracle.windows import DAY, HOUR, MINUTE, WINDOWS, answerable, bounds, local_ms
from tests.contract.rig import Clock, Rig, by_place, run
from tests.strategies.events import PLACES, log, stream

PARTITIONS = 4
CLOCKS: tuple[Clock, ...] = ("wall", "event")
#: Sunday 22 November 2026, 10:17:34.567 in Ho Chi Minh City; and moments on edges of all windows.
MOMENTS = {
    "an ordinary moment": local_ms(2026, 11, 22, 10, 17) + 34_567,
    "the first millisecond of a year": local_ms(2027),
    "the last millisecond of a quarter": local_ms(2026, 10) - 1,
    "a full hour in the evening": local_ms(2026, 7, 31, 23),
}


def records_of(seed: int, n: int, now: int, clock: Clock, span: int = 3 * DAY) -> list[RawRecord]:
    event = clock == "event"
    return log(stream(seed, n, now, span=span, event_clock=event), PARTITIONS, event_clock=event)


def shown(found: list[str]) -> str:
    """The first differences, for the failure message."""
    return f"{len(found)} differences:\n" + "\n".join(found[:20])


def assert_same(view: View, oracle: Oracle, now: int, **options: object) -> None:
    found = list(differences(view, oracle, now, **options))  # type: ignore[arg-type]  # passed on
    assert not found, shown(found)


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("seed", range(4))
def test_every_record_has_the_oracles_outcome(seed: int, clock: Clock) -> None:
    now = MOMENTS["an ordinary moment"]
    records = records_of(seed, 1500, now, clock)
    rig = run(records, PARTITIONS, clock, seed=seed)
    oracle = Oracle(records, PARTITIONS, clock, PLACES)
    view = rig.view()
    for (topic, partition), log_of_place in by_place(records).items():
        head = view.heads[topic, partition]
        outcomes = oracle.outcomes(topic, partition)
        assert {k: head.outcomes.get(k, 0) for k in outcomes} == outcomes, (topic, partition)
        reasons = oracle.reasons(topic, partition)
        assert {k: head.reasons.get(k, 0) for k in reasons} == reasons, (topic, partition)
        assert sum(head.outcomes.values()) == len(log_of_place)
        assert head.fence == log_of_place[-1].offset


def test_a_dead_letter_carries_the_original_bytes_and_what_was_wrong() -> None:
    now = MOMENTS["an ordinary moment"]
    records = records_of(11, 2500, now, "wall")
    rig = run(records, PARTITIONS, "wall")
    oracle = Oracle(records, PARTITIONS, "wall", PLACES)
    letters = 0
    for place, log_of_place in by_place(records).items():
        originals = {r.offset: r for r in log_of_place}
        offsets = []
        for letter in rig.dead[place]:
            letters += 1
            headers = dict(letter.headers)
            record = originals[int(headers["ioc-offset"])]
            offsets.append(record.offset)
            assert (letter.key, letter.value) == (record.key, record.value)
            assert letter.headers[: len(record.headers)] == record.headers
            assert headers["ioc-topic"].decode() == record.topic
            assert int(headers["ioc-partition"]) == record.partition
            reason = headers["ioc-reason"].decode()
            assert oracle.outcome(*place, record.offset) == f"rejected:{reason}"
            assert headers["ioc-detail"].decode()
        assert len(offsets) == len(set(offsets)) == oracle.outcomes(*place)["rejected"]
    assert letters > 30


@pytest.mark.parametrize(("moment", "clock"), list(zip(MOMENTS, CLOCKS * 2, strict=True)))
def test_every_kpi_of_every_territory_and_window_equals_the_oracle(
    moment: str, clock: Clock
) -> None:
    now = MOMENTS[moment]
    records = records_of(len(moment), 1500, now, clock)
    view = run(records, PARTITIONS, clock).view()
    oracle = Oracle(records, PARTITIONS, clock, PLACES)
    assert_same(view, oracle, now, dimensions=False)


@pytest.mark.parametrize("window", ["1h", "month"])
def test_every_dimension_pair_and_filter_equals_the_oracle(window: str) -> None:
    now = MOMENTS["an ordinary moment"]
    records = records_of(31, 1500, now, "wall")
    view = run(records, PARTITIONS, "wall").view()
    oracle = Oracle(records, PARTITIONS, "wall", PLACES)
    assert_same(view, oracle, now, windows=[window])


def test_a_log_of_two_months_lets_old_panes_go_and_keeps_the_numbers() -> None:
    now = MOMENTS["an ordinary moment"]
    records = records_of(5, 3000, now, "wall", span=60 * DAY)
    view = run(records, PARTITIONS, "wall", pieces=40).view()
    oracle = Oracle(records, PARTITIONS, "wall", PLACES)
    assert_same(view, oracle, now, dimensions=False)


@pytest.mark.parametrize("later", [9_999, 26 * HOUR, 35 * DAY, 200 * DAY])
def test_windows_move_on_while_nothing_arrives(later: int) -> None:
    now = MOMENTS["an ordinary moment"]
    records = records_of(6, 1500, now, "wall")
    view = run(records, PARTITIONS, "wall").view()
    oracle = Oracle(records, PARTITIONS, "wall", PLACES)
    windows = ["5m", "24h", "30d", "year"]
    assert_same(view, oracle, now + later, windows=windows, dimensions=False)


def moments_before(now: int) -> list[int]:
    """Instants to ask about: near and far, on boundaries and beside them."""
    midnight = local_ms(2026, 11, 22)
    return [
        now + 15 * MINUTE, now + 16 * MINUTE, now - 1, now - 10_000, now - 2 * HOUR,
        now - 4 * HOUR, now - now % MINUTE - 1, now - now % HOUR - 1, now - now % HOUR,
        now - 26 * HOUR, now - 28 * HOUR, midnight, midnight - 1, midnight - 2 * DAY - 1,
        midnight - 2 * DAY, now - 9 * DAY - now % HOUR - 1, now - 39 * DAY - now % HOUR - 1,
        local_ms(2026, 9) - 1, local_ms(2026, 9), local_ms(2026, 7) - 1, local_ms(2026) - 1,
        local_ms(2025, 6, 30),
    ]  # fmt: skip


@pytest.mark.parametrize("clock", CLOCKS)
def test_the_past_is_answered_exactly_or_refused(clock: Clock) -> None:
    now = MOMENTS["an ordinary moment"]
    records = records_of(9, 1500, now, clock)
    view = run(records, PARTITIONS, clock).view()
    oracle = Oracle(records, PARTITIONS, clock, PLACES)
    reference = now if clock == "wall" else oracle.event_clock()
    assert reference is not None
    assert view.clock_at(now) == reference
    wrong = []
    answered = 0
    kpis = ["fr.p90_hours_to_answer", "gov.step_minutes", "eco.gmv_vnd"]
    for as_of in moments_before(reference):
        for window in WINDOWS:
            must = answerable(window, as_of, reference)
            try:
                view.query("fr.received", now=now, window=window, as_of=as_of)
            except QueryError as refusal:
                if must:
                    wrong.append(f"{window} {reference - as_of} ms ago is refused: {refusal}")
                elif refusal.status != 422 or refusal.parameter != "as_of":
                    wrong.append(f"{window} at {as_of}: {refusal.status} {refusal.parameter}")
                continue
            if must is False:
                wrong.append(f"{window} {reference - as_of} ms ago is answered")
            answered += 1
            wrong += differences(
                view, oracle, now, as_of=as_of, windows=[window], kpis=kpis, dimensions=False
            )
    assert not wrong, shown(wrong)
    assert answered > 60


@pytest.mark.parametrize("back", [-15 * MINUTE, 1, HOUR, 26 * HOUR])
def test_stock_kpis_look_back_only_in_what_they_compare_due_times_with(back: int) -> None:
    now = MOMENTS["an ordinary moment"]
    records = records_of(10, 1500, now, "wall")
    view = run(records, PARTITIONS, "wall").view()
    oracle = Oracle(records, PARTITIONS, "wall", PLACES)
    stock = [name for name, spec in KPIS.items() if spec.stock]
    assert_same(view, oracle, now, as_of=now - back, kpis=stock, dimensions=False)


def test_stock_kpis_refuse_more_than_27_hours_back() -> None:
    now = MOMENTS["an ordinary moment"]
    view = run(records_of(10, 300, now, "wall"), PARTITIONS, "wall").view()
    for name in (n for n, spec in KPIS.items() if spec.stock):
        for as_of in (now - 27 * HOUR - MINUTE, now + 16 * MINUTE):
            with pytest.raises(QueryError) as refusal:
                view.query(name, now=now, as_of=as_of)
            assert (refusal.value.status, refusal.value.parameter) == (422, "as_of"), name


def latest_start(indicator: Mapping[str, object]) -> int:
    return int(str(indicator["period_start"]))


@pytest.mark.parametrize("clock", CLOCKS)
def test_indicators_equal_the_oracle(clock: Clock) -> None:
    now = MOMENTS["an ordinary moment"]
    compared = 0
    for seed in range(2):
        records = records_of(seed + 50, 1200, now, clock)
        view = run(records, PARTITIONS, clock).view()
        oracle = Oracle(records, PARTITIONS, clock, PLACES)
        at = now if clock == "wall" else oracle.event_clock()
        assert at is not None
        expected = oracle.indicators(at)
        found = {str(i["series"]): i for i in view.indicators(now)}
        assert found.keys() == expected.keys()
        for key, latest in expected.items():
            compared += 1
            shown_as = tuple(found[key][f] for f in latest._fields)
            assert shown_as == pytest.approx(tuple(latest)), key
            for kpi, value in (
                ("ind.value", latest.value),
                ("ind.target", latest.target),
                ("ind.gap", latest.gap),
                ("ind.age_seconds", latest.age_seconds),
            ):
                _, rows = view.query(kpi, now=now, where={"series": key}, as_of=at)
                assert len(rows) == 1
                assert rows[0].value == pytest.approx(value), (kpi, key)
        for window in WINDOWS:
            sums = oracle.indicator_sums(window, at)
            for key in expected:
                if "flow" != found[key]["kind"]:
                    continue
                start, _ = bounds(window, at)
                short = int(str(found[key]["period_end"])) - latest_start(found[key]) < DAY
                if short and start < at - 48 * HOUR:
                    # Periods shorter than a day are kept 48 hours: no sum over more can be had.
                    with pytest.raises(QueryError) as refusal:
                        view.query("ind.sum", now=now, window=window, where={"series": key})
                    assert refusal.value.status == 422
                    continue
                _, rows = view.query(
                    "ind.sum", now=now, window=window, where={"series": key}, as_of=at
                )
                total, count = sums.get(key, (0.0, 0))
                value = rows[0].value
                assert isinstance(value, float | int), (key, window, rows)
                assert math.isclose(value, total, abs_tol=1e-6), (key, window, rows, total)
                assert rows[0].count == count, (key, window)
    assert compared > 40


def test_a_series_over_time_gives_what_single_questions_give() -> None:
    now = MOMENTS["an ordinary moment"]
    view = run(records_of(14, 1500, now, "wall"), PARTITIONS, "wall").view()
    for kpi, window in (("fr.received", "1h"), ("gov.on_time_rate", "24h"), ("eco.gmv_vnd", "7d")):
        step = 30 * MINUTE
        start, end = now - 2 * HOUR, now
        points = view.series(kpi, now=now, start=start, end=end, step_ms=step, window=window)
        assert [at for at, _ in points] == list(range(start, end + 1, step))
        for at, rows in points:
            assert view.query(kpi, now=now, window=window, as_of=at) == (at, rows), (kpi, at)


@pytest.mark.parametrize("clock", CLOCKS)
def test_kills_redeliveries_and_a_cleaned_topic_change_no_number(clock: Clock) -> None:
    """At random ends of batches the owner dies; the next one starts again some records back."""
    now = MOMENTS["an ordinary moment"]
    records = records_of(21, 2000, now, clock)
    rng = Random(21)
    rig = Rig(PARTITIONS, clock)
    for place, batch in by_place(records).items():
        at = 0
        while at < len(batch):
            size = rng.randrange(1, 60)
            rig.fold(place, batch[at : at + size], flush=rng.random() < 0.6)
            at += size
            if rng.random() < 0.2:
                rig.restart(place)
                fence = rig.state(place).fence
                at = sum(r.offset <= fence for r in batch)
                at = max(0, at - rng.randrange(30))  # read again: the fence skips them
        rig.flush(place)
    oracle = Oracle(records, PARTITIONS, clock, PLACES)
    for view in (rig.view(), rig.view(compacted=True)):
        for topic in SOURCE_TOPICS:
            total: dict[str, int] = dict.fromkeys(oracle.outcomes(topic), 0)
            for (name, _), head in view.heads.items():
                for outcome, count in head.outcomes.items():
                    total[outcome] += count if name == topic else 0
            assert total == oracle.outcomes(topic)
        assert_same(view, oracle, now, windows=["1h", "today", "year"], dimensions=False)


def test_many_laps_of_the_ring_survive_a_thorough_cleaner() -> None:
    """Over 600 flushes of one record each: one lap of 256 slots rebuilds view and state."""
    now = MOMENTS["an ordinary moment"]
    places = by_place(records_of(22, 7500, now, "wall"))
    place = max(places, key=lambda p: len(places[p]))
    records = places[place]
    assert len(records) > 600
    rig = Rig(PARTITIONS, "wall")
    for n, record in enumerate(records):
        rig.fold(place, [record], flush=True)
        if n % 211 == 210:
            rig.ring[place[1]] = rig.compacted(place[1])
        if n in (300, 590):
            rig.restart(place)
    assert len(rig.compacted(place[1])) < 3 * 257
    oracle = Oracle(records, PARTITIONS, "wall", PLACES)
    before = oracle.outcomes(*place)
    for view in (rig.view(compacted=True), rig.view()):
        assert {k: view.heads[place].outcomes.get(k, 0) for k in before} == before
        assert_same(view, oracle, now, windows=["24h", "year"], dimensions=False)


def test_a_zombie_owner_that_goes_on_writing_is_never_counted() -> None:
    now = MOMENTS["an ordinary moment"]
    records = records_of(23, 1500, now, "wall")
    rng = Random(23)
    rig = Rig(PARTITIONS, "wall")
    for place, batch in by_place(records).items():
        third = len(batch) // 3
        rig.fold(place, batch[:third], flush=True)
        zombie = rig.state(place)
        rig.restart(place)
        for n in range(third, len(batch)):
            rig.fold(place, [batch[n]], flush=rng.random() < 0.3)
            if n < 2 * third and rng.random() < 0.3:
                zombie.fold(batch[: n - rng.randrange(10)])
                rig.ring[place[1]] += zombie.flush().parts
        rig.flush(place)
    oracle = Oracle(records, PARTITIONS, "wall", PLACES)
    for view in (rig.view(), rig.view(compacted=True)):
        assert_same(view, oracle, now, windows=["1h", "30d"], dimensions=False)


def test_event_ids_are_free_text_and_do_not_decide_anything() -> None:
    """Two entities under one event id, and one event under two ids."""
    now = MOMENTS["an ordinary moment"]
    records = []
    for record in records_of(3, 400, now, "wall"):
        try:
            event = json.loads(record.value or b"")
        except ValueError:
            event = None
        if isinstance(event, dict) and len(record.value or b"") < 100_000:
            event["id"] = "same"
            value = json.dumps(event).encode()
            records.append(
                RawRecord(
                    record.topic,
                    record.partition,
                    record.offset,
                    record.timestamp,
                    record.key,
                    value,
                )
            )
    view = run(records, PARTITIONS, "wall").view()
    oracle = Oracle(records, PARTITIONS, "wall", PLACES)
    assert_same(view, oracle, now, windows=["year"], dimensions=False)
