"""Dead letters beside the oracle's rejected records: each has its own, its bytes and reason."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

from services.oracle.audit import Difference
from services.oracle.loading import fingerprint
from services.oracle.oracle import Oracle
from services.oracle.records import RawRecord

DEAD_LETTERS = "ioc.dead-letter.v1"
#: So many are named; a topic without a single letter is not worth a million lines.
SHOWN = 1000

_SCHEMA = pa.schema(
    [
        ("topic", pa.string()),
        ("part", pa.int32()),
        ("off", pa.int64()),
        ("reason", pa.string()),
        ("fingerprint", pa.int64()),
    ]
)


_WRONG = """
SELECT r.topic, r.part, r.off, r.reason,
    CASE WHEN l.off IS NULL THEN 'no dead letter'
         WHEN l.reason <> r.reason THEN l.reason ELSE 'other bytes' END
FROM rejects r LEFT JOIN letters l USING (topic, part, off)
WHERE (l.off IS NULL AND r.stamp >= $1) OR l.reason <> r.reason OR l.fingerprint <> r.fingerprint
UNION ALL
SELECT o.topic, o.part, o.off, o.outcome, 'dead letter: ' || l.reason
FROM outcomes o JOIN letters l USING (topic, part, off)
WHERE o.outcome <> 'rejected'
ORDER BY ALL LIMIT $2
"""


class Letters:
    """The dead letters of one system; read into the oracle's database."""

    def __init__(self, oracle: Oracle) -> None:
        self._db = oracle.connection
        self._add("CREATE OR REPLACE TABLE letters AS FROM batch", [])
        #: Letters that do not say which record they are of.
        self.nameless = 0
        self.read = 0
        #: Broker timestamp of the oldest, ms.
        self.first_stamp: int | None = None

    def load(self, records: Iterable[RawRecord]) -> None:
        """Takes records of the dead-letter topic."""
        rows = []
        for record in records:
            self.read += 1
            if self.first_stamp is None or record.timestamp < self.first_stamp:
                self.first_stamp = record.timestamp
            # A producer may have sent headers of the same name: ours come last.
            headers = dict(record.headers)
            try:
                row = (
                    headers["ioc-topic"].decode(),
                    int(headers["ioc-partition"]),
                    int(headers["ioc-offset"]),
                    headers["ioc-reason"].decode(),
                    fingerprint(record.key, record.value),
                )
            except (KeyError, ValueError):
                self.nameless += 1
            else:
                rows.append(row)
        if rows:
            self._add("INSERT INTO letters FROM batch", rows)

    def _add(self, statement: str, rows: list[tuple[str, int, int, str, int]]) -> None:
        columns: Iterable[Any] = zip(*rows, strict=True) if rows else [[] for _ in _SCHEMA]
        self._db.register(
            "batch",
            pa.table([pa.array(c, f.type) for c, f in zip(columns, _SCHEMA, strict=True)], _SCHEMA),
        )
        self._db.execute(statement)
        self._db.unregister("batch")

    def differences(self, since: int | None = None) -> list[Difference]:
        """What is wrong as of the oracle's cut: letters that are missing, or say something else.

        A letter that is there twice is none (a worker that is killed sends it again). ``since``:
        the letters of records stamped (ms) before are gone by retention.
        """
        out = []
        for topic, part, off, mine, theirs in self._db.execute(
            _WRONG,
            [-(2**62) if since is None else since, SHOWN],
        ).fetchall():
            out.append(
                Difference("dead_letter", f"{topic}/{part}", None, None, f"offset {off}",
                           mine, theirs)
            )  # fmt: skip
        if self.nameless:
            out.append(
                Difference("dead_letter", DEAD_LETTERS, None, None, None, "0 without a record",
                           f"{self.nameless} without a record")
            )  # fmt: skip
        return out
