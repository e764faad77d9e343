"""Vietnamese words for the codes of the contract, as operators say them (domain: statuses, fields).

A code without a word here is shown as it is; a test holds the list against ``schemas.v1``.
"""

from collections.abc import Mapping
from types import MappingProxyType

DIMENSIONS: Mapping[str, str] = MappingProxyType(
    {
        "category": "lĩnh vực",
        "channel": "kênh",
        "priority": "mức độ",
        "status": "trạng thái",
        "level": "cấp giải quyết",
        "procedure_field": "lĩnh vực thủ tục",
        "service_level": "mức dịch vụ công",
        "portal": "cổng dịch vụ công",
        "platform": "sàn",
        "product_group": "nhóm sản phẩm",
        "seller_kind": "loại người bán",
        "payment": "hình thức thanh toán",
        "step": "bước xử lý",
    }
)

WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "category": {
            "road": "Hạ tầng giao thông",
            "lighting_power": "Chiếu sáng, điện",
            "waste_env": "Rác thải, môi trường",
            "drainage_flood": "Thoát nước, ngập",
            "urban_order": "Trật tự đô thị",
            "security_traffic": "An ninh, an toàn giao thông",
            "water_supply": "Cấp nước",
            "food_health": "An toàn thực phẩm, y tế",
            "admin_service": "Thủ tục hành chính",
            "disaster": "Thiên tai, cứu nạn",
            "other": "Khác",
        },
        "channel": {
            "app": "Ứng dụng",
            "web": "Trang web",
            "hotline": "Tổng đài",
            "zalo": "Zalo",
            "facebook": "Facebook",
            "email": "Thư điện tử",
            "camera": "Camera",
            "field_staff": "Cán bộ hiện trường",
            "online": "Trực tuyến",
            "direct": "Trực tiếp",
            "postal": "Bưu chính công ích",
        },
        "priority": {"urgent": "Khẩn", "normal": "Thông thường", "complex": "Phức tạp"},
        "status": {
            "received": "Mới tiếp nhận",
            "verifying": "Đang xác minh",
            "assigned": "Đã chuyển đơn vị",
            "in_progress": "Đang xử lý",
            "extended": "Xin gia hạn",
            "answered": "Đã trả lời",
            "reopened": "Xử lý lại",
            "rejected": "Từ chối",
            "duplicate": "Trùng",
            "referred": "Chuyển cấp trên",
            "registered": "Mới đăng ký",
            "accepted": "Được tiếp nhận",
            "refused": "Không tiếp nhận",
            "processing": "Đang xử lý",
            "supplement": "Chờ bổ sung giấy tờ",
            "payment_due": "Chờ nghĩa vụ tài chính",
            "withdrawn": "Rút hồ sơ",
            "stopped": "Dừng xử lý",
            "solved": "Đã xử lý xong",
            "returned": "Đã trả kết quả",
        },
        "level": {"province": "Cấp tỉnh", "district": "Cấp huyện", "commune": "Cấp xã"},
        "procedure_field": {
            "civil_status": "Hộ tịch",
            "certification": "Chứng thực",
            "land": "Đất đai",
            "business": "Đăng ký kinh doanh",
            "construction": "Xây dựng",
            "transport": "Giao thông",
            "labour_social": "Lao động, bảo trợ xã hội",
            "police_residence": "Công an, cư trú",
            "other": "Khác",
        },
        "service_level": {
            "info": "Cung cấp thông tin",
            "partial": "Một phần",
            "full": "Toàn trình",
        },
        "portal": {"national": "Cổng DVC quốc gia", "provincial": "Cổng DVC tỉnh"},
        "platform": {
            "postmart": "PostMart",
            "voso": "Voso",
            "sendo": "Sendo",
            "provincial": "Sàn của tỉnh",
        },
        "product_group": {
            "food": "Thực phẩm",
            "drink": "Đồ uống",
            "herbal": "Thảo dược",
            "handicraft": "Thủ công mỹ nghệ",
            "ornamental": "Sinh vật cảnh",
            "tourism": "Du lịch nông thôn",
            "other": "Khác",
        },
        "seller_kind": {"household": "Hộ", "cooperative": "Hợp tác xã", "firm": "Doanh nghiệp"},
        "payment": {"cod": "Tiền mặt khi nhận", "bank": "Ngân hàng", "wallet": "Ví điện tử"},
        "step": {
            "receive": "Tiếp nhận",
            "appraise": "Thẩm định",
            "approve": "Phê duyệt",
            "sign": "Ký số",
            "return": "Trả kết quả",
        },
        "topic": {
            "ioc.field-report.v1": "Phản ánh hiện trường",
            "ioc.admin-case.v1": "Hồ sơ hành chính",
            "ioc.listing.v1": "Thương mại điện tử",
            "ioc.indicator.v1": "Chỉ tiêu",
        },
        "outcome": {
            "applied": "Được tính",
            "duplicate": "Trùng lặp",
            "conflict": "Mâu thuẫn",
            "stale": "Bản cũ",
            "rejected": "Bị loại",
            "expired": "Quá hạn lưu",
        },
        "lateness": {"10m": "Trễ trên 10 phút", "1d": "Trễ trên 1 ngày"},
    }
)

#: Domains of indicators: the part of an indicator's code before the dot.
INDICATOR_DOMAINS: Mapping[str, str] = MappingProxyType(
    {
        "idx": "Chỉ số xếp hạng",
        "idx766": "Thành phần chỉ số QĐ 766",
        "org": "Tổ chức, chỉ đạo",
        "gov": "Chính quyền số",
        "infra": "Hạ tầng số",
        "ioc": "Trung tâm điều hành",
        "edoc": "Văn bản điện tử",
        "data": "Dữ liệu số",
        "soc": "Xã hội số",
        "eco": "Kinh tế số",
        "train": "Đào tạo, tập huấn",
        "hr": "Nhân lực",
        "rpt": "Chế độ báo cáo",
        "sec": "An toàn thông tin",
        "proj": "Dự án thành phố thông minh",
    }
)
