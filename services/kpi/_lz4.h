/* LZ4 frames, read without the interpreter's lock.
 *
 * https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and lz4_Block_format.md. A frame's own
 * checksums are passed over: the batch around it has one. Every read and write is bounds checked.
 */
#ifndef IOC_LZ4_H
#define IOC_LZ4_H

#include <stdint.h>
#include <string.h>

enum { LZ4_OK, LZ4_BROKEN, LZ4_FULL };

/* More bytes of a length whose first four bits were all set; 0 when they do not end in time. */
static inline int lz4_length(const uint8_t **p, const uint8_t *end, size_t *length) {
    uint8_t byte;
    do {
        if (*p >= end) return 0;
        byte = *(*p)++;
        *length += byte;
    } while (byte == 255);
    return 1;
}

/* One block behind ``*out``; matches reach back to ``first`` at most. */
static int lz4_block(
    const uint8_t *p, const uint8_t *end, const uint8_t *first, uint8_t **out, const uint8_t *limit
) {
    uint8_t *o = *out;
    for (;;) {
        if (p >= end) return LZ4_BROKEN;
        unsigned token = *p++;
        size_t literals = token >> 4, match = token & 15;
        if (literals == 15 && !lz4_length(&p, end, &literals)) return LZ4_BROKEN;
        if ((size_t)(end - p) < literals) return LZ4_BROKEN;
        if ((size_t)(limit - o) < literals) return LZ4_FULL;
        if (literals <= 16 && end - p >= 16 && limit - o >= 16) memcpy(o, p, 16);
        else memcpy(o, p, literals);
        o += literals;
        p += literals;
        if (p == end) break; /* a block ends with literals */
        if (end - p < 2) return LZ4_BROKEN;
        size_t distance = (size_t)p[0] | (size_t)p[1] << 8;
        p += 2;
        if (!distance || distance > (size_t)(o - first)) return LZ4_BROKEN;
        if (match == 15 && !lz4_length(&p, end, &match)) return LZ4_BROKEN;
        match += 4;
        if ((size_t)(limit - o) < match) return LZ4_FULL;
        const uint8_t *m = o - distance;
        uint8_t *behind = o + match;
        if (distance >= 16 && (size_t)(limit - o) >= match + 16) {
            for (; o < behind; o += 16, m += 16) memcpy(o, m, 16);
            o = behind;
        } else {
            while (o < behind) *o++ = *m++;
        }
    }
    *out = o;
    return LZ4_OK;
}

static inline uint32_t lz4_word(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* A whole frame behind ``*out``. LZ4_FULL: there is no room before ``limit``. */
static int lz4_frame(const uint8_t *p, const uint8_t *end, uint8_t **out, const uint8_t *limit) {
    const uint8_t *first = *out;
    uint8_t *o = *out;
    if (end - p < 7 || lz4_word(p) != 0x184D2204u) return LZ4_BROKEN;
    int flags = p[4];
    if (flags >> 6 != 1 || flags & 1) return LZ4_BROKEN; /* version 1, no dictionary */
    ptrdiff_t header = 7 + (flags & 8 ? 8 : 0);
    if (end - p < header) return LZ4_BROKEN;
    p += header;
    for (;;) {
        if (end - p < 4) return LZ4_BROKEN;
        uint32_t size = lz4_word(p);
        int plain = size >> 31;
        p += 4;
        if (!size) break;
        size &= 0x7FFFFFFFu;
        if ((size_t)(end - p) < size) return LZ4_BROKEN;
        if (plain) {
            if ((size_t)(limit - o) < size) return LZ4_FULL;
            memcpy(o, p, size);
            o += size;
        } else {
            int found = lz4_block(p, p + size, first, &o, limit);
            if (found != LZ4_OK) return found;
        }
        p += size;
        if (flags & 16) { /* the block's checksum */
            if (end - p < 4) return LZ4_BROKEN;
            p += 4;
        }
    }
    *out = o;
    return LZ4_OK;
}

#endif
