"""The command `ioc`: one name for every door. Doors are imported only when they are called."""

import importlib
import importlib.util
from collections.abc import Mapping

import click

#: command -> (module:attribute of its click command, one line for the list)
COMMANDS: Mapping[str, tuple[str, str]] = {
    "up": ("services.up.cli:up", "Start the whole system on this machine."),
    "status": ("services.view.status:status", "One screen about a running system."),
    "doctor": ("services.up.doctor:doctor", "Check this machine and the system; say what to do."),
    "audit": ("services.audit.main:audit", "Recompute everything and compare it with the view."),
    "topics": ("services.up.topics:topics", "Create the Kafka topics, or correct them."),
    "kpi": ("services.kpi.main:main", "Run one KPI worker."),
    "rebuild": ("services.kpi.rebuild:main", "Fold every number again from the source topics."),
    "view": ("services.view.main:main", "Run the view: HTTP interface, metrics, wall."),
    "history": ("services.history.main:history", "Produce the simulated past through Kafka."),
    "backfill": ("services.history.main:backfill", "Write the past into Prometheus."),
    "annotate": ("services.history.main:annotate", "Mark the events of a day on the boards."),
    "record": ("services.replay.main:record", "Record a stretch of the streams into a file."),
    "replay": ("services.replay.main:replay", "Replay a recording, and say if the numbers agree."),
    "rehearse": ("services.rehearse.main:rehearse", "Play a scenario in minutes; a verdict."),
    "load": ("services.load.main:load", "Load a whole system on schedule; a verdict."),
    "convert": ("services.convert.main:convert", "Convert a real event log into events."),
    "grafana": ("grafana.cli:grafana", "Build, push or check the Grafana boards."),
}
PRODUCERS: Mapping[str, tuple[str, str]] = {
    "field-reports": ("services.field_reports.main:main", "Reports from citizens and cameras."),
    "admin-cases": ("services.admin_cases.main:main", "Administrative cases."),
    "listings": ("services.listings.main:main", "Listings and orders of e-commerce."),
    "indicators": ("services.indicators.main:main", "Indicators of the other domains."),
}


def is_there(target: str) -> bool:
    """Whether the module of a ``module:attribute`` is in this installation."""
    module = target.partition(":")[0]
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


class LazyGroup(click.Group):
    """A group that imports a command only when it is called or its own help is asked for."""

    def __init__(self, *, table: Mapping[str, tuple[str, str]], **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # click's own keyword arguments
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, (target, _) in self.table.items() if is_there(target)] + list(
            self.commands
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return super().get_command(ctx, cmd_name)
        target, _ = self.table[cmd_name]
        if not is_there(target):
            return None
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{target} is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list with the lines of the table: nothing is imported to show it."""
        rows = [
            (name, self.table[name][1])
            if name in self.table
            else (name, self.commands[name].get_short_help_str(100))
            for name in self.list_commands(ctx)
        ]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="ioc", prog_name="ioc")
def main() -> None:
    """A provincial Intelligent Operations Centre: events in, KPIs out.

    \b
    Start here:
      ioc up          the whole system on this machine; it says what to open
      ioc status      how it is doing
      ioc doctor      what is missing on this machine

    Settings come from the environment (IOC_BOOTSTRAP, IOC_NAMESPACE, IOC_CLOCK, IOC_PARTITIONS,
    IOC_RETENTION_DAYS, IOC_KPIS, IOC_VIEW_HOST, IOC_VIEW_PORT, IOC_METRICS_PORT, IOC_DATA_DIR,
    IOC_LOG_LEVEL). Exit codes: 0 done, 1 found wanting, 2 called wrongly.
    """


@main.group("produce", cls=LazyGroup, table=PRODUCERS)
def produce() -> None:
    """Run one simulated producer.

    \b
    Example:
      ioc produce field-reports
    """


if __name__ == "__main__":
    main(prog_name="ioc")
