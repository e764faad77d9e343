"""How far the view has come: what a client may conclude from ``caught_up``."""

import asyncio

import pytest

from schemas.catalog import FIELD_REPORT, SOURCES
from services.core.head import Head
from services.view.overview import conserved
from services.view.progress import Bounds, PartitionProgress, Tracker, caught_up
from tests.unit.view.rig import (
    NOW,
    PARTITIONS,
    Client,
    Rig,
    filled,
    report,
    with_client,
)

KEY = ("ioc.field-report.v1", 0)
UNKNOWN = float("inf")


def seen(*ends: tuple[int, int], start: int = 0) -> Tracker:
    """A tracker that saw these (at ms, end) in turn."""
    tracker = Tracker()
    for at, end in ends:
        tracker.observe(at, {KEY: Bounds(start, end)})
    return tracker


def at(tracker: Tracker, fence: int | None, now: int, absorbed: int = 0) -> PartitionProgress:
    head = None if fence is None else Head(fence=fence)
    return tracker.partition(KEY, head, now, absorbed)


def test_an_empty_log_has_no_lag_and_is_caught_up() -> None:
    row = at(seen((0, 0)), None, 10)
    assert (row.end, row.applied, row.lag, row.age_ms) == (0, 0, 0, 0)
    assert caught_up([row])


def test_a_lag_first_seen_just_now_may_be_of_any_age() -> None:
    row = at(seen((0, 5)), 3, 1)
    assert (row.lag, row.age_ms) == (1, UNKNOWN)
    assert not caught_up([row])


def test_a_record_is_no_older_than_the_last_look_up_without_it() -> None:
    tracker = seen((0, 4), (900, 4), (1_500, 5))
    assert at(tracker, 3, 1_600).age_ms == 700
    assert caught_up([at(tracker, 3, 2_899)])
    assert not caught_up([at(tracker, 3, 2_900)])


def test_a_log_that_always_runs_ahead_is_caught_up_while_what_is_missing_is_young() -> None:
    tracker = seen(*((ms, ms * 5) for ms in range(0, 10_000, 500)))
    behind_by_one_second = 8_500 * 5 - 1
    assert caught_up([at(tracker, behind_by_one_second, 9_600)])
    behind_by_three = 6_500 * 5 - 1
    assert not caught_up([at(tracker, behind_by_three, 9_600)])


def test_what_was_absorbed_since_the_look_up_lengthens_the_log() -> None:
    row = at(seen((0, 5)), 6, 1)
    assert (row.end, row.applied, row.lag) == (7, 7, 0)


def test_an_emptied_log_that_nobody_read_has_no_lag() -> None:
    row = at(seen((0, 100), start=100), None, 1)
    assert (row.end, row.applied, row.lag, row.age_ms) == (100, 0, 0, 0)


def test_a_log_shorter_than_what_was_absorbed_is_another_log() -> None:
    row = at(seen((0, 3)), 9, 1, absorbed=10)
    assert row.lag == -7
    assert not caught_up([row])


def test_a_topic_made_anew_forgets_the_old_ends() -> None:
    assert at(seen((0, 4), (500, 9), (1_000, 5)), 3, 1_001).age_ms == UNKNOWN


def test_without_any_partition_nothing_is_caught_up() -> None:
    assert not caught_up([])


def test_progress_lists_the_four_source_topics_with_the_contracts_members() -> None:
    async def test(client: Client, rig: Rig) -> None:
        async with client.get("/api/v1/progress") as answer:
            body = await answer.json()
        assert body["caught_up"] is True
        assert body["reason"] is None
        rows = {(p["topic"], p["partition"]): p for p in body["partitions"]}
        assert len(rows) == len(SOURCES) * PARTITIONS
        for row in rows.values():
            assert set(row) == {"topic", "partition", "end", "applied", "lag", "event_time"}
            assert row["lag"] == row["end"] - row["applied"] == 0
            assert (row["event_time"] is None) == (row["applied"] == 0)
        reports = [p for (topic, _), p in rows.items() if topic == FIELD_REPORT.name]
        assert sum(p["applied"] for p in reports) == 5
        assert any(p["event_time"] == "2026-03-10T09:30:00+07:00" for p in reports)

    with_client(test)


