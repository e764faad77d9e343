"""The boards, one module each; ``all_boards`` gives them in the order of the menu."""

from grafana.board import Board
from grafana.boards import (
    admin_cases,
    data_quality,
    ecommerce,
    field_reports,
    indicators,
    overview,
    pipeline_health,
)


def all_boards() -> list[Board]:
    """Every board, newly laid out."""
    return [
        module.board()
        for module in (
            overview,
            field_reports,
            admin_cases,
            ecommerce,
            indicators,
            data_quality,
            pipeline_health,
        )
    ]
