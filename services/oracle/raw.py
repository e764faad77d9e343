"""Raw Kafka records as the oracle sees them: bytes, offsets and broker timestamps, nothing else.

A `RawLog` keeps them in one DuckDB table (in memory, or in a file when the log is large); `drain`
fills it from a real broker. Shares no code with the pipeline.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
from aiokafka import AIOKafkaConsumer, TopicPartition

SOURCE_TOPICS = (
    "ioc.field-report.v1",
    "ioc.admin-case.v1",
    "ioc.listing.v1",
    "ioc.indicator.v1",
)
#: Records held as Python objects at once while loading or reading.
CHUNK = 20_000

_ARROW = pa.schema(
    [
        ("topic", pa.string()),
        ("part", pa.int32()),
        ("off", pa.int64()),
        ("ts", pa.int64()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))),
    ]
)


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record of a source topic; ``topic`` without namespace, ``timestamp`` broker ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def murmur2(data: bytes) -> int:
    """The hash of Kafka's Java client: 32-bit MurmurHash2 with its seed, as a positive number."""
    mask = 0xFFFFFFFF
    m = 0x5BD1E995
    length = len(data)
    h = 0x9747B28C ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if length > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    h ^= h >> 15
    return h & 0x7FFFFFFF


@lru_cache(maxsize=1 << 18)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition that the Java client gives this key."""
    return murmur2(key) % partitions


def _chunks(records: Iterable[RawRecord], size: int) -> Iterator[list[RawRecord]]:
    it = iter(records)
    while chunk := list(islice(it, size)):
        yield chunk


class RawLog:
    """The raw table: ``raw(topic, part, off, ts, key, value, headers)`` of one DuckDB database."""

    def __init__(self, database: str = ":memory:") -> None:
        self.connection = duckdb.connect(database)
        self.connection.execute(
            "CREATE OR REPLACE TABLE raw (topic VARCHAR, part INTEGER, off BIGINT, ts BIGINT,"
            " key BLOB, value BLOB, headers STRUCT(name VARCHAR, value BLOB)[])"
        )

    def append(self, records: Iterable[RawRecord]) -> int:
        """Adds records in bulk; returns how many there were."""
        total = 0
        for chunk in _chunks(records, CHUNK):
            columns: list[list[Any]] = [
                [r.topic for r in chunk],
                [r.partition for r in chunk],
                [r.offset for r in chunk],
                [r.timestamp for r in chunk],
                [r.key for r in chunk],
                [r.value for r in chunk],
                [[{"name": n, "value": v} for n, v in r.headers] for r in chunk],
            ]
            table = pa.table(
                [pa.array(c, f.type) for c, f in zip(columns, _ARROW, strict=True)], schema=_ARROW
            )
            self.connection.register("incoming", table)
            self.connection.execute("INSERT INTO raw SELECT * FROM incoming")
            self.connection.unregister("incoming")
            total += len(chunk)
        return total

    def __len__(self) -> int:
        # fetchall, not fetchone: DuckDB 2 wants a result read to its end before the next statement.
        return int(self.connection.execute("SELECT count(*) FROM raw").fetchall()[0][0])

    def records(self) -> Iterator[RawRecord]:
        """All records by topic, partition and offset, holding one chunk at a time."""
        # A cursor of its own: the reader may write to the connection between two chunks.
        cursor = self.connection.cursor()
        cursor.execute(
            "SELECT topic, part, off, ts, key, value, headers FROM raw ORDER BY topic, part, off"
        )
        while rows := cursor.fetchmany(CHUNK):
            for topic, part, off, ts, key, value, headers in rows:
                pairs = [(h["name"], h["value"]) for h in headers or ()]
                yield RawRecord(topic, part, off, ts, key, value, pairs)


async def drain(
    bootstrap: str, namespace: str = "", topics: Sequence[str] = SOURCE_TOPICS, database: str = ""
) -> RawLog:
    """Reads the named topics of a broker from their beginnings to their present ends.

    Joins no group and commits nothing. Raises KeyError for a topic that does not exist.
    """
    log = RawLog(database or ":memory:")
    prefix = f"{namespace}." if namespace else ""
    connect: Any = AIOKafkaConsumer  # aiokafka has no types
    # Named at first, so that the client learns their partitions.
    consumer = connect(
        *(prefix + topic for topic in topics),
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        assigned: list[TopicPartition] = []
        for topic in topics:
            numbers = consumer.partitions_for_topic(prefix + topic)
            if not numbers:
                raise KeyError(prefix + topic)
            assigned += [TopicPartition(prefix + topic, n) for n in sorted(numbers)]
        ends: dict[TopicPartition, int] = await consumer.end_offsets(assigned)
        consumer.unsubscribe()
        consumer.assign(assigned)
        await consumer.seek_to_beginning(*assigned)
        waiting = {tp for tp in assigned if await consumer.position(tp) < ends[tp]}
        while waiting:
            batches = await consumer.getmany(*waiting, timeout_ms=1000, max_records=CHUNK)
            for tp, batch in batches.items():
                log.append(
                    RawRecord(
                        tp.topic.removeprefix(prefix),
                        tp.partition,
                        m.offset,
                        m.timestamp,
                        m.key,
                        m.value,
                        [(str(n), bytes(v or b"")) for n, v in m.headers],  # a value may be null
                    )
                    for m in batch
                    if m.offset < ends[tp]
                )
            for tp in list(waiting):
                if await consumer.position(tp) >= ends[tp]:
                    waiting.discard(tp)
                    consumer.pause(tp)
    finally:
        await consumer.stop()
    return log
