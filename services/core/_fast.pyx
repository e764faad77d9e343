# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, binding=False
"""The compiled fold: services.core.state in C, equal to it to the last byte.

It takes the ordinary records: a good event about an entity. Whatever is out of the ordinary (bytes
that are no event, a wrong key, a time in the future, an absurd number) is left to the pure form
before anything was changed, so every reject has one author. Built where a C compiler is
(setup.py); :mod:`services.core.speed` chooses.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_SetItem
from libc.math cimport ceil, log
from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from types import MemberDescriptorType

import msgspec
import numpy as np

from schemas import catalog, codec, v1, wire
from services.core import calendar_day, contributions, entity, facts, head, series
from services.core.panes import Delta
from services.core.record import arrival_ms

cdef extern from "Python.h":
    ctypedef struct PyObject:
        pass
    ctypedef struct PyTypeObject:
        pass
    PyObject *Py_True
    PyObject *Py_False
    PyTypeObject *Py_TYPE(PyObject *)
    bint PyUnicode_CheckExact(PyObject *)
    bint PyLong_CheckExact(PyObject *)
    bint PyFloat_CheckExact(PyObject *)
    bint PyDict_CheckExact(PyObject *)
    double PyFloat_AS_DOUBLE(PyObject *)
    const char *PyUnicode_AsUTF8AndSize(PyObject *, Py_ssize_t *) noexcept
    int PyUnicode_Compare(PyObject *, PyObject *) noexcept
    int64_t PyLong_AsLongLong(PyObject *) noexcept
    int64_t PyLong_AsLongLongAndOverflow(PyObject *, int *) noexcept
    Py_ssize_t PyDict_Size(PyObject *) noexcept
    int PyDict_Next(PyObject *, Py_ssize_t *, PyObject **, PyObject **) noexcept
    PyObject *PyDict_GetItemWithError(object, object) except? NULL
    PyObject *PyList_GET_ITEM(object, Py_ssize_t) noexcept
    void PyErr_Clear() noexcept

cdef extern from "structmember.h":
    int T_OBJECT, T_OBJECT_EX
    ctypedef struct PyMemberDef:
        int type
        Py_ssize_t offset
    ctypedef struct PyMemberDescrObject:
        PyMemberDef *d_member

cdef extern from "_fast.h":
    ctypedef struct Change:
        int64_t code, s
        int32_t pane, n, used
    ctypedef struct Changes:
        Change *rows
        size_t mask, count
    uint32_t ioc_murmur2(const uint8_t *, size_t) noexcept
    uint32_t ioc_crc32(const uint8_t *, size_t) noexcept
    uint64_t ioc_xxh64(const uint8_t *, size_t) noexcept
    void ioc_crc32_prepare() noexcept
    bint ioc_instant(const char *, size_t, int64_t *) noexcept
    bint ioc_is_utf8(const uint8_t *, size_t) noexcept
    uint8_t *put_be(uint8_t *, uint64_t, int) noexcept
    uint8_t *put_int(uint8_t *, int64_t) noexcept
    uint8_t *put_float(uint8_t *, double) noexcept
    uint8_t *put_text(uint8_t *, const char *, size_t) noexcept
    uint8_t *put_map(uint8_t *, size_t) noexcept
    bint changes_add(Changes *, int32_t, int64_t, int32_t, int64_t) noexcept
    void changes_clear(Changes *) noexcept

include "_constants.pxi"
include "_walk.pxi"
include "_cells.pxi"
include "_tables.pxi"

ioc_crc32_prepare()


cdef class CompiledChanges:
    """What the contributions since the last flush add up to (services.core.changes.Changes)."""

    cdef Changes table

    def __dealloc__(self):
        changes_clear(&self.table)

    def add(self, contribution, int sign):
        """Count one contribution; ``sign`` is 1 or -1."""
        pane, code, s = contribution
        if not changes_add(&self.table, pane, code, sign, sign * <int64_t>s):
            raise MemoryError

    def take(self):
        """What changed, as a delta; afterwards nothing has."""
        cdef size_t i, live = 0, at_row = 0
        cdef Change *row
        if self.table.rows != NULL:
            for i in range(self.table.mask + 1):
                row = &self.table.rows[i]
                live += row.used and (row.n != 0 or row.s != 0)
        columns = [PyBytes_FromStringAndSize(NULL, live * 8) for _ in range(4)]
        cdef int64_t *panes = <int64_t *>PyBytes_AS_STRING(columns[0])
        cdef int64_t *codes = <int64_t *>PyBytes_AS_STRING(columns[1])
        cdef int64_t *n = <int64_t *>PyBytes_AS_STRING(columns[2])
        cdef int64_t *s = <int64_t *>PyBytes_AS_STRING(columns[3])
        if self.table.rows != NULL:
            for i in range(self.table.mask + 1):
                row = &self.table.rows[i]
                if row.used and (row.n != 0 or row.s != 0):
                    panes[at_row] = row.pane
                    codes[at_row] = row.code
                    n[at_row] = row.n
                    s[at_row] = row.s
                    at_row += 1
        changes_clear(&self.table)
        return Delta(*[np.frombuffer(column, dtype="<i8") for column in columns])


cdef struct Place:
    int used
    int row
    int sizes[3]   # of the codes, -1 for null
    char codes[24]


cdef class Places:
    """Territories.deepest and .of_code behind a small cache by the codes' text."""

    cdef Place cache[4096]
    cdef object territories
    cdef uint8_t *unknown
    cdef list provinces

    def __init__(self, territories, is_unknown, provinces):
        cdef Py_ssize_t i
        self.territories = territories
        self.provinces = provinces
        self.unknown = <uint8_t *>malloc(len(is_unknown) + 1)
        if self.unknown == NULL:
            raise MemoryError
        for i in range(len(is_unknown)):
            self.unknown[i] = 1 if is_unknown[i] else 0

    def __dealloc__(self):
        free(self.unknown)

    cdef int deepest(self, PyObject *province, PyObject *district, PyObject *commune) except -1:
        """The row of an entity; with NULL for the district, that of a single code."""
        cdef PyObject *given[3]
        cdef Py_ssize_t size
        cdef const char *text
        cdef Place wanted
        cdef Place *found
        cdef int i, used = 0
        cdef uint64_t words[3]
        given[0], given[1], given[2] = province, district, commune
        memset(wanted.codes, 0, 24)
        for i in range(3):
            if given[i] == NULL:
                wanted.sizes[i] = -2
            elif given[i] is <PyObject *>None:
                wanted.sizes[i] = -1
            else:
                text = text_of(given[i], &size)
                if text == NULL or used + size > 24:
                    return self.look_up(province, district, commune)
                memcpy(wanted.codes + used, text, size)
                wanted.sizes[i] = size
                used += size
        memcpy(words, wanted.codes, 24)
        words[0] = (words[0] ^ (words[1] * SPREAD_A) ^ (words[2] * SPREAD_B)) * SPREAD_A
        words[0] ^= <uint64_t>(wanted.sizes[0] + 64 * wanted.sizes[1] + 4096 * wanted.sizes[2])
        found = &self.cache[(words[0] ^ words[0] >> 29 ^ words[0] >> 47) & 4095]
        if not (
            found.used
            and memcmp(found.sizes, wanted.sizes, sizeof(wanted.sizes)) == 0
            and memcmp(found.codes, wanted.codes, 24) == 0
        ):
            wanted.row = self.look_up(province, district, commune)
            wanted.used = 1
            found[0] = wanted
        return found.row

    cdef int look_up(self, PyObject *province, PyObject *district, PyObject *commune) except -1:
        if district == NULL:
            return self.territories.of_code(<object>province)
        return self.territories.deepest(<object>province, <object>district, <object>commune)


