"""The command `ioc load`: a load with a verdict, and the search for the knee."""

import json
import signal
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import click

from services.load import report, target
from services.load.fleet import Make, SenderError
from services.load.knee import Search, Try
from services.load.machine import cores
from services.load.parameters import Duration, Share, pids
from services.load.population import DEFAULT_MIX, parse_mix
from services.load.profiles import Profile, build, constant
from services.load.results import compare_command, report_command
from services.load.run import FORMAT, Load, Plan, loading, to_stderr
from services.load.target import RefusedError, Target, TargetError
from services.load.verdict import Slo
from services.load.watch import POLL_S, UnwatchableError

MAX_EVENTS = 20_000_000
MAX_SECONDS = 7_200
DEFAULT_RATE, DEFAULT_SECONDS = 5_000.0, 30.0
#: A search needs a limit that can break.
KNEE_P99_S = 1.0


@click.group("load", invoke_without_command=True)
@click.option(
    "--profile",
    type=click.Choice(["constant", "ramp", "step", "spike", "day", "knee"]),
    default="constant",
    show_default=True,
    help="The shape of the rate over time.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 10_000_000),
    default=DEFAULT_RATE,
    show_default=True,
    help="Events a second: all along, at the start (ramp, step, spike, knee), at a day's top.",
)
@click.option(
    "--to",
    type=click.FloatRange(0.1, 10_000_000),
    help="The other rate of a ramp, step or spike; the highest that a search tries.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, MAX_SECONDS),
    default=DEFAULT_SECONDS,
    show_default=True,
    help="How long, without the warm-up; of a search each try.",
)
@click.option(
    "--warm-up",
    "warm_s",
    type=click.FloatRange(0, 600),
    default=5.0,
    show_default=True,
    help="Seconds at the first rate before, which are not measured.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Senders, each a process.",
)
@click.option(
    "--mix", help="Weights of the kinds: cases=60,reports=10,listings=5,orders=5,indicators=20."
)
@click.option(
    "--entities",
    type=click.IntRange(1, 5_000_000),
    default=10_000,
    show_default=True,
    help="Entities of each kind that live at a time in each sender.",
)
@click.option(
    "--skew",
    type=click.FloatRange(0, 5),
    default=1.0,
    show_default=True,
    help="Exponent of Zipf's law over them; 0: all alike.",
)
@click.option(
    "--revisions",
    type=click.IntRange(1, 1_000_000_000),
    default=5,
    show_default=True,
    help="Events of an entity before a new one takes its place.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything drawn.")
@click.option(
    "--prepare",
    is_flag=True,
    help="Make all events before the first is sent (1.2 GB a million): for a load on the machine "
    "that it measures.",
)
@click.option("--p50", type=Duration(), help="SLO: median freshness at most this, such as 300ms.")
@click.option("--p99", type=Duration(), help="SLO: 99th percentile at most this, such as 1s.")
@click.option("--p99.9", "p99_9", type=Duration(), help="SLO: 99.9th percentile at most this.")
@click.option(
    "--loss", type=Share(), default="0", show_default=True, help="SLO: share lost at most."
)
@click.option(
    "--rate-achieved",
    type=Share(),
    default="0.99",
    show_default=True,
    help="SLO: share shown by the end (and the p99 asked for, or 2 s) at least.",
)
@click.option(
    "--patience",
    type=Duration(),
    default="30s",
    show_default=True,
    help="How long after the end events are waited for before they are lost.",
)
@click.option(
    "--poll",
    type=Duration(),
    default=f"{POLL_S * 1000:.0f}ms",
    show_default=True,
    help="How often the view is asked for its progress.",
)
@click.option(
    "--bootstrap", help="Load this system's Kafka instead of one of its own; with --view."
)
@click.option("--view", help="The view of that system, such as http://127.0.0.1:8080.")
@click.option("--live", is_flag=True, help="Yes, load a system that has no namespace.")
@click.option("--remote", is_flag=True, help="Yes, load a system on another host.")
@click.option("--pid", "pids", multiple=True, callback=pids, metavar="NAME=PID",
              help="A process of that system to watch, such as kpi=1234; repeatable.")  # fmt: skip
