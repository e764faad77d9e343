"""The list of known indicators, with what five articles on provincial digital work report. Data.

Numbers are those of the articles (Quảng Ngãi 2023, Bạc Liêu 2024, Đồng Tháp 2022, Quảng Trị);
ranges under ``plausible`` are assumptions. Percentages of the articles are fractions here.
"""

from types import MappingProxyType
from typing import Any

from services.core.indicators import Indicator, Reported

QT, QN, DT, BL = "45", "51", "87", "95"
QN_CITY, BINH_SON, TRA_BONG, TU_NGHIA = "522", "524", "525", "528"
NGHIA_HANH, MO_DUC, DUC_PHO = "532", "533", "534"

_found: list[Indicator] = []


def _add(name: str, kind: str, unit: str, vi: str, en: str, **more: Any) -> None:
    """Adds one; ``at`` maps a territory to a number, a pair, a text, a Reported or several."""
    reported: dict[str, tuple[Reported, ...]] = {}
    for code, given in more.pop("at", {}).items():
        several = given if isinstance(given, list) else [given]
        reported[code] = tuple(_reported(g) for g in several)
    _found.append(
        Indicator(name, kind, unit, vi, en, reported=MappingProxyType(reported), **more)  # type: ignore[arg-type]  # the test of the catalogue checks the kinds
    )


def _reported(given: Any) -> Reported:
    match given:
        case Reported():
            return given
        case str():
            return Reported(text=given)
        case (numerator, denominator):
            return Reported(numerator=numerator, denominator=denominator)
        case _:
            return Reported(value=given)


def _r(given: Any, target: float | None = None, **dims: str) -> Reported:
    plain = _reported(given)
    return Reported(
        plain.value,
        plain.numerator,
        plain.denominator,
        plain.text,
        tuple(sorted(dims.items())),
        target,
    )


# fmt: off
# One indicator is one paragraph; a line per argument would triple the list.
_P = {"province": (0.9, 1.0)}
_ALL = {"province": (0.92, 1.0), "district": (0.88, 1.0)}

# --- organisation -------------------------------------------------------------------------------
_add("org.steering_committee_rate", "rate", "ratio", "Đơn vị có Ban Chỉ đạo chuyển đổi số",
    "Units with a steering committee", at={TU_NGHIA: _r((14, 14), 1.0), MO_DUC: _r((13, 13), 1.0)},
    plausible=_ALL, base=40)
_add("org.cnscd_coverage", "rate", "ratio", "Thôn, tổ dân phố có Tổ công nghệ số cộng đồng",
    "Hamlets with a community digital team", target=1.0,
    at={QN: 1.0, TU_NGHIA: 1.0, MO_DUC: (81, 81)}, plausible=_ALL, base=900)
_add("org.cnscd_teams", "level", "teams", "Tổ công nghệ số cộng đồng", "Community digital teams",
    at={TRA_BONG: 96, BINH_SON: 143, DUC_PHO: 99},
    plausible={"province": (600, 1200), "district": (40, 110)})
_add("org.cnscd_members", "level", "persons", "Thành viên Tổ công nghệ số cộng đồng",
    "Members of community digital teams", at={MO_DUC: 498, BINH_SON: 650, DUC_PHO: 615},
    plausible={"province": (3000, 7000), "district": (250, 600)})
_add("org.milestone", "flag", "flag", "Mốc nhiệm vụ hoàn thành", "Milestone reached", target=1,
    at={BL: _r(1, milestone="egov-architecture-3.0")})
_add("org.review_meetings", "level", "meetings", "Hội nghị tổng kết năm", "Annual review meetings",
    cadence="year", target=1, at={BL: 1}, plausible={"province": (1, 1)})
_add("org.steering_meetings", "level", "meetings", "Phiên họp Ban Chỉ đạo trong quý",
    "Steering meetings this quarter", cadence="quarter", target=1, at={DT: 1},
    plausible={"province": (1, 2)})
