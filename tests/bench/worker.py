"""Measure one worker: events per second from Kafka to partial results, mixed events.

By hand against a broker that is already there::

    python -m tests.bench.worker --bootstrap 127.0.0.1:9092 --events 400000 [--stock]
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from services.runtime.kafka import ensure_topics
from tests.bench.mixed import Event, mixed

PARTITIONS = 4


@dataclass(frozen=True)
class Figures:
    """One run: events per second of wall time, and of CPU time of the process."""

    what: str
    events: int
    seconds: float
    cpu_seconds: float
    resident_mb: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds

    def line(self) -> str:
        return (
            f"{self.what}: {self.events} events in {self.seconds:.1f} s = {self.rate:,.0f}/s, "
            f"{self.events / self.cpu_seconds:,.0f} per CPU second, {self.resident_mb:.0f} MB"
        )


async def fill(bootstrap: str, namespace: str, events: Iterable[Event]) -> int:
    """Write events to the source topics as fast as one process can; how many."""
    producer: Any = AIOKafkaProducer(  # type: ignore[no-untyped-call]  # untyped library
        bootstrap_servers=bootstrap, compression_type="lz4", max_batch_size=131_072
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


def run(what: str, command: list[str], env: dict[str, str], port: int, events: int) -> Figures:
    """Start a worker on topics that are full, and watch until it has absorbed ``events``.

    The clock starts at the last look that saw nothing absorbed: starting up is not measured.
    """
    process = subprocess.Popen(command, env=os.environ | env)
    try:
        began = time.monotonic()
        patience = began + 900
        cpu = 0.0
        while True:
            samples = scrape(port)
            now = time.monotonic()
            seen = samples.get("ioc_worker_records_total", 0)
            used = samples.get("process_cpu_seconds_total", 0)
            if not seen:
                began, cpu = now, used
            elif seen >= events:
                resident = samples["process_resident_memory_bytes"] / 1e6
                return Figures(what, int(seen), now - began, used - cpu, resident)
            if now > patience or process.poll() is not None:
                raise RuntimeError(f"{what} absorbed {seen} of {events} (exit {process.poll()})")
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait(30)


def measure(bootstrap: str, port: int, events: int, *, stock: int = 0) -> list[Figures]:
    """Fill a namespace of its own and measure our worker, and stock Faust on ``stock`` events."""
    figures = []
    for what, module, count in (
        ("ioc kpi", "services.kpi.main", events),
        ("stock Faust", "tests.bench.stock_faust", stock),
    ):
        if not count:
            continue
        namespace = f"bench-{uuid4().hex[:8]}"
        ensure_topics(bootstrap, namespace, PARTITIONS)
        now_ms = int(time.time() * 1000)
        asyncio.run(fill(bootstrap, namespace, mixed(count, PARTITIONS, now_ms=now_ms)))
        env = {
            "IOC_BOOTSTRAP": bootstrap,
            "IOC_NAMESPACE": namespace,
            "IOC_PARTITIONS": str(PARTITIONS),
            "IOC_METRICS_PORT": str(port),
            "IOC_LOG_LEVEL": "WARNING",
        }
        figures.append(run(what, [sys.executable, "-m", module], env, port, count))
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092")
    parser.add_argument("--port", type=int, default=24060)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--stock", type=int, default=0, metavar="EVENTS")
    options = parser.parse_args()
    for found in measure(options.bootstrap, options.port, options.events, stock=options.stock):
        print(found.line(), file=sys.stderr)  # noqa: T201 (a bench speaks)
        print(json.dumps(asdict(found)))  # noqa: T201
