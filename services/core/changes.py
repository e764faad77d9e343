"""What the contributions since the last flush add up to, pane by pane."""

import numpy as np

from services.core.contributions import Contribution
from services.core.panes import Delta


class Changes:
    """The sums of contributions; those that came to nothing are left out of the delta."""

    def __init__(self) -> None:
        self._added: dict[int, dict[int, int]] = {}
        self._sums: dict[int, dict[int, int]] = {}

    def add(self, contribution: Contribution, sign: int) -> None:
        """Count one contribution; ``sign`` is 1 or -1."""
        pane, code, s = contribution
        cells = self._added.get(pane)
        if cells is None:
            cells = self._added[pane] = {}
        cells[code] = cells.get(code, 0) + sign
        if s:
            sums = self._sums.get(pane)
            if sums is None:
                sums = self._sums[pane] = {}
            sums[code] = sums.get(code, 0) + sign * s

    def take(self) -> Delta:
        """What changed, as a delta; afterwards nothing has."""
        panes: list[int] = []
        codes: list[int] = []
        counts: list[int] = []
        sums: list[int] = []
        for pane, cells in self._added.items():
            of_pane = self._sums.get(pane)
            for code, n in cells.items():
                s = of_pane.get(code, 0) if of_pane else 0
                if n or s:
                    panes.append(pane)
                    codes.append(code)
                    counts.append(n)
                    sums.append(s)
        self._added = {}
        self._sums = {}
        return Delta(
            np.array(panes, dtype=np.int64),
            np.array(codes, dtype=np.int64),
            np.array(counts, dtype=np.int64),
            np.array(sums, dtype=np.int64),
        )
