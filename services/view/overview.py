"""The pipeline at a glance (for the wall and ``ioc status``): freshness, outcomes, urgent cases."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.catalog import SOURCES
from services.core.head import OUTCOMES, URGENT_SHOWN, Head, UrgentReport
from services.core.territory import Territories
from services.view import instants
from services.view.answers import territory_rows
from services.view.port import Numbers
from services.view.progress import Progress, TopicPartition


@dataclass
class TopicTotals:
    """One source topic over all its partitions; instants in ms since the epoch."""

    topic: str
    read: int
    gaps: int
    outcomes: dict[str, int]
    reasons: dict[str, int]
    sources: dict[str, tuple[dict[str, int], dict[str, int]]]
    feeds: dict[str, int]
    unknown: int
    late: int
    very_late: int


def totals(topic: str, heads: Mapping[TopicPartition, Head]) -> TopicTotals:
    """The heads of one topic added up; every outcome is there, zero or not."""
    out = TopicTotals(topic, 0, 0, dict.fromkeys(OUTCOMES, 0), {}, {}, {}, 0, 0, 0)
    for (name, _), head in heads.items():
        if name != topic:
            continue
        out.read += head.read
        add_counts(out.outcomes, head.outcomes)
        add_counts(out.reasons, head.reasons)
        for source, count in head.sources.items():
            outcomes, reasons = out.sources.setdefault(source, ({}, {}))
            add_counts(outcomes, count.outcomes)
            add_counts(reasons, count.reasons)
        for province, arrival in head.feeds.items():
            out.feeds[province] = max(arrival, out.feeds.get(province, arrival))
        out.gaps += head.gaps
        out.unknown += head.unknown
        out.late += head.late
        out.very_late += head.very_late
    return out


def add_counts(into: dict[str, int], more: Mapping[str, int]) -> None:
    """Add counts by name in place."""
    for name, count in more.items():
        into[name] = into.get(name, 0) + count


def conserved(head: Head) -> bool:
    """Whether every record up to the fence has exactly one outcome (contract section 4).

    Offsets under which the log has no record are counted apart (``Head.gaps``).
    """
    return head.read + head.gaps == head.fence + 1


class Overview:
    """Reads the heads of the merged state."""

    def __init__(
        self,
        view: Numbers,
        territories: Territories,
        clock: str,
        namespace: str = "",
        grafana: str | None = None,
    ) -> None:
        """``clock`` is wall or event; ``grafana`` the address that the wall links to."""
        self._view, self._territories = view, territories
        self._clock, self._namespace, self._grafana = clock, namespace, grafana
        self._places = territory_rows(territories)

    @property
    def simulated(self) -> bool:
        """A simulated source feeds the numbers."""
        return any(head.simulated for head in self._view.heads.values())

    @property
    def conservation_broken(self) -> bool:
        """Some partition's outcomes do not add up to what was read."""
        return not all(map(conserved, self._view.heads.values()))

    def feeds(self, now: int) -> list[dict[str, object]]:
        """Last arrival of every topic in every known province, and elsewhere where there is one.

        ``age_seconds`` is null for a feed that never came.
        """
        out: list[dict[str, object]] = []
        for topic in SOURCES:
            arrivals = totals(topic.name, self._view.heads).feeds
            for province in dict.fromkeys([*self._territories.provinces, *sorted(arrivals)]):
                at = arrivals.get(province)
                out.append(
                    {
                        "topic": topic.name,
                        "province": province,
                        "last_arrival": None if at is None else instants.show(at),
                        "age_seconds": None if at is None else max(now - at, 0) / 1000,
                    }
                )
        return out

    def urgent(self) -> list[dict[str, object]]:
        """The last urgent field reports of each province, newest first."""
        by_province: dict[str, list[UrgentReport]] = {}
        for head in self._view.heads.values():
            for province, reports in head.urgent.items():
                by_province.setdefault(province, []).extend(reports)
        newest = [
            report
            for reports in by_province.values()
            for report in sorted(reports, key=lambda r: -r.reported_at)[:URGENT_SHOWN]
        ]
        newest.sort(key=lambda r: -r.reported_at)
        return [
            {
                "report_id": r.report_id,
                "province_code": r.province_code,
                "district_code": r.district_code,
                "commune_code": r.commune_code,
                "category": r.category,
                "status": r.status,
                "reported_at": instants.show(r.reported_at),
                "due_at": None if r.due_at is None else instants.show(r.due_at),
                "lat": r.lat,
                "lon": r.lon,
            }
            for r in newest
        ]

    def answer(self, now: int, progress: Progress) -> dict[str, object]:
        """The body of ``/api/v1/wall``; ``now`` is the system's clock."""
        snapshot = progress.snapshot()
        unready = progress.unready()
        by_topic = {topic.name: totals(topic.name, self._view.heads) for topic in SOURCES}
        return {
            "clock": instants.show(now),
            "clock_kind": self._clock,
            "namespace": self._namespace,
            "simulated": self.simulated,
            "broker": progress.broker_answers,
            "ready": unready is None,
            "reason": unready,
            "caught_up": snapshot.caught_up,
            "conservation_broken": self.conservation_broken,
            "grafana": self._grafana,
            "read": {name: total.read for name, total in by_topic.items()},
            "lag": {name: snapshot.lag(name) for name in by_topic},
            "outcomes": {name: total.outcomes for name, total in by_topic.items()},
            "rejects": {name: total.reasons for name, total in by_topic.items()},
            "unknown": {name: total.unknown for name, total in by_topic.items()},
            "late": {name: total.late for name, total in by_topic.items()},
            "very_late": {name: total.very_late for name, total in by_topic.items()},
            "feeds": self.feeds(now),
            "urgent": self.urgent(),
            "territories": self._places,
        }
