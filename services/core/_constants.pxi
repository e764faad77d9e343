# The numbers of the core, taken from where they are defined when the module is imported.

# No entity of the contract comes near it; one that does is left to the pure form.
cdef Py_ssize_t BUFFER_BYTES = 400_000
# CloudEvents sources whose counts are kept in C at a time.
cdef enum:
    MOST_ORIGINS = 32
    ROW = 8  # numbers of a record in services.core.packed
cdef uint64_t SPREAD_A = 0x9E3779B185EBCA87
cdef uint64_t SPREAD_B = 0xC2B2AE3D27D4EB4F

MSGPACK = msgspec.msgpack.Encoder()
OUTCOMES = head.OUTCOMES
HISTORY_SUFFIX = entity.HISTORY_SUFFIX
# What C points to must stay.
KEPT = []
cdef bytes ARRIVAL = record.ARRIVAL_HEADER.encode()
cdef const char *ARRIVAL_NAME = ARRIVAL
cdef Py_ssize_t ARRIVAL_NAME_SIZE = len(ARRIVAL)
cdef int64_t LATEST_ARRIVAL = record._LATEST_ARRIVAL

cdef Py_ssize_t MAX_EVENT_BYTES = catalog.MAX_EVENT_BYTES
cdef int64_t FUTURE_TOLERANCE = codec.FUTURE_TOLERANCE_MS
cdef int64_t EXPIRED_AFTER = entity.EXPIRED_AFTER_MS
cdef int64_t LATE_AFTER = entity.LATE_MS
cdef int64_t VERY_LATE_AFTER = entity.VERY_LATE_MS
cdef int64_t PURGE_EVERY = entity.PURGE_EVERY_MS
cdef int64_t SHORT_KEPT = series.SHORT_KEPT_MS
cdef int64_t LONG_KEPT = series.LONG_KEPT_MS
cdef int PERIOD_FIELDS = len(series.Period.__struct_fields__)
cdef int64_t DAY = calendar_day.DAY_MS
cdef int64_t DAY_OFFSET = calendar_day.OFFSET_MS
cdef int64_t PANE_MS = contributions.PANE_MS
cdef int32_t STOCK = contributions.STOCK
# The first instant whose pane does not fit 32 bits (the year 2650).
cdef int64_t LAST_PANE_END = (<int64_t>1 << 31) * PANE_MS
cdef int ENTITY_SIZE = entity.ENTITY.size
cdef int ACTIVE_SIZE = entity.ACTIVE_LISTING.size
cdef int OCOP_STARS = entity.OCOP_STARS
if ENTITY_SIZE != 25 or ACTIVE_SIZE != 25 or entity.CELL.size != 20:
    raise ImportError("the layouts changed")

cdef int TERRITORY = facts.TERRITORY_SHIFT, FACT = facts.FACT_SHIFT
cdef double LOG_GAMMA = facts._LOG_GAMMA
cdef int64_t MOST_BUCKET = (1 << facts.BUCKET_BITS) - 1
cdef int64_t MOST_DUE = (1 << facts.DUE_BITS) - 1
cdef int64_t LATE = facts.LATE, ON_TIME = facts.ON_TIME, EARLY = facts.EARLY
cdef int64_t FEE_DUE = facts.FEE_DUE, FEE_PAID_ONLINE = facts.FEE_PAID_ONLINE


def shift(fact, name):
    return fact.fields[name].shift


def number_in(literal, name):
    return v1.values(literal).index(name)


def mask_of(literal, names):
    return sum(1 << number_in(literal, name) for name in names)


# field reports
cdef int64_t F_REPORTED = facts.FR_REPORTED.base, F_ANSWERED = facts.FR_ANSWERED.base
cdef int64_t F_CLOSED = facts.FR_CLOSED.base, F_ACKNOWLEDGED = facts.FR_ACKNOWLEDGED.base
cdef int64_t F_RATED = facts.FR_RATED.base, F_OPEN = facts.FR_OPEN.base
cdef int R_CATEGORY_SHIFT = shift(facts.FR_REPORTED, "category")
cdef int R_CHANNEL_SHIFT = shift(facts.FR_REPORTED, "channel")
cdef int R_PRIORITY_SHIFT = shift(facts.FR_REPORTED, "priority")
cdef int F_TIMELINESS_SHIFT = shift(facts.FR_ANSWERED, "timeliness")
cdef int F_BUCKET_SHIFT = shift(facts.FR_ANSWERED, "bucket")
cdef int F_STATUS_SHIFT = shift(facts.FR_CLOSED, "status")
cdef int F_DUE_SHIFT = shift(facts.FR_OPEN, "due")
cdef int64_t F_EXTENDED = 1 << shift(facts.FR_ANSWERED, "extended")
cdef int64_t F_ACK_VALID = 1 << shift(facts.FR_ACKNOWLEDGED, "valid")
cdef int64_t F_GOOD = 1 << shift(facts.FR_RATED, "good")
cdef uint32_t CLOSING = mask_of(v1.ReportStatus, contributions._CLOSING)
cdef uint32_t OPEN_REPORT = mask_of(v1.ReportStatus, v1.OPEN_REPORT)
cdef uint32_t GOOD = mask_of(v1.Rating, contributions._GOOD)
cdef int URGENT = number_in(v1.Priority, "urgent")

