"""Long work in slices, between which the event loop is everybody's."""

import asyncio
import time

#: How long the event loop may be kept from everybody else, in seconds.
SLICE_S = 0.01


class Pace:
    """Lets others work between the steps of a long work. Begins when it is made."""

    def __init__(self, slice_s: float = SLICE_S) -> None:
        self._slice = slice_s
        self._spent = 0.0
        self._began = time.perf_counter()

    def due(self) -> bool:
        """Whether the event loop has been kept for a slice."""
        return time.perf_counter() - self._began > self._slice

    async def rest(self) -> bool:
        """Give way if the event loop has been kept for a slice; whether it has been."""
        if not self.due():
            return False
        self._spent += time.perf_counter() - self._began
        await asyncio.sleep(0)
        self._began = time.perf_counter()
        return True

    def spent(self) -> float:
        """Seconds of work, rests left out."""
        return self._spent + time.perf_counter() - self._began
