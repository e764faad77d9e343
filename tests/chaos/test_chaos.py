"""Two minutes of chaos for every run of the tests: the most telling faults, the same every time.

`make chaos` does the rest at random (docs/chaos.md). In a wall-clock and in an event-clock system:
kill -9 of workers and view, in the middle of flushes of several parts too; broker restarts; a
zombie; one worker, three, one again.
"""

import sys
from collections.abc import Iterator
from random import Random

import pytest

from tests.chaos.check import Depth
from tests.chaos.faults import Act, Fault
from tests.chaos.run import Run

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

SEED = 20_261
_ONE, _THREE = 0.25, 0.75

#: A wall-clock system that starts with one worker.
WALL: list[Act] = [
    [Fault("scale-to", 3.0, _THREE)],
    [Fault("burst", 1.2, 0.1), Fault("kill-worker", 2.0, 0.0)],
    [Fault("stop-broker", 0.5), Fault("kill-view", 0.5)],
    [Fault("zombie", 10.5, 0.9), Fault("kill-worker", 0.5, 0.0)],
    [Fault("scale-to", 0.5, _ONE)],
]
#: An event-clock system with two workers.
EVENT: list[Act] = [
    [Fault("kill-all-workers", 0.5)],
    [Fault("kill-broker", 0.5), Fault("kill-view", 0.5)],
    [Fault("kill-worker", 0.5, 0.9)],
]


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 (pytest shows it when the test fails)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with Run(tmp_path_factory.mktemp("chaos"), SEED, _say) as running:
        yield running


@pytest.mark.parametrize(
    ("clock", "workers", "acts"), [("wall", 1, WALL), ("event", 2, EVENT)], ids=["wall", "event"]
)
def test_every_number_every_count_and_every_dead_letter_survives_chaos(
    run: Run, clock: str, workers: int, acts: list[Act]
) -> None:
    number = 1 if clock == "wall" else 2
    run.begin_life(number, "wall" if clock == "wall" else "event", workers, 8_000)
    depth = Depth.of_round(Random(number), windows=3)
    found = run.round(number, acts, 1.0, depth)
    assert found.problems == []
    assert found.rejected > 100
    run.end_life()
    assert run.totals.problems == []
