"""Server-sent events: what a client that stays is told."""

import asyncio
from typing import Any

import orjson

from services.view.question import Question
from services.view.stream import BACKLOG, HEARTBEAT, HEARTBEAT_S, Hub, Subscriber, pump
from tests.unit.view.rig import Client, Rig, filled, report, with_client

RECEIVED = Question("fr.received", "24h", "all", "province")


def told(event: bytes | None) -> dict[str, Any]:
    assert event is not None
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    found: dict[str, Any] = orjson.loads(event[6:])
    return found


def values(event: bytes | None) -> dict[str, Any]:
    return {row["by"]: row["value"] for row in told(event)["rows"]}


def test_a_stream_begins_with_all_rows_and_goes_on_with_those_that_changed() -> None:
    async def run() -> None:
        rig = filled()
        hub = Hub(rig.stage.view, rig.now)
        subscriber = hub.subscribe([RECEIVED])
        first = told(subscriber.queue.get_nowait())
        assert first["kpi"] == "fr.received"
        assert first["window"] == "24h"
        assert first["as_of"] == "2026-03-10T09:30:00+07:00"
        assert len(first["rows"]) == 4
        await hub.tick()
        assert subscriber.queue.empty()
        rig.stage.report(report("e", province_code="87", district_code=None))
        await hub.tick()
        assert values(subscriber.queue.get_nowait()) == {"87": 1}

    asyncio.run(run())


def test_time_alone_changes_rows_too() -> None:
    async def run() -> None:
        rig = filled()
        hub = Hub(rig.stage.view, rig.now)
        subscriber = hub.subscribe([RECEIVED])
        subscriber.queue.get_nowait()
        rig.clock_ms += 24 * 3_600_000
        await hub.tick()
        assert values(subscriber.queue.get_nowait()) == {"51": 0, "45": 0}

    asyncio.run(run())


def test_a_row_that_is_no_longer_there_is_said_to_be_empty() -> None:
    async def run() -> None:
        rig = filled()
        hub = Hub(rig.stage.view, rig.now)
        subscriber = hub.subscribe([Question("fr.received", "24h", "45", "district")])
        assert values(subscriber.queue.get_nowait())["45.unknown"] == 1
        rig.clock_ms += 24 * 3_600_000
        await hub.tick()
        (row,) = told(subscriber.queue.get_nowait())["rows"]
        assert (row["by"], row["value"], row["count"]) == ("45.unknown", None, 0)

    asyncio.run(run())


def test_equal_questions_are_computed_once_however_many_ask() -> None:
    async def run() -> None:
        rig = filled()
        asked = 0
        query = rig.stage.view.query

        def counted(*args: Any, **options: Any) -> Any:
            nonlocal asked
            asked += 1
            return query(*args, **options)

        rig.stage.view.query = counted  # type: ignore[method-assign]  # counts the calls
        hub = Hub(rig.stage.view, rig.now)
        subscribers = [hub.subscribe([RECEIVED]) for _ in range(100)]
        assert asked == 1
        rig.stage.report(report("e"))
        await hub.tick()
        assert asked == 2
        assert all(s.queue.qsize() == 2 for s in subscribers)
        for subscriber in subscribers:
            hub.unsubscribe(subscriber)
        await hub.tick()
        assert asked == 2
        assert len(hub) == 0

    asyncio.run(run())


def test_a_client_that_does_not_keep_up_is_given_all_rows_anew() -> None:
    async def run() -> None:
        rig = filled()
        hub = Hub(rig.stage.view, rig.now)
        subscriber = hub.subscribe([RECEIVED])
        for n in range(BACKLOG + 5):
            rig.stage.report(report(f"more-{n}"))
            await hub.tick()
        waiting = [subscriber.queue.get_nowait() for _ in range(subscriber.queue.qsize())]
        assert len(waiting) < BACKLOG
        await hub.tick()
        waiting += [subscriber.queue.get_nowait() for _ in range(subscriber.queue.qsize())]
        known: dict[str, Any] = {}
        for event in waiting:
            known |= values(event)
        assert known == {"45": 1, "51": 3 + BACKLOG + 5, "87": 0, "95": 0}

    asyncio.run(run())


def test_the_stream_is_plain_server_sent_events_for_every_kpi_named() -> None:
    async def test(client: Client, rig: Rig) -> None:
        ticking = asyncio.create_task(rig.api.hub.run())
        path = "/api/v1/stream?kpi=fr.received&kpi=fr.open_now&window=1h&territory=51"
        async with client.get(path) as answer:
            assert answer.status == 200
            assert answer.content_type == "text/event-stream"
            assert "Content-Encoding" not in answer.headers
            assert await answer.content.readuntil(b"\n\n") == b"retry: 2000\n\n"
            first = told(await answer.content.readuntil(b"\n\n"))
            second = told(await answer.content.readuntil(b"\n\n"))
            assert [(e["kpi"], e["window"]) for e in (first, second)] == [
                ("fr.received", "1h"),
                ("fr.open_now", None),
            ]
            rig.stage.report(report("e", reported_at="2026-03-10T09:29:59+07:00"))
            async with asyncio.timeout(5):
                change = told(await answer.content.readuntil(b"\n\n"))
            assert change["rows"][0]["value"] == 1
        ticking.cancel()

    with_client(test)


def test_closing_ends_every_stream_at_once() -> None:
    async def test(client: Client, rig: Rig) -> None:
        async with client.get("/api/v1/stream?kpi=fr.open_now") as answer:
            await answer.content.readuntil(b"\n\n")
            rig.api.hub.close()
            async with asyncio.timeout(5):
                await answer.content.read()
        async with client.get("/api/v1/stream?kpi=fr.open_now") as answer:
            async with asyncio.timeout(5):
                assert b"fr.open_now" in await answer.content.read()

    with_client(test)


class _Written:
    """An open answer that keeps what was written."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    async def write(self, data: bytes) -> None:
        self.writes.append(data)


def test_what_waits_is_written_at_once_and_the_end_ends_it() -> None:
    async def run() -> list[bytes]:
        subscriber, answer = Subscriber([RECEIVED]), _Written()
        for event in (b"a", b"b", None):
            subscriber.queue.put_nowait(event)
        await pump(subscriber, answer)
        return answer.writes

    assert asyncio.run(run()) == [b"ab"]


def test_a_stream_on_which_nothing_changes_shows_a_sign_of_life() -> None:
    async def run() -> None:
        rig = filled()
        hub = Hub(rig.stage.view, rig.now)
        subscriber = hub.subscribe([RECEIVED])
        subscriber.queue.get_nowait()
        now = asyncio.get_running_loop().time()
        subscriber.written = now
        await hub.tick()
        assert subscriber.queue.empty()
        subscriber.written = now - HEARTBEAT_S - 1
        await hub.tick()
        await hub.tick()
        assert subscriber.queue.get_nowait() == HEARTBEAT
        assert subscriber.queue.empty()

    asyncio.run(run())
