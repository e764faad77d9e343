/* JSON text straight into the fields of an event: what schemas.codec does with msgspec, for the
 * ordinary event.
 *
 * A scan accepts less than the codec does and never more: whatever is out of the ordinary (a member
 * twice, a number that is no plain one, half a surrogate pair, deep nesting) is refused, and the
 * codec decides. Text points into the record, or into the arena where it had escapes.
 */
#ifndef IOC_SCAN_H
#define IOC_SCAN_H

#include <Python.h>
#include <stdint.h>
#include <string.h>

#define MOST_FIELDS 40
#define MOST_ENTRIES 32
#define MOST_MEMBERS 16
#define MOST_DEPTH 24
#define MOST_ENVELOPE 8
#define MOST_PAYMENT 4

/* What a field may hold. */
enum { A_TEXT, A_MEMBER, A_INT, A_REAL, A_BOOL, A_INSTANTS, A_TEXTS, A_STRUCT, A_DATA };
/* What a field holds. V_MISSING must be 0. */
enum { V_MISSING, V_NULL, V_TEXT, V_INT, V_REAL, V_FALSE, V_TRUE, V_MAP, V_STRUCT };

typedef struct {
    const char *text; /* V_TEXT */
    int64_t number;   /* V_INT; of a member its place in the contract's list */
    double real;      /* V_REAL */
    int32_t size;
    int32_t kind;
} Value;

typedef struct {
    const char *name, *text;
    int32_t name_size, text_size;
} Entry;

typedef struct {
    const char *text;
    int32_t size;
} Member;

typedef struct {
    const char *json; /* the name as it stands in JSON */
    int32_t json_size;
    int32_t asks;     /* A_... */
    int32_t nullable, required;
    int64_t least, most; /* of a number, or of the length of text in characters */
    int32_t members;
    Member member[MOST_MEMBERS];
    /* for the walk */
    int32_t kind, name_size;
    uint8_t name[40]; /* as MessagePack */
} Field;

typedef struct {
    int32_t count;
    int32_t after[MOST_FIELDS + 1]; /* which field came behind which, last time */
    uint64_t required;
    Field fields[MOST_FIELDS];
} Plan;

typedef struct {
    Value envelope[MOST_ENVELOPE], data[MOST_FIELDS], payment[MOST_PAYMENT];
    Entry entries[MOST_ENTRIES];
    int32_t entries_count;
    int32_t type_at; /* the number of the envelope's type */
    Plan *envelope_plan, *payment_plan;
    Plan **data_plans; /* by the place of the type in the contract's list */
    char *arena;       /* as large as the record at least */
    const uint8_t *pending; /* the data, when it stands before the type */
} Scan;

/* Correctly rounded; 0 for what is no finite number. Holds the interpreter's lock. */
static int ioc_slow_double(const char *text, size_t size, double *out) {
    char copy[64];
    char *behind;
    if (size >= sizeof copy) return 0;
    memcpy(copy, text, size);
    copy[size] = 0;
    *out = PyOS_string_to_double(copy, &behind, NULL);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    return behind == copy + size && *out - *out == 0.0;
}

static inline const uint8_t *scan_space(const uint8_t *p, const uint8_t *end) {
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) p++;
    return p;
}

static inline int scan_hex4(const uint8_t *p, uint32_t *out) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i], low = (uint8_t)(c | 0x20);
        if (c >= '0' && c <= '9') v = v << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f') v = v << 4 | (uint32_t)(low - 'a' + 10);
        else return 0;
    }
    *out = v;
    return 1;
}

static inline char *scan_put_utf8(char *o, uint32_t c) {
    if (c < 0x80) {
        *o++ = (char)c;
    } else if (c < 0x800) {
        *o++ = (char)(0xC0 | c >> 6);
        *o++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *o++ = (char)(0xE0 | c >> 12);
        *o++ = (char)(0x80 | (c >> 6 & 63));
        *o++ = (char)(0x80 | (c & 63));
    } else {
        *o++ = (char)(0xF0 | c >> 18);
        *o++ = (char)(0x80 | (c >> 12 & 63));
        *o++ = (char)(0x80 | (c >> 6 & 63));
        *o++ = (char)(0x80 | (c & 63));
    }
    return o;
}

