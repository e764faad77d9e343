"""`python -m tests.chaos`: rounds of random faults on a whole system, every number checked."""

import json
import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import click

from services.runtime.embedded import EmbeddedKafkaError
from tests.chaos.run import Run, lives

#: What the last round takes, with everything compared.
LAST_SECONDS = 170.0


@click.command("chaos")
@click.option("--seed", type=int, help="Decides faults and records (drawn and told if missing).")
@click.option("--minutes", type=click.FloatRange(0.1, 1440), default=20.0, show_default=True)
@click.option("--rounds", type=click.IntRange(1), help="Stop after so many rounds.")
@click.option("--from-round", "first", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def main(
    seed: int | None, minutes: float, rounds: int | None, first: int, *, as_json: bool
) -> None:
    """Hurt a whole system at random and compare every number with an oracle after each round.

    Real Kafka, workers and a view run as processes of their own. Records with every fault flow in
    while processes are killed, stopped, joined and slowed down. Exit code 0 when every round was
    survived, 1 when one was not: its data stays, and the line to repeat it is printed.

    \b
    Example:
      python -m tests.chaos --seed 7 --minutes 20
      python -m tests.chaos --seed 7 --from-round 12 --rounds 1
    """
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    began = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"{time.monotonic() - began:7.1f} s  {text}", err=True)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="ioc-chaos-"))
    say(f"seed {seed}, data in {folder}")
    run = Run(folder, seed, say)
    if not run.line.can_distort:
        say("no C compiler here: no slow disk and no clock steps in this run")

    def until() -> bool:
        """Asked at the beginning of each round: whether it is the last one."""
        left = minutes * 60 - (time.monotonic() - began)
        return left < LAST_SECONDS or (rounds is not None and run.totals.rounds >= rounds - 1)

    try:
        with run:
            lives(run, until, first)
    except (EmbeddedKafkaError, TimeoutError) as error:
        run.totals.problems.append(str(error))
    except KeyboardInterrupt:
        say("interrupted")
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit(130)
    totals, done = run.totals, run.totals.rounds
    peaks = {m.name: round(m.peak / 1e6) for m in (*run.line.workers, run.line.view)}
    report = {
        "seed": seed,
        "rounds_survived": done,
        "records": totals.records,
        "faults": run.faults,
        "large_flushes": totals.large_flushes,
        "late_flushes": totals.late_flushes,
        "started_again": run.line.started_again,
        "broker_hung": run.line.broker.hung,
        "peak_mb": peaks,
        "seconds": round(time.monotonic() - began),
        "problems": totals.problems,
    }
    for hang in run.line.broker.hung:
        click.echo(f"Kafka hung, was killed and started again: {hang}", err=True)
    for problem in totals.problems:
        click.echo(f"PROBLEM  {problem}", err=True)
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        faults = ", ".join(f"{count} x {name}" for name, count in run.faults.items())
        click.echo(
            f"seed {seed}: {done} rounds survived, {totals.records:,} records counted,"
            f" {sum(run.faults.values())} faults ({faults});"
            f" {totals.large_flushes} flushes in several parts;"
            f" peak memory {', '.join(f'{name} {mb} MB' for name, mb in peaks.items() if mb)}"
        )
    if totals.problems:
        click.echo(f"the data is kept in {folder}; repeat with:", err=True)
        click.echo(
            f"  python -m tests.chaos --seed {seed} --from-round {done + first} --rounds 1",
            err=True,
        )
        sys.exit(1)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
