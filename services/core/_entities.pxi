# The bytes of entities, keys and headers.


cdef inline bint is_named(const Origin *of, const Value *name) noexcept:
    return of.size == name.size and memcmp(of.name, name.text, name.size) == 0


cdef inline bint eat(const uint8_t **p, const uint8_t *end, const char *text, Py_ssize_t size) noexcept:
    if end - p[0] < size or memcmp(p[0], text, size) != 0:
        return False
    p[0] += size
    return True


cdef int64_t varint(const uint8_t **p) noexcept:
    """A zigzag number of Kafka's record format; whoever packed the records has checked its bounds."""
    cdef uint64_t out = 0
    cdef int shift = 0
    cdef uint8_t byte
    while shift < 64:
        byte = p[0][0]
        p[0] += 1
        out |= <uint64_t>(byte & 0x7F) << shift
        if not byte & 0x80:
            break
        shift += 7
    return <int64_t>(out >> 1) ^ -<int64_t>(out & 1)


cdef int64_t stated_arrival(const uint8_t *headers, int64_t otherwise) noexcept:
    """services.core.record.arrival_ms of an event-clock system."""
    cdef int64_t count = varint(&headers), name_size, size, arrival
    cdef const uint8_t *name
    cdef int64_t i, j
    for i in range(count):
        name_size = varint(&headers)
        name = headers
        headers += name_size
        size = varint(&headers)
        if size < 0:
            continue
        if 0 < size <= 20 and name_size == ARRIVAL_NAME_SIZE and (
            memcmp(name, ARRIVAL_NAME, name_size) == 0
        ):
            arrival = 0
            for j in range(size):
                if headers[j] < 48 or headers[j] > 57:
                    break
                if arrival < LATEST_ARRIVAL:
                    arrival = arrival * 10 + headers[j] - 48
            else:
                if arrival < LATEST_ARRIVAL:
                    return arrival
        headers += size
    return otherwise


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


cdef void put_active(uint8_t *p, const Value *d, int64_t base) noexcept:
    cdef uint64_t store = ioc_xxh64(<const uint8_t *>d[L_STORE].text, d[L_STORE].size), product = 0
    if number_of(&d[L_STARS]) >= OCOP_STARS:
        product = ioc_xxh64(<const uint8_t *>d[L_PRODUCT].text, d[L_PRODUCT].size)
        product = product if product else 1
    memcpy(p, &base, 8)
    memcpy(p + 8, &store, 8)
    memcpy(p + 16, &product, 8)
    p[24] = 1 if number_of(&d[L_STOCK]) == 0 else 0


cdef object entity_key(int kind, const uint8_t *store, Py_ssize_t store_size, const Value *id):
    """``l`` or ``o``, the length of the store's id, a colon, both ids."""
    cdef char number[24]
    cdef int digits = snprintf(
        number, 24, "l%d:" if kind == LISTING else "o%d:", <int>store_size
    )
    key = PyBytes_FromStringAndSize(NULL, digits + store_size + id.size)
    cdef char *p = PyBytes_AS_STRING(key)
    memcpy(p, number, digits)
    memcpy(p + digits, store, store_size)
    memcpy(p + digits + store_size, id.text, id.size)
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
