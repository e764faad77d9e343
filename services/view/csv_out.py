"""Tables as CSV (RFC 4180), and the choice between CSV and JSON by the Accept header. Pure."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

CONTENT_TYPE = "text/csv"


def wanted(accept: str) -> bool:
    """Whether an Accept header prefers text/csv to application/json.

    The more specific range gives a type's weight, as RFC 9110 has it; an equal weight goes to the
    type that is named, JSON before CSV.
    """
    csv_rank, json_rank = _rank(accept, "text", "csv"), _rank(accept, "application", "json")
    return csv_rank[0] > 0 and csv_rank > json_rank


def _rank(accept: str, kind: str, subtype: str) -> tuple[float, int]:
    """The weight of a media type and how closely it is named (2 exactly, 0 by ``*/*``)."""
    best, weight = -1, 0.0
    for part in accept.split(","):
        media, *parameters = (p.strip().lower() for p in part.split(";"))
        closeness = {f"{kind}/{subtype}": 2, f"{kind}/*": 1, "*/*": 0}.get(media, -1)
        if closeness > best:
            best, weight = closeness, _quality(parameters)
    return weight, best


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def write(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    """The table with a header line; null is an empty field, truth is ``true`` / ``false``."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return out.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return ";".join(f"{k}={v}" for k, v in value.items())
    return value
