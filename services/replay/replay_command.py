"""The command `ioc replay`."""

import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from schemas import catalog
from services.replay import options
from services.replay.framing import RecordingError
from services.replay.mutate import Mutations
from services.replay.position import PositionError
from services.replay.progress import Bar
from services.replay.record import Order, Recorder, check, describe, stretches
from services.replay.recording import Recording
from services.replay.select import Wanted
from services.replay.sender import SendError
from services.replay.sequence import Wishes
from services.replay.session import Asked, HistoryError, Session, say, text
from services.replay.source import Source, SourceError
from services.replay.target import (
    NamespaceInUseError,
    TargetError,
)
from services.replay.verdict import (
    NotAppliedError,
)
from services.replay.writer import Writer
from services.runtime.kafka import BrokerUnreachableError, TopicError
from services.runtime.own_system import OwnSystemError
from services.runtime.reference import load_territories
from services.runtime.service import OK, WANTING


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM counts as Ctrl-C, and after the first of them the way out is not disturbed."""

    def first(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {n: signal.signal(n, first) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.command("replay")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--from-topic", is_flag=True, help="Straight from the topics of a system, no file.")
@click.option("--from-bootstrap", metavar="HOST:PORT",
              help="Whose topics.  [--bootstrap, IOC_BOOTSTRAP]")  # fmt: skip
@click.option("--from-namespace", metavar="NS", help="Which system's topics.  [IOC_NAMESPACE]")
@click.option("--speed", type=options.SPEED, default="max", show_default=True,
              help="1 as it was, X times as fast, or max.")  # fmt: skip
@click.option("--seek", type=options.MOMENT, metavar="TIME", help="Begin at this arrival.")
@click.option("--until", type=options.MOMENT, metavar="TIME", help="End before this arrival.")
@click.option("--topic", "topics", type=options.TOPIC, multiple=True, help="Only these topics.")
@click.option("--type", "types", type=options.TYPE, multiple=True, help="Only events of a type.")
@click.option("--territory", "territories", multiple=True, metavar="CODE",
              help="Only a territory with everything below it.")  # fmt: skip
@click.option("--entity", "entities", multiple=True, metavar="ID", help="Only these entities.")
@click.option("--loop", "laps", type=click.IntRange(1, 10_000), default=1, metavar="N",
              help="N laps, each with other entities and later times.")  # fmt: skip
@click.option("--rebase", is_flag=True,
              help="Move all times to now: at speed 1 the beginning, else the end.")  # fmt: skip
@click.option("--duplicate", type=options.CHANCE, default="0", metavar="P", help="Send twice.")
@click.option("--delay", type=options.DELAY, metavar="P:SECONDS", help="Send so much later.")
@click.option("--drop", type=options.CHANCE, default="0", metavar="P", help="Do not send.")
@click.option("--corrupt", type=options.CHANCE, default="0", metavar="P", help="Damage the value.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of these chances.")
@click.option("--bootstrap", metavar="HOST:PORT",
              help="Another cluster as the target (default: a system of its own).")  # fmt: skip
@click.option("--namespace", metavar="NS", help="There: made for the replay, and dropped with it.")
@click.option("--live", "is_live", is_flag=True,
              help="Into a system that is running, for good. Asked for twice.")  # fmt: skip
@click.option("--yes-live", count=True, help="The two answers to that, given twice beforehand.")
@click.option("--workers", type=click.IntRange(1, 16), default=1, show_default=True)
@click.option("--no-verdict", is_flag=True, help="Only send: compare no numbers.")
@click.option("--thorough", is_flag=True, help="Compare every dimension too (minutes).")
@click.option("--resume", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Note the position there; if it is noted, go on from it.")  # fmt: skip
@click.option("--patience", type=click.FloatRange(min=1), default=600.0, show_default=True,
              metavar="SECONDS", help="How long the target may be gone.")  # fmt: skip
@click.option("--history", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Write the KPIs of these days into a Prometheus' data directory.")  # fmt: skip
@click.option("--paused", is_flag=True, help="Begin in a pause (with a keyboard).")
@click.option("--clock", type=click.Choice(["wall", "event"]),
              help="With --from-topic: what arrival means there.  [IOC_CLOCK]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def replay(
    file: Path | None,
    from_topic: bool,
    from_bootstrap: str | None,
    from_namespace: str | None,
    speed: float | None,
    seek: int | None,
    until: int | None,
    topics: tuple[str, ...],
    types: tuple[str, ...],
    territories: tuple[str, ...],
    entities: tuple[str, ...],
    laps: int,
    rebase: bool,
    duplicate: float,
    delay: tuple[float, int] | None,
    drop: float,
    corrupt: float,
    seed: int,
    bootstrap: str | None,
    namespace: str | None,
    is_live: bool,
    yes_live: int,
    workers: int,
    no_verdict: bool,
    thorough: bool,
    resume: Path | None,
    patience: float,
    history: Path | None,
    paused: bool,
    clock: str | None,
    as_json: bool,
) -> None:
    """Replay a recording FILE, or topics, and say whether the numbers are the same.

    Into a system of its own that lives as long as the replay; into a namespace of its own on the
    cluster of --bootstrap; or, with --live, into a running system. Times stay what they were: the
    target runs on an event clock, and the header ioc-arrival carries the recorded arrival.

    The numbers afterwards are compared with those that an independent oracle makes of the recording
    (of what was sent, where filters, laps, shifts or faults change it). Exit 0: all equal. 1: not.

    While it runs: p or space pauses and goes on, s sends one record.

    \b
    Examples:
      ioc replay day.iocrec
      ioc replay day.iocrec --speed 600 --seek 2026-11-23T08:00 --territory 51
      ioc replay day.iocrec --duplicate 0.1 --delay 0.05:600 --drop 0.01 --seed 7
      ioc replay day.iocrec --bootstrap kafka.test:9092 --namespace trial --resume day.position
      ioc replay --from-topic --bootstrap 127.0.0.1:9092 --namespace trial
      ioc replay day.iocrec --history ~/.local/share/ioc/prometheus/data
      ioc replay day.iocrec --live --rebase --speed 1
    """
    if (file is None) == (not from_topic):
        raise click.UsageError("name a recording, or say --from-topic (not both)")
    if namespace is not None and bootstrap is None and not is_live:
        raise click.UsageError("--namespace is of a cluster: name it by --bootstrap")
    if resume is not None and bootstrap is None:
        raise click.UsageError(
            "--resume goes on in a namespace of another cluster: name it by --bootstrap and "
            "--namespace (a system of its own ends with the replay)"
        )
    if seek is not None and until is not None and until <= seek:
        raise click.UsageError("--until is not after --seek")
    chance, late = delay or (0.0, 0)
    places = load_territories()
    try:
        wanted = Wanted.of(places, types, territories, entities)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    mutations = Mutations(duplicate, chance, late, drop, corrupt, seed)
    asked = Asked(
        Wishes(wanted, topics, seek, until, laps, 0, mutations),
        speed, rebase, bootstrap, namespace, is_live, workers, not no_verdict, thorough,
        resume, patience, paused, history,
    )  # fmt: skip
    if history is not None and (is_live or rebase):
        raise click.UsageError("--history shows days at their own times: no --live, no --rebase")
    if is_live:
        if resume is not None:
            raise click.UsageError("--resume and --live do not go together")
        _ask_twice(asked, yes_live)
    code = WANTING
    try:
        with interruptible(), ExitStack() as stack:
            if file is None:
                recording = stack.enter_context(
                    _of_topics(asked, from_bootstrap, from_namespace, clock)
                )
            else:
                recording = stack.enter_context(_of_file(file))
            result = Session(recording, asked, places).run()
            click.echo(json.dumps(result) if as_json else text(result))
            code = WANTING if result["verdict"] == "different" else OK
    except KeyboardInterrupt:
        say(
            f"stopped by hand; go on with the same command ({resume} has the position)"
            if resume is not None
            else "stopped by hand; nothing of the replay is left behind"
            if not is_live
            else "stopped by hand; what was sent stays in the live system"
        )
    except (NamespaceInUseError, RecordingError, PositionError) as error:
        raise click.UsageError(str(error)) from None
    except (
        TargetError, SourceError, SendError, NotAppliedError, HistoryError, OwnSystemError,
        TopicError, BrokerUnreachableError,
    ) as error:  # fmt: skip
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or file}: {error.strerror}") from None
    raise SystemExit(code)


def _ask_twice(asked: Asked, answers: int) -> None:
    config = options.settings(asked.bootstrap, asked.namespace)
    system = config.named("").rstrip(".") or "live"
    if answers >= 2:
        return
    if answers == 1 or not sys.stdin.isatty():
        raise click.UsageError(
            f"--live sends into the system {system!r} on {config.bootstrap} for good, and is asked "
            "for twice: answer at a terminal, or give --yes-live --yes-live"
        )
    click.confirm(
        f"The events will count in the numbers of {system!r} on {config.bootstrap}, for good. Go "
        "on?", abort=True, err=True,
    )  # fmt: skip
    typed = click.prompt(f"Type its name ({system}) to be sure", err=True)
    if typed != system:
        raise click.UsageError("that is another name: nothing was sent")


@contextmanager
def _of_file(file: Path) -> Iterator[Recording]:
    try:
        recording = Recording.open(file)
    except OSError as error:
        raise RecordingError(f"{file} cannot be read: {error.strerror}") from None
    with recording:
        warning = check(recording.meta, file)
        for line in (warning, recording.torn):
            if line:
                say(f"warning: {line}")
        yield recording


@contextmanager
def _of_topics(
    asked: Asked, bootstrap: str | None, namespace: str | None, clock: str | None
) -> Iterator[Recording]:
    """The topics as they are now, read into a file for as long as the replay lasts."""
    wishes = asked.wishes
    config = options.settings(bootstrap or asked.bootstrap, namespace)
    topics = wishes.topics or tuple(t.name for t in catalog.SOURCES)
    about = "event" if (clock or config.clock) == "event" else "wall"
    order = Order(topics, wishes.since, wishes.until, {}, Wanted(), about)  # type: ignore[arg-type]  # one of the two
    source = Source(config.bootstrap, config.namespace, topics)
    try:
        with tempfile.TemporaryDirectory(prefix="ioc-replay-") as folder:
            path = Path(folder) / "topics.iocrec"
            meta = describe(
                topics, source.partitions, order.clock,
                cluster=source.cluster, namespace=config.namespace, wanted=order.describe(),
            )  # fmt: skip
            with Writer.create(path, meta) as writer, Bar("reading") as bar:
                recorder = Recorder(source, writer, order, load_territories())
                recorder.run(
                    stretches(source, order, follow=False),
                    each=lambda p: bar.show(p.kept, p.read / max(p.total or 1, 1), p.arrival),
                    tell=say,
                )
            with Recording.open(path) as recording:
                yield recording
    finally:
        source.close()
