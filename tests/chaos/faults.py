"""What can be done to a line, and the seeded plan of a round.

A fault breaks something on entering and repairs it on leaving, so that a fault inside another one
is two failures at once: a worker killed while the broker is away, a view while a zombie sleeps.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from random import Random

from tests.chaos.line import PARTITIONS, WORKERS, Line, Member

#: ``broker_session_timeout`` of the worker: who is silent for longer has lost its partitions.
SESSION_SECONDS = 10.0
#: How long a fault waits for the group to share all partitions; it may have no broker meanwhile.
PATIENCE_SECONDS = 25.0


@dataclass(frozen=True)
class Fault:
    """One fault: what, for how long it stays broken, and ``roll`` (0 to 1) for every choice."""

    name: str
    hold: float
    roll: float = 0.5


#: Faults that begin one after the other and end in the opposite order.
Act = Sequence[Fault]
#: Sends new entities to a partition, and waits: so many, or as many as a burst of the run has.
Burst = Callable[[int, int | None], None]


def _one(members: Sequence[Member], roll: float) -> Member:
    return members[int(roll * len(members)) % len(members)]


def _resize(line: Line, count: int) -> None:
    """Start or stop (SIGTERM) workers until ``count`` of them are there."""
    for worker in line.workers:
        if len(line.working) < count and not worker.wanted:
            worker.start()
    for worker in reversed(line.workers):
        if len(line.working) > count and worker.running:
            worker.stop()


@contextmanager
def _kill_worker(line: Line, fault: Fault) -> Iterator[None]:
    """kill -9 of a worker; it comes back."""
    worker = _one(line.working or line.workers, fault.roll)
    worker.kill()
    yield
    worker.start()


@contextmanager
def _kill_all_workers(line: Line, fault: Fault) -> Iterator[None]:
    """kill -9 of all workers at one moment; they come back."""
    killed = line.working
    for worker in killed:
        worker.kill()
    yield
    for worker in killed:
        worker.start()


@contextmanager
def _kill_view(line: Line, fault: Fault) -> Iterator[None]:
    """kill -9 of the view; it comes back."""
    line.view.kill()
    yield
    line.view.start()


@contextmanager
def _pause_worker(line: Line, fault: Fault) -> Iterator[None]:
    """A worker stands still for less than its session."""
    worker = _one(line.working or line.workers, fault.roll)
    worker.freeze()
    yield
    worker.resume()


@contextmanager
def _scale(line: Line, fault: Fault) -> Iterator[None]:
    """Workers join or leave (SIGTERM): afterwards there are 1 to 4 of them."""
    count = 1 + int(fault.roll * WORKERS) % WORKERS
    if count == len(line.working):
        count = count % WORKERS + 1
    _resize(line, count)
    yield


@contextmanager
def _scale_to(line: Line, fault: Fault) -> Iterator[None]:
    """Exactly that many workers (``roll``: 0.25 for one, 1.0 for four)."""
    _resize(line, round(fault.roll * WORKERS))
    yield


@contextmanager
def _stop_broker(line: Line, fault: Fault) -> Iterator[None]:
    """The broker is stopped in order (SIGTERM) and started again."""
    line.broker.stop(15)
    yield
    line.broker.start()
    line.start_again()


@contextmanager
def _kill_broker(line: Line, fault: Fault) -> Iterator[None]:
    """kill -9 of the broker; it is started again and recovers its logs."""
    line.broker.kill()
    yield
    line.broker.start()
    line.start_again()


@contextmanager
def _freeze_broker(line: Line, fault: Fault) -> Iterator[None]:
    """The broker stands still: connections stay open, nobody answers."""
    line.broker.freeze()
    yield
    line.broker.resume()


@contextmanager
def _slow_disk(line: Line, fault: Fault) -> Iterator[None]:
    """Every write of the broker to a file takes 20 to 120 ms longer."""
    line.broker.distortion.slow_disk(0.02 + 0.1 * fault.roll)
    yield
    line.broker.distortion.slow_disk(0)


@contextmanager
def _worker_clock(line: Line, fault: Fault) -> Iterator[None]:
    """The wall clock of all workers steps by minutes to a month, back or forth, and back again."""
    steps = (-30 * 86_400.0, -5 * 3600.0, -600.0, 600.0, 5 * 3600.0, 30 * 86_400.0)
    seconds = steps[int(fault.roll * len(steps)) % len(steps)]
    for worker in line.workers:
        worker.distortion.step_clock(seconds)
    yield
    for worker in line.workers:
        worker.distortion.step_clock(0)


@contextmanager
def _broker_clock(line: Line, fault: Fault) -> Iterator[None]:
    """The broker's wall clock, which stamps arrivals, steps by up to ten minutes and back."""
    line.broker.distortion.step_clock(round(1200 * fault.roll) - 600)
    yield
    line.broker.distortion.step_clock(0)


