"""Sums that move with their cells are those of the cells, whatever was asked when."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core import segments
from services.core.panes import Cells, Ints, merge
from services.core.segments import Segment, Span

RUN = st.lists(st.tuples(st.integers(0, 6), st.integers(-2, 2), st.integers(-9, 9)), max_size=4)
RANGE = st.sampled_from([(0, 7), (0, 3), (3, 7), (1, 2, 5, 6)])
#: Add a run; ask in a range; take a snapshot; ask the last snapshot.
STEP = st.one_of(RUN, RUN, RANGE, RANGE, st.just("snapshot"), RANGE.map(lambda asked: [asked]))


def run_of(rows: list[tuple[int, int, int]]) -> Cells:
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    return merge([Cells(*(np.array(column, dtype=np.int64) for column in columns))])


def by_code(cells: Cells) -> Ints:
    found = np.zeros((2, 7), dtype=np.int64)
    np.add.at(found[0], cells.codes, cells.n)
    np.add.at(found[1], cells.codes, cells.s)
    return found


def ask(of: Segment | Span, asked: tuple[int, ...]) -> list[list[int]]:
    bounds = np.array(asked)
    found = (
        of.sums(asked, bounds, by_code)
        if isinstance(of, Segment)
        else of.sums(asked, bounds, by_code, 14)
    )
    rows: list[list[int]] = found.tolist()
    return rows


def expected(rows: list[tuple[int, int, int]], asked: tuple[int, ...]) -> list[list[int]]:
    found = [[0] * 7, [0] * 7]
    for code, n, s in rows:
        if any(a <= code < b for a, b in zip(asked[::2], asked[1::2], strict=True)):
            found[0][code] += n
            found[1][code] += s
    return found


@given(st.lists(STEP, max_size=40), st.integers(0, 60), st.integers(0, 6), st.booleans())
def test_a_sum_that_moves_is_the_one_made_anew(
    steps: list[object], numbers: int, added: int, in_span: bool
) -> None:
    segment, rows = Segment(), list[tuple[int, int, int]]()
    span = Span([segment, Segment()])
    before, rows_before = segment.snapshot(), rows.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "KEPT_NUMBERS", numbers)
        patch.setattr(segments, "KEPT_ADDED", added)
        for step in steps:
            if isinstance(step, tuple):
                of: Segment | Span = span if in_span else segment
                assert ask(of, step) == expected(rows, step)
            elif step == "snapshot":
                before, rows_before = segment.snapshot(), rows.copy()
            elif isinstance(step, list) and step and len(step[0]) in (2, 4):
                assert ask(before, step[0]) == expected(rows_before, step[0])
            elif isinstance(step, list):
                rows += step
                segment.add(run_of(step))


def test_only_what_was_added_since_is_summed_again() -> None:
    segment = Segment(run_of([(code, 1, 1) for code in range(7)]))
    seen: list[int] = []

    def fold(cells: Cells) -> Ints:
        seen.append(cells.codes.size)
        return by_code(cells)

    everything = np.array([0, 7])
    for more in ([], [], [(1, 1, 5)], [], [(2, -1, 3), (6, 1, 0)]):
        if more:
            segment.add(run_of(more))
        segment.sums("all", everything, fold)
    assert seen == [7, 1, 2]


def test_a_sum_larger_than_its_cells_is_not_kept() -> None:
    segment = Segment(run_of([(1, 1, 1), (2, 1, 1)]))
    assert segment.keeps(2)
    assert not segment.keeps(3)
    span, seen = Span([segment, segment]), list[int]()

    def fold(cells: Cells) -> Ints:
        seen.append(cells.codes.size)
        return by_code(cells)

    for _ in range(2):
        assert span.sums("all", np.array([0, 7]), fold, 14)[0].tolist() == [0, 2, 2, 0, 0, 0, 0]
    assert seen == [4, 4]


def test_sums_beyond_what_may_be_kept_are_forgotten_oldest_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(segments, "KEPT_NUMBERS", 28)
    segment, seen = Segment(), list[str]()
    for name in ("a", "b", "a", "c", "a", "b"):

        def fold(cells: Cells, name: str = name) -> Ints:
            seen.append(name)
            return by_code(cells)

        segment.sums(name, np.array([0, 7]), fold)
    assert seen == ["a", "b", "c", "b"]
