"""The answers of an engine, of our ring and of the oracle, all in one form, so that they compare.

``KPI|window|district -> [numerator or value, denominator or 0]``, rows of nothing left out. The
districts are those of contract section 4, with ``.none`` and ``.unknown``; the window of what is
counted now is ``now``.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import catalog
from services.core.merge import View
from services.core.selection import ALL, Selection
from services.oracle.kpis import KPIS
from services.oracle.oracle import Oracle, Places
from services.oracle.raw import RawLog
from services.runtime import reference

#: The six KPIs that every engine computes.
SIX = (
    "fr.received",
    "fr.open_now",
    "gov.cases_received",
    "gov.on_time_rate",
    "gov.open_now",
    "eco.gmv_vnd",
)
WINDOWS = ("5m", "1h")
TERRITORIES = Path(reference.__file__).with_name("data")
Answers = dict[str, list[int]]


def _windows(kpi: str) -> tuple[str | None, ...]:
    return (None,) if KPIS[kpi].stock else WINDOWS


def expected(log: RawLog, partitions: int, as_of: int) -> Answers:
    """What the oracle makes of the raw records at an instant (ms)."""
    places = Places.from_csv(TERRITORIES)
    beyond = {f"{p}.{kind}" for p in places.provinces for kind in ("none", "unknown")}
    oracle = Oracle(log, partitions, "wall", places)
    found: Answers = {}
    for kpi in SIX:
        for window in _windows(kpi):
            for (code, _), row in oracle.rows(kpi, window, as_of).items():
                if code in places.districts or code in beyond:
                    pair: tuple[Any, Any] = (row.value, 0)
                    if KPIS[kpi].kind == "rate":
                        pair = (row.numerator, row.denominator)
                    _put(found, kpi, window, code, *pair)
    return found


def of_view(view: View, now: int, as_of: int) -> Answers:
    """What a view says; ``now`` and ``as_of`` in ms."""
    found: Answers = {}
    for kpi in SIX:
        for window in _windows(kpi):
            at = None if window is None else as_of
            for row in view.query(kpi, now=now, window=window, by="district", as_of=at)[1]:
                pair: tuple[Any, Any] = (row.value, 0)
                if KPIS[kpi].kind == "rate":
                    pair = (row.numerator, row.denominator)
                _put(found, kpi, window, row.territory, *pair)
    return found


def _put(found: Answers, kpi: str, window: str | None, code: str, n: Any, d: Any) -> None:
    row = [int(n or 0), int(d or 0)]
    if row != [0, 0]:
        found[f"{kpi}|{window or 'now'}|{code}"] = row


def of_file(path: Path) -> Answers:
    """What a peer wrote."""
    found: Answers = json.loads(path.read_text(encoding="utf-8"))
    return found


def differences(found: Answers, wanted: Answers) -> list[str]:
    """One line for each row that differs."""
    return [
        f"{name}: {found.get(name)} instead of {wanted.get(name)}"
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
    ]


async def _read(bootstrap: str, topic: str, partitions: int) -> list[tuple[int, int, Any]]:
    make: Any = AIOKafkaConsumer  # untyped
    consumer = make(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: list[tuple[int, int, Any]] = []
    try:
        tps = [TopicPartition(topic, p) for p in range(partitions)]
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        await consumer.seek_to_beginning(*tps)
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                found += [(tp.partition, r.timestamp, r) for r in records]
    finally:
        await consumer.stop()
    return found


def read_topic(bootstrap: str, topic: str, partitions: int) -> list[tuple[int, int, Any]]:
    """All records of a topic as (partition, timestamp in ms, record)."""
    return asyncio.run(_read(bootstrap, topic, partitions))


def of_ring(
    bootstrap: str, namespace: str, partitions: int, selection: Selection = ALL
) -> tuple[View, float, int]:
    """The view of a worker's partial results, when the last of them was appended (s), and bytes."""
    topic = catalog.KPI_PARTIAL.full_name(namespace)
    records = read_topic(bootstrap, topic, partitions)
    view = View(reference.load_territories(), partitions, "wall", selection)
    size = 0
    for partition, _, record in records:
        size += len(record.value or b"")
        if not view.feed(partition, record.key, record.value):
            raise ValueError(f"the ring of {namespace} has a record of another owner")
    return view, max((at for _, at, _ in records), default=0) / 1000, size
