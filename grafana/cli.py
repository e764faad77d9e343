"""``ioc grafana build | push | check``: exit code 0 done, 1 found wanting, 2 called wrongly."""

import asyncio
import json
import sys
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from grafana import check as checking
from grafana.stored import DASHBOARDS, BoardsMissing, load, reasons, with_wall


def _fail(message: str) -> None:
    click.echo(message, err=True)
    sys.exit(1)


@click.group("grafana")
def grafana() -> None:
    """Build, push or check the Grafana boards."""


@grafana.command("build")
@click.option("--check", "only_check", is_flag=True, help="Only say what differs; exit 1 if any.")
def build_command(only_check: bool) -> None:
    """Build the dashboards from Python into grafana/dashboards/.

    \b
    Example:
      ioc grafana build
    """
    try:
        from grafana import build
    except ModuleNotFoundError as error:
        _fail(
            f"{error.name} is missing: install the dependency group 'boards' "
            "(only building needs it; the built dashboards are in the repository)"
        )
        return
    changed = build.drift() if only_check else build.write()
    for name in changed:
        click.echo(f"{'differs' if only_check else 'wrote'}: grafana/{name}")
    if only_check and changed:
        _fail("the committed dashboards are not what the code builds: run ioc grafana build")


@grafana.command("push")
@click.option("--url", required=True, envvar="IOC_GRAFANA_URL", help="Address of the Grafana.")
@click.option(
    "--token",
    required=True,
    envvar="IOC_GRAFANA_TOKEN",
    help="Service account token (or IOC_GRAFANA_TOKEN, which other users cannot see).",
)
@click.option("--prometheus", help="Also create or correct the data source for this Prometheus.")
@click.option("--wall-url", help="Address of the wall that the boards link to.")
@click.option("--annotate", metavar="TEXT", help="Write an annotation instead of loading boards.")
@click.option("--tags", default="", help="Further tags of the annotation, with commas.")
def push_command(
    url: str,
    token: str,
    prometheus: str | None,
    wall_url: str | None,
    annotate: str | None,
    tags: str,
) -> None:
    """Load the boards, or write an annotation, into any Grafana by URL and token.

    \b
    Examples:
      ioc grafana push --url http://127.0.0.1:3000 --prometheus http://127.0.0.1:9090
      ioc grafana push --url http://127.0.0.1:3000 --annotate "Bão số 4" --tags storm
    """
    from grafana.push import Grafana, PushError

    try:
        server = Grafana(url, token)
        click.echo(f"Grafana {server.version()} at {server.url}", err=True)
        if annotate is not None:
            labels = ["ioc", *(tag.strip() for tag in tags.split(",") if tag.strip())]
            number = server.annotate(annotate, labels, int(time.time() * 1000))
            click.echo(f"annotation {number}: {', '.join(labels)}")
            return
        server.ensure_folder()
        if prometheus:
            click.echo(f"data source {server.ensure_datasource(prometheus)} -> {prometheus}")
        for board in load():
            shown = with_wall(board, wall_url) if wall_url else board
            path = server.push(shown, "ioc grafana push")
            click.echo(f"dashboard {board['uid']}: {server.url}{path}")
    except (PushError, BoardsMissing) as error:
        _fail(str(error))


@grafana.command("check")
@click.option(
    "--prometheus", default="http://127.0.0.1:9090", show_default=True, help="A live Prometheus."
)
@click.option(
    "--boards",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=DASHBOARDS,
    help="Folder with dashboards (JSON).",
)
@click.option("--no-rules", is_flag=True, help="Leave out the alert and recording rules.")
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]),
    help="As the boards look at an instant of the past, like 2022-09-27T20:00:00+07:00.",
)
@click.option("--json", "as_json", is_flag=True, help="Findings as JSON.")
def check_command(
    prometheus: str, boards: Path, no_rules: bool, at: datetime | None, as_json: bool
) -> None:
    """Run every query of every board against a live Prometheus.

    Fails on a query that cannot be parsed, and on an empty answer of a panel that is not marked
    as one that may be empty (grafana/may_be_empty.json, with reasons).

    \b
    Example:
      ioc grafana check --prometheus http://127.0.0.1:9090
    """
    try:
        done = asyncio.run(
            checking.check(
                prometheus,
                load(boards),
                reasons(),
                rules=not no_rules,
                at=None if at is None else at.timestamp(),
            )
        )
    except (checking.CheckError, BoardsMissing) as error:
        _fail(str(error))
        return
    if as_json:
        answer = {"checked": done.checked, "findings": [asdict(f) for f in done.findings]}
        click.echo(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        for finding in done.findings:
            click.echo(f"{finding.where} [{finding.scope}]: {finding.fault}\n    {finding.expr}")
        click.echo(f"{done.checked} queries checked, {len(done.findings)} wrong", err=True)
    if done.findings:
        sys.exit(1)
