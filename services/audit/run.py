"""An audit from beginning to end: ask the view, read the topics that far, choose, compare.

The view is asked first, which takes a few seconds; then the topics are read, at the lowest
priority, up to the highest offset of any answer; then each answer is compared with the oracle cut
at that answer's own offsets. Nothing the live system does meanwhile can disturb the comparison.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from services.audit.asking import Asked, Asking, Shown, ViewError
from services.oracle.audit import Audit, audit
from services.oracle.broker import BrokerError, Extent, LogReader, TopicMissingError
from services.oracle.letters import DEAD_LETTERS, Letters
from services.oracle.oracle import Oracle, Places
from services.oracle.records import SOURCE_TOPICS, Place, RawRecord

#: Seconds of sleep for a second of work while the topics are read.
REST = 0.15
#: Records held as Python objects at once.
BATCH = 4_000
#: Dead letters are large where records were too large.
LETTERS_BATCH = 500
#: The clock of a machine that stamps records may be off by so much.
SLACK_MS = 60_000

Say = Callable[[str], None]


class AuditError(Exception):
    """The audit could not be made; the message is fit for an operator."""


@dataclass(frozen=True)
class Wanted:
    """What is to be audited; empty: everything."""

    windows: Sequence[str] = ()
    kpis: Sequence[str] = ()
    territories: Sequence[str] = ()
    dimensions: bool = False


@dataclass
class Report:
    """The result, and how it came about."""

    found: Audit
    records: int = 0
    letters: int = 0
    answers: list[Asked] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


async def run(
    bootstrap: str,
    namespace: str,
    view: str,
    places: Places,
    wanted: Wanted,
    database: Path,
    memory: str,
    say: Say,
) -> Report:
    """One audit. Raises AuditError when it cannot be made."""
    began = time.monotonic()
    asking = Asking(view)
    sources = LogReader(bootstrap, namespace, SOURCE_TOPICS)
    letters = LogReader(bootstrap, namespace, [DEAD_LETTERS])
    try:
        shown = asking.shown()
        if shown.namespace != namespace:
            raise AuditError(
                f"the view at {view} is of {_named(shown.namespace)}, "
                f"the topics asked for are of {_named(namespace)}"
            )
        # A broker that is not there should be heard of before anything else is done.
        await sources.start()
        report = Report(Audit())
        report.answers = list(
            asking.answers(shown, wanted.windows, wanted.kpis, dimensions=wanted.dimensions)
        )
        if not report.answers:
            raise AuditError("the view serves none of the KPIs asked for in those windows")
        report.seconds["view"] = time.monotonic() - began
        say(f"the view gave {len(report.answers)} answers in {report.seconds['view']:.1f} s")
        until = _furthest(report.answers, sources.extents)
        partitions = _partitions(sources.extents)
        oracle = Oracle(
            None, partitions, "event" if shown.clock == "event" else "wall", places,
            database=str(database), memory=memory, threads=1,
        )  # fmt: skip
        try:
            lost = await _read(sources, oracle, until, report, say)
            # Letters are acknowledged before their records count, so all that are due are there.
            await letters.start()
            read = Letters(oracle)
            async for batch in letters.batches(size=LETTERS_BATCH, rest=REST):
                read.load(batch)
            report.letters = read.read
            await asyncio.to_thread(
                _compare, report, oracle, read, shown, places, wanted, lost, until,
                _letters_since(letters.extents, read),
            )  # fmt: skip
        finally:
            oracle.close()
    except (BrokerError, ViewError) as error:
        raise AuditError(str(error)) from error
    except TopicMissingError as error:
        raise AuditError(f"Kafka at {bootstrap} has no topic {error.args[0]}") from error
    finally:
        for reader in (sources, letters):
            with suppress(OSError):
                await reader.stop()
    return report


def _named(namespace: str) -> str:
    return f"the namespace {namespace!r}" if namespace else "no namespace"


def _partitions(extents: Mapping[Place, Extent]) -> int:
    counts = {t: sum(topic == t for topic, _ in extents) for t in SOURCE_TOPICS}
    if len(set(counts.values())) != 1:
        raise AuditError(f"the source topics have different numbers of partitions: {counts}")
    return counts[SOURCE_TOPICS[0]]


def _furthest(answers: Sequence[Asked], extents: Mapping[Place, Extent]) -> dict[Place, int]:
    until: dict[Place, int] = {}
    for asked in answers:
        for place, applied in asked.answer.applied.items():
            until[place] = max(applied, until.get(place, 0))
    if until.keys() != extents.keys():
        raise AuditError("the view and the broker have different numbers of partitions")
    return until


async def _read(
    sources: LogReader, oracle: Oracle, until: Mapping[Place, int], report: Report, say: Say
) -> dict[str, int]:
    """Reads all sources; topics that have lost their beginning, and since when they are whole."""
    began = said = time.monotonic()
    total = sum(max(0, until[p] - e.start) for p, e in sources.extents.items())
    first: dict[Place, RawRecord] = {}
    gone = {place for place, extent in sources.extents.items() if extent.start > 0}
    # The view may have read on since the ends were looked up.
    await sources.look_up()
    short = [p for p, e in sources.extents.items() if until[p] > e.end]
    if short:
        place = short[0]
        raise AuditError(
            f"the view has applied {place[0]}/{place[1]} up to {until[place]}, but the log ends at "
            f"{sources.extents[place].end}: is it the view of these topics?"
        )
    async for batch in sources.batches(until, size=BATCH, rest=REST):
        for record in batch if gone - first.keys() else ():
            place = (record.topic, record.partition)
            if place in gone:
                first.setdefault(place, record)
        report.records += oracle.load(batch)
        now = time.monotonic()
        if now - said > 2:
            said = now
            rate = report.records / (now - began)
            say(f"read {report.records:,} of about {total:,} records, {rate:,.0f}/s")
    report.seconds["read"] = time.monotonic() - began
    say(f"read {report.records:,} records in {report.seconds['read']:.1f} s")
    lost: dict[str, int] = {}
    for place in sorted(gone):
        start = sources.extents[place].start
        if until[place] <= start and place not in first:
            since = int(time.time() * 1000)
        else:
            since = oracle.arrival_of(first[place])
        lost[place[0]] = max(since, lost.get(place[0], 0))
        report.found.note(
            f"{place[0]}/{place[1]}: the log begins at offset {start}, with what arrived "
            f"{_instant(since)}; what lay before is gone"
        )
    return lost


def _letters_since(extents: Mapping[Place, Extent], letters: Letters) -> int | None:
    if all(extent.start == 0 for extent in extents.values()):
        return None
    return (letters.first_stamp or int(time.time() * 1000)) + SLACK_MS


def _compare(
    report: Report,
    oracle: Oracle,
    letters: Letters,
    shown: Shown,
    places: Places,
    wanted: Wanted,
    lost: Mapping[str, int],
    until: Mapping[Place, int],
    letters_since: int | None,
) -> None:
    began = time.monotonic()
    oracle.choose()
    report.seconds["choose"] = time.monotonic() - began
    began = time.monotonic()
    codes = under(places, wanted.territories)
    found = audit(
        (asked.answer for asked in report.answers),
        oracle,
        kpis=lambda name: not wanted.kpis or name in wanted.kpis,
        territories=lambda code: codes is None or code.split(".")[0] in codes,
        complete_from=lost,
        event_clock=shown.clock == "event",
    )
    report.found.differences += found.differences
    report.found.compared += found.compared
    report.found.notes |= found.notes
    oracle.cut(until)
    report.found.differences += letters.differences(letters_since)
    report.found.compared += letters.read
    if letters_since is not None:
        report.found.note(
            f"dead letters are complete since {_instant(letters_since)}; older ones are not audited"
        )
    if not wanted.kpis and not wanted.windows:
        for name in sorted(oracle.kpis - shown.windows.keys()):
            report.found.note(f"{name} is not audited: the view does not serve it")
    report.seconds["compare"] = time.monotonic() - began


def under(places: Places, codes: Sequence[str]) -> set[str] | None:
    """The codes named and all below them; None where none is named, or ``all`` is."""
    if not codes or "all" in codes:
        return None
    out = set(codes)
    out |= {d for d, province in places.districts.items() if province in out}
    out |= {c for c, (district, _) in places.communes.items() if district in out}
    return out


def _instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")
