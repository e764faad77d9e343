"""Panes and windows: boundaries, covers and the additive store."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.calendar_day import DAY_MS, local_day_start, period_start
from services.core.contributions import PANE_MS, STOCK
from services.core.panes import (
    LEVELS,
    SLOTS,
    Block,
    Cells,
    Delta,
    PaneStore,
    boundary_kept,
    cover,
    merge,
)
from services.core.windows import ROLLING_MS, bounds

CLOCK = 1_795_312_812_345
HOUR = 3_600_000


def cells(*items: tuple[int, int, int]) -> Cells:
    items = tuple(sorted(items))
    return Cells(*(np.array([i[c] for i in items], dtype=np.int64) for c in range(3)))


@pytest.mark.parametrize(("window", "length"), [(w, ms) for w, (ms, _) in ROLLING_MS.items()])
def test_a_rolling_window_is_exactly_its_length_and_holds_as_of(window: str, length: int) -> None:
    start, end = bounds(window, CLOCK)
    assert end - start == length
    assert start <= CLOCK < end
    assert end - CLOCK <= ROLLING_MS[window][1]


def test_calendar_windows_begin_at_local_midnights_and_end_with_the_minute() -> None:
    at = 1_767_200_000_000  # 2025-12-31T23:53:20+07:00
    assert period_start("today", at) == local_day_start(at)
    for window in ("today", "month", "quarter", "year"):
        start, end = bounds(window, at)
        assert (start + 7 * HOUR) % DAY_MS == 0
        assert end == at // 60_000 * 60_000 + 60_000
    assert bounds("year", at)[0] == 1_735_664_400_000  # 2025-01-01T00:00:00+07:00
    assert bounds("quarter", at)[0] == 1_759_251_600_000  # 2025-10-01T00:00:00+07:00


def test_a_boundary_of_the_ten_second_panes_is_kept_three_hours() -> None:
    at = (CLOCK - 3 * HOUR) // PANE_MS * PANE_MS + PANE_MS
    assert boundary_kept(at, CLOCK) == 0
    assert boundary_kept(at - 3 * PANE_MS, CLOCK) is None  # 10 s panes are gone, no minute here
    assert boundary_kept(at - 2 * PANE_MS, CLOCK) == 1  # a minute boundary
    assert boundary_kept(at + 1, CLOCK) is None


@given(
    back=st.integers(0, 40 * DAY_MS),
    length=st.integers(0, 400 * DAY_MS),
    grain=st.sampled_from([10_000, 60_000, HOUR]),
)
def test_a_cover_tiles_the_interval_without_gap_or_overlap(
    back: int, length: int, grain: int
) -> None:
    end = (CLOCK - back) // grain * grain
    start = local_day_start(end - length)
    panes = cover(start, end, CLOCK)
    promised = boundary_kept(start, CLOCK) is not None and boundary_kept(end, CLOCK) is not None
    if not promised:
        assert panes is None
        return
    assert panes is not None
    spans = sorted(
        (
            first * LEVELS[level].size - LEVELS[level].offset,
            last * LEVELS[level].size - LEVELS[level].offset,
        )
        for level, first, last in panes
    )
    at = start
    for a, b in spans:
        assert a == at
        at = b
    assert at == max(end, start)
    for level, first, _ in panes:
        oldest = (CLOCK - LEVELS[level].kept + LEVELS[level].offset) // LEVELS[level].size
        assert first >= oldest


triples = st.tuples(st.integers(0, 6), st.integers(-3, 3), st.integers(-9, 9))


@given(
    st.lists(
        st.tuples(st.lists(triples, max_size=6), st.integers(1, 8), st.booleans()), max_size=90
    )
)
def test_blocks_sum_whatever_the_order_of_merging(
    runs: list[tuple[list[tuple[int, int, int]], int, bool]],
) -> None:
    block, expected = Block(), dict[int, list[int]]()
    for run, loose, compacted in runs:
        block.add(cells(*run), loose)
        if compacted:
            block.compact()
        for code, n, s in run:
            total = expected.setdefault(code, [0, 0])
            total[0] += n
            total[1] += s
    merged = block.compact()
    assert {int(c): [int(n), int(s)] for c, n, s in zip(*merged, strict=True)} == {
        c: t for c, t in expected.items() if any(t)
    }
    assert (np.diff(merged.codes) > 0).all()


@given(st.lists(st.integers(1, 60), max_size=90), st.integers(1, 8))
def test_a_block_has_few_runs(sizes: list[int], loose: int) -> None:
    block = Block()
    for serial, size in enumerate(sizes):
        codes = range(1000 * serial, 1000 * serial + size)
        block.add(cells(*((code, 1, 1) for code in codes)), loose)
    settled = [run.codes.size for run in block.runs[: len(block.runs) - len(sizes) % loose]]
    assert all(a >= 2 * b for a, b in pairwise(settled))


def test_cells_that_come_to_nothing_are_left_out() -> None:
    assert merge([]).codes.size == 0
    assert merge([cells((1, 1, 5)), cells((1, -1, -5))]).codes.size == 0


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 50 * DAY_MS), st.integers(0, 3), st.integers(1, 5)), min_size=1
    ),
    st.integers(0, 2 * DAY_MS),
)
def test_every_cell_counts_at_every_level_that_is_still_kept(
    items: list[tuple[int, int, int]], later: int
) -> None:
    store = PaneStore()
    panes = np.array([(CLOCK - back) // PANE_MS for back, _, _ in items], dtype=np.int64)
    codes = np.array([code for _, code, _ in items], dtype=np.int64)
    n = np.array([n for _, _, n in items], dtype=np.int64)
    store.add(Delta(panes, codes, n, n * 10), CLOCK)
    clock = CLOCK + later
    store.expire(clock)
    for number, level in enumerate(LEVELS):
        oldest = (clock - level.kept + level.offset) // level.size
        newest = (clock + level.offset) // level.size
        total = sum(int(run.n.sum()) for run in store.runs(number, oldest - 9, newest + 1))
        expected = sum(
            count
            for pane, count in zip(panes.tolist(), n.tolist(), strict=True)
            if (pane * PANE_MS + level.offset) // level.size >= oldest
        )
        assert total == expected


def test_stocks_have_no_pane_and_never_expire() -> None:
    store = PaneStore()
    one = np.ones(3, dtype=np.int64)
    store.add(Delta(one * STOCK, np.array([7, 8, 7]), one, one * 0), CLOCK)
    store.expire(CLOCK + 10_000 * DAY_MS)
    kept = [
        cell
        for slot in range(SLOTS)
        for _, _, *columns in store.packed_slice(slot)
        for cell in zip(*(np.frombuffer(c, dtype="<i8") for c in columns), strict=True)
    ]
    assert sorted((int(c), int(n)) for c, n, _ in kept) == [(7, 2), (8, 1)]
