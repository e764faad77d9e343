"""What the view bears: 1,000 open streams and 50 questions a second while events flow.

    python -m tests.bench.view_clients [--rates 5000 20000 50000] [--clients 1000] [--seconds 20]

A system of its own; at each rate two stretches: without clients, and with them. *Produce to SSE* is
exact: an indicator of its own carries a growing number, ten times a second; a tenth of the
streams ask for it, and a probe has arrived at a stream with the first message whose number is at
least its own. It counts from the instant at which the probe was due. The load, the clients and the
system share the machine, so this says what the machine bears, not only the view. Writes
build/bench-view-clients.json.
"""

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
import uuid
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Producer

from services.load import machine
from services.load.fleet import Fleet, Make, producer_settings
from services.load.measure import measure, percentiles
from services.load.population import DEFAULT_MIX
from services.load.profiles import constant
from services.load.target import Target, own
from services.load.watch import Sampler, Samples, Watch
from services.runtime.reference import load_territories
from services.simulation.instants import iso

REPORT = Path("build/bench-view-clients.json")
#: A fresh broker translates itself to machine code for this long, with up to a core for it.
WARM_S = 20.0
PROBE_S = 0.1
SCRAPE_S = 5.0
#: Every tenth stream waits for the probes.
PROBE_EVERY = 10
PROVINCES = tuple(load_territories().provinces)
PROBE_SERIES = f"infra.load_probe|{PROVINCES[0]}|"
#: What the other streams ask: as many screens ask, each question by many.
_STREAMS = [
    *(f"kpi=fr.received&kpi=fr.answered&kpi=fr.on_time_rate&window=24h&territory={t}"
      for t in ("all", *PROVINCES)),
    *(f"kpi=gov.cases_received&kpi=gov.on_time_rate&window=today&territory={t}"
      for t in ("all", *PROVINCES)),
    *(f"kpi=fr.open_now&kpi=gov.open_now&territory={t}" for t in ("all", *PROVINCES)),
    "kpi=gov.cases_received&window=1h&by=province",
    "kpi=fr.received&window=1h&by=category",
    "kpi=gov.cases_solved&window=24h&by=procedure_field",
    "kpi=eco.gmv_vnd&kpi=eco.orders&window=today",
]  # fmt: skip
_QUESTIONS = [
    "/api/v1/kpis/gov.on_time_rate?window=30d&by=province",
    f"/api/v1/kpis/fr.received?window=24h&by=category&territory={PROVINCES[0]}",
    "/api/v1/kpis/gov.cases_received?window=1h&by=district&territory=51",
    "/api/v1/kpis/eco.gmv_vnd?window=today",
    "/api/v1/kpis/fr.p90_hours_to_answer?window=7d",
    "/api/v1/kpis/gov.open_now?by=status",
    "/api/v1/wall",
]


class Stream(asyncio.Protocol):
    """One open stream; what arrives is looked at only where probes are waited for."""

    def __init__(self, request: bytes, seen: list[tuple[float, int]] | None) -> None:
        self._request, self._seen = request, seen
        self.messages = self.size = 0
        self.good = False
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.open = True
        transport.write(self._request)  # type: ignore[attr-defined]  # of TCP it is a Transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False

    def data_received(self, data: bytes) -> None:
        self.good = self.good or (not self.size and data.startswith(b"HTTP/1.1 200"))
        self.size += len(data)
        self.messages += data.count(b"data: ")
        if self._seen is not None:
            at = data.rfind(b'"value":')
            number = data[at + 8 : at + 30].partition(b",")[0] if at >= 0 else b"null"
            if number != b"null":
                self._seen.append((time.monotonic(), int(float(number))))


