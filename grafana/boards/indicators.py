"""Indicators by domain: everything the province reports that is no stream of its own.

Rates stand in a column of percentages (above 100 % is valid: a quota can be exceeded), all other
values in a column of their own with the unit behind the title. Whether a target is met depends on
the indicator's direction in the catalogue: of incidents or ranks, fewer is better.
"""

from collections.abc import Iterable

from grafana import palette
from grafana.board import Board, indicator_variable
from grafana.labels import INDICATOR_DOMAINS
from grafana.panels import (
    Column,
    Look,
    Query,
    Tile,
    lines,
    number,
    rows,
    simulated_banner,
)
from services.core.indicators import by_name

KNOWN = by_name()
_SCOPE = 'province=~"${province}.*",district=~"${district}.*"'
_KEYS = {
    "indicator": "Chỉ tiêu",
    "name": "Địa bàn",
    "dims": "Chi tiết",
    "district": "Mã huyện",
}
_HOUR = 3600


def _named(expression: str) -> str:
    return (
        "sum by (indicator, dims, province, district, name) ("
        f"({expression}) * on (level, province, district) group_left (name) "
        "(ioc_territory_info @ end()))"
    )


def _any(names: Iterable[str]) -> str:
    """A pattern for exactly these indicators; one that matches nothing where there is none."""
    return "|".join(name.replace(".", "[.]") for name in names) or "none"


#: Of these fewer is better; of all others more.
DOWN = _any(name for name, known in KNOWN.items() if known.direction == "down")
TITLES = {
    name: known.title_vi + ("" if known.unit in ("ratio", "flag") else f" ({known.unit})")
    for name, known in KNOWN.items()
}


def met(where: str) -> str:
    """1 for each series that meets its target, 0 for each that does not."""
    up = f'{{indicator!~"{DOWN}",{where}}}'
    down = f'{{indicator=~"{DOWN}",{where}}}'
    return (
        f"ioc_ind_value{up} >= bool ioc_ind_target{up} "
        f"or ioc_ind_value{down} <= bool ioc_ind_target{down}"
    )


def _domain(code: str, title: str) -> Tile:
    where = f'indicator=~"{code}[.].+",{_SCOPE}'
    ratios = _any(n for n, known in KNOWN.items() if known.domain == code and known.unit == "ratio")
    return rows(
        f"{title} ({code})",
        f"Indicators of the domain {code}: latest value (rates apart), target, met or not, age.",
        [
            Column(
                _named(f'ioc_ind_value{{indicator!~"{ratios}",{where}}}'), "Giá trị", "locale", 2
            ),
            Column(
                _named(f'ioc_ind_value{{indicator=~"{ratios}",{where}}}'), "Tỷ lệ", "percentunit", 1
            ),
            Column(_named(f"ioc_ind_target{{{where}}}"), "Mục tiêu", "none", 2),
            Column(
                _named(met(where)),
                "Đạt",
                "none",
                0,
                palette.steps(palette.RED, (1, palette.GREEN)),
                {"0": "CHƯA", "1": "ĐẠT"},
            ),
            Column(_named(f"ioc_ind_age_seconds{{{where}}}"), "Tuổi số liệu", "s", 0),
        ],
        {"province": "Mã tỉnh", **_KEYS},
        sort="Chỉ tiêu",
        descending=False,
        width=12,
        height=9,
        words={"indicator": TITLES},
        may_be_empty="the chosen territory may report no number, no rate or no target here",
    )


def board() -> Board:
    """The board of indicators."""
    made = Board(
        "ioc-indicators",
        "Chỉ tiêu theo lĩnh vực",
        "Indicators by domain: latest value against target, and how old the reading is.",
        span="now-7d",
        variables=[indicator_variable()],
    )
    made.add(
        simulated_banner(6),
        number(
            "Số chuỗi chỉ tiêu",
            "Series of indicators with a number in scope (one indicator, territory and detail).",
            f"count(ioc_ind_value{{{_SCOPE}}}) or vector(NaN)",
            Look("locale", 0),
            width=4,
        ),
        number(
            "Chỉ tiêu khác nhau",
            "Distinct indicators with a number in scope.",
            f"count(group by (indicator) (ioc_ind_value{{{_SCOPE}}})) or vector(NaN)",
            Look("locale", 0),
            width=4,
        ),
        number(
            "Đạt mục tiêu",
            "Share of the series with a target that meet it, by the direction of each indicator.",
            f"avg({met(_SCOPE)}) or vector(NaN)",
            Look("percentunit", 1),
            width=5,
        ),
        number(
            "Số liệu cũ nhất",
            "Age of the oldest latest reading in scope. Yearly figures are old by nature.",
            f"max(ioc_ind_age_seconds{{{_SCOPE}}}) or vector(NaN)",
            Look("s", 0),
            width=5,
        ),
    )
    made.row("Một chỉ tiêu: ${indicator}")
    one = f'indicator="$indicator",{_SCOPE}'
    made.add(
        lines(
            "Diễn biến: ${indicator}",
            "The chosen indicator by territory and detail.",
            [Query(_named(f"ioc_ind_value{{{one}}}"), "{{name}} {{dims}}")],
            Look("none", 2, minimum=None),
            width=14,
            may_be_empty="the chosen territory may not report the chosen indicator",
        ),
        rows(
            "Giá trị mới nhất: ${indicator}",
            "The chosen indicator: latest value and age by territory.",
            [
                Column(_named(f"ioc_ind_value{{{one}}}"), "Giá trị", "none", 3),
                Column(_named(f"ioc_ind_age_seconds{{{one}}}"), "Tuổi số liệu", "s", 0),
            ],
            {"province": "Mã tỉnh", **_KEYS},
            sort="Giá trị",
            width=10,
            height=8,
            words={"indicator": TITLES},
            may_be_empty="the chosen territory may not report the chosen indicator",
        ),
    )
    made.row("Theo lĩnh vực")
    made.add(*(_domain(code, title) for code, title in INDICATOR_DOMAINS.items()))
    made.row("Độ mới của số liệu")
    made.add(
        lines(
            "Tuổi số liệu trung bình theo lĩnh vực",
            "Mean age of the latest readings by domain.",
            [
                Query(
                    "avg by (domain) (label_replace("
                    f"ioc_ind_age_seconds{{{_SCOPE}}}, "
                    '"domain", "$1", "indicator", "([a-z0-9]+)[.].+"))',
                    "{{domain}}",
                )
            ],
            Look("s", 0, words=INDICATOR_DOMAINS),
            width=24,
        )
    )
    return made
