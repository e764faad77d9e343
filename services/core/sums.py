"""Sums over cells, exact to 64 bits: by group, and of several runs by code.

Everything that is shown goes through these two, some thousand times for a page of all KPIs. Both
exist in numpy, the readable truth, and in C (_sums.pyx); tests/unit/core/test_sums.py holds them
together.
"""

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Column = Ints

_NONE = np.empty(0, dtype=np.int64)

compiled: ModuleType | None
try:
    compiled = import_module("services.core._sums")
except ImportError:
    compiled = None


def grouped(groups: Ints, weights: Ints, size: int, picked: Ints | None = None) -> Ints:
    """Sums of whole weights per group (0 to ``size`` - 1); of the cells at ``picked`` only.

    Exact where every sum fits 64 bits.
    """
    if compiled is not None:
        found: Ints = compiled.grouped(
            np.ascontiguousarray(groups), np.ascontiguousarray(weights), picked, size
        )
        return found
    if picked is not None:
        groups, weights = groups[picked], weights[picked]
    if weights.size == 0:
        return np.zeros(size, dtype=np.int64)
    if float(np.abs(weights).max()) * weights.size < 2**52:
        return np.rint(np.bincount(groups, weights, size)).astype(np.int64)
    high, low = weights >> 31, weights & 0x7FFFFFFF
    return (grouped(groups, high, size) << 31) + grouped(groups, low, size)


def merged(runs: Sequence[tuple[Ints, Ints, Ints]]) -> tuple[Ints, Ints, Ints]:
    """One run in order of the codes, with one cell for each code, of runs (codes, n, s).

    Quickest where the runs are in order. Cells that came to nothing are left out.
    """
    if not runs:
        return _NONE, _NONE, _NONE
    if compiled is not None:
        codes, n, s = compiled.merged([tuple(map(np.ascontiguousarray, run)) for run in runs])
        return codes, n, s
    codes = np.concatenate([run[0] for run in runs])
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    first = np.empty(codes.size, dtype=np.bool_)
    first[0] = True
    np.not_equal(codes[1:], codes[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    n = np.add.reduceat(np.concatenate([run[1] for run in runs])[order], starts)
    s = np.add.reduceat(np.concatenate([run[2] for run in runs])[order], starts)
    codes = codes[starts]
    live = (n != 0) | (s != 0)
    return codes[live], n[live], s[live]
