"""Bad input and killed parts on a whole running system: real bytes through a real Kafka.

Everything that goes wrong here must be seen (dead letter, count, message), must not stop anything
else, and must leave the sums right: every record read has one outcome, in the view's counters as
in the independent oracle's.
"""

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

import services.runtime
from schemas import catalog
from services.core.merge import QueryError
from services.oracle.oracle import Oracle, Places
from services.oracle.raw import RawRecord, drain, partition_of
from services.runtime.http_view import HttpView
from services.runtime.kafka import ensure_topics
from services.runtime.ports import claim_block
from services.runtime.producer import KafkaClients, Metrics, Pump
from services.runtime.settings import Settings
from tests.e2e.system import PARTITIONS, System, command, send, wait_for
from tests.strategies.events import CASE, INDICATOR, LISTING, REPORT, Item

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

LETTERS = "ioc.dead-letter.v1"
MINUTE = 60_000
#: Each record of this module has a name of its own: the system is shared.
_serial = count(1)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("system"))
    yield running
    running.abandon()


def _text(ms: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+07:00", time.gmtime(ms / 1000 + 7 * 3600))


def report(name: str, **data: Any) -> dict[str, Any]:
    """A field report that can be used."""
    now = time.time() * 1000
    return {
        "specversion": "1.0",
        "id": f"{name}/1",
        "source": "/test/bad",
        "type": "ioc.field_report.v1",
        "time": _text(now - MINUTE),
        "data": {
            "report_id": name,
            "revision": 1,
            "status": "received",
            "category": "road",
            "channel": "app",
            "priority": "normal",
            "province_code": "45",
            "reported_at": _text(now - MINUTE),
        }
        | data,
    }


def good(name: str | None = None) -> Item:
    """A field report under its own key."""
    name = name or f"good-{next(_serial)}"
    return Item(REPORT, name.encode(), json.dumps(report(name)).encode(), [], 0)


def in_partition(partition: int) -> Iterator[str]:
    """Names of reports that lie in one partition."""
    for number in _serial:
        if partition_of(b"p-%d" % number, PARTITIONS) == partition:
            yield f"p-{number}"


class Bad(NamedTuple):
    """A record that cannot be used, and where its detail must point to."""

    reason: str
    item: Item
    where: str


def bad_records() -> Iterator[Bad]:
    """Every reason of contract section 5, several ways to each; personal data in some values."""

    def spoilt(reason: str, where: str, value: bytes | None, **more: Any) -> Bad:
        item = Item(REPORT, b"bad", value, [], 0)
        return Bad(reason, item._replace(**more), where)

    def changed(**members: Any) -> bytes:
        return json.dumps(
            {k: v for k, v in (report("bad") | members).items() if v is not ...}
        ).encode()

    def field(**data: Any) -> bytes:
        return json.dumps(report("bad", **data)).encode()

    plain = field()
    later = _text(time.time() * 1000 + 20 * MINUTE)
    yield spoilt("too_large", "$", plain + b" " * (256 * 1024))
    yield spoilt("too_large", "$", b"\xff" * 900_000)
    yield spoilt("not_utf8", "byte", plain.replace(b"test", b"t\xe9st"))
    yield spoilt("not_utf8", "byte", bytes(range(128, 256)))
    for text in (None, b"", plain[:-1], plain + b"x", b"NaN", b"\xef\xbb\xbf{}", b"[" * 100_000):
        yield spoilt("not_json", "$", text)
    for text in (b"[]", b'"0912 345 678"', b"null", b"16.8"):
        yield spoilt("not_cloudevent", "$", text)
    yield spoilt("not_cloudevent", "$.specversion", changed(specversion="0.3"))
    yield spoilt("not_cloudevent", "$.id", changed(id=...))
    yield spoilt("not_cloudevent", "$.source", changed(source=None))
    yield spoilt("not_cloudevent", "$.time", changed(time="2026-03-01T08:00:00"))
    yield spoilt("not_cloudevent", "$.data", changed(data=...))
    yield spoilt("unknown_type", "$.type", changed(type="ioc.field_report.v2"))
    for topic in (CASE, LISTING, INDICATOR):
        yield spoilt("unknown_type", "$.type", plain, topic=topic)
    yield spoilt("schema", "$.data.revision", field(revision="1"))
    yield spoilt("schema", "$.data.lat", field(lat="16,8"))
    yield spoilt("schema", "$.data.reported_at", field(reported_at="0912 345 678"))
    yield spoilt("schema", "$.data.status", field(status="nguyen.van.a@example.org"))
    yield spoilt("schema", "$.data", field(description="0912 345 678 " * 400))
    for key in (None, b"", b"bad ", b"\xff\xfe"):
        yield spoilt("key_mismatch", "key", plain, key=key)
    yield spoilt("key_mismatch", "partition", plain, partition=-1)
    yield spoilt("future_time", "$.time", changed(time=later))
    yield spoilt("future_time", "$.data.closed_at", field(closed_at=later))


def raw_log(system: System, *topics: str) -> list[RawRecord]:
    return list(asyncio.run(drain(system.kafka, topics=topics)).records())


def settled(system: System, seconds: float = 60) -> None:
    """Wait until all that is in the log now is counted, then compare every count."""
    ends = _ends(system)
    system.view.wait_until_caught_up(sum(ends.values()), seconds)
    data = Path(services.runtime.__file__).parent / "data"
    log = asyncio.run(drain(system.kafka))
    oracle = Oracle(log, PARTITIONS, "wall", Places.from_csv(data))
    events = system.metric("ioc_events_total", "topic", "outcome")
    rejects = system.metric("ioc_rejects_total", "topic", "reason")
    for topic in catalog.SOURCES:
        outcomes = oracle.outcomes(topic.name)
        assert {o: events[topic.name, o] for o in outcomes} == outcomes
        wanted = {r: n for r, n in oracle.reasons(topic.name).items() if n}
        assert {r: n for (t, r), n in rejects.items() if t == topic.name and n} == wanted
    assert sum(events.values()) == sum(ends.values()), "a record was counted twice, or never"
    assert system.metric("ioc_conservation_broken") == {(): 0.0}


def _ends(system: System) -> dict[tuple[str, int], int]:
    progress = system.view.get("/api/v1/progress")
    return {(p["topic"], p["partition"]): p["end"] for p in progress["partitions"]}


def received(view: HttpView | System) -> int:
    """The field reports of the last days, as a view counts them."""
    asked = view.view if isinstance(view, System) else view
    return int(asked.get("/api/v1/kpis/fr.received", window="30d")["rows"][0]["value"])


def test_every_reason_makes_a_dead_letter_with_the_original_and_is_counted(system: System) -> None:
    records = list(bad_records())
    assert {bad.reason for bad in records} == {
        "too_large", "not_utf8", "not_json", "not_cloudevent", "unknown_type", "schema",
        "key_mismatch", "future_time",
    }  # fmt: skip
    headers: list[tuple[str, Any]] = [
        ("content-type", b"text/plain"), ("x", b"1"), ("x", b"\xff"), ("ioc-reason", b"forged"),
    ]  # fmt: skip
    sent = []
    for number, bad in enumerate(records):
        own = [*headers, ("n", str(number).encode())]
        sent += [bad.item._replace(headers=own), good()]
    system.send(sent)
    settled(system)
    letters = {dict(r.headers).get("n"): r for r in raw_log(system, LETTERS)}
    log = {dict(r.headers).get("n"): r for r in raw_log(system, REPORT, CASE, LISTING, INDICATOR)}
    for number, bad in enumerate(records):
        n = str(number).encode()
        letter, original = letters[n], log[n]
        assert (letter.key, letter.value) == (bad.item.key, bad.item.value), bad
        assert letter.headers[: len(headers) + 1] == [*headers, ("n", n)]
        added = dict(letter.headers[len(headers) + 1 :])
        detail = added.pop("ioc-detail").decode()
        assert added == {
            "ioc-reason": bad.reason.encode(),
            "ioc-topic": original.topic.encode(),
            "ioc-partition": str(original.partition).encode(),
            "ioc-offset": str(original.offset).encode(),
        }
        assert detail.startswith(bad.where), (bad.reason, detail)
        assert "0912" not in detail
        assert "nguyen" not in detail


def test_records_of_any_codec_and_with_strange_headers_stop_nobody(system: System) -> None:
    before = received(system)
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        producer = Producer({"bootstrap.servers": system.kafka, "compression.type": codec})
        for _ in range(20):
            item = good()
            assert item.key is not None
            where = partition_of(item.key, PARTITIONS)
            headers: Any = [("", b""), ("null", None), ("đầu", b"\x00" * 1000)]
            producer.produce(item.topic, item.value, item.key, where, headers=headers)
            producer.produce(item.topic, b"no JSON", item.key, where, headers=headers)
        assert producer.flush(30) == 0
    settled(system)
    assert received(system) == before + 80


def test_10_mb_that_the_broker_takes_because_they_are_compressed_are_a_dead_letter_too(
    system: System,
) -> None:
    producer = Producer(
        {
            "bootstrap.servers": system.kafka,
            "compression.type": "zstd",
            "message.max.bytes": 20_000_000,
        }
    )
    for value in (b"x" * 10_000_000, b"y" * 9_000_000):
        producer.produce(REPORT, value, b"huge", partition_of(b"huge", PARTITIONS))
        # Neither is in the way of its neighbours.
        system.send([good(), Item(REPORT, b"huge", b"{", [], 0)])
    assert producer.flush(30) == 0
    settled(system)
    letters = [r for r in raw_log(system, LETTERS) if r.key == b"huge" and r.value != b"{"]
    assert [r.value for r in letters] == [b"x" * 10_000_000, b"y" * 9_000_000]
    assert {dict(r.headers)["ioc-reason"] for r in letters} == {b"too_large"}


def test_one_partition_full_of_garbage_slows_no_other_one_down(system: System) -> None:
    garbage = [
        Item(REPORT, b"", b"\xff no text at all %d" % n, [], 0) for n in range(20_000)
    ]  # an empty key lies in one partition
    full = partition_of(b"", PARTITIONS)
    others = [p for p in range(PARTITIONS) if p != full]
    names = [in_partition(p) for p in others]
    lags: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            rows = system.view.get("/api/v1/progress")["partitions"]
            lags.extend(p["lag"] for p in rows if p["partition"] != full)
            done.wait(0.1)

    watching = threading.Thread(target=watch)
    watching.start()
    flood = threading.Thread(target=system.send, args=(garbage,))
    began = time.monotonic()
    flood.start()
    while flood.is_alive() or time.monotonic() < began + 5:
        system.send([good(next(n)) for n in names for _ in range(10)])
        time.sleep(0.1)
    flood.join()
    done.set()
    watching.join()
    # 100 records a second and partition: two seconds of them.
    assert max(lags) < 200
    settled(system)
    assert system.metric("ioc_rejects_total", "topic", "reason")[REPORT, "not_utf8"] >= len(garbage)


def test_a_record_of_10_mb_is_refused_by_the_broker_counted_and_said(
    system: System, caplog: pytest.LogCaptureFixture
) -> None:
    before = received(system)
    registry = CollectorRegistry()
    settings = Settings(bootstrap=system.kafka)
    clients = KafkaClients(settings, "test", threading.Event())
    pump = Pump(clients, settings.named, Metrics("test", registry))

    class Due(NamedTuple):
        at: int
        topic: str
        key: bytes
        value: bytes

    def offer(name: str, **data: Any) -> None:
        value = json.dumps(report(name, **data)).encode()
        assert pump.offer(Due(1, REPORT, name.encode(), value), 0.0)

    names = [f"beside-{next(_serial)}" for _ in range(2)]
    with caplog.at_level(logging.ERROR, "producer"):
        offer(names[0])
        # Noise: what can be compressed, the broker would take.
        offer("huge", description=os.urandom(5_000_000).hex())
        offer(names[1])
        wait_for(lambda: _settled(pump), 30, "the broker's answers")
    pump.close()

    def counted(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"ioc_producer_{name}_total", {"kind": "test"} | labels)

    assert counted("failed", reason="too_large") == 1
    assert (counted("sent"), counted("acked")) == (3, 2)
    assert "huge: a record of 10000" in caplog.text
    assert "refused for its size" in caplog.text
    settled(system)
    assert received(system) == before + 2


def _settled(pump: Pump) -> bool:
    pump.settle(0.0)
    return not len(pump)


def test_missing_topics_are_named_and_a_namespace_made_then_is_apart_from_all_others(
    system: System, tmp_path: Path
) -> None:
    port = claim_block()
    environment = {
        "IOC_BOOTSTRAP": system.kafka,
        "IOC_NAMESPACE": "drill",
        "IOC_DATA_DIR": str(tmp_path),
        "IOC_VIEW_PORT": str(port),
    }
    logs = {name: tmp_path / name for name in ("kpi", "view", "produce")}
    other = HttpView(f"http://127.0.0.1:{port}")

    def ready() -> str:
        try:
            return str(other.get("/readyz"))
        except QueryError as error:
            return f"{error.status} {error.detail}"
        except OSError as error:
            return str(error)

    with (
        command(logs["kpi"], "kpi", **environment) as worker,
        command(logs["view"], "view", **environment) as view,
        command(logs["produce"], "produce", "listings", **environment) as producer,
    ):
        assert worker.wait(30) == 1
        assert "drill.ioc.listing.v1 is missing" in logs["kpi"].read_text()
        missing = "drill.ioc.listing.v1 or its broker is not there"
        wait_for(lambda: missing in logs["produce"].read_text(), 30, "the producer names the topic")
        wait_for(lambda: "503" in ready() and "is missing" in ready(), 30, "the view names them")
        assert view.poll() is None
        assert producer.poll() is None

        before, letters = received(system), len(raw_log(system, LETTERS))
        offsets = _ends(system)
        ensure_topics(system.kafka, "drill", PARTITIONS)
        with command(logs["kpi"], "kpi", **environment) as worker:
            # Some with the keys of the live system, and a bad one.
            live = [good() for _ in range(30)]
            send(system.kafka, [*live, *(good() for _ in range(20))], "drill")
            send(system.kafka, [Item(REPORT, b"k", b"{", [], 0)], "drill")
            other.wait_until_caught_up(1000, 60)  # most of them are the producer's
            assert "'ready'" in ready()
            assert received(other) == 50
            assert (received(system), _ends(system)) == (before, offsets)
            system.send(live)
            settled(system)
            assert (received(system), received(other)) == (before + 30, 50)
            assert len(raw_log(system, LETTERS)) == letters
            for process in (producer, worker, view):
                process.terminate()
                assert process.wait(15) == 0


@pytest.mark.parametrize("part", ["kpi", "view", "prometheus"])
def test_a_part_that_is_killed_comes_back_with_the_same_numbers(system: System, part: str) -> None:
    if part not in system.line["pids"]:
        pytest.skip(f"no {part} on this machine")
    system.send([good() for _ in range(50)])
    settled(system)
    before, counts = received(system), system.metric("ioc_events_total", "topic", "outcome")
    system.kill(part)
    settled(system)
    assert received(system) == before
    assert system.metric("ioc_events_total", "topic", "outcome") == counts
    system.send([good() for _ in range(50)])
    settled(system)
    assert received(system) == before + 50


def test_sigterm_ends_it_with_code_0_in_under_15_seconds_while_records_flow(
    system: System,
) -> None:
    stop = threading.Event()

    def flow() -> None:
        producer = Producer({"bootstrap.servers": system.kafka, "message.timeout.ms": 1000})
        while not stop.is_set():
            item = good()
            assert item.key is not None
            producer.produce(item.topic, item.value, item.key)
            producer.poll(0.005)

    flowing = threading.Thread(target=flow)
    flowing.start()
    time.sleep(1)
    began = time.monotonic()
    code = system.stop()
    seconds = time.monotonic() - began
    stop.set()
    flowing.join()
    assert (code, seconds < 15) == (0, True)
    assert "was killed" not in "".join(system.said).rpartition("stopping")[2]
