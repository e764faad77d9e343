"""Contract test of what is overridden in aiokafka: the same records as stock, in every batch."""

import gc
import weakref
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

import cramjam
import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record._crc32c import crc as crc32c
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core import speed
from services.core.packed import ROW, PackedRecords
from services.kpi import unpacking
from services.kpi.unpacking import KeptRecords, WholeFetch, WholeRecords, install

TP = TopicPartition("t", 0)
LENGTH = 7
_Builder: Any = DefaultRecordBatchBuilder  # untyped
_COMMITTED, _UNCOMMITTED = 1, 0
_GZIP, _SNAPPY, _LZ4, _ZSTD = 1, 2, 3, 4
#: Bits of a batch's attributes.
LOG_APPEND, CONTROL = 0x08, 0x20
WAYS = ("listed", "packed")
#: Text that repeats itself near and far, and text that does not.
TEXTS = st.lists(
    st.sampled_from([b"", b"x", b"abcd", b"0123456789abcdefghij" * 3]) | st.binary(max_size=40),
    max_size=40,
).map(b"".join)

#: What hardly shrinks and what nearly vanishes.
VALUES = (b"", bytes(range(256)), bytes(i * i % 251 for i in range(9_000)), b"v" * 90_000)


def batch(base: int, compression: int = 0, attributes: int = 0, last_delta: int = -1) -> bytes:
    """Seven records from an offset on, with all that a record may have or lack."""
    builder = _Builder(2, compression, 0, -1, -1, 0, 1_000_000)
    for offset in range(LENGTH):
        value = None if offset == 3 else b"v" * (offset * 50)
        key = None if offset == 2 else b"k%d" % offset
        headers: list[Any] = [("h", b"x"), ("dấu", None)][: offset % 3] * offset
        builder.append(offset, 1_700_000_000_000 + offset, key, value, headers)
    return signed(builder.build(), base, attributes, last_delta)


def signed(raw: bytes, base: int, attributes: int = 0, last_delta: int = -1) -> bytes:
    """A batch with another offset, more attributes and another last offset (-1: as it is)."""
    out = bytearray(raw)
    out[:8] = base.to_bytes(8, "big")
    out[22] |= attributes
    if last_delta >= 0:
        out[23:27] = last_delta.to_bytes(4, "big")
    out[17:21] = crc32c(bytes(out[21:])).to_bytes(4, "big")
    return bytes(out)


def emptied(base: int) -> bytes:
    """What compaction leaves of a batch whose records are all gone: its header."""
    out = bytearray(batch(base)[:61])
    out[8:12] = (49).to_bytes(4, "big")
    out[57:61] = bytes(4)
    return signed(bytes(out), base)


LOGS = {
    "plain": batch(0) + batch(7),
    "lz4": batch(0, 3) + batch(7, 3),
    "zstd and snappy": batch(0, _ZSTD) + batch(7, _SNAPPY),
    "gzip": batch(0, _GZIP),
    "the broker's time": batch(0, _LZ4, LOG_APPEND) + batch(7, 0, LOG_APPEND),
    "with holes": batch(0) + batch(40, 3),
    "a control batch between": batch(0) + batch(7, 0, CONTROL) + batch(14),
    "a control batch at the end": batch(0) + batch(7, 0, CONTROL),
    "compacted": batch(0, last_delta=19) + emptied(20) + batch(30) + emptied(37),
    "cut short": batch(0) + batch(7)[:-20],
    "cut in a header": batch(0, _LZ4) + batch(7)[:30],
    "cut at once": batch(0) + batch(7)[:9],
    "nothing": b"",
}


@pytest.fixture
def _stock_again() -> Iterator[None]:
    yield
    module: Any = fetcher
    module.MemoryRecords = MemoryRecords
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


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a fetch is unpacked: as the list of aiokafka's records, or packed in C."""
    chosen = str(request.param)
    if chosen == "listed":
        monkeypatch.setattr(unpacking, "_unpack", None)
    elif unpacking._unpack is None:
        pytest.skip(f"the fold runs {speed.describe()}")
    return chosen


