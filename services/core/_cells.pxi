# What an entity contributes, packed as the state keeps it: services.core.contributions, in C.

cdef struct Cells:
    int count
    uint32_t facts          # those that are folded, by number (services.core.selection)
    uint8_t bytes[16 * 20]  # "<iqq" each: pane, code, sum

cdef inline int64_t member(const Value *value) noexcept:
    """The place of an enum's member in the contract's list, -1 for null."""
    return value.number if value.kind == V_TEXT else -1


cdef inline int64_t number_of(const Value *value) noexcept:
    """A whole number of the contract (they fit); 0 for null."""
    return value.number if value.kind == V_INT else 0


cdef inline int64_t floor_div(int64_t a, int64_t b) noexcept:
    cdef int64_t q = a / b
    return q - 1 if a % b < 0 else q


cdef inline void put_packed(Cells *out, int32_t pane, int64_t code, int64_t s) noexcept:
    cdef uint8_t *p = out.bytes + out.count * 20
    if not out.facts >> (code >> FACT & 31) & 1:
        return
    memcpy(p, &pane, 4)
    memcpy(p + 4, &code, 8)
    memcpy(p + 12, &s, 8)
    out.count += 1


cdef inline void put_cell(Cells *out, int64_t ms, int64_t code, int64_t s) noexcept:
    # That the pane fits is looked at before, with all milestones.
    put_packed(out, <int32_t>(ms / PANE_MS) if ms > 0 else 0, code, s)


cdef inline int64_t due_minute(int64_t due) noexcept:
    cdef int64_t minute = floor_div(due, 60000) + 1
    return 1 if minute < 1 else (MOST_DUE if minute > MOST_DUE else minute)


cdef inline int64_t duration_bucket(int64_t ms) noexcept:
    if ms <= 0:
        return 1
    cdef int64_t bucket = 2 + <int64_t>ceil(log(<double>ms) / LOG_GAMMA)
    return MOST_BUCKET if bucket > MOST_BUCKET else bucket


cdef void report_cells(const Value *d, Walked *w, int64_t territory, Cells *out) noexcept:
    cdef int64_t base = (
        territory << TERRITORY
        | member(&d[R_CATEGORY]) << R_CATEGORY_SHIFT
        | member(&d[R_CHANNEL]) << R_CHANNEL_SHIFT
        | member(&d[R_PRIORITY]) << R_PRIORITY_SHIFT
    )
    cdef int64_t reported = w.ms[R_REPORTED_AT]
    cdef int64_t status = member(&d[R_STATUS])
    cdef int64_t due = w.ms[R_DUE_AT]
    cdef int64_t ms, code, elapsed
    put_cell(out, reported, base | F_REPORTED, 0)
    ms = w.ms[R_ACKNOWLEDGED_AT]
    if ms != ABSENT:
        elapsed = ms - reported
        if elapsed >= 0:
            put_cell(out, ms, base | F_ACKNOWLEDGED | F_ACK_VALID, elapsed)
        else:
            put_cell(out, ms, base | F_ACKNOWLEDGED, 0)
    ms = w.ms[R_ANSWERED_AT]
    if ms != ABSENT:
        code = base | F_ANSWERED
        if due != ABSENT:
            code |= (ON_TIME if ms <= due else LATE) << F_TIMELINESS_SHIFT
        if number_of(&d[R_EXTENDED_COUNT]):
            code |= F_EXTENDED
        elapsed = ms - reported
        if elapsed >= 0:
            put_cell(out, ms, code | duration_bucket(elapsed) << F_BUCKET_SHIFT, elapsed)
        else:
            put_cell(out, ms, code, 0)
    if w.ms[R_CLOSED_AT] != ABSENT and CLOSING >> status & 1:
        put_cell(out, w.ms[R_CLOSED_AT], base | F_CLOSED | status << F_STATUS_SHIFT, 0)
    if w.ms[R_RATED_AT] != ABSENT:
        code = F_GOOD if is_good(&d[R_RATING]) else 0
        put_cell(out, w.ms[R_RATED_AT], base | F_RATED | code, 0)
    if OPEN_REPORT >> status & 1:
        code = base | F_OPEN | status << F_STATUS_SHIFT
        if due != ABSENT:
            code |= due_minute(due) << F_DUE_SHIFT
        put_packed(out, STOCK, code, 0)


