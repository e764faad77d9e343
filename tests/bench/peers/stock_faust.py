"""Stock Faust as its guide shows it: ``async for`` over a stream of ``faust.Record``, two tables.

One table keeps the latest state of each entity, the other the sums by KPI, district and pane, with
the partition in the key, so that the rows of several workers could be added up. Both are in memory
with a changelog each, as they are by default. Times stay text (``coerce`` would make it slower).
"""

import asyncio
import os
from tempfile import mkdtemp
from typing import Any

import faust
from faust.types import ProcessingGuarantee

from tests.bench.peers.law import Report, Sum, amounts, changes, entity


class Envelope(faust.Record, serializer="json"):
    """The members of the envelope."""

    specversion: str
    id: str
    source: str
    type: str
    time: str
    data: dict[str, Any]


def make_app(report: Report, finished: asyncio.Event) -> tuple[faust.App, Any]:
    """The app, and its table of sums."""
    app = faust.App(
        report.name,
        broker=f"kafka://{report.bootstrap}",
        topic_partitions=report.partitions,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        processing_guarantee=ProcessingGuarantee.AT_LEAST_ONCE,
        web_enabled=False,
        store="memory://",
        datadir=mkdtemp(dir=report.folder),
    )
    topic = app.topic(*report.topics, value_type=Envelope, key_serializer="raw")
    entities = app.Table("entities", partitions=report.partitions)
    sums = app.Table("sums", partitions=report.partitions)

    async def fold(stream: Any) -> None:
        async for event in stream.events():
            message, envelope = event.message, event.value
            key = entity(envelope.type, envelope.data)
            if key is not None:
                revision = envelope.data["revision"]
                known, old = entities.get(key, (0, []))
                if revision > known:
                    arrival = int(message.timestamp * 1000)
                    new = amounts(envelope.type, envelope.data, arrival, report.places)
                    before = {(k, d, p): (n, m) for k, d, p, n, m in old}
                    for (kpi, district, pane), n, m in changes(before, new):
                        row = f"{message.partition}|{kpi}|{district}|{pane}"
                        had_n, had_m = sums.get(row, (0, 0))
                        sums[row] = (had_n + n, had_m + m)
                    entities[key] = (revision, [[*k, *v] for k, v in new.items()])
            if report.absorb():
                finished.set()

    app.agent(topic)(fold)
    return app, sums


async def main() -> None:
    report = Report()
    finished = asyncio.Event()
    app, sums = make_app(report, finished)
    starting = asyncio.ensure_future(app.start())
    await finished.wait()
    await app.producer.flush()
    found: dict[Sum, tuple[int, int]] = {}
    for row, (n, d) in sums.items():
        _, kpi, district, pane = row.split("|")
        had = found.get((kpi, district, int(pane)), (0, 0))
        found[kpi, district, int(pane)] = had[0] + n, had[1] + d
    report.done(found)
    starting.cancel()
    os._exit(0)  # it may take long to leave its group, and nobody waits for that


if __name__ == "__main__":
    asyncio.run(main())
