# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, binding=False
"""Sums over cells, in one pass each: services.core.sums in C."""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

import numpy as np

cdef extern from "_rows.h":
    ctypedef struct Row:
        int64_t code, n, s
    void rows_sort(Row *, size_t, Row *) noexcept nogil
    void rows_merge(const Row *, size_t, const Row *, size_t, Row *) noexcept nogil
    size_t rows_sum(Row *, size_t) noexcept nogil


def grouped(const int64_t[::1] groups, const int64_t[::1] weights, picked, Py_ssize_t size):
    """sums.grouped."""
    out = np.zeros(size, dtype=np.int64)
    cdef int64_t[::1] total = out
    cdef const int64_t[::1] at
    cdef Py_ssize_t i, count
    cdef int64_t j
    if groups.shape[0] != weights.shape[0]:
        raise ValueError("a weight for each group")
    # Wraps as numpy does; what is summed here fits 64 bits.
    if picked is None:
        count = groups.shape[0]
        for i in range(count):
            if <size_t>groups[i] >= <size_t>size:
                raise ValueError("a group beyond the size")
            total[groups[i]] += weights[i]
    else:
        at = picked
        count = at.shape[0]
        for i in range(count):
            j = at[i]
            if <size_t>j >= <size_t>groups.shape[0] or <size_t>groups[j] >= <size_t>size:
                raise ValueError("a group beyond the size")
            total[groups[j]] += weights[j]
    return out


def merged(runs):
    """sums.merged: the columns of one sorted run."""
    cdef Py_ssize_t total = 0, i, at = 0, number, width, parts = len(runs)
    cdef const int64_t[::1] codes, n, s
    cdef size_t kept
    for run in runs:
        total += run[0].shape[0]
    cdef Row *rows = <Row *>malloc((total + 1) * sizeof(Row))
    cdef Row *spare = <Row *>malloc((total + 1) * sizeof(Row))
    cdef bint in_order
    cdef Py_ssize_t *ends = <Py_ssize_t *>malloc((parts + 1) * sizeof(Py_ssize_t))
    try:
        if rows == NULL or spare == NULL or ends == NULL:
            raise MemoryError
        # The largest run stands first and is merged last, when the small ones are one.
        ends[0] = 0
        for number, run in enumerate(sorted(runs, key=run_size, reverse=True)):
            codes, n, s = run
            in_order = True
            for i in range(codes.shape[0]):
                rows[at].code, rows[at].n, rows[at].s = codes[i], n[i], s[i]
                if i and rows[at - 1].code > rows[at].code:
                    in_order = False
                at += 1
            if not in_order:
                rows_sort(rows + ends[number], codes.shape[0], spare)
            ends[number + 1] = at
        while parts > 2:
            # Pairs of the small runs, those that came first with each other.
            width = 1
            memcpy(spare, rows, ends[1] * sizeof(Row))
            for i in range(1, parts, 2):
                if i + 1 < parts:
                    rows_merge(
                        rows + ends[i], ends[i + 1] - ends[i],
                        rows + ends[i + 1], ends[i + 2] - ends[i + 1], spare + ends[i],
                    )
                    ends[width + 1] = ends[i + 2]
                else:
                    memcpy(spare + ends[i], rows + ends[i], (ends[i + 1] - ends[i]) * sizeof(Row))
                    ends[width + 1] = ends[i + 1]
                width += 1
            parts = width
            rows, spare = spare, rows
        if parts == 2:
            rows_merge(rows, ends[1], rows + ends[1], total - ends[1], spare)
            rows, spare = spare, rows
        kept = rows_sum(rows, total)
        columns = [np.empty(kept, dtype=np.int64) for _ in range(3)]
        unpack(rows, kept, columns[0], columns[1], columns[2])
    finally:
        free(rows)
        free(spare)
        free(ends)
    return columns


def run_size(run):
    """How many cells a run has."""
    return run[0].shape[0]


cdef void unpack(const Row *rows, size_t count, int64_t[::1] codes, int64_t[::1] n, int64_t[::1] s):
    cdef size_t i
    for i in range(count):
        codes[i] = rows[i].code
        n[i] = rows[i].n
        s[i] = rows[i].s
