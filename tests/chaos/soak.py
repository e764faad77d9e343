"""`python -m tests.chaos.soak`: a whole system under a steady load, and whether it stays the same.

The load is open loop: what is due is sent at its second, however slow the system is. At the end
everything is compared: what every record became (known exactly, all records of the run), and every
KPI with the oracle. The oracle reads only the end of the log, and that is enough: of an entity only
its highest revision counts, and every entity has a new one in every turn, so the last turns
hold all that the numbers depend on (that every entity is there is checked).
"""

import csv
import json
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import click
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from services.core.merge import View
from services.oracle.comparison import differences
from services.oracle.oracle import Oracle
from services.oracle.raw import SOURCE_TOPICS, RawLog, RawRecord
from services.oracle.windows import WINDOWS
from services.runtime.own_system import OwnSystem
from services.runtime.process import resident_bytes
from tests.chaos.chart import chart
from tests.chaos.line import PARTITIONS
from tests.chaos.population import Population
from tests.e2e.system import page, samples
from tests.strategies.events import PLACES

SAMPLE_SECONDS = 10.0
#: Records are handed over this often.
TICK_SECONDS = 0.05
#: How much the memory of worker and view may have grown after warm-up.
ALLOWED = 0.05
#: A load that was ever this far behind its schedule was not the one that was asked for.
LATEST_SECONDS = 5.0
#: A turn of the population, in seconds.
TURN_SECONDS = 4.0


class Load:
    """Sends a population at a steady rate, from a thread of its own."""

    def __init__(self, bootstrap: str, population: Population, rate: int) -> None:
        self._population = population
        self._rate = rate
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap, "linger.ms": 20, "compression.type": "lz4",
                # One order for each key, nothing twice: what becomes of a record is known.
                "enable.idempotence": True, "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 1_048_576, "log_level": 2,
            }
        )  # fmt: skip
        self.sent = 0
        self.acked = 0
        self.failed: list[str] = []
        #: How far behind its schedule it ever was, in seconds.
        self.worst_delay = 0.0
        #: When each turn began (ms): the last whole one is between the last two of them.
        self.turns: list[int] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._end = 0.0

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.acked += 1
        else:
            self.failed.append(str(error))

    def start(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._thread.start()

    def wait(self) -> None:
        """Until everything was sent and acknowledged."""
        self._thread.join()
        left = self._producer.flush(300)
        if left:
            self.failed.append(f"{left} records were never acknowledged")

    def _run(self) -> None:
        entities = self._population.turn()
        began = time.monotonic()
        done = 0
        while (now := time.monotonic()) < self._end:
            due = int((now - began) * self._rate)
            if due > done:
                # The first of them was due this long ago.
                self.worst_delay = max(self.worst_delay, now - began - done / self._rate)
            second = int(time.time())
            while done < due:
                for record in self._population.records(next(entities), second):
                    self._put(record)
                if done % len(self._population) == 0:
                    self.turns.append(int(time.time() * 1000))
                done += 1
            self._producer.poll(0)
            time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - now)))

    def _put(self, record: Any) -> None:
        while True:
            try:
                self._producer.produce(
                    record.topic, record.value, record.key, record.partition,
                    on_delivery=self._delivered,
                )  # fmt: skip
            except BufferError:
                self._producer.poll(0.1)
            else:
                self.sent += 1
                return


@dataclass
class Samples:
    """Memory and lag over time; also written to a CSV file while the run goes on."""

    minutes: list[float] = field(default_factory=list)
    resident: dict[str, list[float]] = field(default_factory=dict)
    lags: list[int] = field(default_factory=list)

    def growth(self, name: str) -> float:
        """The median of the last fifth against that of the second fifth, less one."""
        values = self.resident[name]
        fifth = len(values) // 5
        return statistics.median(values[-fifth:]) / statistics.median(values[fifth : 2 * fifth]) - 1


def _processes(system: OwnSystem) -> dict[str, int]:
    """name -> process id; numbered where there are several."""
    found = {}
    for part, pids in system.line["pids"].items():
        for number, pid in enumerate(pids):
            found[f"{part}-{number}" if len(pids) > 1 else part] = pid
    return found


