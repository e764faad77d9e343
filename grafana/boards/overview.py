"""Overview: what a duty officer sees first. State of the feeds, every stream, map and ranking."""

from grafana import palette, queries, ranking
from grafana.board import Board
from grafana.maps import district_map
from grafana.panels import (
    Column,
    Look,
    Query,
    Tile,
    kpi_number,
    lines,
    number,
    overdue_number,
    rows,
    simulated_banner,
)

ALERTS = 'ALERTS{alertname=~"Ioc.*",alertstate="firing"}'
SEVERITIES = {"page": "Khẩn", "ticket": "Cần xử lý", "info": "Thông tin"}


def alert_count(width: int = 4) -> Tile:
    """How many alerts fire now."""
    return number(
        "Cảnh báo đang bật",
        "Alerts that fire now (all severities).",
        f"count({ALERTS}) or vector(0)",
        Look("none", 0, palette.steps(palette.GREEN, (1, palette.YELLOW), (5, palette.RED))),
        width=width,
        sparkline=False,
    )


def caught_up(width: int = 4) -> Tile:
    """Whether the view has read everything."""
    return number(
        "Số liệu cập nhật",
        "Whether the view has caught up with the source topics (ioc_caught_up).",
        "min(ioc_caught_up) or vector(NaN)",
        Look(
            "none",
            0,
            palette.steps(palette.RED, (1, palette.GREEN)),
            palette.words(_0=("ĐANG TRỄ", palette.RED), _1=("KỊP THỜI", palette.GREEN)),
        ),
        width=width,
        background=True,
        sparkline=False,
    )


def _feeds_live() -> Tile:
    return number(
        "Luồng còn sống",
        "Feeds (topic and province) that sent something in the last two hours.",
        f"count(ioc_feed_age_seconds{{{queries.FEED_SCOPE}}} < 7200) or vector(NaN)",
        Look("none", 0),
        sparkline=False,
    )


def _stale_feed() -> Tile:
    return number(
        "Luồng im lặng lâu nhất",
        "Age of the quietest feed in scope (ioc_feed_age_seconds).",
        f"max(ioc_feed_age_seconds{{{queries.FEED_SCOPE}}}) or vector(NaN)",
        Look("s", 0, palette.steps(palette.GREEN, (7200, palette.YELLOW), (43200, palette.RED))),
        sparkline=False,
    )


def _both(kind: str) -> str:
    """Reports and cases together, by district."""
    return " + ".join(
        queries.series(f"{domain}.{kind}", queries.DISTRICTS) for domain in ("fr", "gov")
    )


def _backlog_map() -> Tile:
    opened, overdue = _both("open_now"), _both("overdue_now")
    return district_map(
        "Bản đồ tồn đọng theo huyện",
        "Districts: size is what is open (reports and cases), colour the overdue share.",
        Column(opened, "Đang mở"),
        Column(
            f"({overdue}) / (({opened}) > 0)",
            "Tỷ lệ quá hạn",
            "percentunit",
            1,
            palette.overdue_share(),
        ),
        [Column(overdue, "Quá hạn")],
    )


def _flow(title: str, description: str, arrived: str, done: str) -> Tile:
    return lines(
        title,
        description,
        [
            Query(queries.series(arrived, window="1h"), queries.kpi(arrived).title_vi),
            Query(queries.series(done, window="1h"), queries.kpi(done).title_vi),
        ],
        Look("short", None),
        height=8,
    )


def board() -> Board:
    """The overview board."""
    made = Board(
        "ioc-overview",
        "Tổng quan điều hành",
        "Overview: the state of every stream, the map of districts and what needs attention now.",
    )
    made.add(simulated_banner(), caught_up(), alert_count(), _feeds_live(), _stale_feed())
    made.row("Phản ánh hiện trường · ${province:text} · ${district:text}")
    made.add(
        kpi_number("fr.received"),
        kpi_number("fr.open_now"),
        kpi_number("fr.overdue_now"),
        overdue_number("fr.overdue_now", "fr.open_now", "Tỷ lệ phản ánh quá hạn"),
        kpi_number("fr.on_time_rate"),
        kpi_number("fr.satisfaction_rate"),
    )
    made.row("Hồ sơ thủ tục hành chính · ${province:text} · ${district:text}")
    made.add(
        kpi_number("gov.cases_received"),
        kpi_number("gov.open_now"),
        kpi_number("gov.overdue_now"),
        kpi_number("gov.near_due_now"),
        kpi_number("gov.on_time_rate"),
        kpi_number("gov.online_rate"),
    )
    made.row("Thương mại điện tử · ${province:text} · ${district:text}")
    made.add(
        kpi_number("eco.products"),
        kpi_number("eco.stores"),
        kpi_number("eco.ocop_products"),
        kpi_number("eco.orders"),
        kpi_number("eco.gmv_vnd"),
        kpi_number("eco.cashless_rate"),
    )
    made.row("Diễn biến và địa bàn")
    made.add(
        _backlog_map(),
        ranking.districts(
            "Xếp hạng huyện theo quá hạn",
            "Districts by overdue; every rate with the count behind it. A click opens the wall.",
            [
                ranking.kpi_column("fr.overdue_now", "Phản ánh quá hạn"),
                ranking.overdue_column("fr.overdue_now", "fr.open_now", "% phản ánh quá hạn"),
                ranking.kpi_column("gov.overdue_now", "Hồ sơ quá hạn"),
                ranking.overdue_column("gov.overdue_now", "gov.open_now", "% hồ sơ quá hạn"),
                ranking.kpi_column("gov.on_time_rate", "Đúng hạn"),
                ranking.base_column("gov.on_time_rate", "Số hồ sơ xét"),
            ],
            sort="Hồ sơ quá hạn",
            width=12,
            height=16,
        ),
        _flow(
            "Phản ánh mỗi giờ: đến và trả lời",
            "Field reports per hour: received and answered.",
            "fr.received",
            "fr.answered",
        ),
        _flow(
            "Hồ sơ mỗi giờ: tiếp nhận và giải quyết",
            "Administrative cases per hour: received and solved.",
            "gov.cases_received",
            "gov.cases_solved",
        ),
        rows(
            "Cảnh báo đang bật",
            "Alerts that fire now; the runbook has a heading for each.",
            [Column(f"sum by (alertname, severity, owner, province, topic) ({ALERTS})", "Số")],
            {
                "alertname": "Cảnh báo",
                "severity": "Mức",
                "owner": "Phụ trách",
                "province": "Tỉnh",
                "topic": "Luồng",
            },
            sort="Mức",
            height=8,
            words={"severity": SEVERITIES},
            may_be_empty="no alert fires on a quiet day",
        ),
    )
    return made
