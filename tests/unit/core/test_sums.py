"""Sums in numpy and in C are the same, to the last bit."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core import sums

WEIGHTS = st.integers(-(2**40), 2**40) | st.integers(-2, 2)
PAIRS = st.lists(st.tuples(st.integers(0, 4), WEIGHTS), max_size=40)
RUNS = st.lists(
    st.lists(st.tuples(st.integers(0, 12), st.integers(-2, 2), WEIGHTS), max_size=12), max_size=9
)


@pytest.fixture(params=["numpy", "C"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which of the two is asked."""
    if request.param == "numpy":
        monkeypatch.setattr(sums, "compiled", None)
    elif sums.compiled is None:
        pytest.skip("not compiled here")
    return str(request.param)


def array(values: Any) -> Any:
    return np.array(list(values), dtype=np.int64)


@given(PAIRS, st.data())
def test_grouped(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    picked = data.draw(st.none() | st.lists(st.integers(0, len(pairs) - 1), unique=True)
                       if pairs else st.none())  # fmt: skip
    wanted = [0] * 5
    for i in range(len(pairs)) if picked is None else picked:
        wanted[pairs[i][0]] += pairs[i][1]
    at = None if picked is None else array(picked)
    given_ = array(g for g, _ in pairs), array(w for _, w in pairs), 5, at
    kept = sums.compiled
    try:
        for sums.compiled in {None, kept}:
            assert sums.grouped(*given_).tolist() == wanted
    finally:
        sums.compiled = kept


@given(RUNS, st.booleans())
def test_merged(runs: list[list[tuple[int, int, int]]], in_order: bool) -> None:
    wanted: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for code, n, s in (cell for run in runs for cell in run):
        wanted[code][0] += n
        wanted[code][1] += s
    if in_order:
        runs = [sorted(run) for run in runs]
    columns: Any = [tuple(array(cell[i] for cell in run) for i in range(3)) for run in runs if run]
    kept = sums.compiled
    try:
        for sums.compiled in {None, kept}:
            found = sums.merged(columns)
            assert [c.tolist() for c in found] == [
                [code for code, total in sorted(wanted.items()) if any(total)],
                [total[0] for _, total in sorted(wanted.items()) if any(total)],
                [total[1] for _, total in sorted(wanted.items()) if any(total)],
            ]
    finally:
        sums.compiled = kept


@pytest.mark.usefixtures("form")
def test_sums_beyond_a_float_are_exact() -> None:
    weights = array([2**60, 1, 2**60, -(2**61) + 7])
    assert sums.grouped(array([0, 0, 0, 0]), weights, 2).tolist() == [8, 0]


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("group", [-1, 3])
def test_a_group_that_there_is_not_is_an_error(group: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (numpy's words and ours)
        sums.grouped(array([group]), array([1]), 2).reshape(2)


@pytest.mark.usefixtures("form")
def test_a_large_run_and_many_small_ones() -> None:
    large = array(range(0, 20_000, 2))
    small = [array([i, i + 1, i + 1]) for i in range(0, 4_000, 7)]
    runs = [(c, np.ones_like(c), c) for c in (*small, large)]
    codes, n, s = sums.merged(runs)
    assert codes.tolist() == sorted({*large.tolist(), *(c for run in small for c in run.tolist())})
    assert n.sum() == large.size + 3 * len(small)
    assert s.sum() == sum(int(run[0].sum()) for run in runs)