_add("org.partner_programmes", "level", "agreements", "Chương trình hợp tác với doanh nghiệp",
    "Active partner agreements", at={DT: 2, QT: 1}, plausible={"province": (1, 3)})
_add("org.models_registered", "level", "models", "Mô hình điển hình đã đăng ký",
    "Model projects registered", at={DT: 48}, plausible={"province": (10, 60)})
_add("org.resolution_conferences", "level", "conferences", "Hội nghị quán triệt nghị quyết",
    "Conferences on the resolution", at={DT: 12}, plausible={"province": (4, 20)})
_add("org.plans_issued", "level", "plans", "Kế hoạch đã ban hành", "Plans issued", target=6,
    at={DT: 6}, plausible={"province": (4, 7)})
_add("org.nq17_done_rate", "rate", "ratio", "Nhiệm vụ Nghị quyết 17/NQ-CP hoàn thành",
    "Tasks of Resolution 17 done", at={DT: (38, 43)}, plausible={"province": (0.7, 0.95)},
    base=43)
_add("org.schemes_done_rate", "rate", "ratio", "Đề án ngành hoàn thành", "Sector schemes done",
    target=1.0, at={DT: (22, 25)}, plausible={"province": (0.75, 1.0)}, base=25)
_add("org.cds_centre", "flag", "flag", "Có Trung tâm chuyển đổi số", "Has a digital centre",
    at={DT: 1}, plausible={"province": (0, 1)})
_add("org.policy_text", "text", "text", "Chủ trương, chính sách", "Policies and movements",
    direction="none", at={
        QN: [
            _r("Chỉ thị 19: nâng cao nhận thức; người dân, doanh nghiệp là trung tâm; phát triển "
               "nền tảng số; bảo đảm an toàn, an ninh mạng; cả hệ thống chính trị vào cuộc",
               document="directive-19"),
            _r("Kế hoạch 119 của tỉnh thực hiện Chương trình chuyển đổi số quốc gia 749",
               document="plan-119"),
        ],
        QT: [
            _r("Nghị quyết 02: mục tiêu chuyển đổi số đến năm 2030 và đề án đến năm 2025",
               document="resolution-02"),
            _r("Giải pháp: pháp lý, an toàn thông tin và dữ liệu cá nhân, thanh niên khởi nghiệp, "
               "sở hữu trí tuệ, ưu đãi nhà đầu tư", document="solutions"),
        ],
        DUC_PHO: _r("Tuyên truyền trên báo, đài và nền tảng số; từ cá nhân đến xã hội; người dùng "
                    "an toàn trên mạng", document="movement"),
    })
_add("org.event_text", "text", "text", "Sự kiện", "Events", direction="none", at={
        DT: _r("Ngày Chuyển đổi số 10/10 hằng năm", event="digital-day"),
        MO_DUC: _r("30 ngày đêm cao điểm dịch vụ công trực tuyến, 05/8 đến 05/9",
                   event="30-day-drive"),
    })

# --- people -------------------------------------------------------------------------------------
_add("hr.it_vacancies", "level", "persons", "Nhân sự CNTT, an toàn thông tin còn thiếu",
    "IT and security posts not filled", direction="down", at={QN: 46, BL: 31},
    plausible={"province": (15, 60)})
_add("hr.cds_officer_rate", "rate", "ratio", "Cơ quan có cán bộ chuyên trách chuyển đổi số",
    "Bodies with a digital officer", target=1.0, at={TU_NGHIA: (28, 28)}, plausible=_ALL,
    base=40)
_add("hr.records_synced", "level", "records", "Hồ sơ CBCCVC đã đồng bộ",
    "Civil-servant records synced", at={BL: 15_250}, plausible={"province": (14_000, 28_000)})
_add("hr.records_synced_rate", "rate", "ratio", "Tỷ lệ hồ sơ CBCCVC đã đồng bộ",
    "Share of civil-servant records synced", target=1.0, at={BL: (15_250, 15_250)}, plausible=_P,
    base=20_000)
