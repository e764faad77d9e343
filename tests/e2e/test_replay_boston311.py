"""docs/replay-real-data.md, done: a log through a whole system, compared with a query over it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.runtime.ports import claim_block
from tests.unit.convert.invented import CLOCK, invented_log

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
NAMESPACE = "boston"


@dataclass
class System:
    kafka: str
    view: str
    worker: int


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of its own on the log's clock, with nothing simulated in it."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", "services.cli", "up", "--json", "--no-produce", "--no-history",
            f"--namespace={NAMESPACE}", f"--port-base={claim_block()}",
            f"--data-dir={tmp_path_factory.mktemp('system')}",
        ],
        env=os.environ | {"IOC_CLOCK": "event"},
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        text = process.stdout.readline()
        assert text, "ioc up ended before it was ready"
        line = json.loads(text)
        yield System(line["kafka"], line["view"], line["pids"]["kpi"][0])
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def push(log: Path, system: System) -> int:
    done = run(
        "-m", "services.cli", "convert", "boston311", str(log), f"--until={CLOCK:%Y-%m-%dT%H:%M}",
        f"--to={system.kafka}", f"--namespace={NAMESPACE}", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pushed: int = json.loads(done.stdout)["pushed"]
    return pushed


def compared(log: Path, system: System) -> str:
    """The last line of the comparison, when it agrees; it is asked until the view has caught up."""
    deadline = time.monotonic() + 60
    while True:
        done = run("examples/compare_boston311.py", str(log), f"--view={system.view}")
        if done.returncode == 0:
            return done.stdout.splitlines()[-1]
        assert time.monotonic() < deadline, done.stdout + done.stderr
        time.sleep(0.5)


def test_the_views_numbers_are_those_of_a_query_over_the_file(
    system: System, tmp_path: Path
) -> None:
    log = invented_log(tmp_path / "log.csv")
    assert push(log, system) > 600
    assert compared(log, system).endswith(" 0 different")


def test_sending_all_of_it_again_and_killing_the_worker_changes_no_number(
    system: System, tmp_path: Path
) -> None:
    log = invented_log(tmp_path / "log.csv")
    push(log, system)
    before = compared(log, system)
    os.kill(system.worker, signal.SIGKILL)
    push(log, system)
    assert compared(log, system) == before


def test_a_system_that_is_not_there_is_named(system: System) -> None:
    done = run(
        "-m", "services.cli", "convert", "boston311", "tests/unit/convert/sample.csv",
        f"--to={system.kafka}", "--namespace=nowhere",
    )  # fmt: skip
    assert done.returncode == 1
    assert "no topic nowhere.ioc.field-report.v1" in done.stderr
