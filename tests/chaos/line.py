"""The line under test: a broker, up to four workers and a view, each a process of its own.

Nobody restarts them but the chaos run: `ioc up` would hide that a process died by itself. Every
method is to be called from one thread (the kernel ties a child to the thread that forked it).
"""

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from schemas.catalog import DEFAULT_PARTITIONS, SOURCES
from services.runtime.embedded import BrokerHangsError, EmbeddedKafka
from services.runtime.http_view import HttpView
from services.runtime.kafka import ensure_topics
from services.runtime.ports import LOOPBACK, Ports, claim_block
from services.runtime.process import ChildProcess, resident_bytes
from services.runtime.settings import Settings
from services.up.plan import BROKER_SECONDS
from tests.chaos.distortion import Distortion
from tests.e2e.system import page, samples

Clock = Literal["wall", "event"]
PARTITIONS = DEFAULT_PARTITIONS
WORKERS = 4
#: A worker that was started this long ago may not be past its first connections.
STARTING_SECONDS = 40.0


class Member:
    """One process of the line: whether it should run, and what it sees of clock and disk."""

    def __init__(self, name: str, process: ChildProcess, distortion: Distortion) -> None:
        self.name = name
        self.process = process
        self.distortion = distortion
        #: It was started, and nobody has ended it since.
        self.wanted = False
        self.standing_still = False
        self.started_at = 0.0
        #: The most memory that was seen, in bytes, over all its runs.
        self.peak = 0

    @property
    def running(self) -> bool:
        """It should run and is not standing still."""
        return self.wanted and not self.standing_still

    def start(self) -> None:
        self.wanted = True
        self.started_at = time.monotonic()
        self.process.start()

    def kill(self) -> None:
        """kill -9."""
        self.look()
        self.wanted = self.standing_still = False
        self.process.kill()

    def stop(self, grace: float = 12.0) -> int | None:
        """SIGTERM; the exit code (-9 when it took longer than ``grace`` seconds)."""
        self.look()
        self.resume()
        self.wanted = False
        return self.process.stop(grace)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, nothing moves."""
        self.standing_still = True
        self.process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self.standing_still:
            self.standing_still = False
            self.process.signal(signal.SIGCONT)

    def look(self) -> None:
        """Note how much memory it has now."""
        pid = self.process.pid
        if pid is not None:
            self.peak = max(self.peak, resident_bytes(pid) or 0)

    @property
    def death(self) -> str | None:
        """How it ended by itself, with the end of its log; None when it did not."""
        if not self.wanted or self.process.running:
            return None
        tail = "\n".join(f"    {line}" for line in self.process.tail(12))
        return f"{self.name} ended by itself with code {self.process.exit_code}:\n{tail}"


class Broker(Member):
    """The embedded Kafka as a member that can be started again."""

    def __init__(self, kafka: EmbeddedKafka, distortion: Distortion) -> None:
        kafka.process.environ |= distortion.environment
        super().__init__("kafka", kafka.process, distortion)
        self.kafka = kafka
        #: How it hung after a start, each time it did.
        self.hung: list[str] = []

    def start(self) -> None:
        """Start it, and once more if it hangs, as `ioc up` does. Raises EmbeddedKafkaError."""
        self.wanted = True
        try:
            self.kafka.start(timeout=BROKER_SECONDS)
        except BrokerHangsError as error:
            self.hung.append(str(error))
            self.kafka.start(timeout=BROKER_SECONDS)


class Line:
    """A broker for the whole run, and workers and a view for one namespace ("life") at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = Ports.from_base(claim_block())
        self.namespace = ""
        self.clock: Clock = "wall"
        #: How often :meth:`start_again` had to.
        self.started_again = 0
        kafka = EmbeddedKafka(
            folder, port=self.ports.kafka, controller_port=self.ports.controller,
            log=folder / "logs" / "kafka.log",
        )  # fmt: skip
        self.broker = Broker(kafka, self._distortion("kafka"))
        self.workers = [self._worker(index) for index in range(WORKERS)]
        self.view = self._member("view", "view", {})
        self.http = HttpView(f"http://{LOOPBACK}:{self.ports.view}")

    @property
    def bootstrap(self) -> str:
        return self.broker.kafka.bootstrap

    @property
    def can_distort(self) -> bool:
        """Clocks can step and disks be slow on this machine."""
        return self.broker.distortion.possible

    def __enter__(self) -> Self:
        self.broker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for member in (*self.workers, self.view, self.broker):
            if member.process.running:
                member.kill()

    def _distortion(self, name: str) -> Distortion:
        return Distortion(self.folder / "distortion", name)

    def _member(self, name: str, command: str, environment: Mapping[str, str]) -> Member:
        distortion = self._distortion(name)
        process = ChildProcess(
            [sys.executable, "-m", "services.cli", command],
            log=self.folder / "logs" / f"{name}.log",
            environ=os.environ | dict(distortion.environment) | dict(environment),
        )
        return Member(name, process, distortion)

    def _worker(self, index: int) -> Member:
        port = str(self.ports.worker(index))
        return self._member(f"kpi-{index}", "kpi", {"IOC_METRICS_PORT": port})

    def begin_life(self, namespace: str, clock: Clock, workers: int) -> None:
        """Empty topics of a new namespace, with that many workers and a view on them."""
        self.namespace, self.clock = namespace, clock
        ensure_topics(self.bootstrap, namespace, PARTITIONS)
        settings = Settings(
            bootstrap=self.bootstrap, namespace=namespace, clock=clock, partitions=PARTITIONS,
            view_port=self.ports.view, data_dir=self.folder, log_level="WARNING",
        ).environment()  # fmt: skip
        for member in (*self.workers, self.view):
            member.process.environ |= settings
            member.distortion.step_clock(0)
        self.broker.distortion.step_clock(0)
        self.view.start()
        for worker in self.workers[:workers]:
            worker.start()

    def end_life(self) -> list[str]:
        """Stop workers and view in order; what did not end as it should."""
        problems = []
        for member in (*self.working, self.view):
            code = member.stop()
            if code != 0:
                problems.append(f"{member.name} did not stop in order: exit code {code}")
        return problems

    @property
    def working(self) -> list[Member]:
        """The workers that should be working now."""
        return [worker for worker in self.workers if worker.running]

    def owned(self) -> list[int]:
        """How many source partitions each working worker says it owns; 0 if it does not answer."""
        found = []
        for worker in self.working:
            url = f"http://{LOOPBACK}:{self.ports.worker(self.workers.index(worker))}"
            try:
                owned = samples(page(url), "ioc_worker_partitions")
            except OSError:
                owned = {}
            found.append(int(owned.get((), 0)))
        return found

    def wait_until_owned(self, seconds: float) -> bool:
        """Wait until the working workers share all source partitions; whether they do in time."""
        deadline = time.monotonic() + seconds
        while True:
            owned = self.owned()
            if sum(owned) == PARTITIONS * len(SOURCES) and all(owned):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.25)

    def start_again(self) -> None:
        """Start the workers anew that were just starting when the broker went away, and gave up.

        A running worker waits for its broker; one that has just connected may end with code 1, and
        `ioc up` would start it again.
        """
        for worker in self.workers:
            young = time.monotonic() - worker.started_at < STARTING_SECONDS
            if worker.death is not None and worker.process.exit_code == 1 and young:
                self.started_again += 1
                worker.start()

    def deaths(self) -> list[str]:
        """Who ended by itself, and how."""
        members = (*self.workers, self.view, self.broker)
        return [death for member in members if (death := member.death) is not None]

    def look(self) -> None:
        """Note the memory of everybody."""
        for member in (*self.workers, self.view, self.broker):
            member.look()

    def progress(self) -> dict[str, Any]:
        """The view's ``/api/v1/progress``. Raises OSError or QueryError when it does not answer."""
        answer: dict[str, Any] = self.http.get("/api/v1/progress")
        return answer