/* Text with escapes: ``p`` is at the first backslash, ``begin`` behind the quote. */
static const uint8_t *scan_escaped(
    Scan *s, const uint8_t *begin, const uint8_t *p, const uint8_t *end, const char **text,
    int32_t *size
) {
    char *o = s->arena;
    memcpy(o, begin, (size_t)(p - begin));
    o += p - begin;
    for (;;) {
        if (p >= end || *p < 0x20) return NULL;
        if (*p == '"') break;
        if (*p != '\\') {
            *o++ = (char)*p++;
            continue;
        }
        if (end - p < 2) return NULL;
        uint32_t c;
        switch (p[1]) {
        case '"': *o++ = '"'; break;
        case '\\': *o++ = '\\'; break;
        case '/': *o++ = '/'; break;
        case 'b': *o++ = '\b'; break;
        case 'f': *o++ = '\f'; break;
        case 'n': *o++ = '\n'; break;
        case 'r': *o++ = '\r'; break;
        case 't': *o++ = '\t'; break;
        case 'u':
            if (end - p < 6 || !scan_hex4(p + 2, &c)) return NULL;
            if (c >= 0xD800 && c <= 0xDFFF) {
                uint32_t low;
                if (c >= 0xDC00 || end - p < 12 || p[6] != '\\' || p[7] != 'u' ||
                    !scan_hex4(p + 8, &low) || low < 0xDC00 || low > 0xDFFF)
                    return NULL;
                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                p += 6;
            }
            o = scan_put_utf8(o, c);
            p += 4;
            break;
        default: return NULL;
        }
        p += 2;
    }
    *text = s->arena;
    *size = (int32_t)(o - s->arena);
    s->arena = o;
    return p + 1;
}

#define SCAN_ONES 0x0101010101010101ull
#define SCAN_TOPS 0x8080808080808080ull

/* Behind the closing quote, NULL for text that is not plain; ``p`` is behind the opening one. */
static inline const uint8_t *scan_text(
    Scan *s, const uint8_t *p, const uint8_t *end, const char **text, int32_t *size
) {
    const uint8_t *begin = p;
    while (end - p >= 8) {
        uint64_t x, quote, slash;
        memcpy(&x, p, 8);
        quote = x ^ (SCAN_ONES * '"');
        slash = x ^ (SCAN_ONES * '\\');
        /* The lowest bit that is set is right; those above it may be false. */
        uint64_t hit = (((quote - SCAN_ONES) & ~quote) | ((slash - SCAN_ONES) & ~slash) |
                        ((x - SCAN_ONES * 0x20) & ~x)) & SCAN_TOPS;
        if (hit) {
            p += __builtin_ctzll(hit) >> 3;
            break;
        }
        p += 8;
    }
    while (p < end && *p != '"' && *p != '\\' && *p >= 0x20) p++;
    if (p >= end || *p < 0x20) return NULL;
    if (*p == '\\') return scan_escaped(s, begin, p, end, text, size);
    *text = (const char *)begin;
    *size = (int32_t)(p - begin);
    return p + 1;
}

typedef struct {
    uint64_t digits; /* all of them as one number; meaningless when there are more than 18 */
    int32_t count;   /* without leading zeros */
    int32_t exponent;
    int32_t negative, whole; /* whole: neither a point nor an exponent */
} Number;

static const uint8_t *scan_number(const uint8_t *p, const uint8_t *end, Number *n) {
    memset(n, 0, sizeof *n);
    n->whole = 1;
    if (p < end && *p == '-') {
        n->negative = 1;
        p++;
    }
    if (p >= end || *p < '0' || *p > '9') return NULL;
    if (*p == '0') {
        p++;
    } else {
        for (; p < end && *p >= '0' && *p <= '9'; p++) {
            if (n->count < 19) n->digits = n->digits * 10 + (uint64_t)(*p - '0');
            n->count++;
        }
    }
    if (p < end && *p == '.') {
        const uint8_t *first = ++p;
        n->whole = 0;
        for (; p < end && *p >= '0' && *p <= '9'; p++) {
            if (n->count < 19) n->digits = n->digits * 10 + (uint64_t)(*p - '0');
            if (n->digits) n->count++;
            n->exponent--;
        }
        if (p == first) return NULL;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        int sign = 1, e = 0;
        n->whole = 0;
        if (++p < end && (*p == '+' || *p == '-')) sign = *p++ == '-' ? -1 : 1;
        if (p >= end || *p < '0' || *p > '9') return NULL;
        for (; p < end && *p >= '0' && *p <= '9'; p++)
            if (e < 10000) e = e * 10 + (*p - '0');
        n->exponent += sign * e;
    }
    if (p < end && ((*p >= '0' && *p <= '9') || *p == '.' || *p == '+' || *p == '-')) return NULL;
    return p;
}

