"""Panels: one function for each way of showing a number. They say how, the boards say what.

A ``Tile`` is a panel with its size and, where an empty answer is a good answer, the reason why.
Titles are Vietnamese; the English title, the formula and the target stand in the description.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import bargauge, prometheus, stat, table, text, timeseries
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    StackingConfig,
    TableSortByFieldState,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.dashboard import (
    DashboardFieldConfigSourceOverrides,
    DashboardLink,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    MatcherConfig,
    ValueMapping,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

from grafana import palette, queries
from grafana.labels import DIMENSIONS, WORDS
from grafana.metrics import label_of

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
#: The wall of the territory whose code stands in the field of that name in the same row.
WALL_TERRITORY = '${{wall_url}}?territory=${{__data.fields["{field}"]}}'


@dataclass(frozen=True)
class Query:
    """One PromQL query of a panel. ``instant``: one point, now; else over the range."""

    expr: str
    legend: str = ""
    instant: bool = False


@dataclass(frozen=True)
class Column:
    """A column of a table: its query, its title, and how its numbers look."""

    expr: str
    title: str
    unit: str = "locale"
    decimals: int | None = 0
    thresholds: ThresholdsConfig | None = None
    #: Words for its values ("0" to "no").
    words: Mapping[str, str] | None = None


@dataclass
class Tile:
    """A panel and its size on the grid of 24 columns (height in grid rows of 30 px).

    ``may_be_empty`` is the reason why an empty answer of its queries is a good answer.
    """

    panel: dashboard.Panel
    width: int
    height: int
    may_be_empty: str | None = None


@dataclass
class Look:
    """How the numbers of a panel look."""

    unit: str = "locale"
    decimals: int | None = 0
    thresholds: ThresholdsConfig = field(default_factory=palette.plain)
    mappings: Sequence[ValueMapping] = field(default_factory=lambda: [palette.no_data()])
    #: Codes that appear as series names, with their Vietnamese words.
    words: Mapping[str, str] = field(default_factory=dict)
    minimum: float | None = 0


def look_of(name: str, axis: bool = False) -> Look:
    """The look of a KPI, decided by the catalogue."""
    entry = queries.kpi(name)
    unit, decimals = palette.unit(entry, axis)
    return Look(unit, decimals, palette.target_steps(entry))


def describe(name: str, more: str = "") -> str:
    """A KPI's description: English title, formula and target."""
    entry = queries.kpi(name)
    tail = f" {more}" if more else ""
    return f"{entry.title_en} ({entry.name}): {entry.formula}.{palette.target_text(entry)}{tail}"


def link(title: str, url: str, new_tab: bool = True) -> DashboardLink:
    """A data link or panel link."""
    return DashboardLink(
        title=title, type_val=DashboardLinkType.LINK, url=url, target_blank=new_tab
    )


def _targets(asked: Sequence[Query], as_table: bool = False) -> list[prometheus.Dataquery]:
    built: list[prometheus.Dataquery] = []
    for number, query in enumerate(asked):
        target = (
            prometheus.Dataquery()
            .expr(query.expr)
            .ref_id(chr(ord("A") + number))
            .datasource(DATASOURCE)
        )
        target = target.instant() if query.instant else target.range()
        if query.legend:
            target = target.legend_format(query.legend)
        if as_table:
            target = target.format(PromQueryFormat.TABLE)
        built.append(target)
    return built


def finish(
    panel: dashboard.Panel,
    title: str,
    description: str,
    asked: Sequence[Query],
    look: Look,
    colour: FieldColor,
    size: tuple[int, int],
    *,
    as_table: bool = False,
    may_be_empty: str | None = None,
) -> Tile:
    panel.title, panel.description = title, description
    panel.datasource = DATASOURCE
    panel.targets = [target.build() for target in _targets(asked, as_table)]
    defaults = panel.field_config.defaults
    defaults.unit, defaults.decimals, defaults.min_val = look.unit, look.decimals, look.minimum
    defaults.thresholds = look.thresholds.build()
    defaults.mappings = list(look.mappings)
    defaults.color = colour.build()
    defaults.no_value = palette.NO_DATA
    for code, word in look.words.items():
        rename(panel, code, word)
    return Tile(panel, *size, may_be_empty=may_be_empty)


def rename(panel: dashboard.Panel, code: str, word: str) -> None:
    """Shows the series ``code`` of a panel under another name."""
    override(panel, code, displayName=word)


