"""Joint cells by pane: the additive store behind every windowed KPI and every stock.

A cell is ``code -> (n, s)`` in a pane of a level; panes of 10 s, 1 min, 1 h and one local day are
kept for as long as contract section 4 promises (plus the slack that lets any promised boundary be
put together from them). Cells are only ever added to, so a block is a short list of sorted runs
that are merged when they have grown: nothing is looked up in the hot path.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from services.core import sums
from services.core.calendar_day import DAY_MS, OFFSET_MS
from services.core.contributions import PANE_MS, STOCK

Ints = sums.Ints

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


class Level(NamedTuple):
    """A pane length: panes of ``size`` ms start at multiples of it, shifted back by ``offset``.

    ``promised`` ms back from the clock a boundary may lie; ``kept`` is how long panes stay. The
    cells of a pane are in ``parts`` (a power of two) by their codes, each in a slot of its own: a
    flush carries a slot, and one with a day of a busy province in it would hold everybody up.
    """

    size: int
    offset: int
    promised: int
    kept: int
    parts: int


LEVELS = (
    Level(PANE_MS, 0, 3 * HOUR_MS, 3 * HOUR_MS + 2 * MINUTE_MS, 1),
    Level(MINUTE_MS, 0, 27 * HOUR_MS, 28 * HOUR_MS + MINUTE_MS, 8),
    Level(HOUR_MS, 0, 40 * DAY_MS, 41 * DAY_MS + HOUR_MS, 16),
    Level(DAY_MS, OFFSET_MS, 400 * DAY_MS, 401 * DAY_MS, 16),
)
#: The level of what is true now: no panes, spread over the slots by code.
STOCK_LEVEL = len(LEVELS)
SLOTS = 256
#: A flush touches hundreds of panes with a few cells each, which nobody asks for meanwhile.
_LOOSE = 8
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class Cells(NamedTuple):
    """Parallel arrays: sorted codes, counts and sums."""

    codes: Ints
    n: Ints
    s: Ints

    def within(self, bounds: Ints) -> "Iterator[Cells]":
        """The cells of some ranges of codes, not copied.

        ``bounds``: from, up to before, from, up to before, … in order.
        """
        places = np.searchsorted(self.codes, bounds).tolist()
        for a, b in zip(places[::2], places[1::2], strict=True):
            if a < b:
                yield Cells(self.codes[a:b], self.n[a:b], self.s[a:b])


#: A part of a pane as the ring carries it: level, index times parts plus the part, and the three
#: columns as little-endian int64.
Packed = tuple[int, int, bytes, bytes, bytes]

_EMPTY = np.empty(0, dtype=np.int64)
NO_CELLS = Cells(_EMPTY, _EMPTY, _EMPTY)


def merge(runs: Iterable[Cells]) -> Cells:
    """One sorted run with a cell per code; cells that came to nothing are left out."""
    return Cells(*sums.merged([r for r in runs if r.codes.size]))


def gather(runs: Iterable[Cells]) -> Cells:
    """The cells of several runs, one run behind the other: a code may appear more than once."""
    parts = [run for run in runs if run.codes.size]
    if len(parts) > 1:
        return Cells(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return parts[0] if parts else NO_CELLS


class Block:
    """The cells of one pane (or of one window): runs, each at least twice as long as the next
    (but for the loose ones at the end).

    So a cell is merged as often as the number of runs, which is the logarithm of their sizes, and
    the first run, nearly all of the block, stays the same for long.
    """

    __slots__ = ("_loose", "_merged", "runs")

    def __init__(self, run: Cells | None = None) -> None:
        self.runs: list[Cells] = [] if run is None else [run]
        #: There is one run, with one cell for each code.
        self._merged = False
        #: Runs at the end that are not yet in order of length.
        self._loose = 0

    def add(self, run: Cells, loose: int = 1) -> None:
        """Add a run in order of its codes, of which one may stand in it twice.

        So many ``loose`` runs gather before they are merged: more is quicker, where nobody reads.
        """
        runs = self.runs
        runs.append(run)
        self._merged = False
        self._loose += 1
        if self._loose < loose:
            return
        first = len(runs) - self._loose
        self._loose = 0
        size = sum(each.codes.size for each in runs[first:])
        while first and runs[first - 1].codes.size < 2 * size:
            first -= 1
            size += runs[first].codes.size
        if first < len(runs) - 1:
            runs[first:] = [merge(runs[first:])]
            self._merged = first == 0

    def copy(self) -> "Block":
        """Another block of the same cells; what is added to the one is not in the other."""
        other = Block()
        other.runs, other._merged = self.runs.copy(), self._merged
        other._loose = self._loose
        return other

    def compact(self) -> Cells:
        """Merge all runs into one and return it."""
        if not self._merged:
            self.runs = [merge(self.runs)]
            self._merged, self._loose = True, 0
        return self.runs[0]


class Delta(NamedTuple):
    """A change: cells with the 10-second pane of each (``STOCK`` for what is true now)."""

    panes: Ints
    codes: Ints
    n: Ints
    s: Ints


def _sorted(codes: Ints, n: Ints, s: Ints) -> Cells:
    order = np.argsort(codes, kind="stable")
    return Cells(codes[order], n[order], s[order])


def _spread(codes: Ints) -> Ints:
    """A number below 256 for each code, evenly."""
    return (codes.astype(np.uint64) * _SPREAD >> np.uint64(56)).astype(np.int64)


def slot_of(level: int, index: int) -> int:
    """The slot of the ring that carries a block (of the index that :data:`Packed` has)."""
    return (index + 61 * level) % SLOTS


def by_pane(panes: Ints, codes: Ints, n: Ints, s: Ints) -> Iterator[tuple[int, Cells]]:
    """Split parallel arrays by pane, each part as a sorted run."""
    if panes.size == 0:
        return
    if panes[0] == panes[-1] and (panes == panes[0]).all():
        yield int(panes[0]), _sorted(codes, n, s)
        return
    order = np.lexsort((codes, panes))
    panes, codes, n, s = panes[order], codes[order], n[order], s[order]
    cuts = np.flatnonzero(panes[1:] != panes[:-1]) + 1
    starts = [0, *cuts.tolist()]
    ends = [*starts[1:], panes.size]
    for pane, start, end in zip(panes[starts].tolist(), starts, ends, strict=True):
        yield pane, Cells(codes[start:end], n[start:end], s[start:end])


class Store(Protocol):
    """All panes of one source partition; :class:`PaneStore` says what each method does."""

    def add(self, delta: Delta, clock: int) -> None: ...
    def expire(self, clock: int) -> None: ...
    def tidy(self, slot: int) -> None: ...
    def packed_slice(self, slot: int) -> list[Packed]: ...
    def replace_packed_slice(self, slot: int, blocks: Iterable[Packed]) -> None: ...
    def runs(self, level: int, first: int, end: int) -> list[Cells]: ...


class PaneStore:
    """All blocks of one source partition, spread over the slots of the ring."""

    def __init__(self) -> None:
        self._slots: list[dict[tuple[int, int], Block]] = [{} for _ in range(SLOTS)]
        self._expired_at = -1

    def runs(self, level: int, first: int, end: int) -> list[Cells]:
        """The cells of the panes [first, end) of a level, in no order, as sorted runs or one
        unsorted. A pane's index is its start plus the level's offset, divided by its size."""
        out: list[Cells] = []
        parts = 1 if level == STOCK_LEVEL else LEVELS[level].parts
        for index in range(first * parts, end * parts):
            block = self._slots[slot_of(level, index)].get((level, index))
            if block is not None:
                out += block.runs
        return out

    def add(self, delta: Delta, clock: int) -> None:
        """Add a change at every level whose pane is still kept at ``clock`` (ms)."""
        panes = delta.panes
        if panes.size == 0:
            return
        now = panes == STOCK
        if now.any():
            codes = delta.codes[now]
            for index, run in by_pane(_spread(codes), codes, delta.n[now], delta.s[now]):
                self._add(STOCK_LEVEL, index, run)
            keep = ~now
            delta = Delta(panes[keep], delta.codes[keep], delta.n[keep], delta.s[keep])
            panes = delta.panes
        for number, level in enumerate(LEVELS):
            indices = (panes * PANE_MS + level.offset) // level.size
            oldest = _oldest(level, clock)
            codes, n, s = delta.codes, delta.n, delta.s
            if panes.size and indices.min() < oldest:
                keep = indices >= oldest
                indices, codes, n, s = indices[keep], codes[keep], n[keep], s[keep]
            blocks = indices * level.parts + _spread(codes) % level.parts
            for index, run in by_pane(blocks, codes, n, s):
                self._add(number, index, run)

    def _add(self, level: int, index: int, run: Cells) -> None:
        blocks = self._slots[slot_of(level, index)]
        block = blocks.get((level, index))
        if block is None:
            blocks[level, index] = Block(run)
        else:
            block.add(run, _LOOSE)

    def expire(self, clock: int) -> None:
        """Drop the panes that are no longer kept at ``clock`` (ms); cheap to call often."""
        tick = clock // PANE_MS
        if tick == self._expired_at:
            return
        self._expired_at = tick
        oldest = [_oldest(level, clock) * level.parts for level in LEVELS]
        for blocks in self._slots:
            gone = [k for k in blocks if k[0] < STOCK_LEVEL and k[1] < oldest[k[0]]]
            for key in gone:
                del blocks[key]

    def tidy(self, slot: int) -> None:
        """Leave one cell for each code in the blocks of one slot, and no empty block.

        Changes that take each other away go on taking memory until somebody does this.
        """
        blocks = self._slots[slot]
        for key in [key for key, block in blocks.items() if not block.compact().codes.size]:
            del blocks[key]

    def packed_slice(self, slot: int) -> list[Packed]:
        """All blocks of one slot, tidied."""
        self.tidy(slot)
        out: list[Packed] = []
        for key, block in self._slots[slot].items():
            codes, n, s = block.compact()
            out.append((*key, codes.tobytes(), n.tobytes(), s.tobytes()))
        return out

    def replace_packed_slice(self, slot: int, blocks: Iterable[Packed]) -> None:
        """Put the blocks of one slot in place of what is there."""
        self._slots[slot] = {
            (level, index): Block(Cells(*(np.frombuffer(c, dtype="<i8") for c in columns)))
            for level, index, *columns in blocks
        }


def _oldest(level: Level, clock: int) -> int:
    """The oldest pane index that is kept at a level."""
    return (clock - level.kept + level.offset) // level.size


def boundary_kept(at: int, clock: int) -> int | None:
    """The finest level that has a promised pane boundary at an instant (ms), or None."""
    for number, level in enumerate(LEVELS):
        if (at + level.offset) % level.size == 0 and at >= clock - level.promised:
            return number
    return None


def cover(start: int, end: int, clock: int) -> list[tuple[int, int, int]] | None:
    """The panes that make up [start, end) ms, as (level, first index, last index + 1) ranges.

    Coarse panes are taken where they fit. None where a boundary is no longer (or never was) one of
    a kept pane.
    """
    if start >= end:
        return []
    if boundary_kept(start, clock) is None or boundary_kept(end, clock) is None:
        return None
    out: list[tuple[int, int, int]] = []
    if _cover(start, end, clock, len(LEVELS) - 1, out):
        return out
    return None


def _cover(start: int, end: int, clock: int, number: int, out: list[tuple[int, int, int]]) -> bool:
    if start >= end:
        return True
    if number < 0:
        return False
    level = LEVELS[number]
    first = -(-(start + level.offset) // level.size)
    last = (end + level.offset) // level.size
    if first >= last or first < _oldest(level, clock):
        return _cover(start, end, clock, number - 1, out)
    out.append((number, first, last))
    return _cover(start, first * level.size - level.offset, clock, number - 1, out) and _cover(
        last * level.size - level.offset, end, clock, number - 1, out
    )