_add("hr.centre_staff", "level", "persons", "Nhân sự Trung tâm chuyển đổi số",
    "Staff of the digital centre", at={DT: 21}, plausible={"province": (8, 30)})
_add("train.commune_leaders", "level", "persons", "Lãnh đạo xã đã học trên Onetouch",
    "Commune leaders trained", at={QN: 176}, plausible={"province": (60, 240)})
_add("train.attendances", "level", "turns", "Lượt tập huấn chuyển đổi số", "Training attendances",
    at={QN: 58_120, BINH_SON: _r(254, event="launch"), DT: 31_400, QT: 12_600},
    plausible={"province": (8_000, 40_000)})

# --- indices ------------------------------------------------------------------------------------
_add("idx.training_rank", "text", "text", "Xếp hạng tập huấn chuyển đổi số", "Training rank",
    direction="none",
    at={QN: "Được Bộ TT&TT biểu dương là địa phương dẫn đầu về tập huấn năm 2022"})
_add("idx.dti_unit", "level", "points", "Điểm chuyển đổi số của đơn vị", "Index of a unit (DTI)",
    plausible={"district": (480, 780)})
_add("idx.dti_rank", "rank", "rank", "Xếp hạng chuyển đổi số (DTI)", "Digital index rank (DTI)",
    direction="down", cadence="year",
    at={QN: 26, DT: 39, QT: 55, BL: 60, TU_NGHIA: _r(4, 5)},
    plausible={"district": (1, 13)})
for _pillar, _vi, _value in (("gov", "Chính quyền số", 0.62), ("eco", "Kinh tế số", 0.54),
                             ("soc", "Xã hội số", 0.58)):
    _add(f"idx.pillar_{_pillar}", "level", "points", f"Trụ cột {_vi}", f"DTI pillar {_pillar}",
        cadence="year", at={DT: _value}, plausible={"province": (0.45, 0.7)})

# --- infrastructure -----------------------------------------------------------------------------
_add("infra.tslcd_rate", "rate", "ratio", "Nút mạng truyền số liệu chuyên dùng hoạt động",
    "Nodes of the dedicated network up", cadence="beat", target=1.0,
    plausible={"province": (1, 1), "district": (1, 1), "commune": (1, 1)},
    source_system="NOC")
_add("infra.staff_pc_rate", "rate", "ratio", "Cán bộ có máy tính làm việc", "Staff with a PC",
    at={QN: (9_130, 11_000)}, plausible={"province": (0.75, 0.98)}, base=10_000)
_add("infra.website_rate", "rate", "ratio", "Đơn vị có trang thông tin điện tử",
    "Units with a website", target=1.0, at={QT: 1.0}, plausible=_P, base=60)
_add("infra.mail_rate", "rate", "ratio", "Cơ quan dùng thư công vụ", "Bodies with official e-mail",
    target=1.0, at={QT: 1.0}, plausible=_P, base=60)
_add("infra.staff_mailbox_rate", "rate", "ratio", "Cán bộ có hộp thư công vụ",
    "Staff with an official mailbox", target=1.0, at={TRA_BONG: (412, 412)}, plausible=_ALL,
    base=500)
_add("infra.vc_points_online", "level", "points", "Điểm cầu truyền hình hội nghị sẵn sàng",
    "Video conference points online", cadence="day",
    at={QT: _r(10, 10), QN: _r(186, 186), MO_DUC: _r(14, 14), BINH_SON: _r(23, 23),
        DT: _r(156, 156), BL: _r(72, 72)})
_add("infra.vc_commune_rate", "rate", "ratio", "Xã có điểm cầu hai chiều", "Communes with video",
    target=1.0, at={QT: (125, 125)}, plausible=_P, base="communes")