cdef enum:
    APPLIED, DUPLICATE, CONFLICT, STALE, REJECTED, EXPIRED
    LEFT_TO_PURE = -1

cdef enum:
    REPORT, CASE, LISTING, ORDER, INDICATOR


cdef class CompiledFold:
    """The fold of one partition; the state itself stays with its PartitionState."""

    cdef object decode, state, entities, dirty, about, feeds, urgent_ids, latest, expiry
    cdef object outcomes, by_source, source_name
    cdef CompiledChanges changes
    cdef Places places
    cdef int kind
    cdef uint32_t partition, partitions, facts
    cdef bint wall, has_event_time, from_history
    cdef int64_t fence, clock, arrival, event_time, unknown, late, very_late, gaps
    cdef int64_t counts[6]
    cdef int64_t source_counts[6]
    cdef uint8_t *buffer

    def __cinit__(self):
        self.buffer = <uint8_t *>malloc(BUFFER_BYTES)
        if self.buffer == NULL:
            raise MemoryError

    def __init__(self, topic, partition, partitions, wall, places, changes, facts):
        self.kind = {
            catalog.FIELD_REPORT.name: REPORT,
            catalog.ADMIN_CASE.name: CASE,
            catalog.LISTING.name: LISTING,
            catalog.INDICATOR.name: INDICATOR,
        }[topic.name]
        self.partition = partition
        self.partitions = partitions
        self.wall = wall
        self.facts = facts
        self.places = places
        self.changes = changes
        self.decode = wire.Decoder.decode

    def __dealloc__(self):
        free(self.buffer)

    # --- in and out: what the pure form reads and writes must be with the state -------------------

    cdef enter(self, state):
        about = state._head
        self.state = state
        self.entities = state._entities
        self.dirty = state._dirty
        self.about = about
        self.feeds = about.feeds
        self.outcomes = about.outcomes
        self.urgent_ids = state._urgent_ids
        self.latest = state._latest
        self.expiry = state._expiry
        self.fence = state.fence
        self.clock = state.clock
        self.arrival = state._arrival
        self.has_event_time = about.event_time is not None
        self.event_time = about.event_time or 0
        self.unknown, self.late, self.very_late = about.unknown, about.late, about.very_late
        self.gaps = about.gaps
        self.source_name = None
        memset(self.counts, 0, sizeof(self.counts))

    cdef leave(self):
        state, about = self.state, self.about
        self.settle_source()
        for i in range(6):
            if self.counts[i]:
                self.outcomes[OUTCOMES[i]] += self.counts[i]
        state.fence = self.fence
        state.clock = self.clock
        state._arrival = self.arrival
        if self.has_event_time:
            about.event_time = self.event_time
        about.unknown, about.late, about.very_late = self.unknown, self.late, self.very_late
        about.gaps = self.gaps
        self.state = None

    cdef settle_source(self):
        if self.source_name is not None:
            for i in range(6):
                if self.source_counts[i]:
                    self.by_source[OUTCOMES[i]] += self.source_counts[i]
        self.source_name = None

    cdef int choose_source(self, PyObject *name) except -1:
        if self.source_name is not None and PyUnicode_Compare(<PyObject *>self.source_name, name) == 0:
            return 0
        self.settle_source()
        text = <object>name
        self.by_source = self.about.source(text).outcomes
        self.source_name = text
        self.from_history = text.endswith(HISTORY_SUFFIX)
        memset(self.source_counts, 0, sizeof(self.source_counts))
        return 0

    cdef int count(self, int outcome) except -1:
        # A name gets its place in a dict when it is first met, as in the pure form.
        if self.counts[outcome] == 0 and OUTCOMES[outcome] not in self.outcomes:
            self.outcomes[OUTCOMES[outcome]] = 0
        self.counts[outcome] += 1
        return 0

    cdef int count_source(self, int outcome) except -1:
        if self.source_counts[outcome] == 0 and OUTCOMES[outcome] not in self.by_source:
            self.by_source[OUTCOMES[outcome]] = 0
        self.source_counts[outcome] += 1
        return 0

    # --- the fold -----------------------------------------------------------------------------------

    def fold(self, state, records):
        """PartitionState.fold, but for the purge behind it."""
        cdef int64_t offset, arrival
        cdef int outcome
        dead = []
        self.enter(state)
        for record in records:
            offset = record.offset
            if offset <= self.fence:
                continue
            self.gaps += offset - self.fence - 1
            arrival = record.timestamp if self.wall else arrival_ms(record, "event")
            if arrival > self.arrival:
                self.arrival = arrival
                if self.wall:
                    self.clock = arrival
            outcome = self.absorb(record.key, record.value, arrival)
            if outcome == LEFT_TO_PURE:
                self.leave()
                outcome = OUTCOMES.index(state._absorb(record, arrival, dead))
                self.enter(state)
            self.count(outcome)
            self.fence = offset
        self.leave()
        return dead

    cdef int absorb(self, object key, object value, int64_t arrival) except -2:
        cdef Walked w
        cdef int kind, outcome, step
        cdef int64_t time, revision
        cdef uint32_t hashed
        cdef PyObject *envelope
        cdef PyObject *d
        if not PyBytes_CheckExact(key) or not PyBytes_CheckExact(value):
            return LEFT_TO_PURE
        if PyBytes_GET_SIZE(value) > MAX_EVENT_BYTES:
            return LEFT_TO_PURE
        try:
            event = self.decode(value)
        except DECODING_ERRORS:
            return LEFT_TO_PURE
        envelope = <PyObject *>event
        kind = self.kind
        if Py_TYPE(envelope) != EVENT_TYPES[kind]:
            if kind != LISTING or Py_TYPE(envelope) != EVENT_TYPES[ORDER]:
                return LEFT_TO_PURE
            kind = ORDER
        if not ioc_is_utf8(<const uint8_t *>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)):
            return LEFT_TO_PURE
        if not instant_of(at(envelope, TIME_AT[kind]), &time) or time > arrival + FUTURE_TOLERANCE:
            return LEFT_TO_PURE
        d = at(envelope, DATA_AT[kind])
        w.cursor = self.buffer
        w.limit = self.buffer + BUFFER_BYTES
        w.latest = INT64_MIN
        w.has_steps = False
        w.payment = NULL
        for step in range(5):
            w.step_ms[step] = ABSENT
        if not walk(PLANS[kind], d, &w):
            return LEFT_TO_PURE
        if w.latest > arrival + FUTURE_TOLERANCE or w.latest >= LAST_PANE_END:
            return LEFT_TO_PURE
        hashed = ioc_murmur2(<const uint8_t *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
        if (hashed & 0x7FFFFFFF) % self.partitions != self.partition:
            return LEFT_TO_PURE
        if kind == INDICATOR:
            if not self.is_series_key(d, key):
                return LEFT_TO_PURE
        elif not is_text(at(d, KEY_AT[kind]), key):
            return LEFT_TO_PURE
        # From here on nothing is left to the pure form.
        revision = PyLong_AsLongLong(at(d, REVISION_AT[kind]))
        self.choose_source(at(envelope, SOURCE_AT[kind]))
        if time < arrival - EXPIRED_AFTER:
            outcome = EXPIRED
        elif kind == INDICATOR:
            outcome = self.take_period(d, key, &w, time, revision, arrival)
        else:
            outcome = self.take_entity(kind, d, key, &w, time, revision, arrival)
        self.count_source(outcome)
        return outcome

    cdef int take_entity(
        self, int kind, PyObject *d, object key, Walked *w, int64_t time, int64_t revision,
        int64_t arrival,
    ) except -2:
        cdef Cells cells
        cdef Plan *plan = PLANS[kind]
        cdef int64_t base = 0
        cdef int extra = 0, old_count = 0, row
        cdef const uint8_t *old = NULL
        cdef uint64_t digest
        cdef PyObject *found
        if kind == LISTING or kind == ORDER:
            key = entity_key(kind, key, at(d, ID_AT[kind]))
        shard = <object>PyList_GET_ITEM(self.entities, slot_of(key))
        found = PyDict_GetItemWithError(shard, key)
        digest = ioc_xxh64(self.buffer, w.cursor - self.buffer)
        if found != NULL:
            old = <const uint8_t *>PyBytes_AS_STRING(<object>found)
            outcome = compare(old, revision, digest)
            if outcome != APPLIED:
                return outcome
            old_count = old[ENTITY_SIZE - 1]
            old += ENTITY_SIZE
        row = self.places.deepest(
            field_of(plan, d, PROVINCE[kind]), field_of(plan, d, DISTRICT[kind]),
            field_of(plan, d, COMMUNE[kind]),
        )  # fmt: skip
        cells.count = 0
        cells.facts = self.facts
        if kind == CASE:
            case_cells(d, w, row, &cells)
        elif kind == REPORT:
            report_cells(d, w, row, &cells)
            self.look_for_urgency(d, w)
        elif kind == ORDER:
            order_cells(d, w, row, &cells)
        else:
            base = listing_cells(d, w, row, &cells)
            if field_of(plan, d, L_ACTIVE) is Py_True:
                extra = ACTIVE_SIZE
        if not exchange(&self.changes.table, old, old_count, &cells):
            raise MemoryError
        value = PyBytes_FromStringAndSize(NULL, ENTITY_SIZE + cells.count * 20 + extra)
        cdef uint8_t *p = <uint8_t *>PyBytes_AS_STRING(value)
        p = put_entity(p, revision, digest, time, cells.count)
        memcpy(p, cells.bytes, cells.count * 20)
        if extra:
            put_active(p + cells.count * 20, d, base)
        PyDict_SetItem(shard, key, value)
        PyDict_SetItem(self.dirty, key, None)
        self.applied(row, time, arrival)
        return APPLIED

    cdef int take_period(
        self, PyObject *d, object series_key, Walked *w, int64_t time, int64_t revision,
        int64_t arrival,
    ) except -2:
        cdef Plan *plan = &INDICATOR_PLAN
        cdef int64_t start = w.ms[I_START], end = w.ms[I_END]
        cdef int64_t kept_until = end + (SHORT_KEPT if end - start < DAY else LONG_KEPT)
        cdef uint64_t digest
        cdef PyObject *found
        cdef PyObject *known = PyDict_GetItemWithError(self.latest, series_key)
        cdef int64_t known_end = 0, known_start = 0
        cdef int number, outcome, row
        cdef bint later
        if known != NULL:
            known_end, known_start = <object>known
        later = known == NULL or end > known_end or (end == known_end and start > known_start)
        if known != NULL and kept_until < arrival and start != known_start and not later:
            return EXPIRED
        key = period_key(series_key, start)
        shard = <object>PyList_GET_ITEM(self.entities, slot_of(key))
        found = PyDict_GetItemWithError(shard, key)
        digest = ioc_xxh64(self.buffer, w.cursor - self.buffer)
        if found != NULL:
            outcome = compare(<const uint8_t *>PyBytes_AS_STRING(<object>found), revision, digest)
            if outcome != APPLIED:
                return outcome
        # A revision may move the end of the latest period back: it stays the latest.
        if later or start == known_start:
            self.latest[series_key] = (end, start)
        bucket = floor_div(kept_until, PURGE_EVERY)
        keys = self.expiry.get(bucket)
        if keys is None:
            self.expiry[bucket] = [key]
        else:
            (<list>keys).append(key)
        # services.core.series.Period, over the digest's bytes: they have done their work.
        w.cursor = put_entity(self.buffer, revision, digest, time, 0)
        w.cursor[0] = 0xDC
        w.cursor = put_be(w.cursor + 1, PERIOD_FIELDS, 2)
        w.cursor = put_text(w.cursor, PyBytes_AS_STRING(series_key), PyBytes_GET_SIZE(series_key))
        for number in (I_INDICATOR, I_TERRITORY, I_KIND, I_UNIT, I_DOMAIN, I_SOURCE_SYSTEM):
            put_value(w, field_of(plan, d, number))
        w.cursor = put_int(put_int(put_int(w.cursor, start), end), time)
        for number in (I_VALUE, I_NUMERATOR, I_DENOMINATOR, I_TARGET, I_TARGET_LOW, I_TEXT):
            put_value(w, field_of(plan, d, number))
        put_in_order(w, field_of(plan, d, I_DIMS))
        value = PyBytes_FromStringAndSize(<char *>self.buffer, w.cursor - self.buffer)
        PyDict_SetItem(shard, key, value)
        PyDict_SetItem(self.dirty, key, None)
        row = self.places.deepest(field_of(plan, d, I_TERRITORY), NULL, <PyObject *>None)
        self.applied(row, time, arrival)
        return APPLIED

    cdef int applied(self, int row, int64_t time, int64_t arrival) except -1:
        cdef PyObject *last
        cdef int64_t lateness = 0 if self.from_history else arrival - time
        if not self.has_event_time or time > self.event_time:
            self.has_event_time = True
            self.event_time = time
        if not self.wall and time > self.clock:
            self.clock = time
        province = <object>PyList_GET_ITEM(self.places.provinces, row)
        last = PyDict_GetItemWithError(self.feeds, province)
        if arrival > (-1 if last == NULL else PyLong_AsLongLong(last)):
            PyDict_SetItem(self.feeds, province, arrival)
        self.unknown += self.places.unknown[row]
        if lateness > LATE_AFTER:
            if lateness > VERY_LATE_AFTER:
                self.very_late += 1
            else:
                self.late += 1
        return 0

    cdef int look_for_urgency(self, PyObject *d, Walked *w) except -1:
        cdef Plan *p = &REPORT_PLAN
        cdef bint urgent = index_of(&PRIORITY, field_of(p, d, R_PRIORITY)) == URGENT
        if not urgent and not self.urgent_ids:
            return 0
        report = <object>d
        province = self.state._known_province(report.province_code)
        urgency = None
        if not urgent and report.report_id not in self.urgent_ids.get(province, ()):
            return 0
        if urgent:
            urgency = head.UrgentReport(
                report_id=report.report_id,
                province_code=province,
                district_code=report.district_code,
                commune_code=report.commune_code,
                category=report.category,
                status=report.status,
                reported_at=w.ms[R_REPORTED_AT],
                due_at=None if w.ms[R_DUE_AT] == ABSENT else w.ms[R_DUE_AT],
                # As the digest leaves them: -0.0 is 0.0.
                lat=None if report.lat is None else report.lat + 0.0,
                lon=None if report.lon is None else report.lon + 0.0,
            )
        self.state._note_urgent(province, report.report_id, urgency)
        return 0

    cdef bint is_series_key(self, PyObject *d, object key) noexcept:
        """Indicator.series_key, compared piece by piece."""
        cdef Entry entries[MOST_ENTRIES]
        cdef Plan *plan = &INDICATOR_PLAN
        cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(key)
        cdef const uint8_t *end = p + PyBytes_GET_SIZE(key)
        cdef PyObject *dims = field_of(plan, d, I_DIMS)
        cdef int count = 0, i
        cdef Entry value
        if not (
            eat(&p, end, field_of(plan, d, I_INDICATOR)) and eat_char(&p, end, b"|")
            and eat(&p, end, field_of(plan, d, I_TERRITORY)) and eat_char(&p, end, b"|")
        ):
            return False
        if dims is not <PyObject *>None:
            count = sorted_entries(dims, entries)
        for i in range(count):
            if i and not eat_char(&p, end, b";"):
                return False
            value = entries[i]
            if end - p < value.size or memcmp(p, value.name, value.size) != 0:
                return False
            p += value.size
            if not eat_char(&p, end, b"=") or not eat(&p, end, value.value):
                return False
        return count >= 0 and p == end


cdef inline bint eat(const uint8_t **p, const uint8_t *end, PyObject *text) noexcept:
    cdef Py_ssize_t size
    cdef const char *bytes = text_of(text, &size)
    if bytes == NULL or end - p[0] < size or memcmp(p[0], bytes, size) != 0:
        return False
    p[0] += size
    return True


cdef inline bint eat_char(const uint8_t **p, const uint8_t *end, char wanted) noexcept:
    if p[0] >= end or p[0][0] != <uint8_t>wanted:
        return False
    p[0] += 1
    return True


cdef inline bint is_text(PyObject *text, object key) noexcept:
    cdef Py_ssize_t size
    cdef const char *bytes = text_of(text, &size)
    return bytes != NULL and size == PyBytes_GET_SIZE(key) and (
        memcmp(bytes, PyBytes_AS_STRING(key), size) == 0
    )


cdef inline int slot_of(object key) noexcept:
    return ioc_crc32(<const uint8_t *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key)) & 255


