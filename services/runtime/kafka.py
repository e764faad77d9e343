"""Kafka from our side: client settings, and the topics of the catalogue made and kept right."""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from schemas import catalog
from schemas.catalog import DAY_MS, Topic
from services.runtime.settings import Settings

#: A topic for readiness checks only: probes never touch a topic of the contract.
READINESS_TOPIC = "ioc-readiness"

#: Topics that hold the truth, kept as long as the settings say; the rest is kept by compaction.
_RETAINED = frozenset(t.name for t in (*catalog.SOURCES, catalog.DEAD_LETTER))


class TopicError(Exception):
    """The topics on the broker are not, and cannot be made, what the catalogue says."""


class BrokerUnreachableError(Exception):
    """No broker answered; the message names the address."""


@dataclass
class TopicState:
    """What ``ensure_topics`` found and did for one topic."""

    name: str
    partitions: int
    created: bool = False
    #: setting -> (value before, value now) of each setting that was corrected
    changed: dict[str, tuple[str | None, str]] = field(default_factory=dict)


def client_settings(bootstrap: str) -> dict[str, Any]:
    """What every kafka-python client here has in common."""
    return {
        "bootstrap_servers": bootstrap.split(","),
        "reconnect_backoff_ms": 100,
        "reconnect_backoff_max_ms": 5_000,
        "request_timeout_ms": 30_000,
    }


def producer_settings(settings: Settings, client_id: str) -> dict[str, Any]:
    """For ``kafka.KafkaProducer``: nothing is lost, nothing is doubled, one order per key.

    The default partitioner is kept: it is murmur2, as in the Java client.
    """
    return client_settings(settings.bootstrap) | {
        "client_id": settings.named(client_id),
        "acks": "all",
        "enable_idempotence": True,
        "compression_type": "lz4",
        "linger_ms": 20,
        # As the source topics: what is larger is refused here already, and counted.
        "max_request_size": 1024 * 1024,
        "delivery_timeout_ms": 120_000,
    }


def _client_library() -> Any:
    """kafka-python, which carries no types, imported when it is needed: it is slow to import."""
    import kafka
    import kafka.admin

    # It reports every refused connection as an error; our callers are told once, by an exception.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    return kafka


@contextmanager
def admin(bootstrap: str, *, timeout: float = 15.0) -> Iterator[Any]:
    """A kafka-python admin client, closed at the end.

    Raises BrokerUnreachableError when no broker answers within ``timeout`` seconds.
    """
    from kafka.errors import KafkaError

    library = _client_library()
    deadline = time.monotonic() + timeout
    while True:
        try:
            client = library.KafkaAdminClient(
                **client_settings(bootstrap)
                | {"client_id": "ioc-admin", "bootstrap_timeout_ms": int(timeout * 1000)}
            )
            break
        except (KafkaError, OSError) as error:
            if time.monotonic() >= deadline:
                raise BrokerUnreachableError(
                    f"no Kafka broker answers at {bootstrap}; is it running? (IOC_BOOTSTRAP)"
                ) from error
            time.sleep(0.2)
    try:
        yield client
    finally:
        client.close()


def wanted_config(topic: Topic, retention_days: int) -> dict[str, str]:
    """The settings that a topic must have on the broker."""
    config = dict(topic.config)
    if topic.name in _RETAINED:
        config["retention.ms"] = str(retention_days * DAY_MS)
    return config


def _existing_partitions(client: Any, names: Iterable[str]) -> dict[str, int]:
    wanted = set(names)
    there = wanted & set(client.list_topics())
    if not there:
        return {}
    return {t["name"]: len(t["partitions"]) for t in client.describe_topics(sorted(there))}


def _check_partitions(existing: dict[str, int], partitions: int) -> None:
    wrong = {name: count for name, count in existing.items() if count != partitions}
    if wrong:
        listed = ", ".join(f"{name} has {count}" for name, count in sorted(wrong.items()))
        raise TopicError(
            f"the number of partitions is fixed at creation: {listed}, asked for {partitions}. "
            "A key would move to another partition and its entity would be counted twice. Set "
            f"IOC_PARTITIONS={next(iter(wrong.values()))}, or start a new system under another "
            "IOC_NAMESPACE."
        )


def _read_config(client: Any, names: Iterable[str]) -> dict[str, dict[str, str]]:
    resources = [_topic_resource(name) for name in names]
    if not resources:
        return {}
    answer = client.describe_configs(resources, config_filter="all")
    found: dict[str, dict[str, str]] = {}
    for by_name in answer.values():
        for name, config in by_name.items():
            found[name] = {key: entry["value"] for key, entry in config.items()}
    return found


def _topic_resource(name: str, configs: dict[str, str] | None = None) -> Any:
    library = _client_library().admin
    return library.ConfigResource(library.ConfigResourceType.TOPIC, name, configs)


