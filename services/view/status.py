"""``ioc status``: one screen about a running system, from the view's HTTP interface."""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

import click
from rich import box
from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from services.runtime import settings

#: The KPIs of the screen, with the window of those that have one.
SHOWN: tuple[tuple[str, str | None], ...] = (
    ("fr.received", "24h"),
    ("fr.open_now", None),
    ("fr.overdue_now", None),
    ("fr.on_time_rate", "24h"),
    ("fr.satisfaction_rate", "7d"),
    ("gov.cases_received", "24h"),
    ("gov.open_now", None),
    ("gov.overdue_now", None),
    ("gov.on_time_rate", "7d"),
    ("gov.online_rate", "24h"),
    ("eco.products", None),
    ("eco.orders", "24h"),
    ("eco.gmv_vnd", "24h"),
)
#: A feed that has been silent for so many seconds is yellow, then red.
QUIET_S, SILENT_S = 900, 3600
#: Part of the target by which a figure may miss it and be yellow still.
TOLERANCE = 0.1
TIMEOUT_S = 10.0


class NoViewError(Exception):
    """No view answered, or it answered with something else than it should."""


@dataclass(frozen=True)
class Report:
    """What the screen shows: answers of the view, as they came."""

    url: str
    wall: dict[str, Any]
    progress: dict[str, Any]
    catalogue: dict[str, dict[str, Any]]
    kpis: dict[str, dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "caught_up": self.progress["caught_up"],
            "ready": self.wall["ready"],
            "reason": self.wall["reason"],
            "simulated": self.wall["simulated"],
            "progress": self.progress,
            "wall": self.wall,
            "kpis": list(self.kpis.values()),
        }


def _get(base: str, path: str, **query: str) -> dict[str, Any]:
    url = f"{base}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 (http and https only: checked by the command)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 (as above)
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        raise NoViewError(f"{url} answered {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise NoViewError(f"no view answers at {base}: {error.reason}") from None
    except (OSError, ValueError) as error:
        raise NoViewError(f"no view answers at {base}: {error}") from None
    if not isinstance(found, dict):
        raise NoViewError(f"{url} is no view of ours")
    return found


def fetch(base: str) -> Report:
    """Ask the view at ``base`` everything the screen shows. Raises NoViewError."""
    wall, progress = _get(base, "/api/v1/wall"), _get(base, "/api/v1/progress")
    catalogue = {kpi["name"]: kpi for kpi in _get(base, "/api/v1/kpis")["kpis"]}
    kpis = {
        name: _get(base, f"/api/v1/kpis/{name}", **({"window": window} if window else {}))
        for name, window in SHOWN
    }
    return Report(base, wall, progress, catalogue, kpis)


def colour(value: float | None, target: float | None, direction: str) -> str:
    """green, yellow, red; grey for no data; plain where there is no target."""
    if value is None:
        return "bright_black"
    if target is None or direction not in ("up", "down"):
        return "default"
    if value >= target if direction == "up" else value <= target:
        return "green"
    missed = abs(value - target)
    return "yellow" if missed <= abs(target) * TOLERANCE else "red"


def shown(value: float | None, unit: str) -> str:
    """A value for people: a ratio as percent, thousands apart, no data as a dash."""
    if value is None:
        return "no data"
    if unit == "ratio":
        return f"{value * 100:.1f} %"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.2f}"


def duration(seconds: float | None) -> str:
    """Seconds as the largest two units."""
    if seconds is None:
        return "never"
    whole = int(seconds)
    for size, unit, below, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // below} {small}"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{seconds:.0f} s"


def screen(report: Report) -> Group:
    """The whole screen."""
    return Group(
        _headline(report),
        Columns([_kpis(report), Group(_topics(report), _feeds(report), _rejects(report))]),
    )


def _short(topic: str) -> str:
    return topic.removeprefix("ioc.").removesuffix(".v1")


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _headline(report: Report) -> Text:
    wall = report.wall
    line = Text.assemble((f" {report.url} ", "bold"), f" as of {wall['clock']}  ")
    if wall["namespace"]:
        line.append(f"namespace {wall['namespace']}  ", "cyan")
    if wall["simulated"]:
        line.append(" SIMULATED DATA ", "bold black on yellow")
        line.append("  ")
    if report.progress["caught_up"]:
        line.append("caught up", "green")
    else:
        line.append("behind", "red")
    reason = report.progress.get("reason") or wall["reason"]
    if reason:
        line.append(f"  {reason}", "red")
    if wall["conservation_broken"]:
        line.append("  outcomes do not add up to the records read", "bold red")
    return line


