"""Contract sections 4.1 to 4.3 as SQL over the tables of latest states.

Every KPI is one row of `KPIS`: the table, the milestone that places an entity in a window (none for
a stock KPI), the base predicate, and what is summed over the base. ``$a`` is floor_60(as_of), the
instant that due times are compared with. Durations are whole ms, divided by ``scale`` at the end.
"""

from dataclasses import dataclass
from typing import Literal

from services.oracle.checks import OneOf
from services.oracle.reading import FIELDS, STEPS

Kind = Literal["count", "rate", "sum", "mean", "quantile", "distinct", "commune_share"]

MINUTES, HOURS, DAYS = 60_000, 3_600_000, 86_400_000


@dataclass(frozen=True)
class Kpi:
    """One KPI: ``at`` empty means stock; ``percent`` is the rank of a quantile."""

    table: str
    at: str
    kind: Kind
    base: str = "true"
    numerator: str = "1"
    denominator: str = "1"
    scale: int = 1
    percent: int = 0
    dimensions: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()

    @property
    def stock(self) -> bool:
        """True when the KPI speaks of the latest states and has no window."""
        return not self.at


_REPORT_DIMS = ("category", "channel", "priority")
_CASE_DIMS = ("level", "procedure_field", "channel", "service_level", "portal")
_LISTING_DIMS = ("platform", "product_group", "seller_kind")
_ORDER_DIMS = ("platform", "payment")


def _fr(
    at: str, kind: Kind = "count", base: str = "true", numerator: str = "1", *,
    scale: int = 1, percent: int = 0,
) -> Kpi:  # fmt: skip
    dims = _REPORT_DIMS if at else (*_REPORT_DIMS, "status")
    return Kpi("report", at, kind, base, numerator, "1", scale, percent, dims)


def _gov(
    at: str, kind: Kind = "count", base: str = "true", numerator: str = "1",
    denominator: str = "1", *, table: str = "kase", scale: int = 1, percent: int = 0,
) -> Kpi:  # fmt: skip
    dims = _CASE_DIMS if at else (*_CASE_DIMS, "status")
    if table == "step":
        dims = (*dims, "step")
    pairs = (("procedure_field", "channel"),)
    return Kpi(table, at, kind, base, numerator, denominator, scale, percent, dims, pairs)


def _eco(at: str, kind: Kind = "count", base: str = "true", numerator: str = "1") -> Kpi:
    return Kpi("listing", at, kind, base, numerator, dimensions=_LISTING_DIMS)


def _order(at: str, kind: Kind = "count", base: str = "true", numerator: str = "1") -> Kpi:
    return Kpi("orders", at, kind, base, numerator, dimensions=_ORDER_DIMS)


_FR_OPEN = "status IN ('received','verifying','assigned','in_progress','extended','reopened')"
_GOV_OPEN = "status IN ('registered','accepted','processing','supplement','payment_due')"
_RUNNING = "status IN ('registered','accepted','processing')"
_PAID_ONLINE = "(pay_method IS NOT NULL AND pay_method <> 'cash')"
_SATISFIED = "coalesce(rating IN ('satisfied','accepted'), false)"
_COMPLETED = "status = 'completed'"
_ANSWER = "answered_at - reported_at"
_ACK = "acknowledged_at - reported_at"
_PROCESSING = "solved_at - accepted_at"
#: Midnight of the local day of due_at, in ms.
_DUE_DAY = "(due_at + 25200000) - ((due_at + 25200000) % 86400000 + 86400000) % 86400000 - 25200000"

