"""The fold: (state, records) -> state, for one partition of one source topic.

Everything that decides a number or an outcome happens here, with time as an argument that the
records bring. Laws (contract section 4, docs/architecture.md): the highest revision counts, of
equal ones the lowest offset; every record read gets exactly one outcome; contributions of the old
state are taken away and those of the new one added, so order, redelivery and replay change nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any
from zlib import crc32

from schemas import catalog, codec, v1
from services.core import head, series, speed
from services.core.changes import Changes
from services.core.contributions import (
    Contribution,
    case_contributions,
    listing_base,
    listing_contributions,
    order_contributions,
    report_contributions,
)
from services.core.entity import (
    CELLS,
    ENTITY,
    EXPIRED_AFTER_MS,
    HISTORY_SUFFIX,
    LATE_MS,
    PURGE_EVERY_MS,
    VERY_LATE_MS,
    active_listing,
    view_part,
)
from services.core.facts import TERRITORY_MASK, TERRITORY_SHIFT
from services.core.head import Head, UrgentReport
from services.core.panes import SLOTS
from services.core.record import Clock, Record, arrival_ms
from services.core.selection import ALL, Selection
from services.core.territory import Territories


@dataclass(frozen=True)
class DeadLetter:
    """A record for the dead-letter topic: the original key, bytes and headers, and why."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    reason: str


