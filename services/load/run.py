"""A load from its schedule to its result: the senders, the watch, and what both found."""

import dataclasses
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.load import machine
from services.load.fleet import Fleet, Make
from services.load.measure import DEFAULT_ALLOWANCE_S, Measured, measure
from services.load.profiles import Schedule
from services.load.sender import Sent, Told
from services.load.target import Target, outcomes
from services.load.verdict import Slo, Verdict, judge
from services.load.watch import Sampler, Samples, Watch

#: After Ctrl-C what is on its way is waited for this long.
LEAVE_S = 5.0
_TELL_S = 1.0
#: The counters of a flush reach the view with it, but a page may be older by a moment.
_COUNTERS_S = 5.0
FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What a load is to do; ``warm_s`` seconds before its schedule are not measured."""

    profile: str
    schedule: Schedule
    warm_s: float
    processes: int
    slo: Slo
    patience_s: float
    poll_s: float


@dataclass
class Done:
    """One run: its figures, its verdict, and all of it as the JSON result."""

    measured: Measured
    verdict: Verdict
    result: dict[str, Any]


class Load:
    """Senders that are ready, before one target; ``stop`` ends a run early."""

    def __init__(self, target: Target, fleet: Fleet, say: Callable[[str], None]) -> None:
        self.target, self.fleet, self._say = target, fleet, say
        self.stop = threading.Event()
        #: What the view had counted of this load before the run.
        self._counted: dict[str, int] = {}

    def run(self, plan: Plan) -> Done:
        """Run a plan and wait until the view shows what was sent, or the patience is over."""
        schedule = plan.schedule.warmed(plan.warm_s)
        facts = machine.facts(self.target.own)
        watch = Watch(self.target.view, plan.poll_s)
        own = {"load: senders": self.fleet.pids, "load: itself": [os.getpid()]}
        sampler = Sampler(self.target.pids | own)
        watch.start()
        sampler.start()
        try:
            lead = self.fleet.lead(schedule)
            if self.fleet.made.prepared:
                self._say(f"making all events first; the load begins in {lead:.0f} s")
            began = time.monotonic() + lead
            began_wall_ms = int((time.time() + lead) * 1000)
            base = sum(watch.applied().values())
            teller = _Teller(
                self._say, schedule, began, lambda: sum(watch.applied().values()) - base
            )
            sents = self.fleet.run(
                schedule, began, began_wall_ms, told=teller.tell, stopped=self.stop.is_set
            )
            self._wait_until_shown(watch, sents, plan.patience_s)
        finally:
            looks, samples = watch.end(), sampler.end()
        interrupted = self.stop.is_set()
        allowance = DEFAULT_ALLOWANCE_S if plan.slo.p99 is None else plan.slo.p99
        found = measure(schedule, plan.warm_s, sents, looks, began, allowance)
        counted = self._outcomes(found)
        wrong = sum(n for name, n in counted.items() if name != "applied")
        processes = _processes(samples, began)
        verdict = judge(
            found,
            plan.slo,
            wrong=wrong,
            interrupted=interrupted,
            others=_others(processes, plan) if self.target.own else None,
            cores=machine.cores(),
        )
        if self.target.restarted():
            verdict.broken.append("a part of the system died and was started again")
            verdict.outcome = "failed"
        result = self._result(plan, schedule, found, verdict, counted, facts, interrupted)
        result["unanswered_looks"] = watch.unanswered
        result["processes"] = processes
        return Done(found, verdict, result)

    def _wait_until_shown(self, watch: Watch, sents: list[Sent], patience_s: float) -> None:
        last = _last_offsets(sents)
        deadline = time.monotonic() + patience_s
        leave: float | None = None
        while time.monotonic() < deadline:
            applied = watch.applied()
            if all(applied.get(place, 0) > offset for place, offset in last.items()):
                return
            if self.stop.is_set():
                leave = leave or time.monotonic() + LEAVE_S
                if time.monotonic() > leave:
                    return
            time.sleep(0.05)
        self._say(f"not everything is shown after {patience_s:.0f} s")

    def _outcomes(self, found: Measured) -> dict[str, int]:
        """What the view counted of this load; the counters may be a moment behind the offsets."""
        source = f"/ioc/sim/load/{self.fleet.made.run}"
        deadline = time.monotonic() + _COUNTERS_S
        while True:
            total = outcomes(self.target.view, source)
            counted = {name: n - self._counted.get(name, 0) for name, n in total.items()}
            enough = sum(counted.values()) >= found.counts.acked - found.counts.lost
            if enough or time.monotonic() > deadline:
                self._counted = total
                return counted
            time.sleep(0.25)

    def _result(
        self,
        plan: Plan,
        schedule: Schedule,
        found: Measured,
        verdict: Verdict,
        counted: dict[str, int],
        facts: Mapping[str, Any],
        interrupted: bool,
    ) -> dict[str, Any]:
        make = self.fleet.made
        figures = dataclasses.asdict(found)
        counts = figures.pop("counts") | {"loss": found.counts.loss}
        return {
            "ioc_load": FORMAT,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "verdict": dataclasses.asdict(verdict),
            "interrupted": interrupted,
            "slo": dataclasses.asdict(plan.slo) | {"slip_limit": plan.slo.slip_limit},
            "load": {
                "profile": plan.profile,
                "points": [list(point) for point in schedule.points],
                "warm_s": plan.warm_s,
                "processes": plan.processes,
                "mix": dict(make.mix),
                "entities": make.size,
                "skew": make.skew,
                "revisions": make.revisions,
                "seed": make.seed,
                "prepared": make.prepared,
                "run": make.run,
                "poll_s": plan.poll_s,
            },
            "target": {
                "own": self.target.own,
                "namespace": self.target.namespace,
                "workers": len(self.target.pids.get("kpi", ())) or None,
            },
            "machine": dict(facts),
            "counts": counts,
            "outcomes": counted,
            "rates": _rates(found),
            **figures,
        }


@contextmanager
def loading(
    target: Target, make: Make, processes: int, say: Callable[[str], None]
) -> Iterator[Load]:
    """Senders before a target, ended with the block. Raises SenderError."""
    with Fleet(make, processes) as fleet:
        fleet.ready()
        yield Load(target, fleet, say)


def _last_offsets(sents: list[Sent]) -> dict[tuple[str, int], int]:
    from schemas import catalog

    last: dict[tuple[str, int], int] = {}
    for sent in sents:
        for number, topic in enumerate(catalog.SOURCES):
            of_topic = (sent.topic == number) & (sent.offset >= 0)
            for partition in set(sent.partition[of_topic].tolist()):
                place = (topic.name, partition)
                top = int(sent.offset[of_topic & (sent.partition == partition)].max())
                last[place] = max(top, last.get(place, -1))
    return last


def _rates(found: Measured) -> dict[str, float]:
    """Events a second of the run after its warm-up."""
    return {
        "wanted": found.due / found.seconds,
        "sent": found.sent / found.seconds,
        "shown_in_time": found.achieved * found.due / found.seconds,
    }


def _processes(samples: Samples, began: float) -> dict[str, Any]:
    return {
        "second": [round(at - began, 3) for at in samples.at],
        "cores": {name: [round(x, 3) for x in row] for name, row in samples.cores.items()},
        "resident": {name: row for name, row in samples.resident.items() if any(row)},
    }


def _others(processes: Mapping[str, Any], plan: Plan) -> float | None:
    """Cores taken by what is neither system nor load, on average after the warm-up."""
    inside = [
        n
        for n, at in enumerate(processes["second"])
        if plan.warm_s <= at < plan.warm_s + plan.schedule.seconds
    ]
    rows = processes["cores"]
    if not inside or not any(rows.get("machine", ())):
        return None
    ours = [row for name, row in rows.items() if name not in ("machine", "stolen")]
    left: list[float] = [float(rows["machine"][n]) - sum(row[n] for row in ours) for n in inside]
    return max(0.0, sum(left) / len(left))


class _Teller:
    """One line a second to people."""

    def __init__(
        self,
        say: Callable[[str], None],
        schedule: Schedule,
        began: float,
        shown: Callable[[], int],
    ) -> None:
        self._say, self._schedule, self._began, self._shown = say, schedule, began, shown
        self._due = began

    def tell(self, told: Told) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + max(_TELL_S, self._schedule.seconds / 20)
        passed = min(now - self._began, self._schedule.seconds)
        refused = f", {told.failed:,} refused" if told.failed else ""
        self._say(
            f"{passed:6.1f} of {self._schedule.seconds:.0f} s: {told.sent:,} of "
            f"{self._schedule.total:,} sent, {told.acked:,} acknowledged, {self._shown():,} shown"
            f"{refused}"
        )


def to_stderr(text: str) -> None:
    """Where progress goes."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 (the console is what is meant)
