/* Bytes of the compiled fold: hashes, RFC 3339 text, UTF-8, MessagePack, and the table of changes.
 *
 * Each function has a twin in Python that is the truth (named beside it); the property tests of
 * tests/unit/core hold them together. Little-endian machines only, as the layouts are.
 */
#ifndef IOC_FAST_H
#define IOC_FAST_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "packed states are little-endian: this machine runs the pure form"
#endif

static inline uint64_t read64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static inline uint32_t read32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }

/* --- hashes ---------------------------------------------------------------------------------- */

/* schemas.codec.murmur2 */
static uint32_t ioc_murmur2(const uint8_t *data, size_t length) {
    const uint32_t m = 0x5BD1E995u;
    uint32_t h = 0x9747B28Cu ^ (uint32_t)length;
    size_t rest = length & 3, i = 0;
    for (; i + 4 <= length; i += 4) {
        uint32_t k = read32(data + i) * m;
        h = (h * m) ^ ((k ^ k >> 24) * m);
    }
    if (rest) {
        uint32_t k = 0;
        while (rest--) k = k << 8 | data[i + rest];
        h = (h ^ k) * m;
    }
    h = (h ^ h >> 13) * m;
    return h ^ h >> 15;
}

/* zlib.crc32 */
static uint32_t crc_table[256];

static void ioc_crc32_prepare(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
        crc_table[i] = c;
    }
}

static uint32_t ioc_crc32(const uint8_t *data, size_t length) {
    uint32_t c = 0xFFFFFFFFu;
    for (size_t i = 0; i < length; i++) c = c >> 8 ^ crc_table[(c ^ data[i]) & 0xFF];
    return ~c;
}

/* xxhash.xxh64_intdigest, seed 0 */
#define XP1 0x9E3779B185EBCA87ull
#define XP2 0xC2B2AE3D27D4EB4Full
#define XP3 0x165667B19E3779F9ull
#define XP4 0x85EBCA77C2B2AE63ull
#define XP5 0x27D4EB2F165667C5ull

static inline uint64_t rotl(uint64_t x, int r) { return x << r | x >> (64 - r); }
static inline uint64_t xx_round(uint64_t acc, uint64_t lane) {
    return rotl(acc + lane * XP2, 31) * XP1;
}
static inline uint64_t xx_merge(uint64_t h, uint64_t acc) {
    return (h ^ xx_round(0, acc)) * XP1 + XP4;
}

static uint64_t ioc_xxh64(const uint8_t *p, size_t length) {
    const uint8_t *end = p + length;
    uint64_t h;
    if (length >= 32) {
        uint64_t a = XP1 + XP2, b = XP2, c = 0, d = 0 - XP1;
        for (; p + 32 <= end; p += 32) {
            a = xx_round(a, read64(p));
            b = xx_round(b, read64(p + 8));
            c = xx_round(c, read64(p + 16));
            d = xx_round(d, read64(p + 24));
        }
        h = rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18);
        h = xx_merge(xx_merge(xx_merge(xx_merge(h, a), b), c), d);
    } else {
        h = XP5;
    }
    h += length;
    for (; p + 8 <= end; p += 8) h = rotl(h ^ xx_round(0, read64(p)), 27) * XP1 + XP4;
    if (p + 4 <= end) {
        h = rotl(h ^ read32(p) * XP1, 23) * XP2 + XP3;
        p += 4;
    }
    for (; p < end; p++) h = rotl(h ^ *p * XP5, 11) * XP1;
    h = (h ^ h >> 33) * XP2;
    h = (h ^ h >> 29) * XP3;
    return h ^ h >> 32;
}

/* --- text ------------------------------------------------------------------------------------ */

static inline int two_digits(const char *p) { /* -1 for anything else */
    unsigned a = (unsigned)p[0] - '0', b = (unsigned)p[1] - '0';
    return a > 9 || b > 9 ? -1 : (int)(a * 10 + b);
}

