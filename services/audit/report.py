"""What an audit found, for people and for machines."""

from collections import Counter
from dataclasses import asdict

from services.audit.run import Report
from services.oracle.audit import Difference

_HEAD = ("what", "name", "window", "territory", "by", "oracle", "view")


def table(differences: list[Difference], limit: int) -> str:
    """The first differences as columns, and how many there are by name and window."""
    rows = [
        (d.what, d.name, d.window or "", d.territory or "", d.by or "", d.oracle, d.view)
        for d in differences[:limit]
    ]
    widths = [max(len(row[i]) for row in (_HEAD, *rows)) for i in range(len(_HEAD))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (_HEAD, *rows)
    ]
    if len(differences) > limit:
        lines.append(f"… and {len(differences) - limit} more (--limit)")
    counted = Counter((d.name, d.window or "") for d in differences)
    lines += ["", "differences by name and window:"]
    lines += [f"{n:8}  {name} {window}".rstrip() for (name, window), n in counted.most_common()]
    return "\n".join(lines)


def text(report: Report, limit: int) -> str:
    """The report for a terminal."""
    found = report.found
    lines = [f"note: {note}" for note in found.notes]
    if found.differences:
        lines += [table(found.differences, limit), ""]
    seconds = sum(report.seconds.values())
    lines.append(
        f"{found.compared:,} numbers of {len(report.answers)} answers compared with "
        f"{report.records:,} records and {report.letters:,} dead letters in {seconds:.1f} s: "
        + (f"{len(found.differences):,} differ" if found.differences else "all equal")
    )
    return "\n".join(lines)


def document(report: Report) -> dict[str, object]:
    """The report as JSON."""
    found = report.found
    return {
        "equal": not found.differences,
        "compared": found.compared,
        "records": report.records,
        "dead_letters": report.letters,
        "differences": [asdict(d) for d in found.differences],
        "notes": list(found.notes),
        "answers": [
            {"window": a.answer.window, "as_of": a.answer.as_of, "seconds": round(a.seconds, 4),
             "applied": sum(a.answer.applied.values())}
            for a in report.answers
        ],
        "seconds": {name: round(value, 3) for name, value in report.seconds.items()},
    }  # fmt: skip
