/* Cells of panes as rows that are appended, sorted and merged: the C under _panes.pyx. */

#ifndef IOC_ROWS_H
#define IOC_ROWS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t code, n, s;
} Row;

/* One pane of one level: rows[0..sorted) stand in order of their codes, one for each; the rest is
 * as it came. */
typedef struct {
    int64_t index;
    int32_t level, slot;
    Row *rows;
    size_t sorted, count, capacity;
} Pane;

/* The panes by (level, index): open addressing, never more than half full. */
typedef struct {
    Pane **places;
    size_t mask, count;
} PaneTable;

/* Below this many rows that are out of order nothing is sorted. */
#define ROWS_LOOSE 128

static void rows_insertion_sort(Row *rows, size_t count) {
    for (size_t i = 1; i < count; i++) {
        Row row = rows[i];
        size_t j = i;
        for (; j > 0 && rows[j - 1].code > row.code; j--) rows[j] = rows[j - 1];
        rows[j] = row;
    }
}

/* Both in order of codes; into ``out``, equal codes next to each other. ``out`` may hold ``b`` in
 * its end. No branch asks which row comes next: nobody could foretell it. */
static void rows_merge(const Row *a, size_t na, const Row *b, size_t nb, Row *out) {
    const Row *const last_a = a + na, *const last_b = b + nb;
    while (a < last_a && b < last_b) {
        size_t second = b->code < a->code;
        *out++ = *(second ? b : a);
        b += second;
        a += 1 - second;
    }
    memcpy(out, a, (size_t)((const char *)last_a - (const char *)a));
    out += last_a - a;
    if (out != b) memmove(out, b, (size_t)((const char *)last_b - (const char *)b));
}

/* A merge sort; ``spare`` has room for as many rows. */
static void rows_sort(Row *rows, size_t count, Row *spare) {
    if (count <= 16) {
        rows_insertion_sort(rows, count);
        return;
    }
    size_t half = count / 2;
    rows_sort(rows, half, spare);
    rows_sort(rows + half, count - half, spare);
    if (rows[half - 1].code <= rows[half].code) return;
    memcpy(spare, rows, half * sizeof(Row));
    rows_merge(spare, half, rows + half, count - half, rows);
}

/* One row for each code, those that came to nothing left out; how many there are. */
static size_t rows_sum(Row *rows, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count;) {
        Row row = rows[i++];
        for (; i < count && rows[i].code == row.code; i++) {
            row.n += rows[i].n;
            row.s = (int64_t)((uint64_t)row.s + (uint64_t)rows[i].s);
        }
        if (row.n || row.s) rows[kept++] = row;
    }
    return kept;
}

/* Everything in order, one row for each code; 0 when there is no memory. */
static int pane_compact(Pane *pane) {
    size_t loose = pane->count - pane->sorted;
    if (!loose) return 1;
    Row *spare = (Row *)malloc((pane->count + 1) * sizeof(Row));
    if (!spare) return 0;
    rows_sort(pane->rows + pane->sorted, loose, spare);
    if (pane->sorted) {
        memcpy(spare, pane->rows, pane->sorted * sizeof(Row));
        rows_merge(spare, pane->sorted, pane->rows + pane->sorted, loose, pane->rows);
    }
    free(spare);
    pane->sorted = pane->count = rows_sum(pane->rows, pane->count);
    return 1;
}

static int pane_reserve(Pane *pane, size_t capacity) {
    Row *rows = (Row *)realloc(pane->rows, capacity * sizeof(Row));
    if (!rows) return 0;
    pane->rows = rows;
    pane->capacity = capacity;
    return 1;
}

static inline int pane_add(Pane *pane, int64_t code, int64_t n, int64_t s) {
    if (pane->count == pane->capacity) {
        size_t loose = pane->count - pane->sorted;
        /* Rows of the same codes fold into one: look before the memory grows. */
        if (loose > ROWS_LOOSE && loose * 2 > pane->sorted && !pane_compact(pane)) return 0;
        if (pane->count * 4 >= pane->capacity * 3
            && !pane_reserve(pane, pane->capacity ? pane->capacity + pane->capacity / 4 + 4 : 4))
            return 0;
    }
    Row *row = pane->rows + pane->count++;
    row->code = code;
    row->n = n;
    row->s = s;
    return 1;
}

static inline void pane_free(Pane *pane) {
    if (pane) free(pane->rows);
    free(pane);
}

static inline size_t pane_place(const PaneTable *t, int32_t level, int64_t index) {
    uint64_t h = ((uint64_t)index ^ (uint64_t)level << 56) * 0x9E3779B97F4A7C15ull;
    size_t at = (size_t)(h >> 32) & t->mask;
    while (t->places[at] && (t->places[at]->index != index || t->places[at]->level != level))
        at = (at + 1) & t->mask;
    return at;
}

static inline int panes_resize(PaneTable *t, size_t size) { /* 0 when there is no memory */
    PaneTable bigger = {(Pane **)calloc(size, sizeof(Pane *)), size - 1, t->count};
    if (!bigger.places) return 0;
    if (t->places) {
        for (size_t i = 0; i <= t->mask; i++)
            if (t->places[i])
                bigger.places[pane_place(&bigger, t->places[i]->level, t->places[i]->index)] =
                    t->places[i];
        free(t->places);
    }
    *t = bigger;
    return 1;
}

static inline Pane *panes_find(const PaneTable *t, int32_t level, int64_t index) {
    return t->places ? t->places[pane_place(t, level, index)] : NULL;
}

static inline Pane *panes_make(PaneTable *t, int32_t level, int64_t index, int32_t slot) {
    if ((!t->places || t->count * 2 > t->mask) &&
        !panes_resize(t, t->places ? (t->mask + 1) * 2 : 256))
        return NULL;
    Pane *pane = (Pane *)calloc(1, sizeof(Pane));
    if (!pane) return NULL;
    pane->level = level;
    pane->index = index;
    pane->slot = slot;
    t->places[pane_place(t, level, index)] = pane;
    t->count++;
    return pane;
}

/* Takes a pane out of the table (it is not freed); those behind it move up. */
static inline void panes_remove(PaneTable *t, const Pane *pane) {
    size_t hole = pane_place(t, pane->level, pane->index), at = hole;
    if (!t->places[hole]) return;
    t->places[hole] = NULL;
    t->count--;
    for (;;) {
        at = (at + 1) & t->mask;
        Pane *other = t->places[at];
        if (!other) return;
        t->places[at] = NULL;
        t->places[pane_place(t, other->level, other->index)] = other;
    }
}

#endif