_add("infra.portal_up", "flag", "flag", "Cổng chuyển đổi số hoạt động", "Digital portal up",
    cadence="beat", target=1, plausible={"province": (1, 1)}, source_system="NOC")
_add("infra.lgsp_up", "flag", "flag", "Trục LGSP hoạt động", "Integration platform LGSP up",
    cadence="beat", target=1, plausible={"province": (1, 1)}, source_system="LGSP")
_add("infra.lgsp_calls", "flow", "calls", "Lượt gọi qua LGSP", "Calls through LGSP",
    cadence="beat", plausible={"province": (120, 900)}, source_system="LGSP")
for _system, _vi in (("onestop", "Hệ thống một cửa"), ("edoc", "Quản lý văn bản"),
                     ("mail", "Thư công vụ"), ("vc_hub", "Cầu truyền hình trung tâm")):
    _add(f"infra.{_system}_up", "flag", "flag", f"{_vi} hoạt động", f"System up: {_system}",
        cadence="beat", target=1, plausible={"province": (1, 1)}, source_system="NOC")

# --- the centre itself --------------------------------------------------------------------------
SCREEN_FEEDS = ("public-administration", "traffic-order", "health", "education", "socio-economy")
SECTOR_FEEDS = ("agriculture", "resources-environment", "transport", "tourism")
_add("ioc.feeds_live", "level", "feeds", "Nguồn dữ liệu đang sống", "Feeds alive", cadence="beat",
    at={p: [_r(len(SCREEN_FEEDS), len(SCREEN_FEEDS), scope="screens"),
            _r(len(SECTOR_FEEDS), len(SECTOR_FEEDS), scope="sectors")]
        for p in (QT, QN, DT, BL)})
_add("ioc.feed_live", "flag", "flag", "Nguồn dữ liệu hoạt động", "Feed alive", cadence="beat",
    target=1, at={p: [_r(1, feed=f) for f in (*SCREEN_FEEDS, *SECTOR_FEEDS)]
                  for p in (QT, QN, DT, BL)})
_add("ioc.hotline_calls", "flow", "calls", "Cuộc gọi tổng đài", "Hotline calls", cadence="beat",
    direction="none", plausible={"province": (0, 4)}, source_system="1022")
_add("ioc.hotline_answer_rate", "rate", "ratio", "Tỷ lệ trả lời tổng đài", "Hotline answer rate",
    cadence="day", target=0.95, plausible={"province": (0.9, 0.99)}, base=200,
    source_system="1022")
_add("ioc.databases_joined", "level", "databases", "CSDL kết nối về IOC", "Databases joined",
    at={QT: 17}, plausible={"province": (8, 30)})
_add("ioc.district_iocs", "level", "centres", "IOC cấp huyện", "District IOCs",
    at={TU_NGHIA: 1, QN: 1}, plausible={"province": (0, 3)})

# --- digital government -------------------------------------------------------------------------
_add("gov.popdb_fields", "level", "fields", "Trường dữ liệu dân cư đọc được",
    "Fields readable from the population database", target=20, at={QN: 20},
    plausible={"province": (18, 20)})
_add("gov.shared_platform_rate", "rate", "ratio", "Đơn vị dùng nền tảng dùng chung",
    "Units on shared platforms", at={QN: (94, 100), TU_NGHIA: (27, 28)}, plausible=_ALL,
    base=100)
_add("gov.assistant_sessions", "flow", "sessions", "Phiên trợ lý ảo", "Virtual assistant sessions",
    cadence="day", at={}, plausible={"province": (40, 400)})
_add("gov.signature_holders", "level", "persons", "Người có chữ ký số", "Digital signature holders",
    plausible={"province": (9_000, 60_000)})
_add("gov.signature_adult_rate", "rate", "ratio", "Người lớn có chữ ký số",
    "Adults with a digital signature", at={NGHIA_HANH: (2_360, 68_400)},
    plausible={"district": (0.01, 0.06)}, base=60_000)
