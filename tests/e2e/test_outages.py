"""Outages of a minute on a whole running system: nothing is lost, and everybody says what is wrong.

The simulated sources run as processes of their own, so that they can be ended before the numbers
are compared: with the simulation itself (is every record there?) and with the independent oracle.
"""

import asyncio
import json
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, cast

import pytest

import services.admin_cases.main
import services.field_reports.main
import services.indicators.main
import services.listings.main
import services.runtime
from schemas import catalog
from services.core.merge import QueryError, View
from services.oracle.comparison import differences
from services.oracle.oracle import Oracle, Places
from services.oracle.raw import RawLog, drain
from services.runtime.bookmark import bookmark_path
from services.runtime.ports import LOOPBACK, PRODUCER_KINDS, Ports
from services.runtime.process import wait_until_gone
from services.runtime.producer_command import Plan, World
from services.runtime.settings import Settings
from services.simulation.faults import DEFAULT_RATES
from tests.e2e.system import PARTITIONS, System, command, page, samples, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(900)]

OUTAGE_SECONDS = 60.0
_WORLDS: Sequence[Callable[[Plan, Mapping[str, float] | None], World]] = (
    services.field_reports.main.open_world,
    services.admin_cases.main.open_world,
    services.listings.main.open_world,
    services.indicators.main.open_world,
)


@pytest.fixture
def system(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[System]:
    running = System(tmp_path, *getattr(request, "param", ()))
    yield running
    assert running.stop() == 0


class Sources:
    """The four simulated sources beside a system, at real speed from a known instant on."""

    def __init__(self, system: System, stack: ExitStack) -> None:
        self.start = int(time.time()) * 1000
        self._ports = {kind: Ports.from_base(system.base).producer(kind) for kind in PRODUCER_KINDS}
        self.logs = {kind: system.folder / f"{kind}.out" for kind in PRODUCER_KINDS}
        self._settings = Settings(bootstrap=system.kafka, data_dir=system.folder)
        at = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(self.start / 1000))
        self._processes = [
            stack.enter_context(
                command(
                    self.logs[kind], "produce", kind, f"--start={at}",
                    IOC_BOOTSTRAP=system.kafka, IOC_DATA_DIR=str(system.folder),
                    IOC_METRICS_PORT=str(port),
                )
            )
            for kind, port in self._ports.items()
        ]  # fmt: skip

    def counts(self) -> dict[str, float] | None:
        """What they count, added up; None before all of them answer."""
        try:
            pages = [page(f"http://{LOOPBACK}:{port}") for port in self._ports.values()]
        except OSError:
            return None
        return {
            name: sum(sum(samples(text, f"ioc_producer_{name}", "kind").values()) for text in pages)
            for name in ("sent_total", "acked_total", "buffered")
        } | {
            "failed": sum(
                sum(samples(text, "ioc_producer_failed_total", "reason").values()) for text in pages
            )
        }

    def drained(self, more_than: float = 1000) -> bool:
        """All of them have sent what was open at the start, and nothing waits."""
        counts = self.counts()
        return counts is not None and counts["acked_total"] > more_than and not counts["buffered"]

    def all_wait(self) -> dict[str, float] | None:
        """The counts, once every record sent is acknowledged, or failed, or waits."""
        counts = self.counts()
        if counts is None or not counts["buffered"]:
            return None
        settled = counts["acked_total"] + counts["failed"] + counts["buffered"]
        return counts if counts["sent_total"] == settled else None

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        assert [process.wait(20) for process in self._processes] == [0, 0, 0, 0]

    def missing(self, log: RawLog) -> Counter[tuple[str, bytes | None, bytes | None]]:
        """Records of the simulation that are not in the log, up to where the sources say they are.

        A record that is there twice is no fault.
        """
        there = Counter((r.topic, r.key, r.value) for r in log.records())
        wanted: Counter[tuple[str, bytes | None, bytes | None]] = Counter()
        latest = 0
        for open_world in _WORLDS:
            world = open_world(self._plan(), DEFAULT_RATES)
            path = bookmark_path(self._settings, world.kind)
            until: int = json.loads(path.read_text())["until"]
            latest = max(latest, until)
            for due in chain(world.opening(self.start), world.stream(self.start, until)):
                wanted[due.topic, due.key, due.value] += 1
        # By night some of them send nothing for minutes.
        assert latest > self.start + OUTAGE_SECONDS * 1000
        assert wanted.total() > 10_000
        return wanted - there

    def _plan(self) -> Plan:
        """What the sources agreed on."""
        path = bookmark_path(self._settings, "x").with_name("plan.json")
        plan = Plan(**json.loads(path.read_text()) | {"played": ()})
        assert plan.start == self.start
        return plan


