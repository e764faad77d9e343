"""`ioc annotate`: the events of a day, from a small YAML file, as annotations on the boards."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import click
import msgspec
import yaml

SHIPPED = Path(__file__).parent / "events"
#: The tag that every board of ours shows.
TAG = "ioc"


class Event(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What happened: from ``at`` to ``until`` (RFC 3339), or at an instant."""

    at: dt.datetime
    text: str
    until: dt.datetime | None = None
    tags: list[str] = []


class EventsError(Exception):
    """The file cannot be used; the message names the place in it."""


def load(path: Path) -> list[Event]:
    """The events of a file in order of time. Raises EventsError, OSError."""
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise EventsError(f"{path}: no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict) or set(raw) != {"events"} or not isinstance(raw["events"], list):
        raise EventsError(f"{path}: expected one key, events, with a list")
    found = []
    for number, one in enumerate(raw["events"]):
        where = f"{path}: events[{number}]"
        try:
            event = msgspec.convert(one, Event, strict=False)
        except msgspec.ValidationError as error:
            raise EventsError(f"{where}: {error}") from None
        if event.at.tzinfo is None or (event.until is not None and event.until.tzinfo is None):
            raise EventsError(f"{where}: a time without an offset; put it in quotes, with +07:00")
        if event.until is not None and event.until < event.at:
            raise EventsError(f"{where}: until lies before at")
        found.append(event)
    return sorted(found, key=lambda event: event.at)


def body(event: Event) -> dict[str, Any]:
    """What Grafana's ``POST /api/annotations`` takes; without a board it is on all of them."""
    at = round(event.at.timestamp() * 1000)
    until = at if event.until is None else round(event.until.timestamp() * 1000)
    tags = [TAG, *(tag for tag in event.tags if tag != TAG)]
    return {"time": at, "timeEnd": until, "tags": tags, "text": event.text}


def _file(name: str) -> Path:
    shipped = SHIPPED / f"{name}.yml"
    path = shipped if shipped.is_file() else Path(name)
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.yml")))
        raise click.BadParameter(f"{name}: no such file, and shipped are {names}")
    return path


@click.command()
@click.argument("events")
@click.option("--url", envvar="IOC_GRAFANA_URL", help="Address of the Grafana.")
@click.option("--token", envvar="IOC_GRAFANA_TOKEN", help="Service account token (or that "
              "variable, which other users cannot see).")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only print what would be sent.")
def annotate(events: str, url: str | None, token: str | None, dry_run: bool) -> None:
    """Mark the events of a day on all boards. What is marked already is left alone.

    EVENTS is a YAML file, or the name of a shipped one.

    \b
    Examples:
      ioc annotate noru --dry-run
      ioc annotate noru --url http://127.0.0.1:3000
    """
    try:
        bodies = [body(event) for event in load(_file(events))]
    except (EventsError, OSError) as error:
        raise click.UsageError(str(error)) from None
    if dry_run:
        click.echo(json.dumps(bodies, ensure_ascii=False, indent=1))
        return
    if not url or not token:
        raise click.UsageError("give --url and --token (IOC_GRAFANA_TOKEN), or --dry-run")
    from grafana.push import Grafana, PushError

    try:
        server = Grafana(url, token)
        for one in bodies:
            said = f"{one['text']}: "
            if _is_there(server.annotations(one["tags"]), one):
                click.echo(said + "there already")
                continue
            number = server.annotate(one["text"], one["tags"], one["time"], one["timeEnd"])
            click.echo(f"{said}annotation {number}")
    except PushError as error:
        raise click.ClickException(str(error)) from None


def _is_there(found: list[dict[str, Any]], one: dict[str, Any]) -> bool:
    return any(
        note.get("text") == one["text"] and note.get("time") == one["time"] for note in found
    )