_add("gov.digital_services", "level", "services", "Dịch vụ số cho người dân",
    "Digital services for people", at={BL: 26}, plausible={"province": (15, 60)})
_add("gov.multi_access_rate", "rate", "ratio", "Dịch vụ dùng được trên nhiều thiết bị",
    "Services on several devices", target=1.0, at={BL: (1_756, 1_790)}, plausible=_P,
    base=1_800)
_add("gov.paperless_units", "level", "units", "Đơn vị họp không giấy", "Paperless meeting rooms",
    at={DT: 2, MO_DUC: 1}, plausible={"province": (1, 12)})
_add("gov.directives_published_rate", "rate", "ratio", "Văn bản chỉ đạo công khai trên cổng",
    "Directives published", target=1.0, at={TRA_BONG: (218, 218)}, plausible=_ALL, base=200)
_add("gov.tthc_published_rate", "rate", "ratio", "TTHC công khai trên trang địa phương",
    "Procedures published", target=1.0, at={TU_NGHIA: (312, 312)}, plausible=_ALL, base=300)
_add("gov.online_procedures", "level", "procedures", "Thủ tục cung cấp trực tuyến",
    "Procedures online",
    at={NGHIA_HANH: [_r(53, level="district"), _r(19, level="commune")],
        DUC_PHO: _r(16, level="district")}, plausible={"province": (700, 1_500)})
_add("gov.ecopies", "flow", "copies", "Bản sao điện tử chứng thực", "Certified e-copies",
    cadence="day", at={MO_DUC: 9}, plausible={"province": (30, 160), "district": (1, 20)})
_add("gov.onestop_rate", "rate", "ratio", "Hồ sơ tiếp nhận qua hệ thống một cửa",
    "Cases through the one-stop system", cadence="day", target=1.0, at={DUC_PHO: 1.0},
    plausible=_ALL, base=250)

# --- documents and reports ----------------------------------------------------------------------
_add("edoc.system_rate", "rate", "ratio", "Đơn vị dùng phần mềm QLVB&ĐH",
    "Units on the document system", target=1.0, at={DT: 1.0}, plausible=_P, base=400)
_add("edoc.partners", "level", "bodies", "Cơ quan trao đổi văn bản điện tử",
    "Bodies exchanging e-documents", at={DT: 88}, plausible={"province": (60, 95)})
_add("edoc.eoffice_rate", "rate", "ratio", "Đơn vị dùng văn phòng điện tử",
    "Units on e-office", target=1.0, at={QT: 1.0}, plausible=_P, base=400)
_add("edoc.sent", "flow", "docs", "Văn bản điện tử đi (nửa năm)", "E-documents sent (half-year)",
    cadence="half", at={TRA_BONG: 8_090}, plausible={"district": (5_000, 16_000)})
_add("edoc.sent_daily", "flow", "docs", "Văn bản điện tử đi trong ngày", "E-documents sent a day",
    cadence="day", plausible={"province": (1_500, 4_000), "district": (40, 160)})
_add("edoc.electronic_rate", "rate", "ratio", "Tỷ lệ văn bản đi điện tử",
    "Outgoing documents sent electronically", cadence="half", at={TRA_BONG: (8_090, 8_606)},
    plausible={"district": (0.88, 0.99)}, base=9_000)
_add("edoc.signed_sent", "flow", "docs", "Văn bản đi ký số của xã (nửa năm)",
    "Signed documents sent by communes (half-year)", cadence="half", at={TRA_BONG: 5_963},
    plausible={"district": (3_500, 9_000)})
_add("edoc.signed_rate", "rate", "ratio", "Tỷ lệ văn bản đi ký số", "Outgoing documents signed",
    cadence="half", at={TRA_BONG: (5_963, 6_085), MO_DUC: (6_420, 6_580)},
    plausible={"district": (0.85, 0.99)}, base=7_000)
