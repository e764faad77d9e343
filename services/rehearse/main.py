"""The command `ioc rehearse`: a scenario played in a system of its own, and the verdict."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.core.kpis import CATALOGUE
from services.rehearse import picture, scenario
from services.rehearse.conduct import ConductError, Conductor, conduct
from services.rehearse.events import Ahead, World, batches, check_places
from services.rehearse.rules import Episode, RuleFiles, RulesError, evaluate, find_promtool
from services.rehearse.scenario import Rehearsal, Shown
from services.rehearse.tables import ScenarioError
from services.rehearse.tape import Tape, TapeError
from services.rehearse.target import Target, TargetError, named, own
from services.rehearse.times import iso, show, show_length
from services.rehearse.verdict import Row, Verdict, check_names, judge
from services.runtime.reference import load_territories

OK, WANTING = 0, 1
_MARKS = {True: "[green]as stated[/]", False: "[bold red]WRONG[/]"}


def say(line: str) -> None:
    """A line for the person in front, on standard error."""
    click.echo(line, err=True)


@click.command("rehearse")
@click.argument("which", metavar="SCENARIO", required=False)
@click.option("--list", "listing", is_flag=True, help="The scenarios there are, and nothing else.")
@click.option("--step", help="Look at the view this often in event time, everywhere (5m).")
@click.option("--seed", type=int, help="Another world than the file's: other people, same storm.")
@click.option(
    "--speed",
    type=click.FloatRange(1, 1_000_000),
    help="At most so many event seconds a second, to watch the wall meanwhile.",
)
@click.option("--workers", type=click.IntRange(1, 16), default=1, show_default=True)
@click.option("--bootstrap", help="Kafka of a system that runs already (with --view).")
@click.option("--view", "view_url", help="Its view, http://127.0.0.1:8080: empty, event clock.")
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep what the view showed in this file (a tape).",
)
@click.option(
    "--judge",
    "taped",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Play nothing: judge this tape again, for instance by other expectations.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw alerts and KPIs over event time into this page.",
)
@click.option("--json", "as_json", is_flag=True, help="The verdict as JSON.")
@click.pass_context
def rehearse(
    ctx: click.Context,
    which: str | None,
    listing: bool,
    step: str | None,
    seed: int | None,
    speed: float | None,
    workers: int,
    bootstrap: str | None,
    view_url: str | None,
    save: Path | None,
    taped: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Rehearse a scenario: play its days in minutes, and say whether what should happen does.

    SCENARIO is a name (--list) or a file of your own (docs/rehearsals.md). It states which alerts
    must fire and resolve, and when, and between which numbers KPIs must lie; no other alert may
    fire. The events go through a whole system of its own, which is gone afterwards; the shipped
    alert rules are evaluated over event time by promtool.

    Exit code 0: everything as stated. 1: an alert did not come, came without reason or could not
    be evaluated, or a KPI is out of range. 2: called wrongly.

    \b
    Examples:
      ioc rehearse --list
      ioc rehearse noru
      ioc rehearse ./mine.toml --html mine.html --save mine.tape
      ioc rehearse ./mine.toml --judge mine.tape
    """
    if listing:
        click.echo(_listing(as_json))
        return
    if which is None:
        raise click.UsageError(f"name a scenario: {', '.join(scenario.names())}, or a file")
    if (bootstrap is None) != (view_url is None):
        raise click.UsageError("--bootstrap and --view go together")
    for path in (save, html):
        if path is not None and not path.absolute().parent.is_dir():
            raise click.UsageError(f"there is no folder {path.parent}")
    try:
        rehearsal = scenario.read(scenario.find(which), step=step, seed=seed)
        rules = RuleFiles.shipped()
        check_names(rehearsal, rules.alerts)
        territories = load_territories()
        check_places(rehearsal, territories)
        world = None if taped else World(rehearsal, territories)
        tape = Tape.load(taped) if taped else None
        if tape is not None and tape.about.get("start") != rehearsal.start:
            raise TapeError(f"{taped} is the tape of another scenario")
    except (ScenarioError, TapeError, RulesError) as error:
        raise click.UsageError(str(error)) from None
    with _stoppable():
        try:
            if tape is None and world is not None:
                make = (
                    own(kpis_of(rehearsal, rules), workers)
                    if bootstrap is None or view_url is None
                    else nullcontext(named(bootstrap, view_url))
                )
                tape = play(rehearsal, world, rules, make, speed)
            if tape is None:
                raise AssertionError("neither played nor read")
            if save is not None:
                tape.save(save)
            verdict, episodes = _judged(rehearsal, tape, rules)
            if html is not None:
                html.write_text(picture.page(rehearsal, tape, episodes, verdict), "utf-8")
        except (TargetError, ConductError, RulesError, OSError) as error:
            raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(_described(rehearsal, tape, verdict, episodes), ensure_ascii=False))
    else:
        _show(rehearsal, tape, verdict)
    ctx.exit(OK if verdict.right else WANTING)


