"""The command `ioc convert`: a real event log of another system as events of our contract."""

import csv
import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from schemas import catalog
from services.convert import boston311, outputs
from services.runtime.kafka import BrokerUnreachableError
from services.runtime.reference import load_territories
from services.runtime.settings import Settings, SettingsError, read

TOPIC = catalog.FIELD_REPORT
_TIME_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


@click.group()
def convert() -> None:
    """Convert a real event log into events."""


@convert.command("boston311")
@click.argument("log", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write JSON lines to this file.",
)
@click.option("--to", metavar="BOOTSTRAP", help="Push into Kafka at this host:port.")
@click.option("--namespace", metavar="NS", help="The system to push into; needed with --to.")
@click.option(
    "--until",
    type=click.DateTime(_TIME_FORMATS),
    help="The replay clock: what happened later is not known yet. In the log's own time.",
)
@click.option(
    "--rebase",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Move everything by whole weeks, so that the log begins near this date.",
)
@click.option("--check", is_flag=True, help="Only say what is in the log; exit 1 if rows are bad.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def boston311_command(
    log: Path,
    out: Path | None,
    to: str | None,
    namespace: str | None,
    until: dt.datetime | None,
    rebase: dt.datetime | None,
    check: bool,
    as_json: bool,
) -> None:
    """Boston's 311 requests as field reports, with the times at which each thing was known.

    \b
    Example, into a system of its own that runs on the log's clock:
      IOC_CLOCK=event ioc up --namespace boston --no-produce --no-history --port-base 28200
      ioc convert boston311 boston311.csv.gz --until 2012-01-01 --to 127.0.0.1:28200 \\
          --namespace boston

    docs/replay-real-data.md goes through it, and compares the numbers with a query over the file.
    """
    if not (out or to or check):
        raise click.UsageError("nothing to do: give --out FILE, --to BOOTSTRAP or --check")
    settings = _settings(to, namespace)
    findings = boston311.Findings()
    shift = dt.timedelta(0)
    limit = None if until is None else until.replace(tzinfo=boston311.OFFSET)
    try:
        if rebase is not None:
            first = boston311.first_opening(boston311.rows(log))
            if first is not None:
                shift = boston311.shift_to(first, rebase.date())
        revisions = boston311.revisions(
            boston311.rows(log),
            load_territories(),
            findings,
            shift=shift,
            until=None if limit is None else limit + shift,
        )
    except (boston311.NotThisLogError, OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise click.UsageError(f"{log} cannot be read: {error}") from error
    refused = outputs.refusals(TOPIC, revisions, catalog.DEFAULT_PARTITIONS)
    result: dict[str, Any] = {
        "rows": findings.rows,
        "reports": len({revision.key for revision in revisions}),
        "events": len(revisions),
        "shift_weeks": shift // dt.timedelta(weeks=1),
        "rejected": dict(findings.rejects),
        "refused": dict(refused),
        "unknown_words": dict(findings.unknown),
    }
    if revisions:
        result["first"] = revisions[0].event["time"]
        result["last"] = revisions[-1].event["time"]
    if not check:
        if out is not None:
            result["written"] = outputs.write_lines(TOPIC, revisions, out)
        if settings is not None:
            result["pushed"] = _push(revisions, settings)
    click.echo(json.dumps(result, ensure_ascii=False) if as_json else _text(result, findings))
    if findings.rejects or refused:
        raise SystemExit(1)


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


def _push(revisions: list[boston311.Revision], settings: Settings) -> int:
    sent = 0
    try:
        for sent in outputs.push(TOPIC, revisions, settings):
            click.echo(f"\r{sent} of {len(revisions)} sent", err=True, nl=False)
    except (BrokerUnreachableError, outputs.NotDeliveredError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        click.echo(err=True)
    return sent


def _text(result: Mapping[str, Any], findings: boston311.Findings) -> str:
    lines = [
        f"{result['rows']} rows, {result['reports']} reports, {result['events']} events",
    ]
    if "first" in result:
        lines.append(f"from {result['first']} to {result['last']}")
    if result["shift_weeks"]:
        lines.append(f"moved by {result['shift_weeks']} weeks")
    for reason, count in result["rejected"].items():
        example = findings.examples[reason]
        lines.append(f"rejected {count}: {reason} (first: {example})")
    lines += [f"refused {count}: {reason}" for reason, count in result["refused"].items()]
    lines += [f"unknown {count}: {word}" for word, count in result["unknown_words"].items()]
    if not result["rejected"] and not result["refused"]:
        lines.append("no row was rejected")
    lines += [f"{key} {result[key]} events" for key in ("written", "pushed") if key in result]
    return "\n".join(lines)
