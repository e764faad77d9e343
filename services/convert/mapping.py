"""A mapping file: how the rows of a foreign log become events of our contract, as checked data.

What the rules mean is in docs/converters.md; what they do is in `rules` and `conversion`, and how
they are read from YAML in `loading`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from schemas import catalog, v1

Target = Literal["field_report", "admin_case", "listing", "order", "indicator"]
Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class TargetKind:
    """Where events of a target go: topic, CloudEvents type, struct of the data, its id field."""

    topic: catalog.Topic
    struct: type[Struct]
    type: str
    #: None: an indicator, which is told by several fields.
    id_field: str | None


TARGETS: Mapping[str, TargetKind] = {
    "field_report": TargetKind(
        catalog.FIELD_REPORT, v1.FieldReport, "ioc.field_report.v1", "report_id"
    ),
    "admin_case": TargetKind(catalog.ADMIN_CASE, v1.AdminCase, "ioc.admin_case.v1", "case_id"),
    "listing": TargetKind(catalog.LISTING, v1.Listing, "ioc.listing.v1", "listing_id"),
    "order": TargetKind(catalog.LISTING, v1.Order, "ioc.order.v1", "order_id"),
    "indicator": TargetKind(catalog.INDICATOR, v1.Indicator, "ioc.indicator.v1", None),
}
#: Reserved words in place of a default.
REJECT, KEEP = "reject", "keep"


class MappingError(Exception):
    """The mapping cannot be used; the message names the path in the YAML and what is wrong."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(f"{path}: {text}" if path else text)


class FileRule(Struct, forbid_unknown_fields=True, frozen=True):
    """How the bytes of the log become rows."""

    format: Literal["csv", "open311"] = "csv"
    encoding: str = "utf-8"
    delimiter: str = ","
    compression: Literal["auto", "none", "gzip"] = "auto"


class TimeRule(Struct, forbid_unknown_fields=True, frozen=True):
    """Format (``iso`` or as strptime has it) and the zone of times without an offset."""

    format: str = "iso"
    zone: str = "+07:00"


class Condition(Struct, forbid_unknown_fields=True, frozen=True, rename={"is_in": "in"}):
    """What a column must be for a row, or a change, to count."""

    column: str
    is_in: list[str] | None = None
    not_in: list[str] | None = None
    empty: bool | None = None
    matches: str | None = None


class Span(Struct, forbid_unknown_fields=True, frozen=True, rename={"start": "from", "end": "to"}):
    """The time between two columns."""

    start: str
    end: str


class Band(Struct, forbid_unknown_fields=True, frozen=True):
    """A value for what lies below, or at most at, a bound; without a bound: for the rest."""

    value: Scalar
    below: str | float | None = None
    upto: str | float | None = None


class Running(Struct, forbid_unknown_fields=True, frozen=True):
    """A number that goes on from revision to revision, from ``start``, never under ``least``."""

    start: int = 0
    least: int | None = None


class Rule(Struct, forbid_unknown_fields=True, frozen=True, rename={"only_if": "if"}):
    """Where the value of one field comes from, and what is done to it."""

    column: str | None = None
    const: Scalar | UnsetType = UNSET
    template: str | None = None
    at: bool = False
    multiply: list[str] | None = None
    span: Span | None = None
    first: list[Any] | None = None
    map: dict[str, Scalar] | None = None
    default: Scalar | UnsetType = UNSET
    #: The value where the text is not empty.
    filled: Scalar | UnsetType = UNSET
    format: str | None = None
    zone: str | None = None
    plus: str | None = None
    times: float | str | None = None
    absolute: bool = False
    bands: list[Band] | None = None
    running: Running | None = None
    cut: int | None = None
    once: bool = False
    only_if: dict[str, list[str | None]] | None = None


class TerritoryTable(Struct, forbid_unknown_fields=True, frozen=True):
    """Territory by a table of a column's values, or by columns that hold our codes."""

    column: str | None = None
    table: dict[str, str] | None = None
    file: str | None = None
    default: str | UnsetType = UNSET
    #: A column whose number is spread over the communes of the district.
    spread: str | None = None
    codes: dict[Literal["province", "district", "commune"], str] | None = None


class ChangeHead(Struct, forbid_unknown_fields=True, frozen=True):
    """One thing that happens to an entity, at a time that a column holds."""

    at: str
    when: list[Condition] = []
    once: bool = False
    required: bool = False
    early: Literal["reject", "at_opening"] = "reject"
    format: str | None = None
    zone: str | None = None


@dataclass(frozen=True)
class Change:
    head: ChangeHead
    fields: Mapping[str, Rule]


class Head(Struct, forbid_unknown_fields=True, frozen=True):
    """The plain members of a mapping."""

    mapping: Literal[1]
    name: str
    source: str
    target: Target
    entity: str
    title: str = ""
    credit: str = ""
    file: FileRule = FileRule()
    time: TimeRule = TimeRule()
    repeated_id: Literal["reject", "revision", "number"] = "reject"
    unchanged: Literal["send", "skip"] = "send"


@dataclass(frozen=True)
class LogMapping:
    """A whole mapping, checked against the contract but not yet against a file."""

    head: Head
    where: tuple[Condition, ...]
    territory: str | TerritoryTable
    fields: Mapping[str, Rule]
    changes: tuple[Change, ...]
    folder: Path

    @property
    def target(self) -> TargetKind:
        return TARGETS[self.head.target]

    def columns(self) -> list[str]:
        """Every column that is read, in no order that matters."""
        found: dict[str, None] = dict.fromkeys(_names(self.head.entity))
        for condition in self.where:
            found[condition.column] = None
        if isinstance(self.territory, TerritoryTable):
            places = self.territory
            wanted = [places.column, places.spread, *(places.codes or {}).values()]
            found.update(dict.fromkeys(name for name in wanted if name is not None))
        rules = list(self.fields.values())
        for change in self.changes:
            found[change.head.at] = None
            found.update(dict.fromkeys(c.column for c in change.head.when))
            rules += change.fields.values()
        for rule in rules:
            found.update(dict.fromkeys(columns_of(rule)))
        return list(found)


_NAME = re.compile(r"\{([^{}]+)\}")


def _names(template: str) -> list[str]:
    return _NAME.findall(template)


def columns_of(rule: Rule) -> list[str]:
    """The columns that a rule reads."""
    found = [rule.column] if rule.column is not None else []
    found += _names(rule.template or "")
    found += rule.multiply or []
    if rule.span is not None:
        found += [rule.span.start, rule.span.end]
    for one in rule.first or []:
        found += columns_of(one)
    return found
