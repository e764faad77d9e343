"""A series through the view: right at every step, and at nobody's cost."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.core.panes import Cells
from tests.unit.view.rig import HOUR, NOW, filled

MINUTE = HOUR // 60


def test_each_step_is_the_number_asked_for_by_itself() -> None:
    view = filled().stage.view
    steps = view.series(
        "fr.received", now=NOW, start=NOW - 2 * HOUR, end=NOW, step_ms=MINUTE, window="1h"
    )
    assert len(steps) == 121
    assert {row.value for _, rows in steps for row in rows} == {0, 4}
    for at, rows in steps:
        assert rows == view.query("fr.received", now=NOW, window="1h", as_of=at)[1]


def test_a_long_series_puts_no_window_out_that_others_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    view = filled().stage.view
    begun: list[int] = []
    runs = type(view)._runs

    def counted(self: Any, *args: Any) -> list[Cells]:
        begun.append(1)
        return runs(self, *args)

    def ask() -> Sequence[object]:
        return view.query("fr.received", now=NOW, window="24h")[1]

    before = ask()
    view.series("fr.received", now=NOW, start=NOW - HOUR, end=NOW, step_ms=MINUTE, window="5m")
    monkeypatch.setattr(type(view), "_runs", counted)
    assert ask() == before
    assert not begun
