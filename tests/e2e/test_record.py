"""`ioc record` against a real broker: ranges, filters, following, kill -9, a full disk."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas import catalog
from services.replay import Recording, RecordingError
from services.runtime.kafka import ensure_topics
from tests.e2e.system import PARTITIONS, command, send, wait_for
from tests.e2e.workers import read_raw, running_broker
from tests.strategies.events import stream

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

NAMESPACE = "source"
NOW = int(time.time() * 1000)
Seen = dict[tuple[str, int], list[tuple[int, int, bytes | None, bytes | None]]]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_broker(tmp_path_factory.mktemp("broker")) as kafka:
        ensure_topics(kafka.bootstrap, NAMESPACE, PARTITIONS)
        send(kafka.bootstrap, stream(1, 3_000, NOW), NAMESPACE)
        yield kafka.bootstrap


def run(broker: str, *arguments: str, room: int | None = None) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        if room is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    return subprocess.run(
        [sys.executable, "-m", "services.cli", "record", *arguments, f"--bootstrap={broker}",
         f"--namespace={NAMESPACE}", "--json"],
        capture_output=True, text=True, timeout=120, check=False, preexec_fn=limit,
    )  # fmt: skip


def in_kafka(broker: str) -> Seen:
    raw = read_raw(broker, NAMESPACE, *catalog.SOURCES)
    return {
        place: [(r.offset, r.timestamp, r.key, r.value) for r in rows]
        for place, rows in raw.items()
        if rows
    }


def in_file(path: Path) -> Seen:
    seen: Seen = {}
    with Recording.open(path) as found:
        assert found.torn is None, found.torn
        for r in found:
            rows = seen.setdefault((r.topic, r.partition), [])
            rows.append((r.offset, r.timestamp, r.key, r.value))
    return seen


def test_a_recording_holds_every_record_as_the_broker_has_it(broker: str, tmp_path: Path) -> None:
    done = run(broker, str(tmp_path / "a.iocrec"))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    expected = in_kafka(broker)
    assert in_file(tmp_path / "a.iocrec") == expected
    assert told["records"] == sum(map(len, expected.values()))
    assert told["partitions"]["ioc.listing.v1"] == PARTITIONS
    with Recording.open(tmp_path / "a.iocrec") as found:
        assert any(name == "content-type" for r in found for name, _ in r.headers)


def test_times_offsets_and_filters_choose(broker: str, tmp_path: Path) -> None:
    every = in_kafka(broker)
    stamps = sorted(r[1] for rows in every.values() for r in rows)
    middle = stamps[len(stamps) // 2]
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(middle // 1000))
    done = run(broker, str(tmp_path / "a"), f"--from={since}.{middle % 1000:03d}+00:00")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["records"] == sum(s >= middle for s in stamps)
    done = run(broker, str(tmp_path / "b"), "--offsets=listing/1:5-25")
    assert done.returncode == 0, done.stderr
    assert in_file(tmp_path / "b") == {("ioc.listing.v1", 1): every["ioc.listing.v1", 1][5:25]}
    done = run(broker, str(tmp_path / "c"), "--type=order", "--territory=51")
    assert done.returncode == 0, done.stderr
    chosen = [r for rows in in_file(tmp_path / "c").values() for r in rows]
    assert chosen
    assert all(b"ioc.order.v1" in (r[3] or b"") for r in chosen)


def test_following_survives_kill_9_and_goes_on_without_gap_or_double(
    broker: str, tmp_path: Path
) -> None:
    path, log = tmp_path / "live.iocrec", tmp_path / "log"
    where = {"IOC_BOOTSTRAP": broker, "IOC_NAMESPACE": NAMESPACE}
    more = stream(2, 900, NOW)

    def recorded() -> int:
        try:
            with Recording.open(path) as found:
                return len(found)
        except (OSError, RecordingError):
            return 0  # it is just being made

    before = sum(map(len, in_kafka(broker).values()))
    with command(log, "record", str(path), "--follow", **where) as process:
        wait_for(lambda: recorded() >= before, 60, "the past is recorded")
        send(broker, more[:300], NAMESPACE)
        wait_for(lambda: recorded() > before, 30, "something new is recorded")
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    path.write_bytes(path.read_bytes()[:-7])  # and the last write did not get to the disk
    send(broker, more[300:600], NAMESPACE)
    with command(log, "record", str(path), "--append", "--follow", **where) as process:
        send(broker, more[600:900], NAMESPACE)
        wait_for(lambda: recorded() >= before + 900, 60, "all of it is recorded")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert "torn at byte" in log.read_text()
    assert in_file(path) == in_kafka(broker)
    with Recording.open(path) as found:
        assert found.finished == "stopped by hand"


def test_following_ends_when_the_time_is_up(broker: str, tmp_path: Path) -> None:
    done = run(broker, str(tmp_path / "a"), "--follow", "--duration=2")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ended"] == "the time was up"
    assert in_file(tmp_path / "a") == in_kafka(broker)


def test_a_full_disk_leaves_a_whole_file_and_room_lets_it_go_on(
    broker: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.iocrec"
    done = run(broker, str(path), room=70_000)
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    with Recording.open(path) as found:
        assert found.torn is None
        held = len(found)
        assert f"{held:,} whole records" in done.stderr
    assert held > 0
    done = run(broker, str(path), "--append")
    assert done.returncode == 0, done.stderr
    assert in_file(path) == in_kafka(broker)


def test_what_is_not_there_is_named(broker: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "record", str(tmp_path / "a"),
         f"--bootstrap={broker}", "--namespace=nobody"],
        capture_output=True, text=True, timeout=60, check=False,
        env=os.environ,
    )  # fmt: skip
    assert done.returncode == 1
    assert "has no topic nobody.ioc.field-report.v1" in done.stderr
    assert not (tmp_path / "a").exists()
