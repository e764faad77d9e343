"""The rules of a mapping as functions: a row's texts in, the value of a field out."""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final, Literal

from msgspec import UNSET

from schemas import v1
from services.convert import values
from services.convert.mapping import KEEP, REJECT, Band, Condition, MappingError, Rule
from services.convert.privacy import Watch

Texts = Sequence[str]
#: Row -> value of a field. Raises RowError.
Value = Callable[[Texts], Any]


class RowError(Exception):
    """A row cannot be used; the message is the reason, the same for all rows like it."""


class _Mark:
    """A value that is none: what it stands for is known when the changes are put in order."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


#: The value that the field had before.
KEPT: Final = _Mark("KEPT")
#: The time of the change.
AT: Final = _Mark("AT")


@dataclass(frozen=True)
class Surroundings:
    """What rules are compiled with: columns, times, and where findings go."""

    index: Mapping[str, int]
    form: str
    zone: str
    shift: dt.timedelta
    unknown: Counter[str] = field(default_factory=Counter)
    watch: Watch = field(default_factory=Watch)
    #: Words that a table lacks are counted.
    counting: bool = True

    def clock(self, path: str, form: str | None, zone: str | None) -> values.Clock:
        """A reader of times. Raises MappingError."""
        try:
            return values.clock(form or self.form, values.zone(zone or self.zone), self.shift)
        except ValueError as error:
            raise MappingError(path, str(error)) from None


def condition(rule: Condition, index: Mapping[str, int]) -> Callable[[Texts], bool]:
    """Whether a row meets a condition."""
    at = index[rule.column]
    inside = None if rule.is_in is None else frozenset(rule.is_in)
    outside = frozenset(rule.not_in or ())
    pattern = None if rule.matches is None else re.compile(rule.matches)

    def meets(row: Texts) -> bool:
        text = row[at].strip()
        return (
            (inside is None or text in inside)
            and text not in outside
            and (rule.empty is None or rule.empty == (not text))
            and (pattern is None or pattern.search(text) is not None)
        )

    return meets


def template(text: str, index: Mapping[str, int]) -> Callable[[Texts], str]:
    """A text with columns in braces; empty when a column in it is."""
    if re.fullmatch(r"\{[^{}]+\}", text):
        alone = index[text[1:-1]]
        return lambda row: row[alone].strip()
    parts = re.split(r"\{([^{}]+)\}", text)
    fixed, at = parts[::2], [index[name] for name in parts[1::2]]

    def fill(row: Texts) -> str:
        found = [row[i].strip() for i in at]
        if not all(found):
            return ""
        return fixed[0] + "".join(a + b for a, b in zip(found, fixed[1:], strict=True))

    return fill


def compiled(path: str, name: str, rule: Rule, kind: Any, around: Surroundings) -> Value:
    """The function of a rule, for a field of a type. Raises MappingError."""
    if rule.at:
        return _moment(path, rule)
    if rule.const is not UNSET:
        fixed = _fixed(path, rule.const, kind, around)
        return lambda row: fixed
    if rule.first is not None:
        return _first(path, name, rule.first, kind, around)
    if rule.span is not None:
        return _span(path, name, rule, around)
    if rule.multiply is not None:
        return _product(path, name, rule, kind, around)
    return _text(path, name, rule, kind, around)


def _moment(path: str, rule: Rule) -> Value:
    if rule.map is not None or rule.bands is not None:
        raise MappingError(path, "at takes no table")
    return lambda row: AT


def _fixed(path: str, const: Any, kind: Any, around: Surroundings) -> Any:
    if kind is not v1.Instant or const is None:
        return const
    try:
        return around.clock(path, None, None)(str(const))
    except ValueError:
        raise MappingError(path, f"{const!r} is no time") from None


def _first(path: str, name: str, rules: list[Rule], kind: Any, around: Surroundings) -> Value:
    quiet = replace(around, counting=False)
    last = len(rules) - 1
    inner = [
        compiled(f"{path}.first[{n}]", name, r, kind, around if n == last else quiet)
        for n, r in enumerate(rules)
    ]

    def find(row: Texts) -> Any:
        for one in inner:
            found = one(row)
            if found is not None:
                return found
        return None

    return find


def _default(rule: Rule, reason: str) -> Callable[[], Any]:
    """What stands where there is nothing; ``reason`` is said where that is not allowed."""
    if rule.default == REJECT:

        def refuse() -> Any:
            raise RowError(reason)

        return refuse
    if rule.default == KEEP:
        return lambda: KEPT
    found = None if rule.default is UNSET else rule.default
    return lambda: found


def _text(path: str, name: str, rule: Rule, kind: Any, around: Surroundings) -> Value:
    source = rule.column or rule.template or ""
    if rule.column is not None:
        at = around.index[rule.column]
        get: Callable[[Texts], str] = lambda row: row[at].strip()  # noqa: E731 (as the template's)
    else:
        get = template(source, around.index)
    nothing = _default(rule, f"{name}: {source} is empty")
    if rule.filled is not UNSET:
        return lambda row: rule.filled if get(row) else nothing()
    if rule.map is not None:
        return _mapped(name, source, rule, get, nothing, around)
    convert = _converter(path, name, rule, kind, around)
    wrong = f"{source} is no {_NAMES.get(kind, 'text')}"

    def find(row: Texts) -> Any:
        text = get(row)
        if not text:
            return nothing()
        try:
            return convert(text)
        except (ValueError, OverflowError):
            raise RowError(wrong) from None

    return find


_NAMES = {v1.Instant: "time", int: "number", float: "number", bool: "yes or no"}


def _mapped(
    name: str,
    source: str,
    rule: Rule,
    get: Callable[[Texts], str],
    nothing: Callable[[], Any],
    around: Surroundings,
) -> Value:
    table = {w: KEPT if value == KEEP else value for w, value in (rule.map or {}).items()}
    strict = rule.default is UNSET or rule.default == REJECT
    lacking = f"{name}: {source} is a word that the table lacks"
    unknown, counting = around.unknown, around.counting

    def find(row: Texts) -> Any:
        word = get(row)
        if word in table:
            return table[word]
        if word and counting:
            unknown[f"{source}: {word}"] += 1
        if word and strict:
            raise RowError(lacking)
        return nothing()

    return find


def _converter(
    path: str, name: str, rule: Rule, kind: Any, around: Surroundings
) -> Callable[[str], Any]:
    if kind is v1.Instant:
        read = around.clock(path, rule.format, rule.zone)
        if rule.plus is None:
            return read
        more = _duration(f"{path}.plus", rule.plus)
        return lambda text: read(text) + more
    if rule.bands is not None:
        band = _banded(path, rule.bands, _decimal)
        return lambda text: band(values.number(text))
    if kind in (int, float):
        return _shaped(rule, kind, values.number, path)
    if kind is bool:
        return values.truth
    watch, cut = around.watch, rule.cut
    if getattr(kind, "__origin__", None) is Literal or not _is_free(name):
        return str if cut is None else lambda text: text[:cut]

    def look(text: str) -> str:
        watch.look(name, text)
        return text if cut is None else text[:cut]

    return look


#: Text fields that hold codes, not what somebody wrote.
_CODES = frozenset({
    "product_key", "product_group", "domain", "indicator", "territory", "unit", "source_system",
})  # fmt: skip


def _is_free(name: str) -> bool:
    return name not in _CODES and not name.endswith(("_id", "_code"))


def _decimal(path: str, bound: str | float) -> Decimal:
    try:
        return values.number(str(bound))
    except ValueError:
        raise MappingError(path, f"{bound!r} is no number") from None


def _duration(path: str, text: str | float) -> dt.timedelta:
    try:
        return values.duration(str(text))
    except ValueError as error:
        raise MappingError(path, str(error)) from None


def _banded(path: str, bands: list[Band], bound: Callable[[str, Any], Any]) -> Callable[[Any], Any]:
    steps = []
    for number, band in enumerate(bands):
        here = f"{path}.bands[{number}]"
        below = None if band.below is None else bound(f"{here}.below", band.below)
        upto = None if band.upto is None else bound(f"{here}.upto", band.upto)
        steps.append((below, upto, band.value))

    def find(measured: Any) -> Any:
        for below, upto, value in steps:
            if (below is None or measured < below) and (upto is None or measured <= upto):
                return value
        return None

    return find


def _shaped(
    rule: Rule, kind: Any, number: Callable[[str], Decimal], path: str
) -> Callable[[str], Any]:
    times = None if rule.times is None else _decimal(f"{path}.times", rule.times)
    absolute, real = rule.absolute, kind is float

    def shape(text: str) -> Any:
        found = number(text)
        if times is not None:
            found *= times
        if absolute:
            found = abs(found)
        return float(found) if real else values.whole(found)

    return shape


def _product(path: str, name: str, rule: Rule, kind: Any, around: Surroundings) -> Value:
    if kind not in (int, float):
        raise MappingError(path, "multiply gives a number, and this field is none")
    columns = rule.multiply or []
    at = [around.index[column] for column in columns]
    nothing = _default(rule, f"{name}: {' or '.join(columns)} is empty")
    wrong = f"{' or '.join(columns)} is no number"

    def product(text: str) -> Decimal:
        found = Decimal(1)
        for part in text.split("\n"):
            found *= values.number(part)
        return found

    shape = _shaped(rule, kind, product, path)

    def find(row: Texts) -> Any:
        texts = [row[i].strip() for i in at]
        if not all(texts):
            return nothing()
        try:
            return shape("\n".join(texts))
        except ValueError:
            raise RowError(wrong) from None

    return find


def _span(path: str, name: str, rule: Rule, around: Surroundings) -> Value:
    if rule.span is None or rule.bands is None:
        raise MappingError(path, "span needs bands: what a length of time means")
    start, end = around.index[rule.span.start], around.index[rule.span.end]
    read = around.clock(path, rule.format, rule.zone)
    band = _banded(path, rule.bands, _duration)
    nothing = _default(rule, f"{name}: {rule.span.start} or {rule.span.end} is empty")
    columns = (rule.span.start, rule.span.end)

    def moment(text: str, column: str) -> dt.datetime:
        try:
            return read(text)
        except (ValueError, OverflowError):
            raise RowError(f"{column} is no time") from None

    def find(row: Texts) -> Any:
        first, last = row[start].strip(), row[end].strip()
        if not first or not last:
            return nothing()
        return band(moment(last, columns[1]) - moment(first, columns[0]))

    return find
