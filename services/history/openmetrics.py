"""Curves as OpenMetrics text, and that text as Prometheus blocks."""

import logging
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from services.history.curves import Curve

_log = logging.getLogger("history")

#: Prometheus makes blocks of 2 h times a power of 3, aligned to the epoch. One file per such span:
#: promtool reads its whole input once for every block it makes.
BLOCK_MS = 18 * 3_600_000
#: What Prometheus adds to what it scrapes from the view: the curves then go on without a seam.
VIEW_LABELS: Mapping[str, str] = {"job": "view", "instance": "view", "service": "view"}


class BlocksError(Exception):
    """promtool is missing or refused the text; the message says which."""


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def by_metric(curves: Iterable[Curve]) -> dict[str, list[Curve]]:
    """Curves grouped by metric: OpenMetrics wants a family's samples together."""
    out: dict[str, list[Curve]] = {}
    for curve in curves:
        out.setdefault(curve.metric, []).append(curve)
    return out


def write(
    out: TextIO,
    families: Mapping[str, Sequence[Curve]],
    instants: NDArray[np.int64],
    start: int,
    end: int,
    *,
    extra: Mapping[str, str] = VIEW_LABELS,
) -> int:
    """Write the samples with start <= instant < end (ms), and the end mark; how many samples."""
    low, high = np.searchsorted(instants, [start, end])
    stamps = [f" {t / 1000:.3f}\n" for t in instants[low:high].tolist()]
    samples = 0
    more = ",".join(f'{k}="{_quoted(v)}"' for k, v in extra.items())
    for metric, curves in families.items():
        # TYPE alone: HELP and UNIT are the live page's business.
        out.write(f"# TYPE {metric} gauge\n")
        for curve in curves:
            labels = ",".join(f'{k}="{_quoted(v)}"' for k, v in curve.labels)
            head = f"{metric}{{{labels},{more}}} " if more else f"{metric}{{{labels}}} "
            values = curve.values[low:high]
            there = np.flatnonzero(~np.isnan(values)).tolist()
            numbers = values.tolist()
            out.write("".join([f"{head}{numbers[i]!r}{stamps[i]}" for i in there]))
            samples += len(there)
    out.write("# EOF\n")
    return samples


def make_blocks(
    families: Mapping[str, Sequence[Curve]], instants: NDArray[np.int64], into: Path
) -> int:
    """Put the curves into a Prometheus data directory that no Prometheus is using; the samples.

    Raises BlocksError.
    """
    _promtool()
    into.mkdir(parents=True, exist_ok=True)
    samples = 0
    first, last = int(instants[0]), int(instants[-1])
    with tempfile.TemporaryDirectory(prefix="ioc-backfill-", dir=into.parent) as scratch:
        for start in range(first // BLOCK_MS * BLOCK_MS, last + 1, BLOCK_MS):
            text = Path(scratch) / "part.om"
            with text.open("w", encoding="utf-8") as out:
                count = write(out, families, instants, start, start + BLOCK_MS)
            if not count:
                continue
            samples += count
            blocks_from(text, into, BLOCK_MS)
    return samples


def _promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        raise BlocksError("promtool is not on PATH: install prometheus")
    return found


def blocks_from(text: Path, into: Path, longest: int) -> None:
    """Blocks of at most ``longest`` ms from an OpenMetrics file. Raises BlocksError."""
    done = subprocess.run(
        [_promtool(), "tsdb", "create-blocks-from", f"--max-block-duration={longest // 60_000}m",
         "--quiet", "openmetrics", str(text), str(into)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise BlocksError(f"promtool: {(done.stderr or done.stdout).strip()[:500]}")
