"""Two workers against one, and what a capacity model needs: costs per event of every part.

    python -m tests.bench.scale --events 400000

One broker, topics that are full, the same partitions. Two workers are measured from the moment both
own their share; what one of them read before is not counted. CPU time is given for each part beside
the rates, since on two cores the broker and the workers take from each other.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas import catalog
from services.core.merge import View
from services.runtime.embedded import EmbeddedKafka
from services.runtime.ports import claim_block
from services.runtime.reference import load_territories
from tests.bench import worker
from tests.bench.answers import of_ring, read_topic
from tests.bench.processes import look

REPORT = Path("build/bench-scale.json")


@dataclass(frozen=True)
class Shared:
    """So many workers on one log."""

    workers: int
    events: int
    seconds: float
    workers_cpu_s: float
    broker_cpu_s: float
    ring_bytes: int

    @property
    def rate(self) -> float:
        """Events per second of all of them."""
        return self.events / self.seconds


def broker_cpu(broker: EmbeddedKafka) -> float:
    """CPU seconds of the broker so far."""
    root = broker.pid or 0
    return sum(part.cpu_seconds for part in look(root, {}).values())


def share(broker: EmbeddedKafka, namespace: str, ports: list[int], events: int) -> Shared:
    """Let as many workers as there are ports read a log."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "services.kpi.main"],
            env=os.environ | worker.environment(broker.bootstrap, namespace, port),
        )
        for port in ports
    ]
    begun = None
    try:
        patience = time.monotonic() + 600
        while True:
            at = time.time()
            looks = [worker.scrape(port) for port in ports]
            seen = sum(samples.get("ioc_worker_records_total", 0) for samples in looks)
            cpu = sum(samples.get("process_cpu_seconds_total", 0) for samples in looks)
            if begun is None and all(s.get("ioc_worker_partitions", 0) for s in looks):
                begun = at, seen, cpu, broker_cpu(broker)
            if begun is not None and seen >= events:
                break
            if time.monotonic() > patience or any(p.poll() is not None for p in started):
                raise RuntimeError(f"absorbed {seen} of {events}")
            time.sleep(0.1 if begun else 0.02)
        time.sleep(worker.LAST_FLUSH_SECONDS)
        cpu = sum(worker.scrape(port)["process_cpu_seconds_total"] for port in ports)
        spent = broker_cpu(broker) - begun[3]
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)
    if begun[1] > events / 2:
        raise RuntimeError("too few events: half were absorbed before every worker had partitions")
    _, ended, size = of_ring(broker.bootstrap, namespace, worker.PARTITIONS)
    return Shared(len(ports), int(events - begun[1]), ended - begun[0], cpu - begun[2], spent, size)


def view_cost(bootstrap: str, namespace: str) -> dict[str, float]:
    """CPU time that a view takes to feed what the workers sent, by record and by byte."""
    topic = catalog.KPI_PARTIAL.full_name(namespace)
    records = [record for _, _, record in read_topic(bootstrap, topic, worker.PARTITIONS)]
    view = View(load_territories(), worker.PARTITIONS, "wall")
    began = time.process_time()
    for record in records:
        view.feed(record.partition, record.key, record.value)
    spent = time.process_time() - began
    size = sum(len(record.value or b"") for record in records)
    return {"records": len(records), "bytes": size, "cpu_ms_per_record": spent / len(records) * 1e3,
            "cpu_s": spent}  # fmt: skip


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 (a bench speaks)


def main(events: int, rounds: int) -> None:
    """Both in turns, on a log of their own each."""
    base = claim_block()
    runs: dict[int, list[Shared]] = {1: [], 2: []}
    fed: list[dict[str, float]] = []
    with (
        tempfile.TemporaryDirectory(prefix="ioc-bench-") as name,
        EmbeddedKafka(Path(name), port=base, heap_mb=1024) as broker,
    ):
        for _ in range(rounds):
            for count, found in runs.items():
                namespace = worker.filled(broker.bootstrap, events)
                ports = [base + 10 + number for number in range(count)]
                found.append(share(broker, namespace, ports, events))
                say(_line(found[-1]))
                fed.append(view_cost(broker.bootstrap, namespace) | {"events": events})
    one, two = runs[1], runs[2]
    speedup = statistics.median(b.rate / a.rate for a, b in zip(one, two, strict=True))
    view = fed[0]
    say(f"two workers: {speedup:.2f} times one; load of the machine {os.getloadavg()[0]:.1f}")
    say(
        f"view: {view['cpu_ms_per_record']:.2f} ms of CPU for each record of the ring,"
        f" {view['cpu_s'] / events * 1e6:.2f} µs for each event;"
        f" {view['bytes'] / events:.0f} bytes of the ring for each event"
    )
    report: dict[str, Any] = {
        "speedup": speedup,
        "runs": [asdict(run) | {"events_per_s": run.rate} for run in (*one, *two)],
        "view": fed,
        "load": os.getloadavg(),
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _line(run: Shared) -> str:
    return (
        f"{run.workers} worker(s): {run.events} events in {run.seconds:.1f} s = {run.rate:,.0f}/s;"
        f" CPU an event: workers {run.workers_cpu_s / run.events * 1e6:.2f} µs,"
        f" broker {run.broker_cpu_s / run.events * 1e6:.2f} µs;"
        f" cores used: {(run.workers_cpu_s + run.broker_cpu_s) / run.seconds:.2f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    main(options.events, options.rounds)
