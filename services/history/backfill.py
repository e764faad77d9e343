"""`ioc backfill`: the past as samples for Prometheus, from the simulation or from a log.

The curves of the simulation are what a new system shows before its first minute: fast, and a
little off where a case later turned out otherwise. A log is played again and is exact
(docs/time-travel.md).
"""

import sys
import time
from pathlib import Path
from typing import Any

import click

from services.core.calendar import DAY_MS, MINUTE_MS
from services.core.questions import QueryError
from services.core.record import Clock
from services.history.agreement import compared
from services.history.curves import STEP_MS, Grid, Places, event_curves
from services.history.openmetrics import BlocksError, by_metric, make_blocks, write
from services.history.playback import Playback
from services.history.source_log import LogError, SourceLog
from services.history.steady import indicator_curves, market_curves
from services.history.travel import instants, into_blocks, into_folder, spans
from services.runtime import settings as settings_module
from services.runtime.http_view import HttpView
from services.runtime.producer import wall_ms
from services.runtime.producer_command import Instant, plan
from services.runtime.reference import load_territories
from services.runtime.service import OK
from services.runtime.telemetry import setup_logging
from services.simulation.scenarios import NAMES
from services.simulation.world import world

STEPS = {"1m": MINUTE_MS, "5m": 5 * MINUTE_MS}
_SPOKEN_EVERY_S = 5.0


@click.command()
@click.option("--from-log", metavar="BOOTSTRAP", help="Play the source topics of this Kafka again.")
@click.option("--namespace", default="", metavar="NS", help="The system of that log.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="One day of the log, local time.")
@click.option("--start", type=Instant(), default=None, help="First instant of the log to show.")
@click.option("--end", type=Instant(), default=None, help="Last one (or where the log ends).")
@click.option("--step", type=click.Choice(list(STEPS)), default="5m", show_default=True)
@click.option("--clock", type=click.Choice(["event", "wall"]), default="event", show_default=True,
              help="What arrival is in it: its ioc-arrival, or the broker's time.")  # fmt: skip
@click.option("--check-view", metavar="URL", help="Compare the last instant with this view of it; "
              "exit 1 where it says otherwise.")  # fmt: skip
@click.option("--days", type=click.IntRange(1, 60), default=7, show_default=True,
              help="Without a log: so much of the simulated past.")  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="As of the live producers.")
@click.option("--scenario", type=click.Choice(NAMES), default=None)
@click.option("--until", type=Instant(), default=None, help="The past's end (default: now).")
@click.option("--out", type=click.Path(path_type=Path), default=None,
              help="Write OpenMetrics to this file (of a log: a folder), no blocks.")  # fmt: skip
@click.option("--blocks", type=click.Path(file_okay=False, path_type=Path), default=None,
              envvar="IOC_PROMETHEUS_DIR", show_envvar=True,
              help="Data directory of a Prometheus.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Result as one JSON line on stdout.")
def backfill(
    from_log: str | None,
    namespace: str,
    day: Any,
    start: int | None,
    end: int | None,
    step: str,
    clock: Clock,
    check_view: str | None,
    days: int,
    seed: int,
    scenario: str | None,
    until: int | None,
    out: Path | None,
    blocks: Path | None,
    as_json: bool,
) -> None:
    """Write the past into Prometheus: of a log, exactly; else the curves of the simulation.

    \b
    Examples:
      ioc backfill --from-log 127.0.0.1:28200 --namespace noru --day 2022-09-27 \\
          --blocks ~/.local/share/ioc/prometheus/data
      ioc backfill --days 7 --out past.om

    A Prometheus that is running on the directory shows the new blocks within a minute, if its
    retention reaches so far back.
    """
    if out is None and blocks is None:
        raise click.UsageError("give --out, or --blocks DIR (IOC_PROMETHEUS_DIR)")
    setup_logging(settings_module.load().log_level)
    began = time.monotonic()
    if from_log is None:
        if day or start or end or check_view:
            raise click.UsageError("--day, --start, --end and --check-view need --from-log")
        result = _simulated(days, seed, scenario, until, out, blocks)
    else:
        if day is not None:
            start = Instant().convert(f"{day:%Y-%m-%d}", None, None)
            end = start + DAY_MS
        if start is None or end is None or start > end:
            raise click.UsageError("a log needs --day, or --start and a later --end")
        times = instants(start, end, STEPS[step])
        result = _travelled(from_log, namespace, times, clock, check_view, out, blocks)
    seconds = time.monotonic() - began
    if as_json:
        import orjson

        click.echo(orjson.dumps({**result, "seconds": round(seconds, 1)}))
    else:
        click.echo(f"{result['samples']:,} samples in {seconds:.0f} s", err=True)
        for line in result.get("differences", ()):
            click.echo(line)
        if "compared" in result:
            click.echo(f"{result['compared']:,} numbers of the view compared, "
                       f"{len(result['differences'])} different")  # fmt: skip
    raise SystemExit(1 if result.get("differences") else OK)


