# One walk over a scanned entity: every instant is read, and the canonical MessagePack is written
# of which the digest is taken (schemas.codec.digest), in one go.

cdef enum:
    PLAIN      # text, number, truth value or null, written as it is
    INSTANT    # text that must be an instant
    MILESTONE  # the same, and it must not lie in the future
    REAL       # a float that is 0.0 where it is -0.0
    STEPS      # a map of milestones
    PAYMENT    # a struct of its own
    DIMS       # a map of text

cdef int64_t ABSENT = INT64_MIN

cdef struct Walked:
    int64_t ms[40]        # instants by number of the field, ABSENT for null
    int64_t latest        # the latest milestone
    int64_t step_ms[5]    # by Step
    bint has_steps
    Value *payment        # its fields, NULL without one
    int64_t paid_at
    uint8_t *cursor       # where the MessagePack ends
    uint8_t *limit        # where its buffer ends

cdef Plan REPORT_PLAN, CASE_PLAN, LISTING_PLAN, ORDER_PLAN, INDICATOR_PLAN, PAYMENT_PLAN
cdef Plan ENVELOPE_PLAN
# Room for a header, a number or an instant behind any text that fits the buffer.
cdef Py_ssize_t SPARE = 64


cdef int make_plan(Plan *plan, object struct, dict kinds) except -1:
    """What msgspec asks of a struct of schemas.v1, field by field.

    Raises ImportError for what :file:`_scan.h` does not know: then the pure form runs.
    """
    fields = msgspec.inspect.type_info(struct).fields
    if len(fields) > MOST_FIELDS:
        raise ImportError(f"{struct.__name__} has too many fields")
    plan.count = len(fields)
    plan.required = 0
    for i in range(MOST_FIELDS + 1):
        plan.after[i] = i if i < plan.count else 0
    for i, field in enumerate(fields):
        make_field(&plan.fields[i], field, struct, kinds.get(field.name, PLAIN))
        if field.required:
            plan.required |= <uint64_t>1 << <int>i
    return 0


cdef int make_field(Field *out, object field, object struct, int kind) except -1:
    cdef uint64_t most = INT64_MAX
    asked, nullable = without_null(field.type)
    if not field.required and field.default is not None:
        raise ImportError(f"{struct.__name__}.{field.name} has a default")
    json = field.encode_name.encode()
    packed = MSGPACK.encode(field.name)
    KEPT.extend((json, packed))
    out.json, out.json_size = json, len(json)
    out.name_size = len(packed)
    memcpy(out.name, <const char *>packed, len(packed))
    out.kind = kind
    out.nullable = nullable
    out.least, out.most, out.members = 0, most, 0
    if kind == INSTANT or kind == MILESTONE:
        out.asks = A_TEXT
        if not is_instant(asked):
            raise ImportError(f"{struct.__name__}.{field.name} is no instant")
    elif isinstance(asked, msgspec.inspect.StrType):
        out.asks = A_TEXT
        out.least = asked.min_length or 0
        if asked.max_length is not None:
            out.most = asked.max_length
        if asked.pattern is not None:
            raise ImportError(f"{struct.__name__}.{field.name} has a pattern")
    elif isinstance(asked, msgspec.inspect.LiteralType):
        out.asks = A_MEMBER
        hints = {f.name: f.type for f in msgspec.structs.fields(struct)}
        make_members(out, in_order(hints[field.name], asked.values))
    elif isinstance(asked, msgspec.inspect.IntType):
        out.asks = A_INT
        out.least = INT64_MIN if asked.ge is None else asked.ge
        if asked.le is not None:
            out.most = asked.le
        if (asked.gt, asked.lt, asked.multiple_of) != (None, None, None):
            raise ImportError(f"{struct.__name__}.{field.name} has other limits")
    elif isinstance(asked, msgspec.inspect.FloatType) and kind == REAL:
        out.asks = A_REAL
        if (asked.gt, asked.ge, asked.lt, asked.le, asked.multiple_of) != (None,) * 5:
            raise ImportError(f"{struct.__name__}.{field.name} has limits")
    elif isinstance(asked, msgspec.inspect.BoolType):
        out.asks = A_BOOL
    elif kind == STEPS and is_instant(asked.value_type):
        out.asks = A_INSTANTS
    elif kind == DIMS and asked.value_type == msgspec.inspect.StrType():
        out.asks = A_TEXTS
    elif kind == PAYMENT and asked.cls is v1.Payment:
        out.asks = A_STRUCT
    elif field.name == "data":
        out.asks = A_DATA
    else:
        raise ImportError(f"{struct.__name__}.{field.name} is of an unknown kind")
    return 0


cdef int make_members(Field *out, object values) except -1:
    if len(values) > MOST_MEMBERS:
        raise ImportError("an enum of the contract has too many members")
    out.members = len(values)
    for i, value in enumerate(values):
        text = value.encode()
        KEPT.append(text)
        out.member[i].text, out.member[i].size = text, len(text)
    return 0