/* schemas.codec.parse_instant: 1 and *ms set, or 0 for text that is no instant. */
static int ioc_instant(const char *p, size_t length, int64_t *ms) {
    static const uint8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (length < 20 || p[4] != '-' || p[7] != '-' || (p[10] | 0x20) != 't' || p[13] != ':' ||
        p[16] != ':')
        return 0;
    int century = two_digits(p), years = two_digits(p + 2), month = two_digits(p + 5);
    int day = two_digits(p + 8), hour = two_digits(p + 11), minute = two_digits(p + 14);
    int second = two_digits(p + 17);
    if (century < 0 || years < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 60)
        return 0;
    int year = century * 100 + years;
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 1 || day > month_days[month - 1] + (month == 2 && leap)) return 0;
    /* Days since 1970-01-01, with years that begin in March. */
    int y = month <= 2 ? year - 1 : year;
    int era = y / 400, of_era = y - era * 400;
    int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t days = (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    int64_t seconds = days * 86400 + hour * 3600 + minute * 60 + second;
    int milli = 0;
    size_t i = 19;
    if (p[i] == '.') {
        int scale = 100;
        size_t first = ++i;
        for (; i < length && (unsigned)p[i] - '0' <= 9; i++, scale /= 10)
            milli += (p[i] - '0') * scale;
        if (i == first) return 0;
    }
    if (i >= length) return 0;
    if (p[i] == '+' || p[i] == '-') {
        if (length - i != 6 || p[i + 3] != ':') return 0;
        int off_hour = two_digits(p + i + 1), off_minute = two_digits(p + i + 4);
        if (off_hour < 0 || off_hour > 23 || off_minute < 0 || off_minute > 59) return 0;
        int offset = off_hour * 3600 + off_minute * 60;
        seconds -= p[i] == '+' ? offset : -offset;
    } else if ((p[i] | 0x20) != 'z' || length - i != 1) {
        return 0;
    }
    *ms = seconds * 1000 + milli;
    return 1;
}

/* bytes.decode() does not raise. */
static int ioc_is_utf8(const uint8_t *p, size_t length) {
    const uint8_t *end = p + length;
    while (p < end) {
        if (end - p >= 8 && !(read64(p) & 0x8080808080808080ull)) {
            p += 8;
            continue;
        }
        uint8_t c = *p;
        if (c < 0x80) {
            p++;
        } else if (c >= 0xC2 && c <= 0xDF) {
            if (end - p < 2 || (p[1] & 0xC0) != 0x80) return 0;
            p += 2;
        } else if ((c & 0xF0) == 0xE0) {
            if (end - p < 3 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80) return 0;
            if ((c == 0xE0 && p[1] < 0xA0) || (c == 0xED && p[1] > 0x9F)) return 0;
            p += 3;
        } else if (c >= 0xF0 && c <= 0xF4) {
            if (end - p < 4 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80 ||
                (p[3] & 0xC0) != 0x80)
                return 0;
            if ((c == 0xF0 && p[1] < 0x90) || (c == 0xF4 && p[1] > 0x8F)) return 0;
            p += 4;
        } else {
            return 0;
        }
    }
    return 1;
}

/* --- MessagePack, as msgspec writes it -------------------------------------------------------- */

static inline uint8_t *put_be(uint8_t *p, uint64_t v, int bytes) {
    for (int i = bytes - 1; i >= 0; i--) *p++ = (uint8_t)(v >> (8 * i));
    return p;
}

