"""Raw records kept as they came: one DuckDB table, in memory or in a file when the log is large."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

from services.oracle.broker import LogReader
from services.oracle.records import (
    CHUNK,
    SOURCE_TOPICS,
    Place,
    RawRecord,
    murmur2,
    partition_of,
)

__all__ = ["SOURCE_TOPICS", "RawLog", "RawRecord", "drain", "murmur2", "partition_of"]

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
    bootstrap: str,
    namespace: str = "",
    topics: Sequence[str] = SOURCE_TOPICS,
    database: str = "",
    *,
    until: Mapping[Place, int] | None = None,
) -> RawLog:
    """Reads the named topics of a broker from their beginnings to their present ends.

    ``until``: to before these offsets, by (topic, partition), and nothing of other partitions.
    Raises TopicMissingError (a KeyError), or BrokerError when no broker answers.
    """
    log = RawLog(database or ":memory:")
    reader = LogReader(bootstrap, namespace, topics)
    await reader.start()
    try:
        async for records in reader.batches(until):
            log.append(records)
    finally:
        await reader.stop()
    return log
