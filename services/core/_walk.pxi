# One walk over a decoded entity: every instant is read, and the canonical MessagePack is written
# of which the digest is taken (schemas.codec.digest), in one go.

cdef enum:
    PLAIN      # text, number, truth value or null, written as it is
    INSTANT    # text that must be an instant
    MILESTONE  # the same, and it must not lie in the future
    REAL       # a float that is 0.0 where it is -0.0
    STEPS      # a dict of milestones
    PAYMENT    # a struct of its own
    DIMS       # a dict of text

cdef int64_t ABSENT = INT64_MIN

cdef struct Field:
    Py_ssize_t offset
    int kind
    int name_size
    uint8_t name[40]  # as MessagePack

cdef struct Plan:
    int count
    Field fields[40]

cdef struct Walked:
    int64_t ms[40]        # instants by number of the field, ABSENT for null
    int64_t latest        # the latest milestone
    int64_t step_ms[5]    # by Step
    bint has_steps
    PyObject *payment     # NULL without one
    int64_t paid_at
    uint8_t *cursor       # where the MessagePack ends
    uint8_t *limit        # where its buffer ends

cdef Plan REPORT_PLAN, CASE_PLAN, LISTING_PLAN, ORDER_PLAN, INDICATOR_PLAN, PAYMENT_PLAN
# Room for a header, a number or an instant behind any text that fits the buffer.
cdef Py_ssize_t SPARE = 64


cdef inline PyObject *at(PyObject *struct, Py_ssize_t offset) noexcept:
    """A member of a msgspec struct (a slot, see `offset_of`); borrowed."""
    return (<PyObject **>(<char *>struct + offset))[0]


cdef Py_ssize_t offset_of(object struct, str name) except -1:
    """Where a struct keeps a member. Raises ImportError where msgspec keeps it in another way."""
    member = getattr(struct, name)
    if type(member) is not MemberDescriptorType:
        raise ImportError(f"{struct.__name__}.{name} is no slot")
    cdef PyMemberDef *d = (<PyMemberDescrObject *><PyObject *>member).d_member
    if d.type != T_OBJECT and d.type != T_OBJECT_EX:
        raise ImportError(f"{struct.__name__}.{name} is no slot of objects")
    return d.offset


cdef int make_plan(Plan *plan, object struct, dict kinds) except -1:
    names = struct.__struct_fields__
    if len(names) > 40:
        raise ImportError(f"{struct.__name__} has too many fields")
    plan.count = len(names)
    for i, name in enumerate(names):
        packed = MSGPACK.encode(name)
        plan.fields[i].offset = offset_of(struct, name)
        plan.fields[i].kind = kinds.get(name, PLAIN)
        plan.fields[i].name_size = len(packed)
        memcpy(plan.fields[i].name, <const char *>packed, len(packed))
    return 0


cdef inline const char *text_of(PyObject *value, Py_ssize_t *size) noexcept:
    """The UTF-8 of text, NULL for anything that has none."""
    if not PyUnicode_CheckExact(value):
        return NULL
    cdef const char *text = PyUnicode_AsUTF8AndSize(value, size)
    if text == NULL:
        PyErr_Clear()
    return text


cdef inline bint put_value(Walked *w, PyObject *value) noexcept:
    """Write text, a number, a truth value or null; False for anything else."""
    cdef Py_ssize_t size
    cdef const char *text
    cdef int overflow = 0
    cdef int64_t number
    if w.limit - w.cursor < SPARE:
        return False
    if PyUnicode_CheckExact(value):
        text = text_of(value, &size)
        if text == NULL or w.limit - w.cursor < size + SPARE:
            return False
        w.cursor = put_text(w.cursor, text, size)
    elif value is <PyObject *>None:
        w.cursor[0] = 0xC0
        w.cursor += 1
    elif value is Py_True or value is Py_False:
        w.cursor[0] = 0xC3 if value is Py_True else 0xC2
        w.cursor += 1
    elif PyLong_CheckExact(value):
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow:
            return False
        w.cursor = put_int(w.cursor, number)
    elif PyFloat_CheckExact(value):
        w.cursor = put_float(w.cursor, PyFloat_AS_DOUBLE(value))
    else:
        return False
    return True


cdef inline bint instant_of(PyObject *value, int64_t *ms) noexcept:
    cdef Py_ssize_t size
    cdef const char *text = text_of(value, &size)
    return text != NULL and ioc_instant(text, size, ms)


