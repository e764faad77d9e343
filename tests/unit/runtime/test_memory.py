"""Free memory goes back, where that can be had."""

import asyncio
import gc
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


def test_what_is_there_is_not_looked_at_again() -> None:
    before = gc.get_threshold()
    try:
        memory.short_looks(5_000)
        assert gc.get_threshold()[0] == 5_000
        assert gc.get_freeze_count() > 0
        assert len(gc.get_objects(generation=2)) < gc.get_freeze_count()
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