static const uint8_t *scan_real(const uint8_t *p, const uint8_t *end, double *out) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    Number n;
    const uint8_t *behind = scan_number(p, end, &n);
    /* A whole number goes its own way in msgspec: only plain ones are taken here. */
    if (!behind || (n.whole && (n.count > 18 || (n.negative && !n.count)))) return NULL;
    if (n.count <= 18 && n.digits <= 1ull << 53 && n.exponent >= -22 && n.exponent <= 22) {
        /* Both are exact, so the one rounding is the right one. */
        double v = (double)n.digits;
        v = n.exponent < 0 ? v / powers[-n.exponent] : v * powers[n.exponent];
        *out = n.negative ? -v : v;
        return behind;
    }
    return ioc_slow_double((const char *)p, (size_t)(behind - p), out) ? behind : NULL;
}

/* A value that nobody asks for. */
static const uint8_t *scan_over(Scan *s, const uint8_t *p, const uint8_t *end, int depth) {
    const char *text;
    int32_t size;
    Number n;
    char *arena = s->arena;
    if (p >= end || depth > MOST_DEPTH) return NULL;
    switch (*p) {
    case '"':
        p = scan_text(s, p + 1, end, &text, &size);
        s->arena = arena;
        return p;
    case 't': return end - p >= 4 && memcmp(p, "true", 4) == 0 ? p + 4 : NULL;
    case 'f': return end - p >= 5 && memcmp(p, "false", 5) == 0 ? p + 5 : NULL;
    case 'n': return end - p >= 4 && memcmp(p, "null", 4) == 0 ? p + 4 : NULL;
    case '[':
    case '{': {
        uint8_t close = *p == '[' ? ']' : '}';
        int named = *p == '{';
        p = scan_space(p + 1, end);
        if (p < end && *p == close) return p + 1;
        for (;;) {
            if (named) {
                if (p >= end || *p != '"' || !(p = scan_text(s, p + 1, end, &text, &size)))
                    return NULL;
                s->arena = arena;
                p = scan_space(p, end);
                if (p >= end || *p++ != ':') return NULL;
                p = scan_space(p, end);
            }
            if (!(p = scan_over(s, p, end, depth + 1))) return NULL;
            p = scan_space(p, end);
            if (p >= end) return NULL;
            if (*p == close) return p + 1;
            if (*p++ != ',') return NULL;
            p = scan_space(p, end);
        }
    }
    default: return scan_number(p, end, &n);
    }
}

static inline int scan_is_member(const Field *f, Value *v) {
    for (int i = 0; i < f->members; i++)
        if (f->member[i].size == v->size && memcmp(f->member[i].text, v->text, (size_t)v->size) == 0) {
            v->number = i;
            return 1;
        }
    return 0;
}

/* Text has at least ``least`` and at most ``most`` characters; it is known to be UTF-8. */
static inline int scan_fits(const Value *v, int64_t least, int64_t most) {
    if (v->size <= most && (v->size >= least * 4 || (least <= 1 && v->size >= least))) return 1;
    int64_t characters = 0;
    for (int32_t i = 0; i < v->size; i++) characters += (v->text[i] & 0xC0) != 0x80;
    return characters >= least && characters <= most;
}

static const uint8_t *scan_entries(Scan *s, const uint8_t *p, const uint8_t *end) {
    s->entries_count = 0;
    p = scan_space(p, end);
    if (p < end && *p == '}') return p + 1;
    for (;;) {
        if (s->entries_count == MOST_ENTRIES || p >= end || *p != '"') return NULL;
        Entry *e = &s->entries[s->entries_count];
        if (!(p = scan_text(s, p + 1, end, &e->name, &e->name_size))) return NULL;
        p = scan_space(p, end);
        if (p >= end || *p++ != ':') return NULL;
        p = scan_space(p, end);
        if (p >= end || *p != '"') return NULL;
        if (!(p = scan_text(s, p + 1, end, &e->text, &e->text_size))) return NULL;
        for (int i = 0; i < s->entries_count; i++)
            if (s->entries[i].name_size == e->name_size &&
                memcmp(s->entries[i].name, e->name, (size_t)e->name_size) == 0)
                return NULL;
        s->entries_count++;
        p = scan_space(p, end);
        if (p >= end) return NULL;
        if (*p == '}') return p + 1;
        if (*p++ != ',') return NULL;
        p = scan_space(p, end);
    }
}

static const uint8_t *scan_struct(
    Scan *s, Plan *plan, Value *values, const uint8_t *p, const uint8_t *end
);

