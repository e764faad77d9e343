"""Compares the view's numbers after a replay of a real log with a query over the file.

    python examples/compare_logs.py permits permits.csv.gz --view http://127.0.0.1:28202

The queries are in logs/ beside this file; they run in DuckDB on the CSV and share no code with the
pipeline. Exits 0 when every number agrees, 1 when one does not. For boston311 there is
compare_boston311.py, which needs no DuckDB.
"""

import argparse
import datetime as dt
import sys
from pathlib import Path

import duckdb
from compare_boston311 import Answer, Key, View, agree, moment

QUERIES = Path(__file__).with_name("logs")
#: Days are kept so long: of what lies before, no month can be asked.
KEPT = dt.timedelta(days=400)


def from_file(name: str, log: Path, clock: dt.datetime) -> dict[Key, Answer]:
    """The numbers by the query over the file; of months that are still kept."""
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    relation = database.read_csv(str(log), all_varchar=True)
    relation.create("log")
    database.execute("SET VARIABLE clock = ?::TIMESTAMPTZ", [clock.isoformat()])
    rows = database.execute((QUERIES / f"{name}.sql").read_text("utf-8")).fetchall()
    database.close()
    first = f"{clock - KEPT + dt.timedelta(days=32):%Y-%m}"
    found: dict[Key, Answer] = {}
    for kpi, month, territory, by, numerator, denominator in rows:
        if month >= first:
            value = numerator if denominator is None else numerator / denominator
            found[kpi, month, territory, by] = Answer(value, numerator, denominator)
    return found


def from_view(view: View, wanted: dict[Key, Answer], clock: dt.datetime) -> dict[Key, Answer]:
    """What the view answers to the same questions."""
    got: dict[Key, Answer] = {}
    asked = {(kpi, month, (by or "").partition("=")[0]) for kpi, month, _, by in wanted}
    for kpi, month, dimension in sorted(asked):
        window = {} if month == "now" else {"window": "month", "as_of": moment(month, clock)}
        for by in [dimension] if dimension else ["", "province"]:
            query = {**window, **({"by": by} if by else {})}
            for row in view.get(f"kpis/{kpi}", **query)["rows"]:
                name = f"{dimension}={row['by']}" if dimension else None
                answer = Answer(row["value"], row["numerator"], row["denominator"])
                got[kpi, month, row["territory"], name] = answer
    return got


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = sorted(path.stem for path in QUERIES.glob("*.sql"))
    parser.add_argument("mapping", choices=names)
    parser.add_argument("log", type=Path, help="the CSV, plain or gzip")
    parser.add_argument("--view", default="http://127.0.0.1:8080", help="the view's address")
    parser.add_argument("--list", action="store_true", help="print every number")
    arguments = parser.parse_args()
    view = View(arguments.view)
    waiting = sum(partition["lag"] for partition in view.get("progress")["partitions"])
    if waiting:
        print(f"the view has {waiting} records to go: wait, then ask again", file=sys.stderr)
        return 1
    clock = view.clock()
    expected = from_file(arguments.mapping, arguments.log, clock)
    got = from_view(view, expected, clock)
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