@click.option(
    "--workers",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="KPI workers of a system of its own.",
)
@click.option(
    "--max-events",
    type=click.IntRange(1, 200_000_000),
    default=MAX_EVENTS,
    show_default=True,
    help="Refuse a schedule with more.",
)
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")
@click.option(
    "--out", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="And into a file."
)
@click.option(
    "--html",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="A report with charts, one file.",
)
@click.pass_context
def load(ctx: click.Context, /, **options: Any) -> None:
    """Load a whole system on schedule, and say whether it kept up.

    Open-loop: events are sent when they are due, however slow the system is, and their freshness
    counts from that moment to the view's first answer that shows them. Without --bootstrap and
    --view a system of its own is started, and gone afterwards. A load that was its own limit is
    inconclusive, never passed. Events go to Kafka.

    \b
    Examples:
      ioc load --rate 5000 --seconds 60 --p99 1s --html load.html
      ioc load --profile spike --rate 2000 --to 20000 --p99 2s --out spike.json
      ioc load --profile knee --p99 1s --seconds 15
      ioc load compare before.json after.json

    Exit codes: 0 passed, 1 failed or inconclusive, 2 called wrongly.
    """
    if ctx.invoked_subcommand is not None:
        return
    raise SystemExit(_load(**options))


def _load(**o: Any) -> int:
    slo = Slo(
        p50=o["p50"],
        p99=KNEE_P99_S if o["profile"] == "knee" and o["p99"] is None else o["p99"],
        p99_9=o["p99_9"],
        loss=o["loss"],
        rate_achieved=o["rate_achieved"],
    )
    try:
        mix = dict(DEFAULT_MIX) if o["mix"] is None else parse_mix(o["mix"])
        schedule = build(cast("Profile", o["profile"]), o["rate"], o["to"], o["seconds"])
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    events = schedule.warmed(o["warm_s"]).total
    if events > o["max_events"]:
        raise click.UsageError(f"{events:,} events are more than --max-events {o['max_events']:,}")
    if (o["bootstrap"] is None) != (o["view"] is None):
        raise click.UsageError("--bootstrap and --view belong together, or name neither")
    run = uuid.uuid4().hex[:8]
    plan = Plan(o["profile"], schedule, o["warm_s"], o["processes"], slo, o["patience"], o["poll"])
    with ExitStack() as stack:
        stack.enter_context(_terminated())
        try:
            to_load = _target(stack, o, run)
            make = Make(
                to_load.bootstrap, to_load.namespace, run, mix, o["entities"], o["skew"],
                o["revisions"], o["seed"], o["prepare"],
            )  # fmt: skip
            bench = stack.enter_context(loading(to_load, make, o["processes"], to_stderr))
            stack.enter_context(_interruptible(bench))
            if o["profile"] == "knee":
                result = _search(bench, plan, o["rate"], o["to"], o["max_events"])
            else:
                to_stderr(f"{events:,} events in {plan.warm_s:g} + {o['seconds']:g} s")
                result = bench.run(plan).result
        except RefusedError as error:
            raise click.UsageError(str(error)) from None
        except TargetError as error:
            raise click.ClickException(str(error)) from None
        except (SenderError, UnwatchableError) as error:
            raise click.ClickException(f"the load ended: {error}") from None
        except KeyboardInterrupt:
            raise click.ClickException("interrupted; nothing was measured") from None
        # Before the system is stopped: what was measured is safe whatever happens then.
        _write(result, o)
    return 0 if result["verdict"]["outcome"] == "passed" else 1


def _target(stack: ExitStack, o: dict[str, Any], run: str) -> Target:
    if o["bootstrap"] is not None:
        return target.named(
            o["bootstrap"], o["view"], live=o["live"], remote=o["remote"], pids=o["pids"]
        )
    to_stderr("starting a system of its own")
    found = stack.enter_context(target.own(f"load-{run}", o["workers"]))
    to_stderr(f"loading {found.view}")
    return found


