"""A YAML file as a mapping: taken apart piece by piece, so that an error names the path in it.

Read with the safe loader, and held against the contract: fields, and the words that a field takes.
"""

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

import msgspec
import yaml
from msgspec import UNSET, Struct, UnsetType

from schemas import v1
from services.convert.mapping import (
    KEEP,
    REJECT,
    Change,
    ChangeHead,
    Condition,
    Head,
    LogMapping,
    MappingError,
    Rule,
    Scalar,
    TerritoryTable,
)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML carries no types here
    """The safe loader, which takes no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise MappingError(
                    "", f"the key {name!r} stands twice, line {key.start_mark.line + 1}"
                )
            seen.add(name)
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return found


T = TypeVar("T")


def _take(raw: Any, kind: type[T], path: str) -> T:
    _text_keys(raw, path)
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        text, _, inner = str(error).partition(" - at `")
        inner = inner.rstrip("`").removeprefix("$").removeprefix(".")
        whole = f"{path}.{inner}" if path and inner and inner[0] != "[" else path + inner
        raise MappingError(whole or "the mapping", text) from None


def _text_keys(raw: Any, path: str) -> None:
    if isinstance(raw, dict):
        for key, value in raw.items():
            if not isinstance(key, str):
                raise MappingError(path, f"the key {key!r} is no text: put it in quotes")
            _text_keys(value, f"{path}.{key}" if path else key)
    elif isinstance(raw, list):
        for number, value in enumerate(raw):
            _text_keys(value, f"{path}[{number}]")


def load(path: Path) -> LogMapping:
    """The mapping in a YAML file. Raises MappingError, OSError."""
    try:
        raw = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MappingError("", f"no YAML: {' '.join(str(error).split())}") from None
    return parse(raw, path.parent)


def parse(raw: Any, folder: Path = Path()) -> LogMapping:
    """The mapping in what a YAML file holds. Raises MappingError."""
    if not isinstance(raw, dict):
        raise MappingError("", "expected a mapping of names to values at the top")
    raw = dict(raw)
    parts = {name: raw.pop(name, None) for name in ("where", "territory", "fields", "changes")}
    head = _take(raw, Head, "")
    where = tuple(_conditions(parts["where"] or [], "where"))
    place = parts["territory"]
    if place is None:
        raise MappingError("territory", "missing: a code, unknown, or a table")
    if not isinstance(place, str):
        place = _table(_take(place, TerritoryTable, "territory"))
    fields = _rules(parts["fields"] or {}, "fields")
    changes = tuple(
        _change(one, f"changes[{number}]")
        for number, one in enumerate(_take(parts["changes"] or [], list[Any], "changes"))
    )
    if not changes:
        raise MappingError("changes", "missing: at least one, with the time of it")
    found = LogMapping(head, where, place, fields, changes, folder)
    _hold_against_contract(found)
    return found


def _conditions(raw: Any, path: str) -> list[Condition]:
    found = []
    for number, one in enumerate(_take(raw, list[Any], path)):
        here = f"{path}[{number}]"
        condition = _take(one, Condition, here)
        if condition.matches is not None:
            try:
                re.compile(condition.matches)
            except re.error as error:
                raise MappingError(f"{here}.matches", f"no regular expression: {error}") from None
        found.append(condition)
    return found


def _table(place: TerritoryTable) -> TerritoryTable:
    if place.codes is not None:
        if place.column is not None:
            raise MappingError("territory", "give column with a table, or codes, not both")
    elif place.column is None:
        raise MappingError("territory.column", "missing")
    elif (place.table is None) == (place.file is None):
        raise MappingError("territory", "give table or file, one of them")
    return place


def _change(raw: Any, path: str) -> Change:
    if not isinstance(raw, dict):
        raise MappingError(path, "expected at, and set")
    raw = dict(raw)
    fields = _rules(raw.pop("set", {}), f"{path}.set")
    _conditions(raw.get("when", []), f"{path}.when")
    return Change(_take(raw, ChangeHead, path), fields)


def _rules(raw: Any, path: str) -> dict[str, Rule]:
    return {name: _rule(one, f"{path}.{name}") for name, one in _take(raw, dict, path).items()}


_SOURCES = ("column", "const", "template", "at", "multiply", "span", "first")


def _rule(raw: Any, path: str) -> Rule:
    if not isinstance(raw, dict):
        return _take({"const": raw}, Rule, path)
    rule = _take(raw, Rule, path)
    named = [name for name in _SOURCES if name in raw]
    if len(named) != 1:
        raise MappingError(path, f"expected one of {', '.join(_SOURCES)}; there are {len(named)}")
    if rule.first is not None:
        inner = [_rule(one, f"{path}.first[{n}]") for n, one in enumerate(rule.first)]
        rule = msgspec.structs.replace(rule, first=inner)
    if rule.bands and any(b.below is None and b.upto is None for b in rule.bands[:-1]):
        raise MappingError(f"{path}.bands", "only the last band may have no bound")
    return rule


# --- against the contract -----------------------------------------------------------------------

#: Fields that the conversion fills by itself.
_OWN = frozenset({"revision", "province_code", "district_code", "commune_code"})


def kinds_of(struct: type[Struct]) -> dict[str, Any]:
    """Field -> its type without None; of a nested struct or map, ``name.*`` -> its values'."""
    out: dict[str, Any] = {}
    for name, hint in get_type_hints(struct).items():
        members = [m for m in getattr(hint, "__args__", (hint,)) if m is not type(None)]
        optional = len(members) == 1 and type(None) in getattr(hint, "__args__", ())
        kind = members[0] if optional else hint
        if isinstance(kind, type) and issubclass(kind, Struct):
            out |= {f"{name}.{inner}": k for inner, k in kinds_of(kind).items()}
        elif getattr(kind, "__origin__", None) is dict:
            out[f"{name}.*"] = kind.__args__[1]
            if kind.__args__[1] is v1.Instant:
                out[name] = "step"
        else:
            out[name] = kind
    return out


