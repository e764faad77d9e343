"""The command `ioc convert`: a real event log of another system as events of our contract."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from services.convert import outputs, report
from services.convert.conversion import Conversion, Revision
from services.convert.loading import load
from services.convert.mapping import LogMapping, MappingError
from services.convert.reading import UNREADABLE, Log, NotThisLogError, Row
from services.convert.values import shift_to, zone
from services.runtime.kafka import BrokerUnreachableError
from services.runtime.memory import uncollected
from services.runtime.reference import load_territories
from services.runtime.settings import Settings, SettingsError, read

SHIPPED = Path(__file__).parent / "mappings"
_TIME_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
F = TypeVar("F", bound=Callable[..., Any])


def shipped() -> dict[str, Path]:
    """The mappings that come with the package, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yml"))}


class MappingFile(click.ParamType):
    """The name of a shipped mapping, or a path to a YAML file."""

    name = "mapping"

    def convert(self, value: Any, param: Any, ctx: Any) -> LogMapping:
        if isinstance(value, LogMapping):
            return value
        path = shipped().get(value, Path(value))
        if not path.is_file():
            self.fail(f"{value}: no such file, and shipped are {', '.join(shipped())}")
        try:
            return load(path)
        except MappingError as error:
            self.fail(f"{value}: {error}")
        except OSError as error:
            self.fail(f"{value} cannot be read: {error}")


def _options(command: F) -> F:
    """What every conversion takes."""
    for option in reversed((
        click.option(
            "--out",
            type=click.Path(dir_okay=False, writable=True, path_type=Path),
            help="Write JSON lines to this file.",
        ),
        click.option("--to", metavar="BOOTSTRAP", help="Push into Kafka at this host:port."),
        click.option("--namespace", metavar="NS", help="The system to push into, with --to."),
        click.option(
            "--until",
            type=click.DateTime(_TIME_FORMATS),
            help="The replay clock: what happened later is not known yet. In the log's own time.",
        ),
        click.option(
            "--rebase",
            type=click.DateTime(["%Y-%m-%d"]),
            help="Move everything by whole weeks, so that the log begins near this date.",
        ),
        click.option(
            "--check", is_flag=True, help="Only say what is in the log; exit 1 if rows are bad."
        ),
        click.option("--json", "as_json", is_flag=True, help="The result as one JSON object."),
    )):  # fmt: skip
        command = option(command)
    return command


_LOG = click.argument("log", type=click.Path(exists=True, dir_okay=False, path_type=Path))