async def _clients(url: str, count: int, rate: float, end: Any, opened: Any) -> dict[str, Any]:
    parts = urllib.parse.urlsplit(url)
    host, port = str(parts.hostname), int(parts.port or 80)
    loop = asyncio.get_running_loop()
    streams: list[Stream] = []
    seen: list[list[tuple[float, int]]] = []
    probe = "kpi=ind.value&series=" + urllib.parse.quote(PROBE_SERIES)
    for number in range(count):
        waits = number % PROBE_EVERY == 0
        query = probe if waits else _STREAMS[number % len(_STREAMS)]
        request = f"GET /api/v1/stream?{query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
        if waits:
            seen.append([])
        stream = Stream(request, seen[-1] if waits else None)
        await loop.create_connection(lambda s=stream: s, host, port)  # type: ignore[misc]  # the stream of this turn
        streams.append(stream)
    await asyncio.sleep(1)
    opened()
    began = loop.time()
    before = sum(s.messages for s in streams)
    took: list[float] = []
    failed = 0
    asking: set[asyncio.Task[None]] = set()
    pool: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(16):
        pool.put_nowait(await asyncio.open_connection(host, port))

    async def ask(path: str, due: float) -> None:
        nonlocal failed
        reader, writer = await pool.get()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        failed += not head.startswith(b"HTTP/1.1 200")
        took.append(loop.time() - due)
        pool.put_nowait((reader, writer))

    number = 0
    while not end():
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - loop.time()))
        task = asyncio.create_task(ask(_QUESTIONS[number % len(_QUESTIONS)], due))
        asking.add(task)
        task.add_done_callback(asking.discard)
        number += 1
    await asyncio.wait(asking, timeout=10) if asking else None
    passed = loop.time() - began
    return {
        "open": sum(s.open and s.good for s in streams),
        "messages_per_s": (sum(s.messages for s in streams) - before) / passed,
        "bytes_per_s": sum(s.size for s in streams) / passed,
        "requests": number,
        "failed": failed + number - len(took),
        "request_s": percentiles(np.array(took)),
        "seen": seen,
    }


def clients(connection: Connection, url: str, count: int, rate: float) -> None:
    """The process of all clients: opens, tells so, and hands over what it saw when told to end."""
    found = asyncio.run(
        _clients(url, count, rate, connection.poll, lambda: connection.send("open"))
    )
    connection.send(found)


