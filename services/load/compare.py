"""Two runs side by side: better, worse, or noise. Pure.

A figure differs when it is both large and steady: the whole run's figure moved by more than the
tolerance, *and* the slices of the one run lie on one side of those of the other (Mann-Whitney, two
sides, p < 0.01; a slice is a point of the run's curve, one second of most runs). A figure without
slices (loss, the share shown in time) needs the first alone. All else is noise. Where a run was
disturbed (its verdict names limits) nothing is called better or worse, unless asked. Neighbouring
slices of a run are alike, which makes p smaller than it should be: a short run is called different
too easily. Repeat a run to see how much two runs of the same system differ.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

TOLERANCE = 0.1
P_LIMIT = 0.01
#: Shares count in absolute terms.
_SHARE_TOLERANCE = 0.005

#: What has to be equal for a difference to speak of the system alone.
_ALIKE = {
    "load": (
        "profile",
        "points",
        "warm_s",
        "processes",
        "mix",
        "entities",
        "skew",
        "revisions",
        "prepared",
    ),
    "machine": ("cpu", "cores", "memory_bytes", "kernel", "python", "fold"),
    "target": ("own", "workers"),
}

Call = Literal["better", "worse", "noise", "unknown"]


class NotComparableError(Exception):
    """A file holds no run; the message says why."""


@dataclass(frozen=True)
class Line:
    """One figure of both runs. ``change`` is relative, None where that means nothing."""

    figure: str
    unit: str
    a: float | None
    b: float | None
    change: float | None
    p: float | None
    call: Call


def rank_sum_p(a: Sequence[float], b: Sequence[float]) -> float:
    """The two-sided p of the Mann-Whitney test, normal approximation with ties and continuity.

    1.0 where one side has fewer than five values.
    """
    n, m = len(a), len(b)
    if min(n, m) < 5:
        return 1.0
    ordered = sorted([(x, 0) for x in a] + [(x, 1) for x in b])
    rank_a = ties = 0.0
    at = 0
    while at < len(ordered):
        end = at
        while end < len(ordered) and ordered[end][0] == ordered[at][0]:
            end += 1
        mean_rank = (at + 1 + end) / 2
        rank_a += mean_rank * sum(1 for _, side in ordered[at:end] if side == 0)
        ties += (end - at) ** 3 - (end - at)
        at = end
    total = n + m
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    distance = abs(rank_a - n * (total + 1) / 2) - 0.5
    return min(1.0, math.erfc(max(0.0, distance) / math.sqrt(2 * variance)))


def check(name: str, run: Any) -> Mapping[str, Any]:
    """A run as it was written. Raises NotComparableError for anything else."""
    if not isinstance(run, dict) or "ioc_load" not in run:
        raise NotComparableError(f"{name} is no result of ioc load")
    if run["ioc_load"] != 1:
        raise NotComparableError(f"{name} is a result of another version of ioc load")
    if "freshness" not in run:
        raise NotComparableError(f"{name} is the result of a search; compare its single runs")
    return run


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Why the two are not the same load on the same machine, in words."""
    return [
        f"{name}: {_short(a[part].get(name))} and {_short(b[part].get(name))}"
        for part, names in _ALIKE.items()
        for name in names
        if a[part].get(name) != b[part].get(name)
    ]


