"""The machine's facts: without them a figure of a load test means nothing."""

import os
import platform
from pathlib import Path
from typing import Any

import confluent_kafka

from services.core import speed


def facts(form_known: bool) -> dict[str, Any]:
    """Cores, memory, kernel, versions, load before; ``form_known`` when the system is ours, so that
    the form of its fold is the one that would run here."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "librdkafka": confluent_kafka.libversion()[0],
        "fold": speed.describe() if form_known else None,
        "load_average_before": list(os.getloadavg()),
    }


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
