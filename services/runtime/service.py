"""How every long-running process of ours lives: signals, draining, exit code."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable

_log = logging.getLogger("service")

#: Exit codes of every command (contract section 7).
OK, WANTING, USAGE = 0, 1, 2


async def _serve(body: Callable[[asyncio.Event], Awaitable[None]], drain_seconds: float) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    work = asyncio.ensure_future(body(stop))
    asked = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            _log.info("stopping")
            await asyncio.wait({work}, timeout=drain_seconds)
        if not work.done():
            _log.warning("not finished within %.0f s, stopped in the middle", drain_seconds)
            work.cancel()
            await asyncio.wait({work}, timeout=1.0)
            return WANTING
        if work.cancelled():
            return WANTING
        error = work.exception()
        if error is not None:
            _log.critical("ended by an error", exc_info=error)
            return WANTING
        return OK
    finally:
        asked.cancel()


def run(body: Callable[[asyncio.Event], Awaitable[None]], *, drain_seconds: float = 5.0) -> int:
    """Run an async service until it ends or SIGTERM or Ctrl-C asks it to; the exit code.

    ``body`` gets an event that is set when it is time to stop; then it has ``drain_seconds`` to
    finish what it holds (flush, acknowledge, close). 0 when it ended in order, also when asked to;
    1 when it raised or did not finish in time.
    """
    return asyncio.run(_serve(body, drain_seconds))
