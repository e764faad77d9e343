"""`ioc history`: the week before the first start, as events through Kafka."""

import asyncio
import logging
import multiprocessing
import queue
import sys
import time
from multiprocessing.queues import Queue
from typing import Any

import click

from services.core.calendar import DAY_MS
from services.history.annotate import annotate
from services.history.backfill import backfill
from services.history.past import Past, send
from services.runtime import settings as settings_module
from services.runtime.bookmark import Bookmark, bookmark_path
from services.runtime.producer import wall_ms
from services.runtime.producer_command import FaultRate, Instant, identity, plan
from services.runtime.service import OK
from services.runtime.settings import Settings
from services.runtime.telemetry import setup_logging
from services.simulation.faults import DEFAULT_RATES
from services.simulation.scenarios import NAMES
from services.simulation.stream import KINDS, LONGEST_TRAVEL_MS, Kind

__all__ = ["annotate", "backfill", "history"]

_log = logging.getLogger("history")
#: Which kinds share a process: two of about equal length.
_SHARES: tuple[tuple[Kind, ...], ...] = (
    ("admin-case",),
    ("indicator", "listing", "field-report"),
)
_Note = tuple[str, int, int, str]


def _work(past: Past, kinds: tuple[Kind, ...], settings: Settings, notes: "Queue[_Note]") -> None:
    """One process: sends the past of some kinds, one after the other."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    for kind in kinds:
        try:
            asyncio.run(
                send(past, kind, settings, lambda at, n, k=kind: notes.put((k, at, n, "")))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            )
        except Exception as error:  # the parent says it; a traceback of two processes helps nobody
            notes.put((kind, past.start, 0, f"{type(error).__name__}: {error}"))
            return
        notes.put((kind, past.end, -1, ""))


class _Progress:
    """Bars on a terminal, a line every few seconds elsewhere; always on standard error."""

    def __init__(self, past: Past, kinds: tuple[Kind, ...]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.past = past
        console = Console(stderr=True)
        self.live = console.is_terminal
        self.counts = dict.fromkeys(map(str, kinds), 0)
        self.reached = dict.fromkeys(map(str, kinds), 0.0)
        self.spoken = time.monotonic()
        self.bars = Progress(
            TextColumn("{task.description:<13}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[records]:>9,} events"),
            TimeElapsedColumn(),
            console=console,
            disable=not self.live,
        )
        self.tasks = {k: self.bars.add_task(k, total=1.0, records=0) for k in self.counts}

    def note(self, kind: str, at: int, count: int) -> None:
        share = (at - self.past.start) / max(self.past.end - self.past.start, 1)
        self.reached[kind] = share
        self.counts[kind] = max(count, self.counts[kind])
        self.bars.update(self.tasks[kind], completed=share, records=self.counts[kind])
        if not self.live and time.monotonic() - self.spoken > 5:
            self.spoken = time.monotonic()
            mean = sum(self.reached.values()) / len(self.reached)
            print(f"history {mean:.0%}, {sum(self.counts.values()):,} events", file=sys.stderr)  # noqa: T201 (progress goes to stderr)


def produce(past: Past, kinds: tuple[Kind, ...], settings: Settings) -> dict[str, int]:
    """Send the past of these kinds; records by kind. Raises ClickException when one fails."""
    context = multiprocessing.get_context("spawn")
    notes: Queue[_Note] = context.Queue()
    shares = [tuple(k for k in share if k in kinds) for share in _SHARES]
    workers = [
        context.Process(target=_work, args=(past, share, settings, notes), daemon=True)
        for share in shares
        if share
    ]
    progress = _Progress(past, kinds)
    done: set[str] = set()
    with progress.bars:
        for worker in workers:
            worker.start()
        while len(done) < len(kinds):
            try:
                kind, at, count, problem = notes.get(timeout=1.0)
            except queue.Empty:
                if any(w.exitcode not in (None, 0) for w in workers):
                    raise click.ClickException("a process of the history died") from None
                continue
            if problem:
                for worker in workers:
                    worker.terminate()
                raise click.ClickException(f"the history of {kind} could not be sent: {problem}")
            progress.note(kind, at, count)
            if count < 0:
                done.add(kind)
        for worker in workers:
            worker.join()
    return progress.counts


@click.command()
@click.option("--days", type=click.IntRange(1, 60), default=7, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="As of the live producers.")
@click.option("--scenario", type=click.Choice(NAMES), default=None)
@click.option("--speed", type=float, default=1.0, help="As of the live producers.")
@click.option("--start", type=Instant(), default=None, help="As of the live producers: the history "
              "ends there (default: now).")  # fmt: skip
@click.option("--fault", "changes", type=FaultRate(), multiple=True, metavar="NAME=RATE")
@click.option("--no-faults", is_flag=True)
@click.option("--again", is_flag=True, help="Also where a history was produced before.")
@click.option("--json", "as_json", is_flag=True, help="Result as one JSON line on stdout.")
def history(
    days: int,
    seed: int,
    scenario: str | None,
    speed: float,
    start: int | None,
    changes: tuple[tuple[str, float], ...],
    no_faults: bool,
    again: bool,
    as_json: bool,
) -> None:
    """Produce the simulated past through Kafka, at full speed.

    The live producers go on where it ends. Kinds that have been produced before are left alone.

    Example: ioc history --days 7
    """
    settings = settings_module.load()
    setup_logging(settings.log_level)
    now = wall_ms()
    agreed = plan(settings, seed=seed, scenario=scenario or "", speed=speed, start=start, now=now)
    rates: dict[str, float] = {} if no_faults else dict(DEFAULT_RATES)
    rates.update(changes)
    marks = {
        kind: Bookmark(
            bookmark_path(settings, kind), identity(agreed, kind), rates, LONGEST_TRAVEL_MS
        )
        for kind in KINDS
    }
    kinds = tuple(k for k in KINDS if again or marks[k].read() is None)
    end = agreed.beginning(now)
    past = Past(end - days * DAY_MS, end, seed, agreed.played, rates)
    began = time.monotonic()
    counts = produce(past, kinds, settings) if kinds else {}
    for kind in kinds:
        marks[kind].write(end)
    _report(counts, time.monotonic() - began, as_json)
    raise SystemExit(OK)


def _report(counts: dict[str, int], seconds: float, as_json: bool) -> None:
    import orjson

    total = sum(counts.values())
    if as_json:
        found: dict[str, Any] = {"events": counts, "total": total, "seconds": round(seconds, 1)}
        click.echo(orjson.dumps(found))
    elif total:
        rate = total / max(seconds, 0.001)
        click.echo(f"{total:,} events in {seconds:.0f} s ({rate:,.0f} a second)", err=True)
    else:
        click.echo("the past has been produced before (--again to do it once more)", err=True)
