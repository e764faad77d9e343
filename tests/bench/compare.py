"""Our worker against the engines that a user would pick instead (``make bench``).

One embedded Kafka, one set of events, one process at a time, in interleaved rounds, so that
whatever else the machine does hits all alike; figures are medians, and what counts are their
ratios. Engines that need minutes for what others do in seconds get fewer events of the same kind.
Everything that gives answers gives the same answers: they are compared with the oracle's, row by
row.

    make bench
    python -m tests.bench.compare --rounds 3 --only ours,kafka_streams
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from schemas import catalog
from services.core import speed
from services.core.selection import ALL, Selection
from services.oracle.raw import drain
from services.runtime.embedded import EmbeddedKafka
from services.runtime.kafka import admin, ensure_topics
from services.runtime.ports import claim_block
from tests.bench import chart, java_peer, worker
from tests.bench.answers import SIX, TERRITORIES, Answers, differences, expected, of_file, of_view
from tests.bench.environment import Environment
from tests.bench.traffic import traffic

PARTITIONS = worker.PARTITIONS
REPORT = Path("build/bench.json")
CHART = Path("build/bench.svg")
#: Ten times what the slowest takes on a machine that does nothing else.
_PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Run:
    """One measurement: seconds from the first record absorbed until all was flushed."""

    events: int
    seconds: float
    cpu_s: float
    rss_mb: float
    #: Rows that differ from the oracle's; None where nothing is answered.
    wrong: list[str] | None = None

    @property
    def rate(self) -> float:
        """Events per second of wall time."""
        return self.events / self.seconds


class Stuck(Exception):
    """An engine did not absorb everything; the message says what is known."""


@dataclass(frozen=True)
class Log:
    """Source topics with so many events, and the right answers as of one instant (ms)."""

    bootstrap: str
    namespace: str
    events: int
    as_of: int
    wanted: Answers

    @property
    def topics(self) -> list[str]:
        """The source topics as they are called on the broker."""
        return [topic.full_name(self.namespace) for topic in catalog.SOURCES]


@dataclass(frozen=True)
class Contestant:
    """One bar of the chart. ``small`` says that it is given the smaller log."""

    name: str
    title: str
    measure: Callable[[Log], Run]
    small: bool = False
    rounds: int | None = None
    runs: list[Run] = field(default_factory=list)


def fill(bootstrap: str, events: int) -> Log:
    """Make the topics, fill them, and have the oracle read them."""
    namespace = f"bench-{uuid4().hex[:8]}"
    ensure_topics(bootstrap, namespace, PARTITIONS)
    now_ms = int(time.time() * 1000)
    asyncio.run(worker.fill(bootstrap, namespace, traffic(events, PARTITIONS, now_ms=now_ms)))
    raw = asyncio.run(drain(bootstrap, namespace))
    return Log(bootstrap, namespace, events, now_ms, expected(raw, PARTITIONS, now_ms))


# --- one measurement ----------------------------------------------------------------------------


def peer(command: list[str], log: Log) -> Run:
    """Run a program that reports as `peers.law.Report` does, on all of a log."""
    with tempfile.TemporaryDirectory(prefix="ioc-bench-") as name:
        folder = Path(name)
        env = {
            "BENCH_BOOTSTRAP": log.bootstrap,
            "BENCH_TOPICS": ",".join(log.topics),
            "BENCH_PARTITIONS": str(PARTITIONS),
            "BENCH_EVENTS": str(log.events),
            "BENCH_NAME": f"bench-{uuid4().hex[:8]}",
            "BENCH_FOLDER": name,
            "BENCH_AS_OF": str(log.as_of),
            "BENCH_TERRITORIES": str(TERRITORIES),
        }
        with (folder / "output.log").open("wb") as sink:
            try:
                ended = subprocess.run(
                    command,
                    env=os.environ | env,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    check=False,
                    timeout=_PATIENCE_SECONDS,
                ).returncode
            except subprocess.TimeoutExpired:
                ended = None
        if not (folder / "figures.json").exists():
            how = f"after {_PATIENCE_SECONDS} s" if ended is None else f"with exit code {ended}"
            tail = (folder / "output.log").read_text(errors="replace")[-1500:]
            raise Stuck(f"it did not absorb everything, ended {how}:\n{tail}")
        figures = json.loads((folder / "figures.json").read_text())
        answers = folder / "answers.json"
        wrong = differences(of_file(answers), log.wanted) if answers.exists() else None
    if figures["events"] != log.events:
        raise Stuck(f"it absorbed {figures['events']} of {log.events}")
    seconds = figures["ended"] - figures["began"]
    return Run(log.events, seconds, figures["cpu_s"], figures["rss_mb"], wrong)


def ours(port: int, selection: Selection = ALL, **more: str) -> Callable[[Log], Run]:
    """Our worker, as it is started by ``ioc up``, with these settings besides."""

    def measure(log: Log) -> Run:
        env = worker.environment(log.bootstrap, log.namespace, port, **more)
        with _own_ring(log):
            figures, view = worker.run(env, log.events, selection)
        wrong = differences(of_view(view, int(time.time() * 1000), log.as_of), log.wanted)
        return Run(log.events, figures.seconds, figures.cpu_seconds, figures.resident_mb, wrong)

    return measure


@contextmanager
def _own_ring(log: Log) -> Iterator[None]:
    """A worker goes on from its ring: delete it after each run, so that the next begins anew."""
    ensure_topics(log.bootstrap, log.namespace, PARTITIONS)
    try:
        yield
    finally:
        with admin(log.bootstrap) as client:
            client.delete_topics([catalog.KPI_PARTIAL.full_name(log.namespace)])


# --- the whole bench ----------------------------------------------------------------------------


def contestants(port: int, environment: Environment, build: Path) -> Iterator[Contestant]:
    """Who takes part here, in the order in which they run; who cannot is said."""
    here = sys.executable
    python = environment.python
    raw, decode = ([here, "-m", "tests.bench.peers.drain", how] for how in ("raw", "decode"))
    yield Contestant("raw_drain", "aiokafka getmany, nothing done", lambda log: peer(raw, log))
    yield Contestant("drain_decode", "aiokafka getmany and decoding", lambda log: peer(decode, log))
    form = speed.describe()
    six = Selection.of(SIX)
    yield Contestant("ours_six", f"ioc kpi, six KPIs ({form})",
                     ours(port, six, IOC_KPIS=",".join(SIX)))  # fmt: skip
    yield Contestant("ours", f"ioc kpi, all KPIs ({form})", ours(port))
    if speed.default() == "compiled":
        yield Contestant(
            "ours_pure", "ioc kpi, all KPIs (pure Python)", ours(port, IOC_PURE="1"), rounds=1
        )
    java = java_peer.command(build, say)
    yield Contestant("kafka_streams", "Kafka Streams, one thread", lambda log: peer(java, log))
    for name, title, module, package in (
        ("bytewax", "Bytewax, one worker", "bytewax_flow", "bytewax"),
        ("quix", "Quix Streams", "quix", "quixstreams"),
        ("stock_faust", "stock Faust", "stock_faust", "faust"),
    ):
        if environment.has(package):
            command = [python, "-m", f"tests.bench.peers.{module}"]
            yield Contestant(name, title, lambda log, c=command: peer(c, log), small=True)  # type: ignore[misc]  # the default keeps the loop's value
        else:
            say(f"{title}: has no wheel for Python {platform.python_version()}, left out")


#: The keys of the report that are always there, null where a peer could not run.
KEYS = (
    "ours",
    "ours_six",
    "raw_drain",
    "drain_decode",
    "kafka_streams",
    "quix",
    "bytewax",
    "stock_faust",
)
#: What is aimed at: (who, at least so many times, whom).
TARGETS = (
    ("ours_six", 0.5, "raw_drain"),
    ("ours_six", 2.0, "kafka_streams"),
    ("ours_six", 5.0, "quix"),
    ("ours_six", 30.0, "stock_faust"),
    ("ours", 0.3, "raw_drain"),
)


def summary(one: Contestant) -> dict[str, Any]:
    """The figures of one contestant: its median run, and how far its runs lie apart."""
    rates = [run.rate for run in one.runs]
    wrong = [run.wrong for run in one.runs]
    cpu = statistics.median(run.cpu_s for run in one.runs)
    return {
        "title": one.title,
        "events_per_s": round(statistics.median(rates)),
        "spread": [round(min(rates)), round(max(rates))],
        "events": one.runs[0].events,
        "seconds": round(statistics.median(run.seconds for run in one.runs), 2),
        "cpu_s": round(cpu, 2),
        "cpu_us_per_event": round(cpu / one.runs[0].events * 1e6, 2),
        "rss_mb": round(max(run.rss_mb for run in one.runs)),
        "equal": None if None in wrong else not any(wrong),
        "rounds": [asdict(run) | {"wrong": len(run.wrong or ())} for run in one.runs],
    }


def ratio(who: Contestant, whom: Contestant) -> float:
    """The median over rounds of the ratio of two runs of one round."""
    if len(who.runs) != len(whom.runs):
        return statistics.median(r.rate for r in who.runs) / statistics.median(
            r.rate for r in whom.runs
        )
    pairs = zip(who.runs, whom.runs, strict=True)
    return statistics.median(a.rate / b.rate for a, b in pairs)


def _cpu_an_event(one: Contestant) -> float:
    """Seconds of CPU time: on a busy machine they say more than those of the clock."""
    return statistics.median(run.cpu_s / run.events for run in one.runs)


def table(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Lines for a person."""
    yield f"{'':36}{'events/s':>10}{'spread':>20}{'µs CPU':>9}{'MB':>7}  answers"
    for figures in found.values():
        low, high = figures["spread"]
        answers = {True: "equal", False: "NOT EQUAL", None: "-"}[figures["equal"]]
        yield (
            f"{figures['title']:36}{figures['events_per_s']:>10,}{low:>11,} {high:>8,}"
            f"{figures['cpu_us_per_event']:>9}{figures['rss_mb']:>7}  {answers}"
        )


