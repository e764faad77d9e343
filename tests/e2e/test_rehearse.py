"""`ioc rehearse` on a real system of its own: the verdict, right and wrong, and nothing left."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from services.rehearse import scenario

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

#: A morning of one province, with an hour in which its case system sends garbage.
SHORT = """
title = "a province's case system sends garbage for an hour"
start = 2026-03-10T08:00:00
end = 2026-03-10T10:30:00
lead = "2h"
step = "10m"
provinces = ["45"]
faults = "none"

[[outage]]
source = "admin-case"
from = 2026-03-10T08:10:00
to = 2026-03-10T09:10:00
garbage = true

[[fires]]
alert = "IocDeadLettersHigh"
labels = {topic = "ioc.admin-case.v1"}
begins = [2026-03-10T08:15:00, 2026-03-10T08:30:00]
ends = [2026-03-10T10:00:00, 2026-03-10T10:25:00]

[[fires]]
alert = "IocQuietFeedCases"
begins = [2026-03-10T08:50:00, 2026-03-10T09:10:00]
ends = [2026-03-10T09:10:00, 2026-03-10T09:25:00]

[[kpi]]
kpi = "gov.cases_received"
window = "1h"
at = 2026-03-10T09:10:00
max = 0

[[kpi]]
kpi = "gov.cases_received"
window = "1h"
at = 2026-03-10T10:00:00
min = 1

[[tolerated]]
alert = "IocFrOnTimeBelowTarget"
why = "some days are below"
"""


def needs_promtool() -> None:
    if shutil.which("promtool") is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is not on PATH")
        pytest.skip("promtool is not on PATH")


def command(tmp_path: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    # A temporary folder of its own, but the same locks on ports as everybody else's.
    locks = Path(tempfile.gettempdir()) / "ioc-ports"
    locks.mkdir(exist_ok=True)
    if not (tmp_path / "ioc-ports").exists():
        (tmp_path / "ioc-ports").symlink_to(locks)
    return subprocess.Popen(
        [sys.executable, "-m", "services.cli", "rehearse", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)} | environment,
    )  # fmt: skip


def run(tmp_path: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    process = command(tmp_path, *arguments, **environment)
    said, told = process.communicate(timeout=280)
    return process.returncode, said, told


def written(tmp_path: Path, text: str, name: str = "mine.toml") -> str:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


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


def left_behind(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("ioc-rehearse-*"))


def test_a_short_rehearsal_is_played_judged_and_judged_again(tmp_path: Path) -> None:
    needs_promtool()
    mine, tape, page = written(tmp_path, SHORT), tmp_path / "mine.tape", tmp_path / "mine.html"
    code, said, told = run(
        tmp_path, mine, "--json", "--save", str(tape), "--html", str(page)
    )  # fmt: skip
    assert code == 0, said + told
    result: dict[str, Any] = json.loads(said)
    assert result["verdict"] == "as stated"
    assert [a["alert"] for a in result["alerts"] if "DeadLetters" in a["alert"]]
    assert result["records"] > 5_000
    assert "DeadLettersHigh ioc.admin-case.v1" in page.read_text(encoding="utf-8")
    assert left_behind(tmp_path) == []

    # The same series, and somebody who expected something else.
    spoilt = SHORT.replace("IocDeadLettersHigh", "IocQuietFeedListings").replace(
        "min = 1", "min = 999"
    )
    code, said, _ = run(
        tmp_path, written(tmp_path, spoilt, "other.toml"), "--json", "--judge", str(tape)
    )
    wrong = [row["what"] for row in json.loads(said)["rows"] if not row["right"]]
    assert code == 1
    assert wrong[0].startswith("IocQuietFeedListings")
    assert wrong[1].startswith("IocDeadLettersHigh")
    assert wrong[-1] == "gov.cases_received 1h all at 10 Mar 10:00"

    # Without promtool there is no verdict on alerts, and never a silent pass.
    empty = tmp_path / "empty"
    empty.mkdir()
    if "/usr/local/bin" not in (shutil.which("promtool") or ""):
        code, said, told = run(tmp_path, mine, "--judge", str(tape), PATH=str(empty))
        assert code == 1
        assert "NOT evaluated" in told
        assert "not evaluated" in said


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    process = command(tmp_path, written(tmp_path, SHORT))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(descendants(process.pid)) < 4:
        assert process.poll() is None
        time.sleep(0.2)
    children = descendants(process.pid)
    assert children
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "nothing of the rehearsal is left" in told
    assert "Traceback" not in told
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a scenario"),
        (("tsunami",), "no scenario is called 'tsunami'; there are duplicate-storm"),
        (("./tsunami.toml",), "there is no file ./tsunami.toml"),
        (("tet", "--step", "7s"), "whole minutes"),
        (("tet", "--view", "http://127.0.0.1:1"), "go together"),
        (("tet", "--html", "/no/such/folder/x.html"), "there is no folder"),
    ],
)
def test_what_cannot_be_rehearsed_is_refused_at_once(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    code, _, told = run(tmp_path, *arguments)
    assert code == 2
    assert said in " ".join(told.split())
    assert "Traceback" not in told


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", scenario.names())
def test_every_scenario_goes_as_it_states(name: str, tmp_path: Path) -> None:
    needs_promtool()
    process = command(tmp_path, name, "--json")
    said, told = process.communicate(timeout=1400)
    assert process.returncode == 0, told + said
    assert json.loads(said)["speed"] > 0
    assert left_behind(tmp_path) == []
