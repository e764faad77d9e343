"""A board: its identity, the shared variables, links and annotations, and the layout of its tiles.

Every board has the same variables (datasource, province, district, window, wall address), so that
a link between boards keeps the operator's choice.
"""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    GridPos,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.metrics import WINDOWS
from grafana.panels import DATASOURCE, Tile
from grafana.queries import ALL_VALUE

TAG = "ioc"
WALL_URL = "http://127.0.0.1:8080/"
COLUMNS = 24
_WINDOW_WORDS = {
    "1h": "1 giờ qua",
    "24h": "24 giờ qua",
    "today": "hôm nay",
    "30d": "30 ngày qua",
    "month": "tháng này",
}
PROVINCE_QUERY = 'query_result(group by (name, province) (ioc_territory_info{level="province"}))'
PROVINCE_REGEX = '/name="(?<text>[^"]+)".*province="(?<value>[^"]+)"/'
#: With all provinces chosen there is nothing to choose from: a district has a province.
DISTRICT_QUERY = (
    "query_result(group by (district, name) "
    '(ioc_territory_info{level="district",province=~"$province"}))'
)
DISTRICT_REGEX = '/district="(?<value>[^"]+)".*name="(?<text>[^"]+)"/'


def indicator_variable() -> Builder[model.VariableModel]:
    """One indicator to look at more closely."""
    return (
        build.QueryVariable("indicator")
        .label("Chỉ tiêu")
        .datasource(DATASOURCE)
        .query({"query": "label_values(ioc_ind_value, indicator)", "refId": "indicator"})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(False)
    )


def _variables(window: str) -> list[Builder[model.VariableModel]]:
    everything = VariableOption(selected=True, text="Tất cả", value="$__all")
    chosen = VariableOption(selected=True, text=_WINDOW_WORDS[window], value=window)
    options = [
        VariableOption(selected=w == window, text=_WINDOW_WORDS[w], value=w) for w in WINDOWS
    ]
    return [
        build.DatasourceVariable("datasource").label("Nguồn dữ liệu").type("prometheus"),
        build.QueryVariable("province")
        .label("Tỉnh")
        .datasource(DATASOURCE)
        .query({"query": PROVINCE_QUERY, "refId": "province"})
        .regex(PROVINCE_REGEX)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .include_all(True)
        .all_value(ALL_VALUE)
        .multi(False)
        .current(everything),
        build.QueryVariable("district")
        .label("Huyện")
        .datasource(DATASOURCE)
        .query({"query": DISTRICT_QUERY, "refId": "district"})
        .regex(DISTRICT_REGEX)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .include_all(True)
        .all_value(ALL_VALUE)
        .multi(False)
        .current(everything),
        build.CustomVariable("window")
        .label("Kỳ")
        .values(",".join(f"{_WINDOW_WORDS[w]} : {w}" for w in WINDOWS))
        .options(options)
        .current(chosen),
        build.TextBoxVariable("wall_url")
        .label("Tường điều hành")
        .default_value(WALL_URL)
        .current(VariableOption(selected=True, text=WALL_URL, value=WALL_URL))
        .options([VariableOption(selected=True, text=WALL_URL, value=WALL_URL)])
        .hide(VariableHide.HIDE_VARIABLE),
    ]


def _annotations() -> list[model.AnnotationQuery]:
    own = DataSourceRef(type_val="grafana", uid="-- Grafana --")
    return [
        build.AnnotationQuery()
        .name("Ghi chú · notes")
        .datasource(own)
        .enable(True)
        .icon_color("#4f81c7")
        .target(build.AnnotationTarget().limit(100).match_any(True).tags([TAG]).type("tags"))
        .build(),
        build.AnnotationQuery()
        .name("Cảnh báo khẩn · pages")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color("#d64541")
        .expr('ALERTS{alertname=~"Ioc.*",alertstate="firing",severity="page"}')
        .build(),
        build.AnnotationQuery()
        .name("Bật, tắt mô phỏng · simulated")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color("#e07b00")
        .expr("max(ioc_simulated) != max(ioc_simulated offset 1m)")
        .build(),
    ]


class Board:
    """One dashboard under construction: ``row`` and ``add`` in reading order, then ``build``."""

    def __init__(
        self,
        uid: str,
        title: str,
        description: str,
        *,
        window: str = "24h",
        span: str = "now-24h",
        variables: Sequence[Builder[model.VariableModel]] = (),
    ) -> None:
        self.uid = uid
        self.title = title
        self._window = window
        self._variables = variables
        self._panels: list[model.Panel | model.RowPanel] = []
        self._reasons: dict[int, str] = {}
        self._x = self._y = self._line = 0
        self._builder = (
            build.Dashboard(title)
            .uid(uid)
            .description(description)
            .tags([TAG])
            .timezone("Asia/Ho_Chi_Minh")
            .week_start("monday")
            .refresh("10s")
            .time(span, "now")
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .timepicker(
                build.TimePicker().refresh_intervals(["5s", "10s", "30s", "1m", "5m", "15m"])
            )
            .readonly()
        )

    def _break(self) -> None:
        self._y += self._line
        self._x = self._line = 0

    def row(self, title: str) -> None:
        """Starts a titled row."""
        self._break()
        panel = model.RowPanel(title=title, grid_pos=GridPos(h=1, w=COLUMNS, x=0, y=self._y))
        panel.id_val = len(self._panels) + 1
        self._panels.append(panel)
        self._y += 1

    def add(self, *tiles: Tile) -> None:
        """Places tiles from left to right; a tile that does not fit begins a new line."""
        for tile in tiles:
            if self._x + tile.width > COLUMNS:
                self._break()
            panel = tile.panel
            panel.id_val = len(self._panels) + 1
            panel.grid_pos = GridPos(h=tile.height, w=tile.width, x=self._x, y=self._y)
            self._x += tile.width
            self._line = max(self._line, tile.height)
            self._panels.append(panel)
            if tile.may_be_empty:
                self._reasons[panel.id_val] = tile.may_be_empty

    @property
    def may_be_empty(self) -> dict[str, str]:
        """Panel id to the reason why its queries may answer nothing."""
        return {str(panel): reason for panel, reason in sorted(self._reasons.items())}

    def build(self) -> model.Dashboard:
        """The finished dashboard."""
        built = self._builder.build()
        built.panels = self._panels
        built.templating.list_val = [
            variable.build() for variable in (*_variables(self._window), *self._variables)
        ]
        built.annotations = model.AnnotationContainer(list_val=_annotations())
        built.links = [
            model.DashboardLink(
                title="Bảng điều hành · boards",
                type_val=DashboardLinkType.DASHBOARDS,
                tags=[TAG],
                as_dropdown=True,
                include_vars=True,
                keep_time=True,
            ),
            model.DashboardLink(
                title="Tường điều hành · wall",
                type_val=DashboardLinkType.LINK,
                icon="external link",
                url="${wall_url}",
                target_blank=True,
            ),
        ]
        return built