_add("edoc.axis_levels", "level", "levels", "Cấp liên thông trục văn bản",
    "Levels on the document axis", target=4, at={DUC_PHO: 4}, plausible={"province": (4, 4)})
_add("edoc.axis_rate", "rate", "ratio", "Đơn vị liên thông trục văn bản",
    "Units on the document axis", target=1.0, at={DUC_PHO: (42, 42)}, plausible=_ALL, base=60)
_add("edoc.workfile_online_rate", "rate", "ratio", "Hồ sơ công việc xử lý trên mạng",
    "Work files handled online",
    at={DUC_PHO: [_r((1_240, 1_550), level="district"), _r((990, 1_650), level="commune")]},
    plausible={"province": (0.7, 0.95)}, base=12_000)
_add("rpt.on_time_rate", "rate", "ratio", "Báo cáo đúng hạn", "Reports on time", target=1.0,
    at={DT: [_r((48, 48), level="province"), _r((139, 144), level="district"),
             _r((1_620, 1_716), level="commune")]},
    plausible={"province": (0.9, 1.0)}, base=500)

# --- data, projects, security -------------------------------------------------------------------
_add("proj.progress", "rate", "ratio", "Tiến độ dự án đô thị thông minh", "Project progress",
    at={BL: [
        _r((14, 20), project="transport-order", owner="so-gtvt"),
        _r((9, 18), project="planning-construction", owner="so-xd"),
        _r((11, 20), project="resources-environment", owner="so-tnmt"),
        _r((16, 22), project="health", owner="so-yte"),
        _r((19, 25), project="ict-smart-data", owner="so-tttt"),
    ]}, plausible={"province": (0.3, 0.9)}, base=20)
_add("data.open_datasets", "level", "datasets", "Bộ dữ liệu mở", "Open datasets", at={BL: 64},
    plausible={"province": (20, 200)})
_add("data.sector_digitised_rate", "rate", "ratio", "CSDL ngành đã số hóa", "Sector data digitised",
    at={BL: (31, 42)}, plausible={"province": (0.5, 0.9)}, base=40)
_add("data.archive_pages", "level", "pages", "Trang tài liệu lưu trữ đã số hóa",
    "Archive pages digitised", at={BL: 3_312_400}, plausible={"province": (900_000, 4_000_000)})
_add("sec.incidents", "flow", "incidents", "Sự cố an toàn thông tin", "Security incidents",
    direction="down", cadence="day", target=0, plausible={"province": (0, 1)},
    source_system="SOC")

# --- digital economy ----------------------------------------------------------------------------
_add("eco.ocop_recognised", "level", "products", "Sản phẩm OCOP được công nhận",
    "OCOP products recognised", at={QT: 60, QN: 42, DT: 325, BL: 80},
    plausible={"province": (40, 300)})
for _name, _vi, _en, _low, _high in (
    ("einvoice_units", "Đơn vị dùng hóa đơn điện tử", "Units on e-invoice", 3_000, 9_000),
    ("econtracts", "Hợp đồng điện tử", "E-contracts", 400, 5_000),
    ("etax_units", "Đơn vị nộp thuế điện tử", "Units on e-tax", 3_000, 9_000),
    ("firms_supported", "Doanh nghiệp được hỗ trợ", "Firms supported", 40, 400),
    ("digital_firms", "Doanh nghiệp công nghệ số", "Digital firms", 30, 260),
):
    _add(f"eco.{_name}", "level", "units" if "units" in _name else _en.split()[-1].lower(),
        _vi, _en, plausible={"province": (_low, _high)})
_add("eco.sme_platform_rate", "rate", "ratio", "Doanh nghiệp nhỏ và vừa dùng nền tảng số",
    "SMEs on digital platforms", target=0.50, target_low=0.45, at={BL: (1_081, 2_300)},
    plausible={"province": (0.35, 0.55)}, base=2_500)

