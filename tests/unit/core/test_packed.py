"""Packed records are the records that were packed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.packed import PackedRecords
from services.core.record import SourceRecord

BYTES = st.none() | st.binary(max_size=200)
HEADERS = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=70)), max_size=3).map(tuple)
RECORDS = st.lists(
    st.builds(
        SourceRecord, st.integers(0, 2**62), st.integers(-1, 2**44), BYTES, BYTES, HEADERS
    ),
    max_size=8,
)  # fmt: skip


@given(RECORDS)
def test_they_come_out_as_they_were(records: list[SourceRecord]) -> None:
    packed = PackedRecords.of(records)
    assert list(packed) == records
    assert [packed[i] for i in range(-len(packed), len(packed))] == records + records


@given(RECORDS, st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 9), st.integers(0, 9))
def test_a_slice_is_a_look_at_the_same_bytes(
    records: list[SourceRecord], first: int, end: int, again: int, until: int
) -> None:
    packed = PackedRecords.of(records)
    cut = packed[first:end]
    assert list(cut) == records[first:end]
    assert cut.rows is packed.rows
    assert list(cut[again:until]) == records[first:end][again:until]


def test_what_is_not_there_is_an_index_error() -> None:
    packed = PackedRecords.of([SourceRecord(5, 1, b"k", None)])[:0]
    assert not packed
    with pytest.raises(IndexError):
        packed[0]
    with pytest.raises(IndexError):
        packed[-1]


def test_steps_are_not_offered() -> None:
    with pytest.raises(ValueError, match="one piece"):
        PackedRecords.of([])[::2]


def test_a_header_whose_name_is_no_text_raises_nothing() -> None:
    packed = PackedRecords.of([SourceRecord(5, 1, b"k", None, (("name", b"v"),))])
    packed.buffers[0] = packed.buffers[0].replace(b"name", b"na\xff\xfe")
    assert packed[0].headers == (("na\ufffd\ufffd", b"v"),)
