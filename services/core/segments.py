"""A stretch of cells whose sums move with its changes.

Who watches a number asks the same sum again and again while the cells behind it grow by a
thousandth at a time. A sum is kept with the place in the log of additions up to which it counts;
what was added since is summed and added to it. All that is summed is additive (counts and sums of
whole numbers), so this is exact, in whatever order runs are merged meanwhile.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from services.core.panes import Block, Cells, Ints, gather

#: The numbers that all kept sums of a segment may have, beside one for each cell.
KEPT_NUMBERS = 1 << 18
#: Additions that are kept of a segment of few cells.
KEPT_ADDED = 1 << 14

#: Sums of cells, as an array of any shape: of cells that are none of the others, the sums of both
#: together are the sum of both.
Fold = Callable[[Cells], Ints]


class _Kept(NamedTuple):
    """A sum over all that was added before the addition of this number."""

    until: int
    sums: Ints


class _Memory:
    """The kept sums of a segment by name, those asked for last at the end."""

    def __init__(self) -> None:
        self._sums: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._sums)

    def get(self, name: Hashable) -> _Kept | None:
        found = self._sums.get(name)
        if found is not None:
            self._sums.move_to_end(name)
        return found

    def put(self, name: Hashable, kept: _Kept, allowed: int) -> None:
        before = self._sums.pop(name, None)
        self._numbers += kept.sums.size - (before.sums.size if before is not None else 0)
        self._sums[name] = kept
        while self._numbers > allowed:
            _, old = self._sums.popitem(last=False)
            self._numbers -= old.sums.size


class Segment:
    """Cells, what was added to them last, and sums over them."""

    def __init__(self, run: Cells | None = None) -> None:
        self._block = Block(run)
        self.size = 0 if run is None else run.codes.size
        self._memory = _Memory()
        #: Additions in order, as far as a kept sum may need them; the number of the first of them.
        self._added: deque[Cells] = deque()
        self._first = 0
        self._added_cells = 0

    @property
    def runs(self) -> list[Cells]:
        """The cells, in runs in order of their codes."""
        return self._block.runs

    def add(self, run: Cells) -> None:
        """Add a run in order of its codes, of which one may stand in it twice."""
        self._block.add(run)
        self.size = sum(each.codes.size for each in self._block.runs)
        self._added.append(run)
        self._added_cells += run.codes.size
        # Beyond half of the cells it is as quick to sum them all.
        allowed = max(KEPT_ADDED, self.size // 2) if len(self._memory) else 0
        while self._added_cells > allowed:
            self._added_cells -= self._added.popleft().codes.size
            self._first += 1

    def snapshot(self) -> "Segment":
        """These cells as they are now, whatever is added later. Kept sums are common to both."""
        other = Segment()
        other._block, other.size = self._block.copy(), self.size
        other._memory, other._added = self._memory, self._added.copy()
        other._first, other._added_cells = self._first, self._added_cells
        return other

    def parts(self, bounds: Ints) -> Iterator[Cells]:
        """The cells of some ranges of codes (see :meth:`Cells.within`), run by run."""
        return _within(self._block.runs, bounds)

    def keeps(self, numbers: int) -> bool:
        """Whether a sum of so many numbers is worth keeping: it is less than what it is made of."""
        return numbers <= self.size

    def sums(self, name: Hashable, bounds: Ints, fold: Fold) -> Ints:
        """What ``fold`` makes of the cells of some ranges of codes; ``name`` tells it and the
        ranges from all others. Not to be written to."""
        kept = self._memory.get(name)
        until = self._first + len(self._added)
        if kept is None or not self._first <= kept.until <= until:
            found = fold(gather(self.parts(bounds)))
        elif kept.until == until:
            return kept.sums
        else:
            since = islice(self._added, kept.until - self._first, None)
            found = kept.sums + fold(gather(_within(since, bounds)))
        if kept is None or kept.until < until:
            self._memory.put(name, _Kept(until, found), KEPT_NUMBERS + self.size)
        return found


class Span(NamedTuple):
    """The cells of a window: its segments. They are as they were until somebody asks again."""

    segments: list[Segment]

    def select(self, bounds: Ints) -> Cells:
        """The cells of some ranges of codes (see ``Cells.within``); a code may appear twice."""
        return gather(part for segment in self.segments for part in segment.parts(bounds))

    def sums(self, name: Hashable, bounds: Ints, fold: Fold, numbers: int) -> Ints:
        """As :meth:`Segment.sums`, of all segments; ``numbers`` is the size of what fold makes."""
        keeping = [segment for segment in self.segments if segment.keeps(numbers)]
        others = (each for each in self.segments if not each.keeps(numbers))
        rest = gather(part for each in others for part in each.parts(bounds))
        if rest.codes.size or not keeping:
            found = fold(rest)
        else:
            found = keeping.pop().sums(name, bounds, fold)
        for segment in keeping:
            found = found + segment.sums(name, bounds, fold)
        return found


def _within(runs: Iterable[Cells], bounds: Ints) -> Iterator[Cells]:
    return (part for run in runs for part in run.within(bounds))
