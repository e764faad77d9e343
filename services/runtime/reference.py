"""Reference data that ships with the package: the territory tables."""

import csv
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from services.core.territory import CommuneRow, DistrictRow, Territories

#: Quảng Trị, end of 2017: published for the province and for two of its ten units only.
_QUANG_TRI = "45"
_QUANG_TRI_TOTAL = 629_005
#: Cồn Cỏ, an island without communes: an assumption.
_CON_CO, _CON_CO_POPULATION = "471", 400


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = files("services.runtime").joinpath("data", name).read_text(encoding="utf-8")
    # Vietnamese spelled with combining marks is another string to a dictionary.
    yield from csv.DictReader(unicodedata.normalize("NFC", text).splitlines())


def _shares(total: int, weights: dict[str, int]) -> dict[str, int]:
    """``total`` shared by weight in whole numbers that add up to it (largest remainders)."""
    whole = sum(weights.values())
    shares = {code: total * weight // whole for code, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda code: (-(total * weights[code] % whole), code))
    for code in by_remainder[: total - sum(shares.values())]:
        shares[code] += 1
    return shares


def _fill_blanks(rows: list[dict[str, str]]) -> dict[str, int]:
    """Populations by district code; the blank ones of Quảng Trị share what is left of its total.

    They are weights for the simulation, in proportion to communes; no KPI is made from them.
    """
    known = {r["district_code"]: int(r["population"]) for r in rows if r["population"]}
    blank = [r for r in rows if not r["population"]]
    strangers = [r["district_code"] for r in blank if r["province_code"] != _QUANG_TRI]
    if strangers:
        raise ValueError(f"territories.csv: no population for {', '.join(strangers)}")
    if any(r["district_code"] == _CON_CO for r in blank):
        known[_CON_CO] = _CON_CO_POPULATION
    here = {r["district_code"] for r in rows if r["province_code"] == _QUANG_TRI}
    left = _QUANG_TRI_TOTAL - sum(n for code, n in known.items() if code in here)
    weights = {r["district_code"]: int(r["commune_count"]) for r in blank}
    weights.pop(_CON_CO, None)
    return known | (_shares(left, weights) if weights else {})


@cache
def load_territories() -> Territories:
    """The four provinces, their 42 districts and 505 communes (GSO codes of 10 April 2023)."""
    districts = list(_rows("territories.csv"))
    population = _fill_blanks(districts)
    return Territories(
        [
            DistrictRow(
                r["province_code"],
                r["province"],
                r["district_code"],
                r["district"],
                r["kind"],
                int(r["commune_count"]),
                float(r["lat"]),
                float(r["lon"]),
                population[r["district_code"]],
            )
            for r in districts
        ],
        [
            CommuneRow(
                r["province_code"], r["district_code"], r["commune_code"], r["commune"], r["kind"]
            )
            for r in _rows("communes.csv")
        ],
    )
