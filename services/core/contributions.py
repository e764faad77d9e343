"""What the latest state of one entity contributes to the KPIs: a list of joint cells.

A contribution is ``(pane, code, s)``: the 10-second pane of the milestone since the epoch
(:data:`STOCK` for what is true now), the packed code of :mod:`services.core.facts`, and the sum it
carries (0 where the fact has none). A KPI is a sum of contributions of latest states, so the fold
adds those of the new state and takes away those of the old one.
"""

from schemas import v1
from services.core import facts
from services.core.calendar_day import local_day_start
from services.core.facts import (
    TERRITORY_SHIFT,
    due_minute,
    duration_bucket,
)
from services.core.territory import Territories

Contribution = tuple[int, int, int]

PANE_MS = 10_000
STOCK = -1


def _index(values: tuple[str, ...]) -> dict[str, int]:
    return {value: i for i, value in enumerate(values)}


def _pane(ms: int) -> int:
    # Before 1970 no pane is kept: any past pane will do, as long as it is not STOCK.
    return ms // PANE_MS if ms > 0 else 0


_CATEGORY = _index(v1.values(v1.ReportCategory))
_REPORT_CHANNEL = {k: i << 4 for k, i in _index(v1.values(v1.ReportChannel)).items()}
_PRIORITY = {k: i << 7 for k, i in _index(v1.values(v1.Priority)).items()}
_REPORT_STATUS = _index(v1.values(v1.ReportStatus))
_GOOD = frozenset({"satisfied", "accepted"})

_REPORTED = facts.FR_REPORTED.base
_ANSWERED = facts.FR_ANSWERED.base
_CLOSED = facts.FR_CLOSED.base
_ACKNOWLEDGED = facts.FR_ACKNOWLEDGED.base
_FR_RATED = facts.FR_RATED.base
_FR_OPEN = facts.FR_OPEN.base
_TIMELINESS_SHIFT = facts.FR_ANSWERED.fields["timeliness"].shift
_EXTENDED = 1 << facts.FR_ANSWERED.fields["extended"].shift
_FR_BUCKET_SHIFT = facts.FR_ANSWERED.fields["bucket"].shift
_FR_STATUS_SHIFT = facts.FR_CLOSED.fields["status"].shift
_FR_DUE_SHIFT = facts.FR_OPEN.fields["due"].shift
_ACK_VALID = 1 << facts.FR_ACKNOWLEDGED.fields["valid"].shift
_FR_GOOD = 1 << facts.FR_RATED.fields["good"].shift
_CLOSING = frozenset({"rejected", "duplicate", "referred"})


def report_contributions(d: v1.FieldReport, territories: Territories) -> list[Contribution]:
    """The contributions of a field report (contract section 4.1)."""
    base = (
        territories.deepest(d.province_code, d.district_code, d.commune_code) << TERRITORY_SHIFT
        | _CATEGORY[d.category]
        | _REPORT_CHANNEL[d.channel]
        | _PRIORITY[d.priority]
    )
    reported = d.reported_at
    out: list[Contribution] = [(_pane(reported), base | _REPORTED, 0)]
    at = d.acknowledged_at
    if at is not None:
        elapsed = int(at - reported)
        if elapsed >= 0:
            out.append((_pane(at), base | _ACKNOWLEDGED | _ACK_VALID, elapsed))
        else:
            out.append((_pane(at), base | _ACKNOWLEDGED, 0))
    at = d.answered_at
    if at is not None:
        code = base | _ANSWERED
        due = d.due_at
        if due is not None:
            code |= (facts.ON_TIME if at <= due else facts.LATE) << _TIMELINESS_SHIFT
        if d.extended_count:
            code |= _EXTENDED
        elapsed = int(at - reported)
        if elapsed >= 0:
            out.append((_pane(at), code | duration_bucket(elapsed) << _FR_BUCKET_SHIFT, elapsed))
        else:
            out.append((_pane(at), code, 0))
    status = d.status
    if d.closed_at is not None and status in _CLOSING:
        out.append(
            (_pane(d.closed_at), base | _CLOSED | _REPORT_STATUS[status] << _FR_STATUS_SHIFT, 0)
        )
    if d.rated_at is not None:
        out.append(
            (_pane(d.rated_at), base | _FR_RATED | (_FR_GOOD if d.rating in _GOOD else 0), 0)
        )
    if status in v1.OPEN_REPORT:
        code = base | _FR_OPEN | _REPORT_STATUS[status] << _FR_STATUS_SHIFT
        if d.due_at is not None:
            code |= due_minute(d.due_at) << _FR_DUE_SHIFT
        out.append((STOCK, code, 0))
    return out


