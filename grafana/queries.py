"""PromQL of the boards, built from the KPI catalogue. Text only: knows neither SDK nor network.

The variables of every board are ``$province`` and ``$district``. Their value for *all* is the
empty group ``()``, so that one selector serves every scope: ``province=~"$province"`` is then the
series whose province is empty (the level *all*), and ``province=~"${province}.*"`` is any province.
"""

from grafana.metrics import NOW, label_of, windows
from services.core.kpis import CATALOGUE, Kpi

ALL_VALUE = "()"
#: One series: the chosen district, else the chosen province, else everything.
SCOPE = 'province=~"$province",district=~"$district"'
#: The provinces in scope.
PROVINCES = 'level="province",province=~"${province}.*"'
#: The districts in scope.
DISTRICTS = 'level="district",province=~"${province}.*",district=~"${district}.*"'
#: Series by dimension exist for all and for provinces, not for districts.
SCOPE_PROVINCE = 'province=~"$province"'
#: Pipeline series by province; province of an unknown code is left to the data-quality board.
FEED_SCOPE = 'province=~"${province}.*"'


def kpi(name: str) -> Kpi:
    """The KPI of the catalogue. Raises KeyError for an unknown name."""
    return CATALOGUE[name]


def window_of(entry: Kpi, window: str) -> str:
    """The value of the label ``window``: "now" for a stock KPI, else what was asked.

    Raises ValueError for a window that the view does not expose.
    """
    if entry.is_stock:
        return NOW
    if window != "$window" and window not in windows(entry):
        raise ValueError(f"{entry.name}: window {window} is not exposed")
    return window


def series(name: str, where: str = SCOPE, window: str = "$window", suffix: str = "") -> str:
    """The raw selector of a KPI metric; ``suffix`` is "_entities" for the count behind a rate."""
    entry = kpi(name)
    return f'{entry.metric}{suffix}{{window="{window_of(entry, window)}",{where}}}'


def scoped(name: str, window: str = "$window") -> str:
    """One series for the chosen scope, NaN where the KPI has no value.

    NaN and not nothing: a stat panel shows the last point of the range, and without the NaN the
    last known value of an hour ago would pass for the present one.
    """
    return f"max({series(name, window=window)}) or vector(NaN)"


def ratio(numerator: str, denominator: str, where: str = SCOPE) -> str:
    """A share of two stock KPIs (overdue of open)."""
    return f"{series(numerator, where)} / ({series(denominator, where)} > 0)"


def scoped_ratio(numerator: str, denominator: str) -> str:
    """``ratio`` for the chosen scope as one series, NaN where there is nothing to divide by."""
    return f"max({ratio(numerator, denominator)}) or vector(NaN)"


def by_dimension(name: str, dimension: str, window: str = "$window") -> str:
    """A KPI by one of its dimensions, for the chosen province or everything."""
    entry = kpi(name)
    if dimension not in entry.dimensions:
        raise ValueError(f"{name} has no dimension {dimension}")
    label = label_of(dimension)
    return (
        f"sum by ({label}) ({entry.metric}_by_{dimension}"
        f'{{window="{window_of(entry, window)}",{SCOPE_PROVINCE}}})'
    )


def named(expression: str, *labels: str) -> str:
    """The expression with the territory's ``name`` (and other labels of it, such as lat and lon).

    ``@ end()``: the names of today serve the whole range, history from before them included.
    """
    wanted = ", ".join(("name", *labels))
    return (
        f"sum by (province, district, {wanted}) ("
        f"({expression}) * on (level, province, district) group_left ({wanted}) "
        "(ioc_territory_info @ end()))"
    )


def named_in_province(expression: str) -> str:
    """District rows with the district's ``name`` and the name of its ``province_name``."""
    return (
        "sum by (province_name, province, district, name) ("
        f"({expression}) * on (level, province, district) group_left (name) "
        "(ioc_territory_info @ end()) * on (province) group_left (province_name) "
        'label_replace(ioc_territory_info{level="province"} @ end(), '
        '"province_name", "$1", "name", "(.+)"))'
    )


def reports_above_expected() -> str:
    """Reports of the last hour against the usual number of this hour, by province."""
    return (
        f"sum by (level, province) ({series('fr.received', PROVINCES, '1h')}) "
        "/ (ioc:fr_received:expected1h > 0)"
    )
