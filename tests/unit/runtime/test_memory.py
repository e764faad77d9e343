"""Free memory goes back, where that can be had."""

import asyncio
from typing import Any

import pytest

from services.runtime import memory


def test_it_is_asked_for_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    enough = asyncio.Event()

    def trim(keep: int) -> None:
        asked.append(keep)
        if len(asked) == 3:
            loop.call_soon_threadsafe(enough.set)

    monkeypatch.setattr(memory, "_malloc_trim", lambda: trim)

    async def body() -> None:
        task = asyncio.create_task(memory.give_back(0.0))
        async with asyncio.timeout(10):
            await enough.wait()
        task.cancel()

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        runner.run(body())
    assert asked[:3] == [0, 0, 0]


def test_where_malloc_is_another_one_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: Any) -> Any:
        return object()

    monkeypatch.setattr("ctypes.CDLL", none)
    asyncio.run(memory.give_back())


def test_glibc_has_it() -> None:
    trim = memory._malloc_trim()
    if trim is not None:
        assert trim(0) in (0, 1)