def _lag(system: OwnSystem) -> int:
    return sum(row["lag"] or 0 for row in system.view.get("/api/v1/progress")["partitions"])


def _watch(system: OwnSystem, load: Load, seconds: float, path: Path) -> Samples:
    """Sample every ten seconds until the load ends."""
    seen = Samples()
    processes = _processes(system)
    began = time.monotonic()
    with path.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["seconds", *(f"{name}_mb" for name in processes), "lag", "sent", "late_s"])
        while (passed := time.monotonic() - began) < seconds:
            memory = {name: (resident_bytes(pid) or 0) / 1e6 for name, pid in processes.items()}
            lag = _lag(system)
            rows.writerow(
                [
                    round(passed, 1), *(round(mb, 1) for mb in memory.values()), lag, load.sent,
                    round(load.worst_delay, 2),
                ]
            )  # fmt: skip
            out.flush()
            seen.minutes.append(passed / 60)
            seen.lags.append(lag)
            for name, mb in memory.items():
                seen.resident.setdefault(name, []).append(mb)
            if len(seen.minutes) % 6 == 1:
                told = ", ".join(f"{name} {mb:.0f} MB" for name, mb in memory.items())
                _say(f"{passed / 60:5.1f} min: {load.sent:,} sent, lag {lag:,}, {told}")
            time.sleep(max(0.0, SAMPLE_SECONDS - (time.monotonic() - began - passed)))
    return seen


def _say(text: str) -> None:
    click.echo(text, err=True)


def _end_of_log(bootstrap: str, since_ms: int) -> RawLog:
    """All records of the source topics that arrived at ``since_ms`` or later."""
    log = RawLog()
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "soak", "enable.auto.commit": False}
    )
    try:
        places = [TopicPartition(t, p, since_ms) for t in SOURCE_TOPICS for p in range(PARTITIONS)]
        starts = consumer.offsets_for_times(places, timeout=30)
        for start in starts:
            _, end = consumer.get_watermark_offsets(start, timeout=30)
            consumer.assign([start])
            log.append(_read(consumer, end if start.offset >= 0 else 0))
    finally:
        consumer.close()
    return log


def _read(consumer: Consumer, end: int) -> Iterator[RawRecord]:
    reached = 0
    while reached < end:
        for message in consumer.consume(5_000, timeout=10):
            error = message.error()
            if error is not None:
                raise TimeoutError(str(error))
            reached = cast("int", message.offset()) + 1
            yield RawRecord(
                cast("str", message.topic()), cast("int", message.partition()), reached - 1,
                message.timestamp()[1], message.key(),
                message.value(),
            )  # fmt: skip


def _audit(system: OwnSystem, load: Load, population: Population) -> Iterator[str]:
    """What is wrong at the end, when everything was absorbed."""
    events = samples(page(system.view.url), "ioc_events_total", "topic", "outcome")
    counted = {place: int(count) for place, count in events.items() if count}
    if counted != dict(population.expected):
        yield f"counted {counted}, sent were {dict(population.expected)}"
    log = _end_of_log(system.bootstrap, load.turns[-2] - 1000)
    _say(f"the oracle reads the last {len(log):,} records")
    oracle = Oracle(log, PARTITIONS, "wall", PLACES)
    entities = log.connection.execute("SELECT count(DISTINCT entity) FROM seen").fetchall()[0][0]
    if entities != len(population):
        yield f"the end of the log holds {entities} of {len(population)} entities"
    now = int(time.time() * 1000)
    view = cast("View", system.view)
    yield from differences(view, oracle, now, windows=WINDOWS, dimensions=False)
    yield from differences(view, oracle, now, windows=("1h",))


def _verdict(
    system: OwnSystem, before: Mapping[str, int], seen: Samples, load: Load
) -> Iterator[str]:
    if _processes(system) != before or any(resident_bytes(pid) is None for pid in before.values()):
        yield "a process died and was started again"
    yield from load.failed
    if load.worst_delay > LATEST_SECONDS:
        yield (
            f"the load was {load.worst_delay:.0f} s behind its schedule: the machine was too busy"
            " for this rate, and memory that holds a backlog says nothing about leaks"
        )
    for name in seen.resident:
        if name.startswith(("kpi", "view")) and seen.growth(name) > ALLOWED:
            yield f"{name} grew by {seen.growth(name):.1%} after warm-up"


