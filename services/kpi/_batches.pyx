# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, binding=False
"""Fetched record batches as rows of :mod:`services.core.packed`, without an object for each record.

Checksums, lz4 and the walk over records run without the interpreter's lock, all batches of a fetch
in one go: a fold goes on meanwhile in the other thread. With a call into a library for each batch of
some twenty records, each would wait for the lock anew.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memset

from aiokafka.codec import gzip_decode, snappy_decode, zstd_decode
from aiokafka.errors import CorruptRecordException

cdef extern from "Python.h":
    ctypedef struct PyObject:
        pass
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *, Py_ssize_t) except NULL
    int _PyBytes_Resize(PyObject **, Py_ssize_t) except -1
    void Py_CLEAR(PyObject *)

cdef extern from "_lz4.h":
    enum:
        LZ4_OK, LZ4_BROKEN, LZ4_FULL
    int lz4_frame(const uint8_t *, const uint8_t *, uint8_t **, const uint8_t *) noexcept nogil

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
# By the number in a batch's attributes; lz4, which our sources use, is read in C.
DECODERS = {1: gzip_decode, 2: snappy_decode, 4: zstd_decode}
cdef int LZ4 = 3
# How much larger than its bytes the rest of a fetch is guessed to be: a quarter more than last time.
# A guess that is near and not cut keeps the buffer's size what was asked for, so that glibc learns to
# take the next one from its heap. A far guess is mapped and its pages are cleared for every fetch,
# which costs more than reading lz4.
cdef double expansion = 5
cdef double LARGEST_EXPANSION = 16


cdef struct Fetch:
    # What was fetched of one partition, how far it was walked, and what was found.
    const uint8_t *data
    size_t size, at
    int64_t begin
    int check
    Batch batch
    Rows rows


cdef enum:
    DONE, BROKEN, OLD, FULL, ASK_LIBRARY, NO_MEMORY


cdef int walk(Fetch *f, uint8_t *base, size_t *used, size_t room, int64_t number) noexcept nogil:
    """Walk over batches until all are done or something has to be done first.

    What lz4 has compressed goes to ``base``, from ``used`` on; its buffer is the one of ``number``.
    FULL: no room for the batch at hand; ASK_LIBRARY: it is compressed otherwise.
    """
    cdef int found
    cdef uint8_t *out
    cdef uint8_t *first
    while True:
        found = batch_header(f.data, f.size, f.at, f.check, &f.batch)
        if found == BATCH_CUT:
            return DONE
        if found != BATCH_OK:
            return OLD if found == BATCH_OLD else BROKEN
        if f.batch.control or f.batch.codec == 0:
            found = 1
            if not f.batch.control:
                found = take(f, f.data, f.data + f.batch.body, f.data + f.batch.end, 0)
        elif f.batch.codec == LZ4:
            first = out = base + used[0]
            found = lz4_frame(f.data + f.batch.body, f.data + f.batch.end, &out, base + room)
            if found != LZ4_OK:
                return FULL if found == LZ4_FULL else BROKEN
            used[0] = out - base
            found = take(f, base, first, out, number)
        else:
            return ASK_LIBRARY
        if found <= 0:
            return NO_MEMORY if found < 0 else BROKEN
        step(f)


cdef inline int take(
    Fetch *f, const uint8_t *from_, const uint8_t *p, const uint8_t *end, int64_t number
) noexcept nogil:
    return batch_records(&f.batch, from_, p, end, number, f.begin, &f.rows)


cdef inline void step(Fetch *f) noexcept nogil:
    f.at = f.batch.end
    f.begin = f.batch.next_offset


def unpack(bytes data, int64_t begin, bint check):
    """All records from the offset ``begin`` on: (buffers, rows, offset to fetch next).

    ``data`` is what was fetched of one partition; a last batch that was cut off is left out.
    None for batches of the formats before v2. Raises CorruptRecordException for a batch that is not
    what its checksum (looked at if ``check``) or the format says.
    """
    cdef Fetch f
    cdef int found
    cdef size_t room = 0, used = 0, since = 0
    cdef uint8_t *base = NULL
    cdef PyObject *filling = NULL
    cdef const uint8_t *plain
    cdef int64_t number = 0
    cdef list buffers = [data]
    memset(&f, 0, sizeof(f))
    f.data, f.size = <const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)
    f.begin, f.check = begin, check
    try:
        while True:
            with nogil:
                found = walk(&f, base, &used, room, number)
            if found == FULL:
                if used:
                    buffers[number] = settled(&filling, used, room)
                    guess(used, f.at - since)
                elif filling != NULL:
                    Py_CLEAR(filling)
                    buffers.pop()
                # A guess, or twice what was too little for this batch alone.
                room = <size_t>(expansion * (f.size - f.at)) if used or not room else 2 * room
                number, since = len(buffers), f.at
                filling = new_bytes(NULL, room)
                base, used = <uint8_t *>PyBytes_AS_STRING(<object>filling), 0
                buffers.append(None)
            elif found == ASK_LIBRARY:
                text = decompressed(f.batch.codec, memoryview(data)[f.batch.body:f.batch.end])
                plain = <const uint8_t *>PyBytes_AS_STRING(text)
                found = take(&f, plain, plain, plain + PyBytes_GET_SIZE(text), len(buffers))
                buffers.append(text)
                if found < 0:
                    raise MemoryError
                if found == 0:
                    raise CorruptRecordException("a record is not what the format says")
                step(&f)
            else:
                break
        if found == NO_MEMORY:
            raise MemoryError
        if found == OLD:
            return None
        if found == BROKEN:
            raise CorruptRecordException("a batch is not what its checksum or the format says")
        if filling != NULL:
            buffers[number] = settled(&filling, used, room)
            guess(used, f.at - since)
        size = f.rows.count * ROW_NUMBERS * 8
        packed = PyBytes_FromStringAndSize(<char *>f.rows.rows, size)
    finally:
        free(f.rows.rows)
        Py_CLEAR(filling)
    return buffers, packed, f.begin


cdef void guess(size_t used, size_t of) noexcept:
    """Learn from ``used`` bytes that came of so many bytes of a fetch; within bounds of reason."""
    global expansion
    cdef double seen = 1.25 * used / of if of else 1
    expansion = 1 if seen < 1 else LARGEST_EXPANSION if seen > LARGEST_EXPANSION else seen


cdef object settled(PyObject **filling, size_t used, size_t room):
    """The buffer that was filled; cut to what is in it when much of it is not used."""
    if used < room - room / 4 and _PyBytes_Resize(filling, used) < 0:
        raise MemoryError
    done = <object>filling[0]
    Py_CLEAR(filling[0])
    return done


cdef bytes decompressed(int codec, object body):
    if codec not in DECODERS:
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


def lz4(bytes data, Py_ssize_t room):
    """A whole LZ4 frame of at most ``room`` bytes, for the test that holds it against the library.

    Raises ValueError for what is none, MemoryError when there is not room enough.
    """
    cdef PyObject *made = new_bytes(NULL, room)
    cdef uint8_t *base = <uint8_t *>PyBytes_AS_STRING(<object>made)
    cdef uint8_t *out = base
    cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef int found = lz4_frame(p, p + PyBytes_GET_SIZE(data), &out, base + room)
    if found != LZ4_OK:
        Py_CLEAR(made)
        raise MemoryError if found == LZ4_FULL else ValueError
    return settled(&made, out - base, room)[:out - base]
