"""A selection of KPIs: those chosen are as ever, the others are not there at all."""

from dataclasses import replace

import pytest

from schemas import catalog
from services.core.kpis import CATALOGUE
from services.core.merge import View
from services.core.questions import QueryError
from services.core.selection import ALL, Selection
from services.core.state import CatalogueChanged, PartitionState, restore
from services.oracle.raw import RawRecord
from services.oracle.windows import local_ms
from services.runtime.reference import load_territories
from tests.strategies.events import log, stream

TERRITORIES = load_territories()
NOW = local_ms(2026, 11, 20, 10)
CHOSEN = Selection.of(["gov.on_time_rate", "fr.open_now", "gov.open_now", "eco.gmv_vnd"])


def folded(records: list[RawRecord], selection: Selection) -> dict[str, PartitionState]:
    states = {}
    for topic in catalog.SOURCES:
        state = PartitionState(
            topic, 0, 1, clock="wall", territories=TERRITORIES, selection=selection
        )
        state.open_epoch(1)
        state.fold([r for r in records if r.topic == topic.name])
        states[topic.name] = state
    return states


def shown(states: dict[str, PartitionState], selection: Selection) -> View:
    view = View(TERRITORIES, 1, "wall", selection)
    for state in states.values():
        for key, value in state.flush().parts:
            assert view.feed(0, key, value)
    return view


def test_chosen_kpis_have_the_numbers_of_a_whole_system_and_others_are_refused() -> None:
    records = log(stream(3, 3000, NOW), 1)
    whole = shown(folded(records, ALL), ALL)
    some = shown(folded(records, CHOSEN), CHOSEN)
    for name in CHOSEN.kpis:
        window = None if CATALOGUE[name].is_stock else "24h"
        for by in (None, "district"):
            expected = whole.query(name, now=NOW, window=window, by=by)
            assert some.query(name, now=NOW, window=window, by=by) == expected
    assert {at: h.outcomes for at, h in some.heads.items()} == {
        at: h.outcomes for at, h in whole.heads.items()
    }
    with pytest.raises(QueryError, match="IOC_KPIS"):
        some.query("fr.received", now=NOW, window="24h")


def test_a_smaller_selection_flushes_less() -> None:
    records = log(stream(4, 1000, NOW), 1)
    size = {
        selection: sum(
            len(value)
            for state in folded(records, selection).values()
            for _, value in state.flush().parts
        )
        for selection in (ALL, CHOSEN)
    }
    assert size[CHOSEN] < size[ALL]


def test_states_of_another_selection_are_not_taken_over() -> None:
    state = folded(log(stream(5, 200, NOW), 1), ALL)[catalog.ADMIN_CASE.name]
    ring = list(state.flush().parts)
    empty = PartitionState(
        catalog.ADMIN_CASE, 0, 1, clock="wall", territories=TERRITORIES, selection=CHOSEN
    )
    with pytest.raises(CatalogueChanged):
        restore(empty, ring)
    view = View(TERRITORIES, 1, "wall", CHOSEN)
    for key, value in ring:
        view.feed(0, key, value)
    assert view.foreign


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"fr\.recieved"):
        Selection.of(["fr.received", "fr.recieved"])


def test_offsets_that_the_log_does_not_have_are_gaps_and_break_no_conservation() -> None:
    records = [replace(r, offset=3 * r.offset + 7) for r in log(stream(6, 300, NOW), 1)]
    for state in folded(records, ALL).values():
        head = shown({"": state}, ALL).heads[state.topic.name, 0]
        assert head.gaps > 0
        assert head.read + head.gaps == head.fence + 1
