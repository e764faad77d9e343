"""docs/time-travel.md, done: 27 September 2022 on the boards, in a Prometheus of its own."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from grafana.metrics import exposed, windows
from services.runtime.own_system import OwnSystem
from services.runtime.ports import claim_block
from services.up.monitoring import RETENTION_SIZE, RETENTION_TIME, prometheus_command

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        shutil.which("promtool") is None or shutil.which("prometheus") is None,
        reason="Prometheus is not on PATH",
    ),
]

ROOT = Path(__file__).parents[2]
END = "2022-09-28T00:00:00+07:00"


def ioc(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
        env=os.environ | environment,
    )  # fmt: skip


def ask(url: str, **query: str) -> Any:
    with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(query)}", timeout=60) as answer:  # noqa: S310 (this machine)
        return json.load(answer)


@contextmanager
def prometheus(data: Path) -> Iterator[str]:
    """One that runs on a data directory, with the retention of `ioc up`."""
    port = claim_block()
    config = data.with_suffix(".yml")
    config.write_text("{}\n", encoding="utf-8")
    process = subprocess.Popen(
        prometheus_command("prometheus", config, data, port), stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            try:
                with urllib.request.urlopen(f"{url}/-/ready", timeout=5):  # noqa: S310 (this machine)
                    break
            except OSError:
                time.sleep(0.3)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def of_prometheus(url: str, at: str) -> dict[tuple[str, str, str], float]:
    """(metric, window, territory) -> value of every KPI without a dimension."""
    found = {}
    for one in ask(f"{url}/api/v1/query", query='{__name__=~"ioc_(fr|gov|eco)_.+"}', time=at)[
        "data"
    ]["result"]:
        labels = one["metric"]
        if "_by_" not in labels["__name__"] and not labels["__name__"].endswith("_entities"):
            place = labels.get("district") or labels.get("province") or "all"
            found[labels["__name__"], labels["window"], place] = float(one["value"][1])
    return found


def of_view(url: str, at: str) -> dict[tuple[str, str, str], float]:
    found = {}
    for window in sorted({w for kpi in exposed() for w in windows(kpi)}):
        kpis = ask(f"{url}/api/v1/numbers", window=window, as_of=at)["kpis"]
        for kpi in exposed():
            for territory, _, value, *_ in kpis.get(kpi.name, {"rows": []})["rows"]:
                if value is not None and re.fullmatch(r"all|\d\d\d?", territory):
                    found[kpi.metric, window, territory] = value * kpi.metric_factor
    return found


def test_a_day_of_2022_is_opened_on_the_ordinary_boards(tmp_path: Path) -> None:
    data = tmp_path / "prometheus"
    assert (RETENTION_TIME, RETENTION_SIZE) == ("10y", "8GB")
    with OwnSystem(tmp_path / "system", clock="event", namespace="noru") as system:
        done = ioc(
            "history", "--days=1", "--scenario=noru", f"--start={END}", "--json",
            IOC_BOOTSTRAP=system.bootstrap, IOC_NAMESPACE="noru", IOC_CLOCK="event",
            IOC_DATA_DIR=str(tmp_path / "history"),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        records = json.loads(done.stdout)["total"]
        system.view.wait_until_caught_up(records, 240)

        # What a Prometheus that is running on the directory does with new blocks.
        data.mkdir()
        with prometheus(data) as url:
            done = ioc(
                "backfill", f"--from-log={system.bootstrap}", "--namespace=noru",
                "--start=2022-09-27T19:00:00+07:00", f"--end={END}", f"--blocks={data}",
                f"--check-view={system.line['view']}", "--json",
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            result = json.loads(done.stdout)
            assert result["differences"] == []
            assert result["compared"] > 20_000
            assert result["records"] == records
            deadline = time.monotonic() + 120
            while not of_prometheus(url, END):
                assert time.monotonic() < deadline, "the running Prometheus saw no block"
                time.sleep(2)

            shown, told = of_prometheus(url, END), of_view(system.line["view"], END)
            assert len(told) > 5_000
            different = {
                key: (shown.get(key), value)
                for key, value in told.items()
                if not math.isclose(shown.get(key, math.nan), value, rel_tol=1e-12)
            }
            assert different == {}

            checked = ioc(
                "grafana", "check", f"--prometheus={url}", "--at=2022-09-27T22:00:00+07:00",
                "--no-rules", "--json",
            )  # fmt: skip
            findings = json.loads(checked.stdout)["findings"]
            # Processes have no past: their panels are the only ones without an answer.
            assert {f["where"].partition(" / ")[0] for f in findings} <= {"ioc-pipeline-health"}
        assert system.stop() == 0
