"""A stretch of topics read from Kafka, by offsets or by time, up to an end or for ever.

Joins no group and commits nothing: whoever reads here is not seen.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from services.replay.framing import Place, Positions

#: Messages taken at once.
BATCH = 5_000
#: A cluster that answers nothing for so long (seconds) is gone, unless somebody follows it.
PATIENCE = 60.0
_DOWN = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE)


class SourceError(Exception):
    """The topics cannot be read as asked; the message says why."""


@dataclass(frozen=True)
class Stretch:
    """From an offset to an end (excluded); None: as far as it will ever go."""

    start: int
    end: int | None

    @property
    def length(self) -> int | None:
        """Offsets in it."""
        return None if self.end is None else max(self.end - self.start, 0)


class Source:
    """The topics of one namespace on one cluster. Raises SourceError when they are not there."""

    def __init__(self, bootstrap: str, namespace: str, topics: Sequence[str]) -> None:
        self.bootstrap = bootstrap
        self._prefix = f"{namespace}." if namespace else ""
        self._broken: str | None = None
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "ioc-record-reads-alone",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "fetch.max.bytes": 32 * 1024 * 1024,
                "queued.max.messages.kbytes": 65_536,
                "queued.min.messages": 20_000,
                "check.crcs": True,
                "error_cb": self._note,
                "log_level": 0,
            }
        )
        try:
            self.cluster, self.partitions = self._look(topics)
        except BaseException:
            self._consumer.close()
            raise

    def _note(self, error: KafkaError) -> None:
        self._broken = error.str()

    def _look(self, topics: Sequence[str]) -> tuple[str, dict[str, int]]:
        try:
            about: Any = self._consumer.list_topics(timeout=10)
        except KafkaException:
            raise SourceError(
                f"no Kafka broker answers at {self.bootstrap}; is it running? (IOC_BOOTSTRAP)"
            ) from None
        missing = [t for t in topics if self._prefix + t not in about.topics]
        if missing:
            raise SourceError(
                f"{self.bootstrap} has no topic {', '.join(self._prefix + t for t in missing)}"
            )
        counts = {t: len(about.topics[self._prefix + t].partitions) for t in topics}
        return str(about.cluster_id), counts

    def places(self) -> list[Place]:
        """All partitions of the topics."""
        return [(topic, p) for topic, n in self.partitions.items() for p in range(n)]

    def bounds(self, place: Place) -> tuple[int, int]:
        """The first offset that is kept, and the end."""
        found = self._consumer.get_watermark_offsets(self._tp(place), timeout=15)
        if found is None:
            raise SourceError(f"{place[0]}/{place[1]}: the broker does not say where the log ends")
        return found

    def at_time(self, ms: int) -> Positions:
        """For each partition the first offset with a broker timestamp of ``ms`` or later."""
        asked = [TopicPartition(self._prefix + t, p, ms) for t, p in self.places()]
        found = {}
        for tp in self._consumer.offsets_for_times(asked, timeout=30):
            place = tp.topic.removeprefix(self._prefix), tp.partition
            offset = int(tp.offset)
            found[place] = self.bounds(place)[1] if offset in (-1, OFFSET_END) else offset
        return found

    def _tp(self, place: Place, offset: int | None = None) -> TopicPartition:
        name = self._prefix + place[0]
        return (
            TopicPartition(name, place[1])
            if offset is None
            else TopicPartition(name, place[1], offset)
        )

    def read(
        self,
        stretches: dict[Place, Stretch],
        *,
        tell: Callable[[str], None] = lambda _: None,
        wait: float = 0.25,
    ) -> Iterator[tuple[list[tuple[Place, Message]], Positions]]:
        """Records and how far each partition has been read, until all stretches are at their end.

        Yields at least every ``wait`` seconds, empty when nothing came. Raises SourceError when
        records were deleted before they could be read, or when the cluster is gone for a minute
        (not while a stretch has no end: then it is waited for).
        """
        open_places = {p: s for p, s in stretches.items() if s.length != 0}
        done: Positions = {p: s.start for p, s in stretches.items()}
        self._consumer.assign([self._tp(p, s.start) for p, s in open_places.items()])
        heard, told = time.monotonic(), False
        ends = {p: s.end for p, s in open_places.items()}
        while open_places:
            batch: list[tuple[Place, Message]] = []
            for message in self._consumer.consume(BATCH, wait):
                error = message.error()
                if error is not None:
                    self._judge(error, message, done, open_places)
                    if error.code() == KafkaError._PARTITION_EOF:
                        heard, told = time.monotonic(), False
                    continue
                place = (message.topic() or "").removeprefix(self._prefix), message.partition() or 0
                offset = message.offset() or 0
                end = ends[place]
                if end is not None and offset >= end:
                    open_places.pop(place, None)
                    continue
                batch.append((place, message))
                done[place] = offset + 1
                if offset + 1 == end:
                    open_places.pop(place, None)
            now = time.monotonic()
            if batch:
                heard, told, self._broken = now, False, None
            elif self._broken is not None and now - heard > 5 and not told:
                told = True
                tell(f"{self.bootstrap} does not answer ({self._broken}): waiting")
            elif now - heard > PATIENCE and all(s.end is not None for s in open_places.values()):
                raise SourceError(f"{self.bootstrap} has not answered for {PATIENCE:.0f} s")
            yield batch, done

    def _judge(
        self,
        error: KafkaError,
        message: Message,
        done: Positions,
        open_places: dict[Place, Stretch],
    ) -> None:
        code = error.code()
        place = (message.topic() or "").removeprefix(self._prefix), message.partition() or 0
        if code == KafkaError._PARTITION_EOF:
            # The last offsets of a log may hold no record (transaction markers).
            reached = message.offset() or 0
            stretch = open_places.get(place)
            if stretch is not None and stretch.end is not None and reached >= stretch.end:
                done[place] = max(done[place], stretch.end)
                del open_places[place]
        elif code == KafkaError._AUTO_OFFSET_RESET:
            start, end = self.bounds(place)
            raise SourceError(
                f"{place[0]}/{place[1]}: offset {done[place]} is not there (the log has {start} to "
                f"{end}): records were deleted before they could be read"
            )
        elif code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION):
            raise SourceError(f"the topic {self._prefix}{place[0]} has been deleted")
        elif code not in _DOWN and not error.retriable():
            raise SourceError(f"{place[0]}/{place[1]} cannot be read: {error.str()}")

    def close(self) -> None:
        """Leave."""
        self._consumer.close()