cdef inline int compare(const uint8_t *old, int64_t revision, uint64_t digest) noexcept:
    """The outcome of an event about an entity that is known."""
    cdef int64_t known_revision
    cdef uint64_t known_digest
    memcpy(&known_revision, old, 8)
    memcpy(&known_digest, old + 8, 8)
    if revision < known_revision:
        return STALE
    if revision == known_revision:
        return DUPLICATE if digest == known_digest else CONFLICT
    return APPLIED


cdef inline uint8_t *put_entity(
    uint8_t *p, int64_t revision, uint64_t digest, int64_t time, int count
) noexcept:
    memcpy(p, &revision, 8)
    memcpy(p + 8, &digest, 8)
    memcpy(p + 16, &time, 8)
    p[24] = <uint8_t>count
    return p + ENTITY_SIZE


cdef void put_active(uint8_t *p, PyObject *d, int64_t base) noexcept:
    cdef Plan *plan = &LISTING_PLAN
    cdef Py_ssize_t size
    cdef const char *text = text_of(field_of(plan, d, L_STORE), &size)
    cdef uint64_t store = ioc_xxh64(<const uint8_t *>text, size), product = 0
    if number_of(field_of(plan, d, L_STARS)) >= OCOP_STARS:
        text = text_of(field_of(plan, d, L_PRODUCT), &size)
        product = ioc_xxh64(<const uint8_t *>text, size)
        product = product if product else 1
    memcpy(p, &base, 8)
    memcpy(p + 8, &store, 8)
    memcpy(p + 16, &product, 8)
    p[24] = 1 if number_of(field_of(plan, d, L_STOCK)) == 0 else 0


