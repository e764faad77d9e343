"""A chaos run: rounds of faults on one line, each followed by a check of everything.

A few rounds share a *life*: a namespace with its own topics, clock and stream of records, so that
the log stays short enough to be recomputed after every round. Everything but the timing follows
from the seed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from services.oracle.windows import WINDOWS
from tests.chaos.check import Depth, Found, check
from tests.chaos.faults import Act, Inflictor, plan
from tests.chaos.line import Clock, Line
from tests.chaos.traffic import Feed, newcomers, rubbish
from tests.strategies.events import Item, stream

#: Rounds in one life.
LIFE = 5
#: Records of the nasty stream in a round, of pure rubbish, and of one burst.
STREAM, RUBBISH, BURST = 5_000, 60, 15_000
#: A process of ours may never take more, in bytes.
MEMORY = 700 * 1024 * 1024

Say = Callable[[str], None]


@dataclass
class Totals:
    """What a run has come to."""

    rounds: int = 0
    records: int = 0
    rejected: int = 0
    letters: int = 0
    large_flushes: int = 0
    late_flushes: int = 0
    problems: list[str] = field(default_factory=list)


class Run:
    """One line and what is done to it. ``folder`` keeps everything; the caller removes it."""

    def __init__(self, folder: Path, seed: int, say: Say) -> None:
        self.seed = seed
        self.totals = Totals()
        self._say = say
        self.line = Line(folder)
        self._inflictor = Inflictor(self.line, self._burst)
        self._feed: Feed | None = None
        self._bursts: Feed | None = None
        self._items: list[Item] = []
        self._life = 0
        self._counted = 0
        self._burst_size = BURST
        self._burst_name = ""

    def __enter__(self) -> Self:
        self.line.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.line.__exit__(kind, error, trace)

    @property
    def faults(self) -> dict[str, int]:
        """How often each fault was inflicted."""
        return dict(sorted(self._inflictor.done.items()))

    def begin_life(self, number: int, clock: Clock, workers: int, records: int) -> None:
        """Empty topics, fresh workers and view, and a stream of so many records to come."""
        self._life, self._counted = number, 0
        now = int(time.time() * 1000)
        rng = Random(f"life {self.seed} {number}")
        self._items = stream(rng.randrange(1 << 32), records, now, event_clock=clock == "event")
        for item in rubbish(rng, RUBBISH * records // STREAM, now):
            # Anywhere but at the end, so that the last records are good ones.
            at = rng.randrange(len(self._items))
            self._items.insert(at, item._replace(arrival=self._items[at].arrival))
        self.line.begin_life(f"life-{number}", clock, workers)
        self._feed = Feed(self.line.bootstrap, self.line.namespace)
        self._bursts = Feed(self.line.bootstrap, self.line.namespace)

    def end_life(self) -> None:
        """Stop workers and view; how they end is checked too."""
        self.totals.problems += self.line.end_life()

    def round(
        self,
        number: int,
        acts: Sequence[Act],
        share: float,
        depth: Depth,
        *,
        burst: int = BURST,
    ) -> Found:
        """Let ``share`` of the life's stream flow during ``acts``, then check everything."""
        assert self._feed is not None
        assert self._bursts is not None
        for index, act in enumerate(acts, 1):
            told = ", then ".join(f"{f.name} ({f.hold:.1f} s)" for f in act)
            self._say(f"round {number}, act {index}: {told}")
        count = int(share * len(self._items))
        now, self._items = self._items[:count], self._items[count:]
        self._burst_size, self._burst_name = burst, f"burst-{self._life}-{number}"
        # About as long as the acts take: broker and workers need some seconds to come back.
        holds = sum(fault.hold for act in acts for fault in act)
        self._feed.flow(now, holds + 8 * len(acts))
        rng = Random(f"pace {self.seed} {number}")
        began = time.monotonic()
        for act in acts:
            time.sleep(rng.uniform(0.2, 1.5))
            self._inflictor.act(act)
            self.line.look()
        self._feed.finish()
        hurt = time.monotonic() - began
        acked = self._feed.acked + self._bursts.acked
        found = check(self.line, acked, depth)
        found.problems += [f"not produced: {f}" for f in self._feed.failed + self._bursts.failed]
        found.problems += self._memory()
        self._add(found)
        self._say(
            f"round {number}: {len(found.problems) or 'no'} problems, {found.records} records of"
            f" this life ({found.rejected} rejected, {found.letters} letters), {found.late_flushes}"
            f" flushes of zombies, {found.large_flushes} in several parts; hurt {hurt:.0f} s,"
            f" settled in {found.settle_seconds:.0f} s, checked in {found.check_seconds:.0f} s"
        )
        return found

    def skip(self, share: float) -> None:
        """Produce that share of the life's stream without any fault."""
        assert self._feed is not None
        count = int(share * len(self._items))
        self._feed.send(self._items[:count])
        self._items = self._items[count:]

    def _burst(self, partition: int, count: int | None) -> None:
        assert self._bursts is not None
        name = f"{self._burst_name}-{self._bursts.acked}"
        now = int(time.time() * 1000)
        self._bursts.send(newcomers(name, count or self._burst_size, now, partition))

    def _memory(self) -> list[str]:
        members = (*self.line.workers, self.line.view)
        return [
            f"{member.name} took {member.peak / 1e6:.0f} MB"
            for member in members
            if member.peak > MEMORY
        ]

    def _add(self, found: Found) -> None:
        totals = self.totals
        totals.rounds += not found.problems
        totals.records += found.records - self._counted
        self._counted = found.records
        totals.rejected = max(totals.rejected, found.rejected)
        totals.letters = max(totals.letters, found.letters)
        totals.large_flushes = max(totals.large_flushes, found.large_flushes)
        totals.late_flushes = max(totals.late_flushes, found.late_flushes)
        totals.problems += found.problems


def lives(run: Run, until: Callable[[], bool], first: int) -> None:
    """Rounds of planned chaos from round ``first`` on, until told to stop or one fails.

    The clocks take turns. The last round compares everything by all dimensions, the last one of
    every life all windows.
    """
    distort = run.line.can_distort
    number = 1 + (first - 1) // LIFE * LIFE
    while not run.totals.problems:
        rng = Random(f"rounds {run.seed} {number}")
        clock: Clock = "wall" if number // LIFE % 2 == 0 else "event"
        run.begin_life(number // LIFE + 1, clock, rng.randrange(1, 4), LIFE * STREAM)
        for left in range(LIFE, 0, -1):
            if number < first:
                run.skip(1 / left)
            else:
                last = until()
                rng = Random(f"depth {run.seed} {number}")
                depth = Depth.of_round(rng, windows=len(WINDOWS) if left == 1 else 2)
                if last:
                    depth = Depth.whole()
                acts = plan(run.seed, number, distort=distort)
                if run.round(number, acts, 1 / left, depth).problems or last:
                    return
            number += 1
        run.end_life()
