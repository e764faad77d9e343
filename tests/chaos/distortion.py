"""A process whose disk is slow and whose wall clock steps, without root and without its help.

A small library (distortion.c) is compiled once and preloaded; it delays every write to a regular
file and moves the wall clock, as a control file of that process says at the moment. Where there is
no Linux or no C compiler nothing is distorted, and the report of a run says so.
"""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

_SOURCE = Path(__file__).with_name("distortion.c")
_CONTROL = struct.Struct("=qq")


@lru_cache(maxsize=1)
def library(folder: Path) -> Path | None:
    """The compiled library in ``folder``; None where it cannot be made."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if sys.platform != "linux" or compiler is None:
        return None
    made = folder / "distortion.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(made), str(_SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    return made if done.returncode == 0 else None


class Distortion:
    """What one process sees of its clock and its disk; undistorted at first."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._library = library(folder)
        self._control = folder / f"{name}.distortion"
        self._clock_seconds = 0.0
        self._write_seconds = 0.0
        self._tell()

    @property
    def possible(self) -> bool:
        """Something can be distorted on this machine."""
        return self._library is not None

    @property
    def environment(self) -> Mapping[str, str]:
        """What the process must be started with."""
        if self._library is None:
            return {}
        return {"LD_PRELOAD": str(self._library), "IOC_DISTORTION": str(self._control)}

    @property
    def clock_seconds(self) -> float:
        """By how much the wall clock of the process is wrong, in seconds."""
        return self._clock_seconds

    def step_clock(self, seconds: float) -> None:
        """Set the wall clock of the process wrong by that much, at once."""
        self._clock_seconds = seconds
        self._tell()

    def slow_disk(self, seconds: float) -> None:
        """Make every write to a file take that much longer; 0 for a healthy disk."""
        self._write_seconds = seconds
        self._tell()

    def _tell(self) -> None:
        packed = _CONTROL.pack(int(self._clock_seconds * 1e9), int(self._write_seconds * 1e6))
        # In place: the process has the file mapped.
        descriptor = os.open(self._control, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, packed, 0)
        finally:
            os.close(descriptor)
