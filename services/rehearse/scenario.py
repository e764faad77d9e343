"""A scenario file: what is played, and what should happen. See docs/rehearsals.md.

Everything in it is checked before anything is started; the message names the place.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from services.core.calendar import local_day
from services.core.kpis import CATALOGUE, WINDOWS
from services.rehearse.tables import ScenarioError, Span, Table
from services.simulation.faults import DEFAULT_RATES, Faults
from services.simulation.scenarios import NAMES as PLAYS
from services.simulation.scenarios import Outage, Rush, Sale, Scenario, Silence, Storm, together
from services.simulation.stream import KINDS, LONGEST_TRAVEL_MS

FOLDER = Path(__file__).parent / "scenarios"
MINUTE_MS = 60_000
#: Rules look back an hour; what they need of it is watched before the start.
WARM_MS = 60 * MINUTE_MS
MAX_LENGTH_MS = 7 * 86_400_000
MAX_LEAD_MS = 7 * 86_400_000


@dataclass(frozen=True)
class Fires:
    """An alert that must begin to fire in ``begins`` and end in ``ends`` (None: still fires)."""

    alert: str
    labels: Mapping[str, str]
    begins: Span
    ends: Span | None
    why: str


@dataclass(frozen=True)
class Named:
    """An alert of some labels, and why it is named."""

    alert: str
    labels: Mapping[str, str]
    why: str


@dataclass(frozen=True)
class Shown:
    """A KPI as the view is asked for it."""

    kpi: str
    window: str | None
    territory: str
    where: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        more = "".join(f" {name}={value}" for name, value in self.where)
        window = f" {self.window}" if self.window else " now"
        return f"{self.kpi}{window} {self.territory}{more}"


@dataclass(frozen=True)
class Range:
    """A KPI that must lie from ``low`` to ``high`` (None: no bound) at an instant (ms)."""

    shown: Shown
    at: int
    low: float | None
    high: float | None
    why: str


@dataclass(frozen=True)
class Rehearsal:
    """What is played from ``start`` to ``end`` (ms), and what should happen.

    ``lead`` (ms) is played before, unwatched but for its last hour; ``steps`` are spans with how
    often (ms) the view is looked at in them, ``step`` elsewhere.
    """

    name: str
    title: str
    start: int
    end: int
    lead: int
    seed: int
    step: int
    steps: tuple[tuple[Span, int], ...]
    provinces: tuple[str, ...]
    faults: Mapping[str, float]
    scenario: Scenario
    fires: tuple[Fires, ...]
    silent: tuple[Named, ...]
    tolerated: tuple[Named, ...]
    ranges: tuple[Range, ...]
    charts: tuple[Shown, ...]

    @property
    def begin(self) -> int:
        """Where the lead begins."""
        return self.start - self.lead

    @property
    def watched(self) -> int:
        """The first instant at which the view is looked at."""
        return self.start - WARM_MS

    def alerts(self) -> set[str]:
        """Every alert that the file names."""
        named = {x.alert for x in (*self.silent, *self.tolerated)}
        return named | {x.alert for x in self.fires}

    def instants(self) -> list[int]:
        """When the view is looked at: whole minutes, and the instants of the KPI ranges."""
        found = {self.watched, self.start, self.end, *(r.at for r in self.ranges)}
        at = self.watched
        while at < self.end:
            found.add(at)
            every = min((e for span, e in self.steps if at in span), default=self.step)
            at += every
        return sorted(found)


def names() -> list[str]:
    """The scenarios that come with the product."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def find(name: str) -> Path:
    """The file of a scenario: by its name, or a path. Raises ScenarioError."""
    if name in names():
        return FOLDER / f"{name}.toml"
    path = Path(name)
    if path.suffix == ".toml" or "/" in name:
        if path.is_file():
            return path
        raise ScenarioError(f"there is no file {name}")
    raise ScenarioError(f"no scenario is called {name!r}; there are {', '.join(names())}")


