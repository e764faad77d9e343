"""Figures of loads of which everything is known."""

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # carries no types

from services.load.measure import histogram, measure, percentiles, shown_at
from services.load.profiles import constant, spike
from tests.unit.load.stage import Broker, Clock, looks, measured, run


def test_freshness_is_what_broker_and_view_take_and_at_most_one_look_more() -> None:
    found = measured(constant(500, 4), lag=0.2, delay=0.01)
    p50, longest = found.freshness["p50"], found.freshness["max"]
    assert p50 is not None
    assert longest is not None
    # a nap, the acknowledgement at the next poll, the lag, and at most 50 ms to the next look
    assert 0.21 <= p50 <= 0.29
    assert longest <= 0.31
    assert found.resolution["max"] == pytest.approx(0.05, abs=0.001)
    assert found.achieved == 1
    assert found.counts.loss == 0


def test_a_slow_sender_makes_freshness_longer_though_the_system_is_fast() -> None:
    found = measured(constant(1000, 2), cost=0.002)
    fresh, real = found.freshness["max"], found.from_sending["max"]
    assert fresh is not None
    assert real is not None
    assert fresh > 2
    assert real < 0.7  # of a burst only the end is known


def test_events_that_are_never_shown_are_lost_and_no_percentile_hides_them() -> None:
    clock = Clock()
    schedule = constant(100, 10)
    sent = run(schedule, clock, Broker(clock))
    seen = looks(sent, 1000.0, 0.1, until=9.0)  # the last second is never shown
    found = measure(schedule, 0.0, [sent], seen, 1000.0)
    assert 100 <= found.counts.lost <= 125
    assert found.counts.loss == found.counts.lost / 1000
    assert found.freshness["p50"] is not None
    assert found.freshness["p90"] is not None or found.counts.lost > 100
    assert found.freshness["p95"] is None
    assert found.freshness["max"] is None
    assert found.achieved == pytest.approx(1 - found.counts.lost / 1000)


def test_the_warm_up_is_in_no_figure_but_in_the_loss() -> None:
    clock = Clock()
    schedule = spike(100, 100, 10).warmed(5)
    sent = run(schedule, clock, Broker(clock, refuse=lambda n: n <= 50))
    found = measure(schedule, 5.0, [sent], looks(sent, 1000.0, 0.1, until=20), 1000.0)
    assert found.due == found.sent == 1000
    assert found.seconds == 10
    assert found.counts.refused == 50
    assert found.counts.sent == 1500
    assert found.achieved == 1


def test_what_is_shown_too_late_is_not_in_time() -> None:
    found = measured(constant(100, 10), lag=5.0, allowance_s=2.0)
    assert found.counts.lost == 0
    assert found.achieved == pytest.approx(0.7, abs=0.02)


def test_an_offset_is_shown_when_more_than_it_is_applied() -> None:
    clock = Clock()
    sent = run(constant(40, 1), clock, Broker(clock))
    seen = looks(sent, 1000.0, 0.0, every=0.1, until=3)
    seen.applied[:] = 0
    seen.applied[7:, 0] = 1
    at = shown_at(sent, seen, 1000.0)
    first = (sent.topic == 0) & (sent.offset == 0)
    assert at[first].tolist() == pytest.approx([0.7])
    assert not np.isfinite(at[~first]).any()


def test_percentiles_are_exact_to_three_digits() -> None:
    values = np.arange(1, 10_001) / 1000
    found = percentiles(values)
    for name, expected in (("p50", 5.0), ("p90", 9.0), ("p99", 9.9), ("p99_9", 9.99)):
        assert found[name] == pytest.approx(expected, rel=0.001)
    assert found["max"] == 10.0
    assert percentiles(np.array([])) == dict.fromkeys(found)


def test_the_histogram_of_a_result_can_be_read_by_others() -> None:
    found = measured(constant(100, 5))
    other = HdrHistogram.decode(found.hdr)
    assert other.get_total_count() == 500
    assert other.get_value_at_percentile(50) / 1e6 == pytest.approx(
        found.freshness["p50"], rel=0.01
    )
    assert histogram(np.array([0.001, np.inf])).get_total_count() == 1


def test_curves_add_up_to_the_events() -> None:
    found = measured(spike(100, 1000, 10))
    series = found.series
    for name in ("wanted", "sent", "acked", "shown"):
        total = sum(x or 0 for x in series[name])
        assert total == pytest.approx(found.counts.sent, abs=2), name
    assert len({len(row) for row in series.values()}) == 1
