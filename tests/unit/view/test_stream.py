"""Server-sent events: what a client that stays is told."""

import asyncio
from typing import Any

import orjson
import pytest

from services.view import stream
from services.view.question import Question
from services.view.stream import BACKLOG_BYTES, HEARTBEAT, HEARTBEAT_S, Hub, Subscriber
from tests.unit.view.rig import Client, Rig, filled, report, with_client

RECEIVED = Question("fr.received", "24h", "all", "province")


class Screen:
    """A wire that keeps what was written, one item each time."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False
        self.slow = 0

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def waiting(self) -> int:
        return self.slow

    def take(self) -> list[bytes]:
        """What came since the last look."""
        taken, self.writes = self.writes, []
        return taken


def opened(hub: Hub, *questions: Question) -> tuple[Subscriber, Screen]:
    subscriber, screen = hub.subscribe(questions), Screen()
    hub.open(subscriber, screen)
    return subscriber, screen


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
        _, screen = opened(hub, RECEIVED)
        first = told(*screen.take())
        assert first["kpi"] == "fr.received"
        assert first["window"] == "24h"
        assert first["as_of"] == "2026-03-10T09:30:00+07:00"
        assert len(first["rows"]) == 4
        await hub.tick()
        assert not screen.take()
        rig.stage.report(report("e", province_code="87", district_code=None))
        await hub.tick()
        assert values(*screen.take()) == {"87": 1}

    asyncio.run(run())


def test_what_changes_before_an_answer_begins_is_in_its_first_rows() -> None:
    async def run() -> None:
        rig = filled()
        hub = Hub(rig.stage.view, rig.now)
        subscriber, screen = hub.subscribe([RECEIVED]), Screen()
        rig.stage.report(report("e", province_code="87", district_code=None))
        await hub.tick()
        hub.open(subscriber, screen)
        assert values(*screen.take())["87"] == 1
        await hub.tick()
        assert not screen.take()

    asyncio.run(run())


def test_time_alone_changes_rows_too() -> None:
    async def run() -> None:
        rig = filled()
        hub = Hub(rig.stage.view, rig.now)
        _, screen = opened(hub, RECEIVED)
        screen.take()
        rig.clock_ms += 24 * 3_600_000
        await hub.tick()
        assert values(*screen.take()) == {"51": 0, "45": 0}

    asyncio.run(run())


def test_a_row_that_is_no_longer_there_is_said_to_be_empty() -> None:
    async def run() -> None:
        rig = filled()
        hub = Hub(rig.stage.view, rig.now)
        _, screen = opened(hub, Question("fr.received", "24h", "45", "district"))
        assert values(*screen.take())["45.unknown"] == 1
        rig.clock_ms += 24 * 3_600_000
        await hub.tick()
        (row,) = told(*screen.take())["rows"]
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
        clients = [opened(hub, RECEIVED) for _ in range(100)]
        assert asked == 1
        rig.stage.report(report("e"))
        await hub.tick()
        assert asked == 2
        assert all(len(screen.writes) == 2 for _, screen in clients)
        for subscriber, _ in clients:
            hub.unsubscribe(subscriber)
        await hub.tick()
        assert asked == 2
        assert len(hub) == 0

    asyncio.run(run())


def test_what_a_client_asks_in_several_questions_comes_in_one_write() -> None:
    async def run() -> None:
        rig = filled()
        hub = Hub(rig.stage.view, rig.now)
        _, screen = opened(hub, RECEIVED, Question("fr.received", "1h", "51", None))
        (first,) = screen.take()
        assert first.count(b"data: ") == 2
        rig.stage.report(report("e", reported_at="2026-03-10T09:29:59+07:00"))
        await hub.tick()
        (second,) = screen.take()
        assert second.count(b"data: ") == 2

    asyncio.run(run())


def test_a_client_that_does_not_keep_up_is_given_all_rows_anew() -> None:
    async def run() -> None:
        rig = filled()
        hub = Hub(rig.stage.view, rig.now)
        _, screen = opened(hub, RECEIVED)
        screen.take()
        for more, waiting, count in (("a", BACKLOG_BYTES, 1), ("b", BACKLOG_BYTES + 1, 0)):
            screen.slow = waiting
            rig.stage.report(report(f"more-{more}"))
            await hub.tick()
            assert len(screen.take()) == count
        for waiting in (BACKLOG_BYTES, 1):
            screen.slow = waiting
            rig.stage.report(report(f"more-{waiting}"))
            await hub.tick()
            assert not screen.take()
        screen.slow = 0
        await hub.tick()
        assert values(*screen.take()) == {"45": 1, "51": 3 + 4, "87": 0, "95": 0}
        await hub.tick()
        assert not screen.take()

    asyncio.run(run())


def test_a_stream_whose_client_has_gone_ends() -> None:
    async def run() -> None:
        rig = filled()
        hub = Hub(rig.stage.view, rig.now)
        subscriber, screen = opened(hub, RECEIVED)
        screen.take()
        await hub.tick()
        assert not subscriber.ended.is_set()
        screen.closed = True
        rig.stage.report(report("e"))
        await hub.tick()
        assert subscriber.ended.is_set()
        assert not screen.take()

    asyncio.run(run())


def test_a_change_is_told_soon_and_not_at_the_next_regular_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        monkeypatch.setattr(stream, "TICK_S", 3600.0)
        rig = filled()
        hub = Hub(rig.stage.view, rig.now)
        _, screen = opened(hub, RECEIVED)
        ticking = asyncio.create_task(hub.run())
        screen.take()
        rig.stage.report(report("e"))
        hub.fed()
        async with asyncio.timeout(5):
            while not screen.writes:  # noqa: ASYNC110 (what is waited for tells nobody)
                await asyncio.sleep(0)
        ticking.cancel()

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


def test_a_client_that_leaves_is_forgotten() -> None:
    async def test(client: Client, rig: Rig) -> None:
        ticking = asyncio.create_task(rig.api.hub.run())
        async with client.get("/api/v1/stream?kpi=fr.open_now") as answer:
            await answer.content.readuntil(b"\n\n")
            assert len(rig.api.hub) == 1
            answer.close()
        async with asyncio.timeout(5):
            while len(rig.api.hub):  # noqa: ASYNC110 (as above)
                await asyncio.sleep(0)
        ticking.cancel()

    with_client(test)


def test_a_proxy_that_speaks_http_1_0_gets_the_events_unframed() -> None:
    async def test(client: Client, rig: Rig) -> None:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        writer.write(b"GET /api/v1/stream?kpi=fr.open_now HTTP/1.0\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"chunked" not in head.lower()
        assert await reader.readuntil(b"\n\n") == b"retry: 2000\n\n"
        assert told(await reader.readuntil(b"\n\n"))["kpi"] == "fr.open_now"
        writer.close()

    with_client(test)


def test_a_stream_on_which_nothing_changes_shows_a_sign_of_life() -> None:
    async def run() -> None:
        rig = filled()
        hub = Hub(rig.stage.view, rig.now)
        subscriber, screen = opened(hub, RECEIVED)
        screen.take()
        await hub.tick()
        assert not screen.take()
        subscriber.written -= HEARTBEAT_S + 1
        await hub.tick()
        await hub.tick()
        assert screen.take() == [HEARTBEAT]

    asyncio.run(run())
