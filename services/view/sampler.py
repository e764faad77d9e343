"""Once in every minute of the clock: the stock KPIs as they are now, which is all their past."""

import asyncio
from collections.abc import Callable, Iterator

from services.view.pace import Pace

#: How often the clock is looked at while nothing arrives, in seconds.
CHECK_S = 0.25


class MinuteSampler:
    """Has the stock KPIs sampled once in every minute of the clock that it sees."""

    def __init__(
        self,
        sample: Callable[[int], Iterator[None]],
        clock: Callable[[], int],
        ready: Callable[[], bool],
    ) -> None:
        """``sample`` works in steps, between which others have their turn.

        ``clock`` gives the system's clock in ms; nothing is sampled before ``ready``.
        """
        self._sample, self._clock, self._ready = sample, clock, ready
        self._minute: int | None = None

    async def tick(self) -> None:
        """Sample if a new minute has begun."""
        if not self._ready():
            return
        now = self._clock()
        if self._minute is None or now // 60_000 > self._minute:
            self._minute = now // 60_000
            pace = Pace()
            for _ in self._sample(now):
                await pace.rest()

    async def run(self) -> None:
        """Look at the clock for ever."""
        while True:
            await self.tick()
            await asyncio.sleep(CHECK_S)