def _simulated(
    days: int,
    seed: int,
    scenario: str | None,
    until: int | None,
    out: Path | None,
    blocks: Path | None,
) -> dict[str, Any]:
    settings = settings_module.load()
    now = wall_ms()
    agreed = plan(settings, seed=seed, scenario=scenario or "", speed=1, start=None, now=now)
    end = until or now
    grid = Grid((end - days * DAY_MS) // STEP_MS * STEP_MS, end // STEP_MS * STEP_MS)
    territories = load_territories()
    simulation = world(territories, seed=seed, played=agreed.played, faults={})
    began = time.monotonic()
    places = Places(territories)
    curves = [
        *event_curves(simulation, territories, grid),
        *market_curves(simulation, places, grid),
        *indicator_curves(simulation, grid),
    ]
    click.echo(f"{len(curves):,} curves after {time.monotonic() - began:.0f} s", err=True)
    families = by_metric(curves)
    points = grid.instants[grid.lead :]
    samples = 0
    try:
        if blocks is not None and out is None:
            samples = make_blocks(families, points, blocks)
        elif out is not None:
            with out.open("w", encoding="utf-8") as text:
                samples = write(text, families, points, grid.start, grid.end + 1)
    except (BlocksError, OSError) as error:
        raise click.ClickException(str(error)) from None
    return {"samples": samples}


class _Progress:
    """A line every few seconds, on standard error."""

    def __init__(self) -> None:
        self.spoken = time.monotonic()
        self.last = 0
        self.instants = 0

    def note(self, at: int, records: int, samples: int) -> None:
        self.last, self.instants = at, self.instants + 1
        if time.monotonic() - self.spoken > _SPOKEN_EVERY_S:
            self.spoken = time.monotonic()
            moment = time.strftime("%Y-%m-%d %H:%M", time.gmtime(at / 1000 + 7 * 3600))
            print(f"{moment}: {records:,} records, {samples:,} samples", file=sys.stderr)  # noqa: T201 (progress goes to stderr)


def _travelled(
    bootstrap: str,
    namespace: str,
    times: range,
    clock: Clock,
    check_view: str | None,
    out: Path | None,
    blocks: Path | None,
) -> dict[str, Any]:
    territories = load_territories()
    progress = _Progress()
    try:
        log = SourceLog(bootstrap, namespace)
        try:
            playback = Playback(log.partitions, log.places, log.records, territories, clock)
            texts = spans(playback, territories, times, progress.note)
            if out is not None:
                samples = into_folder(texts, out)
            else:
                samples = into_blocks(texts, blocks or Path())
        finally:
            log.close()
        result: dict[str, Any] = {
            "samples": samples,
            "instants": progress.instants,
            "records": playback.taken,
            "to_the_end": playback.ended,
        }
        if check_view is not None:
            if not playback.ended:
                raise click.ClickException(
                    "the log goes on after --end, so the view knows more: nothing was compared"
                )
            found = compared(playback.view, HttpView(check_view.rstrip("/")), progress.last)
            result["compared"], result["differences"] = found
    except (LogError, BlocksError, OSError, QueryError) as error:
        raise click.ClickException(str(error)) from None
    if not samples:
        raise click.ClickException("there is nothing in the log at that time")
    return result