cdef void put_in_order(Walked *w, PyObject *dims) noexcept:
    """A dict of text as it came. All of it has been written once, so it fits."""
    cdef Py_ssize_t position = 0
    cdef PyObject *key
    cdef PyObject *value
    if dims is <PyObject *>None:
        put_value(w, dims)
        return
    w.cursor = put_map(w.cursor, PyDict_Size(dims))
    while PyDict_Next(dims, &position, &key, &value):
        put_value(w, key)
        put_value(w, value)


cdef object entity_key(int kind, object store, PyObject *id):
    """``l`` or ``o``, the length of the store's id, a colon, both ids."""
    cdef char number[24]
    cdef Py_ssize_t size, store_size = PyBytes_GET_SIZE(store)
    cdef const char *text = text_of(id, &size)
    if text == NULL:
        raise UnicodeEncodeError("utf-8", <object>id, 0, 1, "surrogates not allowed")
    cdef int digits = snprintf(
        number, 24, "l%d:" if kind == LISTING else "o%d:", <int>store_size
    )
    key = PyBytes_FromStringAndSize(NULL, digits + store_size + size)
    cdef char *p = PyBytes_AS_STRING(key)
    memcpy(p, number, digits)
    memcpy(p + digits, PyBytes_AS_STRING(store), store_size)
    memcpy(p + digits + store_size, text, size)
    return key


