"""The whole system on real Kafka, killed in mid-stream, against an oracle that shares no code.

`ioc up` runs Kafka, workers and the view; raw records (late, doubled, contradictory, broken) go in;
a worker and the view are killed with SIGKILL while they flow; then every KPI of every territory,
window and dimension is asked over HTTP and compared with a DuckDB query over the raw topics.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from confluent_kafka import Producer

import services.runtime
from services.core.merge import View
from tests.contract.comparison import differences
from tests.e2e.http_view import HttpView
from tests.e2e.test_up import _free_block
from tests.oracle.oracle import Oracle, Places
from tests.oracle.raw import drain, partition_of
from tests.strategies.events import Item, stream

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(420)]

PARTITIONS = 4
RECORDS = 12_000


class System:
    """A running `ioc up --json --no-produce`; ``line`` is the newest that it printed."""

    def __init__(self, folder: Path, clock: str) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "services.cli", "up", "--json", "--no-produce",
                "--no-history", "--workers=2", f"--port-base={_free_block()}",
                f"--data-dir={folder}",
            ],
            env=os.environ | {"IOC_CLOCK": clock},
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        self.line = self.read()
        self.view = HttpView(self.line["view"])

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        if not text:
            pytest.fail("ioc up ended")
        return cast("dict[str, Any]", json.loads(text))

    def kill(self, part: str, number: int = 0) -> None:
        """SIGKILL one process and wait for the line that names its successor."""
        pid = self.line["pids"][part][number]
        os.kill(pid, signal.SIGKILL)
        while pid in self.line["pids"].get(part, [pid]):
            self.line = self.read()

    def send(self, items: list[Item]) -> None:
        """Produce raw records to the partitions they name, and wait until all are there."""
        producer = Producer({"bootstrap.servers": self.line["kafka"], "linger.ms": 5})
        refused: list[object] = []
        for item in items:
            partition = 0 if item.key is None else partition_of(item.key, PARTITIONS)
            if item.partition is not None:
                partition = (partition + 1) % PARTITIONS
            producer.produce(
                item.topic, item.value, item.key, partition, headers=cast("Any", item.headers),
                on_delivery=lambda error, _: refused.append(error) if error else None,
            )  # fmt: skip
            producer.poll(0)
        producer.flush(60)
        assert not refused

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


@pytest.fixture(params=["event", "wall"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    running = System(tmp_path, request.param)
    yield running
    assert running.stop() == 0


def test_every_number_survives_kill_9_of_a_worker_and_of_the_view(
    system: System, request: pytest.FixtureRequest
) -> None:
    clock = request.node.callspec.params["system"]
    now = int(time.time() * 1000)
    items = stream(7, RECORDS, now, event_clock=clock == "event")
    third = len(items) // 3
    system.send(items[:third])
    system.kill("kpi", 0)
    system.send(items[third : 2 * third])
    system.kill("view")
    system.send(items[2 * third :])
    system.view.wait_until_caught_up(len(items), 120)
    log = asyncio.run(drain(system.line["kafka"]))
    data = Path(services.runtime.__file__).parent / "data"
    oracle = Oracle(log, PARTITIONS, cast("Any", clock), Places.from_csv(data))
    at = oracle.event_clock() or 0 if clock == "event" else int(time.time() * 1000)
    view = cast("View", system.view)
    wrong = list(differences(view, oracle, at, dimensions=False))
    assert wrong == []
