"""Where a replay goes: a system of its own, a namespace of its own on some cluster, or a live one.

What was made for the replay goes with it, however it ends.
"""

import dataclasses
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas import catalog
from services.runtime.http_view import HttpView
from services.runtime.kafka import ensure_topics, warm_up
from services.runtime.own_system import temporary_system, undisturbed
from services.runtime.ports import Ports, claim_block
from services.runtime.process import ChildProcess
from services.runtime.settings import Settings

OWN_NAMESPACE = "replay"
_SECONDS = 30.0
_NOT_YET = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._UNKNOWN_TOPIC,
)
Ends = dict[tuple[str, int], int]


class TargetError(Exception):
    """The target cannot take a replay; the message says why."""


class NamespaceInUseError(TargetError):
    """Somebody else's topics have that name."""


@dataclass
class Target:
    """Somewhere to send to. ``alone``: nobody else's records are there, so numbers can be judged.

    ``view`` is None where no numbers are wanted.
    """

    bootstrap: str
    namespace: str
    partitions: int
    view: HttpView | None
    alone: bool

    def name(self, topic: str) -> str:
        """A topic of the contract as it is called there."""
        return f"{self.namespace}.{topic}" if self.namespace else topic

    def ends(self) -> Ends:
        """The log end of every source partition, topics without namespace."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "ioc-replay-ends",
                             "log_level": 0})  # fmt: skip
        try:
            found = {}
            for topic in catalog.SOURCES:
                for partition in range(self.partitions):
                    tp = TopicPartition(self.name(topic.name), partition)
                    found[topic.name, partition] = _end(consumer, tp)
            return found
        except KafkaException as error:
            raise TargetError(f"{self.bootstrap} does not answer: {error}") from error
        finally:
            consumer.close()


def _end(consumer: Consumer, tp: TopicPartition) -> int:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            bounds = consumer.get_watermark_offsets(tp, timeout=_SECONDS)
            return bounds[1] if bounds else 0
        except KafkaException as error:
            # A topic that was made a moment ago has no leader yet.
            if time.monotonic() > deadline or error.args[0].code() not in _NOT_YET:
                raise
            time.sleep(0.1)


def _admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})


def topics_of(bootstrap: str, namespace: str) -> dict[str, int]:
    """Topics of a namespace -> partitions. Raises TargetError when no broker answers."""
    try:
        about: Any = _admin(bootstrap).list_topics(timeout=10)
    except KafkaException:
        raise TargetError(
            f"no Kafka broker answers at {bootstrap}; is it running? (--bootstrap)"
        ) from None
    prefix = f"{namespace}."
    return {n: len(t.partitions) for n, t in about.topics.items() if n.startswith(prefix)}


def drop_namespace(bootstrap: str, namespace: str) -> list[str]:
    """Delete all topics and consumer groups of a namespace; the names of the topics."""
    if not namespace:
        raise ValueError("the live system is no namespace to drop")
    client = _admin(bootstrap)
    names = sorted(topics_of(bootstrap, namespace))
    if names:
        for future in client.delete_topics(names, operation_timeout=_SECONDS).values():
            future.result(timeout=_SECONDS)
    groups = client.list_consumer_groups(request_timeout=_SECONDS).result(timeout=_SECONDS)
    mine = [g.group_id for g in groups.valid if g.group_id.startswith(f"{namespace}.")]
    if mine:
        deleted = client.delete_consumer_groups(mine, request_timeout=_SECONDS)
        for future in deleted.values():
            future.result(timeout=_SECONDS)
    return names


@contextmanager
def own_system(partitions: int, workers: int = 1) -> Iterator[Target]:
    """A whole system of its own, with an event clock, gone at the end with all its data."""
    with temporary_system(
        "replay",
        f"--workers={workers}",
        clock="event",
        namespace=OWN_NAMESPACE,
        environment={"IOC_PARTITIONS": str(partitions)},
    ) as system:
        yield Target(system.bootstrap, OWN_NAMESPACE, partitions, system.view, alone=True)


@contextmanager
def own_namespace(
    bootstrap: str,
    namespace: str,
    partitions: int,
    *,
    workers: int = 1,
    numbers: bool = True,
    again: bool = False,
    keep: Callable[[], bool] = lambda: False,
) -> Iterator[Target]:
    """A namespace on a cluster, with workers and a view of ours on this machine; dropped at last.

    ``numbers`` False: topics only. ``again``: the namespace is there already and is ours. ``keep``
    is asked at the end whether the topics stay. Raises NamespaceInUseError, TargetError.
    """
    there = topics_of(bootstrap, namespace)
    if there and not again:
        raise NamespaceInUseError(
            f"the namespace {namespace!r} is in use on {bootstrap} ({len(there)} topics, such as "
            f"{min(there)}): a replay would change its numbers. Take another --namespace, or say "
            "--live when that is what you want."
        )
    # Always the same one: what a killed replay left is put away by the one that goes on.
    mark = xxhash.xxh32_hexdigest(bootstrap.encode())
    folder = Path(tempfile.gettempdir()) / f"ioc-replay-{namespace}-{mark}"
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(_drop, bootstrap, namespace, keep)
        ensure_topics(bootstrap, namespace, partitions)
        view = None
        if numbers:
            warm_up(bootstrap)
            view = _start(stack, folder, bootstrap, namespace, partitions, workers)
        yield Target(bootstrap, namespace, partitions, view, alone=True)


def _drop(bootstrap: str, namespace: str, keep: Callable[[], bool]) -> None:
    if keep():
        return
    with undisturbed():
        try:
            drop_namespace(bootstrap, namespace)
        except (KafkaException, TargetError, TimeoutError) as error:
            sys.stderr.write(
                f"the topics of {namespace} on {bootstrap} could not be deleted ({error}); they "
                "stay until somebody does it\n"
            )


def _start(
    stack: ExitStack, folder: Path, bootstrap: str, namespace: str, partitions: int, workers: int
) -> HttpView:
    ports = Ports.from_base(claim_block())
    config = Settings(
        bootstrap=bootstrap,
        namespace=namespace,
        clock="event",
        partitions=partitions,
        view_port=ports.view,
        data_dir=folder,
        log_level="WARNING",
    )

    def run(name: str, settings: Settings, *command: str) -> None:
        process = ChildProcess(
            [sys.executable, "-m", "services.cli", *command],
            log=folder / f"{name}.log",
            environ=_environment(settings),
        )
        stack.callback(_stop, process)
        process.start()

    for number in range(workers):
        metrics = dataclasses.replace(config, metrics_port=ports.worker(number))
        run(f"kpi-{number}", metrics, "kpi")
    run("view", config, "view")
    return HttpView(config.view_url)


def _environment(settings: Settings) -> dict[str, str]:
    return os.environ | settings.environment()


def _stop(process: ChildProcess) -> None:
    with undisturbed():
        process.stop()


@contextmanager
def live(bootstrap: str, namespace: str, view: HttpView | None = None) -> Iterator[Target]:
    """A system that is there, with all that is in it. Raises TargetError when it is not."""
    names = [t.full_name(namespace) for t in catalog.SOURCES]
    try:
        about: Any = _admin(bootstrap).list_topics(timeout=10)
    except KafkaException:
        raise TargetError(
            f"no Kafka broker answers at {bootstrap}; is it running? (--bootstrap)"
        ) from None
    missing = [n for n in names if n not in about.topics]
    if missing:
        raise TargetError(f"{bootstrap} has no live system: {', '.join(missing)} is missing")
    counts = {len(about.topics[n].partitions) for n in names}
    if len(counts) > 1:
        raise TargetError(f"the source topics on {bootstrap} differ in their partitions: {counts}")
    yield Target(bootstrap, namespace, counts.pop(), view, alone=False)
