"""`ioc up` for real, without producers: ready line, restarts, refusals, an orderly end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.runtime.ports import claim_block
from services.runtime.process import wait_until_gone

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "services.cli", "up", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Up:
    """A running `ioc up --json`, and the lines that it printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = claim_block()
        self.arguments = ("--no-produce", f"--port-base={self.base}", f"--data-dir={folder}")
        self.process = _start(*self.arguments)
        self.line = self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        if not text:
            assert self.process.stderr is not None
            pytest.fail(f"ioc up ended: {self.process.stderr.read()}")
        line: dict[str, Any] = json.loads(text)
        return line


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("up"))
    yield running
    running.process.terminate()
    running.process.communicate(timeout=60)


def _all_pids(line: dict[str, Any]) -> list[int]:
    return [pid for pids in line["pids"].values() for pid in pids]


def test_the_ready_line_says_where_everything_answers(running: Up) -> None:
    line = running.line
    assert line["kafka"] == f"127.0.0.1:{running.base}"
    assert line["view"] == f"http://127.0.0.1:{running.base + 2}"
    assert {"kafka", "kpi", "view"} <= set(line["pids"])
    for pid in _all_pids(line):
        os.kill(pid, 0)
    assert line == json.loads((running.folder / "running.json").read_text())


def test_a_killed_broker_comes_back_and_the_line_is_printed_anew(running: Up) -> None:
    before = running.line
    os.kill(before["pids"]["kafka"][0], signal.SIGKILL)
    after = running.read()
    while after["pids"]["kafka"] in ([], before["pids"]["kafka"]):
        after = running.read()
    running.line = after
    os.kill(after["pids"]["kafka"][0], 0)


def test_a_second_one_on_the_same_data_is_refused(running: Up) -> None:
    out, err = _start(*running.arguments).communicate(timeout=60)
    assert out == ""
    assert f"already running on {running.folder} (process {running.process.pid})" in err


def test_a_second_one_on_the_same_ports_is_refused_by_their_numbers(
    running: Up, tmp_path: Path
) -> None:
    second = _start("--no-produce", f"--port-base={running.base}", f"--data-dir={tmp_path}")
    out, err = second.communicate(timeout=60)
    assert (out, second.returncode) == ("", 1)
    assert f"{running.base} (for kafka)" in err
    assert "--port-base" in err


def test_sigterm_stops_everything_in_order_with_code_0(tmp_path: Path) -> None:
    up = Up(tmp_path)
    up.process.send_signal(signal.SIGTERM)
    up.process.communicate(timeout=60)
    assert up.process.returncode == 0
    assert all(wait_until_gone(pid, 1) for pid in _all_pids(up.line))
    assert not (tmp_path / "running.json").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    up = Up(tmp_path)
    up.process.kill()
    up.process.communicate(timeout=60)
    assert all(wait_until_gone(pid, 10) for pid in _all_pids(up.line))
