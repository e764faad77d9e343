"""The command line that the four simulated sources share. A door gives it a kind and a world."""

import fcntl
import json
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click

from services.runtime import settings as settings_module
from services.runtime.bookmark import Bookmark, bookmark_path
from services.runtime.producer import (
    Clock,
    Due,
    KafkaClients,
    Metrics,
    Pump,
    StoppedError,
    pace,
    wall_ms,
)
from services.runtime.service import OK, USAGE
from services.runtime.settings import Settings
from services.runtime.telemetry import serve_metrics, setup_logging

_LOCAL = timezone(timedelta(hours=7))
#: As far as a run without --until goes: the year 2100.
_FOREVER = 4_102_444_800_000


class Instant(click.ParamType):
    """RFC 3339, or a date or local time of Viet Nam without offset; in ms."""

    name = "instant"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        if isinstance(value, int):
            return value
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no instant: 2026-11-23 or 2026-11-23T08:00:00+07:00")
        if found.tzinfo is None:
            found = found.replace(tzinfo=_LOCAL)
        return int(found.timestamp() * 1000)


class FaultRate(click.ParamType):
    """``NAME=RATE``, as a pair."""

    name = "name=rate"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, float]:
        if isinstance(value, tuple):
            return value
        name, _, rate = value.partition("=")
        try:
            return name, float(rate)
        except ValueError:
            self.fail(f"{value!r}: a fault is given as NAME=RATE, for example duplicate=0.01")


@dataclass(frozen=True)
class Plan:
    """What a run plays; all four sources of a system play the same one.

    The simulated clock stood at ``simulated`` at the wall instant ``wall`` (both ms). ``played``
    are the scenarios begun so far, each with its anchor (ms).
    """

    seed: int
    speed: float
    start: int | None
    simulated: int
    wall: int
    played: tuple[tuple[str, int], ...] = ()

    @property
    def clock(self) -> Clock:
        return Clock(self.simulated, self.wall, self.speed)

    def beginning(self, now: int) -> int:
        """The simulated instant at which a source without a past begins."""
        return self.clock.now(now) if self.start is None else self.simulated

    @property
    def scenario(self) -> str:
        return self.played[-1][0] if self.played else ""


