"""A whole system for tests: `ioc up` on ports of its own, what it says, and what goes into it."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from confluent_kafka import Producer

from services.oracle.raw import partition_of
from services.runtime.own_system import OwnSystem
from tests.strategies.events import Item

PARTITIONS = 4
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
T = TypeVar("T")


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


class System(OwnSystem):
    """A running `ioc up --json` and what tests do to it."""

    @property
    def kafka(self) -> str:
        return self.bootstrap

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