def _write(result: dict[str, Any], o: dict[str, Any]) -> None:
    text = json.dumps(result, ensure_ascii=False)
    try:
        if o["out"] is not None:
            o["out"].write_text(text + "\n", encoding="utf-8")
        if o["html"] is not None:
            o["html"].write_text(report.html(result), encoding="utf-8")
    except OSError as error:
        to_stderr(f"Error: {error}")
    click.echo(text if o["as_json"] else report.text(result))


def _search(
    bench: Load, plan: Plan, start: float, highest: float | None, most: int
) -> dict[str, Any]:
    """Runs until the knee is found; the result of the highest that kept the SLO, with all tries."""
    search = Search(start, highest or 1_000_000.0)
    runs: list[dict[str, Any]] = []
    again: set[float] = set()
    while (rate := search.next()) is not None and not bench.stop.is_set():
        schedule = constant(rate, plan.schedule.seconds)
        if schedule.warmed(plan.warm_s).total > most:
            to_stderr(f"{rate:,.0f}/s would be more than --max-events {most:,}")
            break
        to_stderr(f"try {len(search.tries) + 1}: {rate:,.0f}/s")
        done = bench.run(
            Plan(plan.profile, schedule, plan.warm_s, plan.processes, plan.slo, plan.patience_s,
                 plan.poll_s)
        )  # fmt: skip
        why = "; ".join([*done.verdict.broken, *done.verdict.limits])
        to_stderr(f"  {done.verdict.outcome}{': ' if why else ''}{why}")
        if done.verdict.outcome == "inconclusive" and rate not in again and not bench.stop.is_set():
            again.add(rate)  # what disturbed it may be over: one more chance
            continue
        search.tries.append(Try(rate, done.verdict.outcome))
        runs.append(done.result)
    return _found(search, runs, bench.stop.is_set())


def _found(search: Search, runs: list[dict[str, Any]], interrupted: bool) -> dict[str, Any]:
    kept, border = search.kept, search.border
    by_rate = {t.rate: run for t, run in zip(search.tries, runs, strict=True)}
    limits = ["it was interrupted"] if interrupted else []
    broken: list[str] = []
    if border is None:
        limits.append("the SLO did not break at the highest rate tried")
    elif search.limited_by_load:
        limits += by_rate[border]["verdict"]["limits"]
    if kept is None and not limits:
        broken.append("no rate that was tried kept the SLO")
    outcome = "failed" if kept is None and not limits else "inconclusive" if limits else "passed"
    return {
        "ioc_load": FORMAT,
        "knee": {
            "rate": kept,
            "breaks_at": border,
            "gave_way": _gave_way(by_rate[border]) if border is not None else [],
        },
        "verdict": {"outcome": outcome, "broken": broken, "limits": limits},
        "slo": runs[-1]["slo"] if runs else None,
        "tries": runs,
    }


def _gave_way(run: dict[str, Any]) -> list[str]:
    """What broke, and who was at its end: parts by the CPU they took at that rate."""
    verdict = run["verdict"]
    begin = run["load"]["warm_s"]
    used = {}
    for name, row in run["processes"]["cores"].items():
        mine = [
            x for t, x in zip(run["processes"]["second"], row, strict=False)
            if begin <= t < begin + run["seconds"]
        ]  # fmt: skip
        if mine:
            used[name] = sum(mine) / len(mine)
    parts = sorted((n for n in used if n not in ("machine", "stolen")), key=lambda n: -used[n])
    out = [*verdict["broken"], *verdict["limits"]]
    if "machine" in used:
        out.append(f"the machine used {used['machine']:.2f} of its {cores()} cores")
    if parts:
        out.append("of them " + ", ".join(f"{name} {used[name]:.2f}" for name in parts[:4]))
    return out


@contextmanager
def _terminated() -> Iterator[None]:
    """SIGTERM is as Ctrl-C."""

    def end(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _interruptible(bench: Load) -> Iterator[None]:
    """The first Ctrl-C ends the run in order and shows what was measured; the second ends it."""

    def stop(number: int, frame: Any) -> None:
        if bench.stop.is_set():
            raise KeyboardInterrupt
        to_stderr("stopping; what was sent is still waited for a moment (again: at once)")
        bench.stop.set()

    before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


load.add_command(compare_command)
load.add_command(report_command)
