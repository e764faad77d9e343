"""The compiled store of joint cells gives what the pure one gives, in the same order."""

import os
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core import speed
from services.core.contributions import PANE_MS, STOCK
from services.core.panes import LEVELS, SLOTS, STOCK_LEVEL, Cells, Delta, PaneStore, merge

if speed.panes is None and not (os.environ.get("CI") and shutil.which("cc")):
    pytest.skip("the compiled form is not built here", allow_module_level=True)

CLOCK = 1_795_312_812_345
DAY_MS = 86_400_000

Cell = tuple[int, int, int, int]
CELLS = st.lists(
    st.tuples(
        st.one_of(
            st.just(STOCK),
            st.integers(0, 420 * DAY_MS).map(lambda back: (CLOCK - back) // PANE_MS),
            st.integers(0, 30).map(lambda near: CLOCK // PANE_MS - near),
        ),
        st.integers(0, 5) | st.integers(0, 2**62),
        st.integers(-2, 2),
        st.integers(-3, 3),
    ),
    max_size=60,
)
STEPS = st.lists(
    st.one_of(
        CELLS,
        st.integers(0, 3 * DAY_MS),  # so much later
        st.tuples(st.integers(0, SLOTS - 1)),  # write this slot, and read it back
    ),
    max_size=12,
)


def delta(cells: list[Cell]) -> Delta:
    """As the fold gives it: a pane and code once, in any order."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for pane, code, n, s in cells:
        before = found.get((pane, code), (0, 0))
        found[pane, code] = before[0] + n, before[1] + s
    rows = [(pane, code, n, s) for (pane, code), (n, s) in found.items()]
    return Delta(*(np.array([r[i] for r in rows], dtype=np.int64) for i in range(4)))


def summed(runs: list[Cells]) -> list[list[int]]:
    """Cells of any runs as (codes, counts, sums), those of nothing left out."""
    return [column.tolist() for column in merge([*runs, *runs])]


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_both_stores_write_the_same_slices(steps: list[object]) -> None:
    assert speed.panes is not None
    pure, compiled = PaneStore(), speed.panes.CompiledPanes()
    clock = CLOCK
    for step in steps:
        if isinstance(step, list):
            change = delta(step)
            pure.add(change, clock)
            compiled.add(change, clock)
        elif isinstance(step, int):
            clock += step
        elif isinstance(step, tuple):
            slot = int(step[0])
            packed = pure.packed_slice(slot)
            assert compiled.packed_slice(slot) == packed
            pure.replace_packed_slice(slot, packed[1:])
            compiled.replace_packed_slice(slot, packed[1:])
        pure.expire(clock)
        compiled.expire(clock)
    for number, level in enumerate(LEVELS):
        now = (clock + level.offset) // level.size
        span = min(2000, level.kept // level.size)
        assert summed(compiled.runs(number, now - span, now + 1)) == summed(
            pure.runs(number, now - span, now + 1)
        )
    stocks = compiled.runs(STOCK_LEVEL, 0, SLOTS)
    assert summed(stocks) == summed(pure.runs(STOCK_LEVEL, 0, SLOTS))
    for slot in range(SLOTS):
        assert compiled.packed_slice(slot) == pure.packed_slice(slot)


def test_many_rows_of_few_codes_take_no_more_memory_than_they_need() -> None:
    assert speed.panes is not None
    pure, compiled = PaneStore(), speed.panes.CompiledPanes()
    rng = np.random.default_rng(1)
    for _ in range(60):
        codes = rng.permutation(300).astype(np.int64)
        panes = CLOCK // PANE_MS - rng.integers(0, 3, 300)
        change = Delta(panes, codes, np.ones(300, np.int64), rng.integers(-5, 5, 300))
        pure.add(change, CLOCK)
        compiled.add(change, CLOCK)
    for slot in range(SLOTS):
        assert compiled.packed_slice(slot) == pure.packed_slice(slot)


@pytest.mark.parametrize("form", ["pure", "compiled"])
def test_changes_that_take_each_other_away_leave_nothing_once_tidied(form: speed.Form) -> None:
    store = speed.store(form)
    for n in range(200):
        moved = [(CLOCK // PANE_MS - n, 7, 1, 5), (CLOCK // PANE_MS - n + 1, 7, -1, -5)]
        store.add(delta(moved), CLOCK)
    for slot in range(SLOTS):
        store.tidy(slot)
    first = CLOCK // PANE_MS - 199
    runs = store.runs(0, first, CLOCK // PANE_MS + 2)
    found = [(n, s) for r in runs for n, s in zip(r.n.tolist(), r.s.tolist(), strict=True)]
    assert sorted(found) == [(-1, -5), (1, 5)]
