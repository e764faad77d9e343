"""The past of what is true now: one sample in every minute of the clock."""

import asyncio
from collections.abc import Iterator

from services.view.sampler import MinuteSampler
from tests.unit.view.rig import NOW


def test_stock_kpis_are_sampled_once_a_minute_of_the_clock_and_not_before_all_is_read() -> None:
    sampled: list[int] = []
    ready = False
    clock = iter((NOW, NOW + 59_999, NOW + 60_000, NOW + 60_001, NOW + 600_000, NOW + 590_000))

    def sample(now: int) -> Iterator[None]:
        sampled.append(now)
        yield

    async def scene() -> None:
        nonlocal ready
        sampler = MinuteSampler(sample, lambda: next(clock), lambda: ready)
        await sampler.tick()
        ready = True
        for _ in range(6):
            await sampler.tick()

    asyncio.run(scene())
    assert sampled == [NOW, NOW + 60_000, NOW + 600_000]