KPIS: dict[str, Kpi] = {
    "fr.received": _fr("reported_at"),
    "fr.answered": _fr("answered_at"),
    "fr.rejected": _fr("closed_at", base="status = 'rejected'"),
    "fr.duplicates": _fr("closed_at", base="status = 'duplicate'"),
    "fr.referred": _fr("closed_at", base="status = 'referred'"),
    "fr.open_now": _fr("", base=_FR_OPEN),
    "fr.overdue_now": _fr("", base=f"{_FR_OPEN} AND due_at < $a"),
    "fr.on_time_rate": _fr("answered_at", "rate", "due_at IS NOT NULL", "answered_at <= due_at"),
    "fr.mean_hours_to_answer": _fr("answered_at", "mean", f"{_ANSWER} >= 0", _ANSWER, scale=HOURS),
    "fr.p50_hours_to_answer": _fr(
        "answered_at", "quantile", f"{_ANSWER} >= 0", _ANSWER, scale=HOURS, percent=50
    ),
    "fr.p90_hours_to_answer": _fr(
        "answered_at", "quantile", f"{_ANSWER} >= 0", _ANSWER, scale=HOURS, percent=90
    ),
    "fr.ack_minutes_mean": _fr("acknowledged_at", "mean", f"{_ACK} >= 0", _ACK, scale=MINUTES),
    "fr.satisfaction_rate": _fr("rated_at", "rate", numerator=_SATISFIED),
    "fr.extension_rate": _fr("answered_at", "rate", numerator="coalesce(extended_count, 0) > 0"),
    "gov.cases_received": _gov("registered_at"),
    "gov.cases_accepted": _gov("accepted_at"),
    "gov.cases_solved": _gov("solved_at"),
    "gov.cases_returned": _gov("returned_at"),
    "gov.open_now": _gov("", base=_GOV_OPEN),
    "gov.overdue_now": _gov("", base=f"{_RUNNING} AND due_at < $a"),
    "gov.near_due_now": _gov("", base=f"{_RUNNING} AND due_at >= $a AND due_at < $a + {DAYS}"),
    "gov.on_time_rate": _gov("solved_at", "rate", "due_at IS NOT NULL", "solved_at <= due_at"),
    "gov.early_rate": _gov("solved_at", "rate", "due_at IS NOT NULL", f"solved_at < {_DUE_DAY}"),
    "gov.online_rate": _gov("registered_at", "rate", numerator="channel = 'online'"),
    "gov.full_online_rate": _gov(
        "returned_at",
        "rate",
        numerator="channel = 'online' AND coalesce(result_channel = 'online', false)",
    ),
    "gov.auth_rate": _gov("registered_at", "rate", "channel = 'online'", "auth"),
    "gov.popdb_use_rate": _gov("registered_at", "rate", numerator="popdb_checked"),
    "gov.dvcqg_sync_rate": _gov("registered_at", "rate", numerator="dvcqg_synced_at IS NOT NULL"),
    "gov.online_payments": _gov("pay_paid_at", base=_PAID_ONLINE),
    "gov.online_payment_value_vnd": _gov("pay_paid_at", "sum", _PAID_ONLINE, "pay_amount"),
    "gov.online_payment_rate": _gov("solved_at", "rate", "fee_due > 0", _PAID_ONLINE),
    "gov.components_digitised_rate": _gov(
        "accepted_at", "rate", numerator="components_digitised", denominator="components_total"
    ),
    "gov.reuse_rate": _gov(
        "accepted_at", "rate", numerator="components_reused", denominator="components_total"
    ),
    "gov.result_digitised_rate": _gov("solved_at", "rate", numerator="result_digital"),
    "gov.mean_processing_days": _gov(
        "solved_at", "mean", f"{_PROCESSING} >= 0", _PROCESSING, scale=DAYS
    ),
    "gov.p90_processing_days": _gov(
        "solved_at", "quantile", f"{_PROCESSING} >= 0", _PROCESSING, scale=DAYS, percent=90
    ),
    "gov.step_minutes": _gov(
        "step_at", "mean", "duration >= 0", "duration", table="step", scale=MINUTES
    ),
    "gov.satisfaction_rate": _gov("rated_at", "rate", numerator=_SATISFIED),
    "gov.refuse_rate": _gov("registered_at", "rate", numerator="status = 'refused'"),
    "eco.products": _eco("", base="active"),
    "eco.stores": _eco("", "distinct", "active", "store_id"),
    "eco.out_of_stock_rate": _eco("", "rate", "active", "stock = 0"),
    "eco.ocop_products": _eco("", "distinct", "active AND ocop_stars >= 3", "product_key"),
    "eco.commune_seller_share": _eco("", "commune_share", "active", "known_commune"),
    "eco.listings_created": _eco("created_at"),
    "eco.listings_delisted": _eco("delisted_at"),
    "eco.orders": _order("placed_at"),
    "eco.gmv_vnd": _order("completed_at", "sum", _COMPLETED, "value_vnd"),
    "eco.aov_vnd": _order("completed_at", "rate", _COMPLETED, "value_vnd"),
    "eco.cancel_rate": _order("placed_at", "rate", numerator="status = 'cancelled'"),
    # The row says "completed_at in window" and not "completed": the status is not asked for.
    "eco.cashless_rate": _order("completed_at", "rate", numerator="payment <> 'cod'"),
}


def members(table: str, dimension: str) -> tuple[str, ...]:
    """All values of a dimension in contract order. Raises KeyError for no dimension."""
    if dimension == "step":
        return STEPS
    check = FIELDS["kase" if table == "step" else table][dimension]
    if not isinstance(check, OneOf):
        raise KeyError(dimension)
    return check.members
