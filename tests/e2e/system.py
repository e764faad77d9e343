"""A whole system for tests: `ioc up` on ports of its own, what it says, and what goes into it."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any, TypeVar, cast

import pytest
from confluent_kafka import Producer

from services.runtime.ports import BLOCK, LOOPBACK
from tests.e2e.http_view import HttpView
from tests.oracle.raw import partition_of
from tests.strategies.events import Item

PARTITIONS = 4
#: It takes ten, but the machine may be busy with other tests.
START_SECONDS = 90.0
#: Below the ports that the kernel gives away, above those that people use.
_BLOCKS = range(22_000, 30_000, BLOCK)
#: The blocks of this process: each lock lives as long as it does.
_claimed: list[IO[str]] = []
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
T = TypeVar("T")


def free_block() -> int:
    """The first of 50 ports that are free now and that no other test run takes before we end.

    Whoever takes a block locks its file in the temporary folder, so that two runs that look at the
    same moment never get the same one.
    """
    folder = Path(tempfile.gettempdir()) / "ioc-test-ports"
    folder.mkdir(exist_ok=True)
    for base in _BLOCKS:
        handle = (folder / f"{base}.lock").open("a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for port in range(base, base + BLOCK):
                with socket.socket() as probe:
                    probe.bind((LOOPBACK, port))
        except OSError:
            handle.close()
            continue
        _claimed.append(handle)
        return base
    raise RuntimeError("no free block of ports")


def wait_for(look: Callable[[], T | None], seconds: float, what: str, *, every: float = 0.2) -> T:
    """What ``look`` gives as soon as it gives something true; fails naming ``what`` after that."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:.0f} s: {what}")
        time.sleep(every)


def page(url: str) -> str:
    """The metrics that a process shows at ``url``."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:  # noqa: S310 (http here)
        return cast("str", answer.read().decode())


def samples(text: str, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """The samples of one metric of a page: the values of ``labels`` in their order -> value."""
    found = {}
    for line in text.splitlines():
        if line.startswith((f"{name}{{", f"{name} ")):
            rest, _, value = line[len(name) :].rpartition(" ")
            have = dict(_LABEL.findall(rest))
            found[tuple(have[label] for label in labels)] = float(value)
    return found


def send(bootstrap: str, items: Iterable[Item], namespace: str = "") -> None:
    """Produce raw records to the partitions they name, and wait until all are there."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
    refused: list[object] = []
    for item in items:
        partition = 0 if item.key is None else partition_of(item.key, PARTITIONS)
        if item.partition is not None:
            partition = (partition + 1) % PARTITIONS
        topic = f"{namespace}.{item.topic}" if namespace else item.topic
        producer.produce(
            topic, item.value, item.key, partition, headers=cast("Any", item.headers),
            on_delivery=lambda error, _: refused.append(error) if error else None,
        )  # fmt: skip
        producer.poll(0)
    assert producer.flush(60) == 0
    assert not refused


class System:
    """A running `ioc up --json`; ``line`` is the newest that it printed, ``base`` its first port.

    Without simulated sources, without a past and on the wall clock, if not said otherwise.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        clock: str = "wall",
        sources: Sequence[str] = ("--no-produce", "--no-history"),
        patience: float = START_SECONDS,
    ) -> None:
        self.folder = folder
        self.base = free_block()
        self.arguments = (
            *sources, f"--port-base={self.base}", f"--data-dir={folder}", *arguments,
        )  # fmt: skip
        self._lines: SimpleQueue[str] = SimpleQueue()
        #: What it told people, line by line.
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "up", "--json", *self.arguments],
            env=os.environ | {"IOC_CLOCK": clock},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, keep), daemon=True)
            for pipe, keep in (
                (self.process.stdout, self._lines.put),
                (self.process.stderr, self.said.append),
            )
        ]
        for reader in self._readers:
            reader.start()
        try:
            self.line = self.next_line(patience)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.view = HttpView(self.line["view"])

    @staticmethod
    def _read(pipe: IO[str] | None, keep: Callable[[str], None]) -> None:
        assert pipe is not None
        with pipe:
            for line in pipe:
                keep(line)
        keep("")

    def next_line(self, seconds: float = 60.0) -> dict[str, Any]:
        """The next line on its standard output; fails with what it said when there is none."""
        try:
            text = self._lines.get(timeout=seconds)
        except Empty:
            pytest.fail(f"ioc up printed no line in {seconds:.0f} s: {''.join(self.said)}")
        if not text:
            pytest.fail(f"ioc up ended: {''.join(self.said)}")
        return cast("dict[str, Any]", json.loads(text))

    @property
    def kafka(self) -> str:
        return cast("str", self.line["kafka"])

    def pids(self) -> list[int]:
        """The processes of all its parts."""
        return [pid for pids in self.line["pids"].values() for pid in pids]

    def kill(self, part: str, number: int = 0, seconds: float = 60.0) -> None:
        """SIGKILL one process and wait for the line that names its successor."""
        pid = self.line["pids"][part][number]
        os.kill(pid, signal.SIGKILL)
        self.wait_for_successor(part, pid, seconds)

    def wait_for_successor(self, part: str, pid: int, seconds: float = 60.0) -> None:
        """Wait for the line that no longer names ``pid``, but as many processes of that part."""
        count = len(self.line["pids"][part])
        while pid in self.line["pids"][part] or len(self.line["pids"][part]) < count:
            self.line = self.next_line(seconds)

    def send(self, items: Iterable[Item]) -> None:
        """Produce raw records, see :func:`send`."""
        send(self.kafka, items, self.line["namespace"])

    def metric(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The samples of one metric of the view, see :func:`samples`."""
        return samples(page(self.view.url), name, *labels)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        code = self.process.wait(60)
        for reader in self._readers:
            reader.join(10)
        return code

    def abandon(self) -> None:
        """End it whatever happened to the test; nothing when it has ended already."""
        if self.process.poll() is None:
            self.stop()


@contextmanager
def command(log: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of our commands as a process that writes to ``log``; killed at the end if need be."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", *arguments],
            env=os.environ | environment, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
