"""Flame graphs of a worker at full speed: ``docs/pictures/worker-pure.svg``, ``-compiled.svg``.

py-spy samples the thread that holds the interpreter's lock, C frames included, while a worker reads
topics that are full; what waits, or works without the lock (lz4), is not in the picture::

    python -m tests.bench.profile --events 400000
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from services.runtime.embedded import EmbeddedKafka
from services.runtime.ports import claim_block
from tests.bench import worker
from tests.bench.environment import HOME, Environment

PICTURES = Path("docs/pictures")
#: Samples a second; native stacks take py-spy several milliseconds each.
_RATE = 97


class Recording:
    """py-spy beside a worker, for so many seconds at most."""

    def __init__(self, into: Path, seconds: int) -> None:
        self._into, self._seconds = into, seconds
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self, pid: int) -> None:
        """Start to sample a process."""
        options = ["--native", "--gil", "--rate", str(_RATE), "--duration", str(self._seconds)]
        command = [str(HOME / "bin" / "py-spy"), "record", *options, "--pid", str(pid)]
        self._process = subprocess.Popen(
            [*command, "--format", "flamegraph", "--output", str(self._into)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def end(self, title: str) -> None:
        """Wait until the picture is written, and give it its title."""
        if self._process is not None:
            self._process.wait(60)
            drawn = self._into.read_text(encoding="utf-8")
            named = re.sub(r"[^<>]*record --native[^<>]*", title, drawn)
            self._into.write_text(named, encoding="utf-8")


def main(events: int, seconds: int) -> None:
    """Record both forms, one after the other."""
    Environment.ready(lambda line: None)
    base = claim_block()
    with (
        tempfile.TemporaryDirectory(prefix="ioc-bench-") as name,
        EmbeddedKafka(Path(name), port=base, heap_mb=1024) as broker,
    ):
        for form, more, count in (
            ("compiled", {}, events),
            ("pure", {"IOC_PURE": "1"}, events // 4),
        ):
            namespace = worker.filled(broker.bootstrap, count)
            env = worker.environment(broker.bootstrap, namespace, base + 10, **more)
            picture = Recording(PICTURES / f"worker-{form}.svg", seconds)
            figures, _ = worker.run(env, count, watch=picture.begin)
            picture.end(f"ioc kpi at full speed, {form} form: samples that hold the lock")
            print(f"{form}: {figures.line()}", file=sys.stderr)  # noqa: T201 (a bench speaks)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--seconds", type=int, default=6, help="how long is sampled")
    options = parser.parse_args()
    main(options.events, options.seconds)
