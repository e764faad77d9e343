/* Kafka's record batches, format v2: the checksum and the records of one batch, bounds checked.
 *
 * https://kafka.apache.org/documentation/#recordbatch (layout), RFC 3720 appendix B.4 (CRC-32C).
 */
#ifndef IOC_BATCHES_H
#define IOC_BATCHES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROW_NUMBERS 8

/* --- CRC-32C ----------------------------------------------------------------------------------- */

static uint32_t crc32c_table[8][256];
static int crc32c_in_hardware;

static void crc32c_prepare(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = c & 1 ? c >> 1 ^ 0x82F63B78u : c >> 1;
        crc32c_table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            crc32c_table[k][i] =
                crc32c_table[k - 1][i] >> 8 ^ crc32c_table[0][crc32c_table[k - 1][i] & 0xFF];
#if defined(__x86_64__) && defined(__GNUC__)
    crc32c_in_hardware = __builtin_cpu_supports("sse4.2");
#endif
}

/* Eight bytes a step by tables; machines are little-endian (see _fast.h). */
static uint32_t crc32c_by_table(const uint8_t *p, size_t size) {
    uint64_t c = 0xFFFFFFFFu;
    for (; size >= 8; p += 8, size -= 8) {
        uint64_t x;
        memcpy(&x, p, 8);
        x ^= c;
        c = crc32c_table[7][x & 0xFF] ^ crc32c_table[6][x >> 8 & 0xFF] ^
            crc32c_table[5][x >> 16 & 0xFF] ^ crc32c_table[4][x >> 24 & 0xFF] ^
            crc32c_table[3][x >> 32 & 0xFF] ^ crc32c_table[2][x >> 40 & 0xFF] ^
            crc32c_table[1][x >> 48 & 0xFF] ^ crc32c_table[0][x >> 56];
    }
    for (; size; size--) c = c >> 8 ^ crc32c_table[0][(c ^ *p++) & 0xFF];
    return ~(uint32_t)c;
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_by_processor(const uint8_t *p, size_t size) {
    uint64_t c = 0xFFFFFFFFu;
    for (; size >= 8; p += 8, size -= 8) {
        uint64_t x;
        memcpy(&x, p, 8);
        c = __builtin_ia32_crc32di(c, x);
    }
    for (; size; size--) c = __builtin_ia32_crc32qi((uint32_t)c, *p++);
    return ~(uint32_t)c;
}
#else
#define crc32c_by_processor crc32c_by_table
#endif

static uint32_t crc32c(const uint8_t *p, size_t size) {
    return crc32c_in_hardware ? crc32c_by_processor(p, size) : crc32c_by_table(p, size);
}

/* --- numbers ------------------------------------------------------------------------------------ */

static inline uint64_t big_endian(const uint8_t *p, int bytes) {
    uint64_t v = 0;
    while (bytes--) v = v << 8 | *p++;
    return v;
}

/* A zigzag number; NULL when it does not end in time. */
static inline const uint8_t *varint(const uint8_t *p, const uint8_t *end, int64_t *out) {
    uint64_t v = 0;
    for (int shift = 0; p < end && shift < 64; shift += 7) {
        uint8_t byte = *p++;
        v |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) {
            *out = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
            return p;
        }
    }
    return NULL;
}

/* --- one batch ----------------------------------------------------------------------------------- */

typedef struct {
    int64_t base_offset, base_timestamp, max_timestamp, next_offset, count;
    int codec;      /* 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd */
    int log_append; /* every record has the batch's timestamp */
    int control;
    size_t body, end; /* where the records begin and where the batch ends */
} Batch;

enum { BATCH_OK, BATCH_CUT, BATCH_OLD, BATCH_BROKEN };
#define BATCH_HEADER 61

/* The header of the batch at ``at``. BATCH_CUT: the rest of it was not fetched; BATCH_OLD: another
 * format. */
