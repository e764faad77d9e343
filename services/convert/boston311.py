"""Boston's 311 log as field reports: one row of final states becomes the revisions it went through.

The log is a CSV with one row per request (docs/replay-real-data.md has its columns). Nothing that
was unknown at a moment is said at that moment: revision 1 is the request as it was opened, revision
2 the same request closed, each with its own time and arrival. Nothing is invented: what the log
does not know (acknowledgement, rating, coordinates fit for our map) stays null.

The log's times are Boston's wall clock without an offset. They keep their day, hour and minute and
get our offset, so that "July" and "9 o'clock" mean the same in the file and in the pipeline.
"""

import csv
import datetime as dt
import gzip
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from schemas import catalog
from services.core.territory import Territories

OFFSET = dt.timezone(dt.timedelta(hours=7))
SOURCE = "/boston/311"
COLUMNS = (
    "case_enquiry_id", "open_dt", "target_dt", "closed_dt", "closure_code",
    "reason", "type", "department", "source", "neighborhood", "precinct",
)  # fmt: skip

#: Neighbourhoods in order of size, one to one to the districts of Quảng Ngãi, then of Đồng Tháp,
#: that have communes, in order of code.
DISTRICTS: Mapping[str, str] = {
    "Dorchester": "522",
    "Roxbury": "524",
    "Allston / Brighton": "525",
    "Jamaica Plain": "527",
    "West Roxbury": "528",
    "South Boston / South Boston Waterfront": "529",
    "Greater Mattapan": "530",
    "Hyde Park": "531",
    "Roslindale": "532",
    "East Boston": "533",
    "Downtown / Financial District": "534",
    "South End": "535",
    "Back Bay": "866",
    "Charlestown": "867",
    "Mission Hill": "868",
    "Fenway / Kenmore / Audubon Circle / Longwood": "869",
    "Boston": "870",
    "Beacon Hill": "871",
    "South Boston": "872",
    "Brighton": "873",
    "Allston": "874",
    "Mattapan": "875",
    "Chestnut Hill": "876",
}
#: Where a request without a neighbourhood is counted, with no district.
PROVINCE_WITHOUT_PLACE = "51"

CATEGORIES: Mapping[str, str] = {
    "Highway Maintenance": "road",
    "Bridge Maintenance": "road",
    "Sidewalk Cover / Manhole": "road",
    "Street Lights": "lighting_power",
    "Sanitation": "waste_env",
    "Recycling": "waste_env",
    "Street Cleaning": "waste_env",
    "Environmental Services": "waste_env",
    "Catchbasin": "drainage_flood",
    "Trees": "urban_order",
    "Housing": "urban_order",
    "Building": "urban_order",
    "Graffiti": "urban_order",
    "Code Enforcement": "urban_order",
    "Abandoned Bicycle": "urban_order",
    "Park Maintenance & Safety": "urban_order",
    "Cemetery": "urban_order",
    "Signs & Signals": "security_traffic",
    "Enforcement & Abandoned Vehicles": "security_traffic",
    "Traffic Management & Engineering": "security_traffic",
    "Operations": "security_traffic",
    "Parking Complaints": "security_traffic",
    "Office of The Parking Clerk": "security_traffic",
    "Valet": "security_traffic",
    "Water Issues": "water_supply",
    "Fire Hydrant": "water_supply",
    "Health": "food_health",
    "Weights and Measures": "food_health",
    "Employee & General Comments": "admin_service",
    "Administrative & General Requests": "admin_service",
    "Alert Boston": "disaster",
    "Notification": "other",
    "Volunteer & Corporate Groups": "other",
    "Programs": "other",
    "Current Events": "other",
}
#: Types that say more than their reason.
CATEGORIES_BY_TYPE: Mapping[str, str] = {"Tree Emergencies": "disaster"}
CHANNELS: Mapping[str, str] = {
    "Constituent Call": "hotline",
    "Employee Generated": "field_staff",
    "Maximo Integration": "field_staff",
    "Self Service": "web",
    "Citizens Connect App": "app",
    "Twitter": "facebook",  # the contract's one other social network
}
#: Closure codes that are no answer; every other closed request was answered.
CLOSED_UNANSWERED: Mapping[str, str] = {
    "Duplicate": "duplicate",
    "Invalid": "rejected",
    "Referred": "referred",
}

URGENT_BELOW = dt.timedelta(hours=24)
COMPLEX_ABOVE = dt.timedelta(days=30)


class Revision(NamedTuple):
    """One event to send: ``arrival`` in ms since the epoch, the Kafka key, the CloudEvent."""

    arrival: int
    key: str
    event: dict[str, Any]


@dataclass
class Findings:
    """What was met in a log: rows, rejected rows by reason, words without a place in our tables."""

    rows: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)

    def reject(self, reason: str, where: str) -> None:
        self.rejects[reason] += 1
        self.examples.setdefault(reason, where)


class NotThisLogError(Exception):
    """The file has not the columns of this log; the message names those that are missing."""


class _RowError(Exception):
    pass


def rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV file, plain or gzip.

    Raises NotThisLogError, and what reading may raise: OSError, EOFError, UnicodeDecodeError,
    csv.Error.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines, restval="")
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise NotThisLogError(f"no column {', '.join(missing)}")
        yield from reader


