"""The embedded Kafka, for real: it starts, keeps what it took, survives kill -9, names troubles."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from schemas import catalog
from services.runtime import kafka
from services.runtime.embedded import EmbeddedKafka, EmbeddedKafkaError
from services.runtime.ports import LOOPBACK
from services.runtime.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

# kafka-python carries no types.
_Producer: Any = KafkaProducer
_Consumer: Any = KafkaConsumer


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind((LOOPBACK, 0))
        two.bind((LOOPBACK, 0))
        return one.getsockname()[1], two.getsockname()[1]


def _broker(folder: Path) -> EmbeddedKafka:
    port, controller = _free_ports()
    return EmbeddedKafka(folder, port=port, controller_port=controller, heap_mb=256)


def _skip_or_fail(error: EmbeddedKafkaError) -> None:
    if os.environ.get("CI"):
        raise error
    if "could not be downloaded" in str(error) or "needs Java" in str(error):
        pytest.skip(str(error))
    raise error


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    broker = _broker(tmp_path_factory.mktemp("kafka"))
    try:
        broker.start()
    except EmbeddedKafkaError as error:
        _skip_or_fail(error)
    yield broker
    broker.stop()


def _send(bootstrap: str, topic: str, values: list[bytes]) -> None:
    settings = Settings(bootstrap=bootstrap)
    producer = _Producer(**kafka.producer_settings(settings, "test"))
    try:
        sent = [producer.send(topic, key=b"key", value=value) for value in values]
        for future in sent:
            future.get(timeout=30)
    finally:
        producer.close()


def _read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = _Consumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    try:
        partitions = [
            TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic))
        ]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        values: list[bytes] = []
        for _ in range(60):
            for records in consumer.poll(timeout_ms=500).values():
                values += [r.value for r in records]
            if len(values) >= count:
                break
        return values
    finally:
        consumer.close()


def test_topics_of_the_catalogue_are_made_and_a_second_time_nothing_changes(
    broker: EmbeddedKafka,
) -> None:
    states = kafka.ensure_topics(broker.bootstrap, "made", 3)
    assert [s.name for s in states] == [f"made.{t.name}" for t in catalog.TOPICS]
    assert all(s.created for s in states)
    again = kafka.ensure_topics(broker.bootstrap, "made", 3)
    assert not any(s.created or s.changed for s in again)
    assert kafka.inspect_topics(broker.bootstrap, "made", 3, 400) == []


def test_a_changed_number_of_partitions_is_refused_and_nothing_is_touched(
    broker: EmbeddedKafka,
) -> None:
    kafka.ensure_topics(broker.bootstrap, "fixed", 2)
    with pytest.raises(kafka.TopicError, match=r"fixed\.ioc\.admin-case\.v1 has 2.*asked for 5"):
        kafka.ensure_topics(broker.bootstrap, "fixed", 5, 30)
    assert kafka.inspect_topics(broker.bootstrap, "fixed", 2, 400) == []


def test_a_changed_retention_is_applied_to_source_topics_and_dead_letters(
    broker: EmbeddedKafka,
) -> None:
    kafka.ensure_topics(broker.bootstrap, "kept", 1, 400)
    states = kafka.ensure_topics(broker.bootstrap, "kept", 1, 30)
    changed = {s.name.removeprefix("kept.") for s in states if s.changed}
    assert changed == {t.name for t in (*catalog.SOURCES, catalog.DEAD_LETTER)}
    assert kafka.inspect_topics(broker.bootstrap, "kept", 1, 30) == []


def test_nothing_is_created_by_itself_and_probes_have_a_topic_of_their_own(
    broker: EmbeddedKafka,
) -> None:
    kafka.probe(broker.bootstrap)
    with kafka.admin(broker.bootstrap) as client:
        client.describe_topics(["never.made"])
        names = set(client.list_topics())
    assert "never.made" not in names
    assert kafka.READINESS_TOPIC in names
    assert not any(kafka.READINESS_TOPIC == t.name for t in catalog.TOPICS)


def test_a_record_as_large_as_the_largest_of_the_catalogue_passes(broker: EmbeddedKafka) -> None:
    kafka.ensure_topics(broker.bootstrap, "large", 1)
    largest = os.urandom(2 * 1024 * 1024 - 1024)
    producer = _Producer(bootstrap_servers=broker.bootstrap, max_request_size=4 * 1024 * 1024)
    producer.send("large.ioc.dead-letter.v1", largest).get(timeout=30)
    producer.close()
    assert _read(broker.bootstrap, "large.ioc.dead-letter.v1", 1) == [largest]


def test_it_listens_on_the_loopback_address_only(broker: EmbeddedKafka) -> None:
    text = (broker.home / "server.properties").read_text()
    listeners = re.findall(r"(?:PLAINTEXT|CONTROLLER)://([^:,\s]*):", text)
    assert set(listeners) == {LOOPBACK}


def test_after_kill_9_it_starts_again_with_every_acknowledged_record(tmp_path: Path) -> None:
    broker = _broker(tmp_path)
    try:
        broker.start()
        kafka.ensure_topics(broker.bootstrap, "", 1)
        values = [f"{i}".encode() * 50 for i in range(2000)]
        _send(broker.bootstrap, catalog.LISTING.name, values)
        broker.kill()
        assert broker.pid is None
        broker.start()
        assert _read(broker.bootstrap, catalog.LISTING.name, len(values)) == values
    finally:
        broker.stop()


def test_the_data_moves_to_other_ports(tmp_path: Path) -> None:
    with _broker(tmp_path) as first:
        kafka.ensure_topics(first.bootstrap, "", 1)
        _send(first.bootstrap, catalog.LISTING.name, [b"kept"])
    with _broker(tmp_path) as second:
        assert second.port != first.port
        assert _read(second.bootstrap, catalog.LISTING.name, 1) == [b"kept"]


def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        broker = EmbeddedKafka(tmp_path, port=port, controller_port=_free_ports()[0])
        with pytest.raises(EmbeddedKafkaError, match=f"port {port} .*--port-base"):
            broker.start()


def test_data_of_another_cluster_is_refused(tmp_path: Path) -> None:
    broker = _broker(tmp_path)
    broker.prepare()
    (broker.home / "cluster.id").write_text("AAAAAAAAAAAAAAAAAAAAAA\n")
    with pytest.raises(EmbeddedKafkaError, match="holds the data of cluster"):
        broker.start()


def test_a_full_disk_is_named_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.runtime.embedded.MINIMUM_FREE_BYTES", 1 << 60)
    with pytest.raises(EmbeddedKafkaError, match=r"disk of .* is full"):
        _broker(tmp_path).start()


def test_a_broker_that_dies_is_explained_by_the_end_of_its_log(tmp_path: Path) -> None:
    broker = _broker(tmp_path)
    broker.prepare()
    (broker.home / "server.properties").write_text("process.roles=nonsense\n")
    broker.process.start()
    with pytest.raises(EmbeddedKafkaError, match="Kafka ended with code"):
        broker.wait_ready(30)
