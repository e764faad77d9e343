"""Territories: the rows a KPI exists for, and which row an entity belongs to.

A row is ``all``, a province, a district, a commune, or one of the rows that keep numbers honest:
``unknown`` (a province nobody knows), ``51.unknown`` and ``51.none`` (district unknown or absent),
``522.unknown`` and ``522.none`` (commune). Every entity belongs to exactly one *deepest* row, and
every larger row is the sum of the deepest rows below it (contract section 4, Territory).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

TerritoryLevel = Literal["all", "province", "district", "commune"]
LEVELS: tuple[TerritoryLevel, ...] = ("all", "province", "district", "commune")


class DistrictRow(NamedTuple):
    """One district unit; coordinates in degrees (WGS 84), population in persons."""

    province_code: str
    province: str
    district_code: str
    district: str
    kind: str
    commune_count: int
    lat: float
    lon: float
    population: int


class CommuneRow(NamedTuple):
    province_code: str
    district_code: str
    commune_code: str
    commune: str
    kind: str


@dataclass(frozen=True)
class Row:
    """One row: its text code, name, level and the index of the row above (-1 above ``all``)."""

    index: int
    code: str
    name: str
    level: TerritoryLevel
    parent: int
    #: False for the ``unknown`` and ``none`` rows.
    known: bool = True


_MEMO_LIMIT = 1 << 16


class Territories:
    """The territory tables, immutable after construction."""

    def __init__(self, districts: Iterable[DistrictRow], communes: Iterable[CommuneRow]) -> None:
        self.districts: Mapping[str, DistrictRow] = MappingProxyType(
            {d.district_code: d for d in districts}
        )
        self.communes: Mapping[str, CommuneRow] = MappingProxyType(
            {c.commune_code: c for c in communes}
        )
        self.provinces: Mapping[str, str] = MappingProxyType(
            {d.province_code: d.province for d in self.districts.values()}
        )
        self.rows: list[Row] = []
        self._index: dict[str, int] = {}
        self._add("all", "all", "all", -1)
        self._add("unknown", "unknown", "province", 0, known=False)
        for code, name in self.provinces.items():
            province = self._add(code, name, "province", 0)
            self._add(f"{code}.none", "none", "district", province, known=False)
            self._add(f"{code}.unknown", "unknown", "district", province, known=False)
        for d in self.districts.values():
            district = self._add(
                d.district_code, d.district, "district", self._index[d.province_code]
            )
            self._add(f"{d.district_code}.none", "none", "commune", district, known=False)
            self._add(f"{d.district_code}.unknown", "unknown", "commune", district, known=False)
        for c in self.communes.values():
            self._add(c.commune_code, c.commune, "commune", self._index[c.district_code])
        #: For each deepest row, the index of its row at a level, -1 where it has none.
        self.at_level: Mapping[TerritoryLevel, NDArray[np.int64]] = MappingProxyType(
            {level: self._project(level) for level in LEVELS}
        )
        #: True for the rows whose code somebody sent but nobody knows.
        self.is_unknown: NDArray[np.bool_] = np.array(
            [r.code == "unknown" or r.code.endswith(".unknown") for r in self.rows]
        )
        self._ranges: dict[int, NDArray[np.int64]] = {}
        self._memo: dict[tuple[str, str | None, str | None], int] = {}
        text = "\n".join(f"{r.code}\t{r.level}\t{r.parent}" for r in self.rows)
        #: Changes when any index may mean another row.
        self.digest: str = hashlib.sha256(text.encode()).hexdigest()[:16]

    def _add(
        self, code: str, name: str, level: TerritoryLevel, parent: int, *, known: bool = True
    ) -> int:
        if code in self._index:
            raise ValueError(f"territory code {code} twice")
        index = len(self.rows)
        self.rows.append(Row(index, code, name, level, parent, known))
        self._index[code] = index
        return index

    def _project(self, level: TerritoryLevel) -> NDArray[np.int64]:
        out = np.full(len(self.rows), -1, dtype=np.int64)
        for row in self.rows:
            at: Row | None = row
            while at is not None and at.level != level:
                at = self.rows[at.parent] if at.parent >= 0 else None
            if at is not None:
                out[row.index] = at.index
        return out

    def row(self, code: str) -> Row | None:
        """The row of a code (``all``, a territory, an unknown or none row), or None."""
        index = self._index.get(code)
        return None if index is None else self.rows[index]

    def ranges(self, row: Row) -> NDArray[np.int64]:
        """The deepest rows within a row as ranges of indices: from, up to before, from, …"""
        found = self._ranges.get(row.index)
        if found is None:
            inside = (self.at_level[row.level] == row.index).astype(np.int8)
            found = np.flatnonzero(np.diff(inside, prepend=0, append=0))
            self._ranges[row.index] = found
        return found

    def children(self, row: Row, level: TerritoryLevel) -> list[Row]:
        """The rows of a level under a row (the row itself is not its child)."""
        at = self.at_level[row.level]
        return [
            r for r in self.rows if r.level == level and at[r.index] == row.index and r is not row
        ]

    def deepest(self, province: str, district: str | None, commune: str | None) -> int:
        """The index of the deepest row an entity with these codes belongs to."""
        key = (province, district, commune)
        index = self._memo.get(key)
        if index is None:
            index = self._index[self._deepest_code(province, district, commune)]
            if len(self._memo) >= _MEMO_LIMIT:
                self._memo.clear()
            self._memo[key] = index
        return index

    def _deepest_code(self, province: str, district: str | None, commune: str | None) -> str:
        if province not in self.provinces:
            return "unknown"
        known_commune = None if commune is None else self.communes.get(commune)
        if district is None:
            if known_commune is None:
                return f"{province}.none"
            district = known_commune.district_code
        known_district = self.districts.get(district)
        if known_district is None or known_district.province_code != province:
            return f"{province}.unknown"
        if commune is None:
            return f"{district}.none"
        if known_commune is None or known_commune.district_code != district:
            return f"{district}.unknown"
        return known_commune.commune_code

    def of_code(self, code: str) -> int:
        """The deepest row of a single province, district or commune code (indicators)."""
        if code in self.provinces:
            return self._index[f"{code}.none"]
        if code in self.districts:
            return self._index[f"{code}.none"]
        if code in self.communes:
            return self._index[code]
        return self._index["unknown"]
