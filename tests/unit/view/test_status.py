"""``ioc status``: one screen from a view's answers, and a clear word when there is no view."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp.test_utils import TestServer
from click.testing import CliRunner, Result

from services.view.server import create_app
from services.view.status import colour, duration, shown, status
from tests.unit.view.rig import Rig, filled


@contextmanager
def served(rig: Rig) -> Iterator[str]:
    """The view in a thread of its own, its address; looked up once, so that it is ready."""
    started, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    address: list[str] = []

    async def run() -> None:
        async with TestServer(create_app(rig.api)) as server:
            await rig.progress.fresh()
            address.append(f"http://127.0.0.1:{server.port}")
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    started.wait(10)
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(status, arguments, env={"COLUMNS": "160"})


def test_one_screen_shows_progress_kpis_feeds_and_rejects() -> None:
    with served(filled()) as url:
        result = run("--url", url)
    assert result.exit_code == 0, result.output
    for words in ("caught up", "Reports overdue now", "field-report", "not_json", "80.0 %"):
        assert words in result.output
    assert "SIMULATED" not in result.output


def test_json_is_one_object_for_machines() -> None:
    with served(filled()) as url:
        result = run("--url", url, "--json")
    body = json.loads(result.stdout)
    assert body["caught_up"] is True
    assert body["kpis"][0]["kpi"] == "fr.received"
    assert body["kpis"][0]["rows"][0]["value"] == 4


def test_a_view_that_should_not_be_believed_is_found_wanting() -> None:
    rig = filled()
    rig.reading = "reading the partial results: 1 of 2 partitions read"
    with served(rig) as url:
        result = run("--url", url)
    assert result.exit_code == 1
    assert "1 of 2 partitions" in result.output


def test_without_a_view_it_says_so_and_fails() -> None:
    result = run("--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "no view answers at http://127.0.0.1:9" in result.output


def test_a_wrong_call_is_a_usage_error() -> None:
    assert run("--url", "ftp://nowhere").exit_code == 2
    assert run("--json", "--watch").exit_code == 2


def test_colours_follow_target_and_direction() -> None:
    assert colour(None, 0.9, "up") == "bright_black"
    assert colour(0.5, None, "up") == "default"
    assert colour(0.9, 0.9, "up") == "green"
    assert colour(0.85, 0.9, "up") == "yellow"
    assert colour(0.5, 0.9, "up") == "red"
    assert colour(0, 0, "down") == "green"
    assert colour(1, 0, "down") == "red"


def test_values_and_durations_are_written_for_people() -> None:
    assert shown(None, "ratio") == "no data"
    assert shown(1.113, "ratio") == "111.3 %"
    assert shown(1_234_567, "vnd") == "1,234,567"
    assert shown(4.6, "days") == "4.60"
    assert [duration(s) for s in (None, 5, 65, 3_700, 90_000)] == [
        "never",
        "5 s",
        "1 min 5 s",
        "1 h 1 min",
        "1 d 1 h",
    ]