static inline uint8_t *put_int(uint8_t *p, int64_t v) {
    if (v >= 0) {
        if (v < 0x80) { *p++ = (uint8_t)v; return p; }
        if (v < 0x100) { *p++ = 0xCC; return put_be(p, (uint64_t)v, 1); }
        if (v < 0x10000) { *p++ = 0xCD; return put_be(p, (uint64_t)v, 2); }
        if (v < 0x100000000ll) { *p++ = 0xCE; return put_be(p, (uint64_t)v, 4); }
        *p++ = 0xCF;
        return put_be(p, (uint64_t)v, 8);
    }
    if (v >= -32) { *p++ = (uint8_t)v; return p; }
    if (v >= -0x80) { *p++ = 0xD0; return put_be(p, (uint64_t)v, 1); }
    if (v >= -0x8000) { *p++ = 0xD1; return put_be(p, (uint64_t)v, 2); }
    if (v >= -0x80000000ll) { *p++ = 0xD2; return put_be(p, (uint64_t)v, 4); }
    *p++ = 0xD3;
    return put_be(p, (uint64_t)v, 8);
}

static inline uint8_t *put_float(uint8_t *p, double v) {
    uint64_t bits;
    memcpy(&bits, &v, 8);
    *p++ = 0xCB;
    return put_be(p, bits, 8);
}

static inline uint8_t *put_text(uint8_t *p, const char *text, size_t length) {
    if (length < 32) { *p++ = (uint8_t)(0xA0 | length); }
    else if (length < 0x100) { *p++ = 0xD9; p = put_be(p, length, 1); }
    else if (length < 0x10000) { *p++ = 0xDA; p = put_be(p, length, 2); }
    else { *p++ = 0xDB; p = put_be(p, length, 4); }
    memcpy(p, text, length);
    return p + length;
}

static inline uint8_t *put_map(uint8_t *p, size_t count) {
    if (count < 16) { *p++ = (uint8_t)(0x80 | count); return p; }
    *p++ = 0xDE;
    return put_be(p, count, 2);
}

/* --- the table of changes: (pane, code) -> (n, s) --------------------------------------------- */

typedef struct {
    int64_t code, s;
    int32_t pane, n;
    int32_t used, spare;
} Change;

typedef struct {
    Change *rows;
    size_t mask, count;
} Changes;

static inline Change *changes_find(Change *rows, size_t mask, int32_t pane, int64_t code) {
    uint64_t h = ((uint64_t)code ^ (uint64_t)(uint32_t)pane * XP2) * XP1;
    size_t at = (size_t)(h ^ h >> 32) & mask;
    while (rows[at].used && (rows[at].code != code || rows[at].pane != pane)) at = (at + 1) & mask;
    return rows + at;
}

static int changes_grow(Changes *t) { /* 0 when there is no memory */
    size_t size = t->rows ? (t->mask + 1) * 2 : 1024;
    Change *rows = (Change *)calloc(size, sizeof(Change));
    if (!rows) return 0;
    if (t->rows) {
        for (size_t i = 0; i <= t->mask; i++)
            if (t->rows[i].used)
                *changes_find(rows, size - 1, t->rows[i].pane, t->rows[i].code) = t->rows[i];
        free(t->rows);
    }
    t->rows = rows;
    t->mask = size - 1;
    return 1;
}

static inline int changes_add(Changes *t, int32_t pane, int64_t code, int32_t n, int64_t s) {
    if ((!t->rows || t->count * 2 > t->mask) && !changes_grow(t)) return 0;
    Change *row = changes_find(t->rows, t->mask, pane, code);
    if (!row->used) {
        row->used = 1;
        row->pane = pane;
        row->code = code;
        t->count++;
    }
    row->n += n;
    row->s = (int64_t)((uint64_t)row->s + (uint64_t)s);
    return 1;
}

/* Empty again; a table that was well used keeps its room for the next flush. */
static void changes_empty(Changes *t) {
    if (t->rows && t->count * 8 > t->mask) {
        memset(t->rows, 0, (t->mask + 1) * sizeof(Change));
        t->count = 0;
        return;
    }
    free(t->rows);
    t->rows = NULL;
    t->mask = t->count = 0;
}

static void changes_clear(Changes *t) {
    free(t->rows);
    t->rows = NULL;
    t->mask = t->count = 0;
}

#endif
