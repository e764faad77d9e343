"""Laws 2 to 4 of the architecture, by Hypothesis: conservation, order, merge, checkpoint."""

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.merge import Row, View
from services.oracle.comparison import differences
from services.oracle.kpis import KPIS
from services.oracle.oracle import Oracle
from services.oracle.raw import RawRecord
from tests.contract.rig import Rig, by_place, run
from tests.strategies.events import PLACES, Item
from tests.strategies.small import NOW, disorders, records, streams

PARTITIONS = 3
Answers = dict[tuple[str, str | None, str | None], list[Row]]


def answers(view: View, *, levels: Iterable[str | None] = (None, "district", "commune")) -> Answers:
    """All KPIs of all territories in a short, a calendar and the longest window."""
    out: Answers = {}
    for name, spec in KPIS.items():
        for window in (None,) if spec.stock else ("1h", "today", "year"):
            for by in levels:
                _, out[name, window, by] = view.query(name, now=NOW, window=window, by=by)
    return out


def indicators(view: View) -> list[dict[str, object]]:
    return sorted(view.indicators(NOW), key=lambda i: str(i["series"]))


def rig_of(log: list[RawRecord], seed: int = 0, pieces: int = 4) -> Rig:
    return run(log, PARTITIONS, "event", seed=seed, pieces=pieces)


@settings(max_examples=12, deadline=None)
@given(st.data(), streams())
def test_order_copies_and_cuts_change_no_number(data: st.DataObject, items: list[Item]) -> None:
    straight = rig_of(records(items, PARTITIONS)).view()
    mixed = data.draw(disorders(items))
    pieces = data.draw(st.integers(1, 12))
    shuffled = rig_of(records(mixed, PARTITIONS), data.draw(st.integers(0, 99)), pieces).view()
    assert answers(straight) == answers(shuffled)
    assert indicators(straight) == indicators(shuffled)


@settings(max_examples=10, deadline=None)
@given(streams(), st.integers(1, 7))
def test_the_number_of_partitions_changes_no_number(items: list[Item], partitions: int) -> None:
    one = run(records(items, 1), 1, "event").view()
    many = run(records(items, partitions), partitions, "event").view()
    assert answers(one) == answers(many)
    assert indicators(one) == indicators(many)


@settings(max_examples=40, deadline=None)
@given(streams(), st.integers(0, 99))
def test_outcomes_add_up_to_the_records_read(items: list[Item], seed: int) -> None:
    log = records(items + items, PARTITIONS)
    view = rig_of(log, seed).view()
    for place, batch in by_place(log).items():
        assert sum(view.heads[place].outcomes.values()) == len(batch)
        rejected = view.heads[place].outcomes.get("rejected", 0)
        assert sum(view.heads[place].reasons.values()) == rejected


@settings(max_examples=6, deadline=None)
@given(streams(most=15))
def test_a_checkpoint_restores_at_every_prefix(items: list[Item]) -> None:
    """For each prefix: flush, die, restore from the cleaned topic, go on: nothing differs."""
    log = records(items, PARTITIONS)
    whole = rig_of(log).view()
    expected = answers(whole, levels=("commune",))
    for place, batch in by_place(log).items():
        for cut in range(len(batch) + 1):
            rig = Rig(PARTITIONS, "event")
            for other, rest in by_place(log).items():
                if other != place:
                    rig.fold(other, rest, flush=True)
            rig.fold(place, batch[:cut], flush=True)
            fence = rig.state(place).fence
            rig.restart(place)
            assert rig.state(place).fence == fence == (batch[cut - 1].offset if cut else -1)
            rig.fold(place, batch, flush=True)  # from the beginning: the fence skips
            if rig.state(place).dirty:
                rig.flush(place)
            view = rig.view()
            assert view.heads[place].outcomes == whole.heads[place].outcomes
            assert answers(view, levels=("commune",)) == expected
            assert indicators(view) == indicators(whole)


@settings(max_examples=6, deadline=None)
@given(streams())
def test_small_streams_equal_the_oracle(items: list[Item]) -> None:
    log = records(items, PARTITIONS)
    view = rig_of(log).view()
    oracle = Oracle(log, PARTITIONS, "event", PLACES)
    clock = oracle.event_clock()
    if clock is None:
        return
    found = list(differences(view, oracle, clock, windows=["5m", "year"], dimensions=False))
    assert not found, found[:10]
