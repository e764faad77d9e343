"""From what was sent and what was seen to figures: freshness, loss, rates, and the load's own slip.

Pure. *Freshness* of an event is the time from the instant at which it was due to the first answer
of the view that shows its offset as applied: a sender that falls behind makes it longer, never
shorter. Percentiles are those of an HdrHistogram of microseconds with three digits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # carries no types
from numpy.typing import NDArray

from schemas import catalog
from services.load.profiles import Floats, Schedule
from services.load.sender import Sent
from services.load.watch import Looks

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}
#: A histogram holds up to an hour.
_HIGHEST_US = 3_600_000_000
#: Points of a curve over time, at most.
_POINTS = 300
#: A quiet system shows everything this long after the end, when no p99 is asked for.
DEFAULT_ALLOWANCE_S = 2.0


def histogram(seconds: Floats) -> HdrHistogram:
    """The finite values as a histogram of microseconds."""
    out = HdrHistogram(1, _HIGHEST_US, 3)
    us = np.clip(np.ceil(seconds[np.isfinite(seconds)] * 1e6), 1, _HIGHEST_US).astype(np.int64)
    # Cut to what the histogram keeps anyway, so that each distinct value is recorded once.
    shift = np.maximum(np.floor(np.log2(us)).astype(np.int64) - 13, 0)
    values, counts = np.unique((us >> shift) << shift, return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        out.record_value(value, count)
    return out


def percentiles(seconds: Floats) -> dict[str, float | None]:
    """p50 to p99.9 and max in seconds; None over nothing, and where events were never shown."""
    total, made = len(seconds), histogram(seconds)
    finite = int(made.get_total_count())
    out: dict[str, float | None] = {}
    for name, q in QUANTILES.items():
        rank = int(np.ceil(q * total))
        out[name] = (
            made.get_value_at_percentile(100 * rank / finite) / 1e6
            if total and rank <= finite
            else None
        )
    out["max"] = float(np.max(seconds)) if total and finite == total else None
    return out


@dataclass
class Counts:
    """Events of a whole run, warm-up included. ``lost``: acknowledged, but not shown within the
    patience of the run."""

    scheduled: int
    sent: int
    acked: int
    refused: int
    unacknowledged: int
    lost: int

    @property
    def loss(self) -> float:
        """The share of the events sent of which the system shows nothing."""
        gone = self.refused + self.unacknowledged + self.lost
        return gone / self.sent if self.sent else 0.0


@dataclass
class Measured:
    """The figures of a run; all of events that were due after the warm-up, but for ``counts``."""

    counts: Counts
    #: Events due after the warm-up, and those of them that were handed over.
    due: int
    sent: int
    seconds: float
    #: Share of the events due that was shown at most the allowance after the end of the schedule.
    achieved: float
    allowance_s: float
    freshness: dict[str, float | None]
    #: The same from the instant at which an event was really handed over.
    from_sending: dict[str, float | None]
    acknowledged: dict[str, float | None]
    slip: dict[str, float | None]
    resolution: dict[str, float | None]
    senders_cpu: list[float]
    queue_full: int
    queue_wait_s: float
    errors: dict[str, int]
    bytes: int
    hdr: str
    series: dict[str, list[float | None]]


def shown_at(sent: Sent, looks: Looks, began: float) -> Floats:
    """When each event was first seen as applied, in seconds since the start; infinite for never."""
    out = np.full(len(sent.due), np.inf)
    places = {place: column for column, place in enumerate(looks.places)}
    for number, topic in enumerate(catalog.SOURCES):
        of_topic = (sent.topic == number) & (sent.offset >= 0)
        for partition in np.unique(sent.partition[of_topic]).tolist():
            column = places.get((topic.name, partition))
            if column is None:
                continue
            mine = np.flatnonzero(of_topic & (sent.partition == partition))
            first = np.searchsorted(looks.applied[:, column], sent.offset[mine], "right")
            seen = first < len(looks.had)
            out[mine[seen]] = looks.had[first[seen]] - began
    return out


def measure(
    schedule: Schedule,
    warm_s: float,
    sents: Sequence[Sent],
    looks: Looks,
    began: float,
    allowance_s: float = DEFAULT_ALLOWANCE_S,
) -> Measured:
    """All figures of a run whose schedule, the warm-up of ``warm_s`` seconds included, began at the
    instant ``began`` of the clock of ``looks``."""
    due = np.concatenate([s.due for s in sents])
    sent_at = np.concatenate([s.sent for s in sents])
    offset = np.concatenate([s.offset for s in sents])
    acked_at = np.concatenate([s.acked for s in sents])
    shown = np.concatenate([shown_at(s, looks, began) for s in sents])
    acked = offset >= 0
    refused = sum(sum(s.errors.values()) for s in sents)
    counts = Counts(
        scheduled=sum(s.scheduled for s in sents),
        sent=len(due),
        acked=int(acked.sum()),
        refused=refused,
        unacknowledged=len(due) - int(acked.sum()) - refused,
        lost=int((acked & ~np.isfinite(shown)).sum()),
    )
    in_run = due >= warm_s
    wanted = schedule.total - int(np.ceil(schedule.due(np.array([warm_s]))[0]))
    in_time = shown[in_run] <= schedule.seconds + allowance_s
    freshness = (shown - due)[in_run]
    gaps = looks.gaps()
    return Measured(
        counts=counts,
        due=max(wanted, int(in_run.sum())),
        sent=int(in_run.sum()),
        seconds=schedule.seconds - warm_s,
        achieved=float(in_time.sum()) / max(wanted, 1),
        allowance_s=allowance_s,
        freshness=percentiles(freshness),
        from_sending=percentiles((shown - sent_at)[in_run]),
        acknowledged=percentiles((acked_at - due)[in_run & acked]),
        slip=percentiles((sent_at - due)[in_run]),
        resolution=percentiles(gaps[looks.had[1:] >= began + warm_s]),
        senders_cpu=[s.cpu_seconds / s.seconds for s in sents],
        queue_full=sum(s.queue_full for s in sents),
        queue_wait_s=max((s.queue_wait_s for s in sents), default=0.0),
        errors=_sums(s.errors for s in sents),
        bytes=sum(s.bytes for s in sents),
        hdr=histogram(freshness).encode().decode(),
        series=_series(schedule, due, sent_at, np.where(acked, acked_at, np.inf), shown),
    )


def _sums(tables: Any) -> dict[str, int]:
    out: dict[str, int] = {}
    for table in tables:
        for name, count in table.items():
            out[name] = out.get(name, 0) + count
    return out


def _series(
    schedule: Schedule, due: Floats, sent: Floats, acked: Floats, shown: Floats
) -> dict[str, list[float | None]]:
    """Rates and freshness over the time of the run, warm-up included; one point a second, of a long
    run fewer."""
    width = max(1.0, float(np.ceil(schedule.seconds / _POINTS)))
    last = shown[np.isfinite(shown)].max(initial=schedule.seconds)
    slots = int(np.ceil(last / width))
    edges: Floats = np.arange(slots + 1, dtype=np.float64) * width

    def rate(at: Floats) -> list[float | None]:
        found = np.histogram(at[np.isfinite(at)], edges)[0] / width
        return [round(float(x), 1) for x in found]

    def until_end(row: list[float | None]) -> list[float | None]:
        """Without the seconds after the schedule, of which a zero would say nothing."""
        return [x if x or t < schedule.seconds else None for x, t in zip(row, edges, strict=False)]

    slot = np.minimum((due / width).astype(np.int64), slots - 1)
    order = np.argsort(slot, kind="stable")
    bounds = np.searchsorted(slot[order], np.arange(slots + 1))
    fresh, slip = (shown - due)[order], (sent - due)[order]
    pieces = [(fresh[a:b], slip[a:b]) for a, b in pairwise(bounds.tolist())]
    return {
        "second": [float(x) for x in edges[:-1]],
        "wanted": until_end([round(float(x), 1) for x in np.diff(schedule.due(edges)) / width]),
        "sent": until_end(rate(sent)),
        "acked": rate(acked),
        "shown": rate(shown),
        "p50": [_of(f, 0.5) for f, _ in pieces],
        "p99": [_of(f, 0.99) for f, _ in pieces],
        "max": [_of(f, 1.0) for f, _ in pieces],
        "slip": [_of(s, 1.0) for _, s in pieces],
    }


def _of(values: NDArray[np.float64], q: float) -> float | None:
    """The value of rank ceil(q x n); None over nothing and for what was never shown."""
    if not len(values):
        return None
    rank = max(0, int(np.ceil(q * len(values))) - 1)
    found = float(np.partition(values, rank)[rank])
    return round(found, 6) if np.isfinite(found) else None
