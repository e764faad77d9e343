"""What flows while a line is hurt: nasty records at a steady rate, and bursts of new entities."""

import threading
import time
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, cast

from confluent_kafka import KafkaError, Message, Producer

from services.oracle.raw import partition_of
from services.oracle.reading import STEPS
from tests.chaos.line import PARTITIONS
from tests.strategies.events import CASE, LISTING, REPORT, Item

#: A record waits this long in the producer for a broker that is away, in milliseconds.
PATIENCE_MS = 300_000
_BURST_DISTRICTS = ("461", "462", "464", "465", "466", "467", "468", "469", "470")


def rubbish(rng: Random, count: int, arrival: int) -> Iterator[Item]:
    """Records that nobody can use, in every topic: bytes, nulls, and some near the broker's limit.

    ``stream`` spoils records that were good; these never were.
    """
    for _ in range(count):
        topic = rng.choice((REPORT, CASE, LISTING))
        key = rng.choice((None, b"", b"\xff\xfe", b"x" * 3000, str(rng.random()).encode()))
        value = rng.choice(
            (None, b"", rng.randbytes(300), b"[" * 5000, b"\x00" * 700_000, rng.randbytes(900_000))
        )
        yield Item(topic, key, value, [("ioc-arrival", str(arrival).encode())], arrival)


def newcomers(name: str, count: int, now_ms: int, partition: int) -> Iterator[Item]:
    """New cases whose keys all lie in one partition."""
    made = number = 0
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_ms // 1000 - 3600))
    # Steps are cells: the larger an entity, the fewer of them fill a record of the ring.
    steps = ",".join(f'"{step}":"{at}"' for step in STEPS)
    while made < count:
        number += 1
        key = f"{name}-{number}".encode()
        if partition_of(key, PARTITIONS) != partition:
            continue
        made += 1
        district = _BURST_DISTRICTS[number % len(_BURST_DISTRICTS)]
        value = (
            f'{{"specversion":"1.0","id":"{number}","source":"/test/burst",'
            f'"type":"ioc.admin_case.v1","time":"{at}","data":{{"case_id":"{name}-{number}",'
            '"revision":1,"status":"processing","level":"district","procedure_code":"1",'
            '"procedure_field":"land","service_level":"full","channel":"online",'
            f'"portal":"national","province_code":"45","district_code":"{district}",'
            f'"registered_at":"{at}","accepted_at":"{at}","steps":{{{steps}}},"fee_due":0,'
            '"components_total":3,'
            '"components_digitised":2,"components_signed":0,"components_reused":1,'
            '"result_digital":false,"auth":true,"popdb_checked":true,"popdb_fields":3}}'
        )
        headers = [("ioc-arrival", str(now_ms).encode())]
        yield Item(CASE, key, value.encode(), headers, now_ms)


class Feed:
    """Produces to the topics of a namespace; counts what the broker has acknowledged."""

    def __init__(self, bootstrap: str, namespace: str) -> None:
        self._prefix = f"{namespace}."
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "linger.ms": 5,
                "message.timeout.ms": PATIENCE_MS,
                # As many real ones: after an outage records come twice and out of order.
                "enable.idempotence": False,
                "acks": "all",
                "log_level": 2,
            }
        )
        self.acked = 0
        self.failed: list[str] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.acked += 1
        else:
            self.failed.append(str(error))

    def _put(self, item: Item) -> None:
        partition = 0 if item.key is None else partition_of(item.key, PARTITIONS)
        if item.partition is not None:
            partition = (partition + 1) % PARTITIONS
        while True:
            try:
                self._producer.produce(
                    self._prefix + item.topic, item.value, item.key, partition,
                    headers=cast("Any", item.headers), on_delivery=self._delivered,
                )  # fmt: skip
            except BufferError:
                self._producer.poll(0.2)
            else:
                break
        self._producer.poll(0)

    def send(self, items: Iterator[Item] | Sequence[Item]) -> None:
        """Produce at once, and wait until all of it is acknowledged."""
        for item in items:
            self._put(item)
        self.drain()

    def flow(self, items: Sequence[Item], seconds: float) -> None:
        """Begin to produce in a thread, evenly over ``seconds``; :meth:`finish` ends it."""

        def run() -> None:
            began = time.monotonic()
            for number, item in enumerate(items):
                behind = began + seconds * number / len(items) - time.monotonic()
                # When told to finish, the rest goes out at once.
                if behind > 0:
                    self._stop.wait(behind)
                self._put(item)

        self._stop.clear()
        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Send what is left, and wait until the broker has acknowledged everything."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.drain()

    def drain(self) -> None:
        """Wait until nothing is under way. Raises TimeoutError when the broker takes it not."""
        left = self._producer.flush(PATIENCE_MS / 1000)
        if left:
            raise TimeoutError(f"{left} records were not taken by the broker")
