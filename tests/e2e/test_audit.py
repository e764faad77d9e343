"""`ioc audit` beside a whole system on real Kafka: nothing differs, and what is wrong is named."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest

from tests.e2e.system import System
from tests.strategies.events import stream

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

RECORDS = 4_000


@pytest.fixture(scope="module", params=["wall", pytest.param("event", marks=pytest.mark.slow)])
def system(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    clock = request.param
    running = System(tmp_path_factory.mktemp("audit"), clock=clock, namespace=f"audited-{clock}")
    now = int(time.time() * 1000)
    items = stream(19, RECORDS, now, event_clock=clock == "event")
    running.send(items)
    running.view.wait_until_caught_up(len(items), 90)
    yield running
    assert running.stop() == 0


def audited(
    system: System, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    settings = {
        "IOC_BOOTSTRAP": system.kafka,
        "IOC_NAMESPACE": system.namespace,
        "IOC_VIEW_PORT": system.view.url.rpartition(":")[2],
        "IOC_DATA_DIR": str(system.folder / "audits"),
    }
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "audit", *arguments],
        env=os.environ | settings | environment,
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def result_of(done: subprocess.CompletedProcess[str], status: int) -> dict[str, Any]:
    assert done.returncode == status, done.stderr + done.stdout
    return cast("dict[str, Any]", json.loads(done.stdout))


@contextmanager
def changed_view(url: str, wrong: Mapping[str, Any]) -> Iterator[str]:
    """The view, but for one number: the row of a KPI, window and territory counts one more."""

    class Liar(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                with urllib.request.urlopen(url + self.path, timeout=30) as answer:  # noqa: S310 (http here)
                    status, body = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, body = error.code, error.read()
            if self.path.startswith(f"/api/v1/numbers?window={wrong['window']}"):
                content = json.loads(body)
                for row in content["kpis"].get(wrong["kpi"], {"rows": []})["rows"]:
                    if row[0] == wrong["territory"]:
                        row[2] += 1
                body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_every_number_of_a_live_system_is_what_the_topics_say(
    system: System, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.duckdb"
    found = result_of(audited(system, "--json", "--keep", str(kept)), 0)
    assert found["equal"] is True
    assert found["differences"] == []
    assert found["records"] >= RECORDS
    assert found["dead_letters"] > 30
    assert found["compared"] > 50_000
    windows = {answer["window"] for answer in found["answers"]}
    assert windows == {None, "5m", "1h", "24h", "7d", "30d", "today", "month", "quarter", "year"}
    assert found["notes"] == []
    with duckdb.connect(str(kept), read_only=True) as database:
        reports = database.execute("SELECT count(*) FROM report").fetchall()[0][0]
    assert reports > 100
    assert list((system.folder / "audits").iterdir()) == []


def test_a_wrong_number_is_named_by_kpi_window_and_territory(system: System) -> None:
    wrong = {"kpi": "fr.received", "window": "month", "territory": "51"}
    with changed_view(system.view.url, wrong) as url:
        done = audited(system, "--view", url, "--kpi", "fr.received", "--kpi", "gov.on_time_rate")
        assert done.returncode == 1, done.stderr
        line = next(line for line in done.stdout.splitlines() if line.startswith("kpi "))
        assert line.split()[:4] == ["kpi", "fr.received", "month", "51"]
        assert "1 differ" in done.stdout
        elsewhere = audited(system, "--view", url, "--territory", "45", "--window", "month")
        assert elsewhere.returncode == 0, elsewhere.stdout
        assert "all equal" in elsewhere.stdout


def test_records_that_come_while_it_works_do_not_disturb_it(system: System) -> None:
    event = "event" in system.namespace
    more = stream(20, 2_000, int(time.time() * 1000), event_clock=event)
    sender = threading.Thread(target=system.send, args=(more,))
    sender.start()
    try:
        done = audited(system, "--json", "--dimensions", "--window", "24h", "--window", "now")
        assert result_of(done, 0)["differences"] == []
    finally:
        sender.join()


def test_what_cannot_be_audited_is_said_in_one_line(system: System) -> None:
    for arguments, environment, said in (
        (["--bootstrap", "127.0.0.1:1"], {}, "Kafka at 127.0.0.1:1 does not answer"),
        (["--view", "http://127.0.0.1:1"], {}, "the view at http://127.0.0.1:1 does not answer"),
        ([], {"IOC_NAMESPACE": "elsewhere"}, "the topics asked for are of the namespace"),
    ):
        done = audited(system, *arguments, **environment)
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
