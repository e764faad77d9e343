"""Tables of the windows and stocks asked for last, each with every change there has been.

A change is only noted when it comes. It is added when a table is asked for, together with all that
came since: what many small flushes bring is sorted once for all tables of a topic, not once for
each of them, and a table that nobody asks for any more costs nothing.

Most windows end now, and every ten seconds that is another window. Its table is that of the one
before, less the panes that are no longer in it, and with those that have come.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from services.core.contributions import PANE_MS, STOCK
from services.core.panes import NO_CELLS, Block, Cells, Delta, Ints, merge

#: Tables of windows that are kept, of one topic.
KEPT = 32
#: Cells that may be noted; then every table gets them.
NOTED_CELLS = 500_000
#: A table that was not asked for while that happened so often is dropped.
PATIENCE = 16


#: The cells of panes that start in [start, end) ms, in any order; None where such panes are no
#: longer kept.
Runs = Callable[[int, int], list[Cells] | None]


class _Table:
    """A block with all changes noted before ``seen``; ``unasked`` is counted up to PATIENCE."""

    __slots__ = ("block", "seen", "unasked")

    def __init__(self, block: Block, seen: int) -> None:
        self.block = block
        self.seen = seen
        self.unasked = 0


class _Changes:
    """Some changes as one, and the parts of it that tables want."""

    def __init__(self, changes: list[Delta]) -> None:
        columns = [np.concatenate(column) for column in zip(*changes, strict=True)]
        self._stock = columns[0] == STOCK
        self._all = Delta(*columns)
        self._starts = columns[0] * PANE_MS

    def _part(self, mask: Ints) -> Cells:
        _, codes, n, s = self._all
        return merge([Cells(codes[mask], n[mask], s[mask])])

    @cached_property
    def stocks(self) -> Cells:
        """What is true now."""
        return self._part(self._stock)

    @cached_property
    def _past(self) -> tuple[Cells, int, int]:
        """All that is in panes, and the start of the first and the last of them (ms)."""
        mask = ~self._stock
        if not mask.any():
            return NO_CELLS, 0, 0
        starts = self._starts[mask]
        return self._part(mask), int(starts.min()), int(starts.max())

    def within(self, start: int, end: int) -> Cells:
        """What is in panes that start in [start, end) ms."""
        past, first, last = self._past
        if not past.codes.size or (start <= first and last < end):
            return past
        if last < start or end <= first:
            return NO_CELLS
        return self._part(~self._stock & (self._starts >= start) & (self._starts < end))


class _Noted(NamedTuple):
    """Changes that some table lacks, and those since a place in them as one."""

    changes: list[Delta]
    since: dict[int, _Changes]


class Tables:
    """The tables of one topic, over all its partitions."""

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[int, int], _Table] = OrderedDict()
        self._stocks: _Table | None = None
        self._noted = _Noted([], {})
        self._cells = 0

    def clear(self) -> None:
        """Forget every table: what they were made of has changed."""
        self.__init__()  # type: ignore[misc]  # begins anew

    def note(self, change: Delta) -> None:
        """A change of the panes, which have it already."""
        if not change.panes.size or not (self._windows or self._stocks):
            return
        self._noted.changes.append(change)
        self._noted.since.clear()
        self._cells += change.panes.size
        if self._cells > NOTED_CELLS:
            self._settle()

    def window(self, start: int, end: int, runs: Runs) -> Block:
        """The cells of panes that start in [start, end) ms; ``runs`` gives them from the panes.

        Raises LookupError where those panes are no longer kept.
        """
        key = (start, end)
        table = self._windows.get(key)
        if table is None:
            block = self._moved(start, end, runs)
            if block is None:
                found = runs(start, end)
                if found is None:
                    raise LookupError(key)
                block = Block(merge(found))
            self._windows[key] = _Table(block, len(self._noted.changes))
            while len(self._windows) > KEPT:
                self._windows.popitem(last=False)
            return block
        self._windows.move_to_end(key)
        table.unasked = 0
        self._catch_up(key, table)
        return table.block

    def _moved(self, start: int, end: int, runs: Runs) -> Block | None:
        """The table of an earlier window as long, or from the same start, moved on to this one."""
        for (first, last), table in reversed(self._windows.items()):
            alike = first == start or last - first == end - start
            if alike and first <= start < last <= end:
                gone, come = runs(first, start), runs(last, end)
                if gone is None or come is None:
                    continue
                self._catch_up((first, last), table)
                block = table.block.copy()
                change = merge([*(_less(run) for run in gone), *come])
                if change.codes.size:
                    block.add(change)
                return block
        return None

    def _catch_up(self, key: tuple[int, int], table: _Table) -> None:
        if changes := self._since(table):
            table.block.add(changes.within(*key))

    def stocks(self, runs: Callable[[], list[Cells]]) -> Block:
        """The cells of what is true now; ``runs`` gives them from the panes."""
        table = self._stocks
        if table is None:
            table = self._stocks = _Table(Block(merge(runs())), len(self._noted.changes))
        elif changes := self._since(table):
            table.block.add(changes.stocks)
        return table.block

    def _since(self, table: _Table) -> _Changes | None:
        """What the table lacks, as one; the caller adds it."""
        changes, since = self._noted
        seen, table.seen = table.seen, len(changes)
        if seen == len(changes):
            return None
        if seen not in since:
            since[seen] = _Changes(changes[seen:])
        return since[seen]

    def _settle(self) -> None:
        """Let go of what is noted: every table gets it, but for those nobody asks for.

        Merging them all at once would keep everybody waiting: it is done where each is asked for.
        """
        for key, table in list(self._windows.items()):
            table.unasked += 1
            if table.unasked > PATIENCE:
                del self._windows[key]
            elif changes := self._since(table):
                table.block.append(changes.within(*key))
            table.seen = 0
        if self._stocks:
            if changes := self._since(self._stocks):
                self._stocks.block.append(changes.stocks)
            self._stocks.seen = 0
        self._noted = _Noted([], {})
        self._cells = 0


def _less(run: Cells) -> Cells:
    """What takes a run away."""
    return Cells(run.codes, -run.n, -run.s)