def verdicts(running: Mapping[str, Contestant]) -> Iterator[str]:
    """What was aimed at and what it came to."""
    for who, wanted, whom in TARGETS:
        if who in running and whom in running:
            a, b = running[who], running[whom]
            found = ratio(a, b)
            met = "met" if found >= wanted else "MISSED"
            per_cpu = _cpu_an_event(b) / _cpu_an_event(a)
            yield f"{who} / {whom}: {found:.2f} (aim {wanted:g}: {met}); {per_cpu:.2f} by CPU time"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 (a bench speaks)


def _patient(one: Contestant, log: Log) -> Run | None:
    """A measurement; Faust at times misses the topics that it made itself, so once more then."""
    for _ in range(2):
        try:
            return one.measure(log)
        except Stuck as why:
            say(f"{one.title}: {why}")
    return None


def bench(options: argparse.Namespace) -> int:
    """Everything, on a broker of its own; the exit code."""
    environment = Environment.ready(say)
    base = claim_block()
    with tempfile.TemporaryDirectory(prefix="ioc-bench-") as name:
        folder = Path(name)
        chosen = {
            c.name: c
            for c in contestants(base + 10, environment, folder / "classes")
            if not options.only or c.name in options.only.split(",")
        }
        with EmbeddedKafka(folder, port=base, heap_mb=1024, progress=say) as broker:
            say(f"filling the topics: {options.events:,} events, and {options.small:,}")
            big = fill(broker.bootstrap, options.events)
            small = fill(broker.bootstrap, options.small)
            say(f"{len(big.wanted)} and {len(small.wanted)} rows of answers to compare")
            for number in range(options.rounds):
                for one in chosen.values():
                    if one.rounds is not None and number >= one.rounds:
                        continue
                    run = _patient(one, small if one.small else big)
                    if run is None:
                        continue
                    one.runs.append(run)
                    say(f"round {number + 1}: {one.title}: {run.rate:,.0f}/s"
                        + "".join(f"\n    {line}" for line in (run.wrong or [])[:5]))  # fmt: skip
    chosen = {name: one for name, one in chosen.items() if one.runs}
    found = {name: summary(one) for name, one in chosen.items()}
    REPORT.parent.mkdir(exist_ok=True)
    nobody: dict[str, Any] = dict.fromkeys(KEYS)
    REPORT.write_text(json.dumps(nobody | found, indent=2) + "\n", encoding="utf-8")
    load = os.getloadavg()[1]
    if load > len(os.sched_getaffinity(0)) + 1:
        say(f"the machine did other things too (load {load:.0f}): believe the ratios by CPU time")
    CHART.write_text(chart.bars(found), encoding="utf-8")
    for line in (*table(found), *verdicts(chosen), f"{REPORT} and {CHART} written"):
        say(line)
    return 0 if all(figures["equal"] is not False for figures in found.values()) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=800_000, help="for the fast ones")
    parser.add_argument("--small", type=int, default=20_000, help="for the slow ones")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", help="names as in the report, joined by commas")
    # So that a bench that is stopped leaves no broker and no folder behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(bench(parser.parse_args()))