class Probes(threading.Thread):
    """Sends the growing number on schedule."""

    def __init__(self, target: Target) -> None:
        super().__init__(daemon=True)
        self._producer = Producer(producer_settings(target.bootstrap))
        self._topic = f"{target.namespace}.ioc.indicator.v1"
        self._ending = threading.Event()
        self.due: list[float] = []
        self._first = 0

    def run(self) -> None:
        began, day = time.monotonic(), int(time.time() // 86_400) * 86_400_000
        while not self._ending.is_set():
            due = began + len(self.due) * PROBE_S
            self._ending.wait(max(0.0, due - time.monotonic()))
            self.due.append(due)
            self._send(len(self.due), int(time.time() * 1000), day)
            self._producer.poll(0)

    def _send(self, number: int, now: int, day: int) -> None:
        data = {
            "domain": "infra", "indicator": "infra.load_probe", "territory": PROVINCES[0],
            "period_start": iso(min(day, now)), "period_end": iso(now), "revision": number,
            "kind": "level", "value": number, "unit": "count", "source_system": "load",
        }  # fmt: skip
        envelope = {
            "specversion": "1.0", "id": f"probe-{number}", "source": "/ioc/sim/load/probe",
            "type": "ioc.indicator.v1", "time": iso(now), "data": data,
        }  # fmt: skip
        self._producer.produce(self._topic, json.dumps(envelope).encode(), PROBE_SERIES.encode())

    def end(self) -> None:
        self._ending.set()
        self.join()
        self._producer.flush(10)


class Scrapes(threading.Thread):
    """Asks for /metrics every five seconds and keeps what it took."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url, self._ending = url, threading.Event()
        self.took: list[float] = []
        self.build: list[float] = []

    def run(self) -> None:
        while not self._ending.is_set():
            began = time.monotonic()
            with urllib.request.urlopen(f"{self._url}/metrics", timeout=60) as answer:  # noqa: S310 (http on this machine)
                body: bytes = answer.read()
            self.took.append(time.monotonic() - began)
            at = body.index(b"\nioc_view_build_seconds ") + 1
            self.build.append(float(body[at : body.index(b"\n", at)].split()[1]))
            self._ending.wait(max(0.0, began + SCRAPE_S - time.monotonic()))

    def end(self) -> None:
        self._ending.set()
        self.join()


def arrivals(due: list[float], seen: list[list[tuple[float, int]]], since: float) -> list[float]:
    """Seconds from each probe due after ``since`` to each stream that waited for it; a probe that
    never came is infinite."""
    out: list[float] = []
    wanted = [n for n, at in enumerate(due, 1) if since <= at < due[-1] - 5]
    for messages in seen:
        at = 0
        for number in wanted:
            while at < len(messages) and messages[at][1] < number:
                at += 1
            got = messages[at][0] if at < len(messages) else float("inf")
            out.append(got - due[number - 1])
    return out


def cores(samples: Samples, name: str, since: float, until: float) -> float:
    row = [x for at, x in zip(samples.at, samples.cores[name], strict=True) if since <= at < until]
    return sum(row) / len(row) if row else 0.0


def stretch(
    target: Target, fleet: Fleet, probes: Probes, rate: float, seconds: float, count: int,
    requests: float,
) -> dict[str, Any]:  # fmt: skip
    """One rate with ``count`` clients."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=clients, args=(theirs, target.view, count, requests))
    scrapes, watch = Scrapes(target.view), Watch(target.view)
    opened = 0.0
    if count:
        asked = time.monotonic()
        process.start()
        if ours.recv() != "open":
            raise RuntimeError("the clients did not open")
        opened = time.monotonic() - asked
    pids = {**target.pids, "load": fleet.pids, "clients": [process.pid or 0] if count else []}
    sampler = Sampler(pids)
    for thread in (watch, sampler, scrapes):
        thread.start()
    schedule = constant(rate, seconds).warmed(WARM_S)
    lead = fleet.lead(schedule)
    began = time.monotonic() + lead
    sents = fleet.run(schedule, began, int((time.time() + lead) * 1000))
    ended = began + schedule.seconds
    deadline = time.monotonic() + 60
    sent = sum(len(s.due) for s in sents)
    while time.monotonic() < deadline and not caught_up(target.view):
        time.sleep(0.2)
    late = time.monotonic() - ended
    looks, samples = watch.end(), sampler.end()
    found = measure(schedule, WARM_S, sents, looks, began, 1.0)
    scrapes.end()
    out: dict[str, Any] = {
        "rate": rate, "clients": count, "sent": sent, "caught_up_after_s": late,
        "freshness_s": found.freshness, "shown_in_time": found.achieved,
        "sender_late_s": found.slip, "resolution_s": found.resolution,
        "scrape_s": percentiles(np.array(scrapes.took)), "build_s": max(scrapes.build),
        "cores": {n: cores(samples, n, began + WARM_S, ended) for n in samples.cores},
    }  # fmt: skip
    if count:
        time.sleep(1)
        ours.send("end")
        told = ours.recv()
        process.join()
        reached = np.array(arrivals(list(probes.due), told.pop("seen"), began + WARM_S))
        out |= {"opened_s": opened, "produce_to_sse_s": percentiles(reached)} | told
    return out


def caught_up(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/api/v1/progress", timeout=30) as answer:  # noqa: S310 (http on this machine)
        return all(p["lag"] < 100 for p in json.load(answer)["partitions"])


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 (what the bench is for)


def show(found: dict[str, Any]) -> None:
    used = found["cores"]
    line = (
        f"{found['rate']:>8,.0f}/s {found['clients']:>5} clients: fresh p50 "
        f"{_s(found['freshness_s']['p50'])} p99 {_s(found['freshness_s']['p99'])}, sender late "
        f"{_s(found['sender_late_s']['p99'])}, scrape p50 {_s(found['scrape_s']['p50'])} max "
        f"{_s(found['scrape_s']['max'])}; cores: view {used['view']:.2f} kpi {used['kpi']:.2f} "
        f"kafka {used['kafka']:.2f} load {used['load']:.2f} clients {used['clients']:.2f} "
        f"machine {used['machine']:.2f}"
    )
    if found["clients"]:
        line += (
            f"; to SSE p50 {_s(found['produce_to_sse_s']['p50'])} p99 "
            f"{_s(found['produce_to_sse_s']['p99'])}, {found['messages_per_s']:,.0f} messages/s, "
            f"requests p50 {_s(found['request_s']['p50'])} p99 {_s(found['request_s']['p99'])}, "
            f"{found['failed']} of {found['requests']} failed, {found['open']} still open"
        )
    say(line)


def _s(value: float | None) -> str:
    return "never" if value is None else f"{value:.3f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[5_000, 20_000, 50_000])
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--requests", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--workers", type=int, default=1)
    o = parser.parse_args()
    run = uuid.uuid4().hex[:8]
    facts = machine.facts(True)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(), own(f"bench-{run}", o.workers) as target:
        make = Make(
            target.bootstrap, target.namespace, run, dict(DEFAULT_MIX), 10_000, 1.0, 5, 1, True
        )
        with Fleet(make, 1) as fleet:
            fleet.ready()
            say(f"view {target.view}, pids {target.pids}")
            probes = Probes(target)
            probes.start()
            try:
                for rate in o.rates:
                    for count in (0, o.clients):
                        found = stretch(target, fleet, probes, rate, o.seconds, count, o.requests)
                        show(found)
                        rows.append(found)
            finally:
                probes.end()
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps({"machine": facts, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
