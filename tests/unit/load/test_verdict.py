"""Each verdict, right and wrong."""

import dataclasses
from typing import Any

import pytest

from services.load.measure import Measured
from services.load.profiles import constant
from services.load.verdict import Slo, judge
from tests.unit.load.stage import measured

FAST = Slo(p99=1.0)


@pytest.fixture(scope="module")
def good() -> Measured:
    return measured(constant(500, 4))


def test_a_load_that_is_kept_passes(good: Measured) -> None:
    verdict = judge(good, FAST)
    assert verdict.outcome == "passed"
    assert not verdict.broken + verdict.limits
    assert judge(good, Slo()).outcome == "passed"


def test_a_slow_view_fails() -> None:
    verdict = judge(measured(constant(500, 4), lag=1.5), FAST)
    assert verdict.outcome == "failed"
    assert "p99 1.5" in verdict.broken[0]


def test_a_view_that_falls_further_and_further_behind_fails_without_a_p99() -> None:
    verdict = judge(measured(constant(100, 10), lag=5.0), Slo())
    assert verdict.outcome == "failed"
    assert "were shown at most 2 s after the end" in verdict.broken[0]
    assert judge(measured(constant(100, 10), lag=5.0), Slo(rate_achieved=0.6)).outcome == "passed"


def test_one_lost_event_fails_and_an_allowed_loss_does_not(good: Measured) -> None:
    lost = dataclasses.replace(good, counts=dataclasses.replace(good.counts, lost=1))
    verdict = judge(lost, FAST)
    assert verdict.outcome == "failed"
    assert "1 never shown" in verdict.broken[0]
    assert judge(lost, Slo(loss=0.001)).outcome == "passed"


def test_what_the_broker_refuses_is_lost() -> None:
    verdict = judge(measured(constant(100, 5), refuse=lambda n: n == 7), FAST)
    assert verdict.outcome == "failed"
    assert "1 refused by the broker" in verdict.broken[0]


def test_what_is_never_acknowledged_is_lost() -> None:
    verdict = judge(measured(constant(20, 2), silent=True), FAST)
    assert verdict.outcome == "failed"
    assert "40 not acknowledged" in verdict.broken[0]


def test_events_that_were_read_and_not_applied_fail(good: Measured) -> None:
    verdict = judge(good, FAST, wrong=3)
    assert verdict.outcome == "failed"
    assert "3 events were read, but not applied" in verdict.broken


def test_a_sender_behind_its_schedule_is_inconclusive_and_not_passed() -> None:
    found = measured(constant(1000, 2), cost=0.0012)
    assert judge(found, Slo(p99=5.0)).outcome == "passed"  # late, but by less than a tenth of it
    verdict = judge(found, FAST)
    assert verdict.outcome == "inconclusive"
    assert verdict.limits[0].startswith("the sender was late: p99 0.")


def test_a_system_that_is_slow_even_from_the_real_sending_fails_all_the_same() -> None:
    verdict = judge(measured(constant(1000, 2), cost=0.0012, lag=3.0), FAST)
    assert verdict.outcome == "failed"
    assert "even from the real sending" in verdict.broken[0]
    assert verdict.limits


def test_a_full_queue_is_inconclusive() -> None:
    verdict = judge(measured(constant(100, 2), delay=0.2, room=5), Slo(p99=10.0))
    assert verdict.outcome == "inconclusive"
    assert any("queue of the Kafka client was full" in limit for limit in verdict.limits)


def changed(good: Measured, **fields: Any) -> Measured:
    return dataclasses.replace(good, **fields)


def test_a_sender_that_has_no_time_left_is_inconclusive(good: Measured) -> None:
    verdict = judge(changed(good, senders_cpu=[0.5, 0.99]), FAST)
    assert verdict.outcome == "inconclusive"
    assert verdict.limits == ["sender 1 used 0.99 of a core"]


def test_a_schedule_that_was_not_sent_is_inconclusive(good: Measured) -> None:
    verdict = judge(changed(good, sent=900, due=1000), FAST)
    assert verdict.outcome == "inconclusive"
    assert verdict.limits == ["only 900 of 1000 events due were sent"]


def test_an_interrupted_load_is_inconclusive(good: Measured) -> None:
    assert judge(good, FAST, interrupted=True).outcome == "inconclusive"


def test_other_programs_on_the_machine_make_it_inconclusive(good: Measured) -> None:
    slow = measured(constant(500, 4), lag=1.5)
    for found in (good, slow):
        verdict = judge(found, FAST, others=0.5, cores=2)
        assert verdict.outcome == "inconclusive"
        assert verdict.limits == ["other programs used 0.50 of the 2 cores"]
    assert judge(good, FAST, others=0.1, cores=2).outcome == "passed"


def test_a_loss_is_a_failure_whatever_the_load_did() -> None:
    found = measured(constant(1000, 2), cost=0.002, refuse=lambda n: n == 7)
    verdict = judge(found, FAST, interrupted=True)
    assert verdict.outcome == "failed"
    assert verdict.limits


def test_nothing_sent_says_nothing() -> None:
    found = measured(constant(100, 5), stopped=lambda: True, room=0)
    verdict = judge(found, FAST)
    assert verdict.outcome == "inconclusive"
    assert "nothing was sent" in verdict.limits
