"""The cells of the windows asked for last, each kept once, with every change there has been.

The starts and ends of windows cut time into segments; a window is the segments between its two. So
a cell of today is in one segment and not in the tables of today, the week, the month and the year,
and what is summed over a segment is summed for all of them. Windows that end now move on every ten
seconds or minute: a new cut takes from a segment the few panes that are beyond it, and a cut that
no window needs any more joins two segments.

A change is noted when it comes and added when somebody asks: what many small flushes bring is
sorted once.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from services.core.contributions import PANE_MS, STOCK
from services.core.panes import Cells, Delta, Ints, merge
from services.core.segments import Segment, Span

#: Windows that are kept, of one topic: the nine that end now, and some of those before them.
KEPT = 24
#: Cells that may be noted before they are added.
NOTED_CELLS = 200_000

#: The cells of panes that start in [start, end) ms, in any order; None where no panes that are
#: still kept begin and end there.
Runs = Callable[[int, int], list[Cells] | None]


class Tables:
    """The segments and the stocks of one topic, over all its partitions."""

    def __init__(self) -> None:
        self._cuts: list[int] = []
        #: The segment from each cut to the next.
        self._segments: list[Segment] = []
        self._windows: OrderedDict[tuple[int, int], None] = OrderedDict()
        #: Counts the changes of the cuts.
        self._shape = 0
        self._stocks: Segment | None = None
        self._noted: list[Delta] = []
        self._cells = 0

    def clear(self) -> None:
        """Forget everything: what it was made of has changed."""
        self.__init__()  # type: ignore[misc]  # begins anew

    def note(self, change: Delta) -> None:
        """A change of the panes, which have it already."""
        if change.panes.size and (self._segments or self._stocks):
            self._noted.append(change)
            self._cells += change.panes.size
            if self._cells > NOTED_CELLS:
                self._settle()

    def window(self, start: int, end: int, runs: Runs) -> Span:
        """The cells of panes that start in [start, end) ms; ``runs`` gives them from the panes.

        Raises LookupError where those panes are no longer kept.
        """
        self._settle()
        key = (start, end)
        if key in self._windows:
            self._windows.move_to_end(key)
        else:
            try:
                self._cut(start, runs)
                self._cut(end, runs)
            except LookupError:
                # Some older cut is at no boundary that is still kept: begin anew with this window.
                self._begin(start, end, runs)
            self._windows[key] = None
            while len(self._windows) > KEPT:
                self._windows.popitem(last=False)
                self._join()
        first, last = (bisect_left(self._cuts, at) for at in key)
        return Span(self._segments[first:last])

    def windows(self, keys: Sequence[tuple[int, int]], runs: Runs) -> list[Span]:
        """Several windows, all cut before the first is given: none takes from another one.

        As :meth:`window`; raises ValueError for more than are kept.
        """
        if len(keys) > KEPT:
            raise ValueError(f"at most {KEPT} windows at a time")
        while True:
            before = self._shape
            spans = [self.window(start, end, runs) for start, end in keys]
            if self._shape == before:
                return spans

    def knows(self, start: int, end: int) -> bool:
        """Whether this very window is kept."""
        return (start, end) in self._windows

    def stocks(self, runs: Callable[[], Iterable[Cells]]) -> Span:
        """The cells of what is true now; ``runs`` gives them from the panes."""
        self._settle()
        if self._stocks is None:
            self._stocks = Segment(merge(runs()))
        return Span([self._stocks])

    # --- segments -------------------------------------------------------------------------------

    def _begin(self, start: int, end: int, runs: Runs) -> None:
        block = _block(runs, start, end)
        self._windows.clear()
        self._cuts, self._segments = [start, end], [block]
        self._shape += 1

    def _cut(self, at: int, runs: Runs) -> None:
        """Have a cut at an instant (ms). Raises LookupError where the panes do not give it."""
        cuts, segments = self._cuts, self._segments
        place = bisect_left(cuts, at)
        if not cuts:
            cuts.append(at)
        elif place == len(cuts):
            segments.append(_block(runs, cuts[-1], at))
            cuts.append(at)
        elif cuts[place] == at:
            return
        elif place == 0:
            segments.insert(0, _block(runs, at, cuts[0]))
            cuts.insert(0, at)
        else:
            self._split(place - 1, at, runs)
        self._shape += 1

    def _split(self, number: int, at: int, runs: Runs) -> None:
        """Cut a segment in two: the shorter part comes from the panes, the longer one keeps."""
        start, end = self._cuts[number : number + 2]
        sides = [(at - start, start, at), (end - at, at, end)]
        for _, first, last in sorted(sides):
            found = runs(first, last)
            if found is not None:
                break
        else:
            raise LookupError(at)
        part, rest = merge(found), self._segments[number]
        if part.codes.size:
            rest.add(Cells(part.codes, -part.n, -part.s))
        self._segments.insert(number + (last == end), Segment(part))
        self._cuts.insert(number + 1, at)

    def _join(self) -> None:
        """Join what no window keeps apart, and drop what is in none."""
        needed = {at for key in self._windows for at in key}
        for place in range(len(self._cuts) - 1, -1, -1):
            if self._cuts[place] in needed:
                continue
            del self._cuts[place]
            self._shape += 1
            if place == len(self._segments):
                del self._segments[place - 1 :]
            elif place == 0:
                del self._segments[0]
            else:
                smaller, larger = sorted(self._segments[place - 1 : place + 1], key=_size)
                for run in smaller.runs:
                    larger.add(run)
                self._segments[place - 1 : place + 1] = [larger]

    # --- changes --------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Add what is noted to the segments it is in."""
        if not self._noted:
            return
        panes, *columns = (np.concatenate(column) for column in zip(*self._noted, strict=True))
        self._noted, self._cells = [], 0
        now = panes == STOCK
        if self._stocks is not None:
            _add(self._stocks, now, *columns)
        if self._segments:
            starts = panes * PANE_MS
            starts[now] = self._cuts[0] - 1
            places = np.searchsorted(self._cuts, starts, "right") - 1
            for place, segment in enumerate(self._segments):
                _add(segment, places == place, *columns)


def _block(runs: Runs, start: int, end: int) -> Segment:
    found = runs(start, end)
    if found is None:
        raise LookupError(start, end)
    return Segment(merge(found))


def _add(segment: Segment, mask: Ints, codes: Ints, n: Ints, s: Ints) -> None:
    if mask.any():
        segment.add(merge([Cells(codes[mask], n[mask], s[mask])]))


def _size(segment: Segment) -> int:
    return segment.size