def read(path: Path, *, step: str | None = None, seed: int | None = None) -> Rehearsal:
    """The rehearsal of a file, with another step everywhere or seed. Raises ScenarioError."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path} is no TOML: {error}") from None
    if step is not None:
        table = {k: v for k, v in table.items() if k != "step_in"} | {"step": step}
    if seed is not None:
        table["seed"] = seed
    return parse(path.stem, table, str(path))


def parse(name: str, table: Mapping[str, Any], where: str = "") -> Rehearsal:
    """The rehearsal that a table describes. Raises ScenarioError."""
    return _File(where or name, table).rehearsal(name)


class _File:
    def __init__(self, where: str, table: Mapping[str, Any]) -> None:
        self._where = where
        self._top = Table(where, table)
        self._start = self._top.instant("start")

    def _tables(self, key: str) -> Iterator[Table]:
        value = self._top.raw(key, [])
        if not isinstance(value, list):
            raise self._top.fail(key, f"write it as [[{key}]]")
        for number, table in enumerate(value, 1):
            found = Table(f"{self._where}: [[{key}]] {number}", table, self._start)
            yield found
            found.done()

    def rehearsal(self, name: str) -> Rehearsal:
        top = self._top
        top.start = self._start
        start, end = self._start, top.instant("end")
        if start % MINUTE_MS or end % MINUTE_MS:
            raise top.fail("start", "start and end lie on whole minutes")
        if not start < end <= start + MAX_LENGTH_MS:
            raise top.fail("end", "lies after the start, at most 7 days")
        lead = top.length("lead", "24h")
        if not 2 * WARM_MS <= lead <= MAX_LEAD_MS:
            raise top.fail("lead", "from 2h to 7d")
        seed = top.number("seed", 1)
        step = self._step(top, "step", "10m")
        found = Rehearsal(
            name=name,
            title=top.text("title"),
            start=start,
            end=end,
            lead=lead,
            seed=int(seed),
            step=step,
            steps=tuple(
                (t.between(), self._step(t, "every", None)) for t in self._tables("step_in")
            ),
            provinces=top.texts("provinces"),
            faults=self._faults(),
            scenario=self._scenario(name, int(seed)),
            fires=tuple(self._fires()),
            silent=tuple(self._named("silent", needs_why=False)),
            tolerated=tuple(self._named("tolerated", needs_why=True)),
            ranges=tuple(self._ranges(start, end)),
            charts=tuple(self._shown(t) for t in self._tables("chart")),
        )
        top.done()
        self._check(found)
        return found

    @staticmethod
    def _step(table: Table, key: str, default: str | None) -> int:
        if default is None and not table.has(key):
            raise table.fail(key, "is missing")
        step = table.length(key, default or "")
        if step % MINUTE_MS or not MINUTE_MS <= step <= 60 * MINUTE_MS:
            raise table.fail(key, "whole minutes from 1m to 60m")
        return step

    def _check(self, found: Rehearsal) -> None:
        for fires in found.fires:
            spans = [fires.begins, *([fires.ends] if fires.ends else [])]
            if any(s.last < found.start or s.first > found.end for s in spans):
                raise ScenarioError(
                    f"{self._where}: {fires.alert} is expected outside of start to end"
                )
        both = {(x.alert, tuple(x.labels.items())) for x in found.fires} & {
            (x.alert, tuple(x.labels.items())) for x in found.silent
        }
        if both:
            raise ScenarioError(
                f"{self._where}: {min(both)[0]} is expected to fire and to be silent"
            )

    # --- what is played -------------------------------------------------------------------------

    def _faults(self) -> dict[str, float]:
        changes = self._top.raw("faults", {})
        if changes == "none":
            return {}
        if not isinstance(changes, Mapping):
            raise self._top.fail("faults", '"none", or a table of rates')
        try:
            return dict(Faults(DEFAULT_RATES).changed(dict(changes)).rates)
        except (ValueError, TypeError) as error:
            raise self._top.fail("faults", error) from None

    def _scenario(self, name: str, seed: int) -> Scenario:
        played: list[tuple[str, int]] = []
        for t in self._tables("play"):
            which = t.text("scenario")
            if which not in PLAYS:
                raise t.fail("scenario", f"{which!r} is none of {', '.join(PLAYS)}")
            played.append((which, t.instant("at")))
        base = together(played, seed)
        share, span = base.duplicate_share, base.duplicate_span
        for t in self._tables("duplicates"):
            between = t.between()
            share, span = t.number("share"), (between.first, between.last)
            if not 0 < share <= 1:
                raise t.fail("share", "above 0, at most 1")
        return replace(
            base,
            name=name,
            storms=(*base.storms, *self._storms()),
            silences=(*base.silences, *self._silences()),
            outages=(*base.outages, *self._outages()),
            sales=(*base.sales, *self._sales()),
            rushes=(*base.rushes, *self._rushes()),
            duplicate_share=share,
            duplicate_span=span,
        )

    def _storms(self) -> Iterator[Storm]:
        for t in self._tables("storm"):
            span = t.between()
            yield Storm(
                span.first, span.last, frozenset(t.texts("provinces")), self._factor(t),
                cuts_islands=False,
            )  # fmt: skip

    @staticmethod
    def _factor(t: Table) -> float:
        factor = t.number("factor")
        if not 1 <= factor <= 1000:
            raise t.fail("factor", "from 1 to 1000")
        return factor

    def _held(self, t: Table) -> Span:
        span = t.between()
        if span.last - span.first > LONGEST_TRAVEL_MS:
            raise t.fail("to", "at most 8 days: then the backlog comes")
        return span

    def _silences(self) -> Iterator[Silence]:
        for t in self._tables("silence"):
            span = self._held(t)
            yield Silence(t.text("district"), span.first, span.last)

    def _outages(self) -> Iterator[Outage]:
        for t in self._tables("outage"):
            span, kind = self._held(t), t.text("source")
            if kind not in KINDS:
                raise t.fail("source", f"{kind!r} is none of {', '.join(KINDS)}")
            yield Outage(
                kind, span.first, span.last, frozenset(t.texts("provinces")),
                t.flag("garbage", False),
            )  # fmt: skip

    def _sales(self) -> Iterator[Sale]:
        for t in self._tables("sale"):
            span = t.between()
            yield Sale(span.first, span.last, self._factor(t))

    def _rushes(self) -> Iterator[Rush]:
        for t in self._tables("rush"):
            span = t.between()
            late = t.number("late", 0.0)
            if not 0 <= late <= 0.9:
                raise t.fail("late", "a share from 0 to 0.9")
            yield Rush(local_day(span.first), local_day(span.last - 1) + 1, self._factor(t), late)

    # --- what should happen ---------------------------------------------------------------------

    def _fires(self) -> Iterator[Fires]:
        for t in self._tables("fires"):
            begins = t.span("begins")
            ends = None if t.raw("ends") == "never" else t.span("ends")
            if ends is not None and ends.last < begins.first:
                raise t.fail("ends", "lies before begins")
            labels, alert, why = t.labels("labels"), t.text("alert"), t.text("why", "")
            places = t.texts("provinces")
            for province in places or ("",):
                more = {"province": province} if province else {}
                yield Fires(alert, labels | more, begins, ends, why)

    def _named(self, key: str, *, needs_why: bool) -> Iterator[Named]:
        for t in self._tables(key):
            labels, alert = t.labels("labels"), t.text("alert")
            places = t.texts("provinces")
            why = t.text("why") if needs_why else t.text("why", "")
            for province in places or ("",):
                more = {"province": province} if province else {}
                yield Named(alert, labels | more, why)

    def _ranges(self, start: int, end: int) -> Iterator[Range]:
        for t in self._tables("kpi"):
            at = t.instant("at")
            if not start <= at <= end or at % MINUTE_MS:
                raise t.fail("at", "a whole minute from start to end")
            low = t.number("min") if t.has("min") else None
            high = t.number("max") if t.has("max") else None
            if low is None and high is None:
                raise t.fail("min", "give min, max or both")
            if low is not None and high is not None and low > high:
                raise t.fail("min", "is above max")
            yield Range(self._shown(t), at, low, high, t.text("why", ""))

    @staticmethod
    def _shown(t: Table) -> Shown:
        kpi = t.text("kpi")
        if kpi not in CATALOGUE or CATALOGUE[kpi].kind == "indicator":
            raise t.fail("kpi", f"no KPI of reports, cases, listings or orders is called {kpi!r}")
        stock = CATALOGUE[kpi].is_stock
        window = None if stock else t.text("window")
        if window is not None and window not in WINDOWS:
            raise t.fail("window", f"{window!r} is none of {', '.join(WINDOWS)}")
        where = t.labels("where")
        for name in where:
            if name not in CATALOGUE[kpi].dimensions:
                raise t.fail("where", f"{kpi} has no dimension {name!r}")
        return Shown(kpi, window, t.text("territory", "all"), tuple(where.items()))