def test_a_record_produced_before_the_question_is_never_overlooked() -> None:
    async def test(client: Client, rig: Rig) -> None:
        for minute in range(3):
            rig.stage.report(report(f"late-{minute}"), apply=False)
            rig.clock_ms += 60_000
            async with client.get("/api/v1/progress") as answer:
                body = await answer.json()
            assert body["caught_up"] is False
            assert sum(p["lag"] for p in body["partitions"]) == minute + 1

    with_client(test)


def test_many_questions_at_once_share_the_next_look_up() -> None:
    async def run() -> None:
        rig = filled()
        first = asyncio.create_task(rig.progress.fresh())
        await rig.broker.under_way.wait()
        rig.stage.report(report("new"), apply=False)
        await asyncio.gather(*(rig.progress.fresh() for _ in range(50)))
        await first
        assert rig.broker.asked == 2
        assert sum(p.lag or 0 for p in rig.progress.snapshot().partitions) == 1

    asyncio.run(run())


def test_without_a_broker_the_view_answers_and_says_so() -> None:
    async def test(client: Client, rig: Rig) -> None:
        async with client.get("/readyz") as answer:
            assert answer.status == 503  # never looked up
        async with client.get("/api/v1/progress") as answer:
            assert (await answer.json())["caught_up"] is True
        async with client.get("/readyz") as answer:
            assert answer.status == 200
        rig.broker.down = "Kafka at 127.0.0.1:1 does not answer"
        async with client.get("/api/v1/progress") as answer:
            assert answer.status == 200
            body = await answer.json()
        assert body["caught_up"] is False
        assert body["reason"] == rig.broker.down
        assert body["partitions"][0]["end"] is not None
        async with client.get("/readyz") as answer:
            assert answer.status == 503
            assert answer.content_type == "application/problem+json"
            assert rig.broker.down in await answer.text()
        async with client.get("/api/v1/wall") as answer:
            assert (await answer.json())["broker"] is False
        async with client.get("/api/v1/kpis/fr.open_now") as answer:
            assert answer.status == 200
        async with client.get("/healthz") as answer:
            assert answer.status == 200
        rig.broker.down = None
        async with client.get("/api/v1/progress") as answer:
            assert (await answer.json())["caught_up"] is True

    with_client(test)


def test_a_broker_never_heard_leaves_the_ends_null() -> None:
    async def test(client: Client, rig: Rig) -> None:
        rig.broker.down = "no"
        async with client.get("/api/v1/progress") as answer:
            body = await answer.json()
        assert {(p["end"], p["lag"]) for p in body["partitions"]} == {(None, None)}

    with_client(test)


def test_the_view_is_not_ready_before_the_partial_results_are_read() -> None:
    async def test(client: Client, rig: Rig) -> None:
        rig.reading = "reading the partial results: 1 of 2 partitions read"
        async with client.get("/api/v1/progress") as answer:
            assert (await answer.json())["caught_up"] is False
        async with client.get("/readyz") as answer:
            assert answer.status == 503
            assert "1 of 2" in await answer.text()

    with_client(test)


def test_a_young_lag_leaves_the_view_ready_and_an_old_one_does_not() -> None:
    async def run() -> None:
        rig = filled()
        await rig.progress.fresh()
        rig.stage.report(report("slow"), apply=False)
        rig.clock_ms = NOW + 10_000
        await rig.progress.fresh()
        assert rig.progress.unready() is None
        assert not rig.progress.snapshot().caught_up
        rig.clock_ms = NOW + 31_000
        await rig.progress.fresh()
        reason = rig.progress.unready()
        assert reason is not None
        assert "ioc.field-report.v1" in reason

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fence", "read", "gaps", "holds"),
    [(-1, 0, 0, True), (9, 10, 0, True), (9, 9, 0, False), (9, 11, 0, False), (9, 6, 4, True)],
)
def test_every_record_up_to_the_fence_has_one_outcome(
    fence: int, read: int, gaps: int, holds: bool
) -> None:
    head = Head(fence=fence, outcomes={"applied": read}, gaps=gaps)
    assert conserved(head) is holds
