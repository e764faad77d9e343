"""What was found in a log, for people as a table and for machines as one object."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from services.convert.conversion import Findings, Revision
from services.convert.mapping import LogMapping

#: Words and reasons listed for people; a machine gets all.
_LISTED = 12


def result(
    mapping: LogMapping, findings: Findings, revisions: Sequence[Revision], shift: dt.timedelta
) -> dict[str, Any]:
    """The counts by outcome, ready for JSON."""
    found: dict[str, Any] = {
        "mapping": mapping.head.name,
        "topic": mapping.target.topic.name,
        "rows": findings.rows,
        "left_out": findings.left_out,
        "rejected": dict(findings.rejects),
        "entities": findings.entities,
        "events": len(revisions),
        "unchanged": findings.unchanged,
        "not_yet_known": findings.not_yet,
        "refused": dict(findings.refused),
        "first_at": dict(findings.examples),
        "unknown_words": dict(findings.unknown),
        "looks_personal": dict(findings.personal),
        "shift_weeks": shift // dt.timedelta(weeks=1),
    }
    if revisions:
        found["first"] = _time(revisions[0])
        found["last"] = _time(revisions[-1])
    return found


def _time(revision: Revision) -> str:
    event: dict[str, Any] = msgspec.json.decode(revision.value)
    return str(event["time"])


def lines(found: Mapping[str, Any], title: str) -> list[str]:
    """The same as a table: what, how many, where first."""
    used = found["rows"] - found["left_out"] - sum(found["rejected"].values())
    table: list[tuple[str, str, str]] = [
        ("rows", _n(found["rows"]), ""),
        ("  left out by where", _n(found["left_out"]), ""),
        ("  rejected", _n(sum(found["rejected"].values())), ""),
    ]
    table += _reasons(found, "rejected")
    table += [
        ("  used", _n(used), ""),
        ("entities", _n(found["entities"]), ""),
        ("events", _n(found["events"]), found["topic"]),
        ("  refused by the contract", _n(sum(found["refused"].values())), ""),
    ]
    table += _reasons(found, "refused")
    if found["unchanged"]:
        table.append(("changes that change nothing", _n(found["unchanged"]), ""))
    if found["not_yet_known"]:
        table.append(("changes after --until", _n(found["not_yet_known"]), ""))
    left = max(len(row[0]) for row in table)
    middle = max(len(row[1]) for row in table)
    out = [title] if title else []
    out += [f"{a:<{left}}  {b:>{middle}}  {c}".rstrip() for a, b, c in table]
    if "first" in found:
        out.append(f"from {found['first']} to {found['last']}")
    if found["shift_weeks"]:
        out.append(f"moved by {found['shift_weeks']} weeks")
    out += _most(found["unknown_words"], "word that no table has")
    out += [
        f"warning: {what}, {_n(count)} times: do not map that column, if it is somebody's"
        for what, count in found["looks_personal"].items()
    ]
    out += [f"{key} {_n(found[key])} events" for key in ("written", "pushed") if key in found]
    return out


def _reasons(found: Mapping[str, Any], outcome: str) -> list[tuple[str, str, str]]:
    reasons = sorted(found[outcome].items(), key=lambda item: -item[1])
    return [
        (f"    {reason}", _n(count), f"first: {found['first_at'][reason]}")
        for reason, count in reasons
    ]


def _most(words: Mapping[str, int], what: str) -> list[str]:
    ranked = sorted(words.items(), key=lambda item: (-item[1], item[0]))
    out = [f"{what}: {word} ({_n(count)})" for word, count in ranked[:_LISTED]]
    if len(ranked) > _LISTED:
        out.append(f"{what}: {len(ranked) - _LISTED} more (--json has them all)")
    return out


def _n(count: int) -> str:
    return f"{count:,}"
