"""The command `ioc record`."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from schemas import catalog
from services.replay import options
from services.replay.framing import Place, RecordingError
from services.replay.progress import Bar
from services.replay.record import (
    DiskError,
    Order,
    Progress,
    Recorder,
    check,
    continued,
    describe,
    stretches,
)
from services.replay.recording import Recording
from services.replay.select import Wanted
from services.replay.source import Source, SourceError, Stretch
from services.replay.writer import Writer
from services.runtime.reference import load_territories
from services.runtime.service import OK, WANTING


class Stopping:
    """SIGINT and SIGTERM as a wish: what is at hand is finished first."""

    def __init__(self) -> None:
        self.asked = False

    def _note(self, *_: object) -> None:
        self.asked = True

    @contextmanager
    def listening(self) -> Iterator["Stopping"]:
        """For as long as this lasts a signal sets :attr:`asked` and interrupts nothing."""
        before = {n: signal.signal(n, self._note) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@click.command("record")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--topic", "topics", type=options.TOPIC, multiple=True,
              help="field-report, admin-case, listing, indicator; dead-letter.")  # fmt: skip
@click.option("--from", "since", type=options.MOMENT, metavar="TIME",
              help="First arrival: an instant, or -2h (default: all that is kept).")  # fmt: skip
@click.option("--to", "until", type=options.MOMENT, metavar="TIME",
              help="Up to this arrival, not included (default: the present end).")  # fmt: skip
@click.option("--offsets", type=options.OFFSETS, multiple=True, metavar="TOPIC/P:FROM-TO",
              help="Only these offsets of that partition; TO is not included.")  # fmt: skip
@click.option("--type", "types", type=options.TYPE, multiple=True,
              help="field_report, admin_case, listing, order, indicator.")  # fmt: skip
@click.option("--territory", "territories", multiple=True, metavar="CODE",
              help="A province, district or commune with everything below it.")  # fmt: skip
@click.option("--entity", "entities", multiple=True, metavar="ID", help="An entity's id.")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C or --duration.")
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="Stop following after so long.")  # fmt: skip
@click.option("--append", is_flag=True,
              help="Go on with a file, whole or torn, without gap or double.")  # fmt: skip
@click.option("--bootstrap", metavar="HOST:PORT", help="The cluster.  [IOC_BOOTSTRAP]")
@click.option("--namespace", metavar="NS", help="The system to record.  [IOC_NAMESPACE]")
@click.option("--clock", type=click.Choice(["wall", "event"]),
              help="What arrival means there.  [IOC_CLOCK, wall]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def record(
    file: Path,
    topics: tuple[str, ...],
    since: int | None,
    until: int | None,
    offsets: tuple[tuple[Place, Stretch], ...],
    types: tuple[str, ...],
    territories: tuple[str, ...],
    entities: tuple[str, ...],
    follow: bool,
    duration: float | None,
    append: bool,
    bootstrap: str | None,
    namespace: str | None,
    clock: str | None,
    as_json: bool,
) -> None:
    """Record a stretch of the streams into one FILE (docs/recording-format.md).

    Nobody notices: no group is joined, nothing is committed. The file is whole at every moment; one
    that was cut off (power, disk, kill) is gone on with by --append.

    \b
    Examples:
      ioc record today.iocrec --from 2026-11-23
      ioc record storm.iocrec --territory 51 --type field_report --from -6h --to -1h
      ioc record live.iocrec --follow --duration 600
      ioc record live.iocrec --append --follow
    """
    config = options.settings(bootstrap, namespace)
    places = load_territories()
    if duration is not None and not follow:
        raise click.UsageError("--duration belongs to --follow")
    try:
        wanted = Wanted.of(places, types, territories, entities)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if since is not None and until is not None and until <= since:
        raise click.UsageError("--to is not after --from")
    limits = dict(offsets)
    order = Order(
        tuple(topics) or tuple({t for t, _ in limits}) or tuple(t.name for t in catalog.SOURCES),
        since, until, limits, wanted, "event" if (clock or config.clock) == "event" else "wall",
    )  # fmt: skip
    strange = {t for t, _ in limits} - set(order.topics)
    if strange:
        raise click.UsageError(f"--offsets of {', '.join(strange)}, which --topic leaves out")
    if append:
        given = [since, until, *limits, *topics, *types, *territories, *entities, clock]
        if any(g is not None for g in given):
            raise click.UsageError(
                "--append goes on with what the file asked for; other topics, filters or times "
                "need another file"
            )
        order, before = _order_of(file)
        if before:
            click.echo(before, err=True)
    elif file.exists():
        raise click.UsageError(f"{file} exists: go on with it by --append, or take another name")
    elif not file.absolute().parent.is_dir():
        raise click.UsageError(f"{file.absolute().parent} is no folder")
    code = WANTING
    try:
        source = Source(config.bootstrap, config.namespace, order.topics)
    except SourceError as error:
        raise click.ClickException(str(error)) from None
    try:
        todo = stretches(source, order, follow=follow)
        if append:
            writer, positions = Writer.append(file)
            if writer.meta.cluster and writer.meta.cluster != source.cluster:
                writer.close()
                raise click.UsageError(
                    f"{file} was recorded from another cluster ({writer.meta.cluster}) than "
                    f"{config.bootstrap} ({source.cluster})"
                )
            todo = continued(source, todo, positions)
        else:
            meta = describe(
                order.topics, source.partitions, order.clock,
                cluster=source.cluster, namespace=config.namespace, wanted=order.describe(),
            )  # fmt: skip
            writer = Writer.create(file, meta)
        with writer, Stopping().listening() as stopping:
            code = _run(source, writer, order, todo, stopping, follow, duration)
    except (SourceError, DiskError, RecordingError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None
    finally:
        source.close()
    with Recording.open(file) as recording:
        result = about(recording)
        click.echo(json.dumps(result) if as_json else text(result))
    raise SystemExit(code)


def _order_of(file: Path) -> tuple[Order, str | None]:
    try:
        with Recording.open(file) as recording:
            check(recording.meta, file)
            return Order.of(recording.meta), recording.torn
    except RecordingError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}") from None


def _run(
    source: Source,
    writer: Writer,
    order: Order,
    todo: dict[Place, Stretch],
    stopping: Stopping,
    follow: bool,
    duration: float | None,
) -> int:
    deadline = None if duration is None else time.monotonic() + duration

    def stopped() -> str | None:
        if stopping.asked:
            return "stopped by hand"
        if deadline is not None and time.monotonic() >= deadline:
            return "the time was up"
        return None

    recorder = Recorder(source, writer, order, load_territories())
    with Bar("recording") as bar:

        def each(progress: Progress) -> None:
            share = None if progress.total is None else progress.read / max(progress.total, 1)
            bar.show(progress.kept, share, progress.arrival)

        progress = recorder.run(
            todo, stopped=stopped, each=each, tell=lambda line: click.echo(line, err=True)
        )
    # A range that was cut short is not what was asked for.
    return WANTING if progress.reason == "stopped by hand" and not follow else OK


def about(recording: Recording) -> dict[str, Any]:
    """What is in a recording, for machines."""
    meta = recording.meta
    span = recording.arrivals
    return {
        "file": str(recording.path),
        "bytes": recording.path.stat().st_size,
        "records": recording.count,
        "topics": recording.by_topic(),
        "first_arrival": None if span is None else options.show(span[0]),
        "last_arrival": None if span is None else options.show(span[1]),
        "clock": meta.clock,
        "contract": meta.contract,
        "schema": meta.schema,
        "partitions": meta.partitions,
        "offsets": recording.offsets(),
        "wanted": meta.wanted,
        "ended": recording.finished,
        "torn": recording.torn,
    }


def text(result: dict[str, Any]) -> str:
    """The same for people."""
    lines = [
        f"{result['file']}: {result['records']:,} records, {result['bytes']:,} bytes",
        f"  arrived {result['first_arrival'] or '-'} to {result['last_arrival'] or '-'} "
        f"({result['clock']} clock), contract {result['contract']}, schema {result['schema']}",
    ]
    lines += [f"  {topic:<22} {count:>10,}" for topic, count in result["topics"].items()]
    if result["wanted"]:
        lines.append(f"  asked for: {json.dumps(result['wanted'])}")
    lines.append(f"  ended by: {result['ended'] or 'nothing, it was cut off'}")
    if result["torn"]:
        lines.append(f"  {result['torn']}")
    return "\n".join(lines)
