"""Administrative cases (hồ sơ TTHC): timeliness, online service, digitisation, payment, steps."""

from grafana import palette, queries, ranking
from grafana.board import Board
from grafana.maps import district_map
from grafana.panels import (
    Column,
    kpi_bars,
    kpi_by_province,
    kpi_lines,
    kpi_number,
    overdue_number,
    simulated_banner,
)


def board() -> Board:
    """The board of administrative cases."""
    made = Board(
        "ioc-admin-cases",
        "Hồ sơ thủ tục hành chính",
        "Administrative cases: backlog, timeliness, online service, digitisation and payment.",
        # nobody solves cases on a Sunday: over 24 hours the rates would be grey on a Monday morning
        window="30d",
    )
    made.add(
        simulated_banner(6),
        kpi_number("gov.cases_received", width=3),
        kpi_number("gov.cases_solved", width=3),
        kpi_number("gov.open_now", width=3),
        kpi_number("gov.overdue_now", width=3),
        overdue_number("gov.overdue_now", "gov.open_now", "Tỷ lệ quá hạn", width=3),
        kpi_number("gov.near_due_now", width=3),
        kpi_number("gov.on_time_rate"),
        kpi_number("gov.early_rate"),
        kpi_number("gov.refuse_rate"),
        kpi_number("gov.mean_processing_days"),
        kpi_number("gov.p90_processing_days"),
        kpi_number("gov.satisfaction_rate"),
    )
    made.row("Dịch vụ công trực tuyến · ${province:text} · ${district:text}")
    made.add(
        kpi_number("gov.online_rate"),
        kpi_number("gov.full_online_rate"),
        kpi_number("gov.auth_rate"),
        kpi_number("gov.popdb_use_rate"),
        kpi_number("gov.dvcqg_sync_rate"),
        kpi_number("gov.online_payment_rate"),
        kpi_number("gov.components_digitised_rate", width=5),
        kpi_number("gov.result_digitised_rate", width=5),
        kpi_number("gov.reuse_rate", width=5),
        kpi_number("gov.online_payments", width=4),
        kpi_number("gov.online_payment_value_vnd", width=5),
    )
    made.row("Diễn biến")
    made.add(
        kpi_lines(
            "Hồ sơ mỗi giờ: tiếp nhận, thụ lý, giải quyết, trả kết quả",
            ["gov.cases_received", "gov.cases_accepted", "gov.cases_solved", "gov.cases_returned"],
            window="1h",
        ),
        kpi_lines("Tồn đọng", ["gov.open_now", "gov.near_due_now", "gov.overdue_now"]),
        kpi_by_province("gov.on_time_rate"),
        kpi_by_province("gov.online_rate"),
        kpi_lines("Thời gian giải quyết", ["gov.mean_processing_days", "gov.p90_processing_days"]),
        kpi_lines("Giá trị thanh toán trực tuyến", ["gov.online_payment_value_vnd"]),
    )
    made.row("Theo lĩnh vực, cấp, kênh, bước")
    made.add(
        kpi_bars("gov.cases_received", "procedure_field"),
        kpi_bars("gov.on_time_rate", "procedure_field"),
        kpi_bars("gov.overdue_now", "procedure_field"),
        kpi_bars("gov.step_minutes", "step"),
        kpi_bars("gov.open_now", "status"),
        kpi_bars("gov.on_time_rate", "level"),
        kpi_bars("gov.cases_received", "channel", width=6),
        kpi_bars("gov.cases_received", "service_level", width=6),
        kpi_bars("gov.cases_received", "portal", width=6),
        kpi_bars("gov.cases_received", "level", width=6),
    )
    made.row("Theo địa bàn")
    made.add(
        district_map(
            "Bản đồ hồ sơ đang giải quyết",
            "Districts: size is open cases, colour the overdue share.",
            Column(queries.series("gov.open_now", queries.DISTRICTS), "Đang giải quyết"),
            Column(
                queries.ratio("gov.overdue_now", "gov.open_now", queries.DISTRICTS),
                "Tỷ lệ quá hạn",
                "percentunit",
                1,
                palette.overdue_share(),
            ),
            [Column(queries.series("gov.overdue_now", queries.DISTRICTS), "Quá hạn")],
            width=10,
        ),
        ranking.districts(
            "Xếp hạng huyện",
            "Districts by overdue cases; every rate with the count behind it.",
            [
                ranking.kpi_column("gov.overdue_now", "Quá hạn"),
                ranking.kpi_column("gov.open_now", "Đang mở"),
                ranking.overdue_column("gov.overdue_now", "gov.open_now"),
                ranking.kpi_column("gov.cases_received", "Tiếp nhận"),
                ranking.kpi_column("gov.on_time_rate", "Đúng hạn"),
                ranking.base_column("gov.on_time_rate", "Số xét đúng hạn"),
                ranking.kpi_column("gov.online_rate", "Trực tuyến"),
                ranking.base_column("gov.online_rate", "Số hồ sơ mới"),
                ranking.kpi_column("gov.satisfaction_rate", "Hài lòng"),
                ranking.base_column("gov.satisfaction_rate", "Số đánh giá"),
            ],
            sort="Quá hạn",
            width=14,
            height=16,
        ),
    )
    return made
