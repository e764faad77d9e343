# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, binding=False
"""The compiled fold: services.core.state in C, equal to it to the last byte.

It takes the ordinary records: a good event about an entity. Whatever is out of the ordinary (bytes
that are no event, a wrong key, a time in the future, an absurd number) is left to the pure form
before anything was changed, so every reject has one author. No object is made of an event: its
JSON is scanned (_scan.h) into fields that point into the record. Built where a C compiler is
(setup.py); :mod:`services.core.speed` chooses.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_SetItem
from libc.math cimport ceil, log
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

import typing

import msgspec
import msgspec.inspect
import numpy as np

from schemas import catalog, codec, v1
from services.core import calendar_day, contributions, entity, facts, head, record, series
from services.core.packed import PackedRecords
from services.core.panes import Delta
from services.core.record import arrival_ms

include "_extern.pxi"
include "_constants.pxi"
include "_walk.pxi"
include "_cells.pxi"
include "_tables.pxi"
include "_changes.pxi"
include "_places.pxi"

ioc_crc32_prepare()


cdef enum:
    APPLIED, DUPLICATE, CONFLICT, STALE, REJECTED, EXPIRED
    LEFT_TO_PURE = -1

cdef enum:
    REPORT, CASE, LISTING, ORDER, INDICATOR


cdef struct Origin:
    # A CloudEvents source: its name points into a bytes object of `origin_names`.
    const char *name
    Py_ssize_t size
    bint from_history
    int64_t counts[6]


# Arrivals that were not read from the head yet, and those it has not.
cdef int64_t UNREAD = -2, NEVER = -1


cdef class CompiledFold:
    """The fold of one partition; the state itself stays with its PartitionState."""

    cdef object state, entities, dirty, about, feeds, urgent_ids, latest, expiry, outcomes
    cdef list origin_names, origin_counts
    cdef CompiledChanges changes
    cdef Places places
    cdef Scan scan
    cdef int kind, origins, origin
    cdef uint32_t partition, partitions, facts
    cdef bint wall, has_event_time
    cdef int64_t fence, clock, arrival, event_time, unknown, late, very_late, gaps
    cdef int64_t counts[6]
    cdef Origin origin_of[MOST_ORIGINS]
    cdef int64_t *fed           # last arrival by number of the province
    cdef int64_t *fed_before    # what the head has
    cdef uint8_t *buffer
    cdef char *arena

    def __cinit__(self):
        self.buffer = <uint8_t *>malloc(BUFFER_BYTES)
        self.arena = <char *>malloc(MAX_EVENT_BYTES)
        if self.buffer == NULL or self.arena == NULL:
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
        self.scan.type_at = TYPE_AT
        self.scan.envelope_plan = &ENVELOPE_PLAN
        self.scan.payment_plan = &PAYMENT_PLAN
        self.scan.data_plans = PLANS
        self.origin_names, self.origin_counts = [], []
        size = len(self.places.codes) * sizeof(int64_t)
        self.fed = <int64_t *>malloc(size)
        self.fed_before = <int64_t *>malloc(size)
        if self.fed == NULL or self.fed_before == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.buffer)
        free(self.arena)
        free(self.fed)
        free(self.fed_before)

    # --- in and out: what the pure form reads and writes must be with the state -------------------

    cdef enter(self, state):
        cdef Py_ssize_t i
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
        for i in range(len(self.places.codes)):
            self.fed[i] = UNREAD
        memset(self.counts, 0, sizeof(self.counts))

    cdef leave(self):
        cdef Py_ssize_t i
        state, about = self.state, self.about
        self.settle_origins()
        for i in range(6):
            if self.counts[i]:
                self.outcomes[OUTCOMES[i]] += self.counts[i]
        for i in range(len(self.places.codes)):
            if self.fed[i] != UNREAD and self.fed[i] != self.fed_before[i]:
                self.feeds[self.places.codes[i]] = self.fed[i]
        state.fence = self.fence
        state.clock = self.clock
        state._arrival = self.arrival
        if self.has_event_time:
            about.event_time = self.event_time
        about.unknown, about.late, about.very_late = self.unknown, self.late, self.very_late
        about.gaps = self.gaps
        self.state = None

    cdef settle_origins(self):
        cdef int i, outcome
        for i in range(self.origins):
            counts = self.origin_counts[i]
            for outcome in range(6):
                if self.origin_of[i].counts[outcome]:
                    counts[OUTCOMES[outcome]] += self.origin_of[i].counts[outcome]
        self.origin_names.clear()
        self.origin_counts.clear()
        self.origins = self.origin = 0

    cdef int choose_origin(self, const Value *name) except -1:
        cdef Origin *of = &self.origin_of[self.origin]
        cdef int i
        if self.origin < self.origins and is_named(of, name):
            return 0
        for i in range(self.origins):
            if is_named(&self.origin_of[i], name):
                self.origin = i
                return 0
        if self.origins == MOST_ORIGINS:
            self.settle_origins()
        kept = name.text[:name.size]
        text = kept.decode()
        self.origin_names.append(kept)
        self.origin_counts.append(self.about.source(text).outcomes)
        self.origin = self.origins
        self.origins += 1
        of = &self.origin_of[self.origin]
        of.name, of.size = kept, name.size
        of.from_history = text.endswith(HISTORY_SUFFIX)
        memset(of.counts, 0, sizeof(of.counts))
        return 0

    cdef int count(self, int outcome) except -1:
        # A name gets its place in a dict when it is first met, as in the pure form.
        if self.counts[outcome] == 0 and OUTCOMES[outcome] not in self.outcomes:
            self.outcomes[OUTCOMES[outcome]] = 0
        self.counts[outcome] += 1
        return 0

    cdef int count_origin(self, int outcome) except -1:
        cdef Origin *of = &self.origin_of[self.origin]
        if of.counts[outcome] == 0:
            counts = self.origin_counts[self.origin]
            if OUTCOMES[outcome] not in counts:
                counts[OUTCOMES[outcome]] = 0
        of.counts[outcome] += 1
        return 0

    # --- the fold -----------------------------------------------------------------------------------

    def fold(self, state, records):
        """PartitionState.fold, but for the purge behind it."""
        dead = []
        self.enter(state)
        if type(records) is PackedRecords:
            self.fold_packed(records, dead)
        else:
            self.fold_each(records, dead)
        self.leave()
        return dead

    cdef int fold_each(self, object records, list dead) except -1:
        cdef int64_t offset, arrival
        cdef int outcome
        for record in records:
            offset = record.offset
            if offset <= self.fence:
                continue
            arrival = record.timestamp if self.wall else arrival_ms(record, "event")
            self.advance(offset, arrival)
            key, value = record.key, record.value
            outcome = LEFT_TO_PURE
            if PyBytes_CheckExact(key) and PyBytes_CheckExact(value):
                outcome = self.absorb(
                    <const uint8_t *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key),
                    <const uint8_t *>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), arrival,
                )
            if outcome == LEFT_TO_PURE:
                outcome = self.ask_pure(record, arrival, dead)
            self.count(outcome)
            self.fence = offset
        return 0

    cdef int fold_packed(self, object records, list dead) except -1:
        cdef const int64_t[::1] rows = np.frombuffer(records.rows, dtype="<i8")
        cdef const int64_t *row
        cdef const uint8_t *from_ = NULL
        cdef Py_ssize_t i, first = records.start, end = records.end
        cdef int64_t arrival
        cdef int outcome
        cdef list all_buffers = records.buffers
        cdef Py_ssize_t known = -1
        for i in range(first, end):
            row = &rows[i * ROW]
            if row[0] <= self.fence:
                continue
            if row[2] != known:
                known = row[2]
                from_ = <const uint8_t *>PyBytes_AS_STRING(<bytes?>all_buffers[known])
            arrival = row[1] if self.wall else stated_arrival(from_ + row[7], row[1])
            self.advance(row[0], arrival)
            outcome = LEFT_TO_PURE
            if row[4] >= 0 and row[6] >= 0:
                outcome = self.absorb(from_ + row[3], row[4], from_ + row[5], row[6], arrival)
            if outcome == LEFT_TO_PURE:
                outcome = self.ask_pure(records[i - first], arrival, dead)
            self.count(outcome)
            self.fence = row[0]
        return 0

    cdef inline void advance(self, int64_t offset, int64_t arrival) noexcept:
        self.gaps += offset - self.fence - 1
        if arrival > self.arrival:
            self.arrival = arrival
            if self.wall:
                self.clock = arrival

    cdef int ask_pure(self, object record, int64_t arrival, list dead) except -1:
        state = self.state
        self.leave()
        outcome = OUTCOMES.index(state._absorb(record, arrival, dead))
        self.enter(state)
        return outcome

    cdef int absorb(
        self, const uint8_t *key, Py_ssize_t key_size, const uint8_t *value, Py_ssize_t size,
        int64_t arrival,
    ) except -2:
        cdef Walked w
        cdef int kind, outcome, step
        cdef int64_t time, revision
        cdef uint32_t hashed
        cdef Value *d = self.scan.data
        if size > MAX_EVENT_BYTES or not ioc_is_utf8(value, size):
            return LEFT_TO_PURE
        self.scan.arena = self.arena
        kind = scan_event(&self.scan, value, size)
        if kind != self.kind and not (kind == ORDER and self.kind == LISTING):
            return LEFT_TO_PURE
        if not instant_of(&self.scan.envelope[TIME_AT], &time) or time > arrival + FUTURE_TOLERANCE:
            return LEFT_TO_PURE
        w.cursor = self.buffer
        w.limit = self.buffer + BUFFER_BYTES
        w.latest = INT64_MIN
        w.has_steps = False
        w.payment = NULL
        for step in range(5):
            w.step_ms[step] = ABSENT
        if not walk(PLANS[kind], &self.scan, d, &w):
            return LEFT_TO_PURE
        if w.latest > arrival + FUTURE_TOLERANCE or w.latest >= LAST_PANE_END:
            return LEFT_TO_PURE
        hashed = ioc_murmur2(key, key_size)
        if (hashed & 0x7FFFFFFF) % self.partitions != self.partition:
            return LEFT_TO_PURE
        if kind == INDICATOR:
            if not self.is_series_key(d, key, key_size):
                return LEFT_TO_PURE
        elif d[KEY_AT[kind]].size != key_size or memcmp(d[KEY_AT[kind]].text, key, key_size) != 0:
            return LEFT_TO_PURE
        # From here on nothing is left to the pure form.
        revision = d[REVISION_AT[kind]].number
        self.choose_origin(&self.scan.envelope[SOURCE_AT])
        if time < arrival - EXPIRED_AFTER:
            outcome = EXPIRED
        elif kind == INDICATOR:
            name = PyBytes_FromStringAndSize(<const char *>key, key_size)
            outcome = self.take_period(d, name, &w, time, revision, arrival)
        else:
            if kind == CASE or kind == REPORT:
                name = PyBytes_FromStringAndSize(<const char *>key, key_size)
            else:
                name = entity_key(kind, key, key_size, &d[ID_AT[kind]])
            outcome = self.take_entity(kind, d, name, &w, time, revision, arrival)
        self.count_origin(outcome)
        return outcome

    cdef int take_entity(
        self, int kind, const Value *d, object key, Walked *w, int64_t time, int64_t revision,
        int64_t arrival,
    ) except -2:
        cdef Cells cells
        cdef int64_t base = 0
        cdef int extra = 0, old_count = 0, row
        cdef const uint8_t *old = NULL
        cdef uint64_t digest
        cdef PyObject *found
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
        row = self.places.deepest(&d[PROVINCE[kind]], &d[DISTRICT[kind]], &d[COMMUNE[kind]])
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
            if d[L_ACTIVE].kind == V_TRUE:
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
        PyDict_SetItem(self.dirty, key, value)
        self.applied(row, time, arrival)
        return APPLIED

    cdef int take_period(
        self, const Value *d, object series_key, Walked *w, int64_t time, int64_t revision,
        int64_t arrival,
    ) except -2:
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
        if (later or start == known_start) and (known == NULL or end != known_end or start != known_start):
            self.latest[series_key] = (end, start)
        bucket = floor_div(kept_until, PURGE_EVERY)
        keys = self.expiry.get(bucket)
        if keys is None:
            self.expiry[bucket] = {key: None}
        else:
            PyDict_SetItem(keys, key, None)
        # services.core.series.Period, over the digest's bytes: they have done their work.
        w.cursor = put_entity(self.buffer, revision, digest, time, 0)
        w.cursor[0] = 0xDC
        w.cursor = put_be(w.cursor + 1, PERIOD_FIELDS, 2)
        w.cursor = put_text(w.cursor, PyBytes_AS_STRING(series_key), PyBytes_GET_SIZE(series_key))
        for number in (I_INDICATOR, I_TERRITORY, I_KIND, I_UNIT, I_DOMAIN, I_SOURCE_SYSTEM):
            put_value(w, &d[number])
        w.cursor = put_int(put_int(put_int(w.cursor, start), end), time)
        for number in (I_VALUE, I_NUMERATOR, I_DENOMINATOR, I_TARGET, I_TARGET_LOW, I_TEXT):
            put_value(w, &d[number])
        # As they came. All of it has been written once, so it fits.
        if d[I_DIMS].kind == V_MAP:
            put_texts(w, self.scan.entries, self.scan.entries_count)
        else:
            put_value(w, &d[I_DIMS])
        value = PyBytes_FromStringAndSize(<char *>self.buffer, w.cursor - self.buffer)
        PyDict_SetItem(shard, key, value)
        PyDict_SetItem(self.dirty, key, value)
        row = self.places.deepest(&d[I_TERRITORY], NULL, NULL)
        self.applied(row, time, arrival)
        return APPLIED

    cdef int applied(self, int row, int64_t time, int64_t arrival) except -1:
        cdef bint from_history = self.origin_of[self.origin].from_history
        cdef int64_t lateness = 0 if from_history else arrival - time
        cdef int province = self.places.province_of[row]
        if not self.has_event_time or time > self.event_time:
            self.has_event_time = True
            self.event_time = time
        if not self.wall and time > self.clock:
            self.clock = time
        if self.fed[province] == UNREAD:
            self.read_feed(province)
        if arrival > self.fed[province]:
            if self.fed[province] == NEVER:
                # It gets its place in the dict when it is first met, as in the pure form.
                self.feeds[self.places.codes[province]] = arrival
            self.fed[province] = arrival
        self.unknown += self.places.unknown[row]
        if lateness > LATE_AFTER:
            if lateness > VERY_LATE_AFTER:
                self.very_late += 1
            else:
                self.late += 1
        return 0

    cdef int read_feed(self, int province) except -1:
        last = self.feeds.get(self.places.codes[province], NEVER)
        self.fed[province] = self.fed_before[province] = last
        return 0

    cdef int look_for_urgency(self, const Value *d, Walked *w) except -1:
        cdef bint urgent = d[R_PRIORITY].number == URGENT
        if not urgent and not self.urgent_ids:
            return 0
        report_id, province_code = text_of(&d[R_REPORT_ID]), text_of(&d[R_PROVINCE])
        province = self.state._known_province(province_code)
        urgency = None
        if not urgent and report_id not in self.urgent_ids.get(province, ()):
            return 0
        if urgent:
            urgency = head.UrgentReport(
                report_id=report_id,
                province_code=province,
                district_code=text_of(&d[R_DISTRICT]),
                commune_code=text_of(&d[R_COMMUNE]),
                category=text_of(&d[R_CATEGORY]),
                status=text_of(&d[R_STATUS]),
                reported_at=w.ms[R_REPORTED_AT],
                due_at=None if w.ms[R_DUE_AT] == ABSENT else w.ms[R_DUE_AT],
                # As the digest leaves them: -0.0 is 0.0.
                lat=None if d[R_LAT].kind == V_NULL else d[R_LAT].real + 0.0,
                lon=None if d[R_LON].kind == V_NULL else d[R_LON].real + 0.0,
            )
        self.state._note_urgent(province, report_id, urgency)
        return 0

    cdef bint is_series_key(self, const Value *d, const uint8_t *key, Py_ssize_t size) noexcept:
        """Indicator.series_key, compared piece by piece."""
        cdef Entry entries[MOST_ENTRIES]
        cdef const uint8_t *p = key
        cdef const uint8_t *end = key + size
        cdef int count = 0, i
        if not (
            eat(&p, end, d[I_INDICATOR].text, d[I_INDICATOR].size) and eat(&p, end, b"|", 1)
            and eat(&p, end, d[I_TERRITORY].text, d[I_TERRITORY].size) and eat(&p, end, b"|", 1)
        ):
            return False
        if d[I_DIMS].kind == V_MAP:
            sort_entries(&self.scan, entries)
            count = self.scan.entries_count
        for i in range(count):
            if i and not eat(&p, end, b";", 1):
                return False
            if not (
                eat(&p, end, entries[i].name, entries[i].name_size) and eat(&p, end, b"=", 1)
                and eat(&p, end, entries[i].text, entries[i].text_size)
            ):
                return False
        return p == end


include "_entities.pxi"
include "_parts.pxi"
