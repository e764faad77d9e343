"""From produce to `/metrics` at 5,000 events a second, and what an idle system takes.

Figures, not verdicts: a busy machine makes them worse, so nothing here fails for being slow. They
are printed and written to build/bench-freshness.json (``make bench``).
"""

import json
import os
import sys
import threading
import time
import urllib.request
from bisect import bisect_right
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Producer

from tests.bench.mixed import Event, mixed
from tests.bench.processes import look
from tests.e2e.system import PARTITIONS, System, page, samples

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(1800)]

RATE = int(os.environ.get("BENCH_RATE", "5000"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "60"))
#: The same load before that is not measured: the broker compiles itself while it runs.
WARM_SECONDS = 20
SCRAPE_SECONDS = 0.5
IDLE_SECONDS = 60
REPORT = Path("build/bench-freshness.json")
Place = tuple[str, int]


class Scrape(NamedTuple):
    """One look at /metrics: when it was asked for and had (s), and the offsets it showed."""

    asked: float
    had: float
    applied: dict[Place, int]


class Client(threading.Thread):
    """Scrapes /metrics every half second, or as often as it is answered."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._stop_asked = threading.Event()
        self.scrapes: list[Scrape] = []
        self.build_seconds: list[float] = []

    def run(self) -> None:
        due = time.monotonic()
        while not self._stop_asked.is_set():
            asked = time.monotonic()
            with urllib.request.urlopen(f"{self._url}/metrics", timeout=60) as answer:  # noqa: S310 (http on this machine)
                body = answer.read()
            had = time.monotonic()
            # The KPIs are megabytes: only what is wanted is decoded.
            begin = body.index(b"# HELP ioc_partition_applied_offset")
            text = body[begin : body.index(b"# HELP", begin + 1)].decode()
            shown = samples(text, "ioc_partition_applied_offset", "topic", "partition")
            self.scrapes.append(
                Scrape(asked, had, {(t, int(p)): int(v) for (t, p), v in shown.items()})
            )
            at = body.index(b"\nioc_view_build_seconds ") + 1
            self.build_seconds.append(float(body[at : body.index(b"\n", at)].split()[1]))
            due = max(due + SCRAPE_SECONDS, had)
            self._stop_asked.wait(due - time.monotonic())

    def end(self) -> None:
        self._stop_asked.set()
        self.join()


def quantile(values: list[float], q: float) -> float:
    """Of sorted values, the one of rank ceil(q x n)."""
    return values[max(0, -int(-q * len(values) // 1) - 1)]


def produce(bootstrap: str, events: list[Event], rate: int) -> dict[Place, list[float]]:
    """Send ``rate`` events a second, on time however slow the answers are; scheduled instants."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "acks": "all"})
    scheduled: defaultdict[Place, list[float]] = defaultdict(list)
    refused: list[object] = []

    def delivered(error: Any, _: object) -> None:
        if error is not None:
            refused.append(error)

    began = time.monotonic()
    for number, (topic, partition, key, value) in enumerate(events):
        due = began + number / rate
        while time.monotonic() < due:
            producer.poll(0.002)
        producer.produce(topic.name, value, key, partition, on_delivery=delivered)
        scheduled[topic.name, partition].append(due)
    assert producer.flush(60) == 0
    assert not refused
    return dict(scheduled)


def delays(scheduled: dict[Place, list[float]], scrapes: list[Scrape], begin: float) -> list[float]:
    """The seconds from an event's instant to the first answer that shows it; sorted.

    Of every event from the instant ``begin`` on.
    """
    out = []
    for place, instants in scheduled.items():
        shown = [scrape.applied[place] for scrape in scrapes]
        for offset, instant in enumerate(instants):
            first = bisect_right(shown, offset)
            assert first < len(shown), f"{place} {offset} was never shown"
            if instant >= begin:
                out.append(scrapes[first].had - instant)
    return sorted(out)


def processes(system: System) -> dict[int, str]:
    """The process ids of a system, by the name of the part."""
    names = {pid: part for part, pids in system.line["pids"].items() for pid in pids}
    return names | {system.process.pid: "ioc up"}


