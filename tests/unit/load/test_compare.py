"""Better, worse or noise."""

import copy
from random import Random
from typing import Any

import pytest

from services.load.compare import (
    NotComparableError,
    as_json,
    as_text,
    check,
    compare,
    differences,
    disturbed,
    rank_sum_p,
    withheld,
)


def result(seed: int = 1, *, p99: float = 0.5, seconds: int = 30) -> dict[str, Any]:
    """A run as it is kept, with some noise of its own."""
    rng = Random(seed)
    around = [p99 * rng.uniform(0.95, 1.05) for _ in range(seconds + 5)]
    halves = [x / 2 for x in around]
    return {
        "ioc_load": 1,
        "seconds": float(seconds),
        "load": {
            "profile": "constant", "points": [[0.0, 5.0], [35.0, 5.0]], "warm_s": 5.0,
            "processes": 1, "mix": {"cases": 1}, "entities": 10, "skew": 1.0, "revisions": 5,
        },
        "machine": {"cpu": "x", "cores": 2, "memory_bytes": 1, "kernel": "k", "python": "3",
                    "fold": "compiled"},
        "target": {"own": True, "workers": 1},
        "freshness": {"p50": p99 / 2, "p99": p99, "p99_9": p99, "max": p99},
        "verdict": {"outcome": "passed", "broken": [], "limits": []},
        "achieved": 1.0,
        "counts": {"loss": 0.0},
        "series": {"second": [float(n) for n in range(seconds + 5)], "p50": halves,
                   "p99": around, "max": around},
        "processes": {
            "second": [float(n) for n in range(seconds + 5)],
            "cores": {"kpi": [x / p99 / 2 for x in around], "machine": around},
            "resident": {"kpi": [100e6] * (seconds + 5)},
        },
    }  # fmt: skip


def calls(a: dict[str, Any], b: dict[str, Any]) -> dict[str, str]:
    return {line.figure: line.call for line in compare(a, b)}


def test_two_runs_of_the_same_system_are_noise() -> None:
    found = calls(result(1), result(2))
    assert set(found.values()) == {"noise"}
    assert "CPU of kpi" in found
    assert "CPU of machine" not in found


def test_a_slower_run_is_worse_and_a_faster_one_better() -> None:
    assert calls(result(1), result(2, p99=0.8))["freshness p99"] == "worse"
    assert calls(result(1, p99=0.8), result(2))["freshness p99"] == "better"
    assert calls(result(1), result(2, p99=0.8))["CPU of kpi"] == "noise"


def test_a_steady_difference_within_the_tolerance_is_noise() -> None:
    a, b = result(1), result(2, p99=0.53)
    assert rank_sum_p(a["series"]["p99"], b["series"]["p99"]) < 0.01
    assert calls(a, b)["freshness p99"] == "noise"
    assert {line.figure: line.call for line in compare(a, b, 0.01)}["freshness p99"] == "worse"


def test_a_large_difference_that_is_not_steady_is_noise() -> None:
    a, b = result(1), result(2)
    b["freshness"]["p99"] = 2.0  # one bad second
    b["series"]["p99"][20] = 2.0
    assert calls(a, b)["freshness p99"] == "noise"


def test_a_slow_warm_up_does_not_count() -> None:
    a, b = result(1, seconds=6), result(2, seconds=6)
    b["series"]["p99"][:5] = [9.0] * 5
    b["freshness"]["p99"] = 0.6
    assert calls(a, b)["freshness p99"] == "noise"


def test_loss_is_never_noise() -> None:
    b = result(2)
    b["counts"]["loss"] = 0.00001
    assert calls(result(1), b)["loss"] == "worse"
    assert calls(b, result(1))["loss"] == "better"


def test_a_share_shown_in_time_differs_beyond_half_a_percent() -> None:
    b = result(2)
    b["achieved"] = 0.997
    assert calls(result(1), b)["shown in time"] == "noise"
    b["achieved"] = 0.98
    assert calls(result(1), b)["shown in time"] == "worse"


def test_a_figure_that_only_one_run_has_is_worse_without() -> None:
    b = result(2)
    b["freshness"]["p99"] = None
    assert calls(result(1), b)["freshness p99"] == "worse"
    assert calls(b, result(1))["freshness p99"] == "better"
    assert calls(b, copy.deepcopy(b))["freshness p99"] == "unknown"


def test_loads_that_are_not_alike_are_told() -> None:
    b = result(2)
    b["load"]["points"] = [[0.0, 9.0], [35.0, 9.0]]
    b["machine"]["fold"] = "pure Python"
    assert [d.partition(":")[0] for d in differences(result(1), b)] == ["points", "fold"]
    assert differences(result(1), result(2)) == []


def test_disturbed_runs_are_not_judged_but_a_loss_is() -> None:
    a, b = result(1), result(2, p99=0.8)
    b["verdict"]["limits"] = ["other programs used 1.00 of the 2 cores"]
    b["counts"]["loss"] = 0.1
    assert disturbed([a, b]) == ["B: other programs used 1.00 of the 2 cores"]
    assert disturbed([a, a]) == []
    found = {line.figure: line.call for line in withheld(compare(a, b))}
    assert found["freshness p99"] == "unknown"
    assert found["CPU of kpi"] == "noise"
    assert found["loss"] == "worse"


def test_files_that_are_no_runs_are_refused() -> None:
    wrong: list[Any] = [[], {}, {"ioc_load": 2}, {"ioc_load": 1, "knee": {}}]
    for what in wrong:
        with pytest.raises(NotComparableError, match=r"^it "):
            check("it", what)
    assert check("it", result()) == result()


def test_the_rank_sum_agrees_with_a_known_value() -> None:
    # By hand: W = 24.5, mean 50, variance 174.08 with its ties, z = (25.5 - 0.5) / 13.194 = 1.895
    a, b = [float(x) for x in range(1, 11)], [float(x) for x in range(4, 14)]
    assert rank_sum_p(a, b) == pytest.approx(0.0581, abs=0.0001)
    assert rank_sum_p(a, a) == pytest.approx(1.0)
    assert rank_sum_p(a[:4], [100.0] * 9) == 1.0
    assert rank_sum_p([1.0] * 9, [1.0] * 9) == 1.0


def test_it_is_shown_for_people_and_for_machines() -> None:
    lines = compare(result(1), result(2, p99=0.8))
    assert "freshness p99" in as_text(lines)
    assert "worse" in as_text(lines)
    assert as_json(lines, ["x"], [])["figures"][1]["call"] == "worse"
