"""`ioc replay` through real systems: the same numbers, and a verdict that is not always "equal"."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from confluent_kafka.admin import AdminClient

from schemas import catalog
from services.cli import main
from services.replay import sender
from services.replay.target import topics_of
from services.runtime import own_system
from services.runtime.embedded import EmbeddedKafka
from services.runtime.kafka import ensure_topics
from services.runtime.process import wait_until_gone
from tests.bench.processes import family
from tests.e2e.system import PARTITIONS, send, wait_for
from tests.e2e.workers import read_raw, running_broker
from tests.strategies.events import stream
from tests.unit.replay.recordings import recording

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    with running_broker(tmp_path_factory.mktemp("broker")) as kafka:
        yield kafka


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "day.iocrec"
    recording(path, seed=21, count=1_500)
    return path


def call(*arguments: str) -> Result:
    """In this process, so that parts of it can be replaced."""
    return CliRunner().invoke(main, ["replay", *arguments])


@contextmanager
def started(log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "replay", *arguments],
            stdout=out, stderr=out, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def namespaces(broker: EmbeddedKafka) -> set[str]:
    names = AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=10).topics
    return {n.partition(".")[0] for n in names if n.count(".") == 3}


def written(broker: EmbeddedKafka, namespace: str) -> int:
    if len(topics_of(broker.bootstrap, namespace)) < len(catalog.TOPICS):
        return 0
    return sum(map(len, read_raw(broker.bootstrap, namespace, *catalog.SOURCES).values()))


def test_a_recording_has_its_numbers_again_in_a_system_of_its_own_that_leaves_nothing(
    day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setattr(own_system, "tempfile", SimpleNamespace(mkdtemp=lambda **_: str(folder)))
    result = call(str(day), "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["verdict"], told["against"], told["different"]) == ("equal", "the recording", 0)
    assert told["numbers"] > 100_000
    assert not folder.exists()


@pytest.mark.slow
def test_what_was_changed_is_judged_by_what_was_sent_and_the_namespace_is_gone(
    broker: EmbeddedKafka, day: Path
) -> None:
    result = call(
        str(day), f"--bootstrap={broker.bootstrap}", "--namespace=trial", "--json", "--loop=2",
        "--duplicate=0.1", "--delay=0.1:3600", "--drop=0.05", "--corrupt=0.05", "--seed=3",
        "--speed=9000000", "--territory=all", "--rebase",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["verdict"], told["against"]) == ("equal", "what was sent")
    assert "trial" not in namespaces(broker)


def test_a_record_lost_behind_the_verdicts_back_is_a_difference(
    broker: EmbeddedKafka, day: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = sender.Sender.send_all
    lost: list[Any] = []

    def lossy(self: sender.Sender, topic: str, partition: int, rows: Any) -> None:
        rows = list(rows)
        if topic == "ioc.admin-case.v1" and not lost:
            lost.append(rows.pop(len(rows) // 2))
            self.sent += 1
        honest(self, topic, partition, rows)

    monkeypatch.setattr(sender.Sender, "send_all", lossy)
    result = call(str(day), f"--bootstrap={broker.bootstrap}", "--json")
    assert len(lost) == 1
    assert result.exit_code == 1, result.output
    told = json.loads(result.stdout)
    assert told["verdict"] == "different"
    assert any("outcomes of ioc.admin-case.v1" in line for line in told["differences"])
    assert any("records, " in line and "were sent" in line for line in told["differences"])


def test_a_namespace_in_use_is_refused_and_left_alone(broker: EmbeddedKafka, day: Path) -> None:
    ensure_topics(broker.bootstrap, "mine", PARTITIONS)
    before = topics_of(broker.bootstrap, "mine")
    result = call(str(day), f"--bootstrap={broker.bootstrap}", "--namespace=mine")
    assert result.exit_code == 2
    assert "'mine' is in use" in result.output
    assert topics_of(broker.bootstrap, "mine") == before


def test_topics_are_replayed_straight_and_a_live_system_only_after_two_answers(
    broker: EmbeddedKafka,
) -> None:
    ensure_topics(broker.bootstrap, "from", PARTITIONS)
    ensure_topics(broker.bootstrap, "into", PARTITIONS)
    send(broker.bootstrap, stream(3, 400, int(time.time() * 1000)), "from")
    count = written(broker, "from")
    arguments = (
        "--from-topic", f"--bootstrap={broker.bootstrap}", "--from-namespace=from",
        "--namespace=into", "--live", "--json",
    )  # fmt: skip
    refused = call(*arguments, "--yes-live")
    assert (refused.exit_code, written(broker, "into")) == (2, 0)
    result = call(*arguments, "--yes-live", "--yes-live")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["verdict"], told["written"]) == ("not judged", count)
    assert written(broker, "into") == count


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_hand_it_leaves_no_topic_and_no_process(
    broker: EmbeddedKafka, day: Path, tmp_path: Path, number: int
) -> None:
    name = f"stopped-{number}"
    log = tmp_path / "log"
    with started(
        log, str(day), f"--bootstrap={broker.bootstrap}", f"--namespace={name}", "--speed=1"
    ) as process:
        wait_for(lambda: written(broker, name) > 0, 60, "something was sent")
        children = set(family(process.pid)) - {process.pid}
        assert len(children) >= 2
        process.send_signal(number)
        assert process.wait(60) == 1
    assert "nothing of the replay is left behind" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert topics_of(broker.bootstrap, name) == {}
    assert all(wait_until_gone(pid, 10) for pid in children)


@pytest.mark.slow
def test_a_cluster_that_goes_and_comes_back_in_the_middle_changes_no_number(
    day: Path, tmp_path: Path
) -> None:
    with running_broker(tmp_path / "broker") as broker:
        log = tmp_path / "log"
        with started(
            log, str(day), f"--bootstrap={broker.bootstrap}", "--namespace=outage",
            "--speed=20000", "--json",
        ) as process:  # fmt: skip
            wait_for(lambda: written(broker, "outage") > 100, 60, "something was sent")
            broker.process.kill()
            time.sleep(8)
            assert process.poll() is None
            broker.start()
            assert process.wait(200) == 0, log.read_text()
        said = log.read_text()
        told = json.loads(said.splitlines()[-1])
        assert told["verdict"] == "equal"
        assert "waiting for it to come back" in said
        assert topics_of(broker.bootstrap, "outage") == {}


@pytest.mark.slow
def test_a_replay_that_was_killed_goes_on_from_its_position_with_the_same_numbers(
    broker: EmbeddedKafka, day: Path, tmp_path: Path
) -> None:
    position, log = tmp_path / "position", tmp_path / "log"
    arguments = (
        str(day), f"--bootstrap={broker.bootstrap}", f"--resume={position}", "--drop=0.1", "--json",
    )  # fmt: skip

    def noted() -> int:
        return int(json.loads(position.read_text())["sent"]) if position.exists() else 0

    with started(log, *arguments, "--speed=15000") as process:
        wait_for(lambda: noted() > 50, 90, "a position is noted")
        children = set(family(process.pid)) - {process.pid}
        process.kill()
        process.wait(10)
    assert all(wait_until_gone(pid, 20) for pid in children)
    namespace = json.loads(position.read_text())["about"]["namespace"]
    other = call(*arguments, "--seed=9")
    assert (other.exit_code, "another replay" in other.output) == (2, True)
    assert topics_of(broker.bootstrap, namespace)
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["verdict"] == "equal"
    assert "going on after" in result.stderr
    assert not position.exists()
    assert topics_of(broker.bootstrap, namespace) == {}
