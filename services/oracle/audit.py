"""A view's numbers of one moment beside the oracle's at the same fence: every difference.

The live view moves, so two answers can only be compared at one vector of offsets.
``/api/v1/numbers`` gives the numbers of a window together with the offsets that they rest on; the
oracle is cut there (`Oracle.cut`) and asked for the same. Whoever has the JSON of such answers and
an oracle that has read at least as far can call :func:`audit`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.oracle.checks import instant
from services.oracle.comparison import Numbers, close, same
from services.oracle.kpis import KPIS, Kpi
from services.oracle.oracle import OUTCOMES, Oracle
from services.oracle.reading import FUTURE, TYPES
from services.oracle.records import Place
from services.oracle.windows import bounds

_TOPICS = {table: topic for topic, table in TYPES.values()} | {"step": "ioc.admin-case.v1"}
_INDICATOR_TOPIC = "ioc.indicator.v1"

Cells = dict[tuple[str, str | None], Numbers]
Values = tuple[float | None, ...]


@dataclass(frozen=True)
class Answer:
    """One answer of ``/api/v1/numbers``; instants in ms, ``window`` None for now."""

    window: str | None
    as_of: int
    #: KPI -> dimension (None: none) -> (territory, value of the dimension) -> numbers.
    kpis: dict[str, dict[str | None, Cells]]
    applied: dict[Place, int]
    gaps: dict[Place, int]
    outcomes: dict[Place, dict[str, int]]
    reasons: dict[Place, dict[str, int]]
    #: Series -> value, target, gap, age in seconds; None where they were not asked for.
    indicators: dict[str, Values] | None = None
    #: Series -> sum, periods; the same.
    flows: dict[str, Values] | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Answer":
        """From the JSON. Raises KeyError, TypeError or ValueError where it is something else."""
        places = {(p["topic"], p["partition"]): p for p in body["partitions"]}
        series, flows = body.get("indicators"), body.get("flows")
        return cls(
            body["window"],
            instant(body["as_of"]),
            {
                name: {None: _cells(kpi["rows"])}
                | {dimension: _cells(rows) for dimension, rows in kpi.get("by", {}).items()}
                for name, kpi in body["kpis"].items()
            },
            {place: p["applied"] for place, p in places.items()},
            {place: p["gaps"] for place, p in places.items()},
            {place: p["outcomes"] for place, p in places.items()},
            {place: p["reasons"] for place, p in places.items()},
            None
            if series is None
            else {key: (value, target, gap, age) for key, value, target, gap, age in series},
            None if flows is None else {key: (total, n) for key, total, n in flows},
        )


def _cells(rows: Iterable[Sequence[Any]]) -> Cells:
    return {(row[0], row[1]): (row[2], row[3], row[4], row[5]) for row in rows}


@dataclass(frozen=True)
class Difference:
    """One number that differs.

    ``what`` is kpi, indicator, outcomes, conservation, dead_letter or clock; ``name`` is a KPI, a
    series, or topic/partition; ``by`` is ``dimension=value``, or which count it is.
    """

    what: str
    name: str
    window: str | None
    territory: str | None
    by: str | None
    oracle: str
    view: str

    def __str__(self) -> str:
        where = [x for x in (self.window, self.territory, self.by) if x is not None]
        return f"{self.name} {' '.join(where)}: oracle {self.oracle}, view {self.view}"


@dataclass
class Audit:
    """What an audit found, and what it could not look at."""

    differences: list[Difference] = field(default_factory=list)
    #: Numbers that were compared.
    compared: int = 0
    #: In words, once each.
    notes: dict[str, None] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Something an operator should know that is no difference."""
        self.notes[text] = None


def audit(
    answers: Iterable[Answer],
    oracle: Oracle,
    *,
    kpis: Callable[[str], bool] = lambda name: True,
    territories: Callable[[str], bool] = lambda code: True,
    complete_from: Mapping[str, int] | None = None,
    event_clock: bool = False,
) -> Audit:
    """Compares every number of the answers; ``kpis`` and ``territories`` say which.

    ``complete_from``: topics whose log has lost its beginning, and the arrival (ms) from which it
    is complete; what cannot be known from such a log is noted and left out. ``event_clock``: the
    instant of every answer is to be the oracle's event clock. Leaves the oracle cut.
    """
    work = _Work(oracle, kpis, territories, complete_from or {})
    cut: dict[Place, int] | None = None
    for answer in answers:
        if answer.applied != cut:
            cut = answer.applied
            oracle.cut(cut)
            work.records(answer)
        if event_clock:
            expected = oracle.event_clock() or answer.as_of
            work.check("clock", "clock", None, None, None, expected, answer.as_of)
        work.answer(answer)
    return work.found


