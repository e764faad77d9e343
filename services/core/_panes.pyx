# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, binding=False
"""The compiled store of joint cells: services.core.panes.PaneStore in C, for a worker's flushes.

A change is appended to its pane at every level that is still kept; a pane is sorted when its slice
is written, or before it would grow. What it gives is the same, to the last byte and in the same
order, as what the pure store gives.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free, malloc, qsort, realloc

import numpy as np

from services.core import panes
from services.core.contributions import PANE_MS as _PANE_MS
from services.core.contributions import STOCK as _STOCK

cdef extern from "_rows.h":
    ctypedef struct Row:
        int64_t code, n, s
    ctypedef struct Pane:
        int64_t index
        int32_t level, slot
        Row *rows
        size_t sorted, count, capacity
    ctypedef struct PaneTable:
        Pane **places
        size_t mask, count
    bint pane_compact(Pane *) noexcept
    bint pane_reserve(Pane *, size_t) noexcept
    bint pane_add(Pane *, int64_t, int64_t, int64_t) noexcept
    void pane_free(Pane *) noexcept
    Pane *panes_find(const PaneTable *, int32_t, int64_t) noexcept
    Pane *panes_make(PaneTable *, int32_t, int64_t, int32_t) noexcept
    void panes_remove(PaneTable *, const Pane *) noexcept

cdef enum:
    LEVELS = 4
    SLOTS = 256
    MOST_PARTS = 16

cdef int64_t PANE_MS = _PANE_MS, STOCK = _STOCK
cdef uint64_t SPREAD = <uint64_t>int(panes._SPREAD)
cdef int64_t SIZE[LEVELS]
cdef int64_t OFFSET[LEVELS]
cdef int64_t PARTS[LEVELS]
if len(panes.LEVELS) != LEVELS or panes.SLOTS != SLOTS or panes.STOCK_LEVEL != LEVELS:
    raise ImportError("the panes changed")
for _number, _level in enumerate(panes.LEVELS):
    SIZE[_number], OFFSET[_number], PARTS[_number] = _level.size, _level.offset, _level.parts
    if not 0 < _level.parts <= MOST_PARTS or _level.parts & _level.parts - 1:
        raise ImportError("the parts of panes changed")


cdef struct Slot:
    Pane **panes
    size_t count, capacity


cdef int older(const void *a, const void *b) noexcept nogil:
    """The order in which the pure store makes new panes: stocks, then level by level."""
    cdef Pane *one = (<Pane **>a)[0]
    cdef Pane *two = (<Pane **>b)[0]
    cdef int first = -1 if one.level == LEVELS else one.level
    cdef int second = -1 if two.level == LEVELS else two.level
    if first != second:
        return -1 if first < second else 1
    return -1 if one.index < two.index else (1 if one.index > two.index else 0)


cdef inline int64_t floor_div(int64_t a, int64_t b) noexcept nogil:
    cdef int64_t q = a / b
    return q - 1 if a % b < 0 else q


cdef class CompiledPanes:
    """All panes of one source partition, spread over the slots of the ring."""

    cdef PaneTable table
    cdef Slot slots[SLOTS]
    cdef Slot fresh
    cdef int64_t expired_at

    def __cinit__(self):
        self.expired_at = -1

    def __dealloc__(self):
        cdef size_t i
        cdef int slot
        for slot in range(SLOTS):
            for i in range(self.slots[slot].count):
                pane_free(self.slots[slot].panes[i])
            free(self.slots[slot].panes)
        free(self.fresh.panes)
        free(self.table.places)

    cdef int put(self, Slot *slot, Pane *pane) except -1:
        cdef size_t capacity
        cdef Pane **more
        if slot.count == slot.capacity:
            capacity = slot.capacity * 2 if slot.capacity else 8
            more = <Pane **>realloc(slot.panes, capacity * sizeof(Pane *))
            if more == NULL:
                raise MemoryError
            slot.panes, slot.capacity = more, capacity
        slot.panes[slot.count] = pane
        slot.count += 1
        return 0

    cdef Pane *pane(self, int level, int64_t index) except NULL:
        cdef Pane *found = panes_find(&self.table, level, index)
        if found == NULL:
            found = panes_make(&self.table, level, index, (index + 61 * level) & (SLOTS - 1))
            if found == NULL:
                raise MemoryError
            self.put(&self.fresh, found)
        return found

    cdef int settle(self) except -1:
        """New panes take their places in their slots."""
        cdef size_t i
        if self.fresh.count:
            qsort(self.fresh.panes, self.fresh.count, sizeof(Pane *), older)
            for i in range(self.fresh.count):
                self.put(&self.slots[self.fresh.panes[i].slot], self.fresh.panes[i])
            self.fresh.count = 0
        return 0

    def add(self, delta, int64_t clock):
        """PaneStore.add: a change at every level whose pane is still kept at ``clock`` (ms)."""
        cdef const int64_t[::1] at = delta.panes
        cdef const int64_t[::1] codes = delta.codes
        cdef const int64_t[::1] n = delta.n
        cdef const int64_t[::1] s = delta.s
        cdef Py_ssize_t i
        cdef int level, part
        cdef int64_t index, ms, spread
        cdef int64_t oldest[LEVELS]
        cdef Pane *last[LEVELS][MOST_PARTS]
        cdef Pane *pane
        for level in range(LEVELS):
            oldest[level] = panes._oldest(panes.LEVELS[level], clock)
            for part in range(MOST_PARTS):
                last[level][part] = NULL
        for i in range(at.shape[0]):
            spread = <int64_t>(<uint64_t>codes[i] * SPREAD >> 56)
            if at[i] == STOCK:
                pane = self.pane(LEVELS, spread)
                if not pane_add(pane, codes[i], n[i], s[i]):
                    raise MemoryError
                continue
            ms = at[i] * PANE_MS
            for level in range(LEVELS):
                index = (ms + OFFSET[level]) / SIZE[level]
                if index < oldest[level]:
                    continue
                part = <int>(spread & (PARTS[level] - 1))
                index = index * PARTS[level] + part
                pane = last[level][part]
                if pane == NULL or pane.index != index:
                    pane = last[level][part] = self.pane(level, index)
                if not pane_add(pane, codes[i], n[i], s[i]):
                    raise MemoryError
        self.settle()

    def expire(self, int64_t clock):
        """PaneStore.expire: drop the panes that are no longer kept at ``clock`` (ms)."""
        cdef int64_t tick = floor_div(clock, PANE_MS)
        cdef int64_t oldest[LEVELS]
        cdef int level, slot
        cdef size_t i, kept
        cdef Slot *of
        cdef Pane *pane
        if tick == self.expired_at:
            return
        self.expired_at = tick
        for level in range(LEVELS):
            oldest[level] = panes._oldest(panes.LEVELS[level], clock) * PARTS[level]
        for slot in range(SLOTS):
            of = &self.slots[slot]
            kept = 0
            for i in range(of.count):
                pane = of.panes[i]
                if pane.level < LEVELS and pane.index < oldest[pane.level]:
                    panes_remove(&self.table, pane)
                    pane_free(pane)
                else:
                    of.panes[kept] = pane
                    kept += 1
            of.count = kept

    def runs(self, int level, int64_t first, int64_t end):
        """PaneStore.runs: the cells of the panes [first, end) of a level, as one run unsorted."""
        cdef int64_t index
        cdef size_t i, total = 0, at_row = 0
        cdef Pane *pane
        cdef int64_t parts = PARTS[level] if level < LEVELS else 1
        first, end = first * parts, end * parts
        for index in range(first, end):
            pane = panes_find(&self.table, level, index)
            if pane != NULL:
                if not pane_compact(pane):
                    raise MemoryError
                total += pane.count
        if total == 0:
            return []
        cdef int64_t[::1] codes = np.empty(total, dtype=np.int64)
        cdef int64_t[::1] n = np.empty(total, dtype=np.int64)
        cdef int64_t[::1] s = np.empty(total, dtype=np.int64)
        for index in range(first, end):
            pane = panes_find(&self.table, level, index)
            if pane != NULL:
                for i in range(pane.count):
                    codes[at_row] = pane.rows[i].code
                    n[at_row] = pane.rows[i].n
                    s[at_row] = pane.rows[i].s
                    at_row += 1
        return [panes.Cells(codes.base, n.base, s.base)]

    def __sizeof__(self):
        """Bytes of all panes, with the room that they hold for more."""
        cdef size_t i, found = 0
        cdef int slot
        for slot in range(SLOTS):
            for i in range(self.slots[slot].count):
                found += sizeof(Pane) + self.slots[slot].panes[i].capacity * sizeof(Row)
        return found

    def tidy(self, int slot):
        """PaneStore.tidy: one cell for each code in the panes of a slot; empty ones are dropped."""
        cdef Slot *of = &self.slots[slot]
        cdef size_t i, kept = 0
        cdef Pane *pane
        for i in range(of.count):
            pane = of.panes[i]
            if not pane_compact(pane):
                raise MemoryError
            if pane.count == 0:
                panes_remove(&self.table, pane)
                pane_free(pane)
                continue
            of.panes[kept] = pane
            kept += 1
            if pane.capacity > pane.count + pane.count / 4 + 8 and not pane_reserve(pane, pane.count + 4):
                raise MemoryError
        of.count = kept

    def packed_slice(self, int slot):
        """PaneStore.packed_slice: the panes of one slot, tidied."""
        cdef Slot *of = &self.slots[slot]
        cdef size_t i, j
        cdef Pane *pane
        cdef int64_t *codes
        cdef int64_t *n
        cdef int64_t *s
        self.tidy(slot)
        out = []
        for i in range(of.count):
            pane = of.panes[i]
            columns = [PyBytes_FromStringAndSize(NULL, pane.count * 8) for _ in range(3)]
            codes = <int64_t *>PyBytes_AS_STRING(columns[0])
            n = <int64_t *>PyBytes_AS_STRING(columns[1])
            s = <int64_t *>PyBytes_AS_STRING(columns[2])
            for j in range(pane.count):
                codes[j] = pane.rows[j].code
                n[j] = pane.rows[j].n
                s[j] = pane.rows[j].s
            out.append((pane.level, pane.index, columns[0], columns[1], columns[2]))
        return out

    def replace_packed_slice(self, int slot, blocks):
        """PaneStore.replace_packed_slice: put the panes of one slot in place of what is there."""
        cdef Slot *of = &self.slots[slot]
        cdef size_t i
        cdef int level
        cdef int64_t index
        cdef const int64_t[::1] codes, n, s
        cdef Pane *pane
        for i in range(of.count):
            panes_remove(&self.table, of.panes[i])
            pane_free(of.panes[i])
        of.count = 0
        for level, index, *packed in blocks:
            codes, n, s = (np.frombuffer(column, dtype="<i8") for column in packed)
            pane = panes_make(&self.table, level, index, slot)
            if pane == NULL or not pane_reserve(pane, codes.shape[0] + 4):
                raise MemoryError
            self.put(of, pane)
            for i in range(<size_t>codes.shape[0]):
                pane.rows[i].code = codes[i]
                pane.rows[i].n = n[i]
                pane.rows[i].s = s[i]
            pane.sorted = pane.count = codes.shape[0]
