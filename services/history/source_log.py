"""The source topics of a system, partition by partition, each in the order of its offsets.

One consumer without a group, so that nothing of the system notices. Partitions are asked for in
step with time; one that runs ahead is paused, so that a long log needs little memory.
"""

import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import confluent_kafka as library

from schemas import catalog
from services.core.record import SourceRecord

Place = tuple[str, int]

_BATCH = 5_000
#: Records of a partition in memory, above which it waits for the others.
_AHEAD = 40_000
_PATIENCE_S = 30.0
_ANSWER_S = 4.0
_WAIT_S = 0.05


class LogError(Exception):
    """The topics cannot be read; the message says what to do."""


class SourceLog:
    """The records that lie in the topics now; what comes later is not read."""

    def __init__(self, bootstrap: str, namespace: str) -> None:
        """Raises LogError when no broker answers or the topics are not there."""
        self._topics = {topic.full_name(namespace): topic for topic in catalog.SOURCES}
        make: Any = library.Consumer
        self._consumer: Any = make(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "ioc-backfill",  # required by the library, and never joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "queued.max.messages.kbytes": 16_384,
                "client.id": "ioc-backfill",
                "log_level": 0,
            }
        )
        try:
            self._begin(bootstrap)
        except BaseException:
            self._consumer.close()
            raise

    def _begin(self, bootstrap: str) -> None:
        try:
            known = self._consumer.list_topics(timeout=_ANSWER_S).topics
        except library.KafkaException as error:
            raise LogError(f"no broker answers at {bootstrap}: {error.args[0].str()}") from None
        missing = [name for name in self._topics if name not in known]
        if missing:
            raise LogError(f"{bootstrap} has no topic {', '.join(missing)}: another --namespace?")
        self.partitions = len(known[next(iter(self._topics))].partitions)
        self._buffers: dict[Place, deque[SourceRecord]] = {}
        self._done: set[Place] = set()
        self._paused: set[Place] = set()
        self._names = {topic.name: name for name, topic in self._topics.items()}
        for name, topic in self._topics.items():
            for partition in range(self.partitions):
                self._buffers[topic.name, partition] = deque()
                place = library.TopicPartition(name, partition)
                low, high = self._consumer.get_watermark_offsets(place, timeout=_ANSWER_S)
                if low >= high:
                    self._done.add((topic.name, partition))
        self._consumer.assign(
            [
                library.TopicPartition(self._names[t], p, library.OFFSET_BEGINNING)
                for t, p in self._buffers
            ]
        )

    @property
    def places(self) -> list[Place]:
        """Every (topic without namespace, partition)."""
        return list(self._buffers)

    def records(self, place: Place) -> Iterator[SourceRecord]:
        """The records of a partition to its present end. Raises LogError."""
        buffer = self._buffers[place]
        while True:
            while buffer:
                yield buffer.popleft()
            if place in self._done:
                return
            self._fill(place)

    def _fill(self, wanted: Place) -> None:
        self._resume(wanted)
        buffer = self._buffers[wanted]
        began = time.monotonic()
        while not buffer and wanted not in self._done:
            # It waits for a full batch as long as it may, so it may not wait long.
            messages = self._consumer.consume(_BATCH, timeout=_WAIT_S)
            if not messages and time.monotonic() - began > _PATIENCE_S:
                raise LogError(f"{wanted[0]}/{wanted[1]} gave nothing for {_PATIENCE_S:.0f} s")
            for message in messages:
                self._take(message)
            for place, waiting in self._buffers.items():
                if len(waiting) > _AHEAD and place not in self._paused and place != wanted:
                    self._consumer.pause([self._at(place)])
                    self._paused.add(place)

    def _take(self, message: Any) -> None:
        place = (self._topics[message.topic()].name, message.partition())
        error = message.error()
        if error is None:
            self._buffers[place].append(
                SourceRecord(
                    message.offset(),
                    message.timestamp()[1],
                    message.key(),
                    message.value(),
                    message.headers() or (),
                )
            )
        elif error.code() == library.KafkaError._PARTITION_EOF:
            self._done.add(place)
        else:
            raise LogError(f"{place[0]}/{place[1]}: {error.str()}")

    def _resume(self, place: Place) -> None:
        if place in self._paused:
            self._paused.discard(place)
            self._consumer.resume([self._at(place)])

    def _at(self, place: Place) -> Any:
        return library.TopicPartition(self._names[place[0]], place[1])

    def close(self) -> None:
        self._consumer.close()