def _listing(as_json: bool) -> str:
    found = [scenario.read(scenario.find(name)) for name in scenario.names()]
    if as_json:
        rows = [{"name": r.name, "title": r.title, "start": iso(r.start), "end": iso(r.end)}
                for r in found]  # fmt: skip
        return json.dumps(rows, ensure_ascii=False)
    width = max(len(r.name) for r in found)
    return "\n".join(
        f"{r.name:<{width}}  {show_length(r.end - r.start):>9}  {r.title}" for r in found
    )


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM ends a rehearsal as Ctrl-C does: everything is put away."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        say("stopped; nothing of the rehearsal is left")
        raise click.exceptions.Exit(WANTING) from None
    finally:
        signal.signal(signal.SIGTERM, before)


# --- playing ----------------------------------------------------------------------------------


def kpis_of(rehearsal: Rehearsal, rules: RuleFiles) -> set[str]:
    """The KPIs that the rules and the scenario speak of: the system computes no others."""
    metrics = rules.metrics
    found = {k.name for k in CATALOGUE.values() if {k.metric, f"{k.metric}_entities"} & metrics}
    return found | {s.kpi for s in _shown(rehearsal)}


def _shown(rehearsal: Rehearsal) -> list[Shown]:
    return [*rehearsal.charts, *(r.shown for r in rehearsal.ranges)]


class Kept:
    """The series of a page that the rules or the scenario speak of."""

    def __init__(self, rehearsal: Rehearsal, rules: RuleFiles) -> None:
        self._rules = rules
        self._drawn = {CATALOGUE[s.kpi].metric for s in _shown(rehearsal)}
        self._known: dict[str, bool] = {}

    def metric(self, name: str) -> bool:
        """Some series of it may be wanted."""
        return name in self._drawn or name in self._rules.selectors

    def series(self, series: str) -> bool:
        """This one is."""
        found = self._known.get(series)
        if found is None:
            drawn = series.partition("{")[0] in self._drawn
            found = self._known[series] = drawn or self._rules.select(series)
        return found

    def one_is_enough(self, name: str) -> bool:
        """The rules only ask if there is one."""
        return name in self._rules.only_absent and name not in self._drawn


def play(
    rehearsal: Rehearsal, world: World, rules: RuleFiles, make: Any, speed: float | None
) -> Tape:
    """The tape of a rehearsal played into the system that ``make`` gives."""
    instants = rehearsal.instants()
    ahead = Ahead(batches(rehearsal, world, instants))
    conductor: Conductor | None = None
    try:
        say(
            f"{rehearsal.name}: {show(rehearsal.start)} to {show(rehearsal.end)}, "
            f"{len(instants)} looks; starting a system"
        )
        with make as target:
            _say_where(target)
            conductor = Conductor(target, Kept(rehearsal, rules))
            with _bar(len(instants)) as report:
                tape = conduct(
                    rehearsal, ahead, instants, conductor, speed=speed, report=report
                )  # fmt: skip
    finally:
        ahead.close()
        if conductor is not None:
            conductor.close()
    tape.about["start"] = rehearsal.start
    return tape


