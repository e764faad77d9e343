"""Tables that rank districts: every rate with the count behind it, worst first.

A rate of a district with three cases says little; so the number of entities always stands beside.
"""

from grafana import palette, queries
from grafana.panels import WALL_TERRITORY, Column, Tile, rows

CODE = "Mã"
KEYS = {"name": "Huyện", "province_name": "Tỉnh", "district": CODE}


def kpi_column(name: str, title: str, window: str = "$window") -> Column:
    """A KPI by district, looking as the catalogue says."""
    entry = queries.kpi(name)
    unit, decimals = palette.unit(entry)
    judged = entry.target is not None and entry.unit == "ratio"
    return Column(
        queries.named_in_province(queries.series(name, queries.DISTRICTS, window)),
        title,
        unit,
        decimals,
        palette.target_steps(entry) if judged else None,
    )


def base_column(name: str, title: str, window: str = "$window") -> Column:
    """The count behind a rate by district."""
    return Column(
        queries.named_in_province(queries.series(name, queries.DISTRICTS, window, "_entities")),
        title,
    )


def overdue_column(overdue: str, opened: str, title: str = "Tỷ lệ quá hạn") -> Column:
    """Overdue as a share of open, by district."""
    return Column(
        queries.named_in_province(queries.ratio(overdue, opened, queries.DISTRICTS)),
        title,
        "percentunit",
        1,
        palette.overdue_share(),
    )


def districts(
    title: str,
    description: str,
    columns: list[Column],
    *,
    sort: str,
    width: int = 24,
    height: int = 14,
) -> Tile:
    """Districts in scope, ranked; the name links to the wall of the district."""
    return rows(
        title,
        description,
        columns,
        KEYS,
        sort=sort,
        width=width,
        height=height,
        hidden=("province",),
        url=WALL_TERRITORY.format(field=CODE),
        url_field="name",
    )