@click.command("soak")
@click.option("--minutes", type=click.FloatRange(1, 1440), default=30.0, show_default=True)
@click.option("--rate", type=click.IntRange(100), default=20_000, show_default=True)
@click.option("--workers", type=click.IntRange(1, 4), default=1, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--csv", "path", type=click.Path(path_type=Path), default="var/soak.csv")
@click.option("--chart", "picture", type=click.Path(path_type=Path), help="Write an SVG there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def main(
    minutes: float, rate: int, workers: int, seed: int, path: Path, picture: Path | None,
    *, as_json: bool,
) -> None:  # fmt: skip
    """Load a whole system at a steady rate and check that it neither grows nor drifts.

    A constant population of entities is updated over and over, at RATE records a second scheduled
    open loop. Exit code 0 when worker and view stay within 5 % of their memory after warm-up,
    every record was counted as what it was, and every KPI equals the oracle; 1 when not.

    \b
    Example:
      python -m tests.chaos.soak --minutes 30 --rate 20000 --chart docs/pictures/soak.svg
    """
    # A system of one's own does not end with whoever started it: stop it when we are told to.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="ioc-soak-"))
    population = Population(int(rate * TURN_SECONDS), PARTITIONS, seed, int(time.time()))
    _say(f"{len(population):,} entities, each updated every {TURN_SECONDS:.0f} s; data in {folder}")
    problems: list[str] = []
    try:
        with OwnSystem(folder, f"--workers={workers}") as system:
            before = _processes(system)
            load = Load(system.bootstrap, population, rate)
            began = time.monotonic()
            load.start(minutes * 60)
            seen = _watch(system, load, minutes * 60, path)
            load.wait()
            sending = time.monotonic() - began
            try:
                system.view.wait_until_caught_up(load.sent, 120)
            except TimeoutError as error:
                problems.append(str(error)[:500])
            problems += _verdict(system, before, seen, load)
            problems += _audit(system, load, population)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report = {
        "minutes": round(sending / 60, 1),
        "records": load.sent,
        "rate": round(load.sent / sending),
        "worst_delay_s": round(load.worst_delay, 2),
        "median_lag": statistics.median(seen.lags),
        "most_lag": max(seen.lags),
        "growth": {name: round(seen.growth(name), 4) for name in seen.resident},
        "resident_mb": {name: round(values[-1]) for name, values in seen.resident.items()},
        "problems": problems[:40],
    }
    if picture is not None:
        _draw(picture, seen, report)
    _tell(report, as_json=as_json)
    sys.exit(1 if problems else 0)


def _draw(picture: Path, seen: Samples, report: Mapping[str, Any]) -> None:
    growth = ", ".join(
        f"{name} {share:+.1%}"
        for name, share in report["growth"].items()
        if name.startswith(("kpi", "view"))
    )
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(
        chart(
            f"Resident memory at {report['rate']:,} records/s",
            f"{report['records']:,} records; growth after warm-up: {growth}",
            seen.minutes,
            seen.resident,
            warm_up=seen.minutes[len(seen.minutes) // 5],
        ),
        encoding="utf-8",
    )


def _tell(report: Mapping[str, Any], *, as_json: bool) -> None:
    problems: Sequence[str] = report["problems"]
    for problem in problems:
        click.echo(f"PROBLEM  {problem}", err=True)
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    growth = ", ".join(f"{name} {share:+.1%}" for name, share in report["growth"].items())
    click.echo(
        f"{report['records']:,} records in {report['minutes']} min ({report['rate']:,}/s, at worst"
        f" {report['worst_delay_s']} s behind schedule); lag {report['median_lag']:.0f} (most"
        f" {report['most_lag']:,}); memory after warm-up {growth};"
        f" {len(problems) or 'no'} problems"
    )


if __name__ == "__main__":
    main()
