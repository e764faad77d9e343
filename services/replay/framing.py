"""The bytes of a recording: what a frame and a row look like (docs/recording-format.md).

Numbers are little endian; every frame says how long it is, and carries a checksum.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import xxhash
import zstandard

from services.core.record import ARRIVAL_HEADER, Clock, arrival_ms

SUFFIX = ".iocrec"
MAGIC = b"IOCREC1\n"
FRAME_MAGIC = b"IOCF"
META, ROWS, POSITIONS, END = b"M"[0], b"R"[0], b"P"[0], b"E"[0]
#: Rows are gathered to about this many bytes before they are compressed.
FRAME_BYTES = 256 * 1024
#: A zstd block ends here at the latest: what a torn frame still gives back.
BLOCK_BYTES = 32 * 1024
#: No frame is larger: a length beyond it is damage, not data.
MAX_FRAME_BYTES = 64 * 1024 * 1024
_LEVEL = 1

HEAD = struct.Struct("<4sBBHIIIIqqqqQ")
HEAD_CHECK = struct.Struct("<I")
HEAD_BYTES = HEAD.size + HEAD_CHECK.size
ROW = struct.Struct("<qqiiI")
HEADER = struct.Struct("<Hi")

Headers = tuple[tuple[str, bytes | None], ...]
#: Topic without namespace, and partition.
Place = tuple[str, int]
#: Place -> offset of the next record that was not read yet.
Positions = dict[Place, int]


class RecordingError(Exception):
    """The file is no recording, or one that this installation cannot use; the message says why."""


class Recorded(NamedTuple):
    """One recorded record; ``timestamp`` is the broker's, ``arrival`` by the recording's clock."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    arrival: int = 0


class Meta(msgspec.Struct, kw_only=True, frozen=True):
    """What the first frame says: under which law the records were made, and what was asked for.

    ``partitions`` by topic; ``wanted`` are the filters and the range as they were given.
    """

    contract: str
    schema: str
    clock: Clock
    topics: list[str]
    partitions: dict[str, int]
    cluster: str = ""
    namespace: str = ""
    made: str = ""
    software: str = ""
    wanted: dict[str, Any] = {}


class Frame(NamedTuple):
    """Where a frame of rows lies, and what is in it; instants in ms since the epoch."""

    at: int
    topic: str
    partition: int
    records: int
    stored: int
    first_offset: int
    last_offset: int
    first_arrival: int
    last_arrival: int


def head_of(
    kind: int, topic: int, partition: int, count: int, raw: int, payload: bytes,
    offsets: tuple[int, int] = (0, 0), arrivals: tuple[int, int] = (0, 0),
) -> bytes:  # fmt: skip
    head = HEAD.pack(
        FRAME_MAGIC, kind, topic, 0, partition, count, raw, len(payload),
        *offsets, *arrivals, xxhash.xxh64_intdigest(payload),
    )  # fmt: skip
    return head + HEAD_CHECK.pack(xxhash.xxh32_intdigest(head))


def compress(raw: bytes) -> bytes:
    """Rows as a frame holds them: what is torn can be decompressed up to its last whole block."""
    machine = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
    parts = []
    for start in range(0, len(raw), BLOCK_BYTES):
        parts.append(machine.compress(raw[start : start + BLOCK_BYTES]))
        parts.append(machine.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
    parts.append(machine.flush())
    return b"".join(parts)


def encode_headers(headers: Iterable[tuple[str, bytes | None]]) -> bytes:
    """Headers as a row holds them."""
    out = b""
    for name, value in headers:
        text = name.encode()
        out += HEADER.pack(len(text), -1 if value is None else len(value))
        out += text + (value or b"")
    return out


def decode_headers(blob: bytes) -> Headers:
    """The inverse of :func:`encode_headers`."""
    out: list[tuple[str, bytes | None]] = []
    at = 0
    while at < len(blob):
        name_length, value_length = HEADER.unpack_from(blob, at)
        at += HEADER.size
        name = blob[at : at + name_length].decode()
        at += name_length
        value = None if value_length < 0 else blob[at : at + value_length]
        at += max(value_length, 0)
        out.append((name, value))
    return tuple(out)


class _Stamped(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def arrival_of(record: Recorded, clock: Clock) -> int:
    """When a record arrived by a clock (contract section 1), as the core tells it."""
    if clock == "wall":
        return record.timestamp
    named = [(n, v) for n, v in record.headers if n == ARRIVAL_HEADER and v is not None]
    return arrival_ms(_Stamped(0, record.timestamp, None, None, named), clock)
