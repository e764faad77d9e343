"""`ioc rebuild` on a running system: the same numbers again, out of the source topics alone."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.core.kpis import CATALOGUE
from tests.e2e.system import System, samples, wait_for
from tests.e2e.system import page as metrics_page
from tests.strategies.events import stream

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

RECORDS = 4_000
ASKED = [name for name, kpi in CATALOGUE.items() if kpi.domain != "ind"]


def rebuild(system: System, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"IOC_BOOTSTRAP": system.kafka, "IOC_VIEW_PORT": str(system.base + 2)}
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "rebuild", "--json", *arguments],
        env=os.environ | environment, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip


def numbers(system: System, at: int) -> dict[str, list[str]]:
    found = {}
    for name in ASKED:
        window = None if CATALOGUE[name].is_stock else "24h"
        rows = system.view.query(name, now=at, window=window, by="district")[1]
        found[name] = sorted(map(repr, rows))
    return found


def restores(system: System) -> float:
    text = metrics_page(f"http://127.0.0.1:{system.base + 10}")
    return sum(samples(text, "ioc_worker_restores_total").values())


def test_every_number_comes_again_from_the_source_topics_while_the_system_runs(
    tmp_path: Path,
) -> None:
    with System(tmp_path) as system:
        now = int(time.time() * 1000)
        items = stream(11, RECORDS, now)
        system.send(items)
        system.view.wait_until_caught_up(len(items), 60)
        at = int(time.time() * 1000)
        before = numbers(system, at)
        outcomes = system.metric("ioc_events_total", "topic", "outcome")
        restored = restores(system)

        done = rebuild(system, "--yes")

        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["partitions"] == 16
        assert answer["workers"] == 1
        assert sum(answer["applied"].values()) == len(items)
        assert restores(system) == restored + 16
        assert numbers(system, at) == before
        assert system.metric("ioc_events_total", "topic", "outcome") == outcomes
        # And it goes on: what comes now is folded on top.
        more = stream(12, 500, now)
        system.send(more)
        wait_for(
            lambda: sum(system.metric("ioc_records_read_total", "topic").values())
            == len(items) + len(more),
            30, "the records that came after the rebuild",
        )  # fmt: skip


def test_without_a_broker_it_says_so_and_ends_with_1() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "rebuild", "--yes"],
        env=os.environ | {"IOC_BOOTSTRAP": "127.0.0.1:1"}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