static inline const uint8_t *scan_value(
    Scan *s, const Field *f, Value *v, const uint8_t *p, const uint8_t *end
) {
    if (p >= end) return NULL;
    if (*p == 'n') {
        if (!f->nullable || end - p < 4 || memcmp(p, "null", 4) != 0) return NULL;
        v->kind = V_NULL;
        return p + 4;
    }
    switch (f->asks) {
    case A_TEXT:
    case A_MEMBER:
        if (*p != '"' || !(p = scan_text(s, p + 1, end, &v->text, &v->size))) return NULL;
        v->kind = V_TEXT;
        return (f->asks == A_MEMBER ? scan_is_member(f, v) : scan_fits(v, f->least, f->most)) ? p
                                                                                            : NULL;
    case A_INT: {
        Number n;
        if (!(p = scan_number(p, end, &n)) || !n.whole || n.count > 18 || (n.negative && !n.count))
            return NULL;
        v->kind = V_INT;
        v->number = n.negative ? -(int64_t)n.digits : (int64_t)n.digits;
        return v->number >= f->least && v->number <= f->most ? p : NULL;
    }
    case A_REAL:
        v->kind = V_REAL;
        return scan_real(p, end, &v->real);
    case A_BOOL:
        v->kind = *p == 't' ? V_TRUE : V_FALSE;
        if (*p == 't') return end - p >= 4 && memcmp(p, "true", 4) == 0 ? p + 4 : NULL;
        return end - p >= 5 && memcmp(p, "false", 5) == 0 ? p + 5 : NULL;
    case A_INSTANTS:
    case A_TEXTS:
        v->kind = V_MAP;
        return *p == '{' ? scan_entries(s, p + 1, end) : NULL;
    case A_STRUCT:
        v->kind = V_STRUCT;
        return *p == '{' ? scan_struct(s, s->payment_plan, s->payment, p + 1, end) : NULL;
    default: /* A_DATA */
        v->kind = V_STRUCT;
        if (*p != '{') return NULL;
        if (s->envelope[s->type_at].kind == V_TEXT)
            return scan_struct(
                s, s->data_plans[s->envelope[s->type_at].number], s->data, p + 1, end
            );
        s->pending = p + 1;
        return scan_over(s, p, end, 0);
    }
}

static inline int scan_name(Plan *plan, int last, const char *text, int32_t size) {
    int guess = plan->after[last + 1];
    const Field *f = &plan->fields[guess];
    if (f->json_size == size && memcmp(f->json, text, (size_t)size) == 0) return guess;
    for (int i = 0; i < plan->count; i++) {
        f = &plan->fields[i];
        if (f->json_size == size && memcmp(f->json, text, (size_t)size) == 0) {
            plan->after[last + 1] = i;
            return i;
        }
    }
    return -1;
}

/* The members of an object, behind its brace; fields that are not there are null. */
static const uint8_t *scan_struct(
    Scan *s, Plan *plan, Value *values, const uint8_t *p, const uint8_t *end
) {
    uint64_t seen = 0;
    int last = -1;
    p = scan_space(p, end);
    if (p < end && *p == '}') {
        p++;
    } else {
        for (;;) {
            const char *name;
            int32_t size;
            char *arena = s->arena;
            if (p >= end || *p != '"') return NULL;
            if (!(p = scan_text(s, p + 1, end, &name, &size))) return NULL;
            int at = scan_name(plan, last, name, size);
            s->arena = arena;
            p = scan_space(p, end);
            if (p >= end || *p++ != ':') return NULL;
            p = scan_space(p, end);
            if (at < 0) {
                p = scan_over(s, p, end, 0);
            } else {
                if (seen >> at & 1) return NULL;
                seen |= (uint64_t)1 << at;
                p = scan_value(s, &plan->fields[at], &values[at], p, end);
                last = at;
            }
            if (!p) return NULL;
            p = scan_space(p, end);
            if (p >= end) return NULL;
            if (*p == '}') {
                p++;
                break;
            }
            if (*p++ != ',') return NULL;
            p = scan_space(p, end);
        }
    }
    if (~seen & plan->required) return NULL;
    for (int i = 0; i < plan->count; i++)
        if (!(seen >> i & 1)) values[i].kind = V_NULL;
    return p;
}

/* A whole event: which type it is of, -1 for what the codec has to look at. */
static int scan_event(Scan *s, const uint8_t *p, size_t size) {
    const uint8_t *end = p + size;
    s->envelope[s->type_at].kind = V_MISSING;
    s->pending = NULL;
    p = scan_space(p, end);
    if (p >= end || *p != '{' || !(p = scan_struct(s, s->envelope_plan, s->envelope, p + 1, end)))
        return -1;
    if (scan_space(p, end) != end) return -1;
    int64_t type = s->envelope[s->type_at].number;
    if (s->pending && !scan_struct(s, s->data_plans[type], s->data, s->pending, end)) return -1;
    return (int)type;
}

#endif