def _zombie_with(burst: Burst) -> Callable[[Line, Fault], AbstractContextManager[None]]:
    @contextmanager
    def zombie(line: Line, fault: Fault) -> Iterator[None]:
        """A worker stands still until others own what it had, then goes on as if nothing had been.

        It has just been given something to flush.
        """
        if len(line.working) < 2:
            _resize(line, 2)
        line.wait_until_owned(PATIENCE_SECONDS)
        worker = _one(line.working, fault.roll)
        for partition in range(PARTITIONS):
            burst(partition, 100)
        worker.freeze()
        yield
        line.wait_until_owned(PATIENCE_SECONDS)
        worker.resume()

    return zombie


def _burst_into(burst: Burst) -> Callable[[Line, Fault], AbstractContextManager[None]]:
    @contextmanager
    def waiting(line: Line, fault: Fault) -> Iterator[None]:
        """Thousands of new entities in one partition, waiting when the workers look again.

        The disk is slow then, so that a flush takes long and the one behind it is large.
        """
        line.wait_until_owned(PATIENCE_SECONDS)
        held = line.working
        for worker in held:
            worker.freeze()
        try:
            burst(int(fault.roll * PARTITIONS) % PARTITIONS, None)
        finally:
            line.broker.distortion.slow_disk(0.4)
            for worker in held:
                worker.resume()
        yield
        line.broker.distortion.slow_disk(0)

    return waiting


#: What "zombie" and "burst" send is known to an inflictor: there they are replaced.
#: name -> (how, weight, shortest and longest hold in seconds, needs a distorted process)
_KINDS: dict[
    str, tuple[Callable[[Line, Fault], AbstractContextManager[None]], int, float, float, bool]
] = {
    "kill-worker": (_kill_worker, 5, 0.0, 4.0, False),
    "kill-all-workers": (_kill_all_workers, 2, 0.0, 3.0, False),
    "kill-view": (_kill_view, 3, 0.0, 3.0, False),
    "zombie": (_pause_worker, 3, SESSION_SECONDS + 2, SESSION_SECONDS + 6, False),
    "pause-worker": (_pause_worker, 2, 1.0, 7.0, False),
    "scale": (_scale, 4, 1.0, 4.0, False),
    "stop-broker": (_stop_broker, 2, 0.0, 5.0, False),
    "kill-broker": (_kill_broker, 2, 0.0, 5.0, False),
    "freeze-broker": (_freeze_broker, 2, 1.0, 14.0, False),
    "slow-disk": (_slow_disk, 2, 3.0, 10.0, True),
    "worker-clock": (_worker_clock, 2, 2.0, 6.0, True),
    "broker-clock": (_broker_clock, 1, 2.0, 6.0, True),
    "burst": (_pause_worker, 3, 0.5, 3.0, False),
}
#: Those that stop the broker: not one inside another, nor what has to be produced first.
_BROKER = {"stop-broker", "kill-broker", "freeze-broker"}


def plan(seed: int, number: int, *, distort: bool, acts: int = 3) -> list[Act]:
    """The acts of a round: the same for the same seed and number."""
    rng = Random(f"plan {seed} {number}")
    names = [name for name, kind in _KINDS.items() if distort or not kind[4]]
    weights = [_KINDS[name][1] for name in names]
    made: list[Act] = []
    for _ in range(acts):
        first = rng.choices(names, weights)[0]
        chosen = [first]
        if rng.random() < 0.4:
            second = rng.choices(names, weights)[0]
            away = first in _BROKER and (second in _BROKER or second in ("burst", "zombie"))
            if second != first and not away:
                chosen.append(second)
        made.append([_fault(rng, name) for name in chosen])
    return made


def _fault(rng: Random, name: str) -> Fault:
    _, _, shortest, longest, _ = _KINDS[name]
    return Fault(name, round(rng.uniform(shortest, longest), 2), round(rng.random(), 3))


class Inflictor:
    """Does acts to a line and counts the faults."""

    def __init__(self, line: Line, burst: Burst) -> None:
        self._line = line
        self._how = {name: kind[0] for name, kind in _KINDS.items()} | {
            "scale-to": _scale_to,
            "burst": _burst_into(burst),
            "zombie": _zombie_with(burst),
        }
        self.done: Counter[str] = Counter()

    def act(self, act: Act) -> None:
        """All faults of an act, each inside the ones before it."""
        with ExitStack() as stack:
            for fault in act:
                stack.enter_context(self._how[fault.name](self._line, fault))
                self.done[fault.name] += 1
                time.sleep(fault.hold)