cdef struct Entry:
    const char *name
    Py_ssize_t size
    PyObject *value


cdef int sorted_entries(PyObject *mapping, Entry *entries) noexcept:
    """The entries of a dict of text, sorted by key; -1 for what is none or too large."""
    cdef Py_ssize_t position = 0
    cdef PyObject *key
    cdef PyObject *value
    cdef Entry entry
    cdef int count = 0, i
    if not PyDict_CheckExact(mapping) or PyDict_Size(mapping) > MOST_ENTRIES:
        return -1
    while PyDict_Next(mapping, &position, &key, &value):
        entry.name = text_of(key, &entry.size)
        if entry.name == NULL:
            return -1
        entry.value = value
        i = count
        while i > 0 and less(&entry, &entries[i - 1]):
            entries[i] = entries[i - 1]
            i -= 1
        entries[i] = entry
        count += 1
    return count


cdef inline bint less(Entry *a, Entry *b) noexcept:
    # The order of UTF-8 bytes is that of code points.
    cdef int order = memcmp(a.name, b.name, a.size if a.size < b.size else b.size)
    return order < 0 or (order == 0 and a.size < b.size)


cdef bint put_steps(Walked *w, PyObject *steps) noexcept:
    cdef Entry entries[MOST_ENTRIES]
    cdef int count = sorted_entries(steps, entries)
    cdef int i, step
    cdef int64_t ms
    if count < 0 or w.limit - w.cursor < SPARE:
        return False
    w.has_steps = count > 0
    w.cursor = put_map(w.cursor, count)
    for i in range(count):
        if w.limit - w.cursor < entries[i].size + SPARE or not instant_of(entries[i].value, &ms):
            return False
        w.cursor = put_int(put_text(w.cursor, entries[i].name, entries[i].size), ms)
        if ms > w.latest:
            w.latest = ms
        for step in range(5):
            if entries[i].size == STEP_SIZES[step] and (
                memcmp(entries[i].name, STEP_NAMES[step], entries[i].size) == 0
            ):
                w.step_ms[step] = ms
    return True


cdef bint put_dims(Walked *w, PyObject *dims) noexcept:
    cdef Entry entries[MOST_ENTRIES]
    cdef int count = sorted_entries(dims, entries)
    cdef int i
    if count < 0 or w.limit - w.cursor < SPARE:
        return False
    w.cursor = put_map(w.cursor, count)
    for i in range(count):
        if w.limit - w.cursor < entries[i].size + SPARE:
            return False
        w.cursor = put_text(w.cursor, entries[i].name, entries[i].size)
        if not put_value(w, entries[i].value):
            return False
    return True


cdef bint walk(Plan *plan, PyObject *struct, Walked *w) noexcept:
    """Read and write a whole entity; False when anything in it calls for the pure form."""
    cdef Walked inner
    cdef Field *field
    cdef PyObject *value
    cdef int i
    cdef int64_t ms
    if w.limit - w.cursor < SPARE:
        return False
    w.cursor = put_map(w.cursor, plan.count)
    for i in range(plan.count):
        field = &plan.fields[i]
        value = at(struct, field.offset)
        if value == NULL or w.limit - w.cursor < SPARE + 40:
            return False
        memcpy(w.cursor, field.name, field.name_size)
        w.cursor += field.name_size
        if value is <PyObject *>None or field.kind == PLAIN:
            w.ms[i] = ABSENT
            if not put_value(w, value):
                return False
        elif field.kind == INSTANT or field.kind == MILESTONE:
            if not instant_of(value, &ms):
                return False
            w.ms[i] = ms
            w.cursor = put_int(w.cursor, ms)
            if field.kind == MILESTONE and ms > w.latest:
                w.latest = ms
        elif field.kind == REAL:
            if not PyFloat_CheckExact(value):
                return False
            w.cursor = put_float(w.cursor, PyFloat_AS_DOUBLE(value) + 0.0)
        elif field.kind == STEPS:
            if not put_steps(w, value):
                return False
        elif field.kind == DIMS:
            if not put_dims(w, value):
                return False
        else:
            inner.latest = w.latest
            inner.cursor = w.cursor
            inner.limit = w.limit
            if not walk(&PAYMENT_PLAN, value, &inner):
                return False
            w.payment = value
            w.paid_at = inner.ms[PAID_AT]
            w.latest = inner.latest
            w.cursor = inner.cursor
    return True
