"""The cases that a province's people file on a day: how many, where, what and how. Pure."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from services.core.calendar import HOUR_MS, MINUTE_MS, Calendar, OfficeAxis, day_date, day_start
from services.simulation.case_lives import finish, life
from services.simulation.cases import (
    DIRECT,
    FIELDS,
    INTAKE,
    LONGEST_LIFE_DAYS,
    ONLINE,
    PAID,
    POST,
    REGISTERED,
    Cases,
)
from services.simulation.provinces import DUC_PHO, Province
from services.simulation.scenarios import Scenario
from services.simulation.seeds import gamma_noise, generator
from services.simulation.shapes import (
    DIRECT_HOURS,
    DIRECT_WEEK,
    ONLINE_HOURS,
    ONLINE_WEEK,
    direct_factor,
    in_campaign,
    online_factor,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_FIELD_INDEX = {name: i for i, name in enumerate(FIELDS)}
_LAND, _CONSTRUCTION, _CERTIFICATION = (
    _FIELD_INDEX[n] for n in ("land", "construction", "certification")
)


def _by_field(**values: float) -> Floats:
    return np.array([values[name] for name in FIELDS])


_MIX = _by_field(
    civil_status=22, certification=18, land=16, business=6, construction=4,
    transport=12, labour_social=8, police_residence=8, other=6,
) / 100  # fmt: skip
_ONLINE_LIKING = _by_field(
    civil_status=1.0, certification=0.6, land=0.35, business=1.4, construction=1.2,
    transport=1.5, labour_social=1.1, police_residence=1.5, other=1.0,
)  # fmt: skip
_TO_COMMUNE = _by_field(
    civil_status=0.95, certification=0.90, land=0.0, business=0.0, construction=0.0,
    transport=0.0, labour_social=0.5, police_residence=0.8, other=0.3,
)  # fmt: skip
_TO_DISTRICT = _by_field(
    civil_status=0.05, certification=0.10, land=0.20, business=0.40, construction=0.50,
    transport=0.0, labour_social=0.2, police_residence=0.2, other=0.1,
)  # fmt: skip
_FEE_SHARE = _by_field(
    civil_status=0.35, certification=0.60, land=0.60, business=0.50, construction=0.50,
    transport=0.90, labour_social=0.0, police_residence=0.25, other=0.30,
)  # fmt: skip
_FEE_VND = _by_field(
    civil_status=15_000, certification=40_000, land=18_000_000, business=100_000,
    construction=150_000, transport=135_000, labour_social=1, police_residence=20_000,
    other=60_000,
)  # fmt: skip
_BATCHED, _POSTAL, _SATISFIED = 0.02, 0.04, 0.93
_WEEKLY_ONLINE, _WEEKLY_DIRECT = sum(ONLINE_WEEK), sum(DIRECT_WEEK)


def _online_share(rate: float) -> float:
    """The share of a working day's cases to draw online, so that a week's rate is ``rate``."""
    return rate * _WEEKLY_DIRECT / (_WEEKLY_ONLINE - rate * (_WEEKLY_ONLINE - _WEEKLY_DIRECT))


def _season(day: int) -> Floats:
    """The fields' weights on a day, relative to a mean day."""
    month = day_date(day).month
    factor = np.ones(len(FIELDS))
    if month in (3, 4, 10):
        factor[[_LAND, _CONSTRUCTION]] = 1.25
    if 5 <= month <= 8:
        factor[_CERTIFICATION] = 1.2
    return factor


def _expected(province: Province, day: int, scenario: Scenario) -> tuple[Floats, Floats]:
    """Expected cases of a day, districts x fields: online, and at a desk or by post."""
    lift = scenario.lift(day) + (0.12 if in_campaign(day) else 0.0)
    online = np.empty((len(province.districts), len(FIELDS)))
    direct = np.empty_like(online)
    for i, district in enumerate(province.districts):
        service = district.service
        liking = _ONLINE_LIKING.copy()
        liking[_LAND] = service.land_online_weight
        share = _online_share(min(service.online + lift, 0.95))
        chance = np.clip(share * liking / (_MIX * liking).sum(), 0.0, 0.97)
        cases = province.volume.cases * province.weights[i] * _MIX
        online[i], direct[i] = cases * chance, cases * (1 - chance)
    season = _season(day) * scenario.rush(day)[0]
    return (
        online * season * online_factor(scenario.calendar, day),
        direct * season * direct_factor(scenario.calendar, day),
    )


