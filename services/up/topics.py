"""`ioc topics`: the topics of the catalogue, made and kept right on any broker."""

import json
import sys

import click

from services.runtime import kafka
from services.runtime.kafka import TopicState
from services.runtime.settings import SettingsError, load, read


def _text(state: TopicState) -> str:
    if state.created:
        return f"{state.name}  created, {state.partitions} partitions"
    if state.changed:
        changes = ", ".join(f"{key} {old} → {new}" for key, (old, new) in state.changed.items())
        return f"{state.name}  corrected: {changes}"
    return f"{state.name}  right, {state.partitions} partitions"


@click.command("topics")
@click.option("--bootstrap", help="Brokers to ask first.  [IOC_BOOTSTRAP]")
@click.option("--namespace", help="Topics of that namespace.  [IOC_NAMESPACE]")
@click.option("--partitions", type=int, help="For every topic, fixed at creation. [IOC_PARTITIONS]")
@click.option("--check", is_flag=True, help="Change nothing; exit 1 when something is not right.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def topics(
    bootstrap: str | None,
    namespace: str | None,
    partitions: int | None,
    check: bool,
    as_json: bool,
) -> None:
    """Create the topics of the contract that are missing, and correct settings that differ.

    A changed number of partitions is refused: it is fixed when a topic is created.

    \b
    Examples:
      ioc topics
      ioc topics --bootstrap 127.0.0.1:21000 --namespace drill --json
      ioc topics --check
    """
    settings = load()
    try:
        # The flags go through the same checks as the environment.
        given = {
            "IOC_BOOTSTRAP": bootstrap,
            "IOC_NAMESPACE": namespace,
            "IOC_PARTITIONS": None if partitions is None else str(partitions),
        }
        settings = read(settings.environment() | {k: v for k, v in given.items() if v is not None})
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    try:
        if check:
            problems = kafka.inspect_topics(
                settings.bootstrap, settings.namespace, settings.partitions, settings.retention_days
            )
            text = "\n".join(problems) or "all there, with the right settings"
            click.echo(json.dumps({"problems": problems}) if as_json else text)
            sys.exit(1 if problems else 0)
        states = kafka.ensure_topics(
            settings.bootstrap, settings.namespace, settings.partitions, settings.retention_days
        )
    except (kafka.TopicError, kafka.BrokerUnreachableError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    if as_json:
        rows = [
            {
                "topic": s.name,
                "partitions": s.partitions,
                "created": s.created,
                "changed": {key: {"from": old, "to": new} for key, (old, new) in s.changed.items()},
            }
            for s in states
        ]
        click.echo(json.dumps(rows))
    else:
        click.echo("\n".join(_text(s) for s in states))
