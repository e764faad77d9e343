"""The one topic table (contract section 1): nothing is auto-created, everything comes from here."""

from dataclasses import dataclass, field
from types import MappingProxyType

from schemas import v1

#: Topics that carry entities, in contract order; each with the CloudEvents types it may hold.
DAY_MS = 86_400_000
DEFAULT_PARTITIONS = 4
DEFAULT_RETENTION_DAYS = 400
MAX_EVENT_BYTES = 256 * 1024


@dataclass(frozen=True)
class Topic:
    """One topic without its namespace.

    ``events`` maps a CloudEvents ``type`` to the struct of its envelope; it is empty for the
    pipeline's own topics. ``config`` holds broker settings besides retention.
    """

    name: str
    kind: str
    events: MappingProxyType[str, type[v1.Event]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    config: MappingProxyType[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def full_name(self, namespace: str) -> str:
        """The name on the broker: ``NS.`` before the contract's name, or the name itself."""
        return f"{namespace}.{self.name}" if namespace else self.name


def _source(name: str, kind: str, **events: type[v1.Event]) -> Topic:
    return Topic(
        name,
        kind,
        MappingProxyType({f"ioc.{t}.v1": struct for t, struct in events.items()}),
        MappingProxyType(
            {
                "message.timestamp.type": "LogAppendTime",
                "cleanup.policy": "delete",
                "max.message.bytes": str(1024 * 1024),
            }
        ),
    )


FIELD_REPORT = _source("ioc.field-report.v1", "field-report", field_report=v1.FieldReportEvent)
ADMIN_CASE = _source("ioc.admin-case.v1", "admin-case", admin_case=v1.AdminCaseEvent)
LISTING = _source("ioc.listing.v1", "listing", listing=v1.ListingEvent, order=v1.OrderEvent)
INDICATOR = _source("ioc.indicator.v1", "indicator", indicator=v1.IndicatorEvent)

SOURCES: tuple[Topic, ...] = (FIELD_REPORT, ADMIN_CASE, LISTING, INDICATOR)

KPI_PARTIAL = Topic(
    "ioc.kpi-partial.v1",
    "kpi-partial",
    config=MappingProxyType(
        {
            "message.timestamp.type": "LogAppendTime",
            "cleanup.policy": "compact",
            "max.message.bytes": str(2 * 1024 * 1024),
            # Kafka never cleans the active segment: small segments keep the ring short.
            "segment.bytes": str(32 * 1024 * 1024),
            "segment.ms": "600000",
            # A cleaner reads and writes all that stays for what it throws away: four bytes for each
            # at a half, ten at a fifth.
            "min.cleanable.dirty.ratio": "0.5",
            "delete.retention.ms": "60000",
            "max.compaction.lag.ms": "1800000",
        }
    ),
)
DEAD_LETTER = Topic(
    "ioc.dead-letter.v1",
    "dead-letter",
    config=MappingProxyType(
        {
            "message.timestamp.type": "LogAppendTime",
            "cleanup.policy": "delete",
            "max.message.bytes": str(2 * 1024 * 1024),
        }
    ),
)

TOPICS: tuple[Topic, ...] = (*SOURCES, KPI_PARTIAL, DEAD_LETTER)
BY_NAME = MappingProxyType({t.name: t for t in TOPICS})


def source(name: str) -> Topic:
    """The source topic of that name. Raises KeyError for any other topic."""
    topic = BY_NAME[name]
    if topic not in SOURCES:
        raise KeyError(name)
    return topic
