"""The supervisor with small children of its own: order, restarts, loops, wrong calls."""

import asyncio
import math
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.runtime.process import ChildProcess
from services.up.part import LOOPING_AFTER, LOOPING_WAIT, Part
from services.up.supervisor import Supervisor
from services.up.system import StartError

FOREVER = "import signal; signal.pause()"


class Trial:
    """A supervisor that notes what it says and how often it tells new process ids."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.changes = 0
        self.supervisor = Supervisor(say=self.said.append, changed=self._changed, poll=0.01)

    def _changed(self) -> None:
        self.changes += 1

    def part(self, name: str, code: str = FOREVER, stage: int = 0) -> Part:
        command = [sys.executable, "-c", code]
        return Part(name, ChildProcess(command, log=self.folder / f"{name}.log"), stage)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 (it is another process that changes it)
                await asyncio.sleep(0.01)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


async def _up(trial: Trial, *parts: Part) -> None:
    for part in parts:
        await trial.supervisor.start(part)
    await trial.supervisor.wait_ready(parts)


def test_a_killed_part_is_started_again_and_its_new_process_told(trial: Trial) -> None:
    async def scene() -> None:
        part = trial.part("view")
        await _up(trial, part)
        first = part.process.pid
        part.process.signal(signal.SIGKILL)
        await trial.until(lambda: trial.changes == 1)
        assert part.process.pid not in (None, first)
        assert trial.supervisor.pids() == {"view": [part.process.pid]}
        await trial.supervisor.stop()

    asyncio.run(scene())
    assert "view was killed by signal 9; starting it again in 0.5 s" in trial.said


def test_parts_stop_stage_by_stage(trial: Trial) -> None:
    farewell = (
        "import signal, sys, time, pathlib; "
        "signal.signal(15, lambda *_: (open('{0}', 'a').write('{1} '), sys.exit())); "
        "print('up', flush=True); signal.pause()"
    )
    notes = trial.folder / "order"

    async def scene() -> None:
        parts = [
            trial.part(name, farewell.format(notes, name), stage)
            for name, stage in (("broker", 3), ("reader", 2), ("producer", 0))
        ]
        await _up(trial, *parts)
        await trial.until(lambda: all("up" in p.process.tail() for p in parts))
        await trial.supervisor.stop()
        assert not any(p.process.running for p in parts)

    asyncio.run(scene())
    assert notes.read_text().split() == ["producer", "reader", "broker"]


def test_a_wrong_call_is_not_tried_again_but_ends_the_start_with_its_message(trial: Trial) -> None:
    async def scene() -> None:
        part = trial.part("kpi", "import sys; print('No such command'); sys.exit(2)")
        part.check = lambda: False
        with pytest.raises(StartError, match=r"kpi cannot be started(.|\n)*No such command"):
            await _up(trial, part)
        await trial.supervisor.stop()
        assert part.starts == 1

    asyncio.run(scene())


def test_a_part_that_loops_is_tried_at_long_intervals_with_the_end_of_its_log(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.up.part.BACK_OFF", (0.0,))

    async def scene() -> None:
        part = trial.part("kpi", "print('the reason'); raise SystemExit(1)")
        part.check = lambda: False
        await trial.supervisor.start(part)
        await trial.until(lambda: part.looping)
        assert part.starts == LOOPING_AFTER
        await trial.until(lambda: any("in a row" in line for line in trial.said))
        await trial.supervisor.stop()

    asyncio.run(scene())
    assert "5 times in a row; next try in 60 s" in trial.said[-1]
    assert "the reason" in trial.said[-1]


def test_a_part_that_hangs_is_killed_and_has_twice_as_long_at_the_next_start(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.up.part.BACK_OFF", (0.0,))

    async def scene() -> None:
        part = trial.part("kafka")
        part.patience = 0.05
        part.check = lambda: part.starts == 2
        await _up(trial, part)
        assert part.starts == 2
        assert part.deadline - part.started_at == pytest.approx(0.1)
        await trial.supervisor.stop()

    asyncio.run(scene())
    assert trial.said[0].startswith("kafka did not work within 0 s and is killed")


def test_no_number_of_failures_is_too_large_for_a_deadline(trial: Trial) -> None:
    part = trial.part("kafka")
    part.patience, part.failures = 90.0, 10_000
    assert part.deadline == 90.0 * 2**LOOPING_AFTER
    part.patience = math.inf
    assert part.deadline == math.inf


def test_failures_long_ago_are_forgotten(trial: Trial) -> None:
    part = trial.part("view")
    waits = []
    for _ in range(LOOPING_AFTER):
        part.ready, part.started_at = True, 100.0
        waits.append(part.failed(101.0))
    assert waits == [0.5, 1.0, 2.0, 4.0, LOOPING_WAIT]
    part.started_at = 100.0
    assert part.failed(200.0) == LOOPING_WAIT, "it never worked"
    part.ready = True
    assert part.failed(200.0) == 0.5


def test_a_stop_during_the_start_ends_it_at_once(trial: Trial) -> None:
    async def scene() -> None:
        part = trial.part("view")
        part.check = lambda: False
        await trial.supervisor.start(part)
        asyncio.get_running_loop().call_soon(trial.supervisor.request_stop)
        with pytest.raises(asyncio.CancelledError):
            await trial.supervisor.wait_ready([part])
        await trial.supervisor.stop()
        assert not part.process.running

    asyncio.run(scene())
