# The tables of the walk, filled once: where a struct keeps what, by kind of entity.

cdef Plan *PLANS[5]
cdef PyTypeObject *EVENT_TYPES[5]
cdef Py_ssize_t TIME_AT[5]
cdef Py_ssize_t SOURCE_AT[5]
cdef Py_ssize_t DATA_AT[5]
cdef Py_ssize_t KEY_AT[5]       # the text that must be the record's key (not of indicators)
cdef Py_ssize_t ID_AT[5]        # the rest of the entity's name in its store
cdef Py_ssize_t REVISION_AT[5]
cdef int PROVINCE[5]
cdef int DISTRICT[5]
cdef int COMMUNE[5]
cdef const char *STEP_NAMES[5]
cdef Py_ssize_t STEP_SIZES[5]

PLANS[:] = [&REPORT_PLAN, &CASE_PLAN, &LISTING_PLAN, &ORDER_PLAN, &INDICATOR_PLAN]


cdef int kinds_of(object struct, Plan *plan) except -1:
    """The plan of a struct: what is an instant or a milestone follows from v1 and the codec."""
    kinds = {}
    for field in msgspec.structs.fields(struct):
        if field.name in wire.INSTANTS[struct]:
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
    make_plan(plan, wire.TWINS[struct], kinds)
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
    kinds_of(v1.Payment, &PAYMENT_PLAN)
    for kind, (event, struct, key, name) in enumerate(events):
        twin, data = wire.TWINS[event], wire.TWINS[struct]
        kinds_of(struct, PLANS[kind])
        EVENT_TYPES[kind] = <PyTypeObject *><PyObject *>twin
        TIME_AT[kind] = offset_of(twin, "time")
        SOURCE_AT[kind] = offset_of(twin, "source")
        DATA_AT[kind] = offset_of(twin, "data")
        KEY_AT[kind] = offset_of(data, key)
        ID_AT[kind] = offset_of(data, name)
        REVISION_AT[kind] = offset_of(data, "revision")
        if struct is not v1.Indicator:
            PROVINCE[kind] = field_number(struct, "province_code")
            DISTRICT[kind] = field_number(struct, "district_code")
            COMMUNE[kind] = field_number(struct, "commune_code")
    for step, name in enumerate(v1.values(v1.Step)):
        text = name.encode()
        KEPT.append(text)
        STEP_NAMES[step] = text
        STEP_SIZES[step] = len(text)
    make_enum(&CATEGORY, v1.ReportCategory)
    make_enum(&REPORT_CHANNEL, v1.ReportChannel)
    make_enum(&PRIORITY, v1.Priority)
    make_enum(&REPORT_STATUS, v1.ReportStatus)
    make_enum(&RATING, v1.Rating)
    make_enum(&LEVEL, v1.Level)
    make_enum(&PROCEDURE_FIELD, v1.ProcedureField)
    make_enum(&CASE_CHANNEL, v1.CaseChannel)
    make_enum(&SERVICE_LEVEL, v1.ServiceLevel)
    make_enum(&PORTAL, v1.Portal)
    make_enum(&CASE_STATUS, v1.CaseStatus)
    make_enum(&METHOD, v1.PaymentMethod)
    make_enum(&PLATFORM, v1.Platform)
    make_enum(&GROUP, v1.ProductGroup)
    make_enum(&SELLER, v1.SellerKind)
    make_enum(&ORDER_PAYMENT, v1.OrderPayment)
    make_enum(&ORDER_STATUS, v1.OrderStatus)
    return 0


fill_tables()
