"""Invented logs in the shape of the real ones, oddities included: nothing in them ever happened."""

import csv
import datetime as dt
import itertools
import random
from pathlib import Path

_DUTCH = dt.timezone(dt.timedelta(hours=2))


def _write(path: Path, header: list[str], rows: list[list[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(header)
        writer.writerows(rows)
    return path


PERMIT_COLUMNS = [
    "case:concept:name", "time:timestamp", "concept:name", "lifecycle:transition",
    "concept:instance", "org:group", "org:resource", "case:channel", "case:department",
    "case:group", "case:responsible", "case:startdate", "case:enddate_planned", "case:deadline",
    "case:enddate",
]  # fmt: skip
_PERMIT_STEPS = (
    "Confirmation of receipt",
    "T02 Check confirmation of receipt",
    "T04 Determine confirmation of receipt",
    "T06 Determine necessity of stop advice",
    "T10 Determine necessity to stop indication",
    "T16 Report reasons to hold request",
)


def permits(path: Path, cases: int = 80) -> Path:
    """Cases of one to six steps: some end before they start, some go on after their end."""
    rng = random.Random(11)
    rows: list[list[object]] = []
    for case in range(cases):
        start = dt.datetime(2011, 1, 3, 8, 0, 0, 20_000, _DUTCH) + dt.timedelta(days=2.3 * case)
        due = start.replace(microsecond=0) + dt.timedelta(days=40)
        ended: dt.datetime | None = start + dt.timedelta(days=rng.choice([3, 20, 39, 60]))
        if case % 9 == 0:
            ended = None
        if case % 17 == 5:
            ended = start - dt.timedelta(days=1)
        at = start - dt.timedelta(hours=3) if case % 7 == 0 else start + dt.timedelta(minutes=5)
        for number, step in enumerate(_PERMIT_STEPS[: rng.randint(1, 6)]):
            rows.append([
                f"case-{case}", at.isoformat(sep=" "), step, "complete", f"task-{number}",
                "EMPTY" if number == 3 else "Group 1", "Resource1",
                rng.choice(["Internet", "Desk", "Post", "e-mail", "Intern"]) if number == 0
                else rows[-1][7],
                "General", "", "Resource1", start.isoformat(sep=" "), due.isoformat(sep=" "),
                due.isoformat(sep=" "), "" if ended is None else ended.isoformat(sep=" "),
            ])  # fmt: skip
            at += dt.timedelta(hours=rng.choice([0, 1, 30, 200]))
    rows.sort(key=lambda row: dt.datetime.fromisoformat(str(row[1])))
    return _write(path, PERMIT_COLUMNS, rows)


LOAN_COLUMNS = [
    "case:concept:name", "time:timestamp", "concept:name", "lifecycle:transition", "org:resource",
    "case:REG_DATE", "case:AMOUNT_REQ",
]  # fmt: skip
_LIVES = (
    ["A_SUBMITTED", "A_PARTLYSUBMITTED", "A_DECLINED", "W_Afhandelen leads"],
    ["A_SUBMITTED", "A_PREACCEPTED", "W_Completeren aanvraag", "A_CANCELLED"],
    ["A_SUBMITTED", "A_PREACCEPTED", "W_Completeren aanvraag", "W_Valideren aanvraag",
     "A_APPROVED", "A_ACTIVATED", "W_Valideren aanvraag"],
    ["A_SUBMITTED", "A_PREACCEPTED", "W_Completeren aanvraag", "W_Nabellen incomplete dossiers"],
    ["A_SUBMITTED", "A_ACTIVATED", "A_PREACCEPTED", "A_DECLINED"],
    ["A_SUBMITTED", "A_PREACCEPTED"],
)  # fmt: skip


def loans(path: Path, cases: int = 120) -> Path:
    """Applications of several lives; some steps share a millisecond."""
    rng = random.Random(12)
    rows: list[list[object]] = []
    for case, life in zip(range(cases), itertools.cycle(_LIVES), strict=False):
        zone = dt.timezone(dt.timedelta(hours=2 if case < cases // 3 else 1))
        at = dt.datetime(2011, 10, 1, 0, 38, 44, 546_000, zone) + dt.timedelta(hours=26.5 * case)
        registered = at.isoformat(timespec="milliseconds")
        for step in life:
            for transition in ("START", "COMPLETE") if step.startswith("W_") else ("COMPLETE",):
                rows.append([
                    200_000 + case, at.isoformat(timespec="milliseconds"), step, transition,
                    112, registered, rng.randint(0, 99_999),
                ])  # fmt: skip
                at += dt.timedelta(seconds=rng.choice([0, 0.334, 3_600, 900_000]))
    rows.sort(key=lambda row: dt.datetime.fromisoformat(str(row[1])))
    return _write(path, LOAN_COLUMNS, rows)


RETAIL_COLUMNS = [
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID",
    "Country",
]  # fmt: skip


def retail(path: Path, lines: int = 400) -> Path:
    """Invoices with cancellations, a line twice, postage, samples and write-offs."""
    rng = random.Random(13)
    rows: list[list[object]] = []
    at = dt.datetime(2010, 12, 1, 8, 26)  # noqa: DTZ001 (the log has a wall clock)
    for line in range(lines):
        product = rng.choice(["10001A", "20002", "20003b", "30004", "POST", "20005"])
        cancelled = line % 11 == 3
        quantity = rng.randint(1, 40)
        price = rng.choice(["0.0", "2.55", "0.42", "3.395"])
        rows.append([
            f"{'C' if cancelled else ''}{500_000 + line // 4}", product,
            "" if line % 13 == 4 else f"INVENTED {product}", -quantity if cancelled else quantity,
            at.strftime("%Y-%m-%d %H:%M:%S"), price, "" if line % 5 == 0 else "17850",
            rng.choice(["United Kingdom", "Germany", "Iceland"]),
        ])  # fmt: skip
        if line % 50 == 7:
            rows.append(list(rows[-1]))
        if line % 4 == 3:
            at += dt.timedelta(hours=rng.choice([1, 5, 40]))
    return _write(path, RETAIL_COLUMNS, rows)


MAKERS = {
    "permits": permits,
    "loans": loans,
    "retail_orders": retail,
    "retail_listings": retail,
}
