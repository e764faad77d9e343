"""A view on a stage: real merged numbers of a few events, a broker that is a dictionary, no clock.

Everything happens at ``NOW``, 10 March 2026 09:30 in Viet Nam. Two provinces live: 51 has three
field reports (two roads and a flood; one answered in time, one urgent and overdue) and a listing,
45 has one report with an unknown district.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from schemas import catalog, codec
from services.core.merge import View
from services.core.record import SourceRecord
from services.core.state import PartitionState
from services.runtime.reference import load_territories
from services.view import instants
from services.view.api import Api
from services.view.metrics import MetricsPage, PipelineCollector
from services.view.numbers import Numbers
from services.view.overview import Overview
from services.view.progress import Bounds, Progress, TopicPartition
from services.view.server import create_app

NOW = instants.parse("2026-03-10T09:30:00+07:00")
HOUR = 3_600_000
PARTITIONS = 2
TERRITORIES = load_territories()
ALL = [(topic.name, p) for topic in catalog.SOURCES for p in range(PARTITIONS)]

Client = TestClient[Request, Application]


def at(hours: float) -> str:
    """``NOW`` plus hours, as text."""
    return instants.show(NOW + round(hours * HOUR))


def envelope(kind: str, time: str, data: Mapping[str, Any], source: str = "/test") -> bytes:
    return json.dumps(
        {"specversion": "1.0", "id": "1", "source": source, "type": f"ioc.{kind}.v1",
         "time": time, "data": data}
    ).encode()  # fmt: skip


def report(report_id: str, **changes: Any) -> dict[str, Any]:
    """A field report of Bình Sơn in Quảng Ngãi, an hour old and open."""
    return {
        "report_id": report_id, "revision": 1, "status": "received", "category": "road",
        "channel": "app", "priority": "normal", "province_code": "51", "district_code": "524",
        "reported_at": at(-1), "due_at": at(20),
    } | changes  # fmt: skip


REPORTS = (
    report("a"),
    report("b", status="answered", answered_at=at(-0.5), closed_at=at(-0.5)),
    report("c", category="drainage_flood", priority="urgent", due_at=at(-0.25)),
    report("d", province_code="45", district_code="999", channel="web"),
)
LISTING = {
    "listing_id": "l1", "revision": 1, "store_id": "s1", "seller_kind": "household",
    "platform": "voso", "product_key": "p1", "product_name": "Tỏi Lý Sơn", "product_group": "food",
    "ocop_stars": 4, "price_vnd": 90_000, "stock": 0, "active": True, "province_code": "51",
    "created_at": at(-2),
}  # fmt: skip
READING = {
    "domain": "infra", "indicator": "infra.vc_points_online", "territory": "51",
    "period_start": at(-1), "period_end": at(-0.1), "revision": 1, "kind": "level",
    "value": 183, "target": 186, "unit": "points", "source_system": "vc",
}  # fmt: skip


class Stage:
    """Folds events as a worker would and feeds the view what the worker would write."""

    def __init__(self) -> None:
        self.view = View(TERRITORIES, PARTITIONS, "wall")
        self._states: dict[TopicPartition, PartitionState] = {}
        self.ends: dict[TopicPartition, int] = dict.fromkeys(ALL, 0)

    def produce(self, topic: catalog.Topic, key: str, value: bytes, *, apply: bool = True) -> None:
        """Append one record to the log; ``apply``: it is folded and shown as well."""
        partition = codec.partition_of(key.encode(), PARTITIONS)
        place = (topic.name, partition)
        offset = self.ends[place]
        self.ends[place] = offset + 1
        if not apply:
            return
        state = self._states.get(place)
        if state is None:
            state = PartitionState(
                topic, partition, PARTITIONS, clock="wall", territories=TERRITORIES
            )
            state.open_epoch(1)
            self._states[place] = state
        state.fold([SourceRecord(offset, NOW, key.encode(), value)])
        for record_key, part in state.flush().parts:
            assert self.view.feed(partition, record_key, part)

    def report(self, data: Mapping[str, Any], *, apply: bool = True, source: str = "/test") -> None:
        value = envelope("field_report", at(0), data, source)
        self.produce(catalog.FIELD_REPORT, data["report_id"], value, apply=apply)

    def fill(self) -> None:
        """The events of this module's first lines."""
        for data in REPORTS:
            self.report(data)
        self.produce(catalog.LISTING, "s1", envelope("listing", at(-2), LISTING))
        key = "infra.vc_points_online|51|"
        self.produce(catalog.INDICATOR, key, envelope("indicator", at(-0.1), READING))
        self.produce(catalog.FIELD_REPORT, "bad", b"{")


@dataclass
class Broker:
    """Knows the ends of the stage's logs; ``down`` is why it does not answer."""

    stage: Stage
    down: str | None = None
    asked: int = 0
    under_way: asyncio.Event = field(default_factory=asyncio.Event)

    async def bounds(self) -> Mapping[TopicPartition, Bounds]:
        self.asked += 1
        ends = dict(self.stage.ends)
        self.under_way.set()
        await asyncio.sleep(0)
        if self.down is not None:
            raise OSError(self.down)
        return {key: Bounds(0, end) for key, end in ends.items()}


@dataclass
class Rig:
    """All parts of one view; ``clock_ms`` is what time it is, for ages too."""

    stage: Stage = field(default_factory=Stage)
    clock_ms: int = NOW
    reading: str | None = None

    def __post_init__(self) -> None:
        view = self.stage.view
        self.broker = Broker(self.stage)
        self.progress = Progress(
            self.broker, lambda: view.heads, ALL, self.now, lambda: self.reading
        )
        self.overview = Overview(view, TERRITORIES, "wall")
        complete = self._complete
        collector = PipelineCollector(
            view, TERRITORIES, self.progress, self.overview, self.now, complete
        )
        self.metrics = MetricsPage(view, TERRITORIES, collector, self.now, complete)
        numbers = Numbers(view)
        self.api = Api(
            view, TERRITORIES, self.progress, self.metrics, self.overview, self.now, numbers
        )

    def now(self) -> int:
        return self.clock_ms

    def _complete(self) -> bool:
        return self.reading is None


def filled() -> Rig:
    rig = Rig()
    rig.stage.fill()
    return rig


@asynccontextmanager
async def client_of(rig: Rig) -> AsyncIterator[Client]:
    async with TestClient(TestServer(create_app(rig.api))) as client:
        yield client


def with_client(test: Callable[[Client, Rig], Awaitable[None]], rig: Rig | None = None) -> None:
    """Run an async test against a filled view (or ``rig``)."""

    async def run() -> None:
        stage = rig or filled()
        async with client_of(stage) as client:
            await test(client, stage)

    asyncio.run(run())
