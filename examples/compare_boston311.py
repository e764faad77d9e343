"""Compares the view's numbers after a replay of Boston's 311 log with a query over the file.

    python examples/compare_boston311.py boston311.csv.gz --view http://127.0.0.1:28202

The query is boston311.sql beside this file. It runs in SQLite on the CSV and shares no code with
the pipeline. Needs nothing but Python. Exits 0 when every number agrees, 1 when one does not.
"""

import argparse
import csv
import datetime as dt
import gzip
import json
import math
import sqlite3
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

SQL = Path(__file__).with_name("boston311.sql")
OFFSET = dt.timezone(dt.timedelta(hours=7))
PROVINCES = ("51", "87")
#: KPIs whose value the contract allows to be off by that much.
TOLERANCE = {"fr.p50_hours_to_answer": 0.02, "fr.p90_hours_to_answer": 0.02}
#: Sums of floating point hours differ in the last digits by their order.
ROUNDING = 1e-9

Key = tuple[str, str, str, str | None]  # kpi, month, territory, by


class Answer(NamedTuple):
    value: float | None
    numerator: float | None
    denominator: float | None


class View:
    """The HTTP interface of a running view."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """One JSON answer. Raises SystemExit that says what went wrong."""
        url = f"{self.url}/api/v1/{path}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 (the given view)
                body: dict[str, Any] = json.load(answer)
                return body
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{url}: {error.code} {error.read().decode()}") from error
        except OSError as error:
            raise SystemExit(f"{url}: {error}") from error

    def clock(self) -> dt.datetime:
        """The event clock: the moment at which stock KPIs are answered."""
        as_of = self.get("kpis/fr.open_now")["as_of"]
        if isinstance(as_of, int):
            return dt.datetime.fromtimestamp(as_of / 1000, OFFSET)
        return dt.datetime.fromisoformat(as_of).astimezone(OFFSET)

    def rows(self, kpi: str, month: str, as_of: str) -> Iterator[tuple[Key, Answer]]:
        """Every row of a KPI that the query has too: all, channels, provinces, districts."""
        window = {} if month == "now" else {"window": "month", "as_of": as_of}
        asked: list[dict[str, str]] = [{}]
        if kpi not in TOLERANCE:
            asked += [{"by": "channel"}, {"by": "province"}]
            asked += [{"by": "district", "territory": province} for province in PROVINCES]
        for query in asked:
            for row in self.get(f"kpis/{kpi}", **window, **query)["rows"]:
                by = query.get("by")
                dimension = f"channel={row['by']}" if by == "channel" else None
                yield (
                    (kpi, month, row["territory"], dimension),
                    Answer(row["value"], row["numerator"], row["denominator"]),
                )


def from_file(log: Path, clock: dt.datetime, shift_weeks: int) -> dict[Key, Answer]:
    """The same numbers by the query over the file."""
    database = sqlite3.connect(":memory:")
    opened = gzip.open if log.suffix == ".gz" else open
    with opened(log, "rt", encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines)
        names = next(reader)
        columns = ", ".join(f'"{name}" TEXT' for name in names)
        database.execute(f"CREATE TABLE log ({columns})")
        marks = ", ".join("nullif(?, '')" for _ in names)
        database.executemany(f"INSERT INTO log VALUES ({marks})", reader)  # noqa: S608 (marks only)
    found: dict[Key, Answer] = {}
    parameters = {"shift_days": 7 * shift_weeks, "clock": f"{clock:%Y-%m-%d %H:%M:%S}"}
    for kpi, month, territory, by, numerator, denominator in database.execute(
        SQL.read_text("utf-8"), parameters
    ):
        value = numerator if denominator is None else numerator / denominator
        found[kpi, month, territory, by] = Answer(value, numerator, denominator)
    database.close()
    return found


def moment(month: str, clock: dt.datetime) -> str:
    """The ``as_of`` of a month: its last minute, or the clock in the month that is not over."""
    if month == "now":
        return ""
    start = dt.datetime.fromisoformat(f"{month}-01T00:00:00+07:00")
    after = (start + dt.timedelta(days=32)).replace(day=1)
    return min(after - dt.timedelta(minutes=1), clock).isoformat()


def agree(kpi: str, expected: Answer, got: Answer) -> bool:
    """Whether two answers are the same, as exactly as the contract has it."""
    if expected.value is None or got.value is None:
        # What nobody reported is no row in the file, and 0 or null in the view.
        return (expected.value or 0, expected.denominator or 0) == (
            got.value or 0,
            got.denominator or 0,
        )
    tolerance = TOLERANCE.get(kpi, ROUNDING)
    if not math.isclose(expected.value, got.value, rel_tol=tolerance, abs_tol=ROUNDING):
        return False
    return expected.denominator is None or expected.denominator == got.denominator


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("log", type=Path, help="the CSV, plain or gzip")
    parser.add_argument("--view", default="http://127.0.0.1:8080", help="the view's address")
    parser.add_argument("--shift-weeks", type=int, default=0, help="as ioc convert said it")
    parser.add_argument("--list", action="store_true", help="print every number, not only the sum")
    arguments = parser.parse_args()

    view = View(arguments.view)
    waiting = sum(partition["lag"] for partition in view.get("progress")["partitions"])
    if waiting:
        print(f"the view has {waiting} records to go: wait, then ask again", file=sys.stderr)
        return 1
    clock = view.clock()
    expected = from_file(arguments.log, clock, arguments.shift_weeks)
    got: dict[Key, Answer] = {}
    for kpi, month in sorted({key[:2] for key in expected}):
        got.update(view.rows(kpi, month, moment(month, clock)))

    nothing = Answer(None, None, None)
    different = 0
    for key in sorted(expected.keys() | got.keys(), key=str):
        of_file, of_view = expected.get(key, nothing), got.get(key, nothing)
        same = agree(key[0], of_file, of_view)
        different += not same
        if arguments.list or not same:
            name = " ".join(part for part in key if part)
            print(f"{'same' if same else 'DIFFERENT'}  {name}: file {of_file}, view {of_view}")
    print(f"clock {clock.isoformat()}: {len(expected.keys() | got.keys())} numbers compared, "
          f"{different} different")  # fmt: skip
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
