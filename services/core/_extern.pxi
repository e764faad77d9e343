# What the C of _fast.h and _scan.h offers.

cdef extern from "Python.h":
    ctypedef struct PyObject:
        pass
    PyObject *PyDict_GetItemWithError(object, object) except? NULL
    PyObject *PyList_GET_ITEM(object, Py_ssize_t) noexcept

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
    void changes_empty(Changes *) noexcept
    void changes_clear(Changes *) noexcept

cdef extern from "_scan.h":
    enum:
        MOST_FIELDS, MOST_ENTRIES, MOST_MEMBERS, MOST_ENVELOPE, MOST_PAYMENT
        A_TEXT, A_MEMBER, A_INT, A_REAL, A_BOOL, A_INSTANTS, A_TEXTS, A_STRUCT, A_DATA
        V_MISSING, V_NULL, V_TEXT, V_INT, V_REAL, V_FALSE, V_TRUE, V_MAP, V_STRUCT
    ctypedef struct Value:
        const char *text
        int64_t number
        double real
        int32_t size, kind
    ctypedef struct Entry:
        const char *name
        const char *text
        int32_t name_size, text_size
    ctypedef struct Member:
        const char *text
        int32_t size
    ctypedef struct Field:
        const char *json
        int32_t json_size, asks, nullable, required, members, kind, name_size
        int64_t least, most
        Member *member
        uint8_t *name
    ctypedef struct Plan:
        int32_t count
        int32_t *after
        uint64_t required
        Field *fields
    ctypedef struct Scan:
        Value *envelope
        Value *data
        Value *payment
        Entry *entries
        int32_t entries_count, type_at
        Plan *envelope_plan
        Plan *payment_plan
        Plan **data_plans
        char *arena
    int scan_event(Scan *, const uint8_t *, size_t) noexcept
