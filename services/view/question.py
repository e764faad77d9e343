"""From a query string to a question about one KPI.

Parameter names, instants and steps are checked here; KPI, territory, dimensions and panes by the
merged state (``services.core.questions``), whose ``QueryError`` names the parameter just so.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from multidict import MultiDict, MultiMapping

from services.core.facts import ECO_CREATED
from services.core.kpis import CATALOGUE, WINDOWS, Kpi
from services.core.selection import Selection
from services.view import instants
from services.view.problem import ProblemError

MAX_POINTS = 2000
MIN_STEP_MS = 10_000
#: In place of a window: the KPIs that have none.
NOW = "now"
#: ``by`` of all numbers: the rows of each dimension too.
DIMENSIONS = "dimensions"
#: How an indicator KPI names what it speaks of.
INDICATOR_FILTERS = ("series", "indicator")


@dataclass(frozen=True)
class Question:
    """One KPI, asked one way; hashable, so that equal questions are answered once."""

    kpi: str
    window: str | None
    territory: str = "all"
    by: str | None = None
    filters: tuple[tuple[str, str], ...] = ()
    where: Mapping[str, str] = field(init=False, compare=False, hash=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", MappingProxyType(dict(self.filters)))

    @property
    def unit(self) -> str:
        return CATALOGUE[self.kpi].unit


@dataclass(frozen=True)
class Span:
    """The instants of a series, both ends included, in ms."""

    start: int
    end: int
    step_ms: int


def has_window(kpi: Kpi) -> bool:
    """Whether the KPI speaks of a window; those that do not ignore ``window``."""
    return not kpi.is_stock and bool(kpi.windows)


def of_window(name: str, window: str) -> bool:
    """Whether a KPI of the catalogue speaks of that window, or of now."""
    return has_window(CATALOGUE[name]) == (window != NOW)


def dimension_values(kpi: Kpi, dimension: str) -> tuple[str, ...]:
    """The members of one of the KPI's dimensions, in contract order."""
    fact = kpi.numerator.fact if kpi.numerator else ECO_CREATED
    return fact.fields[dimension].values


def find(name: str) -> Kpi:
    """The KPI of that name. Raises ProblemError 404."""
    kpi = CATALOGUE.get(name)
    if kpi is None:
        raise ProblemError(
            404, f"no KPI is called {name!r}; /api/v1/kpis lists those there are", "name"
        )
    return kpi


def only(query: MultiMapping[str], allowed: Collection[str]) -> None:
    """Raises ProblemError 400 for a parameter that is not allowed or is given twice."""
    for name in query:
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise ProblemError(400, f"unknown parameter {name!r}; known here: {known}", name)
        if len(query.getall(name)) > 1:
            raise ProblemError(400, f"parameter {name!r} is given more than once", name)


def filters_of(kpi: Kpi) -> tuple[str, ...]:
    """The parameters that filter this KPI."""
    return INDICATOR_FILTERS if kpi.kind == "indicator" else kpi.dimensions


def of(kpi: Kpi, query: MultiMapping[str]) -> Question:
    """The question in ``window``, ``territory``, ``by`` and the KPI's filters.

    A window is kept only where it has a meaning, so that equal questions are equal; a wrong one is
    refused all the same. Raises ProblemError.
    """
    window = query.get("window")
    if window is not None and window not in WINDOWS:
        raise ProblemError(
            422, f"no window is called {window!r}; there are {', '.join(WINDOWS)}", "window"
        )
    return Question(
        kpi.name,
        window if has_window(kpi) else None,
        query.get("territory", "all"),
        query.get("by"),
        tuple((name, query[name]) for name in filters_of(kpi) if name in query),
    )


def numbers(query: MultiMapping[str], selection: Selection) -> list[str]:
    """The KPIs of a question for all numbers of a window: those named, else all but ``ind.sum``.

    ``window`` (or ``now``) is required; ``by`` can only be ``dimensions``. Raises ProblemError.
    """
    only(MultiDict((n, v) for n, v in query.items() if n != "kpi"), ("window", "by", "as_of"))
    window = query.get("window")
    if window is None:
        raise ProblemError(400, "parameter 'window' is required: a window, or now", "window")
    if window not in (*WINDOWS, NOW):
        raise ProblemError(
            422, f"no window is called {window!r}; there are {', '.join((*WINDOWS, NOW))}", "window"
        )
    if query.get("by", DIMENSIONS) != DIMENSIONS:
        raise ProblemError(422, f"by can only be {DIMENSIONS}", "by")
    names = list(dict.fromkeys(query.getall("kpi", [])))
    for name in names:
        if name not in selection:
            raise ProblemError(404, f"no KPI is called {name!r}", "kpi")
        if not of_window(name, window):
            raise ProblemError(422, f"{name} does not speak of {window}", "kpi")
    return names or [n for n in selection.kpis if of_window(n, window) and n != "ind.sum"]


def as_of(query: MultiMapping[str]) -> int | None:
    """The instant asked for, ``None`` for now. Raises ProblemError 422."""
    return _instant(query, "as_of") if "as_of" in query else None


def span(query: MultiMapping[str]) -> Span:
    """``from``, ``to`` and ``step``. Raises ProblemError 400 (missing) or 422 (wrong)."""
    for name in ("from", "to", "step"):
        if name not in query:
            raise ProblemError(400, f"parameter {name!r} is required for a series", name)
    start, end = _instant(query, "from"), _instant(query, "to")
    try:
        step_ms = instants.parse_step(query["step"])
    except ValueError as error:
        raise ProblemError(422, str(error), "step") from None
    if step_ms < MIN_STEP_MS:
        raise ProblemError(422, "the smallest step is 10 seconds", "step")
    if start > end:
        raise ProblemError(422, "from lies after to", "from")
    points = (end - start) // step_ms + 1
    if points > MAX_POINTS:
        raise ProblemError(
            422, f"{points} points asked for, at most {MAX_POINTS}: take a larger step", "step"
        )
    return Span(start, end, step_ms)


def _instant(query: MultiMapping[str], name: str) -> int:
    try:
        return instants.parse(query[name])
    except ValueError as error:
        raise ProblemError(422, str(error), name) from None