def _kpis(report: Report) -> Table:
    table = _table("KPIs, all provinces")
    for name in ("KPI", "window"):
        table.add_column(name)
    for name in ("value", "target"):
        table.add_column(name, justify="right")
    for name, answer in report.kpis.items():
        about, row = report.catalogue[name], answer["rows"][0]
        unit, target = about["unit"], about["target"]
        table.add_row(
            about["titles"]["en"],
            answer["window"] or "now",
            Text(shown(row["value"], unit), colour(row["value"], target, about["direction"])),
            "" if target is None else shown(target, unit),
        )
    return table


def _topics(report: Report) -> Table:
    table = _table("Source topics")
    table.add_column("topic")
    for name in ("read", "lag", "applied", "dup.", "stale", "conflict", "rejected", "expired"):
        table.add_column(name, justify="right")
    for topic, outcomes in report.wall["outcomes"].items():
        lag = report.wall["lag"][topic]
        table.add_row(
            _short(topic),
            f"{report.wall['read'][topic]:,}",
            Text("?" if lag is None else f"{lag:,}", "red" if lag is None else "default"),
            *(f"{outcomes[name]:,}" for name in ("applied", "duplicate", "stale")),
            Text(f"{outcomes['conflict']:,}", "yellow" if outcomes["conflict"] else "default"),
            Text(f"{outcomes['rejected']:,}", "yellow" if outcomes["rejected"] else "default"),
            f"{outcomes['expired']:,}",
        )
    return table


def _feeds(report: Report) -> Table:
    table = _table("Last arrival, by province")
    provinces = list(dict.fromkeys(feed["province"] for feed in report.wall["feeds"]))
    table.add_column("topic")
    for province in provinces:
        table.add_column(province, justify="right")
    cells: dict[str, dict[str, Text]] = {}
    for feed in report.wall["feeds"]:
        age = feed["age_seconds"]
        style = "bright_black" if age is None else "green"
        if age is not None and age >= QUIET_S:
            style = "red" if age >= SILENT_S else "yellow"
        cells.setdefault(feed["topic"], {})[feed["province"]] = Text(duration(age), style)
    for topic, ages in cells.items():
        table.add_row(_short(topic), *(ages.get(province, Text("")) for province in provinces))
    return table


def _rejects(report: Report) -> Table:
    table = _table("Rejected")
    table.add_column("reason")
    table.add_column("records", justify="right")
    reasons: dict[str, int] = {}
    for counts in report.wall["rejects"].values():
        for reason, count in counts.items():
            reasons[reason] = reasons.get(reason, 0) + count
    for reason in sorted(reasons, key=lambda name: -reasons[name]):
        table.add_row(reason, f"{reasons[reason]:,}")
    if not reasons:
        table.add_row(Text("none", "green"), "")
    return table


@click.command("status")
@click.option("--url", help="The view to ask (http://IOC_VIEW_HOST:IOC_VIEW_PORT).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, for machines.")
@click.option("--watch", is_flag=True, help="Show it anew every two seconds until Ctrl-C.")
def status(url: str | None, as_json: bool, watch: bool) -> None:
    """Show on one screen how a running system is doing.

    Exit code 1 when no view answers or its numbers should not be believed yet.

    \b
    Example:
      ioc status --url http://127.0.0.1:8080
    """
    if as_json and watch:
        raise click.UsageError("--json and --watch do not go together")
    base = (url or settings.load().view_url).rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise click.BadParameter("expected http://host:port", param_hint="--url")
    try:
        if watch:
            _watch(base)
            return
        report = fetch(base)
    except NoViewError as error:
        click.echo(f"ioc status: {error}", err=True)
        if url is None:
            click.echo("Is the system up? Start it with `ioc up`, or name it by --url.", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(report.as_json(), ensure_ascii=False))
    else:
        Console().print(screen(report))
    sys.exit(0 if report.wall["ready"] else 1)


def _watch(base: str) -> None:
    with Live(screen(fetch(base)), screen=True, auto_refresh=False) as live:
        while True:
            try:
                time.sleep(2)
                live.update(screen(fetch(base)), refresh=True)
            except NoViewError as error:
                live.update(Text(str(error), "red"), refresh=True)
            except KeyboardInterrupt:
                return
