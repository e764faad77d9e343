"""Reads a recording: checked when it is opened, then frame by frame, merged by arrival.

A frame holds rows of one topic partition in offset order, so every partition is followed by itself,
however the recorder met them. A file is good up to the first byte that is not: whatever tore it,
the records before that are read, and `Recording.torn` says where and why it ends.
"""

import heapq
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec
import xxhash
import zstandard

from services.replay.framing import (
    END,
    FRAME_MAGIC,
    HEAD,
    HEAD_BYTES,
    HEAD_CHECK,
    MAGIC,
    MAX_FRAME_BYTES,
    META,
    POSITIONS,
    ROW,
    ROWS,
    Frame,
    Headers,
    Meta,
    Place,
    Positions,
    Recorded,
    RecordingError,
    arrival_of,
    decode_headers,
)


class Recording:
    """A recording, read. Everything is checked when it is opened; rows are read frame by frame.

    ``torn`` is None, or says where the good part ends and what is lost behind it. ``finished`` is
    None, or why the recorder stopped.
    """

    def __init__(self, path: Path, handle: IO[bytes]) -> None:
        self.path = path
        self._file = handle
        self._unzip = zstandard.ZstdDecompressor()
        self.frames: list[Frame] = []
        #: Records that a torn last frame still gave back.
        self.salvaged: list[Recorded] = []
        self.torn: str | None = None
        self.finished: str | None = None
        self.positions: Positions = {}
        self.whole_bytes = 0
        self.meta = self._read_meta()
        self._scan()

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Raises RecordingError when it is no recording, OSError when it cannot be read."""
        path = Path(path)
        handle = path.open("rb")
        try:
            return cls(path, handle)
        except BaseException:
            handle.close()
            raise

    # --- opening --------------------------------------------------------------------------------

    def _read_meta(self) -> Meta:
        magic = self._file.read(len(MAGIC))
        if not magic:
            raise RecordingError(f"{self.path} is empty")
        if magic != MAGIC:
            if magic[:6] == MAGIC[:6]:
                version = magic[6:7].decode("ascii", "replace")
                raise RecordingError(
                    f"{self.path} is a recording of format {version}; this installation reads 1"
                )
            if MAGIC.startswith(magic):
                raise RecordingError(f"{self.path} ends within its first bytes: nothing is in it")
            raise RecordingError(f"{self.path} is no recording: it does not begin as one")
        self.whole_bytes = len(MAGIC)
        try:
            head, payload = self._next()
        except EOFError:
            raise RecordingError(f"{self.path} ends before the first frame") from None
        except _TornError as why:
            raise RecordingError(f"{self.path}: the first frame cannot be read: {why}") from None
        if head[1] != META:
            raise RecordingError(f"{self.path}: the first frame does not say what is recorded")
        try:
            return msgspec.json.decode(payload, type=Meta)
        except msgspec.DecodeError as error:
            raise RecordingError(f"{self.path}: its description cannot be read: {error}") from None

    def _next(self) -> tuple[tuple[Any, ...], bytes]:
        """The head and payload of the next frame. Raises _TornError, EOFError at the end."""
        data = self._file.read(HEAD_BYTES)
        if not data:
            raise EOFError
        if len(data) < HEAD_BYTES:
            raise _TornError("it ends within the head of a frame")
        head = HEAD.unpack_from(data)
        (check,) = HEAD_CHECK.unpack_from(data, HEAD.size)
        stored = int(head[7])
        sound = xxhash.xxh32_intdigest(data[: HEAD.size]) == check
        if head[0] != FRAME_MAGIC or not sound or max(stored, head[6]) > MAX_FRAME_BYTES:
            raise _TornError("what follows is no frame")
        payload = self._file.read(stored)
        if len(payload) < stored:
            raise _TornError("it ends within a frame", head, payload)
        if xxhash.xxh64_intdigest(payload) != head[12]:
            raise _TornError("the checksum of a frame does not agree")
        return head, payload

    def _scan(self) -> None:
        self.whole_bytes = at = self._file.tell()
        size = os.fstat(self._file.fileno()).st_size
        while True:
            try:
                head, payload = self._next()
                self._take(at, head, payload)
            except EOFError:
                return
            except _TornError as why:
                self._salvage(why)
                whole = f"{len(self.salvaged)} records of it could be saved, " * bool(why.head)
                self.torn = (
                    f"{self.path.name} is torn at byte {self.whole_bytes:,} of {size:,}: {why}; "
                    f"{whole}{self.count:,} whole records are read"
                )
                return
            at = self._file.tell()
            # The end is written over when the recording goes on.
            if self.finished is None:
                self.whole_bytes = at

    def _take(self, at: int, head: tuple[Any, ...], payload: bytes) -> None:
        kind, topic, partition, count = head[1], head[2], head[4], head[5]
        if kind == ROWS:
            if topic >= len(self.meta.topics):
                raise _TornError("a frame names a topic that is not described")
            place = self.meta.topics[topic], partition
            self.frames.append(Frame(at, *place, count, len(payload), *head[8:12]))
            self.positions[place] = max(self.positions.get(place, 0), head[9] + 1)
            self.finished = None
        elif kind in (POSITIONS, END):
            try:
                about = msgspec.json.decode(payload)
                for name, by_partition in about["positions"].items():
                    for text, offset in by_partition.items():
                        place = name, int(text)
                        self.positions[place] = max(self.positions.get(place, 0), offset)
                self.finished = str(about["reason"]) if kind == END else None
            except (msgspec.DecodeError, KeyError, AttributeError, TypeError, ValueError):
                raise _TornError("a frame of positions cannot be read") from None
        # A kind of frame that a later version may add is passed over.

    def _salvage(self, why: "_TornError") -> None:
        head = why.head
        if head is None or head[1] != ROWS or head[2] >= len(self.meta.topics):
            return
        try:
            raw = zstandard.ZstdDecompressor().decompressobj().decompress(why.payload)
        except zstandard.ZstdError:
            return
        place = self.meta.topics[head[2]], int(head[4])
        self.salvaged = list(self._rows(raw, *place))
        if self.salvaged:
            last = self.salvaged[-1].offset + 1
            self.positions[place] = max(self.positions.get(place, 0), last)

    # --- what is in it --------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """Records that can be read."""
        return sum(f.records for f in self.frames) + len(self.salvaged)

    @property
    def arrivals(self) -> tuple[int, int] | None:
        """The first and the last arrival (ms); None when it is empty."""
        first = [f.first_arrival for f in self.frames] + [r.arrival for r in self.salvaged]
        last = [f.last_arrival for f in self.frames] + [r.arrival for r in self.salvaged]
        return (min(first), max(last)) if first else None

    @property
    def partitions(self) -> int:
        """The number of partitions of the source topics, one for all of them."""
        return max(self.meta.partitions.values(), default=1)

    def by_topic(self) -> dict[str, int]:
        """Records by topic."""
        found = dict.fromkeys(self.meta.topics, 0)
        for frame in self.frames:
            found[frame.topic] += frame.records
        for record in self.salvaged:
            found[record.topic] += 1
        return found

    def offsets(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Topic -> partition -> first and last recorded offset."""
        found: dict[str, dict[str, tuple[int, int]]] = {}
        spans = [(f.topic, f.partition, f.first_offset, f.last_offset) for f in self.frames]
        spans += [(r.topic, r.partition, r.offset, r.offset) for r in self.salvaged]
        for topic, partition, first, last in spans:
            place = found.setdefault(topic, {})
            low, high = place.get(str(partition), (first, last))
            place[str(partition)] = min(low, first), max(high, last)
        return found

    # --- reading --------------------------------------------------------------------------------

    def raw(self, frame: Frame) -> bytes:
        """The rows of a frame, decompressed."""
        self._file.seek(frame.at + HEAD_BYTES)
        payload = self._file.read(frame.stored)
        return self._unzip.decompress(payload, max_output_size=MAX_FRAME_BYTES)

    def rows(self, frame: Frame) -> Iterator[Recorded]:
        """The records of a frame, in offset order."""
        return self._rows(self.raw(frame), frame.topic, frame.partition)

    def payloads(self, frame: Frame) -> Iterator[tuple[bytes | None, bytes | None, bytes, int]]:
        """Key, value, encoded headers and broker timestamp of a frame's rows: the fast way."""
        raw = self.raw(frame)
        at, unpack = 0, ROW.unpack_from
        for _ in range(frame.records):
            _, timestamp, key_length, value_length, length = unpack(raw, at)
            start = at + ROW.size
            middle = start + key_length if key_length >= 0 else start
            stop = middle + value_length if value_length >= 0 else middle
            at = stop + length
            yield (
                raw[start:middle] if key_length >= 0 else None,
                raw[middle:stop] if value_length >= 0 else None,
                raw[stop:at],
                timestamp,
            )

    def _rows(self, raw: bytes, topic: str, partition: int) -> Iterator[Recorded]:
        at, end, clock = 0, len(raw), self.meta.clock
        known: dict[bytes, Headers] = {}
        wall = clock == "wall"
        while at + ROW.size <= end:
            offset, timestamp, key_length, value_length, length = ROW.unpack_from(raw, at)
            at += ROW.size
            stop = at + max(key_length, 0) + max(value_length, 0) + length
            if stop > end:
                return  # the last row of a torn frame
            key = value = None
            if key_length >= 0:
                key = raw[at : at + key_length]
                at += key_length
            if value_length >= 0:
                value = raw[at : at + value_length]
                at += value_length
            blob = raw[at:stop]
            at = stop
            headers = known.get(blob)
            if headers is None:
                headers = known[blob] = decode_headers(blob)
            record = Recorded(topic, partition, offset, timestamp, key, value, headers, timestamp)
            yield record if wall else record._replace(arrival=arrival_of(record, clock))

    def records(self, since: int | None = None, until: int | None = None) -> Iterator[Recorded]:
        """All records by arrival, those of a partition in offset order; one frame each in memory.

        ``since`` and ``until`` (ms): only those that arrived then, the end excluded.
        """
        places: dict[Place, list[Frame]] = {}
        for frame in self.frames:
            late = since is not None and frame.last_arrival < since
            if not late and (until is None or frame.first_arrival < until):
                places.setdefault((frame.topic, frame.partition), []).append(frame)
        streams = [self._stream(place, frames) for place, frames in places.items()]
        if self.salvaged:
            last = self.salvaged[0]
            if (last.topic, last.partition) not in places:
                streams.append(iter(self.salvaged))
        for record in heapq.merge(*streams, key=_by_arrival):
            if since is not None and record.arrival < since:
                continue
            if until is not None and record.arrival >= until:
                continue
            yield record

    def _stream(self, place: Place, frames: Sequence[Frame]) -> Iterator[Recorded]:
        for frame in frames:
            yield from self.rows(frame)
        if self.salvaged and (self.salvaged[0].topic, self.salvaged[0].partition) == place:
            yield from self.salvaged

    def __iter__(self) -> Iterator[Recorded]:
        return self.records()

    def __len__(self) -> int:
        return self.count

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _TornError(Exception):
    """The good part of a file ends here; with the head and what is left of a frame cut short."""

    def __init__(self, why: str, head: tuple[Any, ...] | None = None, payload: bytes = b"") -> None:
        super().__init__(why)
        self.head = head
        self.payload = payload


def _by_arrival(record: Recorded) -> int:
    return record.arrival
