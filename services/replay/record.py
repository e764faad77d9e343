"""The recorder: a stretch of topics into a file, whole at every moment."""

import errno
import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

from schemas import catalog
from services.core.record import Clock
from services.core.territory import Territories
from services.replay.framing import Meta, Place, Positions, Recorded, RecordingError, arrival_of
from services.replay.select import Filter, Wanted
from services.replay.source import Source, SourceError, Stretch
from services.replay.writer import Writer

CONTRACT = "1"
#: While following, what was read is on the disk after this many seconds.
FLUSH_SECONDS = 1.0


class DiskError(Exception):
    """The file cannot be written any further; the message says what is in it."""


@cache
def schema_hash() -> str:
    """Of the generated schemas of this installation: another one, another shape of events."""
    folder = files("schemas").joinpath("generated")
    digest = hashlib.sha256()
    for name in sorted(p.name for p in folder.iterdir() if p.name.endswith(".schema.json")):
        digest.update(name.encode() + b"\0" + folder.joinpath(name).read_bytes())
    return digest.hexdigest()[:16]


def describe(
    topics: Iterable[str],
    partitions: dict[str, int],
    clock: Clock,
    *,
    cluster: str = "",
    namespace: str = "",
    wanted: dict[str, Any] | None = None,
) -> Meta:
    """The description of a recording that is made now, by this installation."""
    return Meta(
        contract=CONTRACT,
        schema=schema_hash(),
        clock=clock,
        topics=list(topics),
        partitions=partitions,
        cluster=cluster,
        namespace=namespace,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        software=f"ioc {metadata.version('ioc')}",
        wanted=wanted or {},
    )


@dataclass(frozen=True)
class Order:
    """What is to be recorded. Instants in ms by arrival; ``offsets`` limits some partitions."""

    topics: tuple[str, ...] = tuple(t.name for t in catalog.SOURCES)
    since: int | None = None
    until: int | None = None
    offsets: dict[Place, Stretch] = field(default_factory=dict)
    wanted: Wanted = field(default_factory=Wanted)
    clock: Clock = "wall"

    def describe(self) -> dict[str, Any]:
        """As the recording notes it."""
        about: dict[str, Any] = self.wanted.describe()
        if self.since is not None:
            about["since"] = self.since
        if self.until is not None:
            about["until"] = self.until
        if self.offsets:
            about["offsets"] = {
                f"{topic}/{p}": [s.start, s.end] for (topic, p), s in sorted(self.offsets.items())
            }
        return about

    @classmethod
    def of(cls, meta: Meta) -> "Order":
        """The order that a recording was made by."""
        wanted = meta.wanted
        offsets = {}
        for name, (start, end) in wanted.get("offsets", {}).items():
            topic, _, partition = name.rpartition("/")
            offsets[topic, int(partition)] = Stretch(start, end)
        return cls(
            tuple(meta.topics),
            wanted.get("since"),
            wanted.get("until"),
            offsets,
            Wanted(*(tuple(wanted.get(n, ())) for n in ("types", "territories", "entities"))),
            meta.clock,
        )


@dataclass
class Progress:
    """How far a recording is; ``total`` are offsets to read, None while following."""

    read: int = 0
    kept: int = 0
    total: int | None = None
    arrival: int | None = None
    reason: str = ""


def stretches(source: Source, order: Order, *, follow: bool) -> dict[Place, Stretch]:
    """What to read of each partition. Raises SourceError for offsets that are not there."""
    by_time = order.clock == "wall"
    since = source.at_time(order.since) if by_time and order.since is not None else {}
    until = source.at_time(order.until) if by_time and order.until is not None else {}
    out = {}
    for place in source.places():
        first, last = source.bounds(place)
        if order.offsets and place not in order.offsets:
            continue
        asked = order.offsets.get(place, Stretch(first, None))
        start = max(asked.start, since.get(place, first))
        if asked.start < first or asked.start > last:
            raise SourceError(
                f"{place[0]}/{place[1]} has the offsets {first} to {last}, not {asked.start}"
            )
        now = None if follow else last
        # Time that has not come yet has no offset: following goes on until it is there.
        limit = until.get(place)
        reached = limit is not None and (limit < last or not follow)
        ends = [e for e in (asked.end, now, limit if reached else None) if e is not None]
        out[place] = Stretch(start, max(start, min(ends)) if ends else None)
    return out


