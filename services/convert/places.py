"""Where a foreign row lies in our territory: by a table, by codes of ours, or unknown."""

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from msgspec import UNSET

from services.convert.mapping import REJECT, LogMapping, MappingError, TerritoryTable
from services.core.territory import Territories

UNKNOWN = "unknown"


class Place(NamedTuple):
    """Codes of the contract; ``province`` may be one that no table knows."""

    province: str
    district: str | None
    commune: str | None


class NoPlaceError(Exception):
    """A row has no place and the mapping has no default; the message is the reason."""


#: Row of the file -> place. Raises NoPlaceError.
Finder = Callable[[Sequence[str]], Place]


def place_of(code: str, territories: Territories) -> Place | None:
    """The place of a code of ours, ``unknown`` included; None: no territory has it."""
    if code == UNKNOWN:
        return Place(UNKNOWN, None, None)
    if code in territories.provinces:
        return Place(code, None, None)
    if code in territories.districts:
        return Place(territories.districts[code].province_code, code, None)
    if code in territories.communes:
        commune = territories.communes[code]
        return Place(commune.province_code, commune.district_code, code)
    return None


def finder(
    mapping: LogMapping,
    index: Mapping[str, int],
    territories: Territories,
    unknown: Counter[str],
) -> Finder:
    """What finds the place of a row; words that are in no table are counted in ``unknown``.

    Raises MappingError for a code that no territory has.
    """
    rule = mapping.territory
    if isinstance(rule, str):
        everywhere = _known(rule, territories, "territory")
        return lambda row: everywhere
    if rule.codes is not None:
        return _by_codes(rule.codes, index, territories)
    return _by_table(rule, _table(rule, mapping.folder), index, territories, unknown)


def _known(code: str, territories: Territories, path: str) -> Place:
    place = place_of(code, territories)
    if place is None:
        raise MappingError(path, f"no territory has the code {code!r} (or unknown)")
    return place


def _table(rule: TerritoryTable, folder: Path) -> Mapping[str, str]:
    if rule.table is not None:
        return rule.table
    path = folder / (rule.file or "")
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines)
            if not {"value", "code"} <= set(reader.fieldnames or ()):
                raise MappingError("territory.file", f"{path} has not the columns value and code")
            return {row["value"].strip(): row["code"].strip() for row in reader}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MappingError("territory.file", f"{path} cannot be read: {error}") from None


def _by_codes(
    codes: Mapping[Literal["province", "district", "commune"], str],
    index: Mapping[str, int],
    territories: Territories,
) -> Finder:
    at: dict[str, int] = {level: index[column] for level, column in codes.items()}

    def find(row: Sequence[str]) -> Place:
        found = {level: row[i].strip() or None for level, i in at.items()}
        for level in ("commune", "district"):
            code = found.get(level)
            deeper = None if code is None else place_of(code, territories)
            if deeper is not None and found.get("province") is None:
                found["province"] = deeper.province
            if deeper is not None and found.get("district") is None:
                found["district"] = deeper.district
        return Place(found.get("province") or UNKNOWN, found.get("district"), found.get("commune"))

    return find


def _by_table(
    rule: TerritoryTable,
    table: Mapping[str, str],
    index: Mapping[str, int],
    territories: Territories,
    unknown: Counter[str],
) -> Finder:
    path = "territory.table" if rule.table is not None else "territory.file"
    places = {word: _known(c, territories, f"{path}[{word!r}]") for word, c in table.items()}
    column = index[rule.column or ""]
    otherwise = None
    if rule.default is not UNSET and rule.default != REJECT:
        otherwise = _known(str(rule.default), territories, "territory.default")
    spread = None if rule.spread is None else index[rule.spread]
    communes: dict[str, list[str]] = {}
    for commune in territories.communes.values():
        communes.setdefault(commune.district_code, []).append(commune.commune_code)

    def find(row: Sequence[str]) -> Place:
        word = row[column].strip()
        place = places.get(word)
        if place is None:
            if otherwise is None:
                raise NoPlaceError(f"territory: no place for this {rule.column}")
            if word:
                unknown[f"{rule.column}: {word}"] += 1
            return otherwise
        if spread is not None and place.district is not None and place.commune is None:
            digits = row[spread].strip()
            if digits.isdecimal() and communes.get(place.district):
                of = communes[place.district]
                return place._replace(commune=of[int(digits) % len(of)])
        return place

    return find
