"""The life of a service: its end, a signal, a drain that takes too long."""

import asyncio
import os
import signal

from services.runtime import service


def test_a_service_that_ends_by_itself_ends_well() -> None:
    async def body(stop: asyncio.Event) -> None:
        assert not stop.is_set()

    assert service.run(body) == service.OK


def test_a_signal_asks_it_to_stop_and_it_finishes_what_it_holds() -> None:
    drained = []

    async def body(stop: asyncio.Event) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        drained.append("flushed")

    assert service.run(body) == service.OK
    assert drained == ["flushed"]


def test_an_error_is_an_end_with_code_1() -> None:
    async def body(stop: asyncio.Event) -> None:
        raise RuntimeError("no")

    assert service.run(body) == service.WANTING


def test_one_that_does_not_finish_in_time_is_cut_off_with_code_1() -> None:
    async def body(stop: asyncio.Event) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    assert service.run(body, drain_seconds=0.05) == service.WANTING
