"""One table of a scenario file: values of the right kind, or an error that names the place."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from services.rehearse.times import instant, length


class ScenarioError(Exception):
    """The scenario cannot be used; the message names the file, the place and what was expected."""


@dataclass(frozen=True)
class Span:
    """Instants in ms, both included."""

    first: int
    last: int

    def __contains__(self, at: int) -> bool:
        return self.first <= at <= self.last


class Table:
    """One table of the file, which remembers what was asked of it."""

    def __init__(self, where: str, table: object, start: int | None = None) -> None:
        if not isinstance(table, Mapping):
            raise ScenarioError(f"{where}: expected a table")
        self.where, self._table, self.start = where, table, start
        self._asked: set[str] = set()

    def fail(self, key: str, what: object) -> ScenarioError:
        return ScenarioError(f"{self.where}: {key}: {what}")

    def has(self, key: str) -> bool:
        return key in self._table

    def raw(self, key: str, default: Any = None, *, needed: bool = False) -> Any:
        self._asked.add(key)
        if needed and key not in self._table:
            raise self.fail(key, "is missing")
        return self._table.get(key, default)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.raw(key, default, needed=default is None)
        if not isinstance(value, str) or (default is None and not value):
            raise self.fail(key, f"{value!r} is no text")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self.raw(key, default, needed=default is None)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(key, f"{value!r} is no number")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.raw(key, default)
        if not isinstance(value, bool):
            raise self.fail(key, f"{value!r} is neither true nor false")
        return value

    def instant(self, key: str) -> int:
        try:
            return instant(self.raw(key, needed=True), self.start)
        except ValueError as error:
            raise self.fail(key, error) from None

    def length(self, key: str, default: str) -> int:
        try:
            return length(self.raw(key, default))
        except ValueError as error:
            raise self.fail(key, error) from None

    def span(self, key: str) -> Span:
        value = self.raw(key, needed=True)
        if not isinstance(value, list) or len(value) != 2:
            raise self.fail(key, f"{value!r} is no [from, to]")
        try:
            first, last = (instant(v, self.start) for v in value)
        except ValueError as error:
            raise self.fail(key, error) from None
        if first > last:
            raise self.fail(key, "begins after its end")
        return Span(first, last)

    def between(self) -> Span:
        first, last = self.instant("from"), self.instant("to")
        if first >= last:
            raise self.fail("to", "lies not after from")
        return Span(first, last)

    def texts(self, key: str, allowed: Collection[str] | None = None) -> tuple[str, ...]:
        value = self.raw(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise self.fail(key, f"{value!r} is no list of texts")
        for v in value:
            if allowed is not None and v not in allowed:
                raise self.fail(key, f"{v!r} is none of {', '.join(sorted(allowed))}")
        return tuple(value)

    def labels(self, key: str) -> dict[str, str]:
        value = self.raw(key, {})
        if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
            raise self.fail(key, f"{value!r} is no table of texts")
        return dict(value)

    def done(self) -> None:
        """Nothing may be left that was never asked for: a slip of the pen changes a verdict."""
        left = sorted(set(self._table) - self._asked)
        if left:
            known = ", ".join(sorted(self._asked))
            raise ScenarioError(f"{self.where}: {left[0]!r} is not known here; there are {known}")