cdef inline bint is_good(const Value *rating) noexcept:
    cdef int64_t number = member(rating)
    return number >= 0 and GOOD >> number & 1


cdef void case_cells(const Value *d, Walked *w, int64_t territory, Cells *out) noexcept:
    cdef int64_t base = (
        territory << TERRITORY
        | member(&d[C_LEVEL]) << C_LEVEL_SHIFT
        | member(&d[C_PROCEDURE_FIELD]) << C_FIELD_SHIFT
        | member(&d[C_CHANNEL]) << C_CHANNEL_SHIFT
        | member(&d[C_SERVICE_LEVEL]) << C_SERVICE_SHIFT
        | member(&d[C_PORTAL]) << C_PORTAL_SHIFT
    )
    cdef int64_t status = member(&d[C_STATUS])
    cdef int64_t registered = w.ms[C_REGISTERED_AT]
    cdef int64_t accepted = w.ms[C_ACCEPTED_AT]
    cdef int64_t solved = w.ms[C_SOLVED_AT]
    cdef int64_t due = w.ms[C_DUE_AT]
    cdef int64_t ms, code, elapsed, before, number
    cdef bint paid_online = w.payment != NULL and (
        member(&w.payment[PAY_METHOD]) != CASH
    )
    cdef int step
    code = base | G_REGISTERED
    if d[C_AUTH].kind == V_TRUE:
        code |= G_AUTH
    if d[C_POPDB_CHECKED].kind == V_TRUE:
        code |= G_POPDB
    if w.ms[C_SYNCED_AT] != ABSENT:
        code |= G_SYNCED
    if status == REFUSED:
        code |= G_REFUSED
    put_cell(out, registered, code, 0)
    if accepted != ABSENT:
        number = number_of(&d[C_TOTAL])
        put_cell(out, accepted, base | G_ACCEPTED, number)
        number = number_of(&d[C_DIGITISED])
        if number:
            put_cell(out, accepted, base | G_DIGITISED, number)
        number = number_of(&d[C_REUSED])
        if number:
            put_cell(out, accepted, base | G_REUSED, number)
    if solved != ABSENT:
        code = base | G_SOLVED
        if due != ABSENT:
            if solved > due:
                number = LATE
            elif solved < floor_div(due + DAY_OFFSET, DAY) * DAY - DAY_OFFSET:
                number = EARLY
            else:
                number = ON_TIME
            code |= number << G_TIMELINESS_SHIFT
        if d[C_RESULT_DIGITAL].kind == V_TRUE:
            code |= G_DIGITAL
        if number_of(&d[C_FEE_DUE]) > 0:
            code |= (FEE_PAID_ONLINE if paid_online else FEE_DUE) << G_FEE_SHIFT
        elapsed = -1 if accepted == ABSENT else solved - accepted
        if elapsed >= 0:
            put_cell(out, solved, code | duration_bucket(elapsed) << G_BUCKET_SHIFT, elapsed)
        else:
            put_cell(out, solved, code, 0)
    if w.ms[C_RETURNED_AT] != ABSENT:
        code = base | G_RETURNED
        if member(&d[C_CHANNEL]) == ONLINE and (
            member(&d[C_RESULT_CHANNEL]) == ONLINE
        ):
            code |= G_FULL_ONLINE
        put_cell(out, w.ms[C_RETURNED_AT], code, 0)
    if paid_online:
        number = number_of(&w.payment[PAY_AMOUNT])
        put_cell(out, w.paid_at, base | G_PAID, number)
    if w.has_steps:
        before = registered
        for step in range(5):
            ms = w.step_ms[step]
            if ms == ABSENT:
                continue
            code = base | G_STEP | <int64_t>step << G_STEP_SHIFT
            elapsed = ms - before
            if elapsed >= 0:
                put_cell(out, ms, code | G_STEP_VALID, elapsed)
            else:
                put_cell(out, ms, code, 0)
            before = ms
    if w.ms[C_RATED_AT] != ABSENT:
        code = G_GOOD if is_good(&d[C_RATING]) else 0
        put_cell(out, w.ms[C_RATED_AT], base | G_RATED | code, 0)
    if OPEN_CASE >> status & 1:
        code = base | G_OPEN | status << G_STATUS_SHIFT
        if due != ABSENT and not PAUSED_CASE >> status & 1:
            code |= due_minute(due) << G_DUE_SHIFT
        put_packed(out, STOCK, code, 0)


