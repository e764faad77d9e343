"""What a worker does with a ring that it cannot use."""

import pytest

from schemas import catalog
from services.core.record import SourceRecord
from services.core.state import PartitionState
from services.kpi.main import rebuilder
from services.runtime.reference import load_territories
from services.runtime.settings import read

NOW = 1_795_312_812_345


def ring_of(flushes: int) -> list[tuple[bytes, bytes | None]]:
    state = PartitionState(catalog.ADMIN_CASE, 0, 4, clock="wall", territories=load_territories())
    state.open_epoch(1)
    log: list[tuple[bytes, bytes | None]] = []
    for offset in range(flushes):
        state.fold([SourceRecord(offset, NOW, b"k", b"{")])
        log += state.flush().parts
    return log


def test_a_whole_ring_gives_the_state_back() -> None:
    assert rebuilder(read({}))(catalog.ADMIN_CASE, 0, ring_of(9)).fence == 8


def test_a_ring_with_a_gap_is_folded_again_from_the_source_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ring = ring_of(9)
    del ring[4]
    assert rebuilder(read({}))(catalog.ADMIN_CASE, 0, ring).fence == -1
    assert "again from its start" in caplog.text


def test_a_ring_of_another_catalogue_is_folded_again_from_the_source_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ring = ring_of(9)
    monkeypatch.setattr("services.core.state.catalogue_digest", lambda *_: "newer")
    assert rebuilder(read({}))(catalog.ADMIN_CASE, 0, ring).fence == -1
