"""An invented log in the shape of the real one: enough rows to tell a wrong number from a right."""

import csv
import datetime as dt
import itertools
from pathlib import Path

from services.convert import boston311

SAMPLE = Path(__file__).parent / "sample.csv"
#: A replay clock in the middle of it: some requests are not closed yet.
CLOCK = dt.datetime(2011, 12, 20, 12, tzinfo=boston311.OFFSET)


def invented_log(path: Path) -> Path:
    """The sample's rows at many places, channels and dates, with many closures: 600 rows."""
    sample = list(boston311.rows(SAMPLE))
    places = itertools.cycle(["", *boston311.DISTRICTS])
    closures = itertools.cycle(["Resolved", "Duplicate", "Noted", "Invalid", "Referred"])
    sources = itertools.cycle(boston311.CHANNELS)
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