def kind_of(kinds: Mapping[str, Any], name: str) -> Any:
    """The type of a field, dotted or not. Raises KeyError."""
    if name in kinds:
        return kinds[name]
    return kinds[f"{name.partition('.')[0]}.*"] if "." in name else kinds[name]


def _hold_against_contract(mapping: LogMapping) -> None:
    target, kinds = mapping.target, kinds_of(mapping.target.struct)
    given: set[str] = set()
    of_each = [("fields", mapping.fields)]
    of_each += [(f"changes[{n}].set", c.fields) for n, c in enumerate(mapping.changes)]
    for path, rules in of_each:
        for name, rule in rules.items():
            here = f"{path}.{name}"
            if (
                name == target.id_field
                or name in _OWN
                or (name == "territory" and not target.id_field)
            ):
                raise MappingError(here, "is filled by entity, territory or the conversion itself")
            try:
                kind = kind_of(kinds, name)
            except KeyError:
                raise MappingError(here, f"{mapping.head.target} has no such field") from None
            given.add(name)
            _check_values(rule, kind, here)
    given |= {*_OWN, "territory", target.id_field or ""}
    info: Any = msgspec.structs.fields(target.struct)
    for field in info:
        if field.required and field.name not in given:
            raise MappingError(
                f"fields.{field.name}", f"missing: every {mapping.head.target} has one"
            )


def _check_values(rule: Rule, kind: Any, path: str) -> None:
    """Words of an enum must be the contract's; what is set by hand is checked here, not per row."""
    if rule.only_if is not None and not rule.only_if:
        raise MappingError(f"{path}.if", "names no field")
    for number, inner in enumerate(rule.first or []):
        _check_values(inner, kind, f"{path}.first[{number}]")
    if kind == "step" and rule.map is None:
        raise MappingError(path, "steps are given by a map from a column to names of steps")
    if getattr(kind, "__origin__", None) is not Literal:
        return
    allowed = v1.values(kind)
    words: list[tuple[str, Scalar | UnsetType]] = [
        ("const", rule.const), ("default", rule.default), ("filled", rule.filled),
    ]  # fmt: skip
    words += [(f"map[{key!r}]", value) for key, value in (rule.map or {}).items()]
    words += [(f"bands[{n}].value", band.value) for n, band in enumerate(rule.bands or [])]
    for where, word in words:
        reserved = (REJECT, KEEP) if where == "default" else (KEEP,) if "map" in where else ()
        if word is not UNSET and word is not None and word not in (*allowed, *reserved):
            raise MappingError(f"{path}.{where}", f"{word!r} is not one of {', '.join(allowed)}")