def _say_where(target: Target) -> None:
    where = "of its own" if target.own else f"in the namespace {target.namespace}"
    say(f"playing into a system {where}; its wall: {target.view.url}/")
    if not target.own:
        say(f"its records stay in {target.namespace} until you drop that")


@contextmanager
def _bar(looks: int) -> Iterator[Callable[[int, int], None]]:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[records]:,} records"),
    )  # fmt: skip
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("the days before", total=looks, records=0)

        def report(at: int, records: int) -> None:
            bar.update(task, advance=1, description=show(at), records=records)

        yield report


# --- the verdict ------------------------------------------------------------------------------


def _judged(
    rehearsal: Rehearsal, tape: Tape, rules: RuleFiles
) -> tuple[Verdict, list[Episode] | None]:
    promtool = find_promtool()
    episodes: list[Episode] | None = None
    if promtool is None:
        say(
            "promtool is not on this machine (Debian, Ubuntu: apt-get install prometheus): "
            "the alerts are NOT evaluated"
        )
    else:
        began = time.monotonic()
        episodes = evaluate(tape, rules, promtool, judged_from=rehearsal.start)
        tape.about["rules_seconds"] = round(time.monotonic() - began, 1)
    return judge(rehearsal, tape, episodes, rules.alerts), episodes


def _described(
    rehearsal: Rehearsal, tape: Tape, verdict: Verdict, episodes: list[Episode] | None
) -> dict[str, Any]:
    return {
        "scenario": rehearsal.name,
        "title": rehearsal.title,
        "start": iso(rehearsal.start),
        "end": iso(rehearsal.end),
        **{k: v for k, v in tape.about.items() if k not in ("scenario", "start")},
        "looks": len(tape.instants),
        **verdict.describe(),
        "alerts": [
            {
                "alert": e.alert, "labels": dict(e.labels), "severity": e.severity,
                "from": iso(e.first), "to": None if e.open else iso(e.last),
            }
            for e in episodes or ()
        ],
    }  # fmt: skip


def _show(rehearsal: Rehearsal, tape: Tape, verdict: Verdict) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)
    table = Table(title=f"{rehearsal.name}: {rehearsal.title}", title_justify="left")
    for head in ("what", "stated", "seen", "verdict"):
        table.add_column(head, overflow="fold")
    for row in verdict.rows:
        table.add_row(row.what, row.stated, row.seen, _mark(row))
    if not verdict.evaluated:
        table.add_row("alerts", f"{len(rehearsal.fires)} must fire", "not evaluated", _MARKS[False])
    console.print(table)
    console.print(_summary(rehearsal, tape, verdict), highlight=False, soft_wrap=True)


def _mark(row: Row) -> str:
    return "tolerated" if row.kind == "tolerated" else _MARKS[row.right]


def _summary(rehearsal: Rehearsal, tape: Tape, verdict: Verdict) -> str:
    about = tape.about
    text = (
        f"{about['records']:,} records, {show_length(rehearsal.end - rehearsal.watched)} watched "
        f"in {about['seconds']:.0f} s ({about['lead_seconds']:.0f} s for the days before, then "
        f"x{about['speed']:,}); {len(tape.instants)} looks, "
        f"{show_length(rehearsal.step)} apart where nothing else is said"
    )
    if verdict.right:
        return f"{text}\nas stated"
    if not verdict.evaluated:
        return f"{text}\nNOT as stated: the alerts were not evaluated (no promtool)"
    return f"{text}\nNOT as stated: {verdict.wrong} of {len(verdict.rows)} lines are wrong"
