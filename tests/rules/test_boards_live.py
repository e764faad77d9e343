"""Every query of every board and every rule, run by a real Prometheus over a synthetic system."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from aiohttp import web

from grafana.check import Prometheus, check
from grafana.metrics import PRODUCERS
from grafana.stored import load, reasons
from tests.rules import exposition

ROOT = Path(__file__).parents[2]
METRICS_PORT, PROMETHEUS_PORT = 27010, 27011
URL = f"http://127.0.0.1:{PROMETHEUS_PORT}"


def _needed(program: str) -> str:
    if found := shutil.which(program):
        return found
    if os.environ.get("CI"):
        pytest.fail(f"{program} is not on PATH")
    pytest.skip(f"{program} is not on PATH")


@asynccontextmanager
async def _system() -> AsyncIterator[None]:
    """The metrics pages of a whole system; counters grow with each scrape."""
    ticks = iter(range(1, 1_000_000))

    async def page(request: web.Request) -> web.Response:
        make = {"view": exposition.view, "kpi": exposition.worker}
        text = make.get(request.match_info["job"], exposition.producer)(next(ticks))
        return web.Response(text=text, content_type="text/plain")

    app = web.Application()
    app.router.add_get("/{job}/metrics", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", METRICS_PORT).start()
    try:
        yield
    finally:
        await runner.cleanup()


def _config() -> str:
    jobs = "".join(
        f"""
  - job_name: {job}
    metrics_path: /{job}/metrics
    static_configs: [{{targets: ["127.0.0.1:{METRICS_PORT}"]}}]"""
        for job in ("view", "kpi", *PRODUCERS)
    )
    return f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["rules/*.yml"]
scrape_configs:{jobs}
  - job_name: prometheus
    static_configs: [{{targets: ["127.0.0.1:{PROMETHEUS_PORT}"]}}]
"""


@contextmanager
def _prometheus(home: Path) -> Iterator[None]:
    shutil.copytree(ROOT / "deploy/prometheus/rules", home / "rules")
    for path in (home / "rules").glob("*.yml"):
        # the real interval of 15 s would only make the test wait
        path.write_text(path.read_text().replace('interval: "15s"', 'interval: "1s"'))
    (home / "prometheus.yml").write_text(_config())
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [
                _needed("prometheus"),
                f"--config.file={home}/prometheus.yml",
                f"--storage.tsdb.path={home}/data",
                f"--web.listen-address=127.0.0.1:{PROMETHEUS_PORT}",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


async def _until_warm(deadline: float) -> None:
    """Two scrapes of everything and one run of every rule."""
    import aiohttp

    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            await asyncio.sleep(0.5)
            prometheus = Prometheus(session, URL)
            try:
                seen = await prometheus.query(
                    "count(up == 1) == 7 and on () count(rate(ioc_worker_records_total[1m])) > 0"
                )
                rules = await prometheus.rules()
            except Exception:  # noqa: S112  # still starting, in whichever way
                continue
            if seen and rules and all(rule["health"] != "unknown" for rule in rules):
                return
    pytest.fail("Prometheus did not get warm")


@pytest.mark.timeout(120)
def test_every_query_of_every_board_answers_in_a_real_prometheus(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with _system():
            with _prometheus(tmp_path):
                await _until_warm(time.monotonic() + 60)
                done = await check(URL, load(), reasons())
                assert done.findings == []
                assert done.checked > 800

                broken = load()[0]
                broken["panels"][1]["targets"][0]["expr"] = "sum(ioc_no_such_metric) by"
                broken["panels"][2]["targets"][0]["expr"] = "max(ioc_no_such) or vector(NaN)"
                faults = [f.fault for f in (await check(URL, [broken], {}, rules=False)).findings]
                assert any("parse error" in fault for fault in faults)
                assert "the answer is empty" in faults

    asyncio.run(scenario())
