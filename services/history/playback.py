"""A log played again in memory, and stopped at instants: what the view knew at each of them.

The records go through the very fold and merge that the worker and the view run, in a process of
its own. At an instant T exactly the records are in it that had arrived by T (a partition is read
up to its first record that arrived later). So stocks are as exact as windows, whatever the pace at
which the log was first played, and nothing has to watch while it is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from schemas import catalog
from services.core.merge import View
from services.core.record import Clock, SourceRecord, arrival_ms
from services.core.state import PartitionState
from services.core.territory import Territories
from services.history.source_log import Place

_CHUNK = 5_000


class _Partition:
    """One partition: its state, and its records as far as they were taken."""

    def __init__(self, state: PartitionState, records: Iterator[SourceRecord], of: Clock) -> None:
        self.state, self._records, self._of = state, records, of
        self._next: SourceRecord | None = next(records, None)
        self.taken = 0

    def advance(self, until: int) -> None:
        """Fold what arrived by ``until`` (ms)."""
        chunk: list[SourceRecord] = []
        while self._next is not None and arrival_ms(self._next, self._of) <= until:
            chunk.append(self._next)
            self._next = next(self._records, None)
            if len(chunk) == _CHUNK:
                self._fold(chunk)
                chunk = []
        self._fold(chunk)

    def _fold(self, chunk: list[SourceRecord]) -> None:
        if chunk:
            self.state.fold(chunk)  # what it rejects lies in the dead letters already
            self.taken += len(chunk)

    @property
    def ended(self) -> bool:
        return self._next is None


class Playback:
    """All partitions of a log, and the view over them."""

    def __init__(
        self,
        partitions: int,
        places: Iterable[Place],
        records: Callable[[Place], Iterator[SourceRecord]],
        territories: Territories,
        clock: Clock = "event",
    ) -> None:
        """``clock`` says what arrival is: ``event``, the header where there is one."""
        #: Told the instant with every question, so it needs no clock of its own.
        self.view = View(territories, partitions, "wall")
        topics: Mapping[str, catalog.Topic] = {t.name: t for t in catalog.SOURCES}
        self._partitions: list[_Partition] = []
        for name, partition in places:
            state = PartitionState(
                topics[name], partition, partitions, clock=clock, territories=territories
            )
            state.open_epoch(1)
            self._partitions.append(_Partition(state, records((name, partition)), clock))

    def advance(self, until: int) -> None:
        """Take everything that arrived by an instant (ms), which must not go back."""
        for one in self._partitions:
            one.advance(until)
            if one.state.dirty:
                for key, value in one.state.flush().parts:
                    self.view.feed(one.state.partition, key, value)

    @property
    def taken(self) -> int:
        """Records read so far."""
        return sum(one.taken for one in self._partitions)

    @property
    def ended(self) -> bool:
        """There is nothing more in the log."""
        return all(one.ended for one in self._partitions)
