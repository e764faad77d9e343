"""The Kafka Streams peer: its jars, its compiled class, and the command that runs it.

Jars come as those of the broker do (`services.runtime.java`): by jgo, pinned with SHA-256. Compiled
by Eclipse's compiler, which is a jar, so no JDK is needed. To write the lock anew::

    python -m tests.bench.java_peer
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

from services.runtime import java

HERE = Path(__file__).with_name("kafka_streams")
LOCK = HERE / "jars.csv"
MAIN = "SixKpis"
STREAMS = f"org.apache.kafka:kafka-streams:{java.KAFKA_VERSION}"
COMPILER = "org.eclipse.jdt:ecj:3.38.0"


class CannotCompile(Exception):
    """The compiler refused; the message is its own."""


def command(build: Path, progress: Callable[[str], None]) -> list[str]:
    """Compile into ``build`` and say how to run it. Raises JavaError or CannotCompile."""
    program = java.find_java().program
    jars = java.class_path(progress=progress, lock=LOCK)
    path = ":".join(map(str, jars))
    done = subprocess.run(
        [
            *(program, "-cp", path, "org.eclipse.jdt.internal.compiler.batch.Main"),
            *("--release", str(java.MINIMUM_JAVA), "-nowarn", "-d", str(build), "-cp", path),
            str(HERE / f"{MAIN}.java"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CannotCompile(done.stdout + done.stderr)
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return [program, "-Xms1g", "-Xmx3g", quiet, "-cp", f"{build}:{path}", MAIN]


if __name__ == "__main__":
    java.write_lock([STREAMS, COMPILER, *java.EXTRA], LOCK)
