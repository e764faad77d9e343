"""`ioc doctor`: one line per thing, what to do, and an exit code."""

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner

from services.runtime import kafka
from services.runtime.ports import Ports
from services.runtime.settings import Settings
from services.up import doctor
from services.up.doctor import Finding


class _View(BaseHTTPRequestHandler):
    answer: bytes = b""

    def do_GET(self) -> None:  # the name that http.server calls
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, format: str, *args: object) -> None:  # the name that it overrides
        return


@pytest.fixture
def view() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _View) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "verdict", "found"),
    [
        ({"caught_up": True, "partitions": []}, "ok", "caught up"),
        ({"caught_up": False, "partitions": [{"lag": 5}, {"lag": 2}]}, "warn", "7 records behind"),
        ({"hello": 1}, "fail", "not as a view does"),
    ],
)
def test_the_view_is_judged_by_its_progress(
    view: str, answer: dict[str, object], verdict: str, found: str
) -> None:
    _View.answer = json.dumps(answer).encode()
    finding = doctor.check_view(view)
    assert finding.verdict == verdict
    assert found in finding.found


def test_a_view_that_is_gone_is_a_failure() -> None:
    assert doctor.check_view("http://127.0.0.1:9").verdict == "fail"


def test_topics_that_are_not_right_are_named_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kafka, "cluster_id", lambda *_, **__: "abc")
    monkeypatch.setattr(kafka, "inspect_topics", lambda *_, **__: ["ioc.listing.v1 is missing"])
    broker, topics = doctor.check_broker(Settings())
    assert broker.verdict == "ok"
    assert topics == Finding(
        "fail", "topics", "ioc.listing.v1 is missing", "correct them with `ioc topics`"
    )


def test_a_taken_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        finding = doctor.check_ports(Ports(view=port))
    assert finding.verdict == "fail"
    assert f"{port} (view)" in finding.found


def test_a_system_counts_as_running_only_when_its_broker_answers(tmp_path: Path) -> None:
    assert doctor.running_system(tmp_path) is None
    (tmp_path / "running.json").write_text('{"kafka": "127.0.0.1:9", "view": null}')
    assert doctor.running_system(tmp_path) is None
    with socket.socket() as broker:
        broker.bind(("127.0.0.1", 0))
        broker.listen()
        where = {"kafka": f"127.0.0.1:{broker.getsockname()[1]}", "view": None}
        (tmp_path / "running.json").write_text(json.dumps(where))
        assert doctor.running_system(tmp_path) == where


@pytest.mark.parametrize(("verdict", "code"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_the_exit_code_is_1_only_when_something_fails(
    verdict: doctor.Verdict, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = Finding(verdict, "disk", "some", "do this")
    monkeypatch.setattr(doctor, "examine", lambda *_: [finding])
    result = CliRunner().invoke(doctor.doctor, [])
    assert result.exit_code == code
    assert verdict in result.output
    assert "→ do this" in result.output
    as_json = CliRunner().invoke(doctor.doctor, ["--json"])
    assert json.loads(as_json.output)[0]["todo"] == "do this"
