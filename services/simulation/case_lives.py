"""The lives of administrative cases: when each step happens, and how it ends. Pure.

Officers work on the office axis; citizens bring papers, pay and rate at any hour. The clock stands
still while papers or a fee are awaited, so the due time moves by as much office time.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from services.core.calendar import DAY_MS, HOUR_MS, MINUTE_MS, OfficeAxis
from services.simulation.cases import (
    APPRAISED,
    APPROVED,
    ENDED,
    FIELDS,
    INTAKE,
    PAID,
    PAYMENT_DUE,
    PROCESSING,
    RATED,
    REGISTERED,
    RESUMED,
    RETURNED,
    SLOTS,
    SUPPLEMENT,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def _by_field(**values: int) -> Ints:
    return np.array([values[name] for name in FIELDS], dtype=np.int64)


_MIN_DAYS = _by_field(
    civil_status=1, certification=0, land=10, business=3, construction=15,
    transport=3, labour_social=3, police_residence=3, other=3,
)  # fmt: skip
_MAX_DAYS = _by_field(
    civil_status=3, certification=0, land=30, business=3, construction=20,
    transport=5, labour_social=10, police_residence=7, other=10,
)  # fmt: skip
#: Shares of cases. Of those that would withdraw half are done before they do.
_SUPPLEMENT, _WITHDRAWN, _STOPPED, _REFUSED, _RATED = 0.11, 0.03, 0.003, 0.02, 0.12


def life(
    rng: Generator,
    axis: OfficeAxis,
    registered: Ints,
    field: Ints,
    online: Bools,
    late: Floats,
    takes_payment: Bools,
) -> dict[str, Ints]:
    """The instants of every step: office work on the office axis, citizens at any hour."""
    n = len(registered)
    times = np.full((n, len(SLOTS)), -1, dtype=np.int64)
    times[:, REGISTERED] = registered
    lag = np.where(online, rng.exponential(25 * MINUTE_MS, n), rng.exponential(4 * MINUTE_MS, n))
    begin = axis.elapsed(registered) + lag.astype(np.int64) + MINUTE_MS // 2
    accepted = axis.instant(begin)
    refused = rng.random(n) < _REFUSED
    days = rng.integers(_MIN_DAYS[field], _MAX_DAYS[field] + 1)
    due = axis.due(accepted, days)
    due_office = axis.elapsed(due)
    span = np.maximum(due_office - begin, 15 * MINUTE_MS)
    is_late = rng.random(n) < late
    share = rng.beta(2.0, 2.0, n)
    over = np.minimum(rng.gamma(1.5, 6.0, n), 80.0) * HOUR_MS
    work = np.where(is_late, span + over + 10 * MINUTE_MS, span * share).astype(np.int64)
    cut = np.sort(rng.random((n, 4)) * 0.9 + 0.04, axis=1)
    longer = days > 0

    times[:, INTAKE] = accepted
    going = ~refused
    at = {
        name: begin + (work * cut[:, i]).astype(np.int64)
        for i, name in enumerate(("processing", "appraised", "approved", "signed"))
    }
    end = begin + work
    # A request for papers comes after the first look; the clock stands still until they come.
    asks = going & longer & (rng.random(n) < _SUPPLEMENT)
    asked = (at["processing"] + at["appraised"]) // 2
    wait = ((0.3 + 4.7 * rng.random(n)) * DAY_MS).astype(np.int64)
    asked_at = axis.instant(asked)
    resumed_office = axis.elapsed(asked_at + wait)
    pause = np.where(asks, np.maximum(resumed_office - asked, 0), 0)
    appraised, approved, signed = (at[k] + pause for k in ("appraised", "approved", "signed"))
    end = end + pause
    due_after = np.where(asks, axis.instant(due_office + pause), due)
    pays = going & takes_payment & longer
    claim = (approved + signed) // 2
    claim_at = axis.instant(claim)
    pay_wait = ((0.1 + 3.9 * rng.random(n) ** 2) * DAY_MS).astype(np.int64)
    paid_at = claim_at + pay_wait
    paid_office = axis.elapsed(paid_at)
    pay_pause = np.where(pays, np.maximum(paid_office - claim, 0), 0)
    signed, end = signed + pay_pause, end + pay_pause

    times[going, PROCESSING] = axis.instant(at["processing"])[going]
    times[:, APPRAISED] = np.where(going & longer, axis.instant(appraised), -1)
    times[:, SUPPLEMENT] = np.where(asks, asked_at, -1)
    times[:, RESUMED] = np.where(asks, axis.instant(resumed_office), -1)
    times[:, APPROVED] = np.where(going & longer, axis.instant(approved), -1)
    times[:, PAYMENT_DUE] = np.where(pays, claim_at, -1)
    times[:, PAID] = np.where(pays, paid_at, -1)
    times[:, ENDED] = np.where(going, axis.instant(end), -1)
    steps = {
        "appraise_at": axis.instant(appraised),
        "approve_at": axis.instant(approved),
        "sign_at": axis.instant(signed),
    }
    return {
        "times": times, "due": due, "due_after": due_after, "refused": refused,
        "asks": asks, "end_office": end, **steps,
        "due_paid": axis.instant(due_office + pause + pay_pause),
    }  # fmt: skip


def finish(
    rng: Generator, axis: OfficeAxis, lived: dict[str, Ints], result_online: Bools, post: Bools
) -> Ints:
    """Adds the ends: withdrawn and stopped cases, results returned, ratings. Gives end_status."""
    times = lived["times"]
    n = len(times)
    going = lived["refused"] == 0
    roll = rng.random(n)
    leaves = going & (roll < _WITHDRAWN + _STOPPED)
    # Who does not bring the papers is stopped; the others withdraw in mid-work.
    no_papers = (lived["asks"] > 0) & (roll > 0.97) & going
    end_status = np.zeros(n, dtype=np.int64)
    end_status[leaves] = np.where(roll[leaves] < _WITHDRAWN, 1, 2)
    end_status[no_papers] = 2
    stays_out = leaves | no_papers
    after = np.where(no_papers, SUPPLEMENT, PROCESSING)
    last = times[np.arange(n), after]
    pause = (rng.exponential(1.0, n) * 2 * DAY_MS).clip(HOUR_MS, 8 * DAY_MS).astype(np.int64)
    pause = np.where(no_papers, pause + 5 * DAY_MS, pause)
    left_at = axis.next_open(last + pause)
    leaves_now = stays_out & ((times[:, ENDED] > left_at) | no_papers)
    end_status[stays_out & ~leaves_now] = 0
    for slot in range(PROCESSING + 1, ENDED):
        gone = leaves_now & ((times[:, slot] > left_at) | (no_papers & (slot > SUPPLEMENT)))
        times[gone, slot] = -1
    # A case that leaves while its papers or its fee are awaited goes straight from there.
    times[leaves_now, ENDED] = left_at[leaves_now]
    solved = going & ~leaves_now
    end_office = lived["end_office"]
    collect = rng.exponential(4 * HOUR_MS, n).astype(np.int64) + 5 * MINUTE_MS
    collect += np.where(post, 12 * HOUR_MS, 0)
    at_desk = axis.instant(end_office + np.minimum(collect, 40 * HOUR_MS))
    sent = times[:, ENDED] + rng.integers(20_000, 600_000, n)
    times[:, RETURNED] = np.where(solved, np.where(result_online, sent, at_desk), -1)
    times[:, RETURNED] = np.where(
        solved, np.maximum(times[:, RETURNED], times[:, ENDED] + 1000), -1
    )
    rated = solved & (rng.random(n) < _RATED)
    rate_wait = (rng.random(n) * 2.5 * DAY_MS).astype(np.int64) + 5 * MINUTE_MS
    times[:, RATED] = np.where(rated, times[:, RETURNED] + rate_wait, -1)
    return end_status
