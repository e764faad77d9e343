"""`ioc audit` before it reaches anything, and its report."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from services.audit import main, report
from services.audit.asking import Asking, Shown, ViewError
from services.audit.run import Report, under
from services.oracle.audit import Audit, Difference
from services.oracle.oracle import Places

PLACES = Places(
    districts={"522": "51", "523": "51", "461": "45"},
    communes={"21001": ("522", "51"), "19330": ("461", "45")},
)


@pytest.fixture(autouse=True)
def polite(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command lowers the priority of its process; here that would be the tests'."""
    monkeypatch.setattr(os, "nice", lambda increment: increment)


def called(folder: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main.audit, arguments, env={"IOC_DATA_DIR": str(folder)})
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kpi", "fr.nothing"], "the oracle knows no KPI called fr.nothing"),
        (["--window", "2h"], "'2h' is not one of"),
        (["--territory", "77"], "no territory has the code 77"),
        (["--memory", "lots"], "expected megabytes or gigabytes"),
        (["--memory", "0MB"], "expected megabytes or gigabytes"),
        (["--view", "localhost:8080"], "is no address like"),
        (["--bootstrap", "nowhere"], "IOC_BOOTSTRAP='nowhere'"),
        (["--namespace", "a b"], "IOC_NAMESPACE='a b'"),
        (["extra"], "unexpected extra argument"),
    ],
)
def test_a_wrong_call_is_refused_with_2(tmp_path: Path, arguments: list[str], said: str) -> None:
    code, output = called(tmp_path, *arguments)
    assert code == 2
    assert said in output


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    kept = tmp_path / "kept.duckdb"
    kept.write_text("mine")
    code, output = called(tmp_path, "--keep", str(kept))
    assert code == 2
    assert "is already there" in output
    assert kept.read_text() == "mine"


def test_without_a_view_there_is_no_audit_and_nothing_is_left(tmp_path: Path) -> None:
    code, output = called(tmp_path, "--view", "http://127.0.0.1:1", "--json")
    assert code == 1
    answer, said = output.splitlines()
    assert json.loads(answer)["equal"] is None
    assert said.startswith("no audit: the view at http://127.0.0.1:1 does not answer")
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, output = called(tmp_path / "file" / "below")
    assert code == 2
    assert "IOC_DATA_DIR" in output


@contextmanager
def serving(answers: dict[str, tuple[int, Any]]) -> Iterator[str]:
    """A server that answers by path: status and body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            status, body = answers.get(path, (404, {"detail": "there is nothing here"}))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_what_is_no_view_is_said_to_be_none() -> None:
    with serving({"/api/v1/wall": (200, {}), "/api/v1/kpis": (200, {"kpis": []})}) as url:
        with pytest.raises(ViewError, match="is no view"):
            Asking(url).shown()
    with serving({}) as url, pytest.raises(ViewError, match="404: there is nothing here"):
        Asking(url).shown()


def test_an_answer_of_another_form_is_said_to_be_one() -> None:
    shown = Shown("wall", "", {"fr.received": ("1h",)})
    with serving({"/api/v1/numbers": (200, {"kpis": {}})}) as url:
        with pytest.raises(ViewError, match="answers 1h in another form"):
            list(Asking(url).answers(shown, ["1h"], [], dimensions=False))
    with serving({"/api/v1/numbers": (422, {"detail": "no window"})}) as url:
        with pytest.raises(ViewError, match="422: no window"):
            list(Asking(url).answers(shown, [], [], dimensions=True))


def test_a_view_is_asked_only_for_what_it_serves_and_what_is_wanted() -> None:
    shown = Shown(
        "wall", "",
        {"fr.received": ("1h", "24h"), "fr.open_now": ("now",), "eco.stores": ("now",)},
    )  # fmt: skip
    body = {"window": "1h", "as_of": "2026-03-10T09:30:00Z", "kpis": {}, "partitions": []}
    with serving({"/api/v1/numbers": (200, body)}) as url:
        asking = Asking(url)
        assert len(list(asking.answers(shown, [], [], dimensions=False))) == 4
        assert len(list(asking.answers(shown, ["now"], [], dimensions=False))) == 2
        assert len(list(asking.answers(shown, [], ["eco.stores"], dimensions=False))) == 1
        assert list(asking.answers(shown, ["7d"], [], dimensions=False)) == []


def test_a_territory_takes_what_lies_below_it_along() -> None:
    assert under(PLACES, []) is None
    assert under(PLACES, ["51", "all"]) is None
    assert under(PLACES, ["51"]) == {"51", "522", "523", "21001"}
    assert under(PLACES, ["461", "21001"]) == {"461", "19330", "21001"}


def test_the_report_names_and_counts() -> None:
    found = Audit(compared=1000)
    found.note("ioc.listing.v1/0: the log begins at offset 5")
    text = report.text(Report(found, records=10, letters=1), 5)
    assert "note: ioc.listing.v1/0: the log begins at offset 5" in text
    assert text.endswith("all equal")
    found.differences += [
        Difference("kpi", "fr.received", "1h", str(n), None, str(n), "0") for n in range(1, 8)
    ]
    text = report.text(Report(found, records=10, letters=1), 5)
    assert "kpi   fr.received  1h      5" in text
    assert "… and 2 more (--limit)" in text
    assert "7  fr.received 1h" in text
    assert text.endswith("7 differ")
    document = report.document(Report(found))
    assert document["equal"] is False
    assert json.loads(json.dumps(document))["differences"][0]["territory"] == "1"
