"""The file: what goes in comes out; whatever tears it, whole records before that are read."""

import errno
import io
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.core.record import Clock
from services.replay import Recorded, Recording, RecordingError, Writer, write
from services.replay.framing import HEAD_BYTES, MAGIC, Positions, decode_headers, encode_headers
from services.replay.record import check
from tests.unit.replay.recordings import PARTITIONS, TOPICS, description, recording, records


def by_place(found: list[Recorded]) -> dict[tuple[str, int], list[Recorded]]:
    ordered = sorted(found, key=lambda r: (r.topic, r.partition, r.offset))
    return {k: list(g) for k, g in groupby(ordered, lambda r: (r.topic, r.partition))}


@pytest.mark.parametrize("clock", ["wall", "event"])
def test_every_record_comes_back_as_it_was_in_order_of_arrival(
    tmp_path: Path, clock: Clock
) -> None:
    written = recording(tmp_path / "a.iocrec", count=2_000, clock=clock)
    with Recording.open(tmp_path / "a.iocrec") as found:
        read = list(found)
        assert found.torn is None
        assert found.finished == "written"
        assert len(found) == len(written)
        arrivals = [r.arrival for r in written]
        assert found.arrivals == (min(arrivals), max(arrivals))
    assert sorted(read) == sorted(written)
    assert [r.arrival for r in read] == sorted(arrivals)
    for place, rows in by_place(read).items():
        assert rows == [r for r in read if (r.topic, r.partition) == place]


def test_headers_keys_and_values_may_be_null_empty_or_repeated(tmp_path: Path) -> None:
    headers: tuple[tuple[str, bytes | None], ...] = (
        ("a", b"1"), ("a", None), ("", b""), ("đường", b"\xff"),
    )  # fmt: skip
    assert decode_headers(encode_headers(headers)) == headers
    odd = [
        Recorded(TOPICS[0], 0, 5, 10, None, None, headers, 10),
        Recorded(TOPICS[0], 0, 6, 11, b"", b"", (), 11),
    ]
    write(tmp_path / "a.iocrec", odd, description())
    with Recording.open(tmp_path / "a.iocrec") as found:
        assert list(found) == odd


def test_a_file_cut_off_anywhere_is_read_to_its_last_whole_record(tmp_path: Path) -> None:
    whole = tmp_path / "whole.iocrec"
    written = recording(whole, count=150)
    data = whole.read_bytes()
    cut = tmp_path / "cut.iocrec"
    counts = []
    for length in range(0, len(data), 37):
        cut.write_bytes(data[:length])
        try:
            with Recording.open(cut) as found:
                read = list(found)
                boundary = found.whole_bytes == length
                assert (found.torn is None) == boundary
                if found.torn:
                    assert f"{len(read)} whole records are read" in found.torn
        except RecordingError:
            assert length < 2_000  # within its description: nothing is in it
            continue
        expected = by_place(written)
        for place, rows in by_place(read).items():
            assert rows == expected[place][: len(rows)]
        counts.append(len(read))
    assert counts == sorted(counts)
    assert max(counts) == len(written)


def test_a_torn_frame_still_gives_its_whole_records(tmp_path: Path) -> None:
    path = tmp_path / "a.iocrec"
    value = b"".join(bytes([i % 251]) * 3 for i in range(100))
    many = [Recorded(TOPICS[0], 0, i, i, b"%d" % i, value + b"%d" % i, (), i) for i in range(500)]
    write(path, many, description())
    with Recording.open(path) as found:
        (frame,) = found.frames
    path.write_bytes(path.read_bytes()[: frame.at + HEAD_BYTES + frame.stored - 200])
    with Recording.open(path) as found:
        read = list(found)
        assert found.torn is not None
    assert read == many[: len(read)]
    assert 300 < len(read) < 500


@pytest.mark.parametrize("where", [0.2, 0.5, 0.9])
def test_a_flipped_byte_is_found_and_nothing_behind_it_is_believed(
    tmp_path: Path, where: float
) -> None:
    path = tmp_path / "a.iocrec"
    written = recording(path, count=600)
    data = bytearray(path.read_bytes())
    data[int(len(data) * where)] ^= 0x40
    path.write_bytes(data)
    with Recording.open(path) as found:
        assert found.torn is not None
        assert "checksum" in found.torn or "no frame" in found.torn
        for place, rows in by_place(list(found)).items():
            assert rows == by_place(written)[place][: len(rows)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"IOC", "ends within its first bytes"),
        (b"PAR1" + b"\0" * 100, "is no recording"),
        (b"IOCREC7\n" + b"\0" * 100, "format 7"),
        (MAGIC, "the first frame"),
        (MAGIC + b"\0" * 500, "the first frame"),
    ],
)
def test_a_foreign_file_is_refused_with_the_reason(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=message):
        Recording.open(path)


