"""`ioc load` as it is called: what it refuses, and what it shows of results that are kept."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner

from services.load.main import load
from services.load.report import html, text
from tests.unit.load.test_compare import result


def call(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(load, arguments)
    assert found.exception is None or isinstance(found.exception, SystemExit)
    return found.exit_code, found.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rate", "0"], "--rate"),
        (["--seconds", "100000"], "--seconds"),
        (["--profile", "ramp"], "needs a second rate: --to"),
        (["--to", "9"], "--to belongs to"),
        (["--mix", "cats=1"], "expected KIND=SHARE"),
        (["--p99", "soon"], "no duration"),
        (["--loss", "2"], "no share"),
        (["--rate-achieved", "101%"], "no share"),
        (["--rate", "1000000", "--seconds", "60"], "more than --max-events"),
        (["--bootstrap", "127.0.0.1:9092"], "belong together"),
        (["--view", "http://127.0.0.1:8080"], "belong together"),
        (["--pid", "kpi"], "not NAME=PID"),
        (["--profile", "wave"], "wave"),
        (["compare", "a.json"], "does not exist"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[str], said: str) -> None:
    code, output = call(*arguments)
    assert code == 2
    assert said in output
    assert "Traceback" not in output


class _View(BaseHTTPRequestHandler):
    """Answers /api/v1/wall with what the class says."""

    wall: ClassVar[dict[str, Any]] = {}

    def do_GET(self) -> None:
        body = json.dumps(self.wall).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def view() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _View) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("wall", "said"),
    [
        ({"namespace": "", "clock_kind": "wall"}, "--live"),
        ({"namespace": "x", "clock_kind": "event"}, "event clock"),
        ({"hello": 1}, "no view of ours"),
    ],
)
def test_a_system_that_must_not_be_loaded_is_left_alone(
    view: str, monkeypatch: pytest.MonkeyPatch, wall: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(_View, "wall", wall)
    code, output = call("--bootstrap", "127.0.0.1:1", "--view", view)
    assert code == 2
    assert said in output


def test_another_host_is_only_loaded_when_it_is_said() -> None:
    code, output = call("--bootstrap", "kafka.example:9092", "--view", "http://127.0.0.1:1")
    assert code == 2
    assert "kafka.example is not this machine" in output
    code, output = call("--bootstrap", "127.0.0.1:1", "--view", "http://10.0.0.1")
    assert "10.0.0.1 is not this machine" in output


def test_a_view_that_is_not_there_is_said_at_once() -> None:
    code, output = call("--bootstrap", "127.0.0.1:1", "--view", "http://127.0.0.1:1")
    assert code == 1
    assert "the view does not answer" in output


def kept(folder: Path, name: str, what: Any) -> str:
    path = folder / name
    path.write_text(json.dumps(what))
    return str(path)


def test_compare_exits_1_when_something_is_worse(tmp_path: Path) -> None:
    a, b = kept(tmp_path, "a", result(1)), kept(tmp_path, "b", result(2, p99=0.8))
    code, output = call("compare", a, b)
    assert code == 1
    assert "worse" in output
    assert call("compare", b, a)[0] == 0
    other = result(2, p99=0.8)
    other["verdict"]["limits"] = ["the sender was late"]
    c = kept(tmp_path, "c", other)
    code, output = call("compare", a, c)
    assert code == 0
    assert "disturbed: B: the sender was late" in output
    assert call("compare", a, c, "--anyway")[0] == 1
    code, output = call("compare", a, a, "--json")
    assert code == 0
    assert {line["call"] for line in json.loads(output)["figures"]} == {"noise"}


def test_files_that_are_no_results_are_refused(tmp_path: Path) -> None:
    a, foreign = kept(tmp_path, "a", result(1)), kept(tmp_path, "b", {"x": 1})
    torn = tmp_path / "torn"
    torn.write_text('{"ioc_load": 1, ')
    for other in (foreign, str(torn)):
        assert call("compare", a, other)[0] == 2
        assert call("report", other)[0] == 2


def whole(outcome: str = "passed") -> dict[str, Any]:
    """A result with everything that a report shows."""
    times = dict.fromkeys(("p50", "p90", "p95", "p99", "p99_9", "max"), 0.5)
    run = result(1)
    run["series"] |= dict.fromkeys(
        ("wanted", "sent", "acked", "shown", "slip"), run["series"]["p99"]
    )
    run["load"] |= {"seed": 1, "run": "x", "poll_s": 0.02}
    run["machine"] |= {"librdkafka": "2", "load_average_before": [0.1, 0.2, 0.3]}
    return run | {
        "verdict": {"outcome": outcome, "broken": ["it <broke>"], "limits": ["load & more"]},
        "slo": {"p50": None, "p99": 1.0, "p99_9": None, "loss": 0.0, "rate_achieved": 0.99},
        "counts": {"sent": 100, "acked": 100, "refused": 0, "unacknowledged": 0, "lost": 0,
                   "loss": 0.0},
        "outcomes": {"applied": 100}, "rates": {"wanted": 5.0, "sent": 5.0}, "allowance_s": 1.0,
        "freshness": times, "resolution": times, "acknowledged": times, "slip": times,
        "from_sending": times, "senders_cpu": [0.1], "queue_full": 0, "bytes": 70_000,
    }  # fmt: skip


def test_a_report_needs_nothing_from_elsewhere_and_shows_what_was_found(tmp_path: Path) -> None:
    page = html(whole())
    assert page.count("<svg") == 4
    assert "http" not in page
    assert "<script" not in page
    assert "it &lt;broke&gt;" in page
    assert "load &amp; more" in page
    out = tmp_path / "page.html"
    code, output = call("report", kept(tmp_path, "a", whole()), "--html", str(out))
    assert code == 0
    assert output.startswith("PASSED")
    assert out.read_text() == page


def test_a_search_shows_every_try_and_what_gave_way() -> None:
    tries = [whole("passed"), whole("failed")]
    tries[1]["load"] = tries[1]["load"] | {"points": [[0.0, 9.0], [35.0, 9.0]]}
    search = {
        "ioc_load": 1,
        "knee": {"rate": 5.0, "breaks_at": 9.0, "gave_way": ["p99 2 s over 1 s"]},
        "verdict": {"outcome": "passed", "broken": [], "limits": []},
        "slo": tries[0]["slo"],
        "tries": tries,
    }
    said = text(search)
    assert said.startswith("PASSED: 5 events/s")
    assert "at 9/s: p99 2 s over 1 s" in said
    assert "failed" in said
    assert html(search).count("<svg") == 5
