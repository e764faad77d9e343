"""How far something is: a bar on a terminal, a line every few seconds elsewhere, on stderr."""

import sys
import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from services.replay.options import show

_BAR_SECONDS = 0.2
_LINE_SECONDS = 5.0
#: The rate is that of about the last so many seconds.
_SMOOTH_SECONDS = 3.0


def clock_text(seconds: float | None) -> str:
    """A duration as h:mm:ss; unknown as dashes."""
    if seconds is None:
        return "-:--:--"
    whole = int(seconds)
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


class Bar:
    """Shows records, rate, event time and the time that is left."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._console = Console(stderr=True)
        self._terminal = self._console.is_terminal
        self._live: Live | None = None
        self._began = time.monotonic()
        self._shown = 0.0
        self._marks: list[tuple[float, int]] = []

    def __enter__(self) -> Self:
        if self._terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def due(self) -> bool:
        """It is time to show something: asking costs less than showing."""
        every = _BAR_SECONDS if self._terminal else _LINE_SECONDS
        return time.monotonic() - self._shown >= every

    def show(
        self,
        count: int,
        share: float | None,
        event_time: int | None,
        *,
        left: float | None = None,
        note: str = "",
    ) -> None:
        """``share`` of all from 0 to 1, None when nobody knows; ``left`` in seconds, if better."""
        if not self.due:
            return
        now = time.monotonic()
        if not self._shown and not self._terminal:
            self._shown = now
            self._marks = [(now, count)]
            return
        self._shown = now
        rate = self._rate(now, count)
        if left is None and share:
            left = (now - self._began) * (1 - share) / share
        line = f"{count:,} records  {rate:,.0f}/s  {show(event_time)}  "
        line += f"left {clock_text(left)}" + (f"  {note}" if note else "")
        if self._live is None:
            percent = "" if share is None else f"{share:.0%}  "
            sys.stderr.write(f"{self._what} {percent}{line}\n")
            sys.stderr.flush()
            return
        table = Table.grid(padding=(0, 1))
        row: list[Any] = [self._what]
        if share is not None:
            row += [ProgressBar(total=1.0, completed=share, width=30), f"{share:4.0%}"]
        table.add_row(*row, line)
        self._live.update(table, refresh=True)

    def _rate(self, now: float, count: int) -> float:
        self._marks.append((now, count))
        while len(self._marks) > 2 and now - self._marks[0][0] > _SMOOTH_SECONDS:
            self._marks.pop(0)
        (then, before), (at, there) = self._marks[0], self._marks[-1]
        return (there - before) / (at - then) if at > then else 0.0