def usage(system: System, seconds: float, wait: Any) -> dict[str, dict[str, float]]:
    """Memory (MB) and share of one core of each part while ``wait`` runs, and of all together."""
    names = processes(system)
    before, began = look(system.process.pid, names), time.monotonic()
    wait(seconds)
    after, passed = look(system.process.pid, names), time.monotonic() - began
    out: defaultdict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(_COLUMNS, 0.0))
    for pid, now in after.items():
        then = before.get(pid)
        for name in (now.name, "all"):
            out[name]["resident_mb"] += now.resident / 1e6
            out[name]["proportional_mb"] += now.proportional / 1e6
            used = now.cpu_seconds - (then.cpu_seconds if then else 0.0)
            out[name]["cpu_share"] += used / passed
    return dict(out)


_COLUMNS = ("resident_mb", "proportional_mb", "cpu_share")


def show(title: str, rows: dict[str, dict[str, float]]) -> None:
    print(f"\n{title}", file=sys.stderr)  # noqa: T201 (what the bench is for)
    for name, figures in rows.items():
        text = "  ".join(f"{key} {value:9.3f}" for key, value in figures.items())
        print(f"  {name:<16} {text}", file=sys.stderr)  # noqa: T201


def keep(name: str, figures: Any) -> None:
    """Add to the report."""
    REPORT.parent.mkdir(exist_ok=True)
    try:
        report = json.loads(REPORT.read_text())
    except (OSError, ValueError):
        report = {}
    load = dict(zip(("1m", "5m", "15m"), os.getloadavg(), strict=True))
    REPORT.write_text(json.dumps(report | {name: figures | {"load": load}}, indent=2) + "\n")


def test_from_produce_to_metrics(tmp_path: Path) -> None:
    system = System(tmp_path)
    try:
        count = RATE * (WARM_SECONDS + SECONDS)
        events = list(mixed(count, PARTITIONS, now_ms=int(time.time() * 1000)))
        client = Client(system.view.url)
        client.start()
        begin = time.monotonic() + WARM_SECONDS
        scheduled: dict[Place, list[float]] = {}
        source = threading.Thread(
            target=lambda: scheduled.update(produce(system.kafka, events, RATE))
        )
        source.start()
        time.sleep(WARM_SECONDS)
        rows = usage(system, SECONDS, source.join)
        source.join()
        system.view.wait_until_caught_up(count, 60)
        time.sleep(3 * SCRAPE_SECONDS)
        client.end()
        found = delays(scheduled, client.scrapes, begin)
        assert len(found) >= RATE * SECONDS
        text = page(system.view.url)
        assert sum(samples(text, "ioc_events_total", "topic", "outcome").values()) == count
        assert samples(text, "ioc_conservation_broken") == {(): 0.0}
    finally:
        assert system.stop() == 0
    measured = [n for n, scrape in enumerate(client.scrapes) if scrape.asked >= begin]
    took = sorted(client.scrapes[n].had - client.scrapes[n].asked for n in measured)
    builds = sorted(client.build_seconds[n] for n in measured)
    figures = {
        "produce to /metrics, s": _quantiles(found),
        "one scrape, s": _quantiles(took),
        "building its KPIs, s": _quantiles(builds),
    }
    show(f"{RATE} events/s for {SECONDS} s, a scrape every {SCRAPE_SECONDS} s", figures)
    show("meanwhile", rows)
    keep("freshness", {"rate": RATE, "seconds": SECONDS, "figures": figures, "processes": rows})


def _quantiles(values: list[float]) -> dict[str, float]:
    return {
        "p50": quantile(values, 0.5),
        "p99": quantile(values, 0.99),
        "max": values[-1],
    }


def test_what_an_idle_system_takes(tmp_path: Path) -> None:
    """`ioc up` as the demo runs it: a week of the past, four sources at real speed, Prometheus."""
    system = System(tmp_path, sources=(), patience=900)
    try:
        read = sum(samples(page(system.view.url), "ioc_records_read_total", "topic").values())
        system.view.wait_until_caught_up(int(read), 600)
        time.sleep(30)  # what the start left to do is no idling
        rows = usage(system, IDLE_SECONDS, time.sleep)
    finally:
        assert system.stop() == 0
    show(f"idle for {IDLE_SECONDS} s with {read:,.0f} records in the past", rows)
    keep("idle", {"seconds": IDLE_SECONDS, "records": read, "processes": rows})
