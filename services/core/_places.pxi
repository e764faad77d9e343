# The territory row of an entity, behind a cache.


cdef struct Place:
    int used
    int row
    int sizes[3]   # of the codes, -1 for null
    char codes[24]


cdef object text_of(const Value *value):
    """Text as Python has it, None for null."""
    return None if value.kind == V_NULL else value.text[:value.size].decode()


cdef class Places:
    """Territories.deepest and .of_code behind a small cache by the codes' text."""

    cdef Place cache[16384]
    cdef object territories
    cdef uint8_t *unknown
    cdef int32_t *province_of  # row -> number of its province
    cdef list codes            # of the provinces, by number

    def __init__(self, territories, is_unknown, provinces):
        cdef Py_ssize_t i
        self.territories = territories
        self.codes = sorted(set(provinces))
        self.unknown = <uint8_t *>malloc(len(is_unknown) + 1)
        self.province_of = <int32_t *>malloc((len(provinces) + 1) * sizeof(int32_t))
        if self.unknown == NULL or self.province_of == NULL:
            raise MemoryError
        numbers = {code: number for number, code in enumerate(self.codes)}
        for i in range(len(is_unknown)):
            self.unknown[i] = 1 if is_unknown[i] else 0
            self.province_of[i] = numbers[provinces[i]]

    def __dealloc__(self):
        free(self.unknown)
        free(self.province_of)

    cdef int deepest(self, const Value *province, const Value *district, const Value *commune) except -1:
        """The row of an entity; with NULL for the others, that of a single code."""
        cdef const Value *given[3]
        cdef Place wanted
        cdef Place *found
        cdef int i, used = 0
        cdef uint64_t words[3]
        given[0], given[1], given[2] = province, district, commune
        memset(wanted.codes, 0, 24)
        for i in range(3):
            if given[i] == NULL:
                wanted.sizes[i] = -2
            elif given[i].kind == V_NULL:
                wanted.sizes[i] = -1
            else:
                if used + given[i].size > 24:
                    return self.look_up(province, district, commune)
                memcpy(wanted.codes + used, given[i].text, given[i].size)
                wanted.sizes[i] = given[i].size
                used += given[i].size
        memcpy(words, wanted.codes, 24)
        words[0] = (words[0] ^ (words[1] * SPREAD_A) ^ (words[2] * SPREAD_B)) * SPREAD_A
        words[0] ^= <uint64_t>(wanted.sizes[0] + 64 * wanted.sizes[1] + 4096 * wanted.sizes[2])
        found = &self.cache[(words[0] ^ words[0] >> 29 ^ words[0] >> 47) & 16383]
        if not (
            found.used
            and memcmp(found.sizes, wanted.sizes, sizeof(wanted.sizes)) == 0
            and memcmp(found.codes, wanted.codes, 24) == 0
        ):
            wanted.row = self.look_up(province, district, commune)
            wanted.used = 1
            found[0] = wanted
        return found.row

    cdef int look_up(self, const Value *province, const Value *district, const Value *commune) except -1:
        if district == NULL:
            return self.territories.of_code(text_of(province))
        return self.territories.deepest(text_of(province), text_of(district), text_of(commune))
