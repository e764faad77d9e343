"""Passed, failed or inconclusive: what was asked of the system, and what the load did itself. Pure.

A load that was its own limit proves nothing good about the system; it can still prove something
bad. So: what is lost is a failure, always. A freshness or rate that was not reached is a failure
when the load kept its schedule, or when it is not reached even from the real sending. Everything
else of a load that was its own limit is inconclusive, and so is a load that was interrupted or that
had to share its machine with other programs.
"""

from dataclasses import dataclass, field
from typing import Literal

from services.load.measure import Measured

Outcome = Literal["passed", "failed", "inconclusive"]

#: Of the p99 that is asked for, what the sender may be late; without one, a fixed time.
_SLIP_SHARE = 0.1
_SLIP_S = 0.1
_LEAST_SLIP_S = 0.02
#: A sender that computes this much of a core cannot send more.
_BUSY = 0.97
#: What other programs may take of all cores before they are the limit.
_OTHERS_SHARE = 0.1
#: The share of the schedule that has to be handed over.
_SENT_SHARE = 0.99


@dataclass(frozen=True)
class Slo:
    """What is asked. Times in seconds, shares as fractions; None: not asked."""

    p50: float | None = None
    p99: float | None = None
    p99_9: float | None = None
    loss: float = 0.0
    rate_achieved: float = 0.99

    @property
    def slip_limit(self) -> float:
        """How late the sender may be at its 99th percentile before it counts as the limit."""
        return _SLIP_S if self.p99 is None else max(_LEAST_SLIP_S, self.p99 * _SLIP_SHARE)


@dataclass
class Verdict:
    """The outcome; ``broken`` says what the system did not keep, ``limits`` where the load was the
    limit itself."""

    outcome: Outcome
    broken: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)


def judge(
    found: Measured,
    slo: Slo,
    *,
    wrong: int = 0,
    interrupted: bool = False,
    others: float | None = None,
    cores: int = 1,
) -> Verdict:
    """The verdict.

    ``wrong`` events of the load were counted by the system as anything but applied; ``others`` is
    how many of the ``cores`` of this machine were taken by what is neither the system nor the load,
    None where that is not known.
    """
    limits = generator_limits(found, slo)
    undisturbed = not interrupted
    if others is not None and others > _OTHERS_SHARE * cores:
        limits.append(f"other programs used {others:.2f} of the {cores} cores")
        undisturbed = False
    if interrupted:
        limits.append("it was interrupted")
    counts = found.counts
    if not counts.sent:
        return Verdict("inconclusive", [], [*limits, "nothing was sent"])
    lost: list[str] = []
    if counts.loss > slo.loss:
        lost.append(
            f"loss {counts.loss:.4%} over {slo.loss:.4%}: {counts.refused} refused by the broker, "
            f"{counts.unacknowledged} not acknowledged, {counts.lost} never shown"
        )
    if wrong > slo.loss * counts.sent:
        lost.append(f"{wrong} events were read, but not applied")
    late = _late(found.freshness, slo)
    if found.achieved < slo.rate_achieved:
        late.append(
            f"{found.achieved:.2%} of the events were shown at most {found.allowance_s:g} s after "
            f"the end, not {slo.rate_achieved:.2%}"
        )
    if lost:
        return Verdict("failed", lost + late, limits)
    if limits:
        surely = _late(found.from_sending, slo, "even from the real sending ")
        if surely and undisturbed:
            return Verdict("failed", surely, limits)
        return Verdict("inconclusive", late, limits)
    return Verdict("failed" if late else "passed", late)


def _late(found: dict[str, float | None], slo: Slo, start: str = "") -> list[str]:
    out = []
    for name, limit in (("p50", slo.p50), ("p99", slo.p99), ("p99_9", slo.p99_9)):
        if limit is None:
            continue
        value = found[name]
        if value is None or value > limit:
            said = "never" if value is None else f"{value:.3f} s"
            out.append(f"{start}{name.replace('_', '.')} {said} over {limit:g} s")
    return out


def generator_limits(found: Measured, slo: Slo) -> list[str]:
    """Where the load and not the system was the limit, in words; empty when it was not."""
    out = []
    slip = found.slip["p99"]
    if slip is not None and slip > slo.slip_limit:
        out.append(
            f"the sender was late: p99 {slip:.3f} s behind its schedule, allowed "
            f"{slo.slip_limit:.3f} s"
        )
    if found.sent < _SENT_SHARE * found.due:
        out.append(f"only {found.sent} of {found.due} events due were sent")
    if found.queue_full:
        out.append(
            f"the queue of the Kafka client was full {found.queue_full} times, for "
            f"{found.queue_wait_s:.1f} s"
        )
    for number, share in enumerate(found.senders_cpu):
        if share > _BUSY:
            out.append(f"sender {number} used {share:.2f} of a core")
    return out