def _draw(
    rng: Generator, expected: Floats, hours: Floats, noise: Floats
) -> tuple[Ints, Ints, Ints]:
    """District, field and hour of each case that a day brings."""
    rate = expected[:, :, None] * hours[None, None, :] * noise[:, None, :]
    counts = rng.poisson(rate)
    district, field, hour = np.nonzero(counts)
    n = counts[district, field, hour]
    return np.repeat(district, n), np.repeat(field, n), np.repeat(hour, n)


def _batches(
    rng: Generator, province: Province, direct: Bools, district: Ints, commune: Ints, close: int
) -> Ints:
    """Chooses the day's end-of-day uploads: 10 to 60 desk cases of one commune each (2 %)."""
    hold = np.zeros(len(direct), dtype=np.int64)
    pool = np.flatnonzero(direct & (commune >= 0))
    for _ in range(int(rng.poisson(_BATCHED * len(pool) / 35))):
        size = int(rng.integers(10, 61))
        if len(pool) < size:
            break
        d = int(rng.choice(len(province.districts), p=province.weights))
        if not province.districts[d].communes:
            continue
        members = rng.choice(pool, size=size, replace=False)
        district[members] = d
        commune[members] = int(rng.integers(len(province.districts[d].communes)))
        hold[members] = close + int(rng.integers(0, 30 * MINUTE_MS))
        pool = np.setdiff1d(pool, members)
    return hold


