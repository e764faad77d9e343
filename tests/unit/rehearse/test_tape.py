"""Tapes: kept, read again, held on from look to look."""

from pathlib import Path

import pytest

from services.rehearse.scenario import MINUTE_MS, Shown
from services.rehearse.tape import Tape, TapeError


def small() -> Tape:
    tape = Tape(answers={"a": 1.5, "b": None}, about={"records": 3})
    tape.add(0, {"x{}": 1.0})
    tape.add(2 * MINUTE_MS, {"x{}": 2.0, "y{}": 5.0})
    tape.add(5 * MINUTE_MS, {"y{}": 5.0})
    return tape


def test_a_tape_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    small().save(tmp_path / "a.tape")
    assert Tape.load(tmp_path / "a.tape") == small()


def test_what_was_seen_holds_until_the_next_look() -> None:
    first, series = small().by_minute()
    assert first == 0
    assert series == {
        "x{}": [1.0, 1.0, 2.0, 2.0, 2.0, None],
        "y{}": [None, None, 5.0, 5.0, 5.0, 5.0],
    }


def test_the_curve_of_a_kpi_is_in_its_own_unit() -> None:
    tape = Tape()
    place = 'level="district",province="51",district="533"'
    tape.add(0, {f'ioc_gov_received_cases{{window="today",{place},job="view"}}': 4.0})
    tape.add(1, {f'ioc_gov_received_cases{{window="today",{place},job="view"}}': 6.0})
    assert tape.curve(Shown("gov.cases_received", "today", "533")) == [4.0, 6.0]
    assert tape.curve(Shown("gov.cases_received", "1h", "533")) is None
    assert tape.curve(Shown("gov.cases_received", "today", "51")) is None


@pytest.mark.parametrize("body", [b"", b"hello", b"\x1f\x8b\x08\x00torn"])
def test_a_file_that_is_no_tape_is_refused(body: bytes, tmp_path: Path) -> None:
    path = tmp_path / "no.tape"
    path.write_bytes(body)
    with pytest.raises(TapeError, match=r"no\.tape"):
        Tape.load(path)
