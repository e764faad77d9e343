"""Child processes: own group, bounded log, no orphans."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.runtime.process import ChildProcess, wait_until_gone

FOREVER = "import signal; signal.pause()"


def _python(code: str, log: Path) -> ChildProcess:
    return ChildProcess([sys.executable, "-c", code], log=log)


def test_what_a_child_writes_is_in_its_log_and_its_tail(tmp_path: Path) -> None:
    child = _python("import sys; print('out'); sys.stderr.write('err\\n')", tmp_path / "a.log")
    child.start()
    assert child.wait(20) == 0
    assert sorted(child.tail()) == ["err", "out"]


def test_the_tail_is_that_of_the_latest_run(tmp_path: Path) -> None:
    child = _python("print('once')", tmp_path / "a.log")
    for _ in range(2):
        child.start()
        child.wait(20)
    assert child.tail() == ["once"]
    assert (tmp_path / "a.log").read_text() == "once\nonce\n"


def test_a_child_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    code = f"import signal; signal.signal(15, 1); print('deaf', flush=True); {FOREVER}"
    child = _python(code, tmp_path / "a.log")
    child.start()
    _wait_for_line(child, "deaf")
    assert child.stop(grace=0.1) == -signal.SIGKILL


def test_stopping_a_child_stops_what_it_started(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', "
        f"'{FOREVER}']); print(p.pid, flush=True); p.wait()"
    )
    child = _python(code, tmp_path / "a.log")
    child.start()
    grandchild = int(_wait_for_line(child, ""))
    child.stop()
    assert wait_until_gone(grandchild, 10)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    code = (
        "import pathlib, sys; from services.runtime.process import ChildProcess; "
        f"c = ChildProcess([sys.executable, '-c', {FOREVER!r}], log=pathlib.Path({str(log)!r})); "
        "c.start(); print(c.pid, flush=True); c.wait()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.kill()
    parent.communicate()
    assert wait_until_gone(child, 10)


def test_a_log_over_its_limit_is_cut_and_the_child_goes_on_writing(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    code = "import sys; print('x' * 5000, flush=True); sys.stdin.read(); print('end')"
    child = _python(code, log)
    child.start()
    child.wait(20)
    child.trim_log(limit=1000)
    assert log.stat().st_size == 0
    assert (tmp_path / "a.log.1").stat().st_size == 1000


def test_a_program_that_does_not_exist_shows_as_a_failed_child(tmp_path: Path) -> None:
    child = ChildProcess(["/nowhere/at/all"], log=tmp_path / "a.log")
    child.start()
    assert child.wait(20) == 1
    assert "FileNotFoundError" in child.tail()[-1]


def _wait_for_line(child: ChildProcess, text: str) -> str:
    while True:
        lines = [line for line in child.tail() if text in line]
        if lines:
            return lines[0]
        assert child.wait(0.02) is None, child.tail()
