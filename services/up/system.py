"""What one system on this machine is: its settings, ports, folders, and what it remembers."""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from services.runtime.ports import Ports
from services.runtime.settings import Settings


class StartError(Exception):
    """The system cannot be started as asked; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class System:
    """One `ioc up`."""

    settings: Settings
    ports: Ports
    workers: int = 1
    produce: bool = True
    history: bool = True
    scenario: str = ""
    speed: float = 1.0

    @property
    def home(self) -> Path:
        return self.settings.data_dir

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def memory_file(self) -> Path:
        """What this system (one per namespace) remembers between starts."""
        name = self.settings.namespace
        return self.home / (f"system-{name}.json" if name else "system.json")

    @property
    def running_file(self) -> Path:
        """Where a running system says where it answers; gone when it was stopped."""
        return self.home / "running.json"

    def remembered(self) -> dict[str, Any]:
        """What was remembered; empty at the first start. Raises StartError when damaged."""
        try:
            value = json.loads(self.memory_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (ValueError, OSError) as error:
            raise StartError(f"{self.memory_file} cannot be read: {error}") from error
        if not isinstance(value, dict):
            raise StartError(f"{self.memory_file} is damaged: not a JSON object")
        return value

    def remember(self, **values: object) -> None:
        """Add to what is remembered, in one step on disk."""
        write_json(self.memory_file, self.remembered() | values)

    def check_memory(self) -> bool:
        """Whether this is the first start; the data must have been made under the same law.

        Raises StartError when the clock or the number of partitions is another one.
        """
        before = self.remembered()
        asked = {"clock": self.settings.clock, "partitions": self.settings.partitions}
        for key, value in asked.items():
            if key in before and before[key] != value:
                raise StartError(
                    f"the data in {self.home} was made with {key} {before[key]}, now {value} is "
                    "asked for: numbers of the two cannot be mixed. Use another --data-dir (or "
                    "--namespace), or the old setting."
                )
        if not before:
            self.remember(**asked)
        return not before


def write_json(path: Path, value: object) -> None:
    """Write JSON so that a reader sees the old or the new text, never half of it."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(fresh, path)


def lock(home: Path) -> IO[str]:
    """Claim the data folder for this process, until the file is closed or the process ends.

    Raises StartError naming the process that has it, or when the folder cannot be written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        handle = (home / "up.lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise StartError(
            f"cannot write to {home}: {error.strerror}. Choose another folder with --data-dir."
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.seek(0)
        owner = handle.read().strip() or "unknown"
        handle.close()
        raise StartError(
            f"a system is already running on {home} (process {owner}). Stop it with "
            f"`kill {owner}`, or start another one with --data-dir and --port-base."
        ) from None
    handle.truncate(0)
    handle.write(f"{os.getpid()}\n")
    handle.flush()
    return handle
