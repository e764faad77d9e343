"""A worker that is told to stop, has no topics, or loses its broker: how it ends or waits.

The comparison is with one plain fold of the raw topics in this process. What kill -9, zombies and
rebalances do is in tests/chaos.
"""

import asyncio
import time
from collections.abc import Iterator
from itertools import islice
from uuid import uuid4

import pytest

from services.runtime.embedded import EmbeddedKafka
from services.runtime.kafka import ensure_topics
from tests.bench.mixed import mixed
from tests.bench.worker import fill, scrape
from tests.e2e.workers import (
    PARTITIONS,
    WorkerProcess,
    free_ports,
    numbers,
    read_raw,
    running_broker,
    view_of_fold,
    wait_until_absorbed,
    workers,
)

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    with running_broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def namespace(broker: EmbeddedKafka) -> str:
    name = f"kill-{uuid4().hex[:8]}"
    ensure_topics(broker.bootstrap, name, PARTITIONS)
    return name


def _ends(raw_counts: dict[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    return {at: count for at, count in raw_counts.items() if count}


def _check(bootstrap: str, namespace: str) -> dict[tuple[str, int], int]:
    """Wait until all is absorbed and compare every number; returns the records of a partition."""
    raw = read_raw(bootstrap, namespace)
    counts = {at: len(records) for at, records in raw.items()}
    view = wait_until_absorbed(bootstrap, namespace, _ends(counts))
    now = int(time.time() * 1000)
    assert numbers(view, now) == numbers(view_of_fold(raw), now)
    for at, head in view.heads.items():
        assert sum(head.outcomes.values()) == counts[at], "a record was counted twice, or never"
    return counts


def _records(worker: WorkerProcess) -> float:
    return scrape(worker.port).get("ioc_worker_records_total", 0)


def _wait_for_records(worker: WorkerProcess, more: int, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while _records(worker) < more:
        assert time.monotonic() < deadline, "the worker absorbed nothing"
        time.sleep(0.02)


def test_a_worker_that_is_told_to_stop_ends_in_order_with_all_it_folded_flushed(
    broker: EmbeddedKafka, namespace: str
) -> None:
    events = mixed(5_000, PARTITIONS, now_ms=int(time.time() * 1000))
    asyncio.run(fill(broker.bootstrap, namespace, events))
    with workers(broker.bootstrap, namespace, free_ports(1)) as (worker,):
        worker.start()
        _wait_for_records(worker, 5_000)
        began = time.monotonic()
        assert worker.stop() == 0
        assert time.monotonic() - began < 6
    _check(broker.bootstrap, namespace)


def test_a_missing_topic_ends_the_worker_with_a_message_instead_of_hanging(
    broker: EmbeddedKafka,
) -> None:
    with workers(broker.bootstrap, "nobody-made-this", free_ports(1)) as (worker,):
        worker.start()
        assert worker.wait_for_exit(30) == 1


@pytest.mark.slow
def test_a_broker_that_is_away_for_a_minute_costs_no_record(
    broker: EmbeddedKafka, namespace: str
) -> None:
    now_ms = int(time.time() * 1000)
    stream = mixed(60_000, PARTITIONS, now_ms=now_ms)
    with workers(broker.bootstrap, namespace, free_ports(1)) as (worker,):
        asyncio.run(fill(broker.bootstrap, namespace, islice(stream, 40_000)))
        worker.start()
        _wait_for_records(worker, 5_000)
        broker.stop()
        time.sleep(60)
        broker.start()
        assert worker.running, "it must wait for the broker, not die"
        asyncio.run(fill(broker.bootstrap, namespace, stream))
        _check(broker.bootstrap, namespace)
        assert worker.stop() == 0
