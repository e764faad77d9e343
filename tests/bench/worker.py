"""Measure one worker: events per second from Kafka to partial results.

By hand against a broker that is already there::

    python -m tests.bench.worker --bootstrap 127.0.0.1:9092 --events 400000
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from logging import ERROR, getLogger
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from services.core.merge import View
from services.core.selection import ALL, Selection
from services.runtime.kafka import ensure_topics
from tests.bench.answers import of_ring
from tests.bench.mixed import Event
from tests.bench.traffic import traffic

PARTITIONS = 4
#: The default of Kafka's own clients.
BATCH_BYTES = 16_384
#: The last flush begins within this time of the last record, and takes less than the rest of it.
LAST_FLUSH_SECONDS = 0.8


@dataclass(frozen=True)
class Figures:
    """One run: from the first record absorbed until everything was flushed."""

    events: int
    seconds: float
    cpu_seconds: float
    resident_mb: float

    @property
    def rate(self) -> float:
        """Events per second of wall time."""
        return self.events / self.seconds

    def line(self) -> str:
        """The figures for a person."""
        return (
            f"{self.events} events in {self.seconds:.2f} s = {self.rate:,.0f}/s, "
            f"{self.events / max(self.cpu_seconds, 0.01):,.0f} per CPU second, "
            f"{self.resident_mb:.0f} MB"
        )


async def fill(bootstrap: str, namespace: str, events: Iterable[Event]) -> int:
    """Write events to the source topics as fast as one process can; how many.

    In batches as our sources send them: lz4, of at most :data:`BATCH_BYTES`.
    """
    getLogger("aiokafka").setLevel(ERROR)  # topics that were made a moment ago have no leader yet
    producer: Any = AIOKafkaProducer(  # type: ignore[no-untyped-call]  # untyped library
        bootstrap_servers=bootstrap, compression_type="lz4", max_batch_size=BATCH_BYTES
    )
    await producer.start()
    packs: dict[tuple[str, int], Any] = defaultdict(producer.create_batch)
    count = 0
    try:
        for topic, partition, key, value in events:
            place = topic.full_name(namespace), partition
            record: Any = {"timestamp": None, "key": key, "value": value, "headers": []}
            if packs[place].append(**record) is None:
                await producer.send_batch(packs.pop(place), place[0], partition=partition)
                packs[place].append(**record)
            count += 1
        for (name, partition), pack in packs.items():
            await producer.send_batch(pack, name, partition=partition)
    finally:
        await producer.stop()
    return count


def scrape(port: int) -> dict[str, float]:
    """The samples on a worker's own port, summed over labels; empty while nobody answers."""
    found: dict[str, float] = defaultdict(float)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            for line in answer.read().decode().splitlines():
                if not line.startswith("#"):
                    name, _, value = line.rpartition(" ")
                    found[name.split("{")[0]] += float(value)
    except OSError:
        pass
    return found


def environment(bootstrap: str, namespace: str, port: int, **more: str) -> dict[str, str]:
    """The settings of a worker of the bench."""
    return {
        "IOC_BOOTSTRAP": bootstrap,
        "IOC_NAMESPACE": namespace,
        "IOC_PARTITIONS": str(PARTITIONS),
        "IOC_METRICS_PORT": str(port),
        "IOC_LOG_LEVEL": "WARNING",
    } | more


def run(
    env: Mapping[str, str],
    events: int,
    selection: Selection = ALL,
    watch: Callable[[int], None] = lambda pid: None,
) -> tuple[Figures, View]:
    """Start a worker on topics that are full, and watch until it has absorbed ``events``.

    The clock starts at the last look that saw the worker own nothing (starting up is not measured,
    unpacking the first batch is) and stops when the broker has appended the last partial result, as
    its own timestamp says. Looks are 20 ms apart until then, and rare afterwards, since each costs
    the worker a millisecond. ``watch`` is called with the process id when it begins to read. Also
    returns the view of what was sent.
    """
    port = int(env["IOC_METRICS_PORT"])
    command = [sys.executable, "-m", "services.kpi.main"]
    process = subprocess.Popen(command, env=os.environ | dict(env))
    begun = False
    try:
        patience = time.monotonic() + 900
        began, cpu = time.time(), 0.0
        while True:
            now = time.time()
            samples = scrape(port)
            seen = samples.get("ioc_worker_records_total", 0)
            if not samples.get("ioc_worker_partitions", 0):
                began, cpu = now, samples.get("process_cpu_seconds_total", 0)
            elif not begun:
                begun = True
                watch(process.pid)
            if seen >= events:
                break
            if time.monotonic() > patience or process.poll() is not None:
                raise RuntimeError(f"absorbed {seen} of {events} (exit {process.poll()})")
            time.sleep(0.4 if begun else 0.02)
        time.sleep(LAST_FLUSH_SECONDS)
        samples = scrape(port)
    finally:
        process.terminate()
        process.wait(30)
    view, ended, _ = of_ring(
        env["IOC_BOOTSTRAP"], env["IOC_NAMESPACE"], int(env["IOC_PARTITIONS"]), selection
    )
    return (
        Figures(
            int(seen),
            ended - began,
            samples["process_cpu_seconds_total"] - cpu,
            samples["process_resident_memory_bytes"] / 1e6,
        ),
        view,
    )


def filled(bootstrap: str, events: int) -> str:
    """A namespace of its own with so many events; its name."""
    namespace = f"bench-{uuid4().hex[:8]}"
    ensure_topics(bootstrap, namespace, PARTITIONS)
    now_ms = int(time.time() * 1000)
    asyncio.run(fill(bootstrap, namespace, traffic(events, PARTITIONS, now_ms=now_ms)))
    return namespace


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092")
    parser.add_argument("--port", type=int, default=24060)
    parser.add_argument("--events", type=int, default=400_000)
    options = parser.parse_args()
    space = filled(options.bootstrap, options.events)
    found, _ = run(environment(options.bootstrap, space, options.port), options.events)
    print(found.line(), file=sys.stderr)  # noqa: T201 (a bench speaks)
