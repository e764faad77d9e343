"""What is particular to a province or district: volumes, rates, places. Pure data and lookups.

Volumes are those of domain rule 7.4; rates lie where the articles put them (Nghĩa Hành files 66.4 %
online, Đức Phổ identifies over 40 % by e-ID, and so on) and are plausible elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from services.core.territory import DistrictRow, Territories
from services.simulation.seeds import fraction

QUANG_TRI, QUANG_NGAI, DONG_THAP, BAC_LIEU = "45", "51", "87", "95"
TRA_BONG, NGHIA_HANH, DUC_PHO, LY_SON, CON_CO = "525", "532", "534", "536", "471"
#: Districts on the sea: where a storm strikes first.
COASTAL = frozenset(
    {"461", "464", "466", "469", "470", "471", "522", "524", "528", "533", "534", "536"}
    | {"954", "960", "961", "959"}
)
ISLANDS = frozenset({LY_SON, CON_CO})


@dataclass(frozen=True)
class Volume:
    """Per working day (cases) or plain day: entities born in a whole province."""

    cases: float
    reports: float
    orders: float


@dataclass(frozen=True)
class Service:
    """Rates of a district's (or province's) public service, all fractions."""

    online: float
    result_online: float
    auth: float
    popdb: float
    synced: float
    late: float
    paid_online: float
    digitised: float
    reused: float
    result_digital: float
    full: float
    land_online_weight: float = 0.35
    district_desk: float = 1.0
    report_on_time: float = 0.85


VOLUMES: Mapping[str, Volume] = MappingProxyType(
    {
        QUANG_TRI: Volume(1200, 20, 70),
        QUANG_NGAI: Volume(2400, 40, 120),
        DONG_THAP: Volume(3200, 45, 300),
        BAC_LIEU: Volume(1600, 25, 70),
    }
)
#: Provinces the table does not know get volumes by their population.
_CASES_PER_PERSON, _REPORTS_PER_PERSON, _ORDERS_PER_PERSON = 1.9e-3, 3e-5, 1.2e-4

_PROVINCE_RATES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    # online, result_online, auth, popdb, synced, paid_online, digitised, reused, digital, full
    {
        QUANG_TRI: (0.62, 0.62, 0.78, 0.98, 0.985, 0.62, 0.90, 0.42, 0.92, 0.34),
        QUANG_NGAI: (0.60, 0.60, 0.72, 0.97, 0.980, 0.58, 0.88, 0.45, 0.90, 0.30),
        DONG_THAP: (0.68, 0.70, 0.84, 0.99, 0.992, 0.70, 0.95, 0.55, 0.95, 0.40),
        BAC_LIEU: (0.66, 0.74, 0.89, 0.98, 0.990, 0.66, 0.98, 0.50, 0.97, 0.38),
    }
)
_DEFAULT_RATES = (0.60, 0.60, 0.75, 0.97, 0.98, 0.60, 0.90, 0.45, 0.90, 0.32)


def volume(code: str, population: float) -> Volume:
    known = VOLUMES.get(code)
    if known is not None:
        return known
    return Volume(
        population * _CASES_PER_PERSON,
        population * _REPORTS_PER_PERSON,
        population * _ORDERS_PER_PERSON,
    )


def service(province: str, district: str) -> Service:
    """The rates of one district: its province's, moved a little, with the articles' own values.

    The districts' variation is part of the world, not of a run, so it has no seed.
    """

    def spread(name: str, width: float) -> float:
        return (fraction(0, "district", district, name) - 0.5) * 2 * width

    rates = _PROVINCE_RATES.get(province, _DEFAULT_RATES)
    online, result_online, auth, popdb, synced, paid, digitised, reused, digital, full = rates
    own = {
        "online": online + spread("online", 0.06),
        "auth": auth + spread("auth", 0.05),
        "full": full,
        "land_online_weight": 0.35,
        "district_desk": 1.0,
    }
    if district == NGHIA_HANH:
        own |= {"online": 0.664, "land_online_weight": 0.23}
    elif district == DUC_PHO:
        own |= {"auth": 0.43, "full": 0.055}
    elif district == TRA_BONG:
        own |= {"district_desk": 0.8}
    base = 0.92 if province == QUANG_TRI else 0.83
    return Service(
        result_online=result_online + spread("result_online", 0.05),
        popdb=min(popdb + spread("popdb", 0.01), 1.0),
        synced=min(synced + spread("synced", 0.006), 1.0),
        # 1 % to 8 %, most districts near 3 %.
        late=0.01 + 0.07 * fraction(0, "district", district, "late") ** 2.5,
        paid_online=paid + spread("paid", 0.06),
        digitised=min(digitised + spread("digitised", 0.02), 1.0),
        reused=reused + spread("reused", 0.08),
        result_digital=min(digital + spread("digital", 0.02), 1.0),
        report_on_time=min(max(base + spread("report", 0.12), 0.60), 0.95),
        **own,
    )


@dataclass(frozen=True, eq=False)
class District:
    """One district of the simulation: its row, its communes with weights, its service."""

    row: DistrictRow
    communes: tuple[str, ...]
    commune_weights: NDArray[np.float64]
    service: Service


@dataclass(frozen=True, eq=False)
class Province:
    """One province of the simulation. ``weights`` are the districts' shares of its people."""

    code: str
    name: str
    districts: tuple[District, ...]
    weights: NDArray[np.float64]
    volume: Volume


_KIND_WEIGHT: Mapping[str, float] = MappingProxyType({"phường": 1.4, "thị trấn": 1.3})


def provinces(territories: Territories) -> tuple[Province, ...]:
    """The provinces of the territory tables, in code order."""
    communes: dict[str, list[tuple[str, float]]] = {code: [] for code in territories.districts}
    for c in territories.communes.values():
        communes[c.district_code].append((c.commune_code, _KIND_WEIGHT.get(c.kind, 1.0)))
    out = []
    for code, name in sorted(territories.provinces.items()):
        rows = [d for d in territories.districts.values() if d.province_code == code]
        people = np.array([max(d.population, 1) for d in rows], dtype=float)
        districts = []
        for row in rows:
            codes = communes[row.district_code]
            weights = np.array([w for _, w in codes], dtype=float)
            districts.append(
                District(
                    row,
                    tuple(c for c, _ in codes),
                    weights / weights.sum() if codes else weights,
                    service(code, row.district_code),
                )
            )
        out.append(
            Province(
                code, name, tuple(districts), people / people.sum(), volume(code, people.sum())
            )
        )
    return tuple(out)
