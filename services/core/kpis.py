"""The KPI catalogue: every KPI of contract section 4 as data. Pure; knows no store and no clock.

A windowed KPI is a *measure* of one fact (a count, a sum, a duration sketch) or the quotient of
two. The view evaluates measures over joint cells; titles, units and targets feed the API, the
metrics, the boards and the alert rules, so that a number has one definition.
"""

from dataclasses import dataclass
from typing import Literal

from services.core import facts
from services.core.facts import Fact

Kind = Literal["count", "sum", "rate", "mean", "quantile", "stock", "listing", "indicator"]
Direction = Literal["up", "down", "none"]

ROLLING = ("5m", "1h", "24h", "7d", "30d")
CALENDAR = ("today", "month", "quarter", "year")
WINDOWS = (*ROLLING, *CALENDAR)

REPORT_DIMENSIONS = ("category", "channel", "priority")
CASE_DIMENSIONS = ("level", "procedure_field", "channel", "service_level", "portal")
CASE_PAIRS = (("procedure_field", "channel"),)
LISTING_DIMENSIONS = ("platform", "product_group", "seller_kind")
ORDER_DIMENSIONS = ("platform", "payment")


@dataclass(frozen=True)
class Measure:
    """A number over the cells of one fact.

    ``column`` is "n" (how many) or "s" (their sum). ``where`` keeps the cells whose field is one of
    the given packed values.
    """

    fact: Fact
    column: Literal["n", "s"] = "n"
    where: tuple[tuple[str, tuple[int, ...]], ...] = ()


@dataclass(frozen=True)
class Kpi:
    """One KPI.

    ``scale`` divides a sum into the KPI's unit (3,600,000 turns milliseconds into hours).
    ``quantile`` is the q of a quantile KPI. ``metric`` is the Prometheus name without dimension.
    ``metric_scale`` divides the base sum into the metric's base unit (seconds, ratio, VND).
    """

    name: str
    kind: Kind
    unit: str
    metric: str
    title_vi: str
    title_en: str
    formula: str
    direction: Direction = "none"
    target: float | None = None
    numerator: Measure | None = None
    denominator: Measure | None = None
    scale: float = 1
    metric_factor: float = 1
    quantile: float | None = None
    dimensions: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    windows: tuple[str, ...] = WINDOWS

    @property
    def is_stock(self) -> bool:
        """Speaks of the latest states: has no window (contract section 4, Values)."""
        return self.kind in ("stock", "listing")

    @property
    def domain(self) -> str:
        return self.name.partition(".")[0]


CATALOGUE: dict[str, Kpi] = {}

HOUR_MS, DAY_MS, MINUTE_MS = 3_600_000, 86_400_000, 60_000


def _add(kpi: Kpi) -> None:
    if kpi.name in CATALOGUE:
        raise ValueError(f"{kpi.name} twice")
    CATALOGUE[kpi.name] = kpi


