"""E-commerce: stores, listings, OCOP products, orders and their value. Small numbers are normal."""

from grafana import queries, ranking
from grafana.board import Board
from grafana.maps import district_map
from grafana.panels import (
    Column,
    kpi_bars,
    kpi_by_province,
    kpi_lines,
    kpi_number,
    simulated_banner,
)


def board() -> Board:
    """The board of e-commerce."""
    made = Board(
        "ioc-ecommerce",
        "Thương mại điện tử",
        "E-commerce: stores and listings on the floors, OCOP products, orders and value.",
    )
    made.add(
        simulated_banner(6),
        kpi_number("eco.stores", width=3),
        kpi_number("eco.products", width=3),
        kpi_number("eco.ocop_products", width=3),
        kpi_number("eco.commune_seller_share", width=3),
        kpi_number("eco.out_of_stock_rate", width=3),
        kpi_number("eco.listings_created", width=3),
        kpi_number("eco.orders"),
        kpi_number("eco.gmv_vnd", width=5),
        kpi_number("eco.aov_vnd", width=5),
        kpi_number("eco.cancel_rate", width=3),
        kpi_number("eco.cashless_rate", width=3),
        kpi_number("eco.listings_delisted"),
    )
    made.row("Diễn biến · ${province:text} · ${district:text}")
    made.add(
        kpi_by_province("eco.orders"),
        kpi_by_province("eco.gmv_vnd"),
        kpi_lines("Đơn hàng mỗi giờ", ["eco.orders"], window="1h"),
        kpi_by_province("eco.products"),
        kpi_lines("Sản phẩm mới và ngừng bán", ["eco.listings_created", "eco.listings_delisted"]),
        kpi_by_province("eco.cashless_rate"),
    )
    made.row("Theo sàn, nhóm sản phẩm, người bán")
    made.add(
        kpi_bars("eco.products", "platform", width=6),
        kpi_bars("eco.products", "product_group", width=6),
        kpi_bars("eco.products", "seller_kind", width=6),
        kpi_bars("eco.ocop_products", "product_group", width=6),
        kpi_bars("eco.orders", "platform", width=6),
        kpi_bars("eco.orders", "payment", width=6),
        kpi_bars("eco.gmv_vnd", "platform", width=6),
        kpi_bars("eco.stores", "platform", width=6),
    )
    made.row("Theo địa bàn")
    made.add(
        district_map(
            "Bản đồ sản phẩm đang bán",
            "Districts: size is active listings, colour the share of communes with a seller.",
            Column(queries.series("eco.products", queries.DISTRICTS), "Sản phẩm"),
            ranking_share(),
            [Column(queries.series("eco.stores", queries.DISTRICTS), "Gian hàng")],
            width=10,
        ),
        ranking.districts(
            "Xếp hạng huyện",
            "Districts by active listings. A district without communes has no share of communes.",
            [
                ranking.kpi_column("eco.products", "Sản phẩm"),
                ranking.kpi_column("eco.stores", "Gian hàng"),
                ranking.kpi_column("eco.ocop_products", "OCOP từ 3 sao"),
                ranking.kpi_column("eco.commune_seller_share", "Xã có gian hàng"),
                ranking.kpi_column("eco.orders", "Đơn hàng"),
                ranking.kpi_column("eco.gmv_vnd", "Giá trị (₫)"),
                ranking.kpi_column("eco.cashless_rate", "Không tiền mặt"),
                ranking.base_column("eco.cashless_rate", "Số đơn xong"),
            ],
            sort="Sản phẩm",
            width=14,
            height=16,
        ),
    )
    return made


def ranking_share() -> Column:
    """Share of communes with a seller, by district, without names (the map joins them)."""
    column = ranking.kpi_column("eco.commune_seller_share", "Xã có gian hàng")
    expr = queries.series("eco.commune_seller_share", queries.DISTRICTS)
    return Column(expr, column.title, column.unit, column.decimals, column.thresholds)
