"""A whole system in this process, without Kafka: records in, KPIs out, in milliseconds.

The same pure core as in the workers and the view, wired together directly: partition states fold
what lies in the partitions of a broker that is a few lists, and their flushes go into a view. For
notebooks and tests; what it says is what a running system says about the same records.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from schemas import catalog
from schemas.codec import partition_of
from services.core.merge import View
from services.core.record import ARRIVAL_HEADER, SourceRecord
from services.core.rows import Row
from services.core.state import DeadLetter, PartitionState
from services.core.territory import Territories
from services.oracle.raw import RawRecord
from services.oracle.windows import WINDOWS
from services.replay.framing import Place, Recorded
from services.replay.recording import Recording
from services.replay.sequence import Outgoing, Wishes
from services.replay.sequence import Sequence as Replayed
from services.replay.verdict import Verdict, judge, oracle_of
from services.runtime.reference import load_territories

#: Records folded between two flushes.
BATCH = 4_000


class MemoryBroker:
    """The source topics as lists: what Kafka is to a running system."""

    def __init__(self, partitions: int = catalog.DEFAULT_PARTITIONS) -> None:
        self.partitions = partitions
        self.logs: dict[Place, list[SourceRecord]] = {
            (topic.name, p): [] for topic in catalog.SOURCES for p in range(partitions)
        }

    def __len__(self) -> int:
        return sum(map(len, self.logs.values()))

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        arrival: int,
        partition: int | None = None,
        headers: Iterable[tuple[str, Any]] = (),
    ) -> None:
        """One record, ``arrival`` in ms; the partition is the key's if none is named.

        Raises KeyError for a topic that is no source.
        """
        if partition is None:
            partition = 0 if key is None else partition_of(key, self.partitions)
        log = self.logs[topic, partition]
        kept = [(n, v or b"") for n, v in headers if n != ARRIVAL_HEADER]
        stamped = [*kept, (ARRIVAL_HEADER, b"%d" % arrival)]
        log.append(SourceRecord(len(log), arrival, key, value, stamped))

    def raw(self) -> Iterable[RawRecord]:
        """Every record as the oracle reads it."""
        for (topic, partition), log in self.logs.items():
            for r in log:
                yield RawRecord(topic, partition, r.offset, r.timestamp, r.key, r.value)


class MemorySystem:
    """Workers, view and broker of one system with an event clock.

    Everything that was produced counts in the next answer.
    """

    def __init__(
        self,
        partitions: int = catalog.DEFAULT_PARTITIONS,
        territories: Territories | None = None,
    ) -> None:
        self.broker = MemoryBroker(partitions)
        places = territories or load_territories()
        self._view = View(places, partitions, "event")
        self._states: dict[Place, PartitionState] = {}
        self._places = places
        #: What could not be used, with the reasons.
        self.dead: list[DeadLetter] = []

    def feed(self, records: Iterable[Outgoing | Recorded]) -> int:
        """Produce recorded records, or those of a replay; how many. No dead letters."""
        count = 0
        for record in records:
            if (record.topic, record.partition) in self.broker.logs:
                self.broker.produce(
                    record.topic,
                    record.key,
                    record.value,
                    arrival=record.arrival,
                    partition=record.partition,
                    headers=record.headers,
                )
                count += 1
        return count

    @property
    def view(self) -> View:
        """The view, caught up."""
        for place, log in self.broker.logs.items():
            state = self._states.get(place)
            if state is None:
                if not log:
                    continue
                state = self._states[place] = self._opened(place)
            while state.fence < len(log) - 1:
                batch: Sequence[SourceRecord] = log[state.fence + 1 : state.fence + 1 + BATCH]
                self.dead += state.fold(batch)
                for key, value in state.flush().parts:
                    self._view.feed(place[1], key, value)
        return self._view

    def _opened(self, place: Place) -> PartitionState:
        state = PartitionState(
            catalog.source(place[0]),
            place[1],
            self.broker.partitions,
            clock="event",
            territories=self._places,
        )
        state.open_epoch(1)
        return state

    # --- asking ---------------------------------------------------------------------------------

    @property
    def clock(self) -> int:
        """The event clock (ms): the highest ``time`` applied; 0 before the first."""
        return self.view.clock_at(0)

    def rows(
        self,
        kpi: str,
        window: str | None = None,
        territory: str = "all",
        *,
        by: str | None = None,
        as_of: int | None = None,
        **where: str,
    ) -> list[Row]:
        """The rows of one KPI as the HTTP interface gives them. Raises QueryError."""
        return self.view.query(
            kpi, now=self.clock, window=window, territory=territory, by=by, as_of=as_of, where=where
        )[1]

    def kpi(
        self,
        kpi: str,
        window: str | None = None,
        territory: str = "all",
        *,
        as_of: int | None = None,
        **where: str,
    ) -> float | int | None:
        """The value of one KPI; None where there is nothing to speak of. Raises QueryError."""
        return self.rows(kpi, window, territory, as_of=as_of, **where)[0].value

    def outcomes(self, topic: str | None = None) -> dict[str, int]:
        """Records by outcome, of one topic or of all."""
        found: dict[str, int] = {}
        for (name, _), head in self.view.heads.items():
            if topic in (None, name):
                for outcome, count in head.outcomes.items():
                    found[outcome] = found.get(outcome, 0) + count
        return found

    def verdict(self, *, windows: Sequence[str] = WINDOWS, dimensions: bool = False) -> Verdict:
        """Whether every number is what the independent oracle makes of the same records."""
        oracle = oracle_of(self.broker.raw(), self.broker.partitions)
        view = self.view
        topics = {name for name, _ in self.broker.logs}
        return judge(
            view,
            oracle,
            "what was sent",
            now=self.clock,
            windows=windows,
            dimensions=dimensions,
            indicators=view.indicators(self.clock),
            outcomes={name: self.outcomes(name) for name in topics},
        )


def replay_in_memory(
    recording: Recording | Path | str,
    wishes: Wishes | None = None,
    *,
    partitions: int | None = None,
    **options: Any,
) -> MemorySystem:
    """A system that has seen a recording, changed as wished (``options``: fields of Wishes).

        day = replay_in_memory("day.iocrec")
        day.kpi("fr.received", "24h", "51")

    Raises RecordingError.
    """
    wanted = wishes or Wishes(**options)
    with ExitStack() as stack:
        if not isinstance(recording, Recording):
            recording = stack.enter_context(Recording.open(recording))
        system = MemorySystem(partitions or recording.partitions)
        system.feed(Replayed(recording, wanted, system._places, system.broker.partitions))
    return system
