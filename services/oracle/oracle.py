"""The batch oracle: every outcome and every KPI from the raw records alone.

One law (contract section 4): of every entity only the event with the highest revision counts, of
several with that revision the one with the lowest offset; a KPI is a sum over these latest states.
So the oracle keeps no running state: it reads each record once (`loading`), lets DuckDB choose the
latest states as of any fence, and sums them with SQL (`kpis`). It is written from the contract's
text and imports nothing of the pipeline.
"""

from collections.abc import Iterable, Mapping
from itertools import product
from string import Template
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]  # ships no types

from services.oracle.kpis import KPIS, Kpi, members
from services.oracle.loading import Clock, Loader, arrival_of
from services.oracle.raw import RawLog
from services.oracle.reading import REASONS
from services.oracle.records import SOURCE_TOPICS, Place, RawRecord
from services.oracle.tables import (
    BELOW_THE_FENCE,
    COLUMNS,
    EVERY_LEVEL,
    EVERY_LEVEL_CODE,
    LATEST,
    OUTCOMES_SQL,
    READINGS,
    ROWS,
    STATES,
    STEP,
    TOP_LEVELS,
    TOP_LEVELS_CODE,
    Places,
)
from services.oracle.windows import DAY, HOUR, MINUTE, bounds, floor

OUTCOMES = ("applied", "duplicate", "conflict", "stale", "rejected", "expired")
KEEP = 400 * DAY
#: Indicator periods shorter than a day.
KEEP_SHORT = 48 * HOUR


class Row(NamedTuple):
    """One answer: ``numerator`` of a mean in ms, of a rate in its own unit."""

    value: float | int | None
    numerator: float | int | None
    denominator: float | int | None
    entities: int


class Latest(NamedTuple):
    """One indicator series at an instant, from its latest finished period."""

    value: float | None
    target: float | None
    gap: float | None
    age_seconds: float
    period_start: int