def plan(
    settings: Settings, *, seed: int, scenario: str, speed: float, start: int | None, now: int
) -> Plan:
    """The plan of this system for these wishes at a wall instant (ms).

    The sources of a system agree on it: the first one to ask writes it down. So a storm begins at
    one instant for all, a fast clock runs at one pace for all, and a restart goes on where it was.
    A scenario once begun stays part of the world, whatever is played later: its reports still have
    to be answered. Another seed, speed or start is another run.
    """
    folder = bookmark_path(settings, "x").parent
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "plan.json"
    with (folder / "plan.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = _read_plan(path)
        if (
            found is None
            or (found.seed, found.speed) != (seed, speed)
            or start not in (None, found.start)
        ):
            begin = now if start is None else start
            found = Plan(seed, speed, start, begin, now)
        if scenario and scenario != found.scenario:
            found = replace(found, played=(*found.played, (scenario, found.clock.now(now))))
        path.write_text(json.dumps(asdict(found)), encoding="utf-8")
    return found


def _read_plan(path: Path) -> Plan | None:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        played = tuple((str(name), int(anchor)) for name, anchor in fields.pop("played"))
        return Plan(**fields, played=played)
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return None


class World:
    """What a door gives: a source for a plan and fault rates (None for the default ones)."""

    def __init__(
        self,
        kind: str,
        opening: Callable[[int], Iterator[Due]],
        stream: Callable[[int, int], Iterator[Due]],
    ) -> None:
        self.kind = kind
        self.opening = opening
        self.stream = stream


Opener = Callable[[Plan, Mapping[str, float] | None], World]


def identity(plan: Plan, kind: str) -> dict[str, Any]:
    """What a bookmark belongs to: another seed or start is another world."""
    return {"kind": kind, "seed": plan.seed, "start": plan.start}


def _refuse_time_travel(settings: Settings, speed: float, until: int | None, now: int) -> None:
    if settings.clock == "wall" and speed > 1 and (until is None or until > now):
        raise click.UsageError(
            "--speed runs ahead of the wall clock, so every event would be refused as future_time; "
            "use a system with IOC_CLOCK=event, or give --start and --until in the past"
        )


def command(
    kind: str,
    name: str,
    about: str,
    *,
    open_world: Opener,
    scenarios: Mapping[str, str],
    faults: Mapping[str, str],
    default_rates: Mapping[str, float],
    longest_delay_ms: int,
) -> click.Command:
    """The click command of one simulated source.

    ``longest_delay_ms``: how long a fault may hold a record back. Under other fault rates other
    records were held back, so those of that time are sent again.
    """

    @click.command(
        name,
        help=f"""{about}

        Example: ioc produce {name} --fault duplicate=0.05 --scenario storm

        \b
        Scenarios:
        {_table(scenarios)}

        \b
        Faults (share of records; default in brackets):
        {_table({f: f"{text} [{default_rates[f]:g}]" for f, text in faults.items()})}
        """,
    )
    @click.option("--speed", type=click.FloatRange(min=0, min_open=True), default=1.0,
                  show_default=True, help="How many times faster than life.")  # fmt: skip
    @click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another "
                  "world; the same one, the same bytes.")  # fmt: skip
    @click.option("--scenario", type=click.Choice(list(scenarios)), default=None,
                  help="Something out of the ordinary.")  # fmt: skip
    @click.option("--fault", "changes", type=FaultRate(), multiple=True, metavar="NAME=RATE",
                  help="Another rate for one fault; may be repeated.")  # fmt: skip
    @click.option("--no-faults", is_flag=True, help="None but those given with --fault.")
    @click.option("--start", type=Instant(), default=None, help="Simulated start (default: now).")
    @click.option("--until", type=Instant(), default=None, help="Simulated end.")
    @click.option("--once", is_flag=True, help="Send what is due by now and end.")
    def run(
        speed: float,
        seed: int,
        scenario: str | None,
        changes: tuple[tuple[str, float], ...],
        no_faults: bool,
        start: int | None,
        until: int | None,
        once: bool,
    ) -> None:
        settings = settings_module.load()
        setup_logging(settings.log_level)
        now = wall_ms()
        _refuse_time_travel(settings, speed, until, now)
        rates = {} if no_faults else dict(default_rates)
        for fault, rate in changes:
            if fault not in default_rates or not 0 <= rate <= 1:
                raise click.UsageError(
                    f"--fault {fault}={rate:g}: one of {', '.join(default_rates)}, from 0 to 1"
                )
            rates[fault] = rate
        agreed = plan(
            settings, seed=seed, scenario=scenario or "", speed=speed, start=start, now=now
        )
        path = bookmark_path(settings, kind)
        bookmark = Bookmark(path, identity(agreed, kind), rates, longest_delay_ms)
        raise SystemExit(
            _produce(settings, kind, agreed, open_world(agreed, rates), bookmark, until, once)
        )

    return run


def _table(rows: Mapping[str, str]) -> str:
    width = max(map(len, rows), default=0)
    return "\n        ".join(f"  {name:<{width}}  {text}" for name, text in rows.items())


def _produce(
    settings: Settings,
    kind: str,
    agreed: Plan,
    world: World,
    bookmark: Bookmark,
    until: int | None,
    once: bool,
) -> int:
    log = logging.getLogger("producer")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    serve_metrics(settings.metrics_port)
    metrics = Metrics(kind)
    resumed = bookmark.read()
    start = agreed.beginning(wall_ms()) if resumed is None else resumed
    if until is not None and until < start:
        log.error("--until lies before the instant to go on from")
        return USAGE
    log.info(
        "%s %s at x%g, seed %d%s",
        kind,
        "starts" if resumed is None else f"goes on after {(wall_ms() - start) // 1000} s",
        agreed.speed,
        agreed.seed,
        f", scenario {agreed.scenario}" if agreed.scenario else "",
    )
    pump: Pump | None = None
    try:
        pump = Pump(KafkaClients(settings, kind, stop), settings.named, metrics)
        pace(
            world,
            pump,
            agreed.clock,
            bookmark,
            stop,
            start=start,
            end=_FOREVER if until is None else until,
            opening=resumed is None,
            once=once,
        )
    except StoppedError:
        pass
    finally:
        if pump is not None:
            pump.close()
    log.info("stopped")
    return OK
