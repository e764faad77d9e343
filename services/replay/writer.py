"""Writes a recording: frame by frame, whole at every moment, and goes on with one that was torn."""

import fcntl
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from services.replay.framing import (
    END,
    FRAME_BYTES,
    MAGIC,
    META,
    POSITIONS,
    ROW,
    ROWS,
    Headers,
    Meta,
    Place,
    Positions,
    Recorded,
    RecordingError,
    compress,
    encode_headers,
    head_of,
)
from services.replay.recording import Recording


class _Rows:
    """The rows of one place that wait for their frame."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.bytes = 0
        self.count = 0
        self.offsets = (0, 0)
        self.arrivals = (0, 0)


class Writer:
    """Appends to a recording. One writer at a time: the file is locked.

    Raises RecordingError when another process has the file, OSError when it cannot be written (a
    full disk); the file then still ends at its last whole frame.
    """

    def __init__(self, path: Path, meta: Meta) -> None:
        self.path = path
        self.meta = meta
        self.records = 0
        self._topics = {name: n for n, name in enumerate(meta.topics)}
        self._rows: dict[Place, _Rows] = {}
        self._blobs: dict[Headers, bytes] = {}
        self._file = path.open("r+b" if path.exists() else "x+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise RecordingError(f"{path} is being written by another process") from None
        self._end = 0

    @classmethod
    def create(cls, path: Path, meta: Meta) -> Self:
        """A new recording; the file must not exist (FileExistsError)."""
        if path.exists():
            raise FileExistsError(path)
        writer = cls(path, meta)
        writer._write(MAGIC)
        writer._frame_of_json(META, meta)
        return writer

    @classmethod
    def append(cls, path: Path) -> tuple[Self, Positions]:
        """Go on behind the last whole record, and from where each partition is to be read.

        What was torn is cut off. Raises RecordingError for a file that is no recording.
        """
        with Recording.open(path) as before:
            saved = before.salvaged
            end, positions, count = before.whole_bytes, before.positions, before.count
            writer = cls(path, before.meta)
        try:
            writer.records = count - len(saved)
            writer._end = end
            writer._file.truncate(end)
            writer._file.seek(end)
            for record in saved:
                writer.add(record)
            writer.flush()
        except BaseException:
            writer.close()
            raise
        return writer, positions

    def add(self, record: Recorded) -> None:
        """One record; those of a place in offset order. Written when its frame is full."""
        place = record.topic, record.partition
        rows = self._rows.get(place)
        if rows is None:
            rows = self._rows[place] = _Rows()
        _, _, offset, timestamp, key, value, headers, arrival = record
        blob = self._blobs.get(headers)
        if blob is None:
            if len(self._blobs) > 10_000:
                self._blobs.clear()
            blob = self._blobs[headers] = encode_headers(headers)
        lengths = (-1 if key is None else len(key), -1 if value is None else len(value))
        rows.parts += (ROW.pack(offset, timestamp, *lengths, len(blob)), key or b"",
                       value or b"", blob)  # fmt: skip
        rows.bytes += ROW.size + max(lengths[0], 0) + max(lengths[1], 0) + len(blob)
        if rows.count:
            low, high = rows.arrivals
            rows.arrivals = min(low, arrival), max(high, arrival)
            rows.offsets = rows.offsets[0], offset
        else:
            rows.arrivals = arrival, arrival
            rows.offsets = offset, offset
        rows.count += 1
        if rows.bytes >= FRAME_BYTES:
            self._put(place)

    def _put(self, place: Place) -> None:
        rows = self._rows.pop(place)
        raw = b"".join(rows.parts)
        payload = compress(raw)
        topic, partition = place
        head = head_of(
            ROWS, self._topics[topic], partition, rows.count, len(raw), payload,
            rows.offsets, rows.arrivals,
        )  # fmt: skip
        self._write(head + payload)
        self.records += rows.count

    def _frame_of_json(self, kind: int, value: object) -> None:
        payload = msgspec.json.encode(value)
        self._write(head_of(kind, 0, 0, 0, len(payload), payload) + payload)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            # Half a frame helps nobody: leave the file whole, if the disk allows that much.
            try:
                self._file.truncate(self._end)
            except OSError:
                pass
            raise
        self._end += len(data)

    def flush(self, positions: Mapping[Place, int] | None = None) -> None:
        """Write what waits, and down to which offset everything asked for is in the file."""
        for place in list(self._rows):
            self._put(place)
        if positions is not None:
            self._frame_of_json(POSITIONS, {"positions": _nested(positions)})
        os.fsync(self._file.fileno())

    def finish(self, reason: str, positions: Mapping[Place, int] | None = None) -> None:
        """The last frame: why the recording ends."""
        self.flush()
        about = {"reason": reason, "records": self.records}
        self._frame_of_json(END, about | {"positions": _nested(positions or {})})
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file; rows that were not flushed are gone."""
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


def _nested(positions: Mapping[Place, int]) -> dict[str, dict[str, int]]:
    out: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in sorted(positions.items()):
        out.setdefault(topic, {})[str(partition)] = offset
    return out


def write(path: Path | str, records: Iterable[Recorded], meta: Meta) -> int:
    """A finished recording of these records; how many. Raises FileExistsError."""
    with Writer.create(Path(path), meta) as writer:
        for record in records:
            writer.add(record)
        writer.finish("written")
        return writer.records