def override(panel: dashboard.Panel, name: str, **properties: object) -> None:
    """Sets properties of one field of a panel (``custom__width`` is ``custom.width``)."""
    panel.field_config.overrides.append(
        DashboardFieldConfigSourceOverrides(
            MatcherConfig("byName", name),
            [DynamicConfigValue(key.replace("__", "."), v) for key, v in properties.items()],
        )
    )


def number(
    title: str,
    description: str,
    expr: str,
    look: Look,
    *,
    width: int = 4,
    background: bool = False,
    sparkline: bool = True,
    url: str = "",
    may_be_empty: str | None = None,
) -> Tile:
    """One big number, coloured by its thresholds, grey when there is none."""
    panel = (
        stat.Panel()
        .color_mode(
            common.BigValueColorMode.BACKGROUND if background else common.BigValueColorMode.VALUE
        )
        .graph_mode(common.BigValueGraphMode.AREA if sparkline else common.BigValueGraphMode.NONE)
        .text_mode(common.BigValueTextMode.VALUE)
        # "last", not "lastNotNull": yesterday's number must not pass for today's
        .reduce_options(ReduceDataOptions().calcs(["last"]).values(False))
        .build()
    )
    if url:
        panel.links = [link("Mở · open", url)]
    return finish(
        panel,
        title,
        description,
        [Query(expr)],
        look,
        palette.by_threshold(),
        (width, 4),
        may_be_empty=may_be_empty,
    )


def kpi_number(
    name: str, *, width: int = 4, window: str = "$window", may_be_empty: str | None = None
) -> Tile:
    """A KPI for the chosen scope and window as one big number."""
    entry = queries.kpi(name)
    return number(
        entry.title_vi + (" (₫)" if entry.unit == "vnd" else ""),
        describe(name),
        queries.scoped(name, window),
        look_of(name),
        width=width,
        may_be_empty=may_be_empty,
    )


def overdue_number(overdue: str, opened: str, title: str, width: int = 4) -> Tile:
    """Overdue as a share of open: a backlog judged by its size, not by a bare count."""
    return number(
        title,
        f"Overdue share of the open ones: {overdue} / {opened}. Yellow from 5 %, red from 15 %.",
        queries.scoped_ratio(overdue, opened),
        Look("percentunit", 1, palette.overdue_share()),
        width=width,
    )


def lines(
    title: str,
    description: str,
    asked: Sequence[Query],
    look: Look,
    *,
    width: int = 12,
    height: int = 8,
    stacked: bool = False,
    bars: bool = False,
    target: bool = False,
    may_be_empty: str | None = None,
) -> Tile:
    """Lines (or bars) over the range. ``target`` draws the thresholds as dashed lines."""
    builder = (
        timeseries.Panel()
        .draw_style(common.GraphDrawStyle.BARS if bars else common.GraphDrawStyle.LINE)
        .line_width(1 if bars else 2)
        .fill_opacity(60 if bars else (25 if stacked else 8))
        .show_points(common.VisibilityMode.NEVER)
        # null is a gap, never a bridge
        .span_nulls(False)
        .legend(
            VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .calcs(["last"])
        )
        .tooltip(
            VizTooltipOptions()
            .mode(common.TooltipDisplayMode.MULTI)
            .sort(common.SortOrder.DESCENDING)
        )
    )
    if stacked:
        builder = builder.stacking(StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if target:
        builder = builder.thresholds_style(
            GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED)
        )
    return finish(
        builder.build(),
        title,
        description,
        asked,
        look,
        palette.classic(),
        (width, height),
        may_be_empty=may_be_empty,
    )


def kpi_lines(
    title: str,
    names: Sequence[str],
    *,
    window: str = "$window",
    width: int = 12,
    may_be_empty: str | None = None,
) -> Tile:
    """Several KPIs of one unit over the range, for the chosen scope."""
    return lines(
        title,
        " ".join(describe(name) for name in names),
        [Query(queries.series(n, window=window), queries.kpi(n).title_vi) for n in names],
        look_of(names[0], axis=True),
        width=width,
        target=len(names) == 1 and queries.kpi(names[0]).target is not None,
        may_be_empty=may_be_empty,
    )


def kpi_by_province(name: str, *, window: str = "$window", width: int = 12) -> Tile:
    """A KPI over the range, one line for each province in scope, with the target as a line."""
    entry = queries.kpi(name)
    return lines(
        f"{entry.title_vi} theo tỉnh",
        describe(name, "By province."),
        [Query(queries.named(queries.series(name, queries.PROVINCES, window)), "{{name}}")],
        look_of(name, axis=True),
        width=width,
        target=entry.target is not None,
    )


