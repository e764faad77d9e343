"""Windows of segments that are kept up are those made anew, whatever was asked in between."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core import tables
from services.core.contributions import PANE_MS, STOCK
from services.core.panes import Cells, Delta, Ints
from services.core.segments import Span
from services.core.tables import Runs, Tables

Row = tuple[int, int, int, int]


def delta(rows: list[Row]) -> Delta:
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    return Delta(*(np.array(column, dtype=np.int64) for column in columns))


def inside(rows: list[Row], start: int, end: int) -> list[Row]:
    return [row for row in rows if row[0] != STOCK and start <= row[0] * PANE_MS < end]


def now(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row[0] == STOCK]


def each(rows: list[Row]) -> list[Cells]:
    """What the panes would give: a run of each row."""
    return [Cells(*delta([row])[1:]) for row in rows]


def kept_from(rows: list[Row], oldest: int) -> Runs:
    """Panes that begin at ``oldest`` ms or later."""
    return lambda start, end: None if start < oldest else each(inside(rows, start, end))


def totals(rows: list[Row]) -> dict[int, tuple[int, int]]:
    """Code -> count and sum, where they are not both zero."""
    found: dict[int, tuple[int, int]] = {}
    for _, code, n, s in rows:
        before = found.get(code, (0, 0))
        found[code] = before[0] + n, before[1] + s
    return {code: both for code, both in found.items() if any(both)}


def cells(span: Span) -> dict[int, tuple[int, int]]:
    codes, n, s = span.select(np.array([0, 1 << 62]))
    columns = codes.tolist(), n.tolist(), s.tolist()
    return totals([(0, *row) for row in zip(*columns, strict=True)])


def summed(span: Span) -> list[int]:
    """The sum of all counts and that of all sums, as whoever goes on asking gets them."""
    found: list[int] = span.sums("all", np.array([0, 1 << 62]), both, 2).tolist()
    return found


def both(cells: Cells) -> Ints:
    return np.array([cells.n.sum(), cells.s.sum()])


def sums(rows: list[Row]) -> list[int]:
    return [sum(row[2] for row in rows), sum(row[3] for row in rows)]


CELL = st.tuples(
    st.sampled_from([STOCK, 0, 1, 2, 3, 4]), st.integers(0, 5), st.integers(-2, 2),
    st.integers(-9, 9),
)  # fmt: skip
WINDOW = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(
    lambda ends: (min(ends) * PANE_MS, max(ends) * PANE_MS)
)
STEP = st.one_of(
    st.lists(CELL, max_size=4), WINDOW, WINDOW, st.sampled_from(["stocks", "clear", "expire"])
)


@given(st.lists(STEP, max_size=40), st.integers(1, 12))
def test_a_kept_window_is_the_one_made_anew(steps: list[object], noted: int) -> None:
    kept, rows, oldest = Tables(), list[Row](), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "NOTED_CELLS", noted)
        patch.setattr(tables, "KEPT", 3)
        for step in steps:
            if isinstance(step, list):
                rows += step
                kept.note(delta(step))
            elif isinstance(step, tuple):
                start, end = step
                if start >= oldest * PANE_MS:
                    found = kept.window(start, end, kept_from(rows, oldest * PANE_MS))
                    assert cells(found) == totals(inside(rows, start, end))
                    assert summed(found) == sums(inside(rows, start, end))
                    assert kept.knows(start, end)
            elif step == "stocks":
                true = now(rows)
                assert cells(kept.stocks(partial(each, true))) == totals(true)
                assert summed(kept.stocks(partial(each, true))) == sums(true)
            elif step == "expire":
                oldest = min(oldest + 1, 3)
            else:
                kept.clear()


@given(st.lists(WINDOW, max_size=3), st.lists(WINDOW, min_size=1, max_size=4), st.integers(0, 3))
def test_windows_of_one_moment_take_nothing_from_each_other(
    earlier: list[tuple[int, int]], wanted: list[tuple[int, int]], oldest: int
) -> None:
    rows = [(pane, pane % 2, 1, pane) for pane in range(6)]
    kept = Tables()
    for key in earlier:
        kept.window(*key, kept_from(rows, 0))
    # By now some of the cuts are at panes that are gone: the segments are made anew in between.
    wanted = [key for key in wanted if key[0] >= oldest * PANE_MS]
    spans = kept.windows(wanted, kept_from(rows, oldest * PANE_MS))
    assert [cells(span) for span in spans] == [totals(inside(rows, *key)) for key in wanted]


def test_more_windows_than_are_kept_are_refused() -> None:
    many = [(0, at * PANE_MS) for at in range(tables.KEPT + 1)]
    with pytest.raises(ValueError, match="at most"):
        Tables().windows(many, kept_from([], 0))


def test_panes_that_are_no_longer_kept_give_no_window() -> None:
    with pytest.raises(LookupError):
        Tables().window(0, PANE_MS, kept_from([], PANE_MS))


def test_what_windows_have_in_common_is_asked_of_the_panes_once() -> None:
    rows = [(pane, code, 1, 10) for pane in range(100) for code in range(3)]
    asked: list[tuple[int, int]] = []
    panes = kept_from(rows, 0)

    def runs(start: int, end: int) -> list[Cells] | None:
        asked.append((start // PANE_MS, end // PANE_MS))
        return panes(start, end)

    kept = Tables()
    kept.window(0, 60 * PANE_MS, runs)
    inner = kept.window(50 * PANE_MS, 60 * PANE_MS, runs)
    later = kept.window(PANE_MS, 61 * PANE_MS, runs)
    assert asked == [(0, 60), (50, 60), (0, 1), (60, 61)]
    assert cells(inner) == dict.fromkeys(range(3), (10, 100))
    assert cells(later) == dict.fromkeys(range(3), (60, 600))
    assert [len(span.segments) for span in (inner, later)] == [1, 3]


def test_segments_are_joined_when_no_window_keeps_them_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tables, "KEPT", 2)
    rows = [(pane, 1, 1, 10) for pane in range(100)]
    kept = Tables()
    for pane in range(20):
        long = kept.window(0, 60 * PANE_MS, kept_from(rows, 0))
        kept.window(pane * PANE_MS, 60 * PANE_MS, kept_from(rows, 0))
    assert cells(kept.window(0, 60 * PANE_MS, kept_from(rows, 0))) == {1: (60, 600)}
    assert len(kept.window(0, 60 * PANE_MS, kept_from(rows, 0)).segments) == 2
    assert len(long.segments) <= 3


def test_a_change_is_in_one_segment_of_all_windows() -> None:
    kept = Tables()
    nothing = kept_from([], 0)
    for length in range(1, 6):
        kept.window((6 - length) * PANE_MS, 7 * PANE_MS, nothing)
    kept.note(delta([(6, 1, 1, 1), (6, 2, 1, 1)]))
    spans = [kept.window((6 - length) * PANE_MS, 7 * PANE_MS, nothing) for length in range(1, 6)]
    segments = {id(segment): segment for span in spans for segment in span.segments}
    assert sum(segment.size > 0 for segment in segments.values()) == 1
    assert all(cells(span) == {1: (1, 1), 2: (1, 1)} for span in spans)
