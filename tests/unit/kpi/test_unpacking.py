"""Contract test of what is overridden in aiokafka: the same records as stock, in every batch."""

from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from services.kpi.unpacking import WholeFetch, WholeRecords, install

TP = TopicPartition("t", 0)
LENGTH = 7
_Builder: Any = DefaultRecordBatchBuilder  # untyped
_COMMITTED, _UNCOMMITTED = 1, 0


def batch(base: int, compression: int = 0, *, control: bool = False) -> bytes:
    """Seven records from an offset on, with all that a record may have or lack."""
    builder = _Builder(2, compression, 0, -1, -1, 0, 1_000_000)
    for offset in range(LENGTH):
        value = None if offset == 3 else b"v" * (offset * 50)
        key = None if offset == 2 else b"k%d" % offset
        builder.append(offset, 1_700_000_000_000 + offset, key, value, [("h", b"x")] * offset)
    raw = bytearray(builder.build())
    raw[:8] = base.to_bytes(8, "big")
    if control:
        raw[22] |= 0x20
        from aiokafka.record._crc32c import crc as crc32c

        raw[17:21] = crc32c(bytes(raw[21:])).to_bytes(4, "big")
    return bytes(raw)


LOGS = {
    "plain": batch(0) + batch(7),
    "lz4": batch(0, 3) + batch(7, 3),
    "zstd and snappy": batch(0, 4) + batch(7, 2),
    "with holes": batch(0) + batch(40, 3),
    "a control batch between": batch(0) + batch(7, control=True) + batch(14),
    "a control batch at the end": batch(0) + batch(7, control=True),
    "cut short": batch(0) + batch(7)[:-20],
    "nothing": b"",
}


@pytest.fixture
def _stock_again() -> Iterator[None]:
    yield
    module: Any = fetcher
    module.PartitionRecords, module.FetchResult = PartitionRecords, FetchResult


class Assignment:
    """What a fetch result asks of its assignment: active, of one partition, not paused."""

    active = True

    def __init__(self, position: int) -> None:
        self.position = position
        self.paused = False

    def state_value(self, _: TopicPartition) -> "Assignment":
        return self

    def consumed_to(self, position: int) -> None:
        self.position = position


def fetched(raw: bytes, offset: int, *, whole: bool, isolation: int = _UNCOMMITTED) -> Any:
    """A fetch result of either kind whose consumer stands at ``offset``."""
    records: Any = WholeRecords if whole else PartitionRecords
    result: Any = WholeFetch if whole else FetchResult
    inside = records(TP, MemoryRecords(raw), [], offset, None, None, True, isolation)
    return result(TP, assignment=Assignment(offset), partition_records=inside, backoff=0)


def position(result: Any) -> int:
    return int(result._assignment.position)


def seen(records: list[Any]) -> list[tuple[Any, ...]]:
    return [
        (r.offset, r.timestamp, r.timestamp_type, r.key, r.value, tuple(r.headers)) for r in records
    ]


@pytest.mark.parametrize("raw", LOGS.values(), ids=LOGS)
@pytest.mark.parametrize("offset", [0, 3, 6, 7, 9])
def test_the_records_and_the_position_are_those_of_stock_aiokafka(raw: bytes, offset: int) -> None:
    stock, whole = fetched(raw, offset, whole=False), fetched(raw, offset, whole=True)
    assert seen(whole.getall()) == seen(stock.getall())
    assert position(whole) == position(stock)
    assert not whole.has_more()
    assert whole.getall() == []


def test_a_bounded_fetch_is_left_to_stock_aiokafka() -> None:
    stock, whole = (fetched(LOGS["plain"], 2, whole=w) for w in (False, True))
    for _ in range(4):
        assert seen(whole.getall(5)) == seen(stock.getall(5)) if stock.has_more() else True
        assert position(whole) == position(stock)


def test_transactions_are_left_to_stock_aiokafka() -> None:
    stock, whole = (fetched(LOGS["lz4"], 0, whole=w, isolation=_COMMITTED) for w in (False, True))
    assert whole.getall() == stock.getall()


def test_a_broken_batch_moves_nothing_so_that_it_is_fetched_again() -> None:
    raw = bytearray(LOGS["plain"])
    raw[-1] ^= 1
    whole = fetched(bytes(raw), 0, whole=True)
    with pytest.raises(CorruptRecordException):
        whole.getall()
    assert position(whole) == 0
    assert whole.getall() == []
    assert not whole.has_more()


def test_what_was_fetched_before_a_seek_is_dropped_as_in_stock_aiokafka() -> None:
    whole = fetched(LOGS["plain"], 0, whole=True)
    whole._assignment.position = 5
    assert whole.getall() == []
    assert position(whole) == 5


@pytest.mark.usefixtures("_stock_again")
def test_installed_it_is_what_the_fetcher_makes_and_asks_for() -> None:
    install()
    names = fetcher.Fetcher._proc_fetch_request.__code__.co_names
    assert {"PartitionRecords", "FetchResult"} <= set(names)
    assert "FetchResult" in fetcher.Fetcher.fetched_records.__code__.co_names
    assert fetcher.PartitionRecords is WholeRecords
    assert fetcher.FetchResult is WholeFetch
