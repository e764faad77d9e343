"""The sender keeps its schedule whatever the system does, and says so where it cannot."""

import numpy as np
import pytest

from services.load.population import LoadEvent
from services.load.profiles import constant
from services.load.sender import Sent, Told, prepare
from services.simulation.instants import iso
from tests.unit.load.stage import Broker, Clock, run


def slips(sent: Sent) -> tuple[float, float]:
    return float((sent.sent - sent.due).min()), float((sent.sent - sent.due).max())


def test_events_go_out_when_they_are_due_and_never_before() -> None:
    clock = Clock()
    sent = run(constant(500, 4), clock, Broker(clock))
    assert len(sent.due) == sent.scheduled == 2000
    least, most = slips(sent)
    assert least >= 0
    assert most <= 0.011  # a nap


def test_prepared_events_are_those_of_their_instants_one_after_the_other() -> None:
    made: list[tuple[int, bytes]] = []

    def event(now_ms: int, now: bytes) -> LoadEvent:
        made.append((now_ms, now))
        return LoadEvent(0, b"key", now)

    due = constant(4, 1).share(0, 1)
    ready = prepare(event, due, 1_700_000_000_000)
    assert [ms - 1_700_000_000_000 for ms, _ in made] == [int(at * 1000) for at in due]
    given = [ready(0, b"later").value for _ in due]
    assert given == [iso(ms).encode() for ms, _ in made]


def test_acknowledgements_that_take_a_second_hold_nothing_up() -> None:
    clock = Clock()
    sent = run(constant(500, 4), clock, Broker(clock, delay=1.0))
    assert slips(sent)[1] <= 0.011
    assert (sent.offset >= 0).all()
    assert (sent.acked - sent.sent).min() >= 1.0


def test_offsets_are_those_that_the_broker_gave() -> None:
    clock = Clock()
    sent = run(constant(100, 1), clock, Broker(clock))
    for topic in range(4):
        mine = sent.offset[sent.topic == topic]
        assert mine.tolist() == list(range(len(mine)))
    assert sent.bytes == 100 * len(b"value")


def test_a_sender_that_is_too_slow_falls_behind_and_its_events_keep_their_instants() -> None:
    clock = Clock()
    sent = run(constant(1000, 2), clock, Broker(clock, cost=0.002))
    assert np.allclose(np.diff(sent.due), 0.001)
    assert slips(sent)[1] == pytest.approx(2.0, abs=0.15)


def test_refused_events_are_counted_by_their_reason_and_have_no_offset() -> None:
    clock = Clock()
    sent = run(constant(100, 1), clock, Broker(clock, refuse=lambda n: n % 10 == 0))
    assert sent.errors == {"_MSG_TIMED_OUT": 10}
    assert (sent.offset < 0).sum() == 10


def test_a_full_queue_is_waited_for_and_told() -> None:
    clock = Clock()
    sent = run(constant(100, 2), clock, Broker(clock, delay=0.2, room=5))
    assert sent.queue_full > 0
    assert sent.queue_wait_s > 1
    assert len(sent.due) == 200
    assert slips(sent)[1] > 1


def test_a_broker_that_never_answers_ends_the_wait() -> None:
    clock = Clock()
    sent = run(constant(100, 1), clock, Broker(clock, silent=True), flush_s=5.0)
    assert (sent.offset < 0).all()
    assert sent.seconds == pytest.approx(6.0, abs=0.5)


def test_a_sender_that_is_stopped_hands_over_what_it_did() -> None:
    clock = Clock()
    told: list[Told] = []
    sent = run(
        constant(100, 10), clock, Broker(clock), tell=told.append,
        stopped=lambda: clock.now > 1003,
    )  # fmt: skip
    assert sent.scheduled == 1000
    assert 290 < len(sent.due) < 340
    assert (sent.offset >= 0).all()
    assert told[-1].acked == len(sent.due)
    assert told[-1].cpu_seconds == pytest.approx(0.3, abs=0.05)


def test_a_sender_can_be_stopped_while_the_queue_is_full() -> None:
    clock = Clock()
    sent = run(
        constant(100, 60), clock, Broker(clock, silent=True, room=50), flush_s=1.0,
        stopped=lambda: clock.now > 1005,
    )  # fmt: skip
    assert len(sent.due) == 50
    assert sent.seconds < 10
