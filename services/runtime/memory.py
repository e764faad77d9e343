"""Memory that nobody uses goes back to the system.

A fetch is megabytes that come and go beside small objects that stay, and glibc keeps the gaps:
after a minute of backlog a worker held 305 MB of which it used 236. Where malloc is another one,
nothing is done.
"""

import asyncio
import ctypes
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: How often, in seconds; it takes a few milliseconds beside the loop.
EVERY_SECONDS = 10.0


def _malloc_trim() -> Callable[[int], Any] | None:
    """glibc's malloc_trim(3), None where there is none."""
    try:
        found: Any = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    found.argtypes, found.restype = [ctypes.c_size_t], ctypes.c_int
    trim: Callable[[int], Any] = found
    return trim


async def give_back(every: float = EVERY_SECONDS) -> None:
    """Return free memory to the system now and then, for ever; returns where that is not had."""
    trim = _malloc_trim()
    while trim is not None:
        await asyncio.sleep(every)
        # ctypes lets the interpreter's lock go.
        await asyncio.to_thread(trim, 0)


def short_looks(young: int) -> None:
    """Look for cycles among the new objects only, ``young`` of them at a time.

    What a process has made until now (modules, tables) is never looked at again. A look takes
    about a millisecond for a thousand objects, and everybody waits for it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(young, 5, 100)


@contextmanager
def uncollected() -> Iterator[None]:
    """No look for cycles meanwhile: for work that makes many objects and no cycle among them."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