# cases
cdef int64_t G_REGISTERED = facts.GOV_REGISTERED.base, G_ACCEPTED = facts.GOV_ACCEPTED.base
cdef int64_t G_DIGITISED = facts.GOV_DIGITISED.base, G_REUSED = facts.GOV_REUSED.base
cdef int64_t G_SOLVED = facts.GOV_SOLVED.base, G_RETURNED = facts.GOV_RETURNED.base
cdef int64_t G_PAID = facts.GOV_PAID.base, G_STEP = facts.GOV_STEP.base
cdef int64_t G_RATED = facts.GOV_RATED.base, G_OPEN = facts.GOV_OPEN.base
cdef int C_LEVEL_SHIFT = shift(facts.GOV_REGISTERED, "level")
cdef int C_FIELD_SHIFT = shift(facts.GOV_REGISTERED, "procedure_field")
cdef int C_CHANNEL_SHIFT = shift(facts.GOV_REGISTERED, "channel")
cdef int C_SERVICE_SHIFT = shift(facts.GOV_REGISTERED, "service_level")
cdef int C_PORTAL_SHIFT = shift(facts.GOV_REGISTERED, "portal")
cdef int64_t G_AUTH = 1 << shift(facts.GOV_REGISTERED, "auth")
cdef int64_t G_POPDB = 1 << shift(facts.GOV_REGISTERED, "popdb")
cdef int64_t G_SYNCED = 1 << shift(facts.GOV_REGISTERED, "synced")
cdef int64_t G_REFUSED = 1 << shift(facts.GOV_REGISTERED, "refused")
cdef int G_TIMELINESS_SHIFT = shift(facts.GOV_SOLVED, "timeliness")
cdef int64_t G_DIGITAL = 1 << shift(facts.GOV_SOLVED, "digital")
cdef int G_FEE_SHIFT = shift(facts.GOV_SOLVED, "fee")
cdef int G_BUCKET_SHIFT = shift(facts.GOV_SOLVED, "bucket")
cdef int64_t G_FULL_ONLINE = 1 << shift(facts.GOV_RETURNED, "online")
cdef int G_STEP_SHIFT = shift(facts.GOV_STEP, "step")
cdef int64_t G_STEP_VALID = 1 << shift(facts.GOV_STEP, "valid")
cdef int64_t G_GOOD = 1 << shift(facts.GOV_RATED, "good")
cdef int G_STATUS_SHIFT = shift(facts.GOV_OPEN, "status")
cdef int G_DUE_SHIFT = shift(facts.GOV_OPEN, "due")
cdef uint32_t OPEN_CASE = mask_of(v1.CaseStatus, v1.OPEN_CASE)
cdef uint32_t PAUSED_CASE = mask_of(v1.CaseStatus, v1.PAUSED_CASE)
cdef int REFUSED = number_in(v1.CaseStatus, "refused")
cdef int ONLINE = number_in(v1.CaseChannel, "online")
cdef int CASH = number_in(v1.PaymentMethod, "cash")

# listings and orders
cdef int64_t E_CREATED = facts.ECO_CREATED.base, E_DELISTED = facts.ECO_DELISTED.base
cdef int64_t E_PLACED = facts.ECO_PLACED.base, E_COMPLETED = facts.ECO_COMPLETED.base
cdef int L_PLATFORM_SHIFT = shift(facts.ECO_CREATED, "platform")
cdef int L_GROUP_SHIFT = shift(facts.ECO_CREATED, "product_group")
cdef int L_SELLER_SHIFT = shift(facts.ECO_CREATED, "seller_kind")
cdef int O_PLATFORM_SHIFT = shift(facts.ECO_PLACED, "platform")
cdef int O_PAYMENT_SHIFT = shift(facts.ECO_PLACED, "payment")
cdef int64_t E_CANCELLED_FLAG = 1 << shift(facts.ECO_PLACED, "cancelled")
cdef int64_t E_COMPLETED_FLAG = 1 << shift(facts.ECO_COMPLETED, "completed")
cdef int CANCELLED = number_in(v1.OrderStatus, "cancelled")
cdef int COMPLETED = number_in(v1.OrderStatus, "completed")


def field_number(struct, name):
    return struct.__struct_fields__.index(name)


cdef int R_CATEGORY = field_number(v1.FieldReport, "category")
cdef int R_CHANNEL = field_number(v1.FieldReport, "channel")
cdef int R_PRIORITY = field_number(v1.FieldReport, "priority")
cdef int R_STATUS = field_number(v1.FieldReport, "status")
cdef int R_REPORTED_AT = field_number(v1.FieldReport, "reported_at")
cdef int R_ACKNOWLEDGED_AT = field_number(v1.FieldReport, "acknowledged_at")
cdef int R_DUE_AT = field_number(v1.FieldReport, "due_at")
cdef int R_ANSWERED_AT = field_number(v1.FieldReport, "answered_at")
cdef int R_CLOSED_AT = field_number(v1.FieldReport, "closed_at")
cdef int R_RATING = field_number(v1.FieldReport, "rating")
cdef int R_RATED_AT = field_number(v1.FieldReport, "rated_at")
cdef int R_EXTENDED_COUNT = field_number(v1.FieldReport, "extended_count")

