"""Tables that are kept up are the tables that are made anew, whatever was asked in between."""

from collections.abc import Iterable
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core import tables
from services.core.contributions import PANE_MS, STOCK
from services.core.panes import Block, Cells, Delta, merge
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


def cells(block: Block) -> dict[int, tuple[int, int]]:
    codes, n, s = block.select(0, 1 << 62)
    columns = codes.tolist(), n.tolist(), s.tolist()
    return totals([(0, *row) for row in zip(*columns, strict=True)])


CELL = st.tuples(
    st.sampled_from([STOCK, 0, 1, 2, 3, 4]), st.integers(0, 5), st.integers(-2, 2),
    st.integers(-9, 9),
)  # fmt: skip
WINDOW = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(
    lambda ends: (min(ends) * PANE_MS, max(ends) * PANE_MS)
)
STEP = st.one_of(st.lists(CELL, max_size=4), WINDOW, WINDOW, st.just("stocks"), st.just("clear"))


@given(st.lists(STEP, max_size=40), st.integers(1, 12), st.integers(0, 3))
def test_a_kept_table_is_the_one_made_anew(steps: list[object], noted: int, oldest: int) -> None:
    kept, rows = Tables(), list[Row]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "NOTED_CELLS", noted)
        patch.setattr(tables, "KEPT", 3)
        patch.setattr(tables, "PATIENCE", 2)
        for step in steps:
            if isinstance(step, list):
                rows += step
                kept.note(delta(step))
            elif isinstance(step, tuple):
                start, end = step
                panes = kept_from(rows, oldest * PANE_MS)
                try:
                    found = kept.window(start, end, panes)
                except LookupError:
                    assert panes(start, end) is None
                else:
                    assert cells(found) == totals(inside(rows, start, end))
            elif step == "stocks":
                true = now(rows)
                assert cells(kept.stocks(partial(each, true))) == totals(true)
            else:
                kept.clear()


def test_a_table_that_nobody_asks_for_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "NOTED_CELLS", 0)
    monkeypatch.setattr(tables, "PATIENCE", 2)
    kept = Tables()
    made: list[int] = []

    def ask(start: int) -> None:
        def runs(first: int, last: int) -> list[Cells]:
            made.append(first)
            return []

        kept.window(start, 9 * PANE_MS, runs)

    ask(0)
    ask(PANE_MS)
    for _ in range(2):
        kept.note(delta([(3, 1, 1, 1)]))
        ask(0)
    ask(PANE_MS)
    assert made == [0, PANE_MS]
    for _ in range(3):
        kept.note(delta([(3, 1, 1, 1)]))
        ask(0)
    ask(PANE_MS)
    assert made == [0, PANE_MS, PANE_MS]


def test_the_next_window_is_the_one_before_moved_on() -> None:
    rows = [(pane, code, 1, 10) for pane in range(100) for code in range(3)]
    asked: list[tuple[int, int]] = []
    panes = kept_from(rows, 0)

    def runs(start: int, end: int) -> list[Cells] | None:
        asked.append((start // PANE_MS, end // PANE_MS))
        return panes(start, end)

    kept = Tables()
    kept.window(0, 60 * PANE_MS, runs)
    moved = kept.window(PANE_MS, 61 * PANE_MS, runs)
    longer = kept.window(PANE_MS, 62 * PANE_MS, runs)
    assert asked == [(0, 60), (0, 1), (60, 61), (1, 1), (61, 62)]
    assert cells(moved) == dict.fromkeys(range(3), (60, 600))
    assert cells(longer) == dict.fromkeys(range(3), (61, 610))
    before = kept.window(0, 60 * PANE_MS, runs)
    assert cells(before) == dict.fromkeys(range(3), (60, 600))
    assert asked[5:] == []


def test_a_change_is_sorted_once_for_all_tables_that_take_it_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = Tables()
    for length in range(1, 6):
        kept.window(0, (4 + length) * PANE_MS, lambda start, end: [])
    kept.note(delta([(3, 1, 1, 1), (4, 2, 1, 1)]))
    merged: list[int] = []

    def counted(runs: Iterable[Cells]) -> Cells:
        merged.append(1)
        return merge(runs)

    monkeypatch.setattr(tables, "merge", counted)
    for length in range(1, 6):
        kept.window(0, (4 + length) * PANE_MS, lambda start, end: [])
    assert merged == [1]
