"""The supervisor: starts parts in order, restarts what dies, stops everything in order."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from threading import Thread
from typing import Any, TypeVar

from services.runtime.embedded import EmbeddedKafkaError
from services.up.part import Part
from services.up.system import StartError

T = TypeVar("T")
Say = Callable[[str], None]

#: The exit code of a wrong command line or setting: trying again cannot help.
USAGE_ERROR = 2
#: Seconds at most between two tries of what cannot even be prepared.
PREPARE_WAIT = 10.0
#: Seconds in which all parts together are stopped; each has its own grace within that.
STOP_SECONDS = 13.0


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work aside. The thread is a daemon: an exit never waits for a download."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(apply: Callable[[Any], None], value: object) -> None:
        if not future.done():
            apply(value)

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            done, value = future.set_exception, error
        else:
            done, value = future.set_result, result  # type: ignore[assignment]  # one pair or the other
        try:
            loop.call_soon_threadsafe(settle, done, value)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    Thread(target=run, daemon=True).start()
    return await future


class Supervisor:
    """Keeps the parts of one system alive.

    ``say`` gets lines for people; ``changed`` is called whenever a part was started again and
    works, so that its new process id can be told.
    """

    def __init__(self, *, say: Say, changed: Callable[[], None], poll: float = 0.25) -> None:
        self.parts: list[Part] = []
        self._say = say
        self._changed = changed
        self._poll = poll
        self._stop = asyncio.Event()
        self._hurry = False
        self._watchers: dict[int, asyncio.Task[None]] = {}
        self.fatal: str | None = None

    def pids(self) -> dict[str, list[int]]:
        """The process ids by service, in the order of start."""
        found: dict[str, list[int]] = {}
        for part in self.parts:
            pid = part.process.pid
            found.setdefault(part.service, []).extend([] if pid is None else [pid])
        return found

    def listen(self) -> None:
        """Stop on SIGTERM and Ctrl-C; a second one kills at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.request_stop)

    def request_stop(self) -> None:
        if self._stop.is_set():
            self._hurry = True
            for part in self.parts:
                part.process.signal(signal.SIGKILL)
        self._stop.set()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    async def unless_stopped(self, work: Awaitable[T]) -> T:
        """Await ``work``, or raise CancelledError as soon as a stop is asked for."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                task.cancel()
                raise asyncio.CancelledError
            return task.result()
        finally:
            stop.cancel()

    async def start(self, part: Part) -> None:
        """Start one part and watch it from now on; returns when it was started, not yet ready.

        Raises StartError or EmbeddedKafkaError when it cannot be prepared.
        """
        await self.unless_stopped(in_thread(part.prepare))
        self.parts.append(part)
        self._launch(part)
        self._watchers[id(part)] = asyncio.create_task(self._watch(part))

    async def wait_ready(
        self, parts: Iterable[Part], *, each: Callable[[float], Awaitable[None]] | None = None
    ) -> None:
        """Wait until all of them work. ``each`` is awaited now and then with the seconds so far.

        Raises StartError when a part says that it was called wrongly.
        """
        waiting, begin = list(parts), time.monotonic()
        while True:
            if self.fatal is not None:
                raise StartError(self.fatal)
            waiting = [p for p in waiting if not p.ready]
            if not waiting:
                return
            if each is not None:
                await self.unless_stopped(each(time.monotonic() - begin))
            await self.unless_stopped(asyncio.sleep(self._poll))

    async def run_until_stopped(self) -> None:
        """Sleep until a stop is asked for or a part cannot go on; the watchers do the work."""
        while not self._stop.is_set() and self.fatal is None:
            await asyncio.wait({asyncio.ensure_future(self._stop.wait())}, timeout=1.0)

    async def stop(self) -> None:
        """Stop every part, stage by stage; what does not end in its grace is killed."""
        self._stop.set()
        for watcher in self._watchers.values():
            watcher.cancel()
        await asyncio.gather(*self._watchers.values(), return_exceptions=True)
        deadline = time.monotonic() + STOP_SECONDS
        for stage in sorted({p.stage for p in self.parts}):
            group = [p for p in self.parts if p.stage == stage and p.process.running]
            left = max(1.0, deadline - time.monotonic())
            await asyncio.gather(*(self._stop_part(p, min(p.grace, left)) for p in group))

    async def _stop_part(self, part: Part, grace: float) -> None:
        grace = 0.0 if self._hurry else grace
        code = await in_thread(lambda: part.process.stop(grace))
        if code == -signal.SIGKILL:
            self._say(f"{part.service} did not stop within {grace:.0f} s and was killed")

    def _launch(self, part: Part) -> None:
        # In this thread, which lives as long as the system: children are tied to it.
        part.process.start()
        part.started_at = time.monotonic()
        part.starts += 1

    async def _watch(self, part: Part) -> None:
        while True:
            try:
                await self._see_ready(part)
                while part.process.running:
                    await asyncio.sleep(self._poll)
                    part.process.trim_log()
            except EmbeddedKafkaError as error:
                if part.process.running:
                    await in_thread(part.process.kill)
                if part.starts == 1:
                    self.fatal = str(error)
                    return
                self._say(str(error))
            wait = self._explain_end(part)
            if self.fatal is not None:
                return
            await asyncio.sleep(wait)
            await self._start_again(part)

    async def _see_ready(self, part: Part) -> None:
        """Until the part works or has ended; one that hangs is killed."""
        while part.process.running and not part.ready:
            if await in_thread(part.check):
                part.ready = True
                if part.starts > 1:
                    self._say(f"{part.service} works again (process {part.process.pid})")
                    self._changed()
                return
            if time.monotonic() > part.deadline:
                waited = time.monotonic() - part.started_at
                self._say(f"{part.service} did not work within {waited:.0f} s and is killed")
                await in_thread(part.process.kill)
                return
            await asyncio.sleep(self._poll)

    def _explain_end(self, part: Part) -> float:
        code = part.process.exit_code
        tail = "\n".join(f"    {line}" for line in part.process.tail(8)) or "    (nothing)"
        if code == USAGE_ERROR and part.starts == 1:
            self.fatal = f"{part.service} cannot be started as it was called:\n{tail}"
            return 0.0
        wait = part.failed(time.monotonic())
        how = (
            f"was killed by signal {-code}"
            if code is not None and code < 0
            else f"ended with code {code}"
        )
        if part.looping:
            self._say(
                f"{part.service} {how}, {part.failures} times in a row; next try in {wait:.0f} s. "
                f"The end of {part.process.log}:\n{tail}"
            )
        else:
            self._say(f"{part.service} {how}; starting it again in {wait:g} s")
        return wait

    async def _start_again(self, part: Part) -> None:
        told = ""
        while True:
            try:
                await in_thread(part.prepare)
                self._launch(part)
                return
            except (StartError, EmbeddedKafkaError, OSError) as error:
                # Nothing was started, so trying is cheap; the reason may go away any moment.
                wait = min(part.failed(time.monotonic()), PREPARE_WAIT)
                if str(error) != told:
                    told = str(error)
                    self._say(f"{part.service} cannot be started again, still trying: {told}")
                await asyncio.sleep(wait)
