"""The shapes of the answers of contract section 6, from the merged numbers. Pure."""

from collections.abc import Mapping, Sequence

from services.core.indicators import by_name
from services.core.kpis import Kpi
from services.core.rows import Row
from services.core.territory import Territories
from services.view import instants
from services.view.question import Question, dimension_values, has_window

KNOWN_INDICATORS = by_name()
ROW_COLUMNS = ("territory", "by", "value", "numerator", "denominator", "count")
KPI_COLUMNS = ("kpi", "unit", "window", "as_of", *ROW_COLUMNS)
CATALOGUE_COLUMNS = (
    "name", "kind", "unit", "title_vi", "title_en", "formula", "windows", "dimensions", "target",
    "direction", "metric",
)  # fmt: skip
TERRITORY_COLUMNS = ("code", "name", "level", "parent", "kind", "lat", "lon", "population")


def row_dict(row: Row) -> dict[str, object]:
    """One row as the contract shows it."""
    return {
        "territory": row.territory,
        "by": row.by,
        "value": row.value,
        "numerator": row.numerator,
        "denominator": row.denominator,
        "count": row.count,
    }


def kpi_answer(
    question: Question, as_of: int, rows: Sequence[dict[str, object]]
) -> dict[str, object]:
    """The answer of ``/api/v1/kpis/{name}`` and of one event of the stream."""
    return {
        "kpi": question.kpi,
        "unit": question.unit,
        "window": question.window,
        "as_of": instants.show(as_of),
        "rows": rows,
    }


def kpi_table(answer: dict[str, object]) -> list[dict[str, object]]:
    """The same as a table, every line complete in itself."""
    rows = answer["rows"]
    assert isinstance(rows, list)  # noqa: S101 (kpi_answer made it)
    head = {name: answer[name] for name in ("kpi", "unit", "window", "as_of")}
    return [{**head, **row} for row in rows]


def indicator_row(series: Mapping[str, object]) -> dict[str, object]:
    """One series of ``/api/v1/indicators``: as the state has it, instants as text.

    Titles and direction are those of the list of known indicators, null for others.
    """
    known = KNOWN_INDICATORS.get(str(series["indicator"]))
    row = {
        name: instants.show(value)
        if name in ("period_start", "period_end", "time") and isinstance(value, int)
        else value
        for name, value in series.items()
    }
    return row | {
        "title_vi": known.title_vi if known else None,
        "title_en": known.title_en if known else None,
        "direction": known.direction if known else None,
    }


def catalogue_entry(kpi: Kpi) -> dict[str, object]:
    """One KPI of ``/api/v1/kpis``."""
    return {
        "name": kpi.name,
        "kind": kpi.kind,
        "unit": kpi.unit,
        "titles": {"vi": kpi.title_vi, "en": kpi.title_en},
        "formula": kpi.formula,
        "windows": list(kpi.windows) if has_window(kpi) else [],
        "dimensions": list(kpi.dimensions),
        "pairs": [list(pair) for pair in kpi.pairs],
        "values": {name: list(dimension_values(kpi, name)) for name in kpi.dimensions},
        "target": kpi.target,
        "direction": kpi.direction,
        "metric": kpi.metric,
    }


def catalogue_line(entry: dict[str, object]) -> dict[str, object]:
    """The same as one line of a table: lists joined by blanks."""
    line = {
        name: " ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in entry.items()
    }
    titles = entry["titles"]
    if isinstance(titles, dict):
        line |= {f"title_{language}": title for language, title in titles.items()}
    return line


def territory_rows(territories: Territories) -> list[dict[str, object]]:
    """Every known territory: code, name, level, the one above; districts with their place."""
    out: list[dict[str, object]] = []
    for row in territories.rows:
        if not row.known or row.parent < 0:
            continue
        district = territories.districts.get(row.code) if row.level == "district" else None
        commune = territories.communes.get(row.code) if row.level == "commune" else None
        kind = district.kind if district else commune.kind if commune else None
        out.append(
            {
                "code": row.code,
                "name": row.name,
                "level": row.level,
                "parent": None if row.level == "province" else territories.rows[row.parent].code,
                "kind": kind,
                "lat": district.lat if district else None,
                "lon": district.lon if district else None,
                "population": district.population if district else None,
            }
        )
    return out
