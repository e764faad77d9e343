"""The reports of a day: how many, where, of what, and the whole life of each. Pure."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.core.calendar import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Calendar,
    OfficeAxis,
    day_start,
)
from services.simulation.provinces import Province
from services.simulation.reports import (
    AGAIN,
    ANSWERED,
    ANSWERED_AGAIN,
    CATEGORIES,
    DECIDED,
    DUPLICATE,
    EXTENDED,
    IN_PROGRESS,
    OPEN,
    RATED,
    RATED_AGAIN,
    REASSIGNED,
    RECEIVED,
    REFER,
    REJECT,
    REOPENED,
    RESUMED,
    SLOTS,
    VERIFYING,
    Reports,
)
from services.simulation.scenarios import Scenario
from services.simulation.seeds import gamma_noise, generator
from services.simulation.shapes import REPORT_HOURS, report_factor, weeks_to_tet

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_MIX = np.array([16, 12, 22, 6, 15, 9, 4, 3, 9, 2, 2], dtype=float) / 100
_STORM_MIX = np.array([12, 15, 4, 13, 3, 4, 3, 1, 2, 40, 3], dtype=float) / 100
_TET_WEEK_MIX = np.where(np.isin(CATEGORIES, ["waste_env", "urban_order"]), 1.5, 1.0)
_CHANNEL_MIX = np.array([45, 10, 20, 15, 6, 2, 1, 1], dtype=float) / 100
_STORM_CHANNEL_MIX = np.array([22, 6, 48, 12, 6, 1, 1, 4], dtype=float) / 100
_URGENT, _NORMAL, _COMPLEX = range(3)
_CLUSTER, _CLUSTER_DUPLICATE, _CLUSTER_HOURS = 0.08, 0.60, 6
_REJECTED, _REFERRED, _EXTENDED, _RATED, _REOPENED = 0.04, 0.05, 0.15, 0.40, 0.03
#: Office time of a calendar day, on average over a week.
_OFFICE_DAY_MS = 8 * HOUR_MS * 5 // 7
#: 300 m as degrees of latitude.
_NEAR_DEGREES = 300 / 111_320


def _calm(province: Province, day: int, calendar: Calendar) -> Floats:
    """Expected reports of a plain day, districts x hours."""
    return (
        province.volume.reports
        * province.weights[:, None]
        * REPORT_HOURS[None, :]
        * report_factor(calendar, day)
    )


def _storm_factor(province: Province, day: int, scenario: Scenario) -> Floats:
    """What bad weather multiplies the reports of a day by, districts x hours."""
    return np.array(
        [
            [
                scenario.storm_factor(
                    province.code, d.row.district_code, day_start(day) + h * HOUR_MS
                )
                for h in range(24)
            ]
            for d in province.districts
        ]
    )


def born(
    seed: int, province: Province, day: int, scenario: Scenario, axis: OfficeAxis
) -> Iterator[Reports]:
    """The reports sent in a province on a local day (a cluster may run into the next night).

    What a storm adds comes by itself: the reports of a plain day stay what they are, so a storm
    may begin in the middle of a day that has been sent in part.
    """
    calm = _calm(province, day, scenario.calendar)
    week = weeks_to_tet(scenario.calendar, day)
    mix = _MIX * _TET_WEEK_MIX if week == -1 else _MIX
    rng = generator(seed, "reports", province.code, day)
    yield _sent(rng, province, day, axis, calm, mix, _CHANNEL_MIX, "")
    factor = _storm_factor(province, day, scenario)
    if (factor > 1).any():
        rng = generator(seed, "storm-reports", province.code, day)
        more = calm * (factor - 1)
        yield _sent(rng, province, day, axis, more, _STORM_MIX, _STORM_CHANNEL_MIX, "S")


def _sent(
    rng: np.random.Generator,
    province: Province,
    day: int,
    axis: OfficeAxis,
    expected: Floats,
    mix: Floats,
    channels: Floats,
    series: str,
) -> Reports:
    noise = gamma_noise(rng, 0.15, (1,)) * gamma_noise(rng, 0.3, (len(province.districts), 24))
    # 8 % of reports bring 1 + Geometric(0.5) more, three on average: the rest is thinned to that.
    counts = rng.poisson(expected * noise / (1 + 3 * _CLUSTER))
    district, hour = np.nonzero(counts)
    times = counts[district, hour]
    district, hour = np.repeat(district, times), np.repeat(hour, times)
    n = len(district)
    at = day_start(day) + hour * HOUR_MS + (rng.random(n) * HOUR_MS).astype(np.int64)
    category = rng.choice(len(mix), size=n, p=mix / mix.sum())
    channel = rng.choice(len(channels), size=n, p=channels)
    commune = np.full(n, -1, dtype=np.int64)
    lat, lon = np.zeros(n), np.zeros(n)
    for i, place in enumerate(province.districts):
        here = np.flatnonzero(district == i)
        if place.communes and len(here):
            commune[here] = rng.choice(len(place.communes), size=len(here), p=place.commune_weights)
        spread = 0.04 if place.communes else 0.01
        lat[here] = place.row.lat + rng.normal(0, spread, len(here))
        lon[here] = place.row.lon + rng.normal(0, spread, len(here))

    leads = np.flatnonzero(rng.random(n) < _CLUSTER)
    followers = 1 + rng.geometric(0.5, len(leads))
    of = np.repeat(leads, followers)
    k = len(of)
    after = at[of] + (rng.random(k) * _CLUSTER_HOURS * HOUR_MS).astype(np.int64)
    leader = np.concatenate((np.full(n, -1), of))
    at = np.concatenate((at, after))
    district, commune = (
        np.concatenate((district, district[of])),
        np.concatenate((commune, commune[of])),
    )
    category = np.concatenate((category, category[of]))
    channel = np.concatenate((channel, rng.choice(len(channels), size=k, p=channels)))
    bearing, reach = rng.random(k) * 2 * np.pi, rng.random(k) * _NEAR_DEGREES
    lat = np.concatenate((lat, lat[of] + reach * np.sin(bearing)))
    lon = np.concatenate((lon, lon[of] + reach * np.cos(bearing)))
    order = np.argsort(at, kind="stable")
    place_of = np.empty(n + k, dtype=np.int64)
    place_of[order] = np.arange(n + k)
    leader = np.where(leader[order] >= 0, place_of[leader[order]], -1)
    return _live(
        rng, province, day, series, axis, at[order],
        (district[order], commune[order], category[order], channel[order], lat[order], lon[order]),
        leader,
    )  # fmt: skip


def _live(
    rng: np.random.Generator,
    province: Province,
    day: int,
    series: str,
    axis: OfficeAxis,
    at: Ints,
    what: tuple[Any, ...],
    leader: Ints,
) -> Reports:
    """Decides the whole life of reports that were sent at these instants."""
    district, commune, category, channel, lat, lon = what
    m = len(at)
    on_time_rate = np.array([d.service.report_on_time for d in province.districts])[district]
    disaster = category == CATEGORIES.index("disaster")
    roll = rng.random(m)
    priority = np.where(disaster | (roll < 0.07), _URGENT, np.where(roll > 0.88, _COMPLEX, _NORMAL))
    urgent = priority == _URGENT
    times = np.full((m, len(SLOTS)), -1, dtype=np.int64)
    times[:, RECEIVED] = at
    office = axis.elapsed(at)
    wait = rng.exponential(35 * MINUTE_MS, m).astype(np.int64) + MINUTE_MS // 2
    quick = rng.exponential(6 * MINUTE_MS, m).astype(np.int64) + 20_000
    begin = np.where(urgent, at + quick, axis.instant(office + wait))
    times[:, VERIFYING] = begin
    days = np.where(priority == _COMPLEX, 10, 3)
    due_office = axis.due(at, days)
    due = np.where(urgent, at + 4 * HOUR_MS, due_office)

    roll = rng.random(m)
    doubled = (leader >= 0) & (rng.random(m) < _CLUSTER_DUPLICATE)
    outcome = np.where(
        doubled,
        DUPLICATE,
        np.where(roll < _REJECTED, REJECT, np.where(roll < _REJECTED + _REFERRED, REFER, OPEN)),
    )
    going = outcome == OPEN
    extends = going & ~urgent & (rng.random(m) < _EXTENDED / 0.85)
    in_time = rng.random(m) < on_time_rate
    share = rng.beta(2.0, 2.0, m)
    delay = np.minimum(rng.gamma(1.5, 1.0, m), 8.0)

    def work(begun: Ints, share_of: Floats, until: Ints) -> Ints:
        """The instant at which a share of the office time until then is spent; urgent: of all."""
        office = axis.elapsed(begun)
        left = np.maximum(axis.elapsed(until) - office, 30 * MINUTE_MS)
        at_once = begun + (share_of * np.maximum(until - begun, 30 * MINUTE_MS)).astype(np.int64)
        return np.where(urgent, at_once, axis.instant(office + (share_of * left).astype(np.int64)))

    due_extended = np.where(extends, axis.due(np.maximum(due, at), days), due)
    limit = np.where(extends, due_extended, due)
    from_ = np.where(extends, due, begin)
    decided = work(begin, share * 0.15 + 0.01, due)
    started = work(begin, share * 0.35 + 0.02, due)
    asked = np.maximum(work(begin, share * 0.2 + 0.75, due), started)
    asked = np.where(asked > due, due, asked)
    answered = work(from_, np.clip(share, 0.4, 0.97), limit)
    overdrawn = (delay * np.where(urgent, 2 * HOUR_MS, _OFFICE_DAY_MS)).astype(np.int64) + MINUTE_MS
    late = np.where(urgent, limit + overdrawn, axis.instant(axis.elapsed(limit) + overdrawn))
    answered = np.where(in_time, np.minimum(answered, limit), late)
    times[:, DECIDED] = decided
    times[:, IN_PROGRESS] = np.where(going, started, -1)
    times[:, EXTENDED] = np.where(extends, asked, -1)
    times[:, RESUMED] = np.where(extends, asked + 5 * MINUTE_MS, -1)
    times[:, ANSWERED] = np.where(going, answered, -1)
    # Reopening answers a bad rating: one in the share of ratings that gives 3 % in all.
    reopens = going & (rng.random(m) < _REOPENED)
    rated = going & ((rng.random(m) < (_RATED - _REOPENED) / (1 - _REOPENED)) | reopens)
    good = rng.random(m) < 0.80 / (1 - _REOPENED / _RATED)
    rating = np.where(good & ~reopens, rng.choice(2, size=m, p=[0.7, 0.3]), 2)
    think = (rng.random(m) ** 2 * 2.8 * DAY_MS).astype(np.int64) + 10 * MINUTE_MS
    times[:, RATED] = np.where(rated, answered + think, -1)
    again = answered + think + 20 * MINUTE_MS
    due_reopened = axis.due(again, np.full(m, 3))
    handled = axis.next_open(again + HOUR_MS)
    times[:, REOPENED] = np.where(reopens, again, -1)
    times[:, REASSIGNED] = np.where(reopens, handled, -1)
    times[:, AGAIN] = np.where(reopens, axis.next_open(handled + 3 * HOUR_MS), -1)
    second = axis.instant(
        axis.elapsed(handled) + (_OFFICE_DAY_MS * (0.3 + 1.5 * share)).astype(np.int64)
    )
    times[:, ANSWERED_AGAIN] = np.where(reopens, second, -1)
    rates_again = reopens & (rng.random(m) < 0.5)
    times[:, RATED_AGAIN] = np.where(rates_again, second + think, -1)
    times = np.where(times >= 0, np.maximum.accumulate(times, axis=1), -1)
    return Reports(
        province=province,
        day=day,
        series=series,
        number=np.arange(m),
        times=times,
        district=district,
        commune=commune,
        category=category,
        channel=channel,
        priority=priority,
        lat=lat,
        lon=lon,
        outcome=outcome,
        leader=leader,
        due=due,
        due_extended=due_extended,
        due_reopened=due_reopened,
        rating=rating,
        rating_again=rng.choice(3, size=m, p=[0.5, 0.2, 0.3]),
        text=rng.integers(0, 1000, m),
        reporter=rng.integers(0, 2**47, m),
    )
