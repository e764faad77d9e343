"""The view's state: the rings of all partitions, merged and asked.

Follows every ring of the partial topic, keeps per source partition the chain that counts, and sums
over partitions when it is asked, so that a partition that moves between workers is never counted
twice. Tables of the windows asked for last are kept up with every change (services.core.tables): a
question costs the cells of its window, not the events since.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from schemas import catalog
from services.core import head, ring, speed
from services.core.active import Active, evaluate_listings
from services.core.evaluate import evaluate
from services.core.grouping import grouping_of
from services.core.head import Head
from services.core.kpis import CATALOGUE, Kpi
from services.core.panes import SLOTS, STOCK_LEVEL, Cells, cover
from services.core.questions import QueryError, Question, ask
from services.core.record import Clock
from services.core.rows import Label, Row
from services.core.samples import Samples
from services.core.segments import Span
from services.core.selection import ALL, Selection
from services.core.serieses import Indicators
from services.core.state import catalogue_digest, view_part
from services.core.tables import Tables
from services.core.territory import Territories
from services.core.windows import bounds

FUTURE_MS = 15 * 60_000
STOCK_LOOKBACK_MS = 27 * 3_600_000
MINUTE_MS = 60_000

#: Samples are taken of these levels; a commune's stocks have no past.
_SAMPLED_LEVELS = ("all", "province", "district")

__all__ = ["QueryError", "Row", "View"]


class _Replica:
    """What the view keeps of one source partition."""

    def __init__(self) -> None:
        self.chain = ring.Chain()
        self.foreign = False
        self.clear()

    def clear(self) -> None:
        self.cells = speed.store(speed.default())
        self.listings: dict[bytes, bytes] = {}


class View:
    """All numbers of one system. Not thread-safe; time is an argument (ms since the epoch)."""

    def __init__(
        self,
        territories: Territories,
        partitions: int,
        clock: Clock,
        selection: Selection = ALL,
    ) -> None:
        self.territories = territories
        #: The KPIs that the workers compute, and that can be asked for.
        self.selection = selection
        self.partitions = partitions
        self.clock: Clock = clock
        #: By (topic name without namespace, source partition).
        self.heads: dict[tuple[str, int], Head] = {}
        #: Grows with every change.
        self.version = 0
        self._catalogue = catalogue_digest(territories, selection)
        self._replicas = {
            (topic.kind, p): _Replica() for topic in catalog.SOURCES for p in range(partitions)
        }
        self._topics = {topic.kind: topic for topic in catalog.SOURCES}
        self._tables = {topic.kind: Tables() for topic in catalog.SOURCES}
        self._active: Active | None = None
        self._indicators = Indicators(territories)
        self._samples = Samples()
        self._is_commune = np.array(
            [r.level == "commune" and r.known for r in territories.rows], dtype=np.bool_
        )

    # --- following the rings --------------------------------------------------------------------

    def feed(self, partition: int, key: bytes, value: bytes | None) -> bool:
        """Take one record of the partial topic's partition.

        False: records taken before turned out to be a zombie's; call :meth:`reset` and read the
        partition again from its beginning.
        """
        owner = ring.key_owner(key)
        replica = None if owner is None else self._replicas.get(owner)
        if owner is None or replica is None or value is None or owner[1] != partition:
            return True
        was_complete = replica.chain.complete
        arrived = replica.chain.feed(value)
        if arrived == "rewind":
            return False
        if arrived is not None:
            self._apply(owner, replica, arrived, was_complete)
        return True

    @property
    def foreign(self) -> bool:
        """Some ring was written by another catalogue: a worker has to refold it."""
        return any(replica.foreign for replica in self._replicas.values())

    def reset(self, partition: int) -> None:
        """Forget a partition's rings; what is known of zombies is kept."""
        for (kind, p), replica in self._replicas.items():
            if p == partition:
                replica.chain.rewind()
                self._forget(kind, p, replica)

    def _forget(self, kind: str, partition: int, replica: _Replica) -> None:
        replica.clear()
        self._tables[kind].clear()
        if kind == catalog.LISTING.kind:
            self._active = None
        if kind == catalog.INDICATOR.kind:
            self._indicators.clear(partition)
        self.heads.pop((self._topics[kind].name, partition), None)
        self.version += 1

    def _apply(
        self, owner: tuple[str, int], replica: _Replica, arrived: ring.Arrived, whole: bool
    ) -> None:
        kind, partition = owner
        body = arrived.body
        if arrived.restart:
            self._forget(kind, partition, replica)
            whole = False
        replica.foreign = body.catalogue != self._catalogue
        if replica.foreign:
            return
        delta = ring.unpack_delta(body.delta)
        replica.cells.add(delta, body.clock)
        replica.cells.expire(body.clock)
        entities = ring.decode_entities(body.entities)
        self._take_entities(kind, partition, replica, entities)
        if whole:
            # The worker has done this to the same slot.
            replica.cells.tidy(arrived.seq % SLOTS)
            self._tables[kind].note(delta)
        else:
            # Until a whole lap has been read, slices bring what is not known yet.
            replica.cells.replace_packed_slice(arrived.seq % SLOTS, body.slice_cells)
            self._take_entities(kind, partition, replica, ring.decode_entities(body.slice_entities))
            self._tables[kind].clear()
        self.heads[self._topics[kind].name, partition] = head.decode(body.head)
        self.version += 1

    def _take_entities(
        self, kind: str, partition: int, replica: _Replica, entities: Iterable[tuple[bytes, bytes]]
    ) -> None:
        if kind == catalog.LISTING.kind:
            listings = replica.listings
            for key, value in entities:
                if key[:1] != b"l":
                    continue
                active = view_part(value) if value else b""
                if listings.get(key, b"") != active:
                    self._active = None
                    if active:
                        listings[key] = active
                    else:
                        del listings[key]
        elif kind == catalog.INDICATOR.kind:
            for key, value in entities:
                if value:
                    self._indicators.put(partition, key, view_part(value))
                else:
                    self._indicators.remove(partition, key)

    # --- time -----------------------------------------------------------------------------------

    def clock_at(self, now: int) -> int:
        """The system's clock: ``now``, or in an event system the highest ``time`` applied."""
        if self.clock == "wall":
            return now
        return max((h.clock for h in self.heads.values() if h.clock), default=now)

    # --- asking ---------------------------------------------------------------------------------

    def query(
        self,
        kpi: str,
        *,
        now: int,
        window: str | None = None,
        territory: str = "all",
        by: str | None = None,
        where: Mapping[str, str] | None = None,
        as_of: int | None = None,
    ) -> tuple[int, list[Row]]:
        """(as_of ms, rows) of one KPI. Raises :class:`QueryError` naming the wrong parameter."""
        question = self._ask(kpi, window, territory, by, where)
        clock = self.clock_at(now)
        at = clock if as_of is None else as_of
        if at > clock + FUTURE_MS:
            raise QueryError("as_of", "expected at most 15 minutes after the clock")
        return at, self._rows(question, at, clock)

    def _rows(
        self, question: Question, at: int, clock: int, past: dict[str, Tables] | None = None
    ) -> list[Row]:
        """``past``: where windows are kept, if not with those of everybody."""
        kpi = question.kpi
        if kpi.kind == "indicator":
            return self._indicators.rows(question, at, clock)
        if kpi.is_stock and at < clock - STOCK_LOOKBACK_MS:
            raise QueryError("as_of", "expected at most 27 hours before the clock")
        grouping = grouping_of(self.territories, question)
        where = question.where
        if kpi.kind == "listing":
            communes = [self._communes_of(label) for label in grouping.labels]
            if question.level is None:
                communes = [self._communes_of(Label(question.row.code, None))] * len(communes)
            return evaluate_listings(
                kpi, self._active_listings(), grouping, where, communes, self._is_commune
            )
        if kpi.kind == "stock":
            found = self._stock
        else:
            start, end = bounds(question.window, at)

            def found(kind: str) -> Span:
                return self._windows(kind, [(start, end)], clock, past)[0]

        places = self.territories.ranges(question.row)

        return evaluate(kpi, lambda fact: found(fact.topic.kind), places, grouping, where, at)

    def _windows(
        self,
        kind: str,
        keys: Sequence[tuple[int, int]],
        clock: int,
        past: dict[str, Tables] | None = None,
    ) -> list[Span]:
        """The windows [start, end) ms at one moment. Raises QueryError."""

        def runs(first: int, last: int) -> list[Cells] | None:
            panes = cover(first, last, clock)
            if panes is None:
                return None
            return [run for level, *span in panes for run in self._runs(kind, level, *span)]

        tables = (self._tables if past is None else past)[kind]
        for key in keys:
            if not tables.knows(*key) and cover(*key, clock) is None:
                raise QueryError(
                    "as_of", "the window's start or end lies on no boundary of a pane still kept"
                )
        return tables.windows(keys, runs)

    def _runs(self, kind: str, level: int, first: int, end: int) -> list[Cells]:
        return [
            run
            for (of, _), replica in self._replicas.items()
            if of == kind
            for run in replica.cells.runs(level, first, end)
        ]

    def _stock(self, kind: str) -> Span:
        return self._tables[kind].stocks(lambda: self._runs(kind, STOCK_LEVEL, 0, SLOTS))

    def _active_listings(self) -> Active:
        if self._active is None:
            packed = b"".join(
                b"".join(replica.listings.values())
                for (kind, _), replica in self._replicas.items()
                if kind == catalog.LISTING.kind
            )
            self._active = Active(packed)
        return self._active

    def _communes_of(self, label: Label) -> int:
        row = self.territories.row(label.territory)
        if row is None or not row.known:
            return 0
        at = self.territories.at_level[row.level]
        return int((self._is_commune & (at == row.index)).sum())

    # --- series ---------------------------------------------------------------------------------

    def series(
        self,
        kpi: str,
        *,
        now: int,
        start: int,
        end: int,
        step_ms: int,
        window: str | None = None,
        territory: str = "all",
        by: str | None = None,
        where: Mapping[str, str] | None = None,
    ) -> list[tuple[int, list[Row]]]:
        """(as_of ms, rows) at every step of [start, end]. Stock KPIs come from minute samples."""
        question = self._ask(kpi, window, territory, by, where)
        clock = self.clock_at(now)
        if end > clock + FUTURE_MS:
            raise QueryError("to", "expected at most 15 minutes after the clock")
        steps = range(start, end + 1, step_ms)
        if question.kpi.is_stock:
            if start < clock - STOCK_LOOKBACK_MS:
                raise QueryError("from", "stock KPIs reach back 27 hours")
            return [(at, self._sampled(question, at, clock)) for at in steps]
        # Windows of its own, which share what overlaps and put none out that others watch.
        past = {kind: Tables() for kind in self._tables}
        try:
            return [(at, self._rows(question, at, clock, past)) for at in steps]
        except QueryError as error:
            if error.parameter == "as_of":
                raise QueryError(
                    "from", f"{error.detail}; take a later from or a wider step"
                ) from (error)
            raise

    def _sampled(self, question: Question, at: int, clock: int) -> list[Row]:
        if at // MINUTE_MS >= clock // MINUTE_MS:
            return self._rows(question, at, clock)
        if question.where or question.level is not None:
            raise QueryError("by", "the past of stock KPIs is kept by dimension only")
        key = (question.kpi.name, question.row.code, ",".join(question.dimensions))
        if not self._samples.asked(key) and question.row.level == "commune":
            raise QueryError("territory", "the past of stock KPIs is kept down to districts")
        labels = grouping_of(self.territories, question).labels
        rows = self._samples.get(at // MINUTE_MS, key)
        if rows is None:
            return [Row(label.territory, label.by, None, None, None, None) for label in labels]
        return [
            Row(label.territory, label.by, top, None, None, top)
            if bottom < 0
            else Row(
                label.territory, label.by, top / bottom if bottom else None, top, bottom, bottom
            )
            for label, (top, bottom) in zip(labels, rows, strict=True)
        ]

    def sample(self, now: int) -> Iterator[None]:
        """Keep the stock KPIs of this minute, in steps (once a minute; others have no step).

        What is fed between two steps is in the later ones.
        """
        clock = self.clock_at(now)
        minute = clock // MINUTE_MS
        if not self._samples.begin(minute):
            return
        for kpi in CATALOGUE.values():
            if not kpi.is_stock or kpi.name not in self.selection:
                continue
            for row in self.territories.rows:
                if row.level not in _SAMPLED_LEVELS:
                    continue
                self._sample(minute, clock, kpi, row.code, None)
                if row.level != "district" and row.known:
                    for dimension in kpi.dimensions:
                        self._sample(minute, clock, kpi, row.code, dimension)
                yield

    def _sample(self, minute: int, clock: int, kpi: Kpi, territory: str, by: str | None) -> None:
        question = ask(self.territories, kpi.name, None, territory, by, {})
        pairs = [
            (int(r.value or 0), -1)
            if r.denominator is None
            else (int(r.numerator or 0), int(r.denominator))
            for r in self._rows(question, clock, clock)
        ]
        self._samples.put(minute, (kpi.name, territory, by or ""), pairs)

    def _ask(
        self,
        kpi: str,
        window: str | None,
        territory: str,
        by: str | None,
        where: Mapping[str, str] | None,
    ) -> Question:
        question = ask(self.territories, kpi, window, territory, by, where or {})
        if kpi not in self.selection:
            raise QueryError("name", "this system does not compute it (IOC_KPIS)", 404)
        return question

    # --- indicators -----------------------------------------------------------------------------

    def has_indicator(self, name: str, value: str) -> bool:
        """Whether a ``series`` or an ``indicator`` (which one, says ``name``) was ever sent."""
        return self._indicators.has(name, value)

    def indicators(self, now: int, *, communes: bool = True) -> list[dict[str, object]]:
        """The latest period of each series with value, target, gap and age."""
        return self._indicators.latest(self.clock_at(now), communes=communes)
