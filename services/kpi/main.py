"""``ioc kpi``: one worker process, from the settings to the exit code."""

import asyncio
import os
import threading
from logging import getLogger
from typing import Any

import click

from schemas import catalog
from services.core import speed
from services.core.ring import RingGap
from services.core.selection import ALL, Selection
from services.core.state import CatalogueChanged, PartitionState, refold, restore
from services.kpi.app import Restore, Worker
from services.kpi.metrics import Metrics
from services.kpi.recovery import Ring
from services.runtime import kafka, memory, service, settings, telemetry
from services.runtime.reference import load_territories

log = getLogger("kpi")

#: Time for the last flush and for leaving the group, in seconds; then for the process to be gone.
DRAIN_SECONDS = 6.0
GONE_SECONDS = 9.0
#: How long one look for a broker takes when there is none.
BROKER_SECONDS = 3.0


class TopicsNotReady(Exception):
    """A topic is missing or has another number of partitions; the message names it."""


def _check_topics(config: settings.Settings) -> None:
    names = [t.full_name(config.namespace) for t in catalog.TOPICS]
    with kafka.admin(config.bootstrap, timeout=BROKER_SECONDS) as client:
        there = sorted(set(names) & set(client.list_topics()))
        counts = {t["name"]: len(t["partitions"]) for t in client.describe_topics(there)}
    problems = [f"{name} is missing" for name in names if name not in counts]
    problems += [
        f"{name} has {count} partitions instead of {config.partitions}"
        for name, count in counts.items()
        if count != config.partitions
    ]
    if problems:
        raise TopicsNotReady("; ".join(problems) + " (see `ioc topics`)")


async def _topics_are_there(config: settings.Settings, stop: asyncio.Event) -> bool:
    """Wait for a broker, however long; False when asked to stop. Raises TopicsNotReady.

    A worker that runs waits for its broker: one that was started while it is away does as well.
    """
    told = False
    while not stop.is_set():
        try:
            await asyncio.to_thread(_check_topics, config)
        except kafka.BrokerUnreachableError as error:
            if not told:
                log.warning("%s Waiting for it.", error)
            told = True
        else:
            return True
    return False


def _leave_anyway(seconds: float) -> None:
    """End the process after ``seconds`` however much hangs: a supervisor waits for that."""
    timer = threading.Timer(seconds, os._exit, args=(service.WANTING,))
    timer.daemon = True
    timer.start()


def rebuilder(config: settings.Settings) -> Restore:
    """How states come back from their rings; one that cannot be used is folded from the source."""
    territories = load_territories()
    selection = Selection.of(config.kpis) if config.kpis else ALL

    def empty(topic: catalog.Topic, partition: int) -> PartitionState:
        return PartitionState(
            topic,
            partition,
            config.partitions,
            clock=config.clock,
            territories=territories,
            selection=selection,
        )

    def rebuild(topic: catalog.Topic, partition: int, ring: Ring) -> PartitionState:
        try:
            return restore(empty(topic, partition), ring)
        except (RingGap, CatalogueChanged) as reason:
            log.error("%s: folding the source log again from its start", reason)
            return refold(empty(topic, partition), ring)

    return rebuild


async def serve(config: settings.Settings, stop: asyncio.Event) -> None:
    """Run a worker until ``stop`` is set. Raises what made it fail."""
    if not await _topics_are_there(config, stop):
        return
    worker = Worker(config, rebuilder(config), Metrics())
    crashed = asyncio.ensure_future(worker.app._crashed.wait())
    stopping = asyncio.ensure_future(stop.wait())
    tidying = asyncio.ensure_future(memory.give_back())
    starting = asyncio.ensure_future(worker.app.start())
    watched: set[asyncio.Future[Any]] = {crashed, stopping, worker.failed}
    await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
    _leave_anyway(GONE_SECONDS)
    crashed.cancel()
    stopping.cancel()
    starting.cancel()
    tidying.cancel()
    await worker.stop()
    if worker.failed.done():
        raise worker.failed.result()
    if not stop.is_set():
        raise worker.app.crash_reason or RuntimeError("the Faust app crashed")


@click.command("kpi")
def main() -> None:
    """Fold the source topics into partial results (one worker; start as many as you like).

    Reads IOC_BOOTSTRAP, IOC_NAMESPACE, IOC_CLOCK, IOC_PARTITIONS, IOC_METRICS_PORT and
    IOC_LOG_LEVEL. SIGTERM or Ctrl-C flushes, leaves the group and ends with exit code 0.

    \b
    Example:
      IOC_METRICS_PORT=9101 ioc kpi
    """
    config = settings.load()
    telemetry.setup_logging(config.log_level)
    log.info("the fold runs %s", speed.describe())
    telemetry.serve_metrics(config.metrics_port)
    # "Timer commit woke up too late": a fold held the loop for a few milliseconds, which is meant.
    getLogger("mode.timers").setLevel("ERROR")
    # Entities are tuples of plain values, which the collector lets go when it first sees them.
    memory.short_looks(10_000)

    async def body(stop: asyncio.Event) -> None:
        await serve(config, stop)

    raise SystemExit(service.run(body, drain_seconds=DRAIN_SECONDS))


if __name__ == "__main__":
    main()