def _refusal(system: System) -> str | None:
    """Why the view says that it should not be believed; None while it is ready."""
    try:
        system.view.get("/readyz")
    except QueryError as error:
        assert error.status == 503  # noqa: PT017 (any other refusal is a defect)
        return error.detail
    return None


def _everything_equals_the_oracle(system: System, log: RawLog) -> None:
    data = Path(services.runtime.__file__).parent / "data"
    oracle = Oracle(log, PARTITIONS, "wall", Places.from_csv(data))
    events = system.metric("ioc_events_total", "topic", "outcome")
    for topic in catalog.SOURCES:
        outcomes = oracle.outcomes(topic.name)
        assert {o: events[topic.name, o] for o in outcomes} == outcomes
    assert sum(events.values()) == len(log)
    assert system.metric("ioc_conservation_broken") == {(): 0.0}
    now = int(time.time() * 1000)
    assert list(differences(cast("View", system.view), oracle, now, dimensions=False)) == []


@contextmanager
def _frozen(system: System) -> Iterator[None]:
    """The broker's process stands still: connections stay open, nobody answers."""
    pid = system.line["pids"]["kafka"][0]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def _gone(system: System) -> Iterator[None]:
    """The broker was killed and cannot be started again: its port is taken."""
    pid = system.line["pids"]["kafka"][0]
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        os.kill(pid, signal.SIGKILL)
        assert wait_until_gone(pid, 5)
        thief.bind((LOOPBACK, Ports.from_base(system.base).kafka))
        thief.listen(0)
        yield
    system.wait_for_successor("kafka", pid, 90)


@pytest.mark.parametrize("outage", [_frozen, _gone])
def test_a_broker_that_is_away_for_a_minute_costs_no_record_and_everybody_says_so(
    system: System, outage: Any
) -> None:
    with ExitStack() as stack:
        sources = Sources(system, stack)
        wait_for(sources.drained, 240, "the sources have sent what was open", every=0.5)
        wait_for(lambda: _refusal(system) is None, 60, "the view is ready")
        with outage(system):
            began = time.monotonic()
            wait_for(lambda: _refusal(system), 15, "the view says that it is not ready")
            while time.monotonic() < began + OUTAGE_SECONDS:
                progress = system.view.get("/api/v1/progress")
                assert progress["caught_up"] is False
                assert "Kafka" in (progress["reason"] or ""), progress
                assert "Kafka" in (_refusal(system) or "")
                wall = system.view.get("/api/v1/wall")
                assert (wall["broker"], wall["ready"]) == (False, False)
                assert system.metric("ioc_caught_up") == {(): 0.0}
                # What it has, it goes on serving.
                assert system.view.get("/api/v1/kpis/gov.open_now")["rows"][0]["value"] > 0
                time.sleep(1)
            during = wait_for(sources.all_wait, 20, "every record is accounted for")
            assert any("the broker does not answer" in p.read_text() for p in sources.logs.values())
        wait_for(lambda: _refusal(system) is None, 90, "the view is ready again")
        more = during["acked_total"] + during["buffered"]
        wait_for(lambda: sources.drained(more), 90, "the sources have caught up", every=0.5)
        sources.stop()
    log = asyncio.run(drain(system.kafka))
    assert not sources.missing(log)
    system.view.wait_until_caught_up(len(log), 60)
    _everything_equals_the_oracle(system, log)
