"""Records as they lie in the buffers of a fetch: each is made when somebody asks for it.

A worker at full speed would otherwise make and free an object, a key and a value for every record
that is folded; the compiled fold reads them where they are. Headers are laid out as in Kafka's
record format v2 (KIP-82).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from struct import Struct
from typing import Any, overload

from services.core.record import Record, SourceRecord

#: Offset, timestamp (ms), number of the buffer, key at, key size, value at, value size (a size is
#: -1 for null), headers at.
ROW = Struct("<8q")


class PackedRecords(Sequence[SourceRecord]):
    """The records ``[start, end)`` of ``rows``; a slice shares rows and buffers.

    ``rows`` holds one :data:`ROW` a record, in order of their offsets; where it points to has been
    checked by whoever packed it.
    """

    __slots__ = ("buffers", "end", "rows", "start")

    def __init__(
        self, buffers: list[bytes], rows: bytes, start: int = 0, end: int | None = None
    ) -> None:
        self.buffers = buffers
        self.rows = rows
        self.start = start
        self.end = len(rows) // ROW.size if end is None else end

    @classmethod
    def of(cls, records: Iterable[Record]) -> "PackedRecords":
        """Other records, packed."""
        buffer = bytearray()
        rows = bytearray()

        def put(data: bytes | None) -> tuple[int, int]:
            at = len(buffer)
            buffer.extend(data or b"")
            return at, -1 if data is None else len(data)

        for record in records:
            key, value = put(record.key), put(record.value)
            at = len(buffer)
            headers = [(name.encode(), content) for name, content in record.headers or ()]
            buffer += _packed_varint(len(headers))
            for part in chain.from_iterable(headers):
                buffer += _packed_varint(-1 if part is None else len(part))
                buffer += part or b""
            rows += ROW.pack(record.offset, record.timestamp, 0, *key, *value, at)
        return cls([bytes(buffer)], bytes(rows))

    def __len__(self) -> int:
        return self.end - self.start

    @overload
    def __getitem__(self, at: int) -> SourceRecord: ...
    @overload
    def __getitem__(self, at: slice) -> "PackedRecords": ...
    def __getitem__(self, at: int | slice) -> "SourceRecord | PackedRecords":
        if isinstance(at, slice):
            first, end, step = at.indices(len(self))
            if step != 1:
                raise ValueError("packed records are cut in one piece")
            first, end = self.start + first, self.start + max(first, end)
            return PackedRecords(self.buffers, self.rows, first, end)
        return self._record(self._number(at))

    def __iter__(self) -> Iterator[SourceRecord]:
        return map(self._record, range(self.start, self.end))

    def _number(self, at: int) -> int:
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        return self.start + at if at >= 0 else self.end + at

    def _record(self, number: int) -> SourceRecord:
        offset, timestamp, buffer, key, key_size, value, value_size, headers = ROW.unpack_from(
            self.rows, number * ROW.size
        )
        of = self.buffers[buffer]
        return SourceRecord(
            offset,
            timestamp,
            None if key_size < 0 else of[key : key + key_size],
            None if value_size < 0 else of[value : value + value_size],
            _headers(of, headers),
        )


def _headers(of: bytes, at: int) -> tuple[tuple[str, bytes], ...]:
    """As Kafka's clients give them: a header's value may be None, whatever the type says.

    A name that is no UTF-8 ends nobody's fold: what cannot be read in it is replaced.
    """
    count, at = _varint(of, at)
    found: list[Any] = []
    for _ in range(count):
        size, at = _varint(of, at)
        name = of[at : at + size].decode(errors="replace")
        size, at = _varint(of, at + size)
        found.append((name, None if size < 0 else of[at : at + size]))
        at += max(size, 0)
    return tuple(found)


def _varint(of: bytes, at: int) -> tuple[int, int]:
    """A zigzag number and where it ends."""
    out = shift = 0
    while True:
        byte = of[at]
        at += 1
        out |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return (out >> 1) ^ -(out & 1), at
        shift += 7


def _packed_varint(number: int) -> bytes:
    zigzag = number << 1 ^ number >> 63
    out = bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    return bytes((*out, zigzag))
