"""`ioc load` on a real system of its own: verdicts, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


def command(tmp_path: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "services.cli", "load", "--json", "--out", str(tmp_path / "r.json"),
         "--html", str(tmp_path / "r.html"), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip


def descendants(root: int) -> set[int]:
    """The processes below one."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    found = {root}
    while more := {p for p, q in parents.items() if q in found and p not in found}:
        found |= more
    return found - {root}


def left_behind(tmp_path: Path, pids: set[int]) -> list[str]:
    """Data of a system, and processes that still run."""
    alive = [f"pid {pid}" for pid in pids if Path(f"/proc/{pid}").exists()]
    return alive + [str(path) for path in tmp_path.glob("ioc-load-*")]


def test_a_load_is_measured_to_the_last_event(tmp_path: Path) -> None:
    process = command(
        tmp_path, "--rate", "500", "--seconds", "5", "--warm-up", "3", "--processes", "2",
        "--p99", "30s",
    )  # fmt: skip
    said, told = process.communicate(timeout=240)
    result: dict[str, Any] = json.loads(said)
    # A machine that is busy with other things makes it inconclusive, as it should.
    assert process.returncode == (0 if result["verdict"]["outcome"] == "passed" else 1), told
    assert result["verdict"]["outcome"] in ("passed", "inconclusive"), result["verdict"]
    assert result["verdict"]["broken"] == []
    counts = result["counts"]
    assert counts["scheduled"] == counts["sent"] == counts["acked"] == 4000
    assert counts["loss"] == 0
    assert result["outcomes"]["applied"] == 4000
    assert sum(result["outcomes"].values()) == 4000
    assert result["due"] == result["sent"] == 2500
    assert 0 < result["freshness"]["p50"] <= result["freshness"]["p99"] < 30
    assert {"kafka", "kpi", "view", "load: senders"} <= result["processes"]["cores"].keys()
    assert json.loads((tmp_path / "r.json").read_text()) == result
    assert (tmp_path / "r.html").read_text().count("<svg") == 4
    assert left_behind(tmp_path, set()) == []


@pytest.mark.slow
def test_ctrl_c_shows_what_was_measured_and_leaves_nothing(tmp_path: Path) -> None:
    process = command(tmp_path, "--rate", "200", "--seconds", "600", "--warm-up", "0")
    assert process.stderr is not None
    pids: set[int] = set()
    for line in process.stderr:
        if "shown" in line and not line.lstrip().startswith("0.0 "):
            pids = descendants(process.pid)
            process.send_signal(signal.SIGINT)
            break
    said, _ = process.communicate(timeout=120)
    result = json.loads(said)
    assert process.returncode == 1
    assert result["interrupted"]
    assert result["verdict"]["outcome"] == "inconclusive"
    assert 0 < result["counts"]["acked"] < 100_000
    assert len(pids) >= 4
    deadline = time.monotonic() + 10
    while left_behind(tmp_path, pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left_behind(tmp_path, pids) == []
