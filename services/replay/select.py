"""Which records somebody wants: by type, by territory with all its children, by entity.

Pure. A record that cannot be read has no type and no territory, so a filter by those leaves it out;
a filter by entity finds it by its key. Without filters everything passes, readable or not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from schemas import catalog
from services.core.territory import Territories

#: CloudEvents type by the short names that people use: ``order`` for ``ioc.order.v1``.
TYPES = {
    name.removeprefix("ioc.").removesuffix(".v1"): name
    for topic in catalog.SOURCES
    for name in topic.events
}


class _Data(msgspec.Struct, gc=False):
    province_code: str | None = None
    district_code: str | None = None
    commune_code: str | None = None
    territory: str | None = None
    report_id: str | None = None
    case_id: str | None = None
    listing_id: str | None = None
    order_id: str | None = None
    store_id: str | None = None


class _Peek(msgspec.Struct, gc=False):
    type: str | None = None
    data: _Data | None = None


_decode = msgspec.json.Decoder(_Peek).decode


def type_name(text: str) -> str:
    """The CloudEvents type of a full or short name. Raises ValueError naming those there are."""
    name = TYPES.get(text.replace("-", "_"), text)
    if name not in TYPES.values():
        raise ValueError(f"no type is called {text!r}; there are {', '.join(TYPES)}")
    return name


def topic_name(text: str) -> str:
    """The topic of a full or short name (``field-report``). Raises ValueError."""
    for topic in (*catalog.SOURCES, catalog.DEAD_LETTER):
        if text in (topic.name, topic.kind):
            return topic.name
    kinds = ", ".join(t.kind for t in (*catalog.SOURCES, catalog.DEAD_LETTER))
    raise ValueError(f"no topic is called {text!r}; there are {kinds}")


@dataclass(frozen=True)
class Wanted:
    """Filters: of each kind any may match, all kinds given must; an empty one asks nothing.

    ``types`` are CloudEvents types, ``territories`` codes with everything below them, ``entities``
    ids (or series keys) of contract section 3.
    """

    types: tuple[str, ...] = ()
    territories: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Nothing is left out."""
        return not (self.types or self.territories or self.entities)

    @classmethod
    def of(
        cls,
        places: Territories,
        types: Iterable[str] = (),
        territories: Iterable[str] = (),
        entities: Iterable[str] = (),
    ) -> "Wanted":
        """Checked: raises ValueError for a type or territory that does not exist."""
        codes = tuple(territories)
        for code in codes:
            if places.row(code) is None:
                raise ValueError(
                    f"no territory has the code {code!r}: a province (45), district (461), commune "
                    "(19330), or a row such as 51.unknown"
                )
        return cls(tuple(map(type_name, types)), codes, tuple(entities))

    def describe(self) -> dict[str, Any]:
        """The filters as a recording notes them; empty when there are none."""
        named = {"types": self.types, "territories": self.territories, "entities": self.entities}
        return {name: list(values) for name, values in named.items() if values}


class Filter:
    """Applies what is wanted to one record after the other."""

    def __init__(self, wanted: Wanted, places: Territories) -> None:
        self._wanted = wanted
        self._types = frozenset(wanted.types)
        self._entities = frozenset(wanted.entities)
        self._keys = frozenset(e.encode() for e in wanted.entities)
        self._places = places
        rows = [r for code in wanted.territories if (r := places.row(code)) is not None]
        self._inside = [
            any(places.at_level[row.level][index] == row.index for row in rows)
            for index in range(len(places.rows))
        ]
        self._by_code: dict[str, bool] = {}

    def __call__(self, key: bytes | None, value: bytes | None) -> bool:
        """Whether the record is wanted."""
        if self._wanted.everything:
            return True
        try:
            event = _decode(value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            event = _Peek()
        data = event.data
        if self._types and event.type not in self._types:
            return False
        if self._entities and not (key in self._keys or (data and self._names(data))):
            return False
        return not self._wanted.territories or (data is not None and self._lies_inside(data))

    def _names(self, d: _Data) -> bool:
        ids: Sequence[str | None] = (d.report_id, d.case_id, d.store_id, d.order_id)
        # An order names a listing, but it is another entity.
        listing = None if d.order_id is not None else d.listing_id
        return any(i in self._entities for i in (*ids, listing))

    def _lies_inside(self, d: _Data) -> bool:
        places = self._places
        if d.province_code is not None:
            return self._inside[places.deepest(d.province_code, d.district_code, d.commune_code)]
        return d.territory is not None and self._inside[places.of_code(d.territory)]


__all__ = ["TYPES", "Filter", "Wanted", "topic_name", "type_name"]