class _Work:
    """One audit under way."""

    def __init__(
        self,
        oracle: Oracle,
        kpis: Callable[[str], bool],
        territories: Callable[[str], bool],
        complete_from: Mapping[str, int],
    ) -> None:
        self.found = Audit()
        self._oracle, self._complete_from = oracle, complete_from
        self._kpis, self._territories = kpis, territories
        self._tops = {"all", *oracle.places.provinces}

    def check(
        self,
        what: str,
        name: str,
        window: str | None,
        territory: str | None,
        by: str | None,
        mine: object,
        theirs: object,
        *,
        equal: bool | None = None,
    ) -> None:
        """One comparison; ``equal`` None: they are when they are equal."""
        self.found.compared += 1
        if mine != theirs if equal is None else not equal:
            self.found.differences.append(
                Difference(what, name, window, territory, by, _shown(mine), _shown(theirs))
            )

    # --- KPIs -----------------------------------------------------------------------------------

    def answer(self, answer: Answer) -> None:
        """KPIs and indicators of one answer, at a fence that is set."""
        start = None if answer.window is None else bounds(answer.window, answer.as_of)[0]
        for name, tables in answer.kpis.items():
            if not self._kpis(name):
                continue
            spec = KPIS.get(name)
            if spec is None:
                self.found.note(f"{name} is not audited: the oracle does not know it")
            elif not self._knowable(spec, start):
                window = answer.window or "now"
                self.found.note(f"{name} {window} is not audited: its log is not complete")
            else:
                for dimension, cells in tables.items():
                    self._rows(spec, name, answer, dimension, cells)
        if answer.indicators is None and answer.flows is None:
            return
        if _INDICATOR_TOPIC in self._complete_from:
            self.found.note("indicators are not audited: their log is not complete")
            return
        self._indicators(answer)

    def _knowable(self, spec: Kpi, start: int | None) -> bool:
        """Whether the log that is left tells a KPI: what is true now may rest on any record, a
        window on those that arrived in it (no milestone is over 15 minutes after its arrival)."""
        since = self._complete_from.get(_TOPICS[spec.table])
        return since is None or (start is not None and start >= since + FUTURE)

    def _rows(
        self, spec: Kpi, name: str, answer: Answer, dimension: str | None, cells: Cells
    ) -> None:
        top = dimension is not None  # dimensions are given for all and the provinces
        expected = self._oracle.rows(name, answer.window, answer.as_of, dimension, top=top)
        for key in sorted(expected.keys() | cells.keys(), key=_order):
            territory, value = key
            if not self._territories(territory):
                continue
            if top and territory not in self._tops:
                continue
            if spec.kind == "commune_share" and ("." in territory or territory == "unknown"):
                continue  # no communes, no share
            row, numbers = expected.get(key), cells.get(key)
            if row is None or numbers is None:
                # Rows in which there is nothing are left out.
                equal = not any(row or ()) and not any(numbers or ())
            else:
                equal = same(spec, row, numbers)
            by = None if dimension is None else f"{dimension}={value}"
            window = answer.window or "now"
            self.check("kpi", name, window, territory, by, row, numbers, equal=equal)

    # --- indicators -----------------------------------------------------------------------------

    def _indicators(self, answer: Answer) -> None:
        if answer.indicators is not None:
            latest: Mapping[str, Values] = {
                key: (s.value, s.target, s.gap, s.age_seconds)
                for key, s in self._oracle.indicators(answer.as_of).items()
            }
            for key in sorted(latest.keys() | answer.indicators.keys()):
                self._series(key, "now", latest.get(key), answer.indicators.get(key))
        if answer.flows is not None and answer.window is not None:
            sums = self._oracle.indicator_sums(answer.window, answer.as_of)
            for key, flow in sorted(answer.flows.items()):
                self._series(key, answer.window, sums.get(key, (0.0, 0)), flow)

    def _series(self, key: str, window: str, mine: Values | None, theirs: Values | None) -> None:
        territory = key.split("|")[1]
        if self._territories(territory):
            equal = mine is not None and theirs is not None and all(map(_near, mine, theirs))
            self.check("indicator", key, window, territory, None, mine, theirs, equal=equal)

    # --- records --------------------------------------------------------------------------------

    def records(self, answer: Answer) -> None:
        """Outcomes and reasons by partition, and that every record below the fence has one."""
        counts, reasons = self._oracle.counts(), self._oracle.reject_counts()
        for place, applied in answer.applied.items():
            topic, partition = place
            if topic in self._complete_from:
                self.found.note(f"outcomes of {topic} are not audited: its log is not complete")
                continue
            where = f"{topic}/{partition}"
            mine, theirs = counts.get(place, {}), answer.outcomes[place]
            for name in sorted({*OUTCOMES, *theirs}):
                self._count("outcomes", where, name, mine.get(name, 0), theirs.get(name, 0))
            because, said = reasons.get(place, {}), answer.reasons[place]
            for name in sorted(because.keys() | said.keys()):
                text = f"rejected: {name}"
                self._count("outcomes", where, text, because.get(name, 0), said.get(name, 0))
            records = sum(mine.values())
            self._count("conservation", where, "records", records, sum(theirs.values()))
            gaps = answer.gaps[place]
            self._count("conservation", where, "offsets without a record", applied - records, gaps)
            if gaps:
                self.found.note(
                    f"{where}: {gaps} of {applied} offsets have no record (marks of transactions)"
                )

    def _count(self, what: str, where: str, name: str, mine: int, theirs: int) -> None:
        self.check(what, where, None, None, name, mine, theirs)


def _order(key: tuple[str, str | None]) -> tuple[bool, str, str]:
    return key[0] != "all", key[0], key[1] or ""


def _near(a: float | None, b: float | None) -> bool:
    return close(a, b, 1e-9) or (a is not None and b is not None and abs(a - b) < 1e-6)


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if not isinstance(value, tuple):
        return str(value)
    if len(value) != 4 or not isinstance(value[3], int):
        return ", ".join(map(str, value))
    number, numerator, denominator, count = value
    if numerator is None and denominator is None:
        return f"{number}" if number == count else f"{number} of {count}"
    return f"{number} = {numerator}/{denominator} of {count}"


__all__ = ["Answer", "Audit", "Difference", "audit"]
