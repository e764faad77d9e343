"""Unpacking of fetched record batches: a whole fetch at once, without an object for each record.

Stock aiokafka passes every record through two generators and copies it into a dataclass of eleven
members, 1.55 µs for one of 700 bytes. A worker always takes a whole fetch, and its fold reads
records where they lie: so a fetch becomes :class:`~services.core.packed.PackedRecords`, walked in C
(_batches.pyx). Where that was not built, or the batches are older than format v2, it becomes the
list of the C reader's own records. Deserializers and transactions are left to the stock code.

This overrides classes of aiokafka, which is therefore pinned exactly; tests/unit/kpi/
test_unpacking.py compares all of them over every kind of batch.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from services.core import speed
from services.core.packed import PackedRecords

#: (bytes of a partition's fetch, offset asked for, look at checksums) -> buffers, rows and the
#: offset to fetch next; None for old formats.
Unpack = Callable[[bytes, int, bool], tuple[list[bytes], bytes, int] | None]


def _compiled() -> Unpack | None:
    try:
        unpack: Unpack = import_module("services.kpi._batches").unpack
    except ImportError:
        return None
    return unpack


_unpack: Unpack | None = _compiled() if speed.default() == "compiled" else None


class KeptRecords:
    """aiokafka's reader of a fetch (``MemoryRecords``), and the bytes that it hides."""

    __slots__ = ("_reader", "data", "has_next", "next_batch", "size_in_bytes")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._reader = reader = MemoryRecords(data)
        self.has_next, self.next_batch = reader.has_next, reader.next_batch
        self.size_in_bytes = reader.size_in_bytes


class WholeRecords(fetcher.PartitionRecords):
    """What is fetched of one partition; :meth:`unpack` gives all that is left of it."""

    @property
    def plain(self) -> bool:
        """Nothing has to be done to the records, and no transaction hides any."""
        return (
            self._key_deserializer is None
            and self._value_deserializer is None
            and self._isolation_level != fetcher.READ_COMMITTED
        )

    def unpack(self) -> Sequence[Any]:
        """All records from the offset on that was asked for.

        Raises CorruptRecordException when a batch is not what its checksum says.
        """
        if _unpack is not None and isinstance(self._records, KeptRecords):
            found = _unpack(self._records.data, self.next_fetch_offset, self._check_crcs)
            if found is not None:
                buffers, rows, self.next_fetch_offset = found
                return PackedRecords(buffers, rows)
        return self._unpack_each()

    def _unpack_each(self) -> list[Any]:
        out: list[Any] = []
        records, begin = self._records, self.next_fetch_offset
        while records.has_next():
            batch = records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            end = batch.next_offset
            if not batch.is_control_batch:
                fresh = list(batch)
                # A fetch begins with the whole batch that holds the offset asked for.
                if fresh and fresh[0].offset < begin:
                    fresh = [record for record in fresh if record.offset >= begin]
                out += fresh
            begin = end
        self.next_fetch_offset = begin
        return out


class WholeFetch(fetcher.FetchResult):
    """Hands over a partition's records at once."""

    def getall(self, max_records: int | None = None) -> Sequence[Any]:
        records = self._partition_records
        if records is None:
            return []
        if max_records is not None or not isinstance(records, WholeRecords) or not records.plain:
            stock: list[Any] = super().getall(max_records)  # type: ignore[no-untyped-call]  # aiokafka
            return stock
        if not self.check_assignment(self._topic_partition):  # type: ignore[no-untyped-call]
            return []
        # Whatever happens it is not asked for again; after an error it is fetched anew.
        self._partition_records = None
        # A generator that was never begun: with it the fetch would hold on to itself, and its
        # megabytes would wait for the garbage collector.
        records._records_iterator = None
        out = records.unpack()
        state = self._assignment.state_value(self._topic_partition)
        state.consumed_to(records.next_fetch_offset)
        return out


def install() -> None:
    """Let every consumer of this process unpack so."""
    module: Any = fetcher
    module.MemoryRecords = KeptRecords
    module.PartitionRecords, module.FetchResult = WholeRecords, WholeFetch
