"""Every answer of the view beside the oracle's: what differs, nothing when all is well."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from services.core.merge import QueryError, View
from services.core.merge import Row as Answer
from services.oracle.kpis import KPIS, Kpi, members
from services.oracle.oracle import Oracle, Row
from services.oracle.windows import WINDOWS

#: Quantiles may be off by this much, contract section 4.1.
QUANTILE_ERROR = 0.02
#: Territories whose dimensions are compared; levels are compared for all territories.
SAMPLE = ("all", "45", "461", "19330", "51", "522")


def differences(
    view: View,
    oracle: Oracle,
    now: int,
    *,
    as_of: int | None = None,
    windows: Sequence[str] = WINDOWS,
    kpis: Sequence[str] = tuple(KPIS),
    dimensions: bool = True,
) -> Iterator[str]:
    """One line per KPI, window, territory and dimension value whose numbers differ."""
    for name in kpis:
        spec = KPIS[name]
        for window in (None,) if spec.stock else windows:
            where = f"{name} {window or 'now'}"
            question = _Question(view, oracle, name, spec, window, now, as_of)
            for line in question.levels({}):
                yield f"{where}: {line}"
            if dimensions:
                for line in question.dimensions():
                    yield f"{where}: {line}"


class _Question:
    def __init__(
        self,
        view: View,
        oracle: Oracle,
        name: str,
        spec: Kpi,
        window: str | None,
        now: int,
        as_of: int | None,
    ) -> None:
        self.view, self.oracle, self.name, self.spec = view, oracle, name, spec
        self.window, self.now, self.as_of = window, now, as_of

    def _ask(self, **options: Any) -> list[Answer] | str:
        try:
            at, rows = self.view.query(
                self.name, now=self.now, window=self.window, as_of=self.as_of, **options
            )
        except QueryError as error:
            return f"refused: {error}"
        if at != (self.now if self.as_of is None else self.as_of):
            return f"answered for {at}"
        return rows

    def _expected(
        self, by: str | tuple[str, str] | None, where: Mapping[str, str]
    ) -> dict[tuple[str, str | None], Row]:
        at = self.now if self.as_of is None else self.as_of
        return self.oracle.rows(self.name, self.window, at, by, where)

    def levels(self, where: Mapping[str, str]) -> Iterator[str]:
        """All territories at once: without ``by``, then by each level under all and one parent."""
        expected = {t: r for (t, _), r in self._expected(None, where).items()}
        share = self.spec.kind == "commune_share"
        single = self._ask(where=where)
        if isinstance(single, str) or len(single) != 1:
            yield f"all {dict(where)}: expected one row, got {single}"
            return
        found = {"all": single[0]}
        for level in ("province", "district", "commune"):
            rows = self._ask(by=level, where=where)
            if isinstance(rows, str):
                yield f"by={level} {dict(where)}: {rows}"
                return
            for row in rows:
                if row.territory in found:
                    yield f"by={level} {dict(where)}: {row.territory} twice"
                found[row.territory] = row
        for territory in sorted(expected.keys() | found.keys()):
            if share and ("." in territory or territory == "unknown"):
                continue  # no communes, no share: the contract does not say whether it is a row
            yield from self._compare(
                f"{territory} {dict(where) or ''}", expected.get(territory), found.get(territory)
            )
        for parent, level in (("45", "district"), ("45", "commune"), ("461", "commune")):
            yield from self._children(parent, level, where, expected)
        for territory in SAMPLE:
            rows = self._ask(territory=territory, where=where)
            if isinstance(rows, str) or len(rows) != 1:
                yield f"{territory} {dict(where)}: expected one row, got {rows}"
            else:
                yield from self._compare(f"{territory} alone", expected[territory], rows[0])

    def _children(
        self, parent: str, level: str, where: Mapping[str, str], expected: Mapping[str, Row]
    ) -> Iterator[str]:
        rows = self._ask(territory=parent, by=level, where=where)
        if isinstance(rows, str):
            yield f"{parent} by={level}: {rows}"
            return
        places = self.oracle.places
        districts = {d for d, p in places.districts.items() if parent in (p, d)}
        if level == "district":
            known = districts
            extra = {f"{parent}.none", f"{parent}.unknown"}
        else:
            known = {c for c, (d, _) in places.communes.items() if d in districts}
            extra = {f"{d}.{x}" for d in districts for x in ("none", "unknown")}
        wanted = known | (extra & expected.keys())
        got = {row.territory for row in rows}
        if self.spec.kind == "commune_share":
            wanted, got = wanted - extra, got - extra
        if wanted != got:
            yield f"{parent} by={level}: rows {sorted(got ^ wanted)} are missing or too many"
        for row in rows:
            if row.territory in wanted:
                yield from self._compare(
                    f"{row.territory} under {parent}", expected[row.territory], row
                )

    def dimensions(self) -> Iterator[str]:
        """Each dimension and listed pair as ``by``, one value of each as a filter."""
        splits: list[str | tuple[str, str]] = [*self.spec.dimensions, *self.spec.pairs]
        for by in splits:
            expected = self._expected(by, {})
            text = by if isinstance(by, str) else ",".join(by)
            for territory in SAMPLE:
                rows = self._ask(territory=territory, by=text)
                if isinstance(rows, str):
                    yield f"{territory} by={text}: {rows}"
                    continue
                found = {row.by: row for row in rows}
                wanted = {value for t, value in expected if t == territory}
                if len(found) != len(rows) or any(row.territory != territory for row in rows):
                    yield f"{territory} by={text}: rows twice or of another territory"
                for value in sorted(str(v) for v in wanted | found.keys()):
                    yield from self._compare(
                        f"{territory} {text}={value}",
                        expected.get((territory, value)),
                        found.get(value),
                    )
        for dimension in self.spec.dimensions:
            values = members(self.spec.table, dimension)
            if dimension == "step":
                value = values[-1]
            else:
                value = values[len(self.name) % len(values)]
            yield from self.levels({dimension: value})
        for first, second in self.spec.pairs:
            pair = {
                first: members(self.spec.table, first)[0],
                second: members(self.spec.table, second)[0],
            }
            yield from self.levels(pair)

    def _compare(self, where: str, expected: Row | None, found: Answer | None) -> Iterator[str]:
        if expected is None or found is None:
            yield f"{where}: oracle {expected}, view {found}"
            return
        if not same(
            self.spec, expected, (found.value, found.numerator, found.denominator, found.count)
        ):
            yield f"{where}: oracle {expected}, view {found}"


#: value, numerator, denominator and count of a row of the view.
Numbers = tuple[float | None, float | None, float | None, float | None]


def same(spec: Kpi, expected: Row, found: Numbers) -> bool:
    """Whether a row is what the oracle expects: exactly, but for quantiles and binary fractions."""
    value, numerator, denominator, count = found
    error = QUANTILE_ERROR if spec.kind == "quantile" else 1e-9
    # The contract gives the sum behind a mean no unit: milliseconds or the KPI's own.
    return (
        close(expected.value, value, error)
        and expected.entities == count
        and close(expected.denominator, denominator, 0)
        and (
            close(expected.numerator, numerator, 1e-12)
            or close(_scaled(expected.numerator, spec.scale), numerator, 1e-9)
        )
    )


def _scaled(value: float | None, scale: int) -> float | None:
    return None if value is None else value / scale


def close(a: float | None, b: float | None, error: float) -> bool:
    """Equal but for a relative error; null equals null only."""
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=error, abs_tol=1e-12 if error else 0)