def in_order(hint, members):
    """The members of a Literal, or of one that may be null, in contract order."""
    for part in (hint, *typing.get_args(hint)):
        values = typing.get_args(part)
        if sorted(v for v in values if isinstance(v, str)) == sorted(members):
            return values
    raise ImportError("an enum of the contract is written in another way")


def without_null(asked):
    """A type without its null, and whether it had one."""
    if not isinstance(asked, msgspec.inspect.UnionType):
        return asked, False
    rest = [t for t in asked.types if not isinstance(t, msgspec.inspect.NoneType)]
    if len(rest) != 1:
        raise ImportError("a union of the contract has too many members")
    return rest[0], len(rest) < len(asked.types)


def is_instant(asked):
    """It is decoded by the codec's hook from RFC 3339 text."""
    return isinstance(asked, msgspec.inspect.CustomType) and asked.cls is v1.Instant


cdef inline bint put_value(Walked *w, const Value *value) noexcept:
    """Write text, a number, a truth value or null; False where there is no room for it."""
    if w.limit - w.cursor < SPARE:
        return False
    if value.kind == V_TEXT:
        if w.limit - w.cursor < value.size + SPARE:
            return False
        w.cursor = put_text(w.cursor, value.text, value.size)
    elif value.kind == V_INT:
        w.cursor = put_int(w.cursor, value.number)
    elif value.kind == V_REAL:
        w.cursor = put_float(w.cursor, value.real)
    else:
        w.cursor[0] = 0xC3 if value.kind == V_TRUE else 0xC2 if value.kind == V_FALSE else 0xC0
        w.cursor += 1
    return True


cdef inline bint instant_of(const Value *value, int64_t *ms) noexcept:
    return value.kind == V_TEXT and ioc_instant(value.text, value.size, ms)


cdef void sort_entries(const Scan *s, Entry *entries) noexcept:
    """The entries of the event's map, sorted by name."""
    cdef int count, i
    for count in range(s.entries_count):
        i = count
        while i > 0 and less(&s.entries[count], &entries[i - 1]):
            entries[i] = entries[i - 1]
            i -= 1
        entries[i] = s.entries[count]


cdef inline bint less(const Entry *a, const Entry *b) noexcept:
    # The order of UTF-8 bytes is that of code points.
    cdef int order = memcmp(a.name, b.name, a.name_size if a.name_size < b.name_size else b.name_size)
    return order < 0 or (order == 0 and a.name_size < b.name_size)


cdef bint put_steps(Walked *w, const Scan *s) noexcept:
    cdef Entry entries[MOST_ENTRIES]
    cdef int i, step
    cdef int64_t ms
    sort_entries(s, entries)
    w.has_steps = s.entries_count > 0
    w.cursor = put_map(w.cursor, s.entries_count)
    for i in range(s.entries_count):
        if w.limit - w.cursor < entries[i].name_size + SPARE or not (
            ioc_instant(entries[i].text, entries[i].text_size, &ms)
        ):
            return False
        w.cursor = put_int(put_text(w.cursor, entries[i].name, entries[i].name_size), ms)
        if ms > w.latest:
            w.latest = ms
        for step in range(5):
            if entries[i].name_size == STEP_SIZES[step] and (
                memcmp(entries[i].name, STEP_NAMES[step], entries[i].name_size) == 0
            ):
                w.step_ms[step] = ms
    return True


cdef bint put_texts(Walked *w, const Entry *entries, int count) noexcept:
    cdef int i
    if w.limit - w.cursor < SPARE:
        return False
    w.cursor = put_map(w.cursor, count)
    for i in range(count):
        if w.limit - w.cursor < entries[i].name_size + entries[i].text_size + SPARE:
            return False
        w.cursor = put_text(w.cursor, entries[i].name, entries[i].name_size)
        w.cursor = put_text(w.cursor, entries[i].text, entries[i].text_size)
    return True


cdef bint walk(const Plan *plan, Scan *s, Value *values, Walked *w) noexcept:
    """Read and write a whole entity; False when anything in it calls for the pure form."""
    cdef Walked inner
    cdef Entry entries[MOST_ENTRIES]
    cdef const Field *field
    cdef Value *value
    cdef int i
    cdef int64_t ms
    if w.limit - w.cursor < SPARE:
        return False
    w.cursor = put_map(w.cursor, plan.count)
    for i in range(plan.count):
        field = &plan.fields[i]
        value = &values[i]
        if w.limit - w.cursor < SPARE + 40:
            return False
        memcpy(w.cursor, field.name, field.name_size)
        w.cursor += field.name_size
        if value.kind == V_NULL or field.kind == PLAIN:
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
            w.cursor = put_float(w.cursor, value.real + 0.0)
        elif field.kind == STEPS:
            if not put_steps(w, s):
                return False
        elif field.kind == DIMS:
            sort_entries(s, entries)
            if not put_texts(w, entries, s.entries_count):
                return False
        else:
            inner.latest = w.latest
            inner.cursor = w.cursor
            inner.limit = w.limit
            if not walk(&PAYMENT_PLAN, s, s.payment, &inner):
                return False
            w.payment = s.payment
            w.paid_at = inner.ms[PAID_AT]
            w.latest = inner.latest
            w.cursor = inner.cursor
    return True
