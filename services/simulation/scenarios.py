"""Named scenarios: what is out of the ordinary in a run. Pure data and small questions to it.

A scenario has an anchor, the instant it starts from, which the runner remembers, so that a restart
in the middle of a storm finds the same storm. It changes nothing that was born before its anchor:
what has been sent goes on as it began.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from services.core.calendar import (
    DAY_MS,
    HOUR_MS,
    Calendar,
    day_of,
    day_start,
    local_day,
    quarter_start,
)
from services.simulation.provinces import (
    BAC_LIEU,
    COASTAL,
    DONG_THAP,
    ISLANDS,
    QUANG_NGAI,
    QUANG_TRI,
)
from services.simulation.seeds import fraction


@dataclass(frozen=True)
class Storm:
    """An episode of bad weather: ms from start to end, provinces, factor on coastal reports."""

    start: int
    end: int
    provinces: frozenset[str]
    factor: float
    #: True where islands lose their line for 6 to 24 hours.
    cuts_islands: bool = True

    def strength(self, district: str, province: str, hour_start: int) -> float:
        """The factor on the report rate of a district in the hour that starts then; 1 outside."""
        if province not in self.provinces or not self.start <= hour_start < self.end:
            return 1.0
        # The wind rises for a quarter of the episode and falls for the rest.
        at = (hour_start - self.start) / (self.end - self.start)
        height = at / 0.25 if at < 0.25 else (1 - at) / 0.75
        peak = self.factor if district in COASTAL else 1 + (self.factor - 1) / 3
        return 1 + (peak - 1) * (0.35 + 0.65 * height)


@dataclass(frozen=True)
class Silence:
    """A district sends nothing from start to end (ms), then delivers its backlog."""

    district: str
    start: int
    end: int


@dataclass(frozen=True)
class Outage:
    """A source of some provinces (none named: all) delivers nothing from start to end (ms).

    Its backlog comes afterwards. With ``garbage`` it does send, but nothing that can be read, as
    when somebody has encrypted it; the right records come from the backup at the end.
    """

    kind: str
    start: int
    end: int
    provinces: frozenset[str] = frozenset()
    garbage: bool = False

    def of(self, kind: str, province: str) -> bool:
        return self.kind == kind and (not self.provinces or province in self.provinces)


@dataclass(frozen=True)
class Sale:
    """Customers want ``factor`` times as much as usual from start to end (ms)."""

    start: int
    end: int
    factor: float


@dataclass(frozen=True)
class Rush:
    """Days (local, the last one excluded) on which ``factor`` times as many cases are filed and
    ``late`` is added to the share of them that is solved too late.
    """

    first: int
    last: int
    factor: float
    late: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """What a run plays. The empty scenario is an ordinary day."""

    name: str = ""
    storms: tuple[Storm, ...] = ()
    silences: tuple[Silence, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)
    #: Share of events sent again, between ``start`` and ``end`` of the duplicate storm.
    duplicate_share: float = 0.0
    duplicate_span: tuple[int, int] = (0, 0)
    #: Added to the share of cases filed online, from a local day on.
    online_lift: float = 0.0
    lift_from: int = 0
    outages: tuple[Outage, ...] = ()
    sales: tuple[Sale, ...] = ()
    rushes: tuple[Rush, ...] = ()

    def lift(self, day: int) -> float:
        return self.online_lift if day >= self.lift_from else 0.0

    def rush(self, day: int) -> tuple[float, float]:
        """The factor on the cases filed on a day, and what is added to their late share."""
        here = [r for r in self.rushes if r.first <= day < r.last]
        return max((r.factor for r in here), default=1.0), max((r.late for r in here), default=0.0)

    def storm_factor(self, province: str, district: str, hour_start: int) -> float:
        factor = 1.0
        for storm in self.storms:
            factor = max(factor, storm.strength(district, province, hour_start))
        return factor


def _cut_islands(storm: Storm, seed: int) -> tuple[Silence, ...]:
    if not storm.cuts_islands:
        return ()
    peak = storm.start + (storm.end - storm.start) // 4
    return tuple(
        Silence(i, peak, peak + int((6 + 18 * fraction(seed, "island", i, peak)) * HOUR_MS))
        for i in sorted(ISLANDS)
    )


def _with_storm(name: str, storm: Storm, seed: int) -> Scenario:
    return Scenario(name, storms=(storm,), silences=_cut_islands(storm, seed))


def _storm(anchor: int, seed: int) -> Scenario:
    hours = 36 + int(36 * fraction(seed, "storm", anchor))
    provinces = frozenset({QUANG_TRI, QUANG_NGAI})
    return _with_storm("storm", Storm(anchor, anchor + hours * HOUR_MS, provinces, 24), seed)


def _flood(anchor: int, seed: int) -> Scenario:
    provinces = frozenset({DONG_THAP, BAC_LIEU})
    storm = Storm(anchor, anchor + 5 * DAY_MS, provinces, 4, cuts_islands=False)
    return _with_storm("flood", storm, seed)


def _noru(anchor: int, seed: int) -> Scenario:
    """The storm of 27 and 28 September 2022; start the run there."""
    start = day_start(day_of(date(2022, 9, 27))) + 12 * HOUR_MS
    provinces = frozenset({QUANG_TRI, QUANG_NGAI})
    return _with_storm("noru", Storm(start, start + 40 * HOUR_MS, provinces, 30), seed)


def _tet(anchor: int, seed: int) -> Scenario:
    """The Tết break begins the day after the anchor."""
    first = local_day(anchor) + 1
    return Scenario("tet", calendar=Calendar(extra_break=(first, first + 6)))


def _silent_district(anchor: int, seed: int) -> Scenario:
    start = anchor + 2 * 60_000
    return Scenario("silent-district", silences=(Silence("533", start, start + 6 * HOUR_MS),))


def _duplicate_storm(anchor: int, seed: int) -> Scenario:
    return Scenario(
        "duplicate-storm", duplicate_share=0.9, duplicate_span=(anchor, anchor + 6 * HOUR_MS)
    )


def _campaign(anchor: int, seed: int) -> Scenario:
    return Scenario("campaign", online_lift=0.13, lift_from=local_day(anchor) + 1)


def _portal_outage(anchor: int, seed: int) -> Scenario:
    start = anchor + 2 * 60_000
    return Scenario("portal-outage", outages=(Outage("admin-case", start, start + 3 * HOUR_MS),))


def _ransomware(anchor: int, seed: int) -> Scenario:
    start = anchor + 2 * 60_000
    spoilt = Outage("listing", start, start + 2 * HOUR_MS, garbage=True)
    return Scenario("ransomware-of-one-source", outages=(spoilt,))


def _flash_sale(anchor: int, seed: int) -> Scenario:
    return Scenario("flash-sale", sales=(Sale(anchor, anchor + 3 * HOUR_MS, 12),))


def _end_of_quarter(anchor: int, seed: int) -> Scenario:
    """The rush of the last ten days of the anchor's quarter, as far as they are to come."""
    today = local_day(anchor)
    quarter = next(d for d in range(today + 1, today + 94) if quarter_start(d) == d)
    return Scenario(
        "end-of-quarter", rushes=(Rush(max(quarter - 10, today + 1), quarter, 1.5, 0.12),)
    )