cdef object period_key(object series_key, int64_t start):
    cdef char number[24]
    cdef Py_ssize_t size = PyBytes_GET_SIZE(series_key)
    cdef int digits = snprintf(number, 24, "%lld", <long long>start)
    key = PyBytes_FromStringAndSize(NULL, size + 1 + digits)
    cdef char *p = PyBytes_AS_STRING(key)
    memcpy(p, PyBytes_AS_STRING(series_key), size)
    p[size] = 0
    memcpy(p + size + 1, number, digits)
    return key


def flat_entities(dirty, entities):
    """The dirty keys, each followed by its entity (empty for one that was forgotten)."""
    cdef PyObject *found
    out = []
    for key in dirty:
        shard = <object>PyList_GET_ITEM(entities, slot_of(key))
        found = PyDict_GetItemWithError(shard, key)
        out.append(key)
        out.append(b"" if found == NULL else <object>found)
    return out


# --- the small parts, for the tests that hold them against their twins ---------------------------


def instant(str text):
    """schemas.codec.parse_instant: ms since the epoch, or None for text that is no instant."""
    cdef int64_t ms
    return ms if instant_of(<PyObject *>text, &ms) else None


def murmur2(bytes data):
    """schemas.codec.murmur2."""
    return ioc_murmur2(<const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


def crc32(bytes data):
    """zlib.crc32."""
    return ioc_crc32(<const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


def xxh64(bytes data):
    """xxhash.xxh64_intdigest."""
    return ioc_xxh64(<const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


def is_utf8(bytes data):
    """bytes.decode does not raise."""
    return ioc_is_utf8(<const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


def bucket(int64_t ms):
    """services.core.facts.duration_bucket."""
    return duration_bucket(ms)