def test_another_contract_version_is_refused_and_another_schema_is_told(tmp_path: Path) -> None:
    meta = description()
    assert check(meta, tmp_path) is None
    other = msgspec.structs.replace(meta, schema="0" * 16)
    assert "other schemas" in str(check(other, tmp_path))
    with pytest.raises(RecordingError, match="contract version 2"):
        check(msgspec.structs.replace(meta, contract="2"), tmp_path)


def continued(path: Path, written: list[Recorded]) -> list[Recorded]:
    """What is in the file after the recorder went on with it."""
    writer, positions = Writer.append(path)
    with writer:
        for record in written:
            if record.offset >= positions.get((record.topic, record.partition), 0):
                writer.add(record)
        writer.finish("the end of the range")
    with Recording.open(path) as found:
        assert found.torn is None
        return list(found)


def test_going_on_after_any_cut_leaves_no_gap_and_no_double(tmp_path: Path) -> None:
    whole = tmp_path / "whole.iocrec"
    written = recording(whole, count=120)
    data = whole.read_bytes()
    with Recording.open(whole) as found:
        begin = found.frames[0].at
    cut = tmp_path / "cut.iocrec"
    for length in [*range(begin, len(data), 997), len(data)]:
        cut.write_bytes(data[:length])
        assert sorted(continued(cut, written)) == sorted(written)


def test_positions_say_what_was_read_and_not_only_what_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.iocrec"
    read: Positions = {(TOPICS[0], 0): 40, (TOPICS[1], 3): 7}
    with Writer.create(path, description()) as writer:
        writer.add(Recorded(TOPICS[0], 0, 12, 5, b"k", b"v", (), 5))
        writer.flush(read)
    with Recording.open(path) as found:
        assert found.positions == read
        assert found.finished is None


def test_two_recorders_do_not_share_a_file(tmp_path: Path) -> None:
    with Writer.create(tmp_path / "a.iocrec", description()):
        with pytest.raises(RecordingError, match="another process"):
            Writer(tmp_path / "a.iocrec", description())
        with pytest.raises(FileExistsError):
            Writer.create(tmp_path / "a.iocrec", description())


class FullDisk(io.RawIOBase):
    """Takes so many bytes, then no more."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: Any) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = int(self.file.write(data[: self.room]))
        self.room -= taken
        return taken

    def truncate(self, size: int | None = None) -> int:
        return int(self.file.truncate(size))

    def fileno(self) -> int:
        return int(self.file.fileno())

    def close(self) -> None:
        self.file.close()


def write_all(writer: Writer, written: list[Recorded]) -> None:
    for record in written:
        writer.add(record)
        if record.offset % 20 == 0:
            writer.flush()


@pytest.mark.parametrize("room", [1, 100, 20_000, 60_001])
def test_a_full_disk_leaves_a_whole_file_that_can_be_gone_on_with(
    tmp_path: Path, room: int
) -> None:
    path = tmp_path / "a.iocrec"
    written = records(3, 800)
    with Writer.create(path, description()) as writer:
        writer._file = FullDisk(writer._file, room)  # type: ignore[assignment]  # what is used of it
        with pytest.raises(OSError, match="No space left"):
            write_all(writer, written)
    with Recording.open(path) as found:
        assert found.torn is None
        assert len(found) == writer.records
    assert sorted(continued(path, written)) == sorted(written)


def test_seeking_reads_only_what_arrived_then(tmp_path: Path) -> None:
    written = recording(tmp_path / "a.iocrec", count=500)
    arrivals = sorted(r.arrival for r in written)
    since, until = arrivals[100], arrivals[400]
    with Recording.open(tmp_path / "a.iocrec") as found:
        got = list(found.records(since, until))
    assert got == [r for r in got if since <= r.arrival < until]
    assert len(got) == sum(since <= a < until for a in arrivals)


def test_what_is_in_a_recording_can_be_told(tmp_path: Path) -> None:
    written = recording(tmp_path / "a.iocrec")
    with Recording.open(tmp_path / "a.iocrec") as found:
        assert sum(found.by_topic().values()) == len(written)
        assert found.partitions == PARTITIONS
        for (topic, partition), rows in by_place(written).items():
            low, high = found.offsets()[topic][str(partition)]
            assert (low, high) == (rows[0].offset, rows[-1].offset)