cdef int64_t listing_cells(const Value *d, Walked *w, int64_t territory, Cells *out) noexcept:
    """Also returns the packed territory and dimensions."""
    cdef int64_t base = (
        territory << TERRITORY
        | member(&d[L_PLATFORM]) << L_PLATFORM_SHIFT
        | member(&d[L_GROUP]) << L_GROUP_SHIFT
        | member(&d[L_SELLER]) << L_SELLER_SHIFT
    )
    put_cell(out, w.ms[L_CREATED_AT], base | E_CREATED, 0)
    if w.ms[L_DELISTED_AT] != ABSENT:
        put_cell(out, w.ms[L_DELISTED_AT], base | E_DELISTED, 0)
    return base


cdef void order_cells(const Value *d, Walked *w, int64_t territory, Cells *out) noexcept:
    cdef int64_t base = (
        territory << TERRITORY
        | member(&d[O_PLATFORM]) << O_PLATFORM_SHIFT
        | member(&d[O_PAYMENT]) << O_PAYMENT_SHIFT
    )
    cdef int64_t status = member(&d[O_STATUS])
    cdef int64_t code = base | E_PLACED | (E_CANCELLED_FLAG if status == CANCELLED else 0)
    put_cell(out, w.ms[O_PLACED_AT], code, 0)
    if w.ms[O_COMPLETED_AT] != ABSENT:
        code = base | E_COMPLETED | (E_COMPLETED_FLAG if status == COMPLETED else 0)
        put_cell(out, w.ms[O_COMPLETED_AT], code, number_of(&d[O_VALUE]))


cdef bint exchange(Changes *changes, const uint8_t *old, int old_count, Cells *new) noexcept:
    """Add the new contributions that are not among the old ones, take away those the other way
    round; False when there is no memory."""
    cdef uint32_t kept = 0  # old contributions that stand among the new ones
    cdef int i, j, at_old, near = 0
    if old_count == new.count and memcmp(old, new.bytes, old_count * 20) == 0:
        return True
    for i in range(new.count):
        # They come in the same order, so the partner is mostly the next one.
        for j in range(old_count):
            at_old = (near + j) % old_count
            if memcmp(old + at_old * 20, new.bytes + i * 20, 20) == 0:
                kept |= <uint32_t>1 << at_old
                near = at_old + 1
                break
        else:
            if not count_cell(changes, new.bytes + i * 20, 1):
                return False
    for j in range(old_count):
        if not kept >> j & 1 and not count_cell(changes, old + j * 20, -1):
            return False
    return True


cdef inline bint count_cell(Changes *changes, const uint8_t *cell, int sign) noexcept:
    cdef int32_t pane
    cdef int64_t code, s
    memcpy(&pane, cell, 4)
    memcpy(&code, cell + 4, 8)
    memcpy(&s, cell + 12, 8)
    return changes_add(changes, pane, code, sign, sign * s)
