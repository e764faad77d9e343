"""A short run of the fuzzer in every test run, a million inputs in the slow one."""

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import catalog
from services.core import speed
from tests.fuzz.mutations import Mutator, corpus, from_bytes, to_bytes
from tests.fuzz.target import Escaped, Input, Target


def run(inputs: int, seed: int) -> Target:
    target, source = Target(), Mutator(seed)
    for one in islice(iter(source.next, None), inputs):
        target.take(one)
    return target


def test_every_input_has_exactly_one_outcome_and_none_escapes() -> None:
    target = run(6_000, seed=20)
    assert sum(target.outcomes.values()) == target.inputs == 6_000
    assert set(target.outcomes) == {
        "applied", "duplicate", "conflict", "stale", "expired", "rejected",
    }  # fmt: skip
    assert sum(target.reasons.values()) == target.outcomes["rejected"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_million_inputs() -> None:
    assert sum(run(1_000_000, seed=1).outcomes.values()) == 1_000_000


_TARGET = Target()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_of_a_fuzzer_are_an_input_and_have_an_outcome(data: bytes) -> None:
    _TARGET.take(from_bytes(data))


def test_a_good_event_survives_the_way_through_a_fuzzers_bytes() -> None:
    target = Target()
    for one in corpus(3, 400):
        if one.topic is not catalog.INDICATOR and one.value is not None:
            target.take(from_bytes(to_bytes(one)))
    assert target.outcomes["applied"] > 20


def test_a_record_without_an_outcome_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(Target):
        def _of(self, topic: catalog.Topic) -> list[object]:  # type: ignore[override]  # a broken fold
            states = super()._of(topic)
            for state in states:
                monkeypatch.setattr(state, "fold", lambda records: [])
            return list(states)

    with pytest.raises(Escaped, match="not exactly one outcome"):
        Deaf().take(Input(catalog.ADMIN_CASE, b"c1", b"{}"))
    assert speed.describe()
