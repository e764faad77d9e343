# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, binding=False
"""Fetched record batches as rows of :mod:`services.core.packed`, without an object for each record.

Checksums and walking over records run without the interpreter's lock, so that a fold goes on
meanwhile in the other thread.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free

from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.errors import CorruptRecordException

cdef extern from "_batches.h":
    enum:
        BATCH_OK, BATCH_CUT, BATCH_OLD, BATCH_BROKEN, ROW_NUMBERS
    ctypedef struct Batch:
        int64_t next_offset
        int codec, control
        size_t body, end
    ctypedef struct Rows:
        int64_t *rows
        size_t count, room
    void crc32c_prepare() noexcept
    uint32_t crc32c_by_table(const uint8_t *, size_t) noexcept nogil
    uint32_t crc32c_by_processor(const uint8_t *, size_t) noexcept nogil
    int crc32c_in_hardware
    int batch_header(const uint8_t *, size_t, size_t, int, Batch *) noexcept nogil
    int batch_records(
        const Batch *, const uint8_t *, const uint8_t *, const uint8_t *, int64_t, int64_t, Rows *
    ) noexcept nogil

crc32c_prepare()
# By the number in a batch's attributes.
DECODERS = (None, gzip_decode, snappy_decode, lz4_decode, zstd_decode)


def unpack(bytes data, int64_t begin, bint check):
    """All records from the offset ``begin`` on: (buffers, rows, offset to fetch next).

    ``data`` is what was fetched of one partition; a last batch that was cut off is left out.
    None for batches of the formats before v2. Raises CorruptRecordException for a batch that is not
    what its checksum (looked at if ``check``) or the format says.
    """
    cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef size_t size = PyBytes_GET_SIZE(data), at = 0
    cdef const uint8_t *records
    cdef const uint8_t *end
    cdef int64_t first, number
    cdef Batch batch
    cdef Rows rows
    cdef int found = BATCH_OK, fine = 1
    cdef list buffers = [data]
    rows.rows, rows.count, rows.room = NULL, 0, 0
    try:
        while True:
            with nogil:
                found = batch_header(p, size, at, check, &batch)
            if found != BATCH_OK:
                break
            at = batch.end
            first, begin = begin, batch.next_offset
            if batch.control:
                continue
            if batch.codec == 0:
                with nogil:
                    fine = batch_records(&batch, p, p + batch.body, p + at, 0, first, &rows)
            else:
                plain = decompressed(batch.codec, memoryview(data)[batch.body:at])
                records = <const uint8_t *>PyBytes_AS_STRING(plain)
                end = records + PyBytes_GET_SIZE(plain)
                number = len(buffers)
                buffers.append(plain)
                with nogil:
                    fine = batch_records(&batch, records, records, end, number, first, &rows)
            if fine < 0:
                raise MemoryError
            if fine == 0:
                raise CorruptRecordException("a record is not what the format says")
        if found == BATCH_OLD:
            return None
        if found == BATCH_BROKEN:
            raise CorruptRecordException("a batch is not what its checksum says")
        packed = PyBytes_FromStringAndSize(<char *>rows.rows, rows.count * ROW_NUMBERS * 8)
    finally:
        free(rows.rows)
    return buffers, packed, begin


cdef bytes decompressed(int codec, object body):
    if codec >= len(DECODERS):
        raise CorruptRecordException(f"compression {codec} is not known")
    try:
        return DECODERS[codec](body)
    except MemoryError:
        raise
    except Exception as error:  # each library has its own
        raise CorruptRecordException(f"a batch cannot be decompressed: {error}") from error


def crc32c(bytes data, bint by_table=False):
    """CRC-32C, by the processor where it can, for the test that holds both ways together."""
    cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data)
    if by_table or not crc32c_in_hardware:
        return crc32c_by_table(p, PyBytes_GET_SIZE(data))
    return crc32c_by_processor(p, PyBytes_GET_SIZE(data))
