"""Keys of the person in front of a replay: p or space pauses and goes on, s makes one step."""

import os
import select
import sys
import termios
import threading
import tty
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Literal, Self

Key = Literal["toggle", "step"]
MEANINGS: dict[str, Key] = {"p": "toggle", " ": "toggle", "s": "step"}


class Keyboard:
    """Listens while it is entered, when standard input is a terminal; else it hears nothing."""

    def __init__(self) -> None:
        self._heard: SimpleQueue[Key] = SimpleQueue()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._before: list[object] | None = None

    @property
    def listening(self) -> bool:
        """Somebody can press keys."""
        return self._thread is not None

    def __enter__(self) -> Self:
        try:
            handle = sys.stdin.fileno()
            if not os.isatty(handle) or os.tcgetpgrp(handle) != os.getpgrp():
                return self
            self._before = termios.tcgetattr(handle)
            # Keys one by one and unseen; Ctrl-C stays what it is.
            tty.setcbreak(handle, termios.TCSANOW)
        except (OSError, ValueError, termios.error):
            return self
        self._thread = threading.Thread(target=self._listen, args=(handle,), daemon=True)
        self._thread.start()
        return self

    def _listen(self, handle: int) -> None:
        while not self._over.is_set():
            ready, _, _ = select.select([handle], [], [], 0.1)
            if not ready:
                continue
            for letter in os.read(handle, 64).decode("ascii", "ignore").lower():
                if letter in MEANINGS:
                    self._heard.put(MEANINGS[letter])

    def pressed(self) -> list[Key]:
        """What was pressed since the last time."""
        found: list[Key] = []
        while True:
            try:
                found.append(self._heard.get_nowait())
            except Empty:
                return found

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(2)
        if self._before is not None:
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, self._before)  # type: ignore[arg-type]  # what tcgetattr gave