class Oracle:
    """All numbers of one set of raw records.

    ``clock``: ``wall`` takes the broker timestamp as arrival, ``event`` the header ``ioc-arrival``
    (and the broker timestamp where it is missing). ``records`` may come in pieces: :meth:`load`
    them, then :meth:`choose`. Everything lies in one DuckDB database: that of a ``RawLog`` that is
    given, else ``database`` (a file for more records than fit in memory). ``memory`` (like 512MB)
    and ``threads`` bound what DuckDB takes; what does not fit is written beside the file.
    """

    def __init__(
        self,
        records: Iterable[RawRecord] | RawLog | None,
        partitions: int,
        clock: Clock,
        places: Places,
        *,
        database: str = ":memory:",
        memory: str | None = None,
        threads: int | None = None,
    ) -> None:
        """``records`` None: nothing is loaded and chosen yet."""
        self.places = places
        self._db = records.connection if isinstance(records, RawLog) else duckdb.connect(database)
        if memory is not None:
            self._db.execute("SET memory_limit = ?", [memory])
        if threads is not None:
            self._db.execute("SET threads = ?", [threads])
        # Rows have offsets: no order of rows has to be kept, and that takes memory.
        self._db.execute("SET preserve_insertion_order = false")
        self._commune_counts = places.commune_counts()
        self._make_places()
        self._clock: Clock = clock
        self._loader = Loader(self._db, partitions, clock)
        if records is not None:
            self.load(records.records() if isinstance(records, RawLog) else records)
            self.choose()

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The database, for questions of one's own."""
        return self._db

    def close(self) -> None:
        """Closes the database."""
        self._db.close()

    # -- reading ---------------------------------------------------------------------------------

    def _make_places(self) -> None:
        places = self.places
        for name, columns in (
            ("districts", {"district": list(places.districts),
                           "province": list(places.districts.values())}),
            ("communes", {"commune": list(places.communes),
                          "district": [d for d, _ in places.communes.values()]}),
        ):  # fmt: skip
            self._db.register("batch", pa.table(columns))
            self._db.execute(f"CREATE OR REPLACE TABLE {name} AS FROM batch")
            self._db.unregister("batch")

    @property
    def kpis(self) -> set[str]:
        """The names of the KPIs that can be asked for."""
        return set(KPIS)

    def arrival_of(self, record: RawRecord) -> int:
        """When a record arrived by the system's clock, ms."""
        return arrival_of(record, self._clock)

    def load(self, records: Iterable[RawRecord]) -> int:
        """Reads records, in any order; how many there were."""
        return self._loader.load(records)

    def choose(self) -> None:
        """Works out outcomes and states of all that was loaded; then nothing is cut off."""
        self._loader.finish()
        common = "topic, part, off, arrival, time, entity, revision, digest"
        parts = [
            Template("SELECT '$t' AS tbl, $c, $p FROM ${t}_all").substitute(
                t=table,
                c=common,
                p="series, period_start, period_end"
                if table == "reading"
                else "NULL::VARCHAR AS series, NULL::BIGINT AS period_start,"
                " NULL::BIGINT AS period_end",
            )
            for table in COLUMNS
        ]
        self._db.execute("CREATE OR REPLACE VIEW seen AS " + " UNION ALL ".join(parts))
        sql = OUTCOMES_SQL
        for name, number in (("$keep", KEEP), ("$day", DAY), ("$short", KEEP_SHORT)):
            sql = sql.replace(name, str(number))
        self._db.execute(sql)
        self._db.execute(
            "CREATE OR REPLACE VIEW applied_all AS"
            " SELECT topic, part, off FROM outcomes_all WHERE outcome = 'applied'"
        )
        for table in COLUMNS:
            self._db.execute(READINGS if table == "reading" else STATES.substitute(table=table))
        self._db.execute(BELOW_THE_FENCE)
        self.cut(None)

    def cut(self, upto: Mapping[Place, int] | None) -> None:
        """From now on only records below these offsets count; None: all of them.

        A partition that is not named counts not at all. Cheap: states were chosen before.
        """
        self._db.execute("DELETE FROM fence")
        if upto is None:
            self._db.execute(
                "INSERT INTO fence SELECT DISTINCT topic, part, 9223372036854775807"
                " FROM outcomes_all"
            )
        elif upto:
            self._db.executemany(
                "INSERT INTO fence VALUES (?, ?, ?)",
                [[topic, part, offset] for (topic, part), offset in upto.items()],
            )
        for table in COLUMNS:
            self._db.execute(LATEST.substitute(table=table))
        self._db.execute(STEP)

    # -- outcomes --------------------------------------------------------------------------------

    def outcomes(self, topic: str, partition: int | None = None) -> dict[str, int]:
        """Records of a topic (of one partition) by outcome; all six outcomes are there."""
        found = dict(
            self._db.execute(
                "SELECT outcome, count(*) FROM outcomes"
                " WHERE topic = ? AND part = coalesce(?::INTEGER, part) GROUP BY outcome",
                [topic, partition],
            ).fetchall()
        )
        return {o: int(found.get(o, 0)) for o in OUTCOMES}

    def reasons(self, topic: str, partition: int | None = None) -> dict[str, int]:
        """Rejected records of a topic (of one partition) by reason; all reasons are there."""
        found = dict(
            self._db.execute(
                "SELECT reason, count(*) FROM rejects"
                " WHERE topic = ? AND part = coalesce(?::INTEGER, part) GROUP BY reason",
                [topic, partition],
            ).fetchall()
        )
        return {r: int(found.get(r, 0)) for r in REASONS}

    def counts(self) -> dict[Place, dict[str, int]]:
        """(topic, partition) -> records by outcome; what does not occur is not there."""
        return self._counts("SELECT topic, part, outcome, count(*) FROM outcomes GROUP BY ALL")

    def reject_counts(self) -> dict[Place, dict[str, int]]:
        """(topic, partition) -> rejected records by reason."""
        return self._counts("SELECT topic, part, reason, count(*) FROM rejects GROUP BY ALL")

    def _counts(self, sql: str) -> dict[Place, dict[str, int]]:
        out: dict[Place, dict[str, int]] = {}
        for topic, part, name, count in self._db.execute(sql).fetchall():
            out.setdefault((topic, part), {})[name] = int(count)
        return out

    def outcome(self, topic: str, partition: int, offset: int) -> str:
        """The outcome of one record; a rejected one as ``rejected:reason``."""
        rows = self._db.execute(
            "SELECT o.outcome, r.reason FROM outcomes o"
            " LEFT JOIN rejects r USING (topic, part, off)"
            " WHERE topic = ? AND part = ? AND off = ?",
            [topic, partition, offset],
        ).fetchall()
        if not rows:
            raise KeyError((topic, partition, offset))
        outcome, reason = rows[0]
        return f"{outcome}:{reason}" if reason else str(outcome)

    def event_clock(self) -> int | None:
        """The highest ``time`` applied over all topics, ms; None before the first."""
        sql = "SELECT max(time) FROM outcomes WHERE outcome = 'applied'"
        highest = self._db.execute(sql).fetchall()[0][0]
        return None if highest is None else int(highest)

    # -- KPIs ------------------------------------------------------------------------------------

    def rows(
        self,
        kpi: str,
        window: str | None,
        as_of: int,
        by: str | tuple[str, str] | None = None,
        where: Mapping[str, str] | None = None,
        *,
        top: bool = False,
    ) -> dict[tuple[str, str | None], Row]:
        """(territory, value of ``by``) -> answer, for every known territory and every enum value.

        ``top``: for all and the provinces only.

        Rows ``unknown``, ``51.unknown``, ``51.none``, ``522.unknown``, ``522.none`` appear when
        something counts in them. ``window`` is ignored for stock KPIs. A pair of dimensions has
        values ``a|b``.
        """
        spec = KPIS[kpi]
        dims = (by,) if isinstance(by, str) else by or ()
        filters = [Template(spec.base).safe_substitute(a=floor(as_of, MINUTE))]
        if not spec.stock:
            if window is None:
                raise ValueError(f"{kpi} needs a window")
            start, end = bounds(window, as_of)
            filters.append(f"{spec.at} >= {start} AND {spec.at} < {end}")
        arguments: list[str] = []
        for dimension, value in (where or {}).items():
            members(spec.table, dimension)
            filters.append(f"{dimension} = ?")
            arguments.append(value)
        sql = ROWS.substitute(
            by=" || '|' || ".join(dims) if dims else "NULL::VARCHAR",
            numerator=spec.numerator,
            denominator=spec.denominator,
            table=spec.table,
            territory=TOP_LEVELS_CODE if top else EVERY_LEVEL_CODE,
            sets=TOP_LEVELS if top else EVERY_LEVEL,
            where=" AND ".join(f"({f})" for f in filters),
            aggregate=_aggregate(spec),
        )
        found = {
            (territory, value): _row(spec, first, second, count)
            for territory, value, first, second, count in self._db.execute(
                sql, arguments
            ).fetchall()
        }
        values: list[str | None] = [None]
        if dims:
            values = ["|".join(v) for v in product(*(members(spec.table, d) for d in dims))]
        if spec.kind == "commune_share":
            return self._shares(found, values, top=top)
        empty = _row(spec, None, None, 0)
        known = ["all", *self.places.provinces] if top else self.places.known()
        full = {(t, v): found.get((t, v), empty) for t in known for v in values}
        for territory in {t for t, _ in found if (t, values[0]) not in full}:
            full |= {(territory, v): found.get((territory, v), empty) for v in values}
        return full

    def _shares(
        self, found: Mapping[tuple[str, str | None], Row], values: list[str | None], *, top: bool
    ) -> dict[tuple[str, str | None], Row]:
        full: dict[tuple[str, str | None], Row] = {}
        tops = {"all", *self.places.provinces}
        for territory, total in self._commune_counts.items():
            if top and territory not in tops:
                continue
            for value in values:
                row = found.get((territory, value))
                sellers = row.numerator or 0 if row else 0
                share = sellers / total if total else None  # an island district has no commune
                full[territory, value] = Row(share, sellers, total, total)
        return full

    def indicators(self, as_of: int) -> dict[str, Latest]:
        """Series key -> value, target, gap and age, of series with a period that has ended."""
        rows = self._db.execute(
            "SELECT series, coalesce(value, CASE WHEN denominator <> 0"
            " THEN numerator / denominator END) AS v, target, v - target, (? - time) / 1000.0,"
            " period_start FROM reading WHERE period_end <= ?"
            " QUALIFY row_number() OVER"
            " (PARTITION BY series ORDER BY period_end DESC, period_start DESC) = 1",
            [as_of, as_of],
        ).fetchall()
        return {r[0]: Latest(r[1], r[2], r[3], float(r[4]), r[5]) for r in rows}

    def indicator_sums(self, window: str, as_of: int) -> dict[str, tuple[float, int]]:
        """Series key of a flow -> (sum, periods) over the periods that end in the window."""
        start, end = bounds(window, as_of)
        rows = self._db.execute(
            "WITH v AS (SELECT series, coalesce(value, CASE WHEN denominator <> 0"
            " THEN numerator / denominator END) AS v FROM reading WHERE kind = 'flow'"
            " AND period_end >= ? AND period_end < ?)"
            " SELECT series, sum(v), count(v) FROM v WHERE v IS NOT NULL GROUP BY series",
            [start, end],
        ).fetchall()
        return {r[0]: (r[1], r[2]) for r in rows}


def _aggregate(spec: Kpi) -> str:
    match spec.kind:
        case "distinct" | "commune_share":
            return "count(DISTINCT n), NULL"
        case "quantile":
            return f"list(n ORDER BY n)[(count(*) * {spec.percent} + 99) // 100], NULL"
        case "rate":
            return "sum(n::HUGEINT), sum(m::HUGEINT)"
        case _:
            return "sum(n::HUGEINT), count(*)"


def _row(spec: Kpi, first: Any, second: Any, count: int) -> Row:
    match spec.kind:
        case "count":
            return Row(count, None, None, count)
        case "sum":
            return Row(first or 0, None, None, count)
        case "distinct":
            return Row(first or 0, None, None, first or 0)
        case "quantile":
            return Row(None if first is None else first / spec.scale, None, None, count)
        case "commune_share":
            return Row(None, first or 0, None, count)
        case "rate" | "mean":
            top, bottom = first or 0, second or 0
            return Row(top / bottom / spec.scale if bottom else None, top, bottom, count)


__all__ = ("OUTCOMES", "SOURCE_TOPICS", "Latest", "Oracle", "Places", "Row")
