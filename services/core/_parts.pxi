# The small parts, for the tests that hold them against their twins in Python.


def instant(str text):
    """schemas.codec.parse_instant: ms since the epoch, or None for text that is no instant."""
    cdef int64_t ms
    given = text.encode(errors="surrogatepass")
    return ms if ioc_instant(given, len(given), &ms) else None


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


def scans(bytes value):
    """The scan takes these bytes for an event: which of v1's types, None where the codec decides."""
    cdef Scan scan
    cdef int kind
    memset(&scan, 0, sizeof(scan))
    scan.type_at = TYPE_AT
    scan.envelope_plan = &ENVELOPE_PLAN
    scan.payment_plan = &PAYMENT_PLAN
    scan.data_plans = PLANS
    scan.arena = <char *>malloc(len(value) + 1)
    if scan.arena == NULL:
        raise MemoryError
    kept = scan.arena
    kind = scan_event(&scan, <const uint8_t *>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    free(kept)
    return None if kind < 0 else kind