def born(seed: int, province: Province, day: int, scenario: Scenario, axis: OfficeAxis) -> Cases:
    """The cases registered in a province on a local day.

    ``axis`` must reach from some days before the day to ``LONGEST_LIFE_DAYS`` after it.
    """
    rng = generator(seed, "cases", province.code, day)
    day_noise = gamma_noise(rng, 0.15, (1,))
    noise = day_noise * gamma_noise(rng, 0.3, (len(province.districts), 24))
    want_online, want_direct = _expected(province, day, scenario)
    on = _draw(rng, want_online, ONLINE_HOURS, noise)
    off = _draw(rng, want_direct, DIRECT_HOURS, noise)
    district, field, hour = (np.concatenate((a, b)) for a, b in zip(on, off, strict=True))
    n = len(district)
    online = np.arange(n) < len(on[0])
    minute_share = rng.random(n)
    # Desks close at 11:30 and open again at 13:30.
    half = ~online & ((hour == 11) | (hour == 13))
    within = np.where(half, minute_share / 2 + np.where(hour == 13, 0.5, 0.0), minute_share)
    registered = day_start(day) + hour * HOUR_MS + (within * HOUR_MS).astype(np.int64)
    order = np.argsort(registered, kind="stable")
    district, field, online, registered = (
        district[order], field[order], online[order], registered[order],
    )  # fmt: skip

    commune = np.full(n, -1, dtype=np.int64)
    for i, place in enumerate(province.districts):
        here = np.flatnonzero(district == i)
        if place.communes and len(here):
            commune[here] = rng.choice(len(place.communes), size=len(here), p=place.commune_weights)
    service = [d.service for d in province.districts]

    def rate(name: str) -> Floats:
        return np.array([getattr(s, name) for s in service])[district]

    roll = rng.random(n)
    to_commune = _TO_COMMUNE[field]
    desk = _TO_DISTRICT[field] * rate("district_desk")
    level = np.where(roll < to_commune, 2, np.where(roll < to_commune + desk, 1, 0))
    level = np.where((level == 2) & (commune < 0), 1, level)
    close = day_start(day) + 17 * HOUR_MS
    hold = _batches(rng, province, ~online & (level == 2), district, commune, close)

    post = ~online & (rng.random(n) < _POSTAL)
    channel = np.where(online, ONLINE, np.where(post, POST, DIRECT))
    result_online = online & (rng.random(n) < rate("result_online"))
    full = rng.random(n) < rate("full")
    info = ~online & (rng.random(n) < 0.25)
    service_level = np.where(full, 2, np.where(info, 0, 1))
    has_fee = rng.random(n) < _FEE_SHARE[field]
    duc_pho = np.array([d.row.district_code == DUC_PHO for d in province.districts])[district]
    has_fee &= ~(duc_pho & (field == _LAND)) | (rng.random(n) < 0.24)
    mean_fee = np.where(duc_pho & (field == _LAND), 41_000_000.0, _FEE_VND[field])
    sigma = np.where(field == _LAND, 0.8, 0.35)
    amount = mean_fee * np.exp(rng.normal(0.0, 1.0, n) * sigma - sigma * sigma / 2)
    fee = np.where(has_fee, np.maximum(amount / 1000, 1).astype(np.int64) * 1000, 0)
    claims = has_fee & (field == _LAND)
    late = np.minimum(rate("late") + scenario.rush(day)[1], 0.9)
    lived = life(rng, axis, registered, field, online, late, claims)
    end_status = finish(rng, axis, lived, result_online, post)
    times = np.where(lived["times"] >= 0, np.maximum.accumulate(lived["times"], axis=1), -1)
    pays_online = rng.random(n) < rate("paid_online")
    method = np.where(pays_online, rng.choice([1, 2, 3], size=n, p=[0.35, 0.25, 0.40]), 0)
    prepaid = has_fee & ~claims
    # Fees are paid with the filing when online, at the desk or with the result otherwise.
    pays_at = np.where(prepaid & online & pays_online, times[:, REGISTERED], -1)
    pays_at = np.where(prepaid & ~(online & pays_online), times[:, INTAKE], pays_at)
    pays_at = np.where(claims, times[:, PAID], pays_at)
    pays_at = np.where(lived["refused"] & ~(online & pays_online), -1, pays_at)
    total = 1 + rng.poisson(2.2, n)
    digitised = rng.binomial(total, np.clip(rate("digitised"), 0, 1))
    auth = online & (rng.random(n) < rate("auth"))
    return Cases(
        province=province,
        day=day,
        number=np.arange(n),
        times=times,
        district=district,
        commune=commune,
        level=level,
        field=field,
        channel=channel,
        result_channel=np.where(result_online, ONLINE, np.where(post, POST, DIRECT)),
        service_level=service_level,
        national=online & (rng.random(n) < 0.45),
        auth=auth,
        popdb=rng.random(n) < rate("popdb"),
        synced=rng.random(n) < rate("synced"),
        device=rng.choice(3, size=n, p=[0.55, 0.38, 0.07]),
        procedure=rng.integers(0, 12, n),
        components=total,
        digitised=digitised,
        signed=np.where(online, rng.binomial(total, 0.3), 0),
        reused=rng.binomial(total, np.clip(rate("reused"), 0, 1)),
        digital=rng.random(n) < rate("result_digital"),
        fee=fee,
        method=method,
        pays_at=pays_at,
        end_status=end_status,
        refused=lived["refused"].astype(bool),
        due=lived["due"],
        due_after=lived["due_after"],
        due_paid=lived["due_paid"],
        sign_at=lived["sign_at"],
        appraise_at=lived["appraise_at"],
        approve_at=lived["approve_at"],
        rating=np.where(rng.random(n) < _SATISFIED, rng.choice(2, size=n, p=[0.7, 0.3]), 2),
        hold=hold,
    )


def axis_for(province: Province, day: int, days: int, calendar: Calendar) -> OfficeAxis:
    """An office axis for the births of ``days`` days from a day on."""
    return OfficeAxis(province.code, day - 15, day + days + LONGEST_LIFE_DAYS + 40, calendar)
