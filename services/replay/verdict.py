"""Whether the numbers after a replay are those that the records give: every KPI, and every record.

The numbers are asked of the view, the expected ones come from the independent oracle over what was
recorded, or over what was sent where the replay changed it.
"""

import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.request import urlopen

import services.runtime
from services.core.merge import QueryError, View
from services.core.rows import Row
from services.oracle.comparison import differences
from services.oracle.oracle import Oracle, Places
from services.oracle.raw import SOURCE_TOPICS, RawRecord
from services.oracle.windows import WINDOWS
from services.replay.target import Ends, Target
from services.runtime.http_view import HttpView

#: So many differences are told; the rest is counted.
TOLD = 20
#: So many are looked for: a replay with more is wrong anyway.
LOOKED_FOR = 1_000
#: A view that takes nothing more for so long (seconds) will not come.
PATIENCE = 90.0
_TOTAL = re.compile(r"^ioc_events_total\{(.*)\} ([0-9.e+]+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class NotAppliedError(Exception):
    """The view did not come to the end of the log; the message says how far it came."""


class Numbers(Protocol):
    """What is judged: a view in this process or over HTTP."""

    def query(
        self,
        kpi: str,
        *,
        now: int,
        window: str | None = None,
        territory: str = "all",
        by: str | None = None,
        where: Mapping[str, str] | None = None,
        as_of: int | None = None,
    ) -> tuple[int, list[Row]]: ...


@dataclass
class Verdict:
    """``against`` names what the numbers were compared with; ``as_of`` in ms."""

    against: str
    compared: int = 0
    different: int = 0
    examples: list[str] = field(default_factory=list)
    as_of: int | None = None
    seconds: float = 0.0

    @property
    def equal(self) -> bool:
        """Nothing differs."""
        return self.different == 0

    def wrong(self, line: str) -> None:
        """One more difference."""
        self.different += 1
        if len(self.examples) < TOLD:
            self.examples.append(line)


class _Counting:
    """A view that counts the numbers it gave."""

    def __init__(self, view: Numbers) -> None:
        self._view = view
        self.rows = 0

    def query(self, kpi: str, **options: Any) -> tuple[int, list[Row]]:
        at, rows = self._view.query(kpi, **options)
        self.rows += len(rows)
        return at, rows


def places() -> Places:
    """The territory tables as the oracle reads them."""
    return Places.from_csv(Path(services.runtime.__file__).parent / "data")


def oracle_of(records: Iterable[RawRecord], partitions: int) -> Oracle:
    """The independent numbers of records whose timestamp is their arrival."""
    return Oracle(records, partitions, "wall", places())


def judge(
    view: Numbers,
    oracle: Oracle,
    against: str,
    *,
    now: int,
    windows: Sequence[str] = WINDOWS,
    dimensions: bool = False,
    indicators: Iterable[Mapping[str, Any]] | None = None,
    outcomes: Mapping[str, Mapping[str, int]] | None = None,
) -> Verdict:
    """Compare every KPI in every window and territory; ``dimensions`` with every dimension too.

    At the event clock of the records, or at ``now`` (ms) when none of them counts. ``indicators``
    are the view's rows at that clock, ``outcomes`` its counts by topic; None: not compared.
    """
    began = time.monotonic()
    clock = oracle.event_clock()
    at = now if clock is None else clock
    verdict = Verdict(against, as_of=at)
    if outcomes is not None:
        for topic in SOURCE_TOPICS:
            expected = oracle.outcomes(topic)
            have = {name: int(outcomes.get(topic, {}).get(name, 0)) for name in expected}
            verdict.compared += len(expected)
            if have != expected:
                verdict.wrong(f"outcomes of {topic}: oracle {expected}, view {have}")
    if indicators is not None:
        _judge_indicators(verdict, oracle, at, indicators)
    counting = _Counting(view)
    found = differences(cast("View", counting), oracle, at, windows=windows, dimensions=dimensions)
    for line in islice(found, LOOKED_FOR):
        verdict.wrong(line)
    verdict.compared += counting.rows
    verdict.seconds = time.monotonic() - began
    return verdict


def _judge_indicators(
    verdict: Verdict, oracle: Oracle, at: int, rows: Iterable[Mapping[str, Any]]
) -> None:
    expected = oracle.indicators(at)
    found = {str(row["series"]): row for row in rows}
    for series in sorted(expected.keys() | found.keys()):
        verdict.compared += 1
        if series not in expected or series not in found:
            who = "the view" if series in found else "the oracle"
            verdict.wrong(f"indicator {series}: only {who} has it")
            continue
        want, have = expected[series], found[series]
        for name in ("value", "target", "gap", "age_seconds"):
            a, b = getattr(want, name), have[name]
            same = a is b if a is None or b is None else math.isclose(a, b, rel_tol=1e-9)
            if not same and not (a == b):
                verdict.wrong(f"indicator {series} {name}: oracle {a}, view {b}")


def outcomes_of(view: HttpView) -> dict[str, dict[str, int]]:
    """Topic -> outcome -> records, as the view's metrics page has them."""
    with urlopen(f"{view.url}/metrics", timeout=30) as answer:  # noqa: S310 (http on this machine)
        text = answer.read().decode()
    found: dict[str, dict[str, int]] = {}
    for labels, value in _TOTAL.findall(text):
        named = dict(_LABEL.findall(labels))
        topic = found.setdefault(named["topic"], {})
        topic[named["outcome"]] = topic.get(named["outcome"], 0) + int(float(value))
    return found


def wait_until_applied(
    view: HttpView,
    ends: Ends,
    *,
    each: Callable[[int, int], None] = lambda applied, end: None,
    patience: float = PATIENCE,
) -> None:
    """Until the view has applied every record below ``ends``; ``each`` hears how far it is.

    Raises NotAppliedError when nothing moves for ``patience`` seconds.
    """
    wanted = sum(ends.values())
    best, moved = -1, time.monotonic()
    while True:
        try:
            partitions = view.get("/api/v1/progress")["partitions"]
        except (OSError, QueryError, ValueError):
            partitions = []
        have = {(p["topic"], p["partition"]): p["applied"] for p in partitions}
        applied = sum(min(have.get(place, 0), end) for place, end in ends.items())
        each(applied, wanted)
        if applied >= wanted:
            return
        if applied > best:
            best, moved = applied, time.monotonic()
        elif time.monotonic() - moved > patience:
            raise NotAppliedError(
                f"the view has applied {applied:,} of {wanted:,} records and takes no more"
            )
        time.sleep(0.1)


def check_log(verdict: Verdict, target: Target, before: Ends, after: Ends, sent: int) -> None:
    """Every record that was sent is in the log, once."""
    written = sum(after.values()) - sum(before.values())
    verdict.compared += 1
    if written != sent:
        verdict.wrong(f"the log of {target.bootstrap} took {written:,} records, {sent:,} were sent")