def _enum(fact: Fact, field: str, *members: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    values = fact.fields[field].values
    return ((field, tuple(values.index(m) for m in members)),)


def _flag(field: str, *values: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return ((field, values or (1,)),)


_VALID_DURATION = tuple(range(1, 1 << facts.BUCKET_BITS))

# --- field reports (contract 4.1) ---------------------------------------------------------------

_FR_DIMS = REPORT_DIMENSIONS
_FR_NOW_DIMS = (*REPORT_DIMENSIONS, "status")

_add(Kpi("fr.received", "count", "reports", "ioc_fr_received_reports",
    "Phản ánh tiếp nhận", "Reports received", "reports with reported_at in window",
    numerator=Measure(facts.FR_REPORTED), dimensions=_FR_DIMS))  # fmt: skip
_add(Kpi("fr.answered", "count", "reports", "ioc_fr_answered_reports",
    "Phản ánh đã trả lời", "Reports answered", "reports with answered_at in window",
    direction="up", numerator=Measure(facts.FR_ANSWERED), dimensions=_FR_DIMS))  # fmt: skip
for _name, _status, _vi, _en in (
    ("rejected", "rejected", "Phản ánh bị từ chối", "Reports rejected"),
    ("duplicates", "duplicate", "Phản ánh trùng", "Duplicate reports"),
    ("referred", "referred", "Phản ánh chuyển cấp", "Reports referred"),
):
    _add(Kpi(f"fr.{_name}", "count", "reports", f"ioc_fr_{_name}_reports", _vi, _en,
        f"status {_status} and closed_at in window",
        numerator=Measure(facts.FR_CLOSED, "n", _enum(facts.FR_CLOSED, "status", _status)),
        dimensions=_FR_DIMS))  # fmt: skip
_add(Kpi("fr.open_now", "stock", "reports", "ioc_fr_open_reports",
    "Phản ánh đang mở", "Reports open now", "reports in an open status",
    direction="down", numerator=Measure(facts.FR_OPEN), dimensions=_FR_NOW_DIMS))  # fmt: skip
_add(Kpi("fr.overdue_now", "stock", "reports", "ioc_fr_overdue_reports",
    "Phản ánh quá hạn", "Reports overdue now", "open reports with due_at before this minute",
    direction="down", target=0, numerator=Measure(facts.FR_OPEN),
    dimensions=_FR_NOW_DIMS))  # fmt: skip
_add(Kpi("fr.on_time_rate", "rate", "ratio", "ioc_fr_on_time_ratio",
    "Tỷ lệ trả lời đúng hạn", "Answered on time",
    "answered_at <= due_at / answered in window with due_at",
    direction="up", target=0.9,
    numerator=Measure(facts.FR_ANSWERED, "n", _flag("timeliness", facts.ON_TIME, facts.EARLY)),
    denominator=Measure(facts.FR_ANSWERED, "n",
        _flag("timeliness", facts.LATE, facts.ON_TIME, facts.EARLY)),
    dimensions=_FR_DIMS))  # fmt: skip
_add(Kpi("fr.mean_hours_to_answer", "mean", "hours", "ioc_fr_answer_mean_seconds",
    "Thời gian trả lời trung bình", "Mean time to answer",
    "mean of answered_at - reported_at over answered in window",
    direction="down", scale=HOUR_MS, metric_factor=3600,
    numerator=Measure(facts.FR_ANSWERED, "s", (("bucket", _VALID_DURATION),)),
    denominator=Measure(facts.FR_ANSWERED, "n", (("bucket", _VALID_DURATION),)),
    dimensions=_FR_DIMS))  # fmt: skip
for _q, _vi, _en in (
    (50, "Thời gian trả lời trung vị", "Median time to answer"),
    (90, "Thời gian trả lời p90", "p90 time to answer"),
):
    _add(Kpi(f"fr.p{_q}_hours_to_answer", "quantile", "hours", f"ioc_fr_answer_p{_q}_seconds",
        _vi, _en, f"{_q}th percentile of answered_at - reported_at over answered in window",
        direction="down", scale=HOUR_MS, metric_factor=3600, quantile=_q / 100,
        numerator=Measure(facts.FR_ANSWERED, "n", (("bucket", _VALID_DURATION),)),
        dimensions=_FR_DIMS))  # fmt: skip
_add(Kpi("fr.ack_minutes_mean", "mean", "minutes", "ioc_fr_acknowledge_mean_seconds",
    "Thời gian tiếp nhận trung bình", "Mean time to acknowledge",
    "mean of acknowledged_at - reported_at over acknowledged in window",
    direction="down", scale=MINUTE_MS, metric_factor=60,
    numerator=Measure(facts.FR_ACKNOWLEDGED, "s", _flag("valid")),
    denominator=Measure(facts.FR_ACKNOWLEDGED, "n", _flag("valid")),
    dimensions=_FR_DIMS))  # fmt: skip
_add(Kpi("fr.satisfaction_rate", "rate", "ratio", "ioc_fr_satisfaction_ratio",
    "Tỷ lệ hài lòng về phản ánh", "Satisfied with the answer",
    "rating satisfied or accepted / rated in window", direction="up", target=0.8,
    numerator=Measure(facts.FR_RATED, "n", _flag("good")), denominator=Measure(facts.FR_RATED),
    dimensions=_FR_DIMS))  # fmt: skip
_add(Kpi("fr.extension_rate", "rate", "ratio", "ioc_fr_extension_ratio",
    "Tỷ lệ gia hạn", "Answered after an extension",
    "extended_count > 0 / answered in window", direction="down",
    numerator=Measure(facts.FR_ANSWERED, "n", _flag("extended")),
    denominator=Measure(facts.FR_ANSWERED), dimensions=_FR_DIMS))  # fmt: skip

# --- administrative cases (contract 4.2) --------------------------------------------------------

_AC_DIMS = CASE_DIMENSIONS
_AC_NOW_DIMS = (*CASE_DIMENSIONS, "status")


def _gov_count(name: str, fact: Fact, vi: str, en: str, milestone: str) -> None:
    _add(Kpi(f"gov.{name}", "count", "cases", f"ioc_gov_{name.removeprefix('cases_')}_cases",
        vi, en, f"cases with {milestone} in window", numerator=Measure(fact),
        dimensions=_AC_DIMS, pairs=CASE_PAIRS))  # fmt: skip


_gov_count("cases_received", facts.GOV_REGISTERED, "Hồ sơ tiếp nhận", "Cases received",
    "registered_at")  # fmt: skip
_gov_count("cases_accepted", facts.GOV_ACCEPTED, "Hồ sơ được thụ lý", "Cases accepted",
    "accepted_at")  # fmt: skip
_gov_count("cases_solved", facts.GOV_SOLVED, "Hồ sơ đã giải quyết", "Cases solved",
    "solved_at")  # fmt: skip
_gov_count("cases_returned", facts.GOV_RETURNED, "Hồ sơ đã trả kết quả", "Cases returned",
    "returned_at")  # fmt: skip

for _name, _vi, _en, _formula in (
    ("open_now", "Hồ sơ đang giải quyết", "Cases open now", "cases in an open status"),
    ("overdue_now", "Hồ sơ quá hạn", "Cases overdue now",
        "open cases, clock running, due_at before this minute"),
    ("near_due_now", "Hồ sơ sắp đến hạn", "Cases near due now",
        "open cases, clock running, due_at within 24 hours"),
):  # fmt: skip
    _add(Kpi(f"gov.{_name}", "stock", "cases", f"ioc_gov_{_name.removesuffix('_now')}_cases",
        _vi, _en, _formula, direction="down",
        target=0 if _name == "overdue_now" else None,
        numerator=Measure(facts.GOV_OPEN), dimensions=_AC_NOW_DIMS, pairs=CASE_PAIRS))  # fmt: skip

_WITH_DUE = Measure(
    facts.GOV_SOLVED, "n", _flag("timeliness", facts.LATE, facts.ON_TIME, facts.EARLY)
)
_REGISTERED = Measure(facts.GOV_REGISTERED)
_ONLINE = _enum(facts.GOV_REGISTERED, "channel", "online")
_FEE_CASES = Measure(facts.GOV_SOLVED, "n", _flag("fee", facts.FEE_DUE, facts.FEE_PAID_ONLINE))


def _gov_rate(
    name: str,
    vi: str,
    en: str,
    formula: str,
    numerator: Measure,
    denominator: Measure,
    target: float | None = None,
    direction: Direction = "up",
) -> None:
    _add(Kpi(f"gov.{name}_rate", "rate", "ratio", f"ioc_gov_{name}_ratio", vi, en, formula,
        direction=direction, target=target, numerator=numerator, denominator=denominator,
        dimensions=_AC_DIMS, pairs=CASE_PAIRS))  # fmt: skip


_gov_rate("on_time", "Tỷ lệ giải quyết đúng hạn", "Solved on time",
    "solved_at <= due_at / solved in window with due_at",
    Measure(facts.GOV_SOLVED, "n", _flag("timeliness", facts.ON_TIME, facts.EARLY)),
    _WITH_DUE, target=0.95)  # fmt: skip
_gov_rate("early", "Tỷ lệ giải quyết trước hạn", "Solved before the due day",
    "solved_at before the local day of due_at / solved in window with due_at",
    Measure(facts.GOV_SOLVED, "n", _flag("timeliness", facts.EARLY)), _WITH_DUE)  # fmt: skip
_gov_rate("online", "Tỷ lệ hồ sơ trực tuyến", "Filed online",
    "channel online / registered in window",
    Measure(facts.GOV_REGISTERED, "n", _ONLINE), _REGISTERED, target=0.5)  # fmt: skip
_gov_rate("full_online", "Tỷ lệ trực tuyến toàn trình", "Online from filing to result",
    "channel and result_channel online / returned in window",
    Measure(facts.GOV_RETURNED, "n", _flag("online")), Measure(facts.GOV_RETURNED),
    target=0.5)  # fmt: skip
_gov_rate("auth", "Tỷ lệ định danh điện tử", "Identified by e-ID",
    "auth / registered online in window",
    Measure(facts.GOV_REGISTERED, "n", (*_ONLINE, *_flag("auth"))),
    Measure(facts.GOV_REGISTERED, "n", _ONLINE), target=0.9)  # fmt: skip
_gov_rate("popdb_use", "Tỷ lệ khai thác CSDL dân cư", "Checked with the population database",
    "popdb_checked / registered in window",
    Measure(facts.GOV_REGISTERED, "n", _flag("popdb")), _REGISTERED, target=1.0)  # fmt: skip
_gov_rate("dvcqg_sync", "Tỷ lệ đồng bộ Cổng DVCQG", "Synced to the national portal",
    "dvcqg_synced_at present / registered in window",
    Measure(facts.GOV_REGISTERED, "n", _flag("synced")), _REGISTERED, target=1.0)  # fmt: skip
_add(Kpi("gov.online_payments", "count", "payments", "ioc_gov_online_payments",
    "Lượt thanh toán trực tuyến", "Online payments",
    "payments by any method but cash, paid_at in window", direction="up",
    numerator=Measure(facts.GOV_PAID), dimensions=_AC_DIMS, pairs=CASE_PAIRS))  # fmt: skip
_add(Kpi("gov.online_payment_value_vnd", "sum", "vnd", "ioc_gov_online_payment_value_vnd",
    "Giá trị thanh toán trực tuyến", "Value paid online",
    "sum of amounts paid by any method but cash, paid_at in window", direction="up",
    numerator=Measure(facts.GOV_PAID, "s"), dimensions=_AC_DIMS, pairs=CASE_PAIRS))  # fmt: skip
_gov_rate("online_payment", "Tỷ lệ thanh toán trực tuyến", "Fees paid online",
    "paid online / solved in window with fee_due > 0",
    Measure(facts.GOV_SOLVED, "n", _flag("fee", facts.FEE_PAID_ONLINE)), _FEE_CASES,
    target=0.5)  # fmt: skip
_gov_rate("components_digitised", "Tỷ lệ số hóa thành phần hồ sơ", "Components digitised",
    "sum of components_digitised / sum of components_total, accepted in window",
    Measure(facts.GOV_DIGITISED, "s"), Measure(facts.GOV_ACCEPTED, "s"), target=1.0)  # fmt: skip
_gov_rate("reuse", "Tỷ lệ tái sử dụng dữ liệu số hóa", "Components reused",
    "sum of components_reused / sum of components_total, accepted in window",
    Measure(facts.GOV_REUSED, "s"), Measure(facts.GOV_ACCEPTED, "s"), target=0.8)  # fmt: skip
_gov_rate("result_digitised", "Tỷ lệ số hóa kết quả", "Electronic results",
    "result_digital / solved in window",
    Measure(facts.GOV_SOLVED, "n", _flag("digital")), Measure(facts.GOV_SOLVED),
    target=1.0)  # fmt: skip
_add(Kpi("gov.mean_processing_days", "mean", "days", "ioc_gov_processing_mean_seconds",
    "Thời gian giải quyết trung bình", "Mean processing time",
    "mean of solved_at - accepted_at over solved in window",
    direction="down", scale=DAY_MS, metric_factor=86400,
    numerator=Measure(facts.GOV_SOLVED, "s", (("bucket", _VALID_DURATION),)),
    denominator=Measure(facts.GOV_SOLVED, "n", (("bucket", _VALID_DURATION),)),
    dimensions=_AC_DIMS, pairs=CASE_PAIRS))  # fmt: skip
_add(Kpi("gov.p90_processing_days", "quantile", "days", "ioc_gov_processing_p90_seconds",
    "Thời gian giải quyết p90", "p90 processing time",
    "90th percentile of solved_at - accepted_at over solved in window",
    direction="down", scale=DAY_MS, metric_factor=86400, quantile=0.9,
    numerator=Measure(facts.GOV_SOLVED, "n", (("bucket", _VALID_DURATION),)),
    dimensions=_AC_DIMS, pairs=CASE_PAIRS))  # fmt: skip
_add(Kpi("gov.step_minutes", "mean", "minutes", "ioc_gov_step_mean_seconds",
    "Thời gian mỗi bước", "Mean time of a step",
    "mean of a step's time minus that of the nearest earlier step, the step's time in window",
    direction="down", scale=MINUTE_MS, metric_factor=60,
    numerator=Measure(facts.GOV_STEP, "s", _flag("valid")),
    denominator=Measure(facts.GOV_STEP, "n", _flag("valid")),
    dimensions=(*_AC_DIMS, "step"), pairs=CASE_PAIRS))  # fmt: skip
_gov_rate("satisfaction", "Tỷ lệ hài lòng về hồ sơ", "Satisfied with the service",
    "rating satisfied or accepted / rated in window",
    Measure(facts.GOV_RATED, "n", _flag("good")), Measure(facts.GOV_RATED),
    target=0.9)  # fmt: skip
_gov_rate("refuse", "Tỷ lệ từ chối tiếp nhận", "Refused at intake",
    "status refused / registered in window",
    Measure(facts.GOV_REGISTERED, "n", _flag("refused")), _REGISTERED,
    direction="down")  # fmt: skip

# --- e-commerce (contract 4.3) ------------------------------------------------------------------

for _name, _unit, _metric, _vi, _en, _formula, _dir, _target in (
    ("products", "listings", "ioc_eco_active_listings", "Sản phẩm đang bán", "Active listings",
        "active listings now", "up", None),
    ("stores", "stores", "ioc_eco_active_stores", "Gian hàng hoạt động", "Active stores",
        "stores with an active listing now", "up", None),
    ("out_of_stock_rate", "ratio", "ioc_eco_out_of_stock_ratio", "Tỷ lệ hết hàng",
        "Out of stock", "active listings with stock 0 / active listings now", "down", None),
    ("ocop_products", "products", "ioc_eco_ocop_products", "Sản phẩm OCOP từ 3 sao",
        "OCOP products of 3 stars and more",
        "distinct product_key with ocop_stars >= 3 among active listings now", "up", None),
    ("commune_seller_share", "ratio", "ioc_eco_commune_seller_ratio",
        "Tỷ lệ xã có gian hàng", "Communes with a seller",
        "communes with an active listing / communes now", "up", 1.0),
):  # fmt: skip
    _add(Kpi(f"eco.{_name}", "listing", _unit, _metric, _vi, _en, _formula,
        direction=_dir, target=_target, dimensions=LISTING_DIMENSIONS))  # type: ignore[arg-type]  # fmt: skip

_add(Kpi("eco.listings_created", "count", "listings", "ioc_eco_created_listings",
    "Sản phẩm mới đăng", "Listings created", "listings with created_at in window",
    numerator=Measure(facts.ECO_CREATED), dimensions=LISTING_DIMENSIONS))  # fmt: skip
_add(Kpi("eco.listings_delisted", "count", "listings", "ioc_eco_delisted_listings",
    "Sản phẩm ngừng bán", "Listings delisted", "listings with delisted_at in window",
    numerator=Measure(facts.ECO_DELISTED), dimensions=LISTING_DIMENSIONS))  # fmt: skip
_add(Kpi("eco.orders", "count", "orders", "ioc_eco_placed_orders",
    "Đơn hàng", "Orders placed", "orders with placed_at in window", direction="up",
    numerator=Measure(facts.ECO_PLACED), dimensions=ORDER_DIMENSIONS))  # fmt: skip
_add(Kpi("eco.gmv_vnd", "sum", "vnd", "ioc_eco_gmv_vnd",
    "Giá trị giao dịch", "Value of completed orders",
    "sum of value_vnd of completed orders, completed_at in window", direction="up",
    numerator=Measure(facts.ECO_COMPLETED, "s", _flag("completed")),
    dimensions=ORDER_DIMENSIONS))  # fmt: skip
_add(Kpi("eco.aov_vnd", "mean", "vnd", "ioc_eco_average_order_vnd",
    "Giá trị đơn trung bình", "Average order value", "gmv / completed orders",
    numerator=Measure(facts.ECO_COMPLETED, "s", _flag("completed")),
    denominator=Measure(facts.ECO_COMPLETED, "n", _flag("completed")),
    dimensions=ORDER_DIMENSIONS))  # fmt: skip
_add(Kpi("eco.cancel_rate", "rate", "ratio", "ioc_eco_cancel_ratio",
    "Tỷ lệ hủy đơn", "Orders cancelled", "status cancelled / placed in window",
    direction="down", numerator=Measure(facts.ECO_PLACED, "n", _flag("cancelled")),
    denominator=Measure(facts.ECO_PLACED), dimensions=ORDER_DIMENSIONS))  # fmt: skip
_add(Kpi("eco.cashless_rate", "rate", "ratio", "ioc_eco_cashless_ratio",
    "Tỷ lệ thanh toán không tiền mặt", "Orders paid without cash",
    "payment not cod / completed in window", direction="up",
    numerator=Measure(facts.ECO_COMPLETED, "n",
        _enum(facts.ECO_COMPLETED, "payment", "bank", "wallet")),
    denominator=Measure(facts.ECO_COMPLETED), dimensions=ORDER_DIMENSIONS))  # fmt: skip

# --- indicators (contract 4.4) ------------------------------------------------------------------

for _name, _unit, _vi, _en, _formula, _windows in (
    ("value", "indicator", "Giá trị chỉ tiêu", "Indicator value",
        "value, or numerator / denominator, of the latest period ended by as_of", ()),
    ("target", "indicator", "Mục tiêu chỉ tiêu", "Indicator target",
        "target of the latest period ended by as_of", ()),
    ("gap", "indicator", "Chênh lệch so với mục tiêu", "Gap to target", "value - target", ()),
    ("age_seconds", "seconds", "Tuổi của chỉ tiêu", "Age of the reading",
        "as_of - time of the latest period ended by as_of", ()),
    ("sum", "indicator", "Tổng chỉ tiêu dòng", "Sum of a flow indicator",
        "sum of values of periods with period_end in window", WINDOWS),
):  # fmt: skip
    _add(Kpi(f"ind.{_name}", "indicator", _unit,
        "ioc_ind_age_seconds" if _name == "age_seconds" else f"ioc_ind_{_name}",
        _vi, _en, _formula, windows=_windows))  # fmt: skip
