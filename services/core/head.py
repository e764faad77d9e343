"""The head of a partition's state: what was read, from whom, and how good it was."""

import msgspec

OUTCOMES = ("applied", "duplicate", "conflict", "stale", "rejected", "expired")

#: More senders than this are counted together as :data:`OTHER_SOURCES`.
MAX_SOURCES = 200
OTHER_SOURCES = "other"
URGENT_KEPT = 50
URGENT_SHOWN = 20
SIMULATED_PREFIX = "/ioc/sim/"


class SourceCount(msgspec.Struct):
    """Records of one CloudEvents source: counts by outcome and by reason of rejection."""

    outcomes: dict[str, int] = {}
    reasons: dict[str, int] = {}


class UrgentReport(msgspec.Struct, frozen=True, gc=False):
    """An urgent field report as the wall lists it; times in ms since the epoch."""

    report_id: str
    province_code: str
    district_code: str | None
    commune_code: str | None
    category: str
    status: str
    reported_at: int
    due_at: int | None
    lat: float | None
    lon: float | None


class Head(msgspec.Struct):
    """Absolute values at one fence.

    ``fence`` is the offset of the last record absorbed (-1: none); ``clock`` the partition's clock
    and ``event_time`` the highest ``time`` applied (ms, None: none); ``feeds`` the last arrival
    (ms) by province.
    """

    fence: int = -1
    clock: int | None = None
    event_time: int | None = None
    outcomes: dict[str, int] = {}
    reasons: dict[str, int] = {}
    sources: dict[str, SourceCount] = {}
    feeds: dict[str, int] = {}
    unknown: int = 0
    late: int = 0
    very_late: int = 0
    urgent: dict[str, list[UrgentReport]] = {}
    #: Offsets up to the fence under which the log has no record: gone by retention before they
    #: were read, or marks of a transaction.
    gaps: int = 0

    @property
    def simulated(self) -> bool:
        """A simulated source feeds the numbers."""
        return any(
            name.startswith(SIMULATED_PREFIX) and count.outcomes.get("applied")
            for name, count in self.sources.items()
        )

    @property
    def read(self) -> int:
        """Records read: the sum of all outcomes (contract section 4)."""
        return sum(self.outcomes.values())

    def source(self, name: str) -> SourceCount:
        """The counts of a source, made when new; the many go to one."""
        count = self.sources.get(name)
        if count is None:
            if len(self.sources) >= MAX_SOURCES or len(name) > 200:
                name = OTHER_SOURCES
            count = self.sources.setdefault(name, SourceCount())
        return count


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Head).decode
