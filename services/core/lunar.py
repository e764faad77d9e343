"""The Vietnamese lunar calendar, as far as the public holidays need it. Pure arithmetic.

New moons and the sun's longitude after Jean Meeus, with the month rules that Hồ Ngọc Đức published
for Viet Nam's civil time (UTC+7): month 11 holds the winter solstice; a year of thirteen months
repeats the first month in which the sun enters no new sign.
"""

import math
from datetime import date, timedelta
from functools import lru_cache

#: Julian day of 1970-01-01 (civil day number, as the formulas below use it).
_EPOCH_JD = 2_440_588
_EPOCH = date(1970, 1, 1)
_UTC_OFFSET_DAYS = 7 / 24
_FIRST_NEW_MOON = 2_415_021.076998695
_SYNODIC_MONTH = 29.530588853
_WINTER_SOLSTICE_SIGN = 9


@lru_cache(maxsize=512)
def _new_moon(k: int) -> int:
    """Julian day of the k-th new moon after 1 January 1900, in local time."""
    t = k / 1236.85
    t2, t3 = t * t, t * t * t
    jd = 2_415_020.75933 + 29.53058868 * k + 0.0001178 * t2 - 0.000000155 * t3
    jd += 0.00033 * math.sin(math.radians(166.56 + 132.87 * t - 0.009173 * t2))
    sun = math.radians(359.2242 + 29.10535608 * k - 0.0000333 * t2 - 0.00000347 * t3)
    moon = math.radians(306.0253 + 385.81691806 * k + 0.0107306 * t2 + 0.00001236 * t3)
    node = math.radians(21.2964 + 390.67050646 * k - 0.0016528 * t2 - 0.00000239 * t3)
    jd += (0.1734 - 0.000393 * t) * math.sin(sun) + 0.0021 * math.sin(2 * sun)
    jd += -0.4068 * math.sin(moon) + 0.0161 * math.sin(2 * moon) - 0.0004 * math.sin(3 * moon)
    jd += 0.0104 * math.sin(2 * node) - 0.0051 * math.sin(sun + moon)
    jd += -0.0074 * math.sin(sun - moon) + 0.0004 * math.sin(2 * node + sun)
    jd += -0.0004 * math.sin(2 * node - sun) - 0.0006 * math.sin(2 * node + moon)
    jd += 0.0010 * math.sin(2 * node - moon) + 0.0005 * math.sin(2 * moon + sun)
    jd -= -0.000278 + 0.000265 * t + 0.000262 * t2
    return math.floor(jd + 0.5 + _UTC_OFFSET_DAYS)


def _sun_sign(jd: int) -> int:
    """Which twelfth of the ecliptic the sun is in at the start of a local day, 0 to 11."""
    t = (jd - 2_451_545.5 - _UTC_OFFSET_DAYS) / 36_525
    anomaly = math.radians(357.52910 + 35_999.05030 * t - 0.0001559 * t * t)
    longitude = 280.46645 + 36_000.76983 * t + 0.0003032 * t * t
    longitude += (1.914600 - 0.004817 * t - 0.000014 * t * t) * math.sin(anomaly)
    longitude += (0.019993 - 0.000101 * t) * math.sin(2 * anomaly) + 0.000290 * math.sin(
        3 * anomaly
    )
    return int((longitude % 360) // 30)


def _month_11(year: int) -> int:
    """Julian day on which lunar month 11 of a civil year begins."""
    end = date(year, 12, 31)
    k = int(((end - _EPOCH).days + _EPOCH_JD - 2_415_021) / _SYNODIC_MONTH)
    start = _new_moon(k)
    return _new_moon(k - 1) if _sun_sign(start) >= _WINTER_SOLSTICE_SIGN else start


def _leap_offset(month_11: int) -> int:
    """How many months after month 11 the leap month of that lunar year lies."""
    k = int(0.5 + (month_11 - _FIRST_NEW_MOON) / _SYNODIC_MONTH)
    i = 1
    sign = _sun_sign(_new_moon(k + i))
    while True:
        i += 1
        last, sign = sign, _sun_sign(_new_moon(k + i))
        if sign == last or i >= 14:
            return i - 1


@lru_cache(maxsize=256)
def lunar_date(year: int, month: int, day: int) -> date:
    """The civil date of a day of a lunar month (not a leap month) of a lunar year.

    Right for 1900 to 2199. Raises ValueError for a month outside 1 to 12.
    """
    if not 1 <= month <= 12:
        raise ValueError(f"lunar month {month}")
    start, end = (
        (_month_11(year - 1), _month_11(year))
        if month < 11
        else (_month_11(year), _month_11(year + 1))
    )
    offset = (month - 11) % 12
    if end - start > 365 and offset >= _leap_offset(start):
        offset += 1
    k = int(0.5 + (start - _FIRST_NEW_MOON) / _SYNODIC_MONTH)
    return _EPOCH + timedelta(days=_new_moon(k + offset) + day - 1 - _EPOCH_JD)


def tet(year: int) -> date:
    """The first day of the lunar year that begins in a civil year (mùng 1 Tết)."""
    return lunar_date(year, 1, 1)
