"""Field reports (phản ánh hiện trường): backlog, arrivals against the usual, who is late, where."""

from grafana import palette, queries, ranking
from grafana.board import Board
from grafana.maps import district_map
from grafana.panels import (
    Column,
    Look,
    Query,
    Tile,
    kpi_bars,
    kpi_by_province,
    kpi_lines,
    kpi_number,
    lines,
    overdue_number,
    simulated_banner,
)


def _surge() -> Tile:
    return lines(
        "Phản ánh một giờ so với thường lệ",
        "Reports of the last hour over the usual number of this hour (past weeks, else the mean "
        "of 24 hours), by province. 3 and more with at least 10 reports raises "
        "IocFieldReportSurge.",
        [Query(queries.named(queries.reports_above_expected()), "{{name}}")],
        Look("none", 1, palette.steps(palette.GREEN, (2, palette.YELLOW), (3, palette.RED))),
        target=True,
        may_be_empty="recorded by a rule: nothing until Prometheus has run it and reports came",
    )


def _expected() -> Tile:
    received = queries.series("fr.received", queries.PROVINCES, "1h")
    return lines(
        "Phản ánh đến mỗi giờ và mức thường lệ",
        "Reports received per hour by province, with the usual number of the same hour as (…).",
        [
            Query(queries.named(received), "{{name}}"),
            Query(
                queries.named(f"ioc:fr_received:expected1h{{{queries.PROVINCES}}}"),
                "{{name}} (thường lệ)",
            ),
        ],
        Look("short", None),
        may_be_empty="the usual number is recorded by a rule of Prometheus",
    )


def board() -> Board:
    """The board of field reports."""
    made = Board(
        "ioc-field-reports",
        "Phản ánh hiện trường",
        "Field reports: backlog, arrivals against the usual, time to answer, ranking of districts.",
    )
    made.add(
        simulated_banner(6),
        kpi_number("fr.received", width=3),
        kpi_number("fr.answered", width=3),
        kpi_number("fr.open_now", width=3),
        kpi_number("fr.overdue_now", width=3),
        overdue_number("fr.overdue_now", "fr.open_now", "Tỷ lệ quá hạn", width=3),
        kpi_number("fr.on_time_rate", width=3),
        kpi_number("fr.satisfaction_rate"),
        kpi_number("fr.p50_hours_to_answer"),
        kpi_number("fr.p90_hours_to_answer"),
        kpi_number("fr.mean_hours_to_answer"),
        kpi_number("fr.ack_minutes_mean"),
        kpi_number("fr.extension_rate"),
    )
    made.row("Diễn biến · ${province:text} · ${district:text}")
    made.add(
        _expected(),
        _surge(),
        kpi_lines("Tồn đọng", ["fr.open_now", "fr.overdue_now"]),
        kpi_by_province("fr.on_time_rate"),
        kpi_lines(
            "Thời gian trả lời",
            ["fr.p50_hours_to_answer", "fr.mean_hours_to_answer", "fr.p90_hours_to_answer"],
        ),
        kpi_by_province("fr.satisfaction_rate"),
    )
    made.row("Theo lĩnh vực, kênh, trạng thái")
    made.add(
        kpi_bars("fr.received", "category"),
        kpi_bars("fr.overdue_now", "category"),
        kpi_bars("fr.on_time_rate", "category"),
        kpi_bars("fr.received", "channel"),
        kpi_bars("fr.open_now", "status"),
        kpi_bars("fr.on_time_rate", "priority"),
    )
    made.row("Không thuộc thẩm quyền")
    made.add(
        kpi_number("fr.rejected", width=8),
        kpi_number("fr.duplicates", width=8),
        kpi_number("fr.referred", width=8),
    )
    made.row("Theo địa bàn")
    made.add(
        district_map(
            "Bản đồ phản ánh đang mở",
            "Districts: size is open reports, colour the overdue share.",
            Column(queries.series("fr.open_now", queries.DISTRICTS), "Đang mở"),
            Column(
                queries.ratio("fr.overdue_now", "fr.open_now", queries.DISTRICTS),
                "Tỷ lệ quá hạn",
                "percentunit",
                1,
                palette.overdue_share(),
            ),
            [Column(queries.series("fr.overdue_now", queries.DISTRICTS), "Quá hạn")],
            width=10,
        ),
        ranking.districts(
            "Xếp hạng huyện",
            "Districts by overdue reports; every rate with the count behind it.",
            [
                ranking.kpi_column("fr.overdue_now", "Quá hạn"),
                ranking.kpi_column("fr.open_now", "Đang mở"),
                ranking.overdue_column("fr.overdue_now", "fr.open_now"),
                ranking.kpi_column("fr.received", "Tiếp nhận"),
                ranking.kpi_column("fr.on_time_rate", "Đúng hạn"),
                ranking.base_column("fr.on_time_rate", "Số xét đúng hạn"),
                ranking.kpi_column("fr.p90_hours_to_answer", "Trả lời p90"),
                ranking.kpi_column("fr.satisfaction_rate", "Hài lòng"),
                ranking.base_column("fr.satisfaction_rate", "Số đánh giá"),
            ],
            sort="Quá hạn",
            width=14,
            height=16,
        ),
    )
    return made
