# The tables of the scan and the walk, filled once, by kind of entity.

cdef Plan *PLANS[5]
cdef int KEY_AT[5]       # the text that must be the record's key (not of indicators)
cdef int ID_AT[5]        # the rest of the entity's name in its store
cdef int REVISION_AT[5]
cdef int PROVINCE[5]
cdef int DISTRICT[5]
cdef int COMMUNE[5]
cdef int SOURCE_AT, TIME_AT, TYPE_AT
cdef const char *STEP_NAMES[5]
cdef Py_ssize_t STEP_SIZES[5]

PLANS[:] = [&REPORT_PLAN, &CASE_PLAN, &LISTING_PLAN, &ORDER_PLAN, &INDICATOR_PLAN]


cdef int plan_of(object struct, Plan *plan) except -1:
    """The plan of a struct: what is an instant or a milestone follows from v1 and the codec."""
    kinds = {}
    for field in msgspec.structs.fields(struct):
        if field.name in v1.INSTANTS[struct]:
            milestone = struct is v1.Payment or field.name in codec._MILESTONES[struct]
            kinds[field.name] = MILESTONE if milestone else INSTANT
        elif field.name in codec._FLOATS.get(struct, ()):
            kinds[field.name] = REAL
        elif field.name == "steps":
            kinds[field.name] = STEPS
        elif field.name == "payment" and struct is v1.AdminCase:
            kinds[field.name] = PAYMENT
        elif field.name == "dims":
            kinds[field.name] = DIMS
    make_plan(plan, struct, kinds)
    return 0


cdef int envelope_plan(list events) except -1:
    """The envelope is the same for all events but for its type and its data."""
    cdef Field *type
    names = events[0].__struct_fields__
    for event in events:
        if event.__struct_fields__ != names or event.__struct_config__.tag_field != "type":
            raise ImportError("the events have envelopes of their own")
    make_plan(&ENVELOPE_PLAN, events[0], {"time": INSTANT})
    if ENVELOPE_PLAN.count + 1 > MOST_ENVELOPE:
        raise ImportError("the envelope has too many members")
    global SOURCE_AT, TIME_AT, TYPE_AT
    SOURCE_AT, TIME_AT = names.index("source"), names.index("time")
    TYPE_AT = ENVELOPE_PLAN.count
    type = &ENVELOPE_PLAN.fields[TYPE_AT]
    type.json, type.json_size = b"type", 4
    type.asks, type.nullable = A_MEMBER, False
    make_members(type, [event.__struct_config__.tag for event in events])
    ENVELOPE_PLAN.required |= <uint64_t>1 << TYPE_AT
    ENVELOPE_PLAN.count += 1
    return 0


cdef int fill_tables() except -1:
    cdef int kind
    events = (
        (v1.FieldReportEvent, v1.FieldReport, "report_id", "report_id"),
        (v1.AdminCaseEvent, v1.AdminCase, "case_id", "case_id"),
        (v1.ListingEvent, v1.Listing, "store_id", "listing_id"),
        (v1.OrderEvent, v1.Order, "store_id", "order_id"),
        (v1.IndicatorEvent, v1.Indicator, "indicator", "indicator"),
    )
    plan_of(v1.Payment, &PAYMENT_PLAN)
    if PAYMENT_PLAN.count > MOST_PAYMENT:
        raise ImportError("a payment has too many members")
    for kind, (event, struct, key, name) in enumerate(events):
        if event.__annotations__["data"] is not struct:
            raise ImportError(f"{event.__name__} holds something else")
        plan_of(struct, PLANS[kind])
        KEY_AT[kind] = field_number(struct, key)
        ID_AT[kind] = field_number(struct, name)
        REVISION_AT[kind] = field_number(struct, "revision")
        if struct is not v1.Indicator:
            PROVINCE[kind] = field_number(struct, "province_code")
            DISTRICT[kind] = field_number(struct, "district_code")
            COMMUNE[kind] = field_number(struct, "commune_code")
    envelope_plan([event for event, *_ in events])
    for step, name in enumerate(v1.values(v1.Step)):
        text = name.encode()
        KEPT.append(text)
        STEP_NAMES[step] = text
        STEP_SIZES[step] = len(text)
    return 0


fill_tables()
