"""A child process: its own process group, its own bounded log, and no orphans.

Start children from a thread that lives as long as they should: the kernel ties a child to the
*thread* that forked it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")
LOG_BYTES = 8 * 1024 * 1024


class ChildProcess:
    """One program that can be started, watched, stopped and started again.

    ``log`` receives its standard output and error, at most about ``2 * LOG_BYTES`` with the older
    half in ``<log>.1``. ``environ`` is the complete environment of the child.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.command = list(command)
        self.log = log
        self.environ = dict(os.environ if environ is None else environ)
        self.cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else None."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code of the last run (negative: killed by that signal), None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the program. Raises OSError when the log or the program cannot be opened."""
        if self.running:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.trim_log()
        # O_APPEND, so that trimming the file under a running child leaves no hole.
        with self.log.open("ab") as sink:
            self._log_start = sink.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=self.environ,
                cwd=self.cwd,
                process_group=0,
            )

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group; nothing when it is gone."""
        if self._process is None or (self._process.returncode is not None):
            return
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def stop(self, grace: float = 10.0) -> int | None:
        """SIGTERM to the group, SIGKILL after ``grace`` seconds; the exit code, None if not run."""
        if self._process is None:
            return None
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """SIGKILL to the whole group, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end; the exit code, or None when ``timeout`` seconds were not enough."""
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def trim_log(self, limit: int = LOG_BYTES) -> None:
        """Move a log over ``limit`` bytes to ``<log>.1`` (copied, so an open child goes on)."""
        try:
            if self.log.stat().st_size <= limit:
                return
            data = self.log.read_bytes()[-limit:]
            self.log.with_name(self.log.name + ".1").write_bytes(data)
            os.truncate(self.log, 0)
            self._log_start = 0
        except OSError:
            return  # a log that cannot be trimmed must not stop the system

    def tail(self, lines: int = 15) -> list[str]:
        """The last lines that the latest run wrote."""
        try:
            with self.log.open("rb") as source:
                size = source.seek(0, os.SEEK_END)
                source.seek(max(self._log_start, size - 64 * 1024))
                text = source.read().decode("utf-8", "replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip()][-lines:]


def resident_bytes(pid: int) -> int | None:
    """Resident memory of a process in bytes; None where that cannot be told."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def wait_until_gone(pid: int, timeout: float) -> bool:
    """Whether the process of that id is gone within ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
