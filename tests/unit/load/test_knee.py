"""The search for the highest rate that holds, against systems whose limit is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.load.knee import CLOSE, Search, Try
from services.load.verdict import Outcome


def run(search: Search, limit: float, above: Outcome = "failed") -> list[float]:
    tried = []
    while (rate := search.next()) is not None:
        tried.append(rate)
        search.tries.append(Try(rate, "passed" if rate <= limit else above))
    return tried


@given(limit=st.floats(500, 200_000))
def test_the_knee_is_found_closely(limit: float) -> None:
    search = Search(1000, 1_000_000)
    run(search, limit)
    assert search.kept is not None
    assert search.kept <= limit < (search.border or 0)
    assert search.kept >= limit * (1 - CLOSE) - 1


def test_it_rises_until_it_breaks_and_halves_what_is_between() -> None:
    assert run(Search(1000, 1_000_000), 2000) == pytest.approx(
        [1000, 2000, 4000, 3000, 2500, 2250, 2125]
    )


def test_a_limit_of_the_load_is_said() -> None:
    search = Search(1000, 1_000_000)
    run(search, 5000, "inconclusive")
    assert search.limited_by_load
    assert search.kept is not None
    other = Search(1000, 1_000_000)
    run(other, 5000)
    assert not other.limited_by_load


def test_a_system_that_holds_everything_ends_at_the_highest() -> None:
    search = Search(1000, 4000)
    assert run(search, 1e9) == [1000, 2000, 4000]
    assert search.border is None
    assert search.kept == 4000


def test_a_system_that_holds_nothing_ends_soon() -> None:
    search = Search(1000, 4000)
    assert run(search, 0) == [1000, 500, 250, 125, 62.5]
    assert search.kept is None


def test_a_lucky_rate_above_one_that_broke_does_not_count() -> None:
    search = Search(1000, 4000, [Try(1000, "passed"), Try(2000, "failed"), Try(3000, "passed")])
    assert search.kept == 1000
    assert search.border == 2000