def fetched(raw: bytes, offset: int, *, whole: bool, isolation: int = _UNCOMMITTED) -> Any:
    """A fetch result of either kind whose consumer stands at ``offset``."""
    records: Any = WholeRecords if whole else PartitionRecords
    result: Any = WholeFetch if whole else FetchResult
    reader = KeptRecords(raw) if whole else MemoryRecords(raw)
    inside = records(TP, reader, [], offset, None, None, True, isolation)
    return result(TP, assignment=Assignment(offset), partition_records=inside, backoff=0)


def position(result: Any) -> int:
    return int(result._assignment.position)


def seen(records: Iterable[Any]) -> list[tuple[Any, ...]]:
    return [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in records]


@pytest.mark.parametrize("raw", LOGS.values(), ids=LOGS)
@pytest.mark.parametrize("offset", [0, 3, 6, 7, 9, 35])
def test_the_records_and_the_position_are_those_of_stock_aiokafka(
    raw: bytes, offset: int, way: str
) -> None:
    stock, whole = fetched(raw, offset, whole=False), fetched(raw, offset, whole=True)
    got = whole.getall()
    assert isinstance(got, PackedRecords) is (way == "packed")
    assert seen(got) == seen(stock.getall())
    assert position(whole) == position(stock)
    assert not whole.has_more()
    assert list(whole.getall()) == []


def test_what_was_handed_over_does_not_wait_for_the_garbage_collector(way: str) -> None:
    whole = fetched(LOGS["plain"], 0, whole=True)
    inside = weakref.ref(whole._partition_records)
    gc.disable()
    try:
        got = whole.getall()
        assert len(got) == 2 * LENGTH
        assert inside() is None
    finally:
        gc.enable()


def test_batches_of_older_formats_are_left_to_the_reader() -> None:
    builder: Any = LegacyRecordBatchBuilder(1, 0, 100_000)
    for offset in range(3):
        builder.append(offset, 1_700_000_000_000, b"k", b"v")
    stock, whole = (fetched(bytes(builder.build()), 0, whole=w) for w in (False, True))
    assert seen(whole.getall()) == seen(stock.getall()) != []


def test_a_bounded_fetch_is_left_to_stock_aiokafka() -> None:
    stock, whole = (fetched(LOGS["plain"], 2, whole=w) for w in (False, True))
    for _ in range(4):
        assert seen(whole.getall(5)) == seen(stock.getall(5)) if stock.has_more() else True
        assert position(whole) == position(stock)


def test_transactions_are_left_to_stock_aiokafka() -> None:
    stock, whole = (fetched(LOGS["lz4"], 0, whole=w, isolation=_COMMITTED) for w in (False, True))
    assert whole.getall() == stock.getall()


@pytest.mark.usefixtures("way")
def test_a_broken_batch_moves_nothing_so_that_it_is_fetched_again() -> None:
    raw = bytearray(LOGS["plain"])
    raw[-1] ^= 1
    whole = fetched(bytes(raw), 0, whole=True)
    with pytest.raises(CorruptRecordException):
        whole.getall()
    assert position(whole) == 0
    assert list(whole.getall()) == []
    assert not whole.has_more()


