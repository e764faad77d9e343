"""Whether a rehearsal went as its scenario states: every alert and every KPI, right or wrong. Pure.

An alert that is expected explains all its episodes from the first instant at which it may begin to
the last at which it must have ended. Every other episode came without reason, unless it is
tolerated. What was not evaluated is never right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from services.rehearse.rules import Episode
from services.rehearse.scenario import Fires, Named, Range, Rehearsal
from services.rehearse.tables import ScenarioError, Span
from services.rehearse.tape import Tape, question
from services.rehearse.times import show

Kind = Literal["fires", "silent", "unexpected", "tolerated", "kpi"]


@dataclass(frozen=True)
class Row:
    """One line of the verdict: what was stated, what was seen, and whether that is right."""

    kind: Kind
    what: str
    stated: str
    seen: str
    right: bool
    why: str = ""


@dataclass(frozen=True)
class Verdict:
    """All lines; ``evaluated`` says whether the alert rules could be evaluated at all."""

    rows: tuple[Row, ...]
    evaluated: bool

    @property
    def right(self) -> bool:
        return self.evaluated and all(row.right for row in self.rows)

    @property
    def wrong(self) -> int:
        return sum(not row.right for row in self.rows)

    def describe(self) -> dict[str, Any]:
        """For machines."""
        return {
            "verdict": "as stated" if self.right else "not as stated",
            "alerts_evaluated": self.evaluated,
            "wrong": self.wrong,
            "rows": [asdict(row) for row in self.rows],
        }


def check_names(rehearsal: Rehearsal, alerts: Sequence[str]) -> None:
    """Raises ScenarioError when the scenario names an alert that no rule has."""
    unknown = sorted(rehearsal.alerts() - set(alerts))
    if unknown:
        raise ScenarioError(
            f"{rehearsal.name}: no alert is called {unknown[0]!r}; there are {', '.join(alerts)}"
        )


def judge(
    rehearsal: Rehearsal, tape: Tape, episodes: Sequence[Episode] | None, alerts: Sequence[str]
) -> Verdict:
    """The verdict; ``episodes`` None: the rules could not be evaluated."""
    rows: list[Row] = []
    if episodes is not None:
        rows += _alerts(rehearsal, episodes, alerts)
    rows += [_kpi(asked, tape.answers) for asked in rehearsal.ranges]
    return Verdict(tuple(rows), episodes is not None)


def _is(named: Fires | Named, episode: Episode) -> bool:
    return named.alert == episode.alert and all(
        episode.labels.get(k) == v for k, v in named.labels.items()
    )


def _name(alert: str, labels: Mapping[str, str]) -> str:
    shown = ", ".join(f"{k}={v}" for k, v in sorted(labels.items()))
    return f"{alert}{{{shown}}}" if shown else alert


def _span(span: Span) -> str:
    if span.first == span.last:
        return show(span.first)
    first, last = show(span.first), show(span.last)
    return f"{first} to {last[7:] if first[:6] == last[:6] else last}"


def _seen(episode: Episode, known: Mapping[str, str] | None = None) -> str:
    """When it fired; of which province or topic, where that is not ``known`` already."""
    which = [
        v
        for k, v in sorted(episode.labels.items())
        if k not in (episode.labels if known is None else known)
    ]
    if "province" in episode.labels:
        which = [v for v in which if v == episode.labels["province"]]
    where = f"{', '.join(which)}: " if which else ""
    if episode.open:
        return f"{where}{show(episode.first)} to the end"
    return f"{where}{_span(Span(episode.first, episode.last))}"


def _told(episodes: Sequence[Episode], known: Mapping[str, str]) -> str:
    if not episodes:
        return "did not fire"
    more = f" and {len(episodes) - 4} more" if len(episodes) > 4 else ""
    return "; ".join(_seen(e, known) for e in episodes[:4]) + more


def _covers(fires: Fires, rehearsal: Rehearsal) -> Span:
    last = rehearsal.end + 60_000 if fires.ends is None else fires.ends.last
    return Span(fires.begins.first, last)


def _alerts(rehearsal: Rehearsal, episodes: Sequence[Episode], alerts: Sequence[str]) -> list[Row]:
    rows: list[Row] = []
    explained: set[int] = set()
    for fires in rehearsal.fires:
        cover = _covers(fires, rehearsal)
        mine = [e for e in episodes if _is(fires, e) and e.last > cover.first]
        mine = [e for e in mine if e.first <= cover.last]
        inside = [e for e in mine if e.first >= cover.first]
        explained |= {id(e) for e in inside}
        rows.append(_expected(fires, rehearsal, inside))
    for named in rehearsal.silent:
        found = [e for e in episodes if _is(named, e)]
        explained |= {id(e) for e in found}
        what = _name(named.alert, named.labels)
        rows.append(
            Row("silent", what, "is silent", _told(found, named.labels), not found, named.why)
        )
    for named in rehearsal.tolerated:
        found = [e for e in episodes if _is(named, e) and id(e) not in explained]
        explained |= {id(e) for e in found}
        what = _name(named.alert, named.labels)
        rows.append(Row("tolerated", what, "may fire", _told(found, named.labels), True, named.why))
    for episode in episodes:
        if id(episode) not in explained:
            what = _name(episode.alert, episode.labels)
            rows.append(Row("unexpected", what, "no reason stated", _seen(episode), False))
    others = len(set(alerts) - rehearsal.alerts())
    loud = {e.alert for e in episodes if id(e) not in explained} - rehearsal.alerts()
    told = "silent" if not loud else f"{len(loud)} fired"
    rows.append(Row("silent", f"the other {others} alerts", "are silent", told, not loud))
    return rows


def _expected(fires: Fires, rehearsal: Rehearsal, inside: Sequence[Episode]) -> Row:
    what = _name(fires.alert, fires.labels)
    stated = f"begins {_span(fires.begins)}, "
    stated += "fires to the end" if fires.ends is None else f"ends {_span(fires.ends)}"
    began = bool(inside) and inside[0].first in fires.begins
    if fires.ends is None:
        ended = bool(inside) and inside[-1].open
    else:
        ended = bool(inside) and not inside[-1].open and inside[-1].last in fires.ends
    seen = _told(inside, fires.labels)
    if inside and not began:
        seen += " (began too late)"
    elif inside and not ended:
        seen += " (did not end as stated)"
    return Row("fires", what, stated, seen, began and ended, fires.why)


def _kpi(asked: Range, answers: Mapping[str, float | None]) -> Row:
    low, high = asked.low, asked.high
    if low is not None and high is not None:
        stated = f"{_number(low)} to {_number(high)}"
    else:
        stated = f"at least {_number(low)}" if high is None else f"at most {_number(high)}"
    key = question(asked)
    value = answers.get(key)
    right = value is not None and (low is None or value >= low) and (high is None or value <= high)
    seen = "null" if value is None else _number(value)
    if key not in answers:
        seen = "not on the tape"
    what = f"{asked.shown.title} at {show(asked.at)}"
    return Row("kpi", what, stated, seen, right, asked.why)


def _number(value: float | None) -> str:
    if value is None:
        return "null"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3f}"
