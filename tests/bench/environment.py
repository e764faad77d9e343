"""The virtual environment of the peers: made from its own lock, checked by hash, once.

It stays in ``var/bench/venv`` until the lock or the Python changes.
"""

import hashlib
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path

LOCK = Path("requirements-bench.lock")
HOME = Path("var/bench/venv")


class CannotInstall(Exception):
    """The packages cannot be had; the message is pip's."""


class Environment:
    """A Python that has the engines."""

    def __init__(self, home: Path = HOME) -> None:
        self.home = home
        self.python = str((home / "bin" / "python").absolute())

    def has(self, package: str) -> bool:
        """Whether an engine is installed there (there may be no wheel for this Python)."""
        code = f"import importlib.util as u, sys; sys.exit(u.find_spec({package!r}) is None)"
        return subprocess.run([self.python, "-c", code], check=False).returncode == 0

    @classmethod
    def ready(cls, say: Callable[[str], None]) -> "Environment":
        """Make it where it is not there yet. Raises CannotInstall."""
        found = cls()
        stamp = found.home / "made-of"
        key = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
        if stamp.exists() and stamp.read_text() == key:
            return found
        say(f"installing the other engines into {found.home} (once)")
        began = time.monotonic()
        venv.create(found.home, with_pip=True, clear=True)
        pip = [found.python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        done = subprocess.run(
            [*pip, "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes",
             "-r", str(LOCK)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise CannotInstall(done.stderr[-3000:])
        stamp.write_text(key)
        say(f"  done in {time.monotonic() - began:.0f} s")
        return found