def disturbed(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why one of the runs says nothing sure of the system: the load was its own limit, or the
    machine was shared."""
    return [
        f"{name}: {limit}"
        for name, run in zip("AB", runs, strict=True)
        for limit in run["verdict"]["limits"]
    ]


def withheld(lines: Sequence[Line]) -> list[Line]:
    """The same without judgement, for runs that were disturbed; a loss is a loss all the same."""
    return [
        line if line.figure == "loss" or line.call == "noise" else replace(line, call="unknown")
        for line in lines
    ]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) < 60 else f"{text[:57]}..."


def compare(a: Mapping[str, Any], b: Mapping[str, Any], tolerance: float = TOLERANCE) -> list[Line]:
    """Every figure, ``b`` against ``a``."""
    lines = [
        _line(f"freshness {name}", "s", a["freshness"][key], b["freshness"][key],
              _curve(a, key), _curve(b, key), tolerance)
        for name, key in (("p50", "p50"), ("p99", "p99"), ("max", "max"))
    ]  # fmt: skip
    lines.append(
        _line("freshness p99.9", "s", a["freshness"]["p99_9"], b["freshness"]["p99_9"],
              _curve(a, "max"), _curve(b, "max"), tolerance)
    )  # fmt: skip
    lines.append(_share("shown in time", a["achieved"], b["achieved"], more_is_better=True))
    lines.append(
        _share("loss", a["counts"]["loss"], b["counts"]["loss"], more_is_better=False, least=0.0)
    )
    for name in sorted(a["processes"]["cores"].keys() & b["processes"]["cores"].keys()):
        if name in ("stolen", "machine"):
            continue
        mine, theirs = (_of_run(run, run["processes"]["cores"][name]) for run in (a, b))
        lines.append(
            _line(f"CPU of {name}", "cores", _mean(mine), _mean(theirs), mine, theirs, tolerance)
        )
    for name in sorted(a["processes"]["resident"].keys() & b["processes"]["resident"].keys()):
        mine, theirs = (_of_run(run, run["processes"]["resident"][name]) for run in (a, b))
        tops = [max(row, default=None) for row in (mine, theirs)]
        mega = [None if top is None else top / 1e6 for top in tops]
        lines.append(_line(f"memory of {name}", "MB", mega[0], mega[1], mine, theirs, tolerance))
    return lines


def _curve(run: Mapping[str, Any], key: str) -> list[float]:
    """The points of a curve that were measured, without the warm-up."""
    seconds = run["series"]["second"]
    end = run["load"]["warm_s"] + run["seconds"]
    return [
        x
        for t, x in zip(seconds, run["series"][key], strict=True)
        if x is not None and run["load"]["warm_s"] <= t < end
    ]


def _of_run(run: Mapping[str, Any], row: Sequence[float]) -> list[float]:
    begin, end = run["load"]["warm_s"], run["load"]["warm_s"] + run["seconds"]
    seconds = run["processes"]["second"]
    return [x for t, x in zip(seconds, row, strict=False) if begin <= t < end]


def _mean(row: Sequence[float]) -> float | None:
    return sum(row) / len(row) if row else None


def _line(
    figure: str,
    unit: str,
    a: float | None,
    b: float | None,
    slices_a: Sequence[float],
    slices_b: Sequence[float],
    tolerance: float,
) -> Line:
    """A figure of which less is better."""
    if a is None or b is None:
        call: Call = "unknown" if a is b else "worse" if b is None else "better"
        return Line(figure, unit, a, b, None, None, call)
    change = (b - a) / a if a else None
    p = rank_sum_p(slices_a, slices_b)
    large = change is not None and abs(change) > tolerance
    call = ("worse" if b > a else "better") if large and p < P_LIMIT else "noise"
    return Line(figure, unit, a, b, change, p, call)


def _share(
    figure: str, a: float, b: float, *, more_is_better: bool, least: float = _SHARE_TOLERANCE
) -> Line:
    call: Call = "noise"
    if abs(b - a) > least:
        call = "better" if (b > a) is more_is_better else "worse"
    return Line(figure, "share", a, b, None, None, call)


def as_json(lines: Sequence[Line], unlike: Sequence[str], limits: Sequence[str]) -> dict[str, Any]:
    """The comparison for machines."""
    return {
        "rule": f"better or worse: beyond the tolerance and p < {P_LIMIT} over slices; else noise",
        "unlike": list(unlike),
        "disturbed": list(limits),
        "figures": [asdict(line) for line in lines],
    }


_SHOW: Mapping[str, Callable[[float], str]] = {
    "s": lambda x: f"{x:.3f} s",
    "cores": lambda x: f"{x:.2f} cores",
    "MB": lambda x: f"{x:.0f} MB",
    "share": lambda x: f"{x:.3%}",
}


def as_text(lines: Sequence[Line]) -> str:
    """A table for people."""

    def show(line: Line, value: float | None) -> str:
        return "-" if value is None else _SHOW[line.unit](value)

    rows = [("figure", "A", "B", "change", "p", "")]
    for line in lines:
        change = "" if line.change is None else f"{line.change:+.0%}"
        p = "" if line.p is None else f"{line.p:.3f}"
        rows.append((line.figure, show(line, line.a), show(line, line.b), change, p, line.call))
    wide = [max(len(row[i]) for row in rows) for i in range(6)]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i in (0, 5) else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, wide, strict=True))
        ).rstrip()
        for row in rows
    )