static int batch_header(const uint8_t *data, size_t size, size_t at, int check, Batch *b) {
    const uint8_t *p = data + at;
    if (size - at < 12) return BATCH_CUT;
    int64_t length = (int32_t)big_endian(p + 8, 4);
    if (length < 0) return BATCH_BROKEN;
    if (12 + (uint64_t)length > size - at) return BATCH_CUT;
    if (length < 5) return BATCH_BROKEN;
    if (p[16] < 2) return BATCH_OLD;
    if (p[16] > 2 || 12 + length < BATCH_HEADER) return BATCH_BROKEN;
    b->end = at + 12 + (size_t)length;
    b->body = at + BATCH_HEADER;
    if (check && (uint32_t)big_endian(p + 17, 4) != crc32c(p + 21, (size_t)length - 9))
        return BATCH_BROKEN;
    int attributes = (int)big_endian(p + 21, 2);
    b->codec = attributes & 7;
    b->log_append = attributes >> 3 & 1;
    b->control = attributes >> 5 & 1;
    b->base_offset = (int64_t)big_endian(p, 8);
    b->next_offset = b->base_offset + (int32_t)big_endian(p + 23, 4) + 1;
    b->base_timestamp = (int64_t)big_endian(p + 27, 8);
    b->max_timestamp = (int64_t)big_endian(p + 35, 8);
    b->count = (int32_t)big_endian(p + 57, 4);
    return b->count < 0 ? BATCH_BROKEN : BATCH_OK;
}

/* Rows of services.core.packed. */
typedef struct {
    int64_t *rows;
    size_t count, room;
} Rows;

static int rows_reserve(Rows *r, size_t more) {
    if (r->count + more <= r->room) return 1;
    size_t room = r->room * 2 > r->count + more ? r->room * 2 : r->count + more;
    int64_t *rows = (int64_t *)realloc(r->rows, room * ROW_NUMBERS * sizeof(int64_t));
    if (!rows) return 0;
    r->rows = rows;
    r->room = room;
    return 1;
}

/* A text or its absence; NULL when it is longer than what is there. */
static inline const uint8_t *take_bytes(
    const uint8_t *p, const uint8_t *end, const uint8_t *from, int64_t *at, int64_t *size
) {
    if (!(p = varint(p, end, size)) || *size > end - p) return NULL;
    *at = p - from;
    if (*size < 0) {
        *size = -1;
        return p;
    }
    return p + *size;
}

/* All records of a batch whose offset is at least ``begin``; they lie in [p, end), and positions
 * count from ``from``. 0: not what the format says; -1: no memory. */
static int batch_records(
    const Batch *b, const uint8_t *from, const uint8_t *p, const uint8_t *end, int64_t buffer,
    int64_t begin, Rows *out
) {
    for (int64_t i = 0; i < b->count; i++) {
        int64_t length, timestamp, offset, headers, size, at;
        /* A record takes seven bytes at least: a count that lies takes no memory. */
        if (out->count == out->room && !rows_reserve(out, 256)) return -1;
        int64_t *row = out->rows + out->count * ROW_NUMBERS;
        if (!(p = varint(p, end, &length)) || length < 1 || length > end - p) return 0;
        const uint8_t *last = p + length;
        p++; /* attributes, of which there are none */
        if (!(p = varint(p, last, &timestamp)) || !(p = varint(p, last, &offset))) return 0;
        row[0] = b->base_offset + offset;
        row[1] = b->log_append ? b->max_timestamp : b->base_timestamp + timestamp;
        row[2] = buffer;
        if (!(p = take_bytes(p, last, from, &row[3], &row[4]))) return 0;
        if (!(p = take_bytes(p, last, from, &row[5], &row[6]))) return 0;
        row[7] = p - from;
        if (!(p = varint(p, last, &headers)) || headers < 0) return 0;
        for (; headers; headers--) {
            if (!(p = take_bytes(p, last, from, &at, &size)) || size < 0) return 0;
            if (!(p = take_bytes(p, last, from, &at, &size))) return 0;
        }
        if (p != last) return 0;
        if (row[0] >= begin) out->count++;
    }
    return 1;
}

#endif
