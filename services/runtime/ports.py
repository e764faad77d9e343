"""Ports: which part of a system listens where, and whether a port is free."""

import errno
import fcntl
import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

LOOPBACK = "127.0.0.1"
MAX_WORKERS = 16
PRODUCER_KINDS = ("field-reports", "admin-cases", "listings", "indicators")
#: How many ports ``--port-base`` claims.
BLOCK = 50
#: Blocks for systems that come and go: below the ports that the kernel gives away, above those
#: that people use.
_BLOCKS = range(22_000, 30_000, BLOCK)


@dataclass(frozen=True)
class Ports:
    """The ports of one system on this machine; all of them on the loopback address."""

    kafka: int = 9092
    controller: int = 9093
    view: int = 8080
    prometheus: int = 9090
    alertmanager: int = 9094
    grafana: int = 3000
    workers: int = 9101
    producers: int = 9121

    @classmethod
    def from_base(cls, base: int) -> Self:
        """Every port inside ``base`` to ``base + 49``. Raises ValueError when they do not fit."""
        if not 1024 <= base <= 65_536 - BLOCK:
            raise ValueError(f"--port-base must be from 1024 to {65_536 - BLOCK}, not {base}")
        return cls(
            kafka=base,
            controller=base + 1,
            view=base + 2,
            prometheus=base + 3,
            alertmanager=base + 4,
            grafana=base + 5,
            workers=base + 10,
            producers=base + 30,
        )

    def worker(self, index: int) -> int:
        """The metrics port of worker ``index`` (0 to 15)."""
        if not 0 <= index < MAX_WORKERS:
            raise ValueError(f"at most {MAX_WORKERS} workers")
        return self.workers + index

    def producer(self, kind: str) -> int:
        """The metrics port of the producer of that kind."""
        return self.producers + PRODUCER_KINDS.index(kind)


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier run in TIME_WAIT do not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def answers(port: int, host: str = LOOPBACK, timeout: float = 0.5) -> bool:
    """Whether something accepts connections on the port (``timeout`` in seconds)."""
    try:
        with socket.create_connection((host, port), timeout=timeout):
            return True
    except OSError:
        return False


def claim_block() -> int:
    """The first of 50 ports that are free now and that no other caller takes before we end.

    Whoever takes a block locks its file in the temporary folder, so that two processes that look at
    the same moment never get the same one. Raises RuntimeError when all are taken.
    """
    folder = Path(tempfile.gettempdir()) / "ioc-ports"
    folder.mkdir(exist_ok=True)
    for base in _BLOCKS:
        # A plain descriptor: it stays open until the process ends, and no object warns of that.
        lock = os.open(folder / f"{base}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        if all(is_free(port) for port in range(base, base + BLOCK)):
            return base
        os.close(lock)
    raise RuntimeError("no free block of ports")
