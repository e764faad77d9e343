"""`ioc up` as a command: flags into a System, a System into a Run."""

import asyncio
import dataclasses
import os
import sys
import threading
from pathlib import Path

import click

from services.runtime.ports import LOOPBACK, MAX_WORKERS, Ports
from services.runtime.settings import Settings, SettingsError, read
from services.up.run import Run
from services.up.system import StartError, System


def build_settings(
    namespace: str | None, ports: Ports, data_dir: Path | None, speed: float
) -> Settings:
    """The settings of a whole system: the environment, the flags above it, its own addresses.

    Raises SettingsError.
    """
    environ = dict(os.environ)
    if namespace is not None:
        environ["IOC_NAMESPACE"] = namespace
    # A faster world runs ahead of the broker's clock: then arrival is what the record says.
    if speed != 1.0 and not environ.get("IOC_CLOCK"):
        environ["IOC_CLOCK"] = "event"
    settings = read(environ)
    home = data_dir or settings.data_dir
    if data_dir is None and settings.namespace:
        home = home / settings.namespace
    return dataclasses.replace(
        settings,
        bootstrap=f"{LOOPBACK}:{ports.kafka}",
        view_host=LOOPBACK,
        view_port=ports.view,
        metrics_port=None,
        data_dir=home.expanduser().absolute(),
    )


@click.command("up")
@click.option("--no-produce", is_flag=True, help="No simulated events (and no simulated past).")
@click.option("--no-history", is_flag=True, help="A new system starts without a simulated past.")
@click.option(
    "--workers",
    type=click.IntRange(1, MAX_WORKERS),
    default=1,
    show_default=True,
    help="KPI workers; more than there are partitions stay idle.",
)
@click.option("--namespace", help="A system of its own, apart from the live one. [IOC_NAMESPACE]")
@click.option("--port-base", type=int, help="Put every port into N to N+49.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="What is kept between starts.  [IOC_DATA_DIR, default ~/.local/share/ioc]",
)
@click.option(
    "--scenario", default="", help="Something out of the ordinary (ioc produce listings --help)."
)
@click.option(
    "--speed",
    type=click.FloatRange(0.01, 10_000),
    default=1.0,
    show_default=True,
    help="How fast simulated time runs; other than 1 the system has an event clock.",
)
@click.option(
    "--kafka-heap",
    type=click.IntRange(128, 65_536),
    default=512,
    show_default=True,
    envvar="IOC_KAFKA_HEAP_MB",
    help="Memory for Kafka, in MB.  [IOC_KAFKA_HEAP_MB]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line on stdout when ready.")
def up(
    no_produce: bool,
    no_history: bool,
    workers: int,
    namespace: str | None,
    port_base: int | None,
    data_dir: Path | None,
    scenario: str,
    speed: float,
    kafka_heap: int,
    as_json: bool,
) -> None:
    """Start the whole system on this machine and keep it running.

    Kafka, the KPI workers, the view, the simulated producers, and Prometheus, Alertmanager and
    Grafana where they are installed. What dies is started again. Ctrl-C (or SIGTERM) stops
    everything in order; a second one at once.

    \b
    Examples:
      ioc up
      ioc up --namespace drill --port-base 21000 --scenario storm
      ioc up --no-produce --json --data-dir /var/tmp/trial --port-base 22000
    """
    try:
        ports = Ports() if port_base is None else Ports.from_base(port_base)
        settings = build_settings(namespace, ports, data_dir, speed)
    except (ValueError, SettingsError) as error:
        raise click.UsageError(str(error)) from None
    system = System(
        settings=settings,
        ports=ports,
        workers=workers,
        produce=not no_produce,
        history=not no_history,
        scenario=scenario,
        speed=speed,
    )
    run = Run(system, heap_mb=kafka_heap, as_json=as_json)
    try:
        code = asyncio.run(run.main())
    except StartError as error:
        click.echo(str(error), err=True)
        code = 1
    if threading.active_count() > 1:
        # A download or an installation was cut short by Ctrl-C: do not wait for its end.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
