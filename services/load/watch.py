"""What is seen from outside while a load runs: how far the view is, and what processes take.

The view is asked for its progress again and again on one connection. An answer that shows an offset
proves that everything below it was shown when the answer was had: so a freshness is an upper bound,
by at most the time between two answers, which is measured too.
"""

import http.client
import json
import os
import threading
import time
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from services.load.profiles import Floats, Ints

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
POLL_S = 0.025
SAMPLE_S = 0.5
_TIMEOUT_S = 10.0

Place = tuple[str, int]


class UnwatchableError(Exception):
    """The view does not answer, or what answers is no view."""


@dataclass
class Looks:
    """All answers of the view: when each was asked for and had (seconds of a monotonic clock), and
    the offsets applied in it, one column a place."""

    asked: Floats
    had: Floats
    places: list[Place]
    applied: Ints

    def gaps(self) -> Floats:
        """The seconds between one answer and the next: how coarse the measurement is."""
        return np.diff(self.had)


class Connection:
    """One kept-alive connection to the view."""

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self._made = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=_TIMEOUT_S
        )

    def get(self, path: str) -> bytes:
        """The body of a good answer. Raises UnwatchableError."""
        try:
            self._made.request("GET", path, headers={"Accept": "*/*"})
            answer = self._made.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._made.close()
            raise UnwatchableError(f"the view does not answer: {error}") from error
        if answer.status != 200:
            raise UnwatchableError(f"the view answers {path} with {answer.status}")
        return body

    def json(self, path: str) -> Any:
        """The same as JSON."""
        try:
            return json.loads(self.get(path))
        except ValueError as error:
            raise UnwatchableError(f"what answers at {path} is no view of ours") from error

    def progress(self) -> dict[Place, int]:
        """The offset applied of every place."""
        try:
            rows = self.json("/api/v1/progress")["partitions"]
            return {(row["topic"], row["partition"]): row["applied"] for row in rows}
        except (KeyError, TypeError) as error:
            raise UnwatchableError("what answers is no view of ours") from error

    def close(self) -> None:
        self._made.close()


class Watch(threading.Thread):
    """Asks the view for its progress every ``every`` seconds until it is told to end."""

    def __init__(self, url: str, every: float = POLL_S) -> None:
        super().__init__(daemon=True, name="watch")
        self._connection = Connection(url)
        self._every = every
        self._ending = threading.Event()
        self._asked: list[float] = []
        self._had: list[float] = []
        self._rows: list[list[int]] = []
        self.places = sorted(self._connection.progress())
        #: Questions without an answer.
        self.unanswered = 0

    def run(self) -> None:
        while not self._ending.is_set():
            asked = time.monotonic()
            try:
                found = self._connection.progress()
            except UnwatchableError:
                self.unanswered += 1
                self._ending.wait(0.2)
                continue
            had = time.monotonic()
            self._asked.append(asked)
            self._had.append(had)
            self._rows.append([found.get(place, 0) for place in self.places])
            self._ending.wait(max(0.0, asked + self._every - had))

    def applied(self) -> dict[Place, int]:
        """The newest answer."""
        return dict(zip(self.places, self._rows[-1], strict=True)) if self._rows else {}

    def end(self) -> Looks:
        """Stop asking; everything that was seen."""
        self._ending.set()
        self.join(_TIMEOUT_S + 1)
        self._connection.close()
        applied = np.array(self._rows, dtype=np.int64).reshape(-1, len(self.places))
        # A view that was started again begins with less: what was shown was shown.
        return Looks(
            np.array(self._asked),
            np.array(self._had),
            self.places,
            np.maximum.accumulate(applied, axis=0) if len(applied) else applied,
        )


@dataclass(frozen=True)
class Use:
    """What the processes of one name take: CPU seconds so far, resident bytes."""

    cpu_seconds: float
    resident: int


def use_of(pids: Iterable[int]) -> Use:
    """The sum over processes; those that are gone take nothing."""
    cpu, resident = 0.0, 0
    for pid in pids:
        home = Path(f"/proc/{pid}")
        try:
            fields = (home / "stat").read_text().rpartition(")")[2].split()
            resident += int((home / "statm").read_text().split()[1]) * _PAGE
        except (OSError, IndexError, ValueError):
            continue
        cpu += (int(fields[11]) + int(fields[12])) / _TICKS
    return Use(cpu, resident)


def machine_seconds() -> tuple[float, float]:
    """CPU seconds of all cores since the machine started: busy, and taken away by its host."""
    try:
        fields = [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return 0.0, 0.0
    user, nice, system, _, _, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq) / _TICKS, steal / _TICKS


@dataclass
class Samples:
    """CPU and memory over time: the instant of each sample (monotonic seconds), and by name the
    cores in use since the sample before, and the resident bytes."""

    at: list[float] = field(default_factory=list)
    cores: dict[str, list[float]] = field(default_factory=dict)
    resident: dict[str, list[int]] = field(default_factory=dict)


class Sampler(threading.Thread):
    """Samples processes by name every half second until it is told to end."""

    def __init__(self, pids: Mapping[str, list[int]]) -> None:
        super().__init__(daemon=True, name="sampler")
        self._pids = dict(pids)
        self._ending = threading.Event()
        self.samples = Samples()

    def run(self) -> None:
        before, at = self._look(), time.monotonic()
        while not self._ending.wait(SAMPLE_S):
            now, now_at = self._look(), time.monotonic()
            passed = now_at - at
            self.samples.at.append((at + now_at) / 2)
            for name, use in now.items():
                # A process that ended takes its seconds with it.
                used = max(0.0, use.cpu_seconds - before[name].cpu_seconds)
                self.samples.cores.setdefault(name, []).append(used / passed)
                self.samples.resident.setdefault(name, []).append(use.resident)
            before, at = now, now_at

    def _look(self) -> dict[str, Use]:
        found = {name: use_of(pids) for name, pids in self._pids.items()}
        busy, steal = machine_seconds()
        return found | {"machine": Use(busy, 0), "stolen": Use(steal, 0)}

    def end(self) -> Samples:
        self._ending.set()
        self.join(5)
        return self.samples