def kpi_bars(
    name: str,
    dimension: str,
    *,
    window: str = "$window",
    width: int = 8,
    height: int = 9,
    may_be_empty: str | None = None,
) -> Tile:
    """A KPI by one dimension as sorted bars."""
    entry = queries.kpi(name)
    panel = (
        bargauge.Panel()
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .orientation(common.VizOrientation.HORIZONTAL)
        .value_mode(common.BarGaugeValueMode.COLOR)
        .show_unfilled(True)
        .reduce_options(ReduceDataOptions().calcs(["last"]).values(False))
        .build()
    )
    unit, decimals = palette.unit(entry)
    look = Look(unit, decimals, palette.target_steps(entry), words=WORDS.get(dimension, {}))
    return finish(
        panel,
        f"{entry.title_vi} theo {DIMENSIONS[dimension]}",
        describe(name, f"By {dimension}; for all or the chosen province, not by district."),
        [
            Query(
                f"sort_desc({queries.by_dimension(name, dimension, window)})",
                f"{{{{{label_of(dimension)}}}}}",
                instant=True,
            )
        ],
        look,
        palette.by_threshold(),
        (width, height),
        may_be_empty=may_be_empty,
    )


def rows(
    title: str,
    description: str,
    columns: Sequence[Column],
    keys: Mapping[str, str],
    *,
    sort: str,
    descending: bool = True,
    width: int = 24,
    height: int = 10,
    words: Mapping[str, Mapping[str, str]] | None = None,
    url: str = "",
    url_field: str = "",
    hidden: Sequence[str] = (),
    may_be_empty: str | None = None,
) -> Tile:
    """A table: one row for each combination of the labels ``keys`` (label to title).

    ``words`` maps the codes of a label to words; ``url`` is a data link on ``url_field``.
    """
    panel = (
        table.Panel()
        .show_header(True)
        .cell_height(common.TableCellHeight.SM)
        .sort_by([TableSortByFieldState().display_name(sort).desc(descending)])
        .build()
    )
    values = [
        f"Value #{chr(ord('A') + n)}" if len(columns) > 1 else "Value" for n in range(len(columns))
    ]
    renamed = {**keys, **{v: c.title for v, c in zip(values, columns, strict=True)}}
    order = {name: place for place, name in enumerate(renamed)}
    panel.transformations = [
        DataTransformerConfig("merge", options={}),
        DataTransformerConfig(
            "organize",
            options={
                "excludeByName": {"Time": True, **dict.fromkeys(hidden, True)},
                "indexByName": order,
                "renameByName": renamed,
            },
        ),
    ]
    tile = finish(
        panel,
        title,
        description,
        [Query(column.expr, instant=True) for column in columns],
        Look(minimum=None),
        palette.by_threshold(),
        (width, height),
        as_table=True,
        may_be_empty=may_be_empty,
    )
    for column in columns:
        thresholds = (column.thresholds or palette.plain()).build()
        properties: dict[str, object] = {"unit": column.unit, "thresholds": thresholds}
        if column.decimals is not None:
            properties["decimals"] = column.decimals
        if column.thresholds is not None:
            properties["custom__cellOptions"] = {"type": "color-text"}
        if column.words is not None:
            properties["mappings"] = [palette.codes(column.words), palette.no_data()]
        override(panel, column.title, **properties)
    for label, codes in (words or {}).items():
        mapping = palette.codes(codes)
        override(panel, keys[label], mappings=[mapping])
    if url:
        override(panel, keys[url_field], links=[link("Mở trên tường điều hành · wall", url)])
    return tile


def simulated_banner(width: int = 8) -> Tile:
    """Says in words and colour whether simulated sources feed the numbers."""
    return number(
        "Nguồn số liệu",
        "Whether a simulated source (/ioc/sim/…) feeds these numbers (ioc_simulated).",
        "max(ioc_simulated) or vector(NaN)",
        Look(
            "none",
            0,
            palette.steps(palette.GREEN, (1, palette.ORANGE)),
            palette.words(
                _0=("SỐ LIỆU THẬT · LIVE", palette.GREEN),
                _1=("SỐ LIỆU MÔ PHỎNG · SIMULATED", palette.ORANGE),
            ),
        ),
        width=width,
        background=True,
        sparkline=False,
    )


def note(title: str, markdown: str, *, width: int = 24, height: int = 4) -> Tile:
    """A text panel."""
    panel = text.Panel().mode(TextMode.MARKDOWN).content(markdown).build()
    panel.title = title
    return Tile(panel, width, height)
