"""All indicator series of the view: the latest states by period, and what is asked of them."""

import math
from collections.abc import Iterable
from struct import Struct as Layout

from services.core import series
from services.core.questions import QueryError, Question
from services.core.rows import Row
from services.core.series import LONG_KEPT_MS, SHORT_KEPT_MS, Period
from services.core.territory import Territories
from services.core.windows import bounds

# start, end, time; then value, numerator, denominator, target, target_low with NaN for null
_ROW = Layout("<qqqddddd")
_NAN = math.nan


def _null(x: float) -> float | None:
    return None if math.isnan(x) else x


class _Series:
    """One series: what does not change with the period, and its periods packed."""

    __slots__ = ("about", "latest", "partition", "periods", "texts")

    def __init__(self, about: Period, partition: int) -> None:
        self.about = about
        self.partition = partition
        self.periods: dict[int, bytes] = {}
        self.texts: dict[int, str] = {}
        self.latest: tuple[int, int] | None = None

    def put(self, p: Period) -> None:
        self.periods[p.start] = _ROW.pack(
            p.start,
            p.end,
            p.time,
            _NAN if p.value is None else p.value,
            _NAN if p.numerator is None else p.numerator,
            _NAN if p.denominator is None else p.denominator,
            _NAN if p.target is None else p.target,
            _NAN if p.target_low is None else p.target_low,
        )
        if p.text is not None:
            self.texts[p.start] = p.text
        elif self.texts:
            self.texts.pop(p.start, None)
        if self.latest is None or p.order >= self.latest:
            self.about = p
            self.latest = p.order
        elif self.latest[1] == p.start:
            self.latest = max(_Reading(packed).order for packed in self.periods.values())

    def remove(self, start: int) -> None:
        self.periods.pop(start, None)
        self.texts.pop(start, None)

    def at(self, as_of: int) -> "_Reading | None":
        """The latest period that ended by ``as_of``."""
        if self.latest is not None and self.latest[0] <= as_of:
            packed = self.periods.get(self.latest[1])
            if packed is not None:
                return _Reading(packed)
        ended = [r for r in map(_Reading, self.periods.values()) if r.end <= as_of]
        return max(ended, key=lambda r: r.order, default=None)


class _Reading:
    """One period unpacked."""

    __slots__ = (
        "denominator", "end", "numerator", "start", "target", "target_low", "time", "value",
    )  # fmt: skip

    def __init__(self, packed: bytes) -> None:
        self.start, self.end, self.time, *numbers = _ROW.unpack(packed)
        self.value, self.numerator, self.denominator, self.target, self.target_low = map(
            _null, numbers
        )

    @property
    def order(self) -> tuple[int, int]:
        return self.end, self.start

    @property
    def shown(self) -> float | None:
        """value, or numerator / denominator where value is absent; null over nothing."""
        if self.value is not None:
            return self.value
        if self.numerator is None or not self.denominator:
            return None
        return self.numerator / self.denominator