def continued(
    source: Source, wanted: dict[Place, Stretch], positions: Positions
) -> dict[Place, Stretch]:
    """The same from where a recording ended. Raises SourceError where a gap would be left."""
    out = {}
    for place, stretch in wanted.items():
        first, last = source.bounds(place)
        start = max(stretch.start, positions.get(place, 0))
        if positions.get(place, 0) > last:
            raise SourceError(
                f"{place[0]}/{place[1]} ends at {last}, but {positions[place]} is recorded: these "
                "are not the topics that the recording was made from"
            )
        if start < first:
            raise SourceError(
                f"{place[0]}/{place[1]}: the offsets {start} to {first - 1} were deleted since: "
                "going on would leave a gap. Begin a new recording."
            )
        end = stretch.end
        out[place] = Stretch(start, None if end is None else max(start, end))
    return out


class Recorder:
    """Reads the source into the writer until the stretches end or somebody stops it."""

    def __init__(self, source: Source, writer: Writer, order: Order, places: Territories) -> None:
        self._source = source
        self._writer = writer
        self._order = order
        self._filter = Filter(order.wanted, places)
        self.progress = Progress()

    def run(
        self,
        wanted: dict[Place, Stretch],
        *,
        stopped: Callable[[], str | None] = lambda: None,
        each: Callable[[Progress], None] = lambda _: None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Progress:
        """Record; ``stopped`` says why to stop now. The file is finished with the reason.

        Raises DiskError when the file cannot be written, SourceError when the topics cannot be
        read; the file is then whole up to what it holds, and can be gone on with.
        """
        lengths = [s.length for s in wanted.values()]
        if all(n is not None for n in lengths):
            self.progress.total = sum(n for n in lengths if n is not None)
        positions: Positions = {p: s.start for p, s in wanted.items()}
        flushed = time.monotonic()
        reason = "the end of the range"
        try:
            try:
                for batch, done in self._source.read(wanted, tell=tell):
                    self._keep(batch)
                    positions = dict(done)
                    now = time.monotonic()
                    if now - flushed >= FLUSH_SECONDS:
                        self._writer.flush(positions)
                        flushed = now
                    each(self.progress)
                    why = stopped()
                    if why:
                        reason = why
                        break
            except (SourceError, KeyboardInterrupt):
                self._writer.flush(positions)
                raise
            self._writer.finish(reason, positions)
        except OSError as error:
            raise self._disk(error) from error
        self.progress.reason = reason
        return self.progress

    def _disk(self, error: OSError) -> DiskError:
        path, count = self._writer.path, self._writer.records
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        why = "the disk is full" if full else f"cannot be written: {error.strerror}"
        return DiskError(
            f"{path}: {why}. It holds {count:,} whole records and can be read up to the last of "
            f"them; make room, then go on with: ioc record {path} --append"
        )

    def _keep(self, batch: list[Any]) -> None:
        order, writer, progress = self._order, self._writer, self.progress
        clock = order.clock
        limited = clock == "event" and (order.since is not None or order.until is not None)
        for place, message in batch:
            progress.read += 1
            key, value = message.key(), message.value()
            if not self._filter(key, value):
                continue
            headers = message.headers()
            timestamp = message.timestamp()[1]
            record = Recorded(
                place[0], place[1], message.offset(), timestamp, key, value,
                tuple(headers) if headers else (), timestamp,
            )  # fmt: skip
            if clock == "event":
                record = record._replace(arrival=arrival_of(record, clock))
                if limited and not self._in_time(record.arrival):
                    continue
            elif order.until is not None and timestamp >= order.until:
                continue
            progress.kept += 1
            progress.arrival = record.arrival
            writer.add(record)

    def _in_time(self, arrival: int) -> bool:
        since, until = self._order.since, self._order.until
        return (since is None or arrival >= since) and (until is None or arrival < until)


def check(meta: Meta, path: Path) -> str | None:
    """Whether this installation speaks the recording's contract: a warning, or None.

    Raises RecordingError for another contract version.
    """
    if meta.contract.split(".")[0] != CONTRACT:
        raise RecordingError(
            f"{path} was recorded under contract version {meta.contract}; this installation speaks "
            f"version {CONTRACT}"
        )
    if meta.schema != schema_hash():
        return (
            f"{path.name} was recorded under other schemas ({meta.schema}, here {schema_hash()}): "
            "the contract only grows, so old events still count the same"
        )
    return None