@pytest.mark.skipif(unpacking._unpack is None, reason="not compiled here")
class TestBytes:
    """Whatever the bytes are: records, or CorruptRecordException; never a look beyond them."""

    @settings(max_examples=800, deadline=None)
    @given(
        st.sampled_from(list(LOGS.values())),
        st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=4),
        st.integers(0, 5000),
        st.booleans(),
    )
    def test_spoilt_bytes(
        self, raw: bytes, changes: list[tuple[int, int]], cut: int, check: bool
    ) -> None:
        spoilt = bytearray(raw)
        for at, byte in changes:
            if spoilt:
                spoilt[at % len(spoilt)] = byte
        if cut < len(spoilt):
            del spoilt[cut:]
        self.take(bytes(spoilt), check)

    @settings(max_examples=400, deadline=None)
    @given(st.data())
    def test_spoilt_records_under_a_right_checksum(self, data: st.DataObject) -> None:
        spoilt = bytearray(batch(0))
        for _ in range(data.draw(st.integers(1, 6))):
            spoilt[data.draw(st.integers(57, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
        self.take(signed(bytes(spoilt), 0), check=True)

    @staticmethod
    def take(raw: bytes, check: bool) -> None:
        assert unpacking._unpack is not None
        try:
            found = unpacking._unpack(raw, 0, check)
        except CorruptRecordException:
            return
        if found is not None:
            buffers, rows, _ = found
            for row in ROW.iter_unpack(rows):
                _, _, buffer, key, key_size, value, value_size, headers = row
                size = len(buffers[buffer])
                assert 0 <= key <= key + max(key_size, 0) <= value
                assert value + max(value_size, 0) <= headers < size

    @settings(max_examples=300, deadline=None)
    @given(TEXTS, st.booleans(), st.booleans())
    def test_lz4_is_read_as_the_library_reads_it(
        self, text: bytes, linked: bool, sized: bool
    ) -> None:
        compressor = cramjam.lz4.Compressor(level=4, content_checksum=sized, block_linked=linked)
        compressor.compress(text)
        frame = bytes(compressor.finish())
        compiled: Any = import_module("services.kpi._batches")
        assert compiled.lz4(frame, len(text)) == text
        if text:
            with pytest.raises(MemoryError):
                compiled.lz4(frame, len(text) - 1)

    @settings(max_examples=800, deadline=None)
    @given(
        TEXTS,
        st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), max_size=4),
        st.integers(0, 900),
    )
    def test_spoilt_lz4_is_refused_or_something_within_bounds(
        self, text: bytes, changes: list[tuple[int, int]], cut: int
    ) -> None:
        frame = bytearray(cramjam.lz4.compress(text))
        for at, byte in changes:
            frame[at % len(frame)] = byte
        compiled: Any = import_module("services.kpi._batches")
        try:
            assert len(compiled.lz4(bytes(frame[: cut or None]), 2000)) <= 2000
        except (ValueError, MemoryError):
            pass

    @pytest.mark.parametrize("size", [200, 20_000, 400_000])
    def test_batches_that_expand_much_get_the_room_they_need(self, size: int) -> None:
        builder = _Builder(2, _LZ4, 0, -1, -1, 0, 10_000_000)
        builder.append(0, 1, b"k", b"v" * size, [])
        raw = bytes(builder.build())
        log = raw + batch(1, _LZ4) + signed(raw, 8) + batch(9, _SNAPPY) + signed(raw, 16)
        stock, whole = (fetched(log, 0, whole=w) for w in (False, True))
        assert seen(whole.getall()) == seen(stock.getall())

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from([0, _LZ4, _SNAPPY]), st.sampled_from(VALUES))))
    def test_a_guess_of_the_room_that_was_wrong_is_put_right(
        self, batches: list[tuple[int, bytes]]
    ) -> None:
        log = b""
        for offset, (compression, value) in enumerate(batches):
            builder = _Builder(2, compression, 0, -1, -1, 0, 10_000_000)
            builder.append(0, 1, None, value, [])
            log += signed(bytes(builder.build()), offset)
        stock, whole = (fetched(log, 0, whole=w) for w in (False, True))
        assert seen(whole.getall()) == seen(stock.getall())

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=300))
    def test_the_checksum_is_that_of_aiokafka_either_way(self, data: bytes) -> None:
        compiled: Any = import_module("services.kpi._batches")
        assert compiled.crc32c(data) == compiled.crc32c(data, by_table=True) == crc32c(data)


def test_what_was_fetched_before_a_seek_is_dropped_as_in_stock_aiokafka() -> None:
    whole = fetched(LOGS["plain"], 0, whole=True)
    whole._assignment.position = 5
    assert list(whole.getall()) == []
    assert position(whole) == 5


@pytest.mark.usefixtures("_stock_again")
def test_installed_it_is_what_the_fetcher_makes_and_asks_for() -> None:
    install()
    names = fetcher.Fetcher._proc_fetch_request.__code__.co_names
    assert {"MemoryRecords", "PartitionRecords", "FetchResult"} <= set(names)
    assert "FetchResult" in fetcher.Fetcher.fetched_records.__code__.co_names
    assert vars(fetcher)["MemoryRecords"] is KeptRecords
    assert fetcher.PartitionRecords is WholeRecords
    assert fetcher.FetchResult is WholeFetch