_LEVEL = _index(v1.values(v1.Level))
_FIELD = {k: i << 2 for k, i in _index(v1.values(v1.ProcedureField)).items()}
_CASE_CHANNEL = {k: i << 6 for k, i in _index(v1.values(v1.CaseChannel)).items()}
_SERVICE_LEVEL = {k: i << 8 for k, i in _index(v1.values(v1.ServiceLevel)).items()}
_PORTAL = {k: i << 10 for k, i in _index(v1.values(v1.Portal)).items()}
_CASE_STATUS = _index(v1.values(v1.CaseStatus))
_STEPS = v1.values(v1.Step)

_REGISTERED = facts.GOV_REGISTERED.base
_AUTH = 1 << facts.GOV_REGISTERED.fields["auth"].shift
_POPDB = 1 << facts.GOV_REGISTERED.fields["popdb"].shift
_SYNCED = 1 << facts.GOV_REGISTERED.fields["synced"].shift
_REFUSED = 1 << facts.GOV_REGISTERED.fields["refused"].shift
_ACCEPTED = facts.GOV_ACCEPTED.base
_DIGITISED = facts.GOV_DIGITISED.base
_REUSED = facts.GOV_REUSED.base
_SOLVED = facts.GOV_SOLVED.base
_SOLVED_TIMELINESS_SHIFT = facts.GOV_SOLVED.fields["timeliness"].shift
_DIGITAL = 1 << facts.GOV_SOLVED.fields["digital"].shift
_FEE_SHIFT = facts.GOV_SOLVED.fields["fee"].shift
_SOLVED_BUCKET_SHIFT = facts.GOV_SOLVED.fields["bucket"].shift
_RETURNED = facts.GOV_RETURNED.base
_FULL_ONLINE = 1 << facts.GOV_RETURNED.fields["online"].shift
_PAID = facts.GOV_PAID.base
_STEP = facts.GOV_STEP.base
_STEP_SHIFT = facts.GOV_STEP.fields["step"].shift
_STEP_VALID = 1 << facts.GOV_STEP.fields["valid"].shift
_GOV_RATED = facts.GOV_RATED.base
_GOV_GOOD = 1 << facts.GOV_RATED.fields["good"].shift
_GOV_OPEN = facts.GOV_OPEN.base
_GOV_STATUS_SHIFT = facts.GOV_OPEN.fields["status"].shift
_GOV_DUE_SHIFT = facts.GOV_OPEN.fields["due"].shift


