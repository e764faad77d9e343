"""Apache Kafka on this machine without Docker and without root: one KRaft node, loopback only.

    with EmbeddedKafka(Path("/var/tmp/demo"), port=9092) as kafka:
        ...  # kafka.bootstrap

The data stays in ``data_dir/kafka`` between starts, whatever the port.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from services.runtime import java, kafka
from services.runtime.ports import LOOPBACK, answers, is_free
from services.runtime.process import ChildProcess

Progress = Callable[[str], None]

#: Below this much free space a broker would stop in the middle of its work.
MINIMUM_FREE_BYTES = 300 * 1024 * 1024

#: What a dying broker writes, and what that means to the person who started it.
_DIAGNOSES: tuple[tuple[str, str], ...] = (
    (r"No space left on device", "the disk is full: free some space, or use another --data-dir"),
    (
        r"Address already in use",
        "the port was taken by another program: stop it, or use another --port-base",
    ),
    (r"Failed to acquire lock", "another broker is using this data: stop it first"),
    (
        r"InconsistentClusterId|Invalid cluster\.id|doesn't match stored",
        "the data belongs to another cluster: use another --data-dir",
    ),
    (r"OutOfMemoryError", "the broker ran out of memory: give it more with IOC_KAFKA_HEAP_MB"),
    (r"UnsupportedClassVersionError", "this Java is too old: set JAVA_HOME to Java 17 or later"),
    (r"Too many open files", "too many open files: raise the limit (ulimit -n)"),
    (r"Permission denied|AccessDenied", "the data folder cannot be written by this user"),
)


class EmbeddedKafkaError(Exception):
    """The broker cannot be started; the message says why and what to do."""


class BrokerHangsError(EmbeddedKafkaError):
    """It runs and does not answer; killed and started again it may."""


class EmbeddedKafka:
    """One broker and controller in one Java process, in its own process group."""

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 9092,
        controller_port: int | None = None,
        heap_mb: int = 512,
        cache: Path | None = None,
        log: Path | None = None,
        progress: Progress = lambda _: None,
    ) -> None:
        self.home = (data_dir / "kafka").absolute()
        self.port = port
        self.controller_port = port + 1 if controller_port is None else controller_port
        self.heap_mb = heap_mb
        self.bootstrap = f"{LOOPBACK}:{port}"
        self._cache = cache
        self._progress = progress
        self._java: java.Java | None = None
        self._class_path = ""
        self._cluster_id = ""
        self.process = ChildProcess([], log=log or self.home / "kafka.log", cwd=None)

    @property
    def pid(self) -> int | None:
        return self.process.pid

    def prepare(self) -> None:
        """Everything before the broker itself: Java, jars, disk, ports, a formatted data folder.

        May take a minute when the jars have to be downloaded. Raises EmbeddedKafkaError.
        """
        try:
            if self._java is None:
                self._java = java.find_java()
                jars = java.class_path(self._cache, self._progress)
                self._class_path = ":".join(str(jar) for jar in jars)
            self.home.mkdir(parents=True, exist_ok=True)
        except java.JavaError as error:
            raise EmbeddedKafkaError(str(error)) from error
        except OSError as error:
            raise EmbeddedKafkaError(
                f"cannot write to {self.home}: {error.strerror}. Use another --data-dir."
            ) from error
        self._check_disk()
        self._check_ports()
        self._write_properties(self.home / "server.properties", self.home / "data")
        self._cluster_id = self._format(self._java)
        self.process.command = [
            self._java.program,
            *self._memory(),
            *self._logging(),
            "-cp",
            self._class_path,
            "kafka.Kafka",
            str(self.home / "server.properties"),
        ]

    def start(self, timeout: float = 60.0) -> None:
        """Prepare, start, and return when it takes records. Raises EmbeddedKafkaError."""
        self.prepare()
        self.process.start()
        try:
            self.wait_ready(timeout)
        except BaseException:
            self.kill()
            raise

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until metadata answers and a record is acknowledged (never until a log line).

        Raises EmbeddedKafkaError when it ends, BrokerHangsError when ``timeout`` seconds pass.
        """
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if time.monotonic() > deadline:
                raise BrokerHangsError(self._explain(f"did not answer within {timeout:.0f} s"))
            time.sleep(0.05)

    def is_ready(self, patience: float = 2.0) -> bool:
        """One try, at most about ``patience`` seconds. Raises EmbeddedKafkaError when hopeless."""
        if not self.process.running:
            raise EmbeddedKafkaError(self._explain(f"ended with code {self.process.exit_code}"))
        if not answers(self.port):
            return False
        try:
            found = kafka.probe(self.bootstrap, timeout=patience)
        except kafka.BrokerUnreachableError:
            return False
        if found != self._cluster_id:
            raise EmbeddedKafkaError(
                f"port {self.port} is answered by another Kafka (cluster {found}): stop it, or "
                "use another --port-base."
            )
        return True

    def stop(self, grace: float = 10.0) -> None:
        """Stop in good order; killed after ``grace`` seconds (it recovers at the next start)."""
        self.process.stop(grace)

    def kill(self) -> None:
        """As ``kill -9``, to the whole group."""
        self.process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _explain(self, what: str) -> str:
        tail = self.process.tail(40)
        text = "\n".join(tail)
        for pattern, meaning in _DIAGNOSES:
            if re.search(pattern, text):
                return f"Kafka {what}: {meaning} (log: {self.process.log})"
        shown = "\n".join(f"    {line}" for line in tail[-8:])
        return f"Kafka {what}. The end of {self.process.log}:\n{shown or '    (empty)'}"

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self.home).free
        if free < MINIMUM_FREE_BYTES:
            raise EmbeddedKafkaError(
                f"the disk of {self.home} is full: {free / 1e6:.0f} MB free, at least "
                f"{MINIMUM_FREE_BYTES / 1e6:.0f} are needed. Free some space, or use another "
                "--data-dir."
            )

    def _check_ports(self) -> None:
        for what, port in (("Kafka", self.port), ("Kafka's controller", self.controller_port)):
            # A broker that was killed a moment ago may still be letting go of its port.
            for _ in range(20):
                if is_free(port):
                    break
                time.sleep(0.1)
            else:
                raise EmbeddedKafkaError(
                    f"port {port} (for {what}) is taken by another program: stop it, or choose "
                    "other ports with --port-base N."
                )

    def _memory(self) -> list[str]:
        return [
            f"-Xms{min(128, self.heap_mb)}m",
            f"-Xmx{self.heap_mb}m",
            "-XX:MaxDirectMemorySize=128m",
            "-XX:MaxMetaspaceSize=160m",
            "-XX:ReservedCodeCacheSize=64m",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=50",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
        ]

    def _logging(self) -> list[str]:
        prefix = "-Dorg.slf4j.simpleLogger."
        return [
            f"{prefix}defaultLogLevel=warn",
            f"{prefix}showDateTime=true",
            f"{prefix}dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
            f"{prefix}showThreadName=false",
            # log4j's API is on the class path without its core being used: say nothing about it.
            "-Dlog4j2.StatusLogger.level=OFF",
        ]

    def _write_properties(self, path: Path, data: Path) -> None:
        """The broker's settings: small buffers, one node, nothing made by itself."""
        node = 1
        settings = {
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.voters": f"{node}@{LOOPBACK}:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": (
                f"PLAINTEXT://{LOOPBACK}:{self.port},CONTROLLER://{LOOPBACK}:{self.controller_port}"
            ),
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{self.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": data,
            "auto.create.topics.enable": "false",
            "num.partitions": 1,
            "default.replication.factor": 1,
            "min.insync.replicas": 1,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0,
            # The largest record of the catalogue (2 MiB) and the overhead of its batch.
            "message.max.bytes": 2 * 1024 * 1024 + 16 * 1024,
            "socket.request.max.bytes": 32 * 1024 * 1024,
            "log.retention.check.interval.ms": 300_000,
            "log.cleaner.threads": 1,
            "log.cleaner.backoff.ms": 15_000,
            # At full speed a cleaner would take a core for seconds at a time.
            "log.cleaner.io.max.bytes.per.second": 20 * 1024 * 1024,
            # 128 MiB by default: a quarter of the heap for a topic of some thousand keys.
            "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
            # A killed broker is let in again when its old session has ended: 9 s by default.
            "broker.session.timeout.ms": 4_000,
            "broker.heartbeat.interval.ms": 1_000,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "background.threads": 2,
            "num.recovery.threads.per.data.dir": 2,
            "metadata.log.segment.bytes": 16 * 1024 * 1024,
            "metadata.max.retention.bytes": 32 * 1024 * 1024,
        }
        text = "".join(f"{key}={value}\n" for key, value in settings.items())
        path.write_text(text, encoding="utf-8")

    def _format(self, machine: java.Java) -> str:
        """Make the data folder a Kafka one when it is not; its cluster id."""
        data, id_file = self.home / "data", self.home / "cluster.id"
        stored = _stored_cluster_id(data)
        if stored is not None:
            ours = id_file.read_text().strip() if id_file.exists() else stored
            if stored != ours:
                raise EmbeddedKafkaError(
                    f"{data} holds the data of cluster {stored}, but {self.home} was made for "
                    f"{ours}: the folder was mixed with another one. Put the right data back, or "
                    "use another --data-dir."
                )
            id_file.write_text(stored + "\n", encoding="utf-8")
            return stored
        if data.exists() and any(data.glob("*/*.log")):
            raise EmbeddedKafkaError(
                f"{data} holds topics but no meta.properties: it cannot be told whose they are. "
                "Put the file back, or use another --data-dir."
            )
        # Formatted beside and moved in one step: a start that is cut short leaves nothing behind.
        fresh, properties = self.home / "data.new", self.home / "format.properties"
        for folder in (fresh, data):
            shutil.rmtree(folder, ignore_errors=True)
        self._write_properties(properties, fresh)
        chosen = _random_cluster_id()
        self._progress("formatting the log of Kafka")
        done = subprocess.run(
            [
                machine.program,
                "-Xmx128m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                *self._logging(),
                "-cp",
                self._class_path,
                "kafka.tools.StorageTool",
                *("format", "--config", str(properties), "--cluster-id", chosen),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        properties.unlink(missing_ok=True)
        if done.returncode != 0:
            raise EmbeddedKafkaError(
                f"the log of Kafka could not be formatted in {fresh}:\n"
                f"{(done.stderr + done.stdout).strip()[-2000:]}"
            )
        fresh.rename(data)
        id_file.write_text(chosen + "\n", encoding="utf-8")
        return chosen


def _stored_cluster_id(data: Path) -> str | None:
    try:
        text = (data / "meta.properties").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    found = re.search(r"^cluster\.id=(.+)$", text, re.MULTILINE)
    if found is None:
        raise EmbeddedKafkaError(
            f"{data / 'meta.properties'} names no cluster: the file is damaged. Write back the "
            f"line cluster.id=… from {data.parent / 'cluster.id'}."
        )
    return found[1].strip()


def _random_cluster_id() -> str:
    """A Kafka id: 16 random bytes as base64 for URLs, without padding and not starting with -."""
    import base64

    while True:
        text = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
