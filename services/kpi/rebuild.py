"""`ioc rebuild`: every number folded again from the source topics, while the system runs.

A new, empty epoch is written into the ring of each partition; it continues none, so whatever the
present owners still flush counts no more. Then the workers are put out of their group. They join
it again at once, take the newest epoch and read the source log from its start. Meanwhile the view
says how far they are and is not ready: a half-filled KPI is never served.
"""

import asyncio
import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import click
from aiokafka import AIOKafkaProducer

from schemas import catalog
from services.core.record import Clock
from services.core.selection import ALL, Selection
from services.core.state import PartitionState, refold
from services.kpi.app import GROUP
from services.kpi.recovery import RingUnreadable, read_rings
from services.runtime import kafka, service, settings
from services.runtime.http_view import HttpView
from services.runtime.kafka import BrokerUnreachableError
from services.runtime.reference import load_territories

#: Between two looks at how far the workers are, in seconds.
LOOK_S = 0.5


async def supersede(
    config: settings.Settings, topics: Sequence[catalog.Topic]
) -> list[PartitionState]:
    """Write the empty epochs; the states that were written."""
    territories = load_territories()
    selection = Selection.of(config.kpis) if config.kpis else ALL
    clock: Clock = config.clock
    name = catalog.KPI_PARTIAL.full_name(config.namespace)
    rings = await read_rings(config.bootstrap, name, range(config.partitions))
    connect: Any = AIOKafkaProducer  # untyped
    producer = connect(
        bootstrap_servers=config.bootstrap,
        acks="all",
        enable_idempotence=True,
        max_request_size=int(catalog.KPI_PARTIAL.config["max.message.bytes"]),
    )
    await producer.start()
    written = []
    try:
        for topic in topics:
            for partition, ring in rings.items():
                empty = PartitionState(
                    topic, partition, config.partitions,
                    clock=clock, territories=territories, selection=selection,
                )  # fmt: skip
                state = refold(empty, ring)
                state.open_epoch(secrets.randbits(48))
                for key, value in state.flush().parts:
                    await producer.send_and_wait(name, value, key, partition)
                written.append(state)
    finally:
        await producer.stop()
    return written


def put_out(config: settings.Settings) -> int:
    """Put every worker out of the group, so that all join it anew; how many there were."""
    from kafka.admin import MemberToRemove

    member: Any = MemberToRemove  # untyped

    group = config.named(GROUP)
    with kafka.admin(config.bootstrap) as client:
        described = client.describe_groups([group])[group]
        members = [m["member_id"] for m in described.get("members", ())]
        if members:
            client.remove_group_members(group, [member(member_id=m) for m in members])
    return len(members)


def watch(view: HttpView, say: bool) -> Counter[str]:
    """Wait until the view has everything again that there was; offsets applied by topic.

    Not only until it calls itself caught up: young records may be waiting while it does.
    """
    goal: dict[tuple[str, int], int] = {}
    while True:
        try:
            progress = view.get("/api/v1/progress")
        except OSError:
            time.sleep(LOOK_S)
            continue
        applied: Counter[str] = Counter()
        left = 0
        for p in progress["partitions"]:
            applied[p["topic"]] += p["applied"]
            if p["end"] is None:  # the view has not heard the broker yet: it is not caught up
                continue
            end = goal.setdefault((p["topic"], p["partition"]), p["end"])
            left += max(end - p["applied"], 0)
        if say:
            share = 1 - left / max(sum(goal.values()), 1)
            click.echo(f"\rfolded again: {share:6.1%} of {sum(goal.values()):,} offsets", err=True,
                       nl=False)  # fmt: skip
        if progress["caught_up"] and not left:
            if say:
                click.echo("", err=True)
            return applied
        time.sleep(LOOK_S)


@click.command("rebuild")
@click.option(
    "--topic",
    "names",
    multiple=True,
    type=click.Choice([t.name for t in catalog.SOURCES]),
    help="Only this source topic (may be repeated); all four by default.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait/--no-wait", default=True, help="Wait until the view has caught up.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def main(names: tuple[str, ...], yes: bool, wait: bool, as_json: bool) -> None:
    """Fold every number again from the source topics, while the system runs.

    For a KPI that was added or changed, or a state that is in doubt. Nothing is deleted but the
    results; the view is not ready (503) until the workers have read the topics again. Reads
    IOC_BOOTSTRAP, IOC_NAMESPACE, IOC_CLOCK, IOC_PARTITIONS, IOC_KPIS and, to wait, IOC_VIEW_PORT.
    Exit code 1 when Kafka or the view cannot be reached.

    \b
    Examples:
      ioc rebuild
      IOC_NAMESPACE=drill ioc rebuild --topic ioc.admin-case.v1 --yes
    """
    config = settings.load()
    topics = [t for t in catalog.SOURCES if not names or t.name in names]
    if not yes:
        where = f"namespace {config.namespace}" if config.namespace else "the live system"
        click.confirm(
            f"Fold {len(topics)} topics of {where} at {config.bootstrap} again?",
            abort=True,
            err=True,
        )
    try:
        states = asyncio.run(supersede(config, topics))
        workers = put_out(config)
    except (BrokerUnreachableError, RingUnreadable, OSError) as error:
        click.echo(f"ioc rebuild: {error}", err=True)
        raise SystemExit(service.WANTING) from None
    except Exception as error:
        # The clients' own errors have no common ground but their modules.
        if type(error).__module__.partition(".")[0] not in ("kafka", "aiokafka"):
            raise
        click.echo(f"ioc rebuild: Kafka at {config.bootstrap}: {error}", err=True)
        raise SystemExit(service.WANTING) from None
    click.echo(
        f"{len(states)} partitions begin again; {workers} workers were told"
        + ("" if workers else ": start one with `ioc kpi`"),
        err=True,
    )
    result: dict[str, object] = {"partitions": len(states), "workers": workers}
    if wait and workers:
        result["applied"] = dict(watch(HttpView(config.view_url), sys.stderr.isatty()))
    if as_json:
        click.echo(json.dumps(result))
    elif wait and workers:
        click.echo("caught up: every number is folded anew")


if __name__ == "__main__":
    main()