def _write_config(client: Any, changes: dict[str, dict[str, str]]) -> None:
    client.alter_configs([_topic_resource(name, configs) for name, configs in changes.items()])


def ensure_topics(
    bootstrap: str,
    namespace: str,
    partitions: int = catalog.DEFAULT_PARTITIONS,
    retention_days: int = catalog.DEFAULT_RETENTION_DAYS,
    *,
    timeout: float = 15.0,
) -> list[TopicState]:
    """Make the topics of the catalogue exist with the right settings; catalogue order.

    Missing ones are created, settings that differ are corrected. Raises TopicError when the number
    of partitions differs (before anything is touched), BrokerUnreachableError without a broker.
    """
    topics = {t.full_name(namespace): t for t in catalog.TOPICS}
    with admin(bootstrap, timeout=timeout) as client:
        existing = _existing_partitions(client, topics)
        _check_partitions(existing, partitions)
        states = {
            name: TopicState(name, partitions, created=name not in existing) for name in topics
        }
        new = {
            name: {
                "num_partitions": partitions,
                "configs": wanted_config(topic, retention_days),
            }
            for name, topic in topics.items()
            if name not in existing
        }
        if new:
            _create(client, new)
        have = _read_config(client, existing)
        changes: dict[str, dict[str, str]] = {}
        for name in existing:
            for key, value in wanted_config(topics[name], retention_days).items():
                before = have.get(name, {}).get(key)
                if before != value:
                    states[name].changed[key] = (before, value)
                    changes.setdefault(name, {})[key] = value
        if changes:
            _write_config(client, changes)
    return list(states.values())


def _create(client: Any, new: dict[str, dict[str, Any]]) -> None:
    from kafka.errors import KafkaError, TopicAlreadyExistsError

    try:
        client.create_topics(new, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        client.wait_for_topics(list(new))  # somebody else was faster, with the same catalogue
    except KafkaError as error:
        raise TopicError(f"the broker refused the topics: {error}") from error


def inspect_topics(
    bootstrap: str, namespace: str, partitions: int, retention_days: int, *, timeout: float = 5.0
) -> list[str]:
    """What is wrong with the topics on the broker, one line each; nothing is changed."""
    topics = {t.full_name(namespace): t for t in catalog.TOPICS}
    problems = []
    with admin(bootstrap, timeout=timeout) as client:
        existing = _existing_partitions(client, topics)
        problems += [f"{name} is missing" for name in topics if name not in existing]
        problems += [
            f"{name} has {count} partitions instead of {partitions}"
            for name, count in existing.items()
            if count != partitions
        ]
        have = _read_config(client, existing)
        for name in existing:
            for key, value in wanted_config(topics[name], retention_days).items():
                before = have.get(name, {}).get(key)
                if before != value:
                    problems.append(f"{name}: {key} is {before} instead of {value}")
    return problems


def warm_up(bootstrap: str, *, timeout: float = 15.0) -> None:
    """Have the broker make its own topic for consumer groups, which it does at the first question.

    Without this the first worker meets "coordinator not available" for some seconds.
    """
    from kafka.errors import KafkaError

    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            with admin(bootstrap, timeout=timeout) as client:
                client.list_group_offsets("ioc-readiness")
            return
        except KafkaError:
            time.sleep(0.1)


def cluster_id(bootstrap: str, *, timeout: float = 5.0) -> str:
    """The id of the cluster that answers. Raises BrokerUnreachableError."""
    with admin(bootstrap, timeout=timeout) as client:
        return str(client.describe_cluster()["cluster_id"])


def probe(bootstrap: str, *, timeout: float = 20.0) -> str:
    """Prove that the broker works: metadata, and one record acknowledged; its cluster id.

    The record goes to a topic made for that. Raises BrokerUnreachableError when either fails
    within ``timeout`` seconds.
    """
    from kafka.errors import KafkaError, TopicAlreadyExistsError

    deadline = time.monotonic() + timeout
    try:
        with admin(bootstrap, timeout=timeout) as client:
            found = str(client.describe_cluster()["cluster_id"])
            if READINESS_TOPIC not in client.list_topics():
                config = {"retention.ms": "3600000", "segment.ms": "600000"}
                try:
                    client.create_topics(
                        {READINESS_TOPIC: {"num_partitions": 1, "configs": config}},
                        wait_for_metadata=True,
                    )
                except TopicAlreadyExistsError:
                    pass
        producer = _client_library().KafkaProducer(**client_settings(bootstrap) | {"acks": "all"})
        try:
            left = max(1.0, deadline - time.monotonic())
            producer.send(READINESS_TOPIC, b"ready?").get(timeout=left)
        finally:
            producer.close(timeout=2)
    except KafkaError as error:
        raise BrokerUnreachableError(
            f"the broker at {bootstrap} answers but does not take a record: {error}"
        ) from error
    return found