class Indicators:
    """Every series by its key. A series lies in one partition: its key is the Kafka key."""

    def __init__(self, territories: Territories) -> None:
        self._territories = territories
        self._series: dict[str, _Series] = {}
        #: The keys of those that are not of a commune: few of many.
        self._wide: set[str] = set()
        self._by_name: dict[tuple[str, str], dict[str, None]] = {}

    def clear(self, partition: int) -> None:
        """Forget the series of one source partition."""
        self._series = {k: s for k, s in self._series.items() if s.partition != partition}
        self._wide &= self._series.keys()
        self._by_name = {}
        for key, s in self._series.items():
            self._by_name.setdefault((s.about.indicator, s.about.territory), {})[key] = None

    def put(self, partition: int, key: bytes, packed: bytes) -> None:
        """Take the latest state of a period; ``key`` is that of the entity."""
        period = series.decode(packed)
        known = self._series.get(period.series)
        if known is None:
            row = self._territories.row(period.territory)
            known = self._series[period.series] = _Series(period, partition)
            if row is None or row.level != "commune":
                self._wide.add(period.series)
            name = (period.indicator, period.territory)
            self._by_name.setdefault(name, {})[period.series] = None
        known.put(period)

    def remove(self, partition: int, key: bytes) -> None:
        """Forget a period that is no longer kept."""
        name, _, start = key.rpartition(b"\0")
        known = self._series.get(name.decode())
        if known is not None:
            known.remove(int(start))

    def has(self, name: str, value: str) -> bool:
        """Whether there is a series of that key (``name`` is "series") or indicator."""
        if name == "series":
            return value in self._series
        return any(indicator == value for indicator, _ in self._by_name)

    def latest(self, clock: int, *, communes: bool = True) -> list[dict[str, object]]:
        """One entry a series, by key; without ``communes`` only those of larger territories."""
        out: list[dict[str, object]] = []
        for key in sorted(self._series if communes else self._wide):
            s = self._series[key]
            reading = s.at(clock)
            if reading is None:
                continue
            value = reading.shown
            about = s.about
            out.append(
                {
                    "series": key,
                    "domain": about.domain,
                    "indicator": about.indicator,
                    "territory": about.territory,
                    "dims": about.dims or {},
                    "kind": about.kind,
                    "unit": about.unit,
                    "source_system": about.source_system,
                    "value": value,
                    "text": s.texts.get(reading.start),
                    "numerator": reading.numerator,
                    "denominator": reading.denominator,
                    "target": reading.target,
                    "target_low": reading.target_low,
                    "gap": _gap(value, reading.target),
                    "age_seconds": (clock - reading.time) / 1000,
                    "period_start": reading.start,
                    "period_end": reading.end,
                    "time": reading.time,
                }
            )
        return out

    def rows(self, question: Question, as_of: int, clock: int) -> list[Row]:
        """The rows of an ind.* KPI; without ``by`` exactly one."""
        if question.series is not None:
            if question.level is not None:
                raise QueryError("by", "a series has one territory")
            known = self._series.get(question.series)
            territory = question.row.code if known is None else known.about.territory
            return [self._row(question, territory, None, known, as_of, clock)]
        row = question.row
        if question.level is None:
            known = self._of(question, row.code)
            return [self._row(question, row.code, None, known, as_of, clock)]
        children = self._territories.children(row, question.level)
        return [
            self._row(question, c.code, c.code, self._of(question, c.code), as_of, clock)
            for c in children
            if c.known
        ]

    def _of(self, question: Question, territory: str) -> _Series | None:
        keys = self._by_name.get((question.indicator or "", territory))
        if not keys:
            return None
        plain = f"{question.indicator}|{territory}|"
        if plain in keys:
            return self._series[plain]
        if len(keys) == 1:
            return self._series[next(iter(keys))]
        raise QueryError("indicator", f"has {len(keys)} series in {territory}: ask with series=")

    def _row(
        self,
        question: Question,
        territory: str,
        by: str | None,
        known: _Series | None,
        as_of: int,
        clock: int,
    ) -> Row:
        name = question.kpi.name
        if known is None:
            return Row(territory, by, None, None, None, 0)
        self._check_kept(known, as_of, clock)
        if name == "ind.sum":
            return self._sum(question, territory, by, known, as_of, clock)
        reading = known.at(as_of)
        if reading is None:
            return Row(territory, by, None, None, None, 0)
        value = reading.shown
        if name == "ind.value":
            return Row(territory, by, value, reading.numerator, reading.denominator, 1)
        shown = {
            "ind.target": reading.target,
            "ind.gap": _gap(value, reading.target),
            "ind.age_seconds": (as_of - reading.time) / 1000,
        }[name]
        return Row(territory, by, shown, None, None, 1)

    @staticmethod
    def _check_kept(known: _Series, as_of: int, clock: int) -> None:
        if as_of < clock - _kept_ms(known.about):
            raise QueryError("as_of", "the periods of that time are no longer kept")

    @staticmethod
    def _sum(
        question: Question, territory: str, by: str | None, known: _Series, as_of: int, clock: int
    ) -> Row:
        if known.about.kind != "flow":
            raise QueryError(
                "series" if question.series is not None else "indicator",
                f"is of kind {known.about.kind}; only flows are summed",
            )
        start, end = bounds(question.window, as_of)
        if start < clock - _kept_ms(known.about):
            raise QueryError("window", "the periods of that time are no longer kept")
        values = list(_values(known.periods.values(), start, end))
        # fsum does not depend on the order of its terms
        return Row(territory, by, math.fsum(values), None, None, len(values))


def _values(periods: Iterable[bytes], start: int, end: int) -> Iterable[float]:
    for packed in periods:
        reading = _Reading(packed)
        if start <= reading.end < end:
            value = reading.shown
            if value is not None:
                yield value


def _kept_ms(period: Period) -> int:
    return SHORT_KEPT_MS if period.is_short else LONG_KEPT_MS


def _gap(value: float | None, target: float | None) -> float | None:
    return None if value is None or target is None else value - target
