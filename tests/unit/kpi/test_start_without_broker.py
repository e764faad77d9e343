"""A worker that is started while there is no broker."""

import asyncio
from collections.abc import Callable
from threading import Event

import pytest

from services.kpi import main
from services.runtime.kafka import BrokerUnreachableError
from services.runtime.settings import Settings

HERE = Settings(bootstrap="127.0.0.1:1")


def _looks(monkeypatch: pytest.MonkeyPatch, look: Callable[[], None]) -> None:
    def check(config: Settings) -> None:
        look()

    monkeypatch.setattr(main, "_check_topics", check)


async def test_it_waits_until_a_broker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def look() -> None:
        tries.append(1)
        if len(tries) < 4:
            raise BrokerUnreachableError("no Kafka broker answers")

    _looks(monkeypatch, look)
    assert await main._topics_are_there(HERE, asyncio.Event())
    assert len(tries) == 4


async def test_it_can_be_told_to_stop_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    looking = Event()

    def look() -> None:
        looking.set()
        raise BrokerUnreachableError("no Kafka broker answers")

    _looks(monkeypatch, look)
    stop = asyncio.Event()
    waiting = asyncio.ensure_future(main.serve(HERE, stop))
    assert await asyncio.to_thread(looking.wait, 5)
    assert not waiting.done()
    stop.set()
    await waiting


async def test_a_missing_topic_is_no_reason_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def look() -> None:
        raise main.TopicsNotReady("ioc.listing.v1 is missing")

    _looks(monkeypatch, look)
    with pytest.raises(main.TopicsNotReady, match="listing"):
        await main._topics_are_there(HERE, asyncio.Event())