def shift_to(first: dt.datetime, near: dt.date) -> dt.timedelta:
    """Whole weeks that move ``first`` to within three and a half days of noon of ``near``.

    Weeks, so that weekday and hour stay.
    """
    target = dt.datetime.combine(near, dt.time(12), OFFSET)
    week = dt.timedelta(weeks=1)
    return round((target - first) / week) * week


def first_opening(log: Iterable[Mapping[str, str]]) -> dt.datetime | None:
    """The earliest opening of a log, or None where no row has a readable one."""
    times = []
    for row in log:
        try:
            times.append(_time(row, "open_dt"))
        except _RowError:
            continue
    return min((t for t in times if t is not None), default=None)


def revisions(
    log: Iterable[Mapping[str, str]],
    territories: Territories,
    findings: Findings,
    *,
    shift: dt.timedelta = dt.timedelta(0),
    until: dt.datetime | None = None,
) -> list[Revision]:
    """Every revision of a log in order of arrival; those after ``until`` are not known yet.

    ``findings`` takes up what was met. No row makes this raise.
    """
    communes: dict[str, list[str]] = {}
    for commune in territories.communes.values():
        communes.setdefault(commune.district_code, []).append(commune.commune_code)
    found: list[Revision] = []
    seen: set[str] = set()
    for number, row in enumerate(log, start=2):
        findings.rows += 1
        try:
            states = _states(row, territories, communes, findings.unknown, shift)
            report_id = states[0][1]["report_id"]
            if report_id in seen:
                raise _RowError("id twice")
            seen.add(report_id)
        except _RowError as error:
            findings.reject(str(error), f"line {number}")
            continue
        for at, data in states:
            if until is None or at <= until:
                found.append(_revision(at, data))
    # sorted() is stable: revision 1 stays before revision 2 of the same second.
    return sorted(found, key=lambda revision: revision.arrival)


def _revision(at: dt.datetime, data: dict[str, Any]) -> Revision:
    event = {
        "specversion": "1.0",
        "id": f"{data['report_id']}-{data['revision']}",
        "source": SOURCE,
        "type": next(iter(catalog.FIELD_REPORT.events)),
        "subject": data["report_id"],
        "time": at.isoformat(),
        "data": data,
    }
    return Revision(round(at.timestamp() * 1000), data["report_id"], event)


def _states(
    row: Mapping[str, str],
    territories: Territories,
    communes: Mapping[str, list[str]],
    unknown: Counter[str],
    shift: dt.timedelta,
) -> list[tuple[dt.datetime, dict[str, Any]]]:
    report_id = row["case_enquiry_id"].strip()
    if not report_id:
        raise _RowError("no case_enquiry_id")
    opened, target, closed = (_time(row, name) for name in ("open_dt", "target_dt", "closed_dt"))
    if opened is None:
        raise _RowError("no open_dt")
    if closed is not None and closed < opened:
        raise _RowError("closed before it was opened")
    district = _word(DISTRICTS, row, "neighborhood", None, unknown)
    first: dict[str, Any] = {
        "report_id": report_id,
        "revision": 1,
        "status": "received",
        "category": CATEGORIES_BY_TYPE.get(row["type"])
        or _word(CATEGORIES, row, "reason", "other", unknown),
        "channel": _word(CHANNELS, row, "source", "hotline", unknown),
        "priority": _priority(opened, target),
        "province_code": PROVINCE_WITHOUT_PLACE
        if district is None
        else territories.districts[district].province_code,
        "district_code": district,
        "commune_code": None if district is None else _commune(row["precinct"], communes[district]),
        "agency_code": row["department"] or None,
        "reported_at": (opened + shift).isoformat(),
        "due_at": None if target is None else (target + shift).isoformat(),
        "description": row["type"] or None,
    }
    states = [(opened + shift, first)]
    if closed is not None:
        at = (closed + shift).isoformat()
        status = CLOSED_UNANSWERED.get(row["closure_code"], "answered")
        last = first | {"revision": 2, "status": status, "closed_at": at}
        if status == "answered":
            last["answered_at"] = at
        states.append((closed + shift, last))
    return states


def _time(row: Mapping[str, str], column: str) -> dt.datetime | None:
    text = row[column].strip()
    if not text:
        return None
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=OFFSET)
    except ValueError:
        raise _RowError(f"{column} is no time") from None


def _word(
    table: Mapping[str, str],
    row: Mapping[str, str],
    column: str,
    default: str | None,
    unknown: Counter[str],
) -> str | None:
    word = row[column].strip()
    if word in table:
        return table[word]
    if word:
        unknown[f"{column}: {word}"] += 1
    return default


def _priority(opened: dt.datetime, target: dt.datetime | None) -> str:
    """The log has none: the length of the service level stands for it."""
    if target is None:
        return "normal"
    allowed = target - opened
    if allowed < URGENT_BELOW:
        return "urgent"
    return "complex" if allowed > COMPLEX_ABOVE else "normal"


def _commune(precinct: str, communes: list[str]) -> str | None:
    """A fixed commune for a precinct; a large neighbourhood has more precincts than communes."""
    return communes[int(precinct) % len(communes)] if precinct.isdecimal() else None