class Fold:
    """What is known from one partition of one source topic, and what changed since it was taken."""

    def __init__(
        self,
        topic: catalog.Topic,
        partition: int,
        partitions: int,
        *,
        clock: Clock,
        territories: Territories,
        form: speed.Form | None = None,
        selection: Selection = ALL,
    ) -> None:
        """An empty state. ``form`` None: the faster one that can run here."""
        self.topic = topic
        self.partition = partition
        self._partitions = partitions
        self._wall = clock == "wall"
        self._territories = territories
        self._is_unknown: list[bool] = territories.is_unknown.tolist()
        self._province_code = _province_codes(territories)
        self._selection = selection
        #: The record's key is the entity's: a known one need not be checked again.
        self._key_is_entity = topic in (catalog.FIELD_REPORT, catalog.ADMIN_CASE)
        self.form: speed.Form = form or speed.default()
        self.fence = -1
        #: Wall system: the highest arrival. Event system: the highest ``time`` applied. In ms.
        self.clock = 0
        self._arrival = 0
        self._entities: list[dict[bytes, bytes]] = [{} for _ in range(SLOTS)]
        #: What changed since it was taken: the latest state, empty for what was forgotten.
        self._dirty: dict[bytes, bytes] = {}
        self._head = Head()
        #: The reports on the urgent list of each province.
        self._urgent_ids: dict[str, set[str]] = {}
        self._latest: dict[bytes, tuple[int, int]] = {}
        #: Which periods may be forgotten when, each once however often it is revised.
        self._expiry: dict[int, dict[bytes, None]] = {}
        self._purged_at = 0
        self._changes: Any = Changes()
        self._compiled: Any = None
        if self.form == "compiled":
            self._take_compiled_form()

    def _take_compiled_form(self) -> None:
        fast = speed.compiled
        if fast is None:
            raise RuntimeError(f"no compiled form: {speed.describe()}")
        self._changes = fast.CompiledChanges()
        self._compiled = fast.CompiledFold(
            self.topic,
            self.partition,
            self._partitions,
            self._wall,
            _compiled_places(self._territories),
            self._changes,
            self._selection.facts,
        )

    # --- the fold -------------------------------------------------------------------------------

    def fold(self, records: Sequence[Record]) -> list[DeadLetter]:
        """Absorb records in offset order; those at or below the fence are skipped, not counted.

        Returns the dead letters that must be acknowledged before the next flush is sent.
        """
        if self._compiled is not None:
            dead: list[DeadLetter] = self._compiled.fold(self, records)
        else:
            dead = self._fold(records)
        if self._latest and self._arrival >= self._purged_at + PURGE_EVERY_MS:
            self._purge(self._arrival)
        return dead

    def _fold(self, records: Sequence[Record]) -> list[DeadLetter]:
        """What the compiled form does in C."""
        dead: list[DeadLetter] = []
        outcomes = self._head.outcomes
        wall = self._wall
        fence = self.fence
        about = self._head
        absorb = self._absorb
        for record in records:
            offset = record.offset
            if offset <= fence:
                continue
            about.gaps += offset - fence - 1
            arrival = record.timestamp if wall else arrival_ms(record, "event")
            if arrival > self._arrival:
                self._arrival = arrival
                if wall:
                    self.clock = arrival
            outcome = absorb(record, arrival, dead)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            self.fence = fence = offset
        return dead

    def _absorb(self, record: Record, arrival: int, dead: list[DeadLetter]) -> str:
        key = record.key
        checked = (
            self._key_is_entity and key is not None and key in self._entities[crc32(key) % SLOTS]
        )
        event = codec.decode(
            self.topic,
            key,
            record.value,
            self.partition,
            self._partitions,
            arrival,
            check_partition=not checked,
        )
        if isinstance(event, codec.Rejected):
            self._reject(record, event, dead)
            return "rejected"
        count = self._head.source(event.source).outcomes
        outcome = self._decide(event, key or b"", arrival)
        count[outcome] = count.get(outcome, 0) + 1
        return outcome

    def _reject(self, record: Record, why: codec.Rejected, dead: list[DeadLetter]) -> None:
        reasons = self._head.reasons
        reasons[why.reason] = reasons.get(why.reason, 0) + 1
        count = self._head.source(why.source or "unreadable")
        count.reasons[why.reason] = count.reasons.get(why.reason, 0) + 1
        count.outcomes["rejected"] = count.outcomes.get("rejected", 0) + 1
        headers = [
            *(record.headers or ()),
            ("ioc-reason", why.reason.encode()),
            ("ioc-detail", why.detail.encode(errors="replace")),
            ("ioc-topic", self.topic.name.encode()),
            ("ioc-partition", str(self.partition).encode()),
            ("ioc-offset", str(record.offset).encode()),
        ]
        dead.append(DeadLetter(record.key, record.value, headers, why.reason))

    def _decide(self, event: v1.Event, key: bytes, arrival: int) -> str:
        time = event.time
        if time < arrival - EXPIRED_AFTER_MS:
            return "expired"
        data = event.data
        period: series.Period | None = None
        if isinstance(data, v1.Listing):
            key = b"l%d:%b%b" % (len(key), key, data.listing_id.encode())
        elif isinstance(data, v1.Order):
            key = b"o%d:%b%b" % (len(key), key, data.order_id.encode())
        elif isinstance(data, v1.Indicator):
            period = series.period_of(data, data.series_key, time)
            series_key = key
            key = b"%b\0%d" % (key, period.start)
            latest = self._latest.get(series_key)
            if (
                latest is not None
                and period.kept_until < arrival
                and period.start != latest[1]
                and period.order <= latest
            ):
                return "expired"
        shard = self._entities[crc32(key) % SLOTS]
        old = shard.get(key)
        digest = codec.digest(data)
        if old is not None:
            revision, known_digest, _, old_count = ENTITY.unpack_from(old)
            if data.revision < revision:
                return "stale"
            if data.revision == revision:
                return "duplicate" if digest == known_digest else "conflict"
        else:
            old_count = 0
        extra = b""
        territories = self._territories
        add = self._changes.add
        new: list[Contribution] = []
        if isinstance(data, v1.AdminCase):
            new = case_contributions(data, territories)
        elif isinstance(data, v1.FieldReport):
            new = report_contributions(data, territories)
            province = self._known_province(data.province_code)
            if data.priority == "urgent":
                self._note_urgent(province, data.report_id, _urgent(data, province))
            elif data.report_id in self._urgent_ids.get(province, ()):
                self._note_urgent(province, data.report_id, None)
        elif isinstance(data, v1.Order):
            new = order_contributions(data, territories)
        elif isinstance(data, v1.Listing):
            base = listing_base(data, territories)
            new = listing_contributions(data, base)
            if data.active:
                extra = active_listing(data, base)
        elif period is not None:
            extra = series.encode(period)
            self._note_period(series_key, key, period)
        row = (
            new[0][1] >> TERRITORY_SHIFT & TERRITORY_MASK
            if period is None
            else territories.of_code(period.territory)
        )
        if not self._selection.whole:
            new = [c for c in new if self._selection.keeps(c[1])]
        if old_count and old is not None:
            flat = CELLS[old_count].unpack_from(old, ENTITY.size)
            triples = iter(flat)
            before = list(zip(triples, triples, triples, strict=True))
            if before != new:
                known = set(before)
                wanted = set(new)
                for contribution in wanted - known:
                    add(contribution, 1)
                for contribution in known - wanted:
                    add(contribution, -1)
        else:
            for contribution in new:
                add(contribution, 1)
        shard[key] = self._dirty[key] = (
            ENTITY.pack(data.revision, digest, time, len(new))
            + CELLS[len(new)].pack(*chain.from_iterable(new))
            + extra
        )
        self._applied(
            row,
            time,
            # A source that states the past on purpose is not late.
            0 if event.source.endswith(HISTORY_SUFFIX) else arrival - time,
            arrival,
        )
        return "applied"

    def _applied(self, row: int, time: int, lateness: int, arrival: int) -> None:
        about = self._head
        if about.event_time is None or time > about.event_time:
            about.event_time = int(time)
        if not self._wall and time > self.clock:
            self.clock = int(time)
        province = self._province_code[row]
        if arrival > about.feeds.get(province, -1):
            about.feeds[province] = arrival
        if self._is_unknown[row]:
            about.unknown += 1
        if lateness > LATE_MS:
            if lateness > VERY_LATE_MS:
                about.very_late += 1
            else:
                about.late += 1

    def _known_province(self, code: str) -> str:
        return code if code in self._territories.provinces else "unknown"

    def _note_urgent(self, province: str, report_id: str, report: UrgentReport | None) -> None:
        """The latest state of a report that is urgent, or None of one that no longer is."""
        kept = self._head.urgent.setdefault(province, [])
        ids = self._urgent_ids.setdefault(province, set())
        if report_id in ids:
            ids.discard(report_id)
            kept[:] = [r for r in kept if r.report_id != report_id]
        if report is None:
            return
        # Newest first; a new one stands near the front.
        order = report.reported_at, report_id
        at = 0
        while at < len(kept) and (kept[at].reported_at, kept[at].report_id) > order:
            at += 1
        if at < head.URGENT_KEPT:
            kept.insert(at, report)
            ids.add(report_id)
        if len(kept) > head.URGENT_KEPT:
            ids.discard(kept.pop().report_id)

    @property
    def read(self) -> int:
        """Records read so far: the sum of all outcomes."""
        return self._head.read

    # --- indicator periods ----------------------------------------------------------------------

    def _note_period(self, series_key: bytes, key: bytes, period: series.Period) -> None:
        latest = self._latest.get(series_key)
        # A revision may move the end of the latest period back: it stays the latest.
        if latest is None or period.order > latest or period.start == latest[1]:
            self._latest[series_key] = period.order
        self._expiry.setdefault(period.kept_until // PURGE_EVERY_MS, {})[key] = None

    def _purge(self, arrival: int) -> None:
        """Forget the periods that are no longer kept, but never the latest of a series."""
        self._purged_at = arrival
        now = arrival // PURGE_EVERY_MS
        for bucket in [b for b in self._expiry if b < now]:
            for key in self._expiry.pop(bucket):
                shard = self._entities[crc32(key) % SLOTS]
                value = shard.get(key)
                if value is None:
                    continue
                period = series.decode(view_part(value))
                if period.kept_until >= arrival:
                    continue  # a later revision moved its end and stands in a later bucket
                series_key = key.rpartition(b"\0")[0]
                if self._latest[series_key][1] == period.start:
                    self._expiry.setdefault(now, {})[key] = None
                    continue
                del shard[key]
                self._dirty[key] = b""

    def _index_periods(self) -> None:
        for shard in self._entities:
            for key, value in shard.items():
                period = series.decode(view_part(value))
                series_key = key.rpartition(b"\0")[0]
                if self._latest.get(series_key, (-(2**63), 0)) < period.order:
                    self._latest[series_key] = period.order
                self._expiry.setdefault(period.kept_until // PURGE_EVERY_MS, {})[key] = None


def _province_codes(territories: Territories) -> list[str]:
    """The code of every row's province."""
    at = territories.at_level["province"].tolist()
    return [territories.rows[i].code if i >= 0 else "unknown" for i in at]


@lru_cache(maxsize=4)
def _compiled_places(territories: Territories) -> Any:
    """One for all partitions: its cache stays in the processor's."""
    if speed.compiled is None:
        raise RuntimeError(f"no compiled form: {speed.describe()}")
    unknown = territories.is_unknown.tolist()
    return speed.compiled.Places(territories, unknown, _province_codes(territories))


def _urgent(d: v1.FieldReport, province: str) -> UrgentReport:
    return UrgentReport(
        report_id=d.report_id,
        province_code=province,
        district_code=d.district_code,
        commune_code=d.commune_code,
        category=d.category,
        status=d.status,
        reported_at=int(d.reported_at),
        due_at=None if d.due_at is None else int(d.due_at),
        lat=d.lat,
        lon=d.lon,
    )
