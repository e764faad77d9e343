"""The whole system on real Kafka, killed in mid-stream, against an oracle that shares no code.

`ioc up` runs Kafka, workers and the view; raw records (late, doubled, contradictory, broken) go in;
a worker and the view are killed with SIGKILL while they flow; then every KPI of every territory,
window and dimension is asked over HTTP and compared with a DuckDB query over the raw topics.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import services.runtime
from services.core.merge import View
from services.oracle.comparison import differences
from services.oracle.oracle import Oracle, Places
from services.oracle.raw import drain
from tests.e2e.system import PARTITIONS, System
from tests.strategies.events import stream

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(420)]

RECORDS = 12_000


@pytest.fixture(params=["event", "wall"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    running = System(tmp_path, "--workers=2", clock=request.param)
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
    log = asyncio.run(drain(system.kafka))
    data = Path(services.runtime.__file__).parent / "data"
    oracle = Oracle(log, PARTITIONS, cast("Any", clock), Places.from_csv(data))
    at = oracle.event_clock() or 0 if clock == "event" else int(time.time() * 1000)
    view = cast("View", system.view)
    wrong = list(differences(view, oracle, at, dimensions=False))
    assert wrong == []
