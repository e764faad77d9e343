"""Worker processes for tests, and the two ways to their numbers: the ring, and a plain fold."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import catalog
from services.core.kpis import CATALOGUE
from services.core.merge import View
from services.core.record import SourceRecord
from services.core.state import PartitionState
from services.kpi.recovery import read_rings
from services.runtime.embedded import EmbeddedKafka, EmbeddedKafkaError
from services.runtime.ports import LOOPBACK
from services.runtime.reference import load_territories

PARTITIONS = 4
Raw = dict[tuple[str, int], list[SourceRecord]]
_Consumer: Any = AIOKafkaConsumer  # untyped


def free_ports(count: int) -> list[int]:
    """Ports on the loopback address that nobody uses at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@contextmanager
def running_broker(folder: Path) -> Iterator[EmbeddedKafka]:
    """An embedded Kafka; where it cannot start the test is skipped, in CI it fails."""
    port, controller = free_ports(2)
    broker = EmbeddedKafka(folder, port=port, controller_port=controller)
    try:
        broker.start()
    except EmbeddedKafkaError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    try:
        yield broker
    finally:
        broker.stop()


class WorkerProcess:
    """``ioc kpi`` as a process of its own."""

    def __init__(self, bootstrap: str, namespace: str, port: int) -> None:
        self.port = port
        self._environment = os.environ | {
            "IOC_BOOTSTRAP": bootstrap,
            "IOC_NAMESPACE": namespace,
            "IOC_PARTITIONS": str(PARTITIONS),
            "IOC_METRICS_PORT": str(port),
            "IOC_LOG_LEVEL": "WARNING",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "services.kpi.main"], env=self._environment
        )

    def kill(self) -> None:
        """kill -9, without a chance to flush or to leave the group."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(15)

    def wait_for_exit(self, seconds: float) -> int:
        """The exit code of a worker that ends by itself."""
        assert self._process is not None
        return self._process.wait(seconds)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None


@contextmanager
def workers(bootstrap: str, namespace: str, ports: list[int]) -> Iterator[list[WorkerProcess]]:
    """Worker processes, not started yet; whatever happens none is left behind."""
    made = [WorkerProcess(bootstrap, namespace, port) for port in ports]
    try:
        yield made
    finally:
        for worker in made:
            if worker.running:
                worker.kill()


async def _read(bootstrap: str, topics: dict[str, str]) -> Raw:
    consumer = _Consumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    raw: Raw = {(name, p): [] for name in topics.values() for p in range(PARTITIONS)}
    try:
        tps = [TopicPartition(full, p) for full in topics for p in range(PARTITIONS)]
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        await consumer.seek_to_beginning(*tps)
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                raw[topics[tp.topic], tp.partition] += [
                    SourceRecord(r.offset, r.timestamp, r.key, r.value, r.headers) for r in records
                ]
    finally:
        await consumer.stop()
    return raw


def read_raw(bootstrap: str, namespace: str, *topics: catalog.Topic) -> Raw:
    """Every record of topics, the four source topics by default."""
    chosen = topics or catalog.SOURCES
    return asyncio.run(_read(bootstrap, {t.full_name(namespace): t.name for t in chosen}))


def view_of_ring(bootstrap: str, namespace: str) -> View:
    """The view's state as it is in the partial topic now."""
    topic = catalog.KPI_PARTIAL.full_name(namespace)
    rings = asyncio.run(read_rings(bootstrap, topic, range(PARTITIONS)))
    view = View(load_territories(), PARTITIONS, "wall")
    for partition, ring in rings.items():
        # Fed anew for as long as a zombie's flush is found; what is known of zombies is kept.
        while not all(view.feed(partition, key, value) for key, value in ring):
            view.reset(partition)
    return view


def view_of_fold(raw: Raw) -> View:
    """The view's state after one plain fold of the raw records, without Kafka and without Faust."""
    territories = load_territories()
    view = View(territories, PARTITIONS, "wall")
    for (name, partition), records in raw.items():
        state = PartitionState(
            catalog.source(name), partition, PARTITIONS, clock="wall", territories=territories
        )
        state.open_epoch(1)
        state.fold(records)
        for key, value in state.flush().parts:
            assert view.feed(partition, key, value)
    return view


def absorbed(view: View) -> dict[tuple[str, int], int]:
    """How many offsets of each source partition are in the view."""
    return {at: head.fence + 1 for at, head in view.heads.items()}


def wait_until_absorbed(
    bootstrap: str, namespace: str, ends: dict[tuple[str, int], int], seconds: float = 150.0
) -> View:
    """Wait until the ring covers ``ends``. Raises TimeoutError naming what is missing."""
    deadline = time.monotonic() + seconds
    while True:
        view = view_of_ring(bootstrap, namespace)
        have = absorbed(view)
        missing = {at: (have.get(at, 0), end) for at, end in ends.items() if have.get(at, 0) < end}
        if not missing:
            return view
        if time.monotonic() > deadline:
            raise TimeoutError(f"not absorbed within {seconds:.0f} s: {missing}")
        time.sleep(0.5)


def numbers(view: View, now: int) -> dict[str, object]:
    """Every KPI of a view at an instant: in all, by district, by every dimension."""
    found: dict[str, object] = {}
    for name, kpi in CATALOGUE.items():
        if kpi.domain == "ind":
            continue
        for window in ("1h",) if kpi.is_stock else ("24h", "30d", "year"):
            for by in (None, "district", *kpi.dimensions):
                chosen = None if kpi.is_stock else window
                rows = view.query(name, now=now, window=chosen, by=by)[1]
                found[f"{name} {window} {by}"] = sorted(map(repr, rows))
    found["indicators"] = sorted(map(repr, view.indicators(now)))
    outcomes: dict[str, dict[str, int]] = defaultdict(dict)
    for (topic, partition), head in view.heads.items():
        outcomes[f"{topic}/{partition}"] = dict(sorted(head.outcomes.items()))
    found["outcomes"] = dict(sorted(outcomes.items()))
    return found
