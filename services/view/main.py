"""``ioc view``: wires the reader of partial results, the merged numbers and the HTTP interface."""

import asyncio
import errno
import logging
import time
from collections.abc import Collection
from contextlib import suppress
from functools import partial

import click
from aiohttp import web

from schemas.catalog import KPI_PARTIAL, SOURCES
from services.core.merge import View
from services.core.selection import ALL, Selection
from services.runtime import memory, service, settings, telemetry
from services.runtime.reference import load_territories
from services.runtime.settings import Settings
from services.view.api import Api
from services.view.consumer import PartialsReader
from services.view.logends import KafkaLogEnds
from services.view.metrics import MetricsPage, PipelineCollector
from services.view.numbers import Numbers
from services.view.overview import Overview
from services.view.progress import Progress
from services.view.sampler import MinuteSampler
from services.view.server import create_app

log = logging.getLogger("view")

#: Clients get this long to take what they were promised before their connection is cut.
SHUTDOWN_S = 0.5
#: And a Kafka client to close.
CLOSE_S = 0.4


def wall_ms() -> int:
    """The wall clock in whole ms since the epoch."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """A clock for ages: it never steps."""
    return time.monotonic_ns() // 1_000_000


#: Why nothing is believed while a new catalogue takes the place of an old one.
FOREIGN = "the partial results were written by another version; a worker is folding again"


@click.command("view")
@click.option("--host", help="Address to listen on (IOC_VIEW_HOST, 127.0.0.1).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (IOC_VIEW_PORT).")
@click.option(
    "--grafana-url", envvar="IOC_GRAFANA_URL", help="Where the wall links to (IOC_GRAFANA_URL)."
)
def main(host: str | None, port: int | None, grafana_url: str | None) -> None:
    """Serve KPIs, the live wall and /metrics from the partial results in Kafka.

    Settings come from the environment (IOC_BOOTSTRAP, IOC_NAMESPACE, IOC_CLOCK, IOC_PARTITIONS,
    IOC_VIEW_HOST, IOC_VIEW_PORT, IOC_LOG_LEVEL). Without a broker the view goes on serving, says
    so at /readyz, and comes back by itself.

    \b
    Example:
      IOC_VIEW_PORT=8081 ioc view
    """
    config = settings.load()
    telemetry.setup_logging(config.log_level)
    if config.log_level != "DEBUG":
        # Without a broker it says so several times a second; we say it once, in our words.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    memory.short_looks(20_000)
    address = (host or config.view_host, port or config.view_port)
    raise SystemExit(service.run(partial(serve, config, address, grafana_url)))


async def serve(
    config: Settings, address: tuple[str, int], grafana: str | None, stop: asyncio.Event
) -> None:
    """Serve until ``stop`` is set. Raises OSError when the address cannot be had."""
    territories = load_territories()
    selection = Selection.of(config.kpis) if config.kpis else ALL
    view = View(territories, config.partitions, config.clock, selection)

    def now() -> int:
        return view.clock_at(wall_ms())

    async def fed() -> None:
        api.hub.fed()
        await sampler.tick()

    sampler = MinuteSampler(view.sample, now, lambda: reader.complete)
    reader = PartialsReader(
        config.bootstrap, config.named(KPI_PARTIAL.name), config.partitions, view, fed
    )
    ends = KafkaLogEnds(
        config.bootstrap, {t.name: config.named(t.name) for t in SOURCES}, config.partitions
    )
    progress = Progress(
        ends,
        lambda: view.heads,
        [(t.name, p) for t in SOURCES for p in range(config.partitions)],
        monotonic_ms,
        lambda: reader.reason or (FOREIGN if view.foreign else None),
    )
    overview = Overview(view, territories, config.clock, config.namespace, grafana)

    def complete() -> bool:
        return reader.complete

    collector = PipelineCollector(view, territories, progress, overview, now, complete)
    metrics = MetricsPage(view, territories, collector, now, complete)
    api = Api(view, territories, progress, metrics, overview, wall_ms, Numbers(view))
    runner = web.AppRunner(
        create_app(api), access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S
    )
    await runner.setup()
    work: list[asyncio.Task[None]] = []
    try:
        await _listen(runner, address)
        work = [
            asyncio.create_task(job, name=name)
            for name, job in (
                ("reader", reader.run()),
                ("progress", progress.run()),
                ("streams", api.hub.run()),
                ("sampler", sampler.run()),
            )
        ]
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([*work, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done - {stopping}:
            task.result()  # these never end by themselves: whatever ended one is raised here
    finally:
        await runner.cleanup()
        await _end({*work, *progress.under_way})
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await ends.close()


async def _end(work: Collection[asyncio.Task[None]]) -> None:
    """Cancel and wait a moment; a Kafka client that waits for a dead broker is cancelled again."""
    for _ in range(2):
        for task in work:
            task.cancel()
        if work:
            _, work = await asyncio.wait(work, timeout=CLOSE_S)


async def _listen(runner: web.AppRunner, address: tuple[str, int]) -> None:
    host, port = address
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be had: {error.strerror}"
        log.critical("%s:%d %s (IOC_VIEW_HOST, IOC_VIEW_PORT)", host, port, why)
        raise SystemExit(service.WANTING) from None
    log.info("listening on http://%s:%d", host, port)