class _Shipped(click.Group):
    """Every shipped mapping is a command of its own, too."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *shipped()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        path = shipped().get(cmd_name)
        return super().get_command(ctx, cmd_name) if path is None else _of_shipped(path)


def _of_shipped(path: Path) -> click.Command:
    mapping = load(path)

    @click.command(
        path.stem,
        help=f"""{mapping.head.title}, as {mapping.head.target} events.

    \b
    Example, into a system of its own that runs on the log's clock:
      IOC_CLOCK=event ioc up --namespace real --no-produce --no-history --port-base 28200
      ioc convert {path.stem} LOG --to 127.0.0.1:28200 --namespace real

    Source: {mapping.head.credit}.
    """,
    )
    @_LOG
    @_options
    def command(log: Path, **options: Any) -> None:
        _convert(mapping, log, **options)

    return command


@click.group(cls=_Shipped)
def convert() -> None:
    """Convert a real event log into events, by a mapping file.

    \b
    Examples:
      ioc convert check mine.yml requests.csv.gz
      ioc convert run mine.yml requests.csv.gz --out events.jsonl
      ioc convert boston311 boston311.csv.gz --check

    docs/converters.md has the language of the mappings.
    """


@convert.command("list")
def list_command() -> None:
    """The mappings that come with the package.

    \b
    Example:
      ioc convert list
    """
    for name, path in shipped().items():
        head = load(path).head
        click.echo(f"{name:<16} {head.target:<13} {head.title}")


@convert.command("check")
@click.argument("mapping", type=MappingFile())
@_LOG
@click.option("--show", type=click.IntRange(0, 100), default=0, metavar="N",
              help="Print the first N events, too.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def check_command(mapping: LogMapping, log: Path, show: int, as_json: bool) -> None:
    """Say what would become of a log: rows, rejects and reasons. Nothing is sent.

    MAPPING is a YAML file or the name of a shipped mapping. Exit 1 when rows are rejected or events
    are refused by the contract, 2 when the mapping or the file cannot be used.

    \b
    Example:
      ioc convert check examples/mappings/open311.yml dump.json --show 2
    """
    _convert(mapping, log, check=True, show=show, as_json=as_json)


@convert.command("run")
@click.argument("mapping", type=MappingFile())
@_LOG
@_options
def run_command(mapping: LogMapping, log: Path, **options: Any) -> None:
    """Convert a log by a mapping: into a file, or into Kafka with the times of arrival.

    MAPPING is a YAML file or the name of a shipped mapping.

    \b
    Example:
      ioc convert run examples/mappings/open311.yml dump.json --to 127.0.0.1:28200 --namespace city
    """
    _convert(mapping, log, **options)


def _convert(
    mapping: LogMapping,
    log: Path,
    *,
    out: Path | None = None,
    to: str | None = None,
    namespace: str | None = None,
    until: dt.datetime | None = None,
    rebase: dt.datetime | None = None,
    check: bool = False,
    show: int = 0,
    as_json: bool = False,
) -> None:
    if not (out or to or check):
        raise click.UsageError("nothing to do: give --out FILE, --to BOOTSTRAP or --check")
    settings = _settings(to, namespace)
    try:
        with uncollected():
            conversion, shift = _prepared(mapping, log, rebase)
            limit = None
            if until is not None:
                limit = until.replace(tzinfo=zone(mapping.head.time.zone)) + shift
            revisions = conversion.revisions(_log(mapping, log, conversion), limit)
    except MappingError as error:
        raise click.UsageError(str(error)) from None
    except (NotThisLogError, *UNREADABLE) as error:
        raise click.UsageError(f"{log} cannot be read: {error}") from error
    result = report.result(mapping, conversion.findings, revisions, shift)
    topic = mapping.target.topic
    if not check:
        if out is not None:
            try:
                result["written"] = outputs.write_lines(topic, revisions, out)
            except OSError as error:
                raise click.ClickException(f"{out} cannot be written: {error}") from None
        if settings is not None:
            result["pushed"] = _push(mapping, revisions, settings)
    if as_json:
        if show:
            result["shown"] = [msgspec.json.decode(r.value) for r in revisions[:show]]
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        title = f"{log.name} by {mapping.head.name}: {mapping.head.title}"
        click.echo("\n".join(report.lines(result, title)))
        for revision in revisions[:show]:
            click.echo(msgspec.json.format(revision.value, indent=1))
    if not conversion.findings.clean:
        raise SystemExit(1)


def _log(mapping: LogMapping, path: Path, conversion: Conversion) -> Log:
    return Log(path, mapping.head.file, conversion.columns)


def _prepared(
    mapping: LogMapping, path: Path, rebase: dt.datetime | None
) -> tuple[Conversion, dt.timedelta]:
    """The conversion, and by how much it moves everything."""
    territories = load_territories()
    plain = Conversion(mapping, territories)
    if rebase is None:
        return plain, dt.timedelta(0)
    rows: Iterator[Row] = _log(mapping, path, plain).rows()
    first = plain.first_opening(rows)
    shift = dt.timedelta(0) if first is None else shift_to(first, rebase.date())
    return Conversion(mapping, territories, shift), shift


def _settings(to: str | None, namespace: str | None) -> Settings | None:
    if to is None:
        return None
    if namespace is None:
        # A replay into a live system would be counted there: it has to be said.
        raise click.UsageError('--to needs --namespace NS (the live system is --namespace "")')
    try:
        return read({"IOC_BOOTSTRAP": to, "IOC_NAMESPACE": namespace})
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def _push(mapping: LogMapping, revisions: list[Revision], settings: Settings) -> int:
    sent = 0
    try:
        for sent in outputs.push(mapping.target.topic, revisions, settings):
            click.echo(f"\r{sent} of {len(revisions)} sent", err=True, nl=False)
    except (BrokerUnreachableError, outputs.NotDeliveredError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        click.echo(err=True)
    return sent
