"""A whole system of one's own: `ioc up` as a child, on ports that nobody else has.

For whatever needs a centre for a while and must leave nothing behind: a replay, a rehearsal, a load
test, a chaos run. The child is stopped in order at the end, and killed with all its parts when it
does not stop.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO, Any, Self, cast

from services.runtime.http_view import HttpView
from services.runtime.ports import claim_block
from services.runtime.process import GUARD

#: It takes ten seconds, but the machine may be busy with other things.
START_SECONDS = 90.0
STOP_SECONDS = 60.0


class OwnSystemError(Exception):
    """The system did not come up, or ended by itself; the message has what it said."""


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """While things are put away a second Ctrl-C is not heard; from the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class OwnSystem:
    """A running ``ioc up --json``; ``line`` is the newest that it printed, ``base`` its first port.

    Without simulated sources and without a past, if ``sources`` does not say otherwise. ``folder``
    is its data directory, which stays. Raises OwnSystemError when it is not up in time.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        clock: str = "wall",
        namespace: str = "",
        sources: Sequence[str] = ("--no-produce", "--no-history"),
        environment: Mapping[str, str] | None = None,
        patience: float = START_SECONDS,
    ) -> None:
        self.folder = folder
        self.base = claim_block()
        self.namespace = namespace
        self.arguments = (
            *sources,
            f"--port-base={self.base}",
            f"--data-dir={folder}",
            *((f"--namespace={namespace}",) if namespace else ()),
            *arguments,
        )
        self._lines: SimpleQueue[str] = SimpleQueue()
        #: What it told people, line by line.
        self.said: list[str] = []
        self.process = subprocess.Popen(
            # Whatever happens to this process, the system ends with it.
            [
                *(sys.executable, str(GUARD), str(os.getpid())),
                *(sys.executable, "-m", "services.cli", "up", "--json", *self.arguments),
            ],
            env=os.environ | {"IOC_CLOCK": clock} | dict(environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C goes to the command that owns the system: it stops the system when it is done.
            process_group=0,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, keep), daemon=True)
            for pipe, keep in (
                (self.process.stdout, self._lines.put),
                (self.process.stderr, self.said.append),
            )
        ]
        for reader in self._readers:
            reader.start()
        try:
            self.line = self.next_line(patience)
        except BaseException:
            self.abandon()
            raise
        self.view = HttpView(self.line["view"])

    @staticmethod
    def _read(pipe: IO[str] | None, keep: Callable[[str], None]) -> None:
        if pipe is None:
            return
        with pipe:
            for line in pipe:
                keep(line)
        keep("")

    def next_line(self, seconds: float = 60.0) -> dict[str, Any]:
        """The next line on its standard output, as JSON."""
        try:
            text = self._lines.get(timeout=seconds)
        except Empty:
            raise OwnSystemError(
                f"ioc up printed no line in {seconds:.0f} s: {''.join(self.said)}"
            ) from None
        if not text:
            raise OwnSystemError(f"ioc up ended: {''.join(self.said)}")
        return cast("dict[str, Any]", json.loads(text))

    @property
    def bootstrap(self) -> str:
        """``host:port`` of its Kafka."""
        return cast("str", self.line["kafka"])

    def pids(self) -> list[int]:
        """The processes of all its parts."""
        return [pid for pids in self.line["pids"].values() for pid in pids]

    def stop(self) -> int:
        """SIGTERM, and everything ends in order; the exit code."""
        self.process.terminate()
        code = self.process.wait(STOP_SECONDS)
        for reader in self._readers:
            reader.join(10)
        return code

    def abandon(self) -> None:
        """End it whatever happened; nothing when it has ended already."""
        if self.process.poll() is not None:
            return
        try:
            self.stop()
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            for pid in self.pids() if hasattr(self, "line") else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abandon()


@contextlib.contextmanager
def temporary_system(purpose: str, *arguments: str, **how: Any) -> Iterator[OwnSystem]:
    """An :class:`OwnSystem` in a folder of its own; nothing of either is left afterwards.

    Raises OwnSystemError when it does not come up.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"ioc-{purpose}-"))
    try:
        system = OwnSystem(folder, *arguments, **how)
        try:
            yield system
        finally:
            with undisturbed():
                system.abandon()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
