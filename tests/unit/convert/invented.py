"""An invented log in the shape of the real one: enough rows to tell a wrong number from a right."""

import csv
import datetime as dt
import itertools
from pathlib import Path

from services.convert import reading
from services.convert.conversion import Conversion, Findings, Revision
from services.convert.loading import load
from services.convert.main import shipped
from services.convert.mapping import LogMapping, TerritoryTable
from services.core.territory import Territories
from services.runtime.reference import load_territories

SAMPLE = Path(__file__).parent / "sample.csv"
OFFSET = dt.timezone(dt.timedelta(hours=7))
#: A replay clock in the middle of it: some requests are not closed yet.
CLOCK = dt.datetime(2011, 12, 20, 12, tzinfo=OFFSET)


def mapping_of(name: str) -> LogMapping:
    """A shipped mapping."""
    return load(shipped()[name])


def districts() -> dict[str, str]:
    """Boston's neighbourhoods and our districts, as the mapping has them."""
    territory = mapping_of("boston311").territory
    assert isinstance(territory, TerritoryTable)
    return territory.table or {}


def channels() -> list[str]:
    return list(mapping_of("boston311").fields["channel"].map or {})


def converted(
    mapping: LogMapping,
    log: Path,
    *,
    territories: Territories | None = None,
    until: dt.datetime | None = None,
    shift: dt.timedelta = dt.timedelta(0),
) -> tuple[list[Revision], Findings]:
    """A file through a mapping."""
    conversion = Conversion(mapping, territories or load_territories(), shift)
    rows = reading.Log(log, mapping.head.file, conversion.columns)
    return conversion.revisions(rows, until), conversion.findings


def invented_log(path: Path) -> Path:
    """The sample's rows at many places, channels and dates, with many closures: 600 rows."""
    with SAMPLE.open(encoding="utf-8", newline="") as lines:
        sample = list(csv.DictReader(lines))
    places = itertools.cycle(["", *districts()])
    closures = itertools.cycle(["Resolved", "Duplicate", "Noted", "Invalid", "Referred"])
    sources = itertools.cycle(channels())
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, fieldnames=list(sample[0]))
        writer.writeheader()
        for number in range(600):
            row = dict(sample[number % len(sample)])
            days = dt.timedelta(days=number % 170, minutes=7 * number)
            for column in ("open_dt", "target_dt", "closed_dt"):
                if row[column]:
                    moved = dt.datetime.fromisoformat(row[column]) + days
                    row[column] = moved.strftime("%Y-%m-%d %H:%M:%S")
            row["case_enquiry_id"] = str(700_000_000_000 + number)
            row["neighborhood"] = next(places)
            row["precinct"] = str(number)
            row["source"] = next(sources)
            if row["closed_dt"]:
                row["closure_code"] = next(closures)
            writer.writerow(row)
    return path
