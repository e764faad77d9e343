"""What is sold, and how much of it there is, province by province. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from services.simulation.provinces import BAC_LIEU, DONG_THAP, QUANG_NGAI, QUANG_TRI


@dataclass(frozen=True)
class Scale:
    """Listings per platform, stores on the provincial floor, OCOP products of 3 stars and more."""

    provincial: int
    postmart: int
    voso: int
    sendo: int
    provincial_stores: int
    ocop: int


SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        QUANG_TRI: Scale(142, 264, 320, 4, 43, 58),
        QUANG_NGAI: Scale(210, 430, 480, 80, 64, 40),
        DONG_THAP: Scale(420, 900, 1000, 180, 120, 310),
        BAC_LIEU: Scale(120, 260, 290, 30, 38, 76),
    }
)
DEFAULT_SCALE = Scale(150, 250, 280, 20, 45, 50)
NAMES: Mapping[str, tuple[tuple[str, str, str], ...]] = MappingProxyType(
    {
        QUANG_TRI: (
            ("Hồ tiêu Cùa", "food", "kg"),
            ("Cao chè vằng La Vang", "herbal", "hộp"),
            ("Cà phê Khe Sanh", "drink", "kg"),
            ("Nước mắm Cửa Việt", "food", "lít"),
            ("Tinh dầu tràm Hải Lăng", "herbal", "chai"),
            ("Nón lá Triệu Phong", "handicraft", "chiếc"),
        ),
        QUANG_NGAI: (
            ("Tỏi Lý Sơn", "food", "kg"),
            ("Hành Lý Sơn", "food", "kg"),
            ("Quế Trà Bồng", "herbal", "kg"),
            ("Kẹo gương Quảng Ngãi", "food", "hộp"),
            ("Muối Sa Huỳnh", "food", "kg"),
            ("Rượu sim Ba Tơ", "drink", "chai"),
        ),
        DONG_THAP: (
            ("Xoài Cao Lãnh", "food", "kg"),
            ("Nem Lai Vung", "food", "chục"),
            ("Quýt hồng Lai Vung", "food", "kg"),
            ("Hoa kiểng Sa Đéc", "ornamental", "chậu"),
            ("Trà tim sen Tháp Mười", "drink", "hộp"),
            ("Khăn choàng Long Khánh", "handicraft", "chiếc"),
            ("Vé tham quan Gáo Giồng", "tourism", "vé"),
        ),
        BAC_LIEU: (
            ("Muối Bạc Liêu", "food", "kg"),
            ("Tôm khô Gành Hào", "food", "kg"),
            ("Nhãn cổ Bạc Liêu", "food", "kg"),
            ("Mật ong Hồng Dân", "food", "chai"),
            ("Chiếu cói Phước Long", "handicraft", "đôi"),
            ("Rượu nếp Hòa Bình", "drink", "chai"),
        ),
    }
)
DEFAULT_NAMES = (("Gạo đặc sản", "food", "kg"), ("Mật ong rừng", "food", "chai"))
FORMS = ("", " loại 1", " hộp quà", " gói nhỏ", " hữu cơ", " sấy khô", " truyền thống")
