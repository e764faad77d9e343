"""From raw records to the oracle's tables: each record is read once and becomes one row.

Rows are gathered as tuples and handed to DuckDB as Arrow columns, so that a million records cost
neither a million dictionaries nor a million statements.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from operator import itemgetter
from typing import Any, Literal

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

from services.oracle.reading import STEPS, Reading, read, series_key
from services.oracle.records import RawRecord
from services.oracle.tables import COLUMNS, COMMON, REJECTS

#: Rows of one table that wait as Python objects at most.
BATCH = 4_000

Clock = Literal["wall", "event"]
_PAYMENT = ("pay_method", "pay_amount", "pay_paid_at")
_SCHEMAS = {f"{table}_all": COMMON | columns for table, columns in COLUMNS.items()} | {
    "rejects_all": REJECTS
}


def fingerprint(key: bytes | None, value: bytes | None) -> int:
    """What tells whether a dead letter carries the bytes of its record: 64 bits of both."""
    hashed = blake2b(digest_size=8)
    for part in (key, value):
        hashed.update(b"-" if part is None else b"+%d:" % len(part))
        hashed.update(part or b"")
    return int.from_bytes(hashed.digest(), "big", signed=True)


def _getter(table: str, *, without: tuple[str, ...] = ()) -> Callable[[Mapping[str, Any]], Any]:
    names = [name for name in COLUMNS[table] if name not in without]
    return itemgetter(*names)


_PLAIN = {
    "report": _getter("report"),
    "listing": _getter("listing"),
    "orders": _getter("orders"),
    "kase": _getter("kase", without=(*_PAYMENT, *(f"step_{s}" for s in STEPS))),
    "reading": _getter("reading", without=("series",)),
}
_NO_STEPS = (None,) * len(STEPS)
_NO_PAYMENT = (None,) * len(_PAYMENT)


def _row(event: Reading) -> tuple[Any, ...]:
    """The columns of a table in their order."""
    table, data = event.table, event.data
    plain: tuple[Any, ...] = _PLAIN[table](data)
    if table == "kase":
        steps, paid = data["steps"], data["payment"]
        return (
            *plain,
            *((paid["method"], paid["amount"], paid["paid_at"]) if paid else _NO_PAYMENT),
            *(map(steps.get, STEPS) if steps else _NO_STEPS),
        )
    if table == "reading":
        return (*plain, series_key(data))
    return plain


def arrival_of(record: RawRecord, clock: Clock) -> int:
    """When a record arrived, ms: in an event system the header ``ioc-arrival`` says so."""
    if clock == "event":
        for name, value in record.headers:
            if name == "ioc-arrival" and value.isdigit():
                return int(value)
    return record.timestamp


class Loader:
    """Fills the tables ``<entity>_all`` and ``rejects_all``, which it makes anew."""

    def __init__(self, db: duckdb.DuckDBPyConnection, partitions: int, clock: Clock) -> None:
        self._db, self._partitions, self._clock = db, partitions, clock
        self._waiting: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _SCHEMAS}
        for name in _SCHEMAS:
            self._write(name, "CREATE OR REPLACE TABLE {} AS FROM batch")

    def load(self, records: Iterable[RawRecord]) -> int:
        """Reads records; how many there were. Some wait in memory until :meth:`finish`."""
        waiting, partitions, clock = self._waiting, self._partitions, self._clock
        rejects = waiting["rejects_all"]
        lists = {name.removesuffix("_all"): rows for name, rows in waiting.items()}
        count = 0
        for record in records:
            count += 1
            arrival = arrival_of(record, clock)
            event = read(record, partitions, arrival)
            if isinstance(event, Reading):
                rows = lists[event.table]
                rows.append(
                    (
                        record.topic, record.partition, record.offset, arrival, event.time,
                        event.entity, event.revision, event.digest, *_row(event),
                    )
                )  # fmt: skip
                if len(rows) >= BATCH:
                    self._flush(f"{event.table}_all")
            else:
                rejects.append(
                    (
                        record.topic, record.partition, record.offset, record.timestamp, *event,
                        fingerprint(record.key, record.value),
                    )
                )  # fmt: skip
                if len(rejects) >= BATCH:
                    self._flush("rejects_all")
        return count

    def finish(self) -> None:
        """Writes what waits."""
        for name in _SCHEMAS:
            self._flush(name)

    def _flush(self, name: str) -> None:
        if self._waiting[name]:
            self._write(name, "INSERT INTO {} FROM batch")
            self._waiting[name].clear()

    def _write(self, name: str, statement: str) -> None:
        schema, rows = _SCHEMAS[name], self._waiting[name]
        columns: Iterable[Any] = zip(*rows, strict=True) if rows else ([] for _ in schema)
        batch = pa.table(
            {n: pa.array(c, kind) for (n, kind), c in zip(schema.items(), columns, strict=True)}
        )
        self._db.register("batch", batch)
        self._db.execute(statement.format(name))
        self._db.unregister("batch")