def case_contributions(d: v1.AdminCase, territories: Territories) -> list[Contribution]:
    """The contributions of an administrative case (contract section 4.2)."""
    base = (
        territories.deepest(d.province_code, d.district_code, d.commune_code) << TERRITORY_SHIFT
        | _LEVEL[d.level]
        | _FIELD[d.procedure_field]
        | _CASE_CHANNEL[d.channel]
        | _SERVICE_LEVEL[d.service_level]
        | _PORTAL[d.portal]
    )
    status = d.status
    code = base | _REGISTERED
    if d.auth:
        code |= _AUTH
    if d.popdb_checked:
        code |= _POPDB
    if d.dvcqg_synced_at is not None:
        code |= _SYNCED
    if status == "refused":
        code |= _REFUSED
    registered = d.registered_at
    out: list[Contribution] = [(_pane(registered), code, 0)]
    accepted = d.accepted_at
    if accepted is not None:
        pane = _pane(accepted)
        out.append((pane, base | _ACCEPTED, d.components_total))
        if d.components_digitised:
            out.append((pane, base | _DIGITISED, d.components_digitised))
        if d.components_reused:
            out.append((pane, base | _REUSED, d.components_reused))
    payment = d.payment
    paid_online = payment is not None and payment.method != "cash"
    due = d.due_at
    solved = d.solved_at
    if solved is not None:
        code = base | _SOLVED
        if due is not None:
            if solved > due:
                timeliness = facts.LATE
            elif solved < local_day_start(due):
                timeliness = facts.EARLY
            else:
                timeliness = facts.ON_TIME
            code |= timeliness << _SOLVED_TIMELINESS_SHIFT
        if d.result_digital:
            code |= _DIGITAL
        if d.fee_due > 0:
            code |= (facts.FEE_PAID_ONLINE if paid_online else facts.FEE_DUE) << _FEE_SHIFT
        elapsed = -1 if accepted is None else int(solved - accepted)
        if elapsed >= 0:
            code |= duration_bucket(elapsed) << _SOLVED_BUCKET_SHIFT
            out.append((_pane(solved), code, elapsed))
        else:
            out.append((_pane(solved), code, 0))
    if d.returned_at is not None:
        online = d.channel == "online" and d.result_channel == "online"
        out.append((_pane(d.returned_at), base | _RETURNED | (_FULL_ONLINE if online else 0), 0))
    if payment is not None and paid_online:
        out.append((_pane(payment.paid_at), base | _PAID, payment.amount))
    steps = d.steps
    if steps:
        before = registered
        for number, name in enumerate(_STEPS):
            at = steps.get(name)
            if at is None:
                continue
            code = base | _STEP | number << _STEP_SHIFT
            elapsed = int(at - before)
            if elapsed >= 0:
                out.append((_pane(at), code | _STEP_VALID, elapsed))
            else:
                out.append((_pane(at), code, 0))
            before = at
    if d.rated_at is not None:
        out.append(
            (_pane(d.rated_at), base | _GOV_RATED | (_GOV_GOOD if d.rating in _GOOD else 0), 0)
        )
    if status in v1.OPEN_CASE:
        code = base | _GOV_OPEN | _CASE_STATUS[status] << _GOV_STATUS_SHIFT
        if due is not None and status not in v1.PAUSED_CASE:
            code |= due_minute(due) << _GOV_DUE_SHIFT
        out.append((STOCK, code, 0))
    return out


_PLATFORM = _index(v1.values(v1.Platform))
_GROUP = {k: i << 2 for k, i in _index(v1.values(v1.ProductGroup)).items()}
_SELLER = {k: i << 5 for k, i in _index(v1.values(v1.SellerKind)).items()}
_ORDER_PAYMENT = {k: i << 2 for k, i in _index(v1.values(v1.OrderPayment)).items()}
_COMPLETED = 1 << facts.ECO_COMPLETED.fields["completed"].shift
_CANCELLED = 1 << facts.ECO_PLACED.fields["cancelled"].shift


def listing_base(d: v1.Listing, territories: Territories) -> int:
    """Territory and dimensions of a listing, packed as in its facts."""
    return (
        territories.deepest(d.province_code, d.district_code, d.commune_code) << TERRITORY_SHIFT
        | _PLATFORM[d.platform]
        | _GROUP[d.product_group]
        | _SELLER[d.seller_kind]
    )


def listing_contributions(d: v1.Listing, base: int) -> list[Contribution]:
    """The contributions of a listing (contract section 4.3); what is active now is kept apart."""
    out: list[Contribution] = [(_pane(d.created_at), base | facts.ECO_CREATED.base, 0)]
    if d.delisted_at is not None:
        out.append((_pane(d.delisted_at), base | facts.ECO_DELISTED.base, 0))
    return out


def order_contributions(d: v1.Order, territories: Territories) -> list[Contribution]:
    """The contributions of an order (contract section 4.3)."""
    base = (
        territories.deepest(d.province_code, d.district_code, d.commune_code) << TERRITORY_SHIFT
        | _PLATFORM[d.platform]
        | _ORDER_PAYMENT[d.payment]
    )
    cancelled = _CANCELLED if d.status == "cancelled" else 0
    out: list[Contribution] = [(_pane(d.placed_at), base | facts.ECO_PLACED.base | cancelled, 0)]
    if d.completed_at is not None:
        # An order that was taken back afterwards keeps its completed_at: no value, still paid for.
        completed = _COMPLETED if d.status == "completed" else 0
        code = base | facts.ECO_COMPLETED.base | completed
        out.append((_pane(d.completed_at), code, d.value_vnd))
    return out