# --- digital society ----------------------------------------------------------------------------
_add("soc.people_guided", "level", "persons", "Người dân được hướng dẫn kỹ năng số",
    "People guided by the teams",
    at={MO_DUC: _r(3_486, 3_486), BINH_SON: _r(4_550, 4_550), DUC_PHO: _r(4_305, 4_305),
        QN_CITY: [_r(1_120, 1_050, topic="one-stop", audience="residents"),
                  _r(640, 700, topic="cashless", audience="fishermen")]},
    plausible={"province": (20_000, 60_000)})
_add("soc.insurance_etrans_units", "level", "units", "Đơn vị giao dịch BHXH điện tử",
    "Units with insurance e-transactions", at={BL: 1_196}, plausible={"province": (900, 3_000)})
_add("soc.insurance_etrans_rate", "rate", "ratio", "Tỷ lệ đơn vị giao dịch BHXH điện tử",
    "Share of units with insurance e-transactions", at={BL: (1_196, 1_334)},
    plausible={"province": (0.8, 0.97)}, base=2_000)
_add("soc.eid_collected_rate", "rate", "ratio", "Tài khoản định danh thu nhận so chỉ tiêu",
    "E-ID accounts collected of the quota", target=1.0, at={BL: 1.113},
    plausible={"province": (0.9, 1.1)}, source_system="C06")
_add("soc.eid_activated_rate", "rate", "ratio", "Tài khoản định danh kích hoạt so chỉ tiêu",
    "E-ID accounts activated of the quota", target=1.0, at={BL: 0.7392},
    plausible={"province": (0.6, 0.9)}, source_system="C06")
_add("soc.portal_visits", "flow", "visits", "Lượt truy cập trang chuyển đổi số", "Portal visits",
    cadence="day", plausible={"province": (300, 3_000)})
_add("soc.mobile_users_rate", "rate", "ratio", "Người dân dùng điện thoại di động",
    "People with a mobile phone", at={QT: 0.80}, plausible={"province": (0.75, 0.9)})
_add("soc.internet_users_rate", "rate", "ratio", "Người dân dùng Internet", "Internet users",
    at={QT: 0.892}, plausible={"province": (0.75, 0.92)})
_add("soc.support_points", "level", "points", "Điểm hỗ trợ CNTT cho người dân", "IT support points",
    at={TU_NGHIA: 14}, plausible={"province": (60, 180)})

# --- parts of the index of Decision 766 that no stream gives ------------------------------------
for _code, _vi, _en, _least, _most in (
    ("publish_on_time", "TTHC công bố đúng hạn", "Procedures announced on time", 0.8, 1.0),
    ("public_update_on_time", "TTHC cập nhật, công khai đúng hạn", "Updated on time", 0.8, 1.0),
    ("public_content_full", "TTHC đủ nội dung", "Full content", 0.9, 1.0),
    ("offered_online", "TTHC cung cấp trực tuyến", "Procedures offered online", 0.75, 0.95),
    ("services_with_cases", "DVCTT có phát sinh hồ sơ", "Services with cases", 0.4, 0.8),
    ("payment_with_cases", "TTHC có thanh toán trực tuyến", "Fee procedures paid online", 0.3, 0.6),
    ("payment_offered", "TTHC cho thanh toán trực tuyến", "Fee procedures payable", 0.5, 0.9),
    ("ecopy_offered", "Cung cấp bản sao điện tử", "Certified e-copies offered", 0.5, 1.0),
    ("shared_for_reuse", "Chia sẻ dữ liệu số hóa", "Shared for reuse", 0.0, 0.2),
    ("popdb_procedures", "TTHC kết nối CSDL dân cư", "Procedures linked to population data", 0.6,
        0.95),
):
    _add(f"idx766.{_code}", "rate", "ratio", _vi, _en, cadence="month", target=1.0,
        plausible={"province": (_least, _most)}, base=1_800, source_system="DVCQG")

INDICATORS: tuple[Indicator, ...] = tuple(_found)
