# What the contributions since the last flush add up to.


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
        changes_empty(&self.table)
        return Delta(*[np.frombuffer(column, dtype="<i8") for column in columns])
