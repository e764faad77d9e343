"""A question to the view, checked: every wrong name is refused, and the parameter is named."""

from collections.abc import Mapping
from typing import NamedTuple, cast

from services.core.evaluate import Where
from services.core.facts import ECO_CREATED, Fact
from services.core.kpis import CATALOGUE, WINDOWS, Kpi
from services.core.territory import LEVELS, Row, Territories, TerritoryLevel

_BY_LEVELS = ("province", "district", "commune")


class QueryError(Exception):
    """A question that has no answer: the parameter that is wrong, why, and an HTTP status."""

    def __init__(self, parameter: str, detail: str, status: int = 422) -> None:
        super().__init__(f"{parameter}: {detail}")
        self.parameter = parameter
        self.detail = detail
        self.status = status


class Question(NamedTuple):
    """``level`` is set when rows are asked by a territory level, ``dimensions`` when by those.

    ``where`` gives packed field values; ``series`` and ``indicator`` belong to ind.* KPIs.
    """

    kpi: Kpi
    window: str
    row: Row
    level: TerritoryLevel | None
    dimensions: tuple[str, ...]
    where: Where
    series: str | None
    indicator: str | None


def ask(
    territories: Territories,
    kpi_name: str,
    window: str | None,
    territory: str,
    by: str | None,
    where: Mapping[str, str],
) -> Question:
    """Check a question. Raises :class:`QueryError` (404 for an unknown KPI, else 422)."""
    kpi = CATALOGUE.get(kpi_name)
    if kpi is None:
        raise QueryError("name", "no KPI of that name is in the catalogue", 404)
    row = territories.row(territory)
    if row is None:
        raise QueryError("territory", "expected all or the code of a territory")
    level, dimensions = _grouping(kpi, row, by)
    if kpi.kind == "indicator":
        series, indicator = _indicator(kpi, where)
        packed: Where = {}
    else:
        series = indicator = None
        packed = _filters(kpi, where, dimensions)
    return Question(kpi, _window(kpi, window), row, level, dimensions, packed, series, indicator)


def _window(kpi: Kpi, window: str | None) -> str:
    if window is not None and window not in WINDOWS:
        raise QueryError("window", f"expected one of {', '.join(WINDOWS)}")
    if not kpi.windows or kpi.is_stock:
        return "now"
    if window is None:
        raise QueryError("window", f"is required: one of {', '.join(kpi.windows)}")
    return window


def _grouping(kpi: Kpi, row: Row, by: str | None) -> tuple[TerritoryLevel | None, tuple[str, ...]]:
    if by is None:
        return None, ()
    if by in _BY_LEVELS:
        level = cast("TerritoryLevel", by)
        if LEVELS.index(level) <= LEVELS.index(row.level):
            raise QueryError("by", f"a {row.level} has no {by}s below it")
        return level, ()
    names = tuple(by.split(","))
    if len(names) == 1 and names[0] in kpi.dimensions:
        return None, names
    if len(names) == 2 and _is_pair(kpi, names[0], names[1]):
        return None, names
    known = [*_BY_LEVELS, *kpi.dimensions, *(",".join(pair) for pair in kpi.pairs)]
    raise QueryError("by", f"expected one of {', '.join(known)}")


def _is_pair(kpi: Kpi, a: str, b: str) -> bool:
    return (a, b) in kpi.pairs or (b, a) in kpi.pairs


def fact_of(kpi: Kpi) -> Fact:
    """The fact whose fields are a KPI's dimensions; those of a listing for KPIs over listings."""
    return ECO_CREATED if kpi.numerator is None else kpi.numerator.fact


def _filters(kpi: Kpi, where: Mapping[str, str], dimensions: tuple[str, ...]) -> Where:
    fact = fact_of(kpi)
    packed: dict[str, int] = {}
    for name, value in where.items():
        if name not in kpi.dimensions:
            raise QueryError(name, f"{kpi.name} has no such dimension or parameter")
        values = fact.fields[name].values
        if value not in values:
            raise QueryError(name, f"expected one of {', '.join(values)}")
        packed[name] = values.index(value)
    together = {*packed, *dimensions}
    if len(together) > 1 and not (len(together) == 2 and _is_pair(kpi, *together)):
        name = next(iter(packed))
        raise QueryError(name, "is not kept together with the other dimension asked for")
    return packed


def _indicator(kpi: Kpi, where: Mapping[str, str]) -> tuple[str | None, str | None]:
    for name in where:
        if name not in ("series", "indicator"):
            raise QueryError(name, f"{kpi.name} has no such dimension or parameter")
    series, indicator = where.get("series"), where.get("indicator")
    if (series is None) == (indicator is None):
        raise QueryError("series", "expected series=<key>, or indicator=<name> with a territory")
    return series, indicator
