"""The peer of the bench: stock Faust as its guide shows it, one table, one count per event.

``async for`` over a stream of ``faust.Record``, a table of counts by type and province. It does a
twentieth of what a worker of ours does, and keeps no revision: only the path is compared.
"""

import asyncio
import os
import signal
from datetime import datetime
from tempfile import mkdtemp
from typing import Any

import faust
from prometheus_client import Counter, start_http_server

from schemas import catalog


class Entity(faust.Record, serializer="json", coerce=True):
    """What a dashboard would take of any of the four kinds."""

    revision: int
    province_code: str | None = None
    district_code: str | None = None
    commune_code: str | None = None
    status: str | None = None
    channel: str | None = None
    registered_at: datetime | None = None
    accepted_at: datetime | None = None
    solved_at: datetime | None = None
    reported_at: datetime | None = None
    answered_at: datetime | None = None
    placed_at: datetime | None = None
    due_at: datetime | None = None
    value_vnd: int | None = None
    value: float | None = None


class Envelope(faust.Record, serializer="json", coerce=True):
    """The members of the envelope."""

    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    data: Entity


def make_app() -> faust.App:
    namespace = os.environ["IOC_NAMESPACE"]
    partitions = int(os.environ["IOC_PARTITIONS"])
    app = faust.App(
        f"{namespace}.stock",
        broker=f"kafka://{os.environ['IOC_BOOTSTRAP']}",
        topic_partitions=partitions,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
        store="memory://",
        datadir=mkdtemp(prefix="stock-faust-"),
    )
    names = [topic.full_name(namespace) for topic in catalog.SOURCES]
    topic = app.topic(*names, value_type=Envelope, key_serializer="raw")
    counts = app.Table("counts", default=int, partitions=partitions)
    absorbed = Counter("ioc_worker_records", "Records absorbed")

    async def count(stream: Any) -> None:
        async for event in stream:
            hour = event.time.replace(minute=0, second=0, microsecond=0).isoformat()
            counts[f"{event.type}|{event.data.province_code}|{hour}"] += 1
            absorbed.inc()

    app.agent(topic)(count)
    return app


async def main() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app = make_app()
    start_http_server(int(os.environ["IOC_METRICS_PORT"]), addr="127.0.0.1")
    starting = asyncio.ensure_future(app.start())
    await stop.wait()
    starting.cancel()
    os._exit(0)  # it may take long to drain, and nobody needs its result


if __name__ == "__main__":
    asyncio.run(main())
