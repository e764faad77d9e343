"""How long a worker and a view need to come back, with so many entities in the ring.

Makes a namespace whose ring is a whole lap of a state of N open cases, then starts a view and a
worker from nothing and waits until they have caught up. By hand::

    python -m tests.bench.recovery --entities 1000000
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from confluent_kafka import Producer

from schemas import catalog
from services.core.panes import SLOTS
from services.core.record import SourceRecord
from services.core.state import PartitionState
from services.runtime.kafka import ensure_topics
from services.runtime.reference import load_territories
from tests.bench import population
from tests.bench.worker import fill, scrape
from tests.e2e.workers import free_ports, running_broker

PARTITIONS = 4
NAMESPACE = "recovery"
#: A lap and a little more, so that the chain does not reach back to the first flush.
FLUSHES = SLOTS + 20
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Found:
    """Seconds from the start of the process, and what it then held (bytes)."""

    what: str
    seconds: float
    resident: int


def prepare(bootstrap: str, entities: int) -> int:
    """Fill the source topic and write the ring that a worker would have left; its bytes."""
    ensure_topics(bootstrap, NAMESPACE, PARTITIONS)
    now_ms = int(time.time() * 1000)
    asyncio.run(fill(bootstrap, NAMESPACE, population.events(range(entities), PARTITIONS, now_ms)))
    territories = load_territories()
    states = [
        PartitionState(catalog.ADMIN_CASE, p, PARTITIONS, clock="wall", territories=territories)
        for p in range(PARTITIONS)
    ]
    for state in states:
        state.open_epoch(1)
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 2_000_000})
    topic = catalog.KPI_PARTIAL.full_name(NAMESPACE)
    size = 0
    source = population.events(range(entities), PARTITIONS, now_ms)
    offsets = [0] * PARTITIONS
    while batch := list(islice(source, -(-entities // FLUSHES))):
        waiting: defaultdict[int, list[SourceRecord]] = defaultdict(list)
        for _, partition, key, value in batch:
            waiting[partition].append(SourceRecord(offsets[partition], now_ms, key, value))
            offsets[partition] += 1
        for partition, state in enumerate(states):
            state.fold(waiting[partition])
            for key, value in state.flush().parts:
                producer.produce(topic, value, key, partition)
                size += len(key) + len(value)
        producer.flush(60)
    return size


def start(
    what: str, command: str, bootstrap: str, port: int
) -> tuple[subprocess.Popen[bytes], float]:
    """A process of ours and when it began."""
    env = os.environ | {
        "IOC_BOOTSTRAP": bootstrap,
        "IOC_NAMESPACE": NAMESPACE,
        "IOC_PARTITIONS": str(PARTITIONS),
        "IOC_LOG_LEVEL": "WARNING",
        "IOC_METRICS_PORT" if what == "worker" else "IOC_VIEW_PORT": str(port),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "services.cli", command], env=env
    ), time.monotonic()


def caught_up(what: str, port: int, entities: int) -> bool:
    """Whether it has everything: a worker its partitions, the view the last offset too."""
    if what == "worker":
        return scrape(port).get("ioc_worker_restores_total", 0) >= PARTITIONS * len(catalog.SOURCES)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/progress", timeout=5) as reply:
            progress = json.load(reply)
    except OSError:
        return False
    applied = sum(p["applied"] for p in progress["partitions"])
    return bool(progress["caught_up"]) and applied == entities


def measure(what: str, command: str, bootstrap: str, entities: int) -> Found:
    """Start it, wait until it has caught up, and end it."""
    port = free_ports(1)[0]
    process, began = start(what, command, bootstrap, port)
    try:
        while not caught_up(what, port, entities):
            if process.poll() is not None or time.monotonic() > began + PATIENCE_S:
                raise RuntimeError(f"the {what} did not catch up (exit {process.poll()})")
            time.sleep(0.05)
        seconds = time.monotonic() - began
        statm = Path(f"/proc/{process.pid}/statm").read_text()
        return Found(what, seconds, int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    finally:
        process.terminate()
        process.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", type=int, default=1_000_000)
    options = parser.parse_args()
    say = sys.stdout.write
    with tempfile.TemporaryDirectory() as folder, running_broker(Path(folder)) as broker:
        size = prepare(broker.bootstrap, options.entities)
        say(f"{options.entities:,} open cases, a ring of {size / 1e6:,.0f} MB\n")
        for what, command in (("view", "view"), ("worker", "kpi")):
            found = measure(what, command, broker.bootstrap, options.entities)
            say(f"{what:>8}: {found.seconds:5.1f} s, {found.resident / 1e6:,.0f} MB resident\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