_BUILDERS = MappingProxyType(
    {
        "storm": _storm,
        "flood": _flood,
        "noru": _noru,
        "tet": _tet,
        "silent-district": _silent_district,
        "duplicate-storm": _duplicate_storm,
        "campaign": _campaign,
        "portal-outage": _portal_outage,
        "ransomware-of-one-source": _ransomware,
        "flash-sale": _flash_sale,
        "end-of-quarter": _end_of_quarter,
    }
)
NAMES: tuple[str, ...] = tuple(_BUILDERS)
TITLES: Mapping[str, str] = MappingProxyType(
    {
        "storm": "a storm on the central coast for 36 to 72 hours, islands cut off",
        "flood": "five days of flood in the Mekong provinces",
        "noru": "the storm of 27 and 28 September 2022 (use --start 2022-09-26)",
        "tet": "the Tết break begins tomorrow",
        "silent-district": "Mộ Đức sends nothing for six hours, then its backlog",
        "duplicate-storm": "nine of ten events are sent again, for six hours",
        "campaign": "a drive that lifts online filing by 13 points",
        "portal-outage": "the case system is down for three hours, then delivers its backlog",
        "ransomware-of-one-source": "the trade floors send garbage for two hours",
        "flash-sale": "twelve times as many orders for three hours",
        "end-of-quarter": "ten days of rush: half as many cases again, 12 points more of them late",
    }
)


def scenario(name: str, anchor: int, seed: int) -> Scenario:
    """The scenario of a name, started at an instant; "" is an ordinary run.

    Raises KeyError for an unknown name.
    """
    return _BUILDERS[name](anchor, seed) if name else Scenario()


def together(played: Sequence[tuple[str, int]], seed: int) -> Scenario:
    """Several scenarios, each with its anchor, in the order in which they were begun.

    Storms, silences, outages, sales and rushes add up; of festivals, drives and duplicate storms
    the latest counts.
    """
    found = [scenario(name, anchor, seed) for name, anchor in played if name]
    if len(found) < 2:
        return found[0] if found else Scenario()
    festivals = [s.calendar for s in found if s.calendar != Calendar()]
    twice = [s for s in found if s.duplicate_share]
    drives = [s for s in found if s.online_lift]
    return Scenario(
        found[-1].name,
        storms=tuple(x for s in found for x in s.storms),
        silences=tuple(x for s in found for x in s.silences),
        calendar=festivals[-1] if festivals else Calendar(),
        duplicate_share=twice[-1].duplicate_share if twice else 0.0,
        duplicate_span=twice[-1].duplicate_span if twice else (0, 0),
        online_lift=drives[-1].online_lift if drives else 0.0,
        lift_from=drives[-1].lift_from if drives else 0,
        outages=tuple(x for s in found for x in s.outages),
        sales=tuple(x for s in found for x in s.sales),
        rushes=tuple(x for s in found for x in s.rushes),
    )