cdef int C_STATUS = field_number(v1.AdminCase, "status")
cdef int C_LEVEL = field_number(v1.AdminCase, "level")
cdef int C_PROCEDURE_FIELD = field_number(v1.AdminCase, "procedure_field")
cdef int C_CHANNEL = field_number(v1.AdminCase, "channel")
cdef int C_RESULT_CHANNEL = field_number(v1.AdminCase, "result_channel")
cdef int C_SERVICE_LEVEL = field_number(v1.AdminCase, "service_level")
cdef int C_PORTAL = field_number(v1.AdminCase, "portal")
cdef int C_AUTH = field_number(v1.AdminCase, "auth")
cdef int C_POPDB_CHECKED = field_number(v1.AdminCase, "popdb_checked")
cdef int C_SYNCED_AT = field_number(v1.AdminCase, "dvcqg_synced_at")
cdef int C_REGISTERED_AT = field_number(v1.AdminCase, "registered_at")
cdef int C_ACCEPTED_AT = field_number(v1.AdminCase, "accepted_at")
cdef int C_DUE_AT = field_number(v1.AdminCase, "due_at")
cdef int C_SOLVED_AT = field_number(v1.AdminCase, "solved_at")
cdef int C_RETURNED_AT = field_number(v1.AdminCase, "returned_at")
cdef int C_TOTAL = field_number(v1.AdminCase, "components_total")
cdef int C_DIGITISED = field_number(v1.AdminCase, "components_digitised")
cdef int C_REUSED = field_number(v1.AdminCase, "components_reused")
cdef int C_RESULT_DIGITAL = field_number(v1.AdminCase, "result_digital")
cdef int C_FEE_DUE = field_number(v1.AdminCase, "fee_due")
cdef int C_RATING = field_number(v1.AdminCase, "rating")
cdef int C_RATED_AT = field_number(v1.AdminCase, "rated_at")
cdef int PAY_AMOUNT = field_number(v1.Payment, "amount")
cdef int PAY_METHOD = field_number(v1.Payment, "method")
cdef int PAID_AT = field_number(v1.Payment, "paid_at")

cdef int L_PLATFORM = field_number(v1.Listing, "platform")
cdef int L_GROUP = field_number(v1.Listing, "product_group")
cdef int L_SELLER = field_number(v1.Listing, "seller_kind")
cdef int L_STORE = field_number(v1.Listing, "store_id")
cdef int L_STARS = field_number(v1.Listing, "ocop_stars")
cdef int L_PRODUCT = field_number(v1.Listing, "product_key")
cdef int L_STOCK = field_number(v1.Listing, "stock")
cdef int L_ACTIVE = field_number(v1.Listing, "active")
cdef int L_CREATED_AT = field_number(v1.Listing, "created_at")
cdef int L_DELISTED_AT = field_number(v1.Listing, "delisted_at")

cdef int O_PLATFORM = field_number(v1.Order, "platform")
cdef int O_PAYMENT = field_number(v1.Order, "payment")
cdef int O_STATUS = field_number(v1.Order, "status")
cdef int O_VALUE = field_number(v1.Order, "value_vnd")
cdef int O_PLACED_AT = field_number(v1.Order, "placed_at")
cdef int O_COMPLETED_AT = field_number(v1.Order, "completed_at")

cdef int I_INDICATOR = field_number(v1.Indicator, "indicator")
cdef int I_TERRITORY = field_number(v1.Indicator, "territory")
cdef int I_KIND = field_number(v1.Indicator, "kind")
cdef int I_UNIT = field_number(v1.Indicator, "unit")
cdef int I_DOMAIN = field_number(v1.Indicator, "domain")
cdef int I_SOURCE_SYSTEM = field_number(v1.Indicator, "source_system")
cdef int I_START = field_number(v1.Indicator, "period_start")
cdef int I_END = field_number(v1.Indicator, "period_end")
cdef int I_VALUE = field_number(v1.Indicator, "value")
cdef int I_NUMERATOR = field_number(v1.Indicator, "numerator")
cdef int I_DENOMINATOR = field_number(v1.Indicator, "denominator")
cdef int I_TARGET = field_number(v1.Indicator, "target")
cdef int I_TARGET_LOW = field_number(v1.Indicator, "target_low")
cdef int I_TEXT = field_number(v1.Indicator, "text")
cdef int I_DIMS = field_number(v1.Indicator, "dims")

cdef int R_REPORT_ID = field_number(v1.FieldReport, "report_id")
cdef int R_PROVINCE = field_number(v1.FieldReport, "province_code")
cdef int R_DISTRICT = field_number(v1.FieldReport, "district_code")
cdef int R_COMMUNE = field_number(v1.FieldReport, "commune_code")
cdef int R_LAT = field_number(v1.FieldReport, "lat")
cdef int R_LON = field_number(v1.FieldReport, "lon")
