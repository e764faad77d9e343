"""Minute samples of the stock KPIs: the only past they have (contract section 6, series)."""

import numpy as np
from numpy.typing import NDArray

MINUTE_MS = 60_000
#: 27 h of minutes, and an hour to spare.
KEPT_MINUTES = 28 * 60
NONE = -1

Key = tuple[str, str, str]


class Samples:
    """A ring of one sample a minute; each holds (top, bottom) integers per row of a question.

    A question is (kpi, territory, by) with by "" for none; ``bottom`` is -1 where the KPI is no
    rate.
    """

    def __init__(self) -> None:
        self._minutes = np.full(KEPT_MINUTES, -1, dtype=np.int64)
        self._rings: dict[Key, NDArray[np.int32]] = {}

    def begin(self, minute: int) -> bool:
        """Make place for the sample of a minute since the epoch; False when it is there."""
        slot = minute % KEPT_MINUTES
        if self._minutes[slot] == minute:
            return False
        self._minutes[slot] = minute
        for ring in self._rings.values():
            ring[slot] = NONE
        return True

    def put(self, minute: int, key: Key, rows: list[tuple[int, int]]) -> None:
        """Store the rows of one question for a minute that was begun."""
        ring = self._rings.get(key)
        if ring is None or ring.shape[1] != len(rows):
            ring = np.full((KEPT_MINUTES, len(rows), 2), NONE, dtype=np.int32)
            self._rings[key] = ring
        ring[minute % KEPT_MINUTES] = rows

    def get(self, minute: int, key: Key) -> list[tuple[int, int]] | None:
        """The rows of a question at a minute, or None where there is no sample."""
        slot = minute % KEPT_MINUTES
        ring = self._rings.get(key)
        if ring is None or self._minutes[slot] != minute or ring[slot, 0, 0] == NONE:
            return None
        return [(int(top), int(bottom)) for top, bottom in ring[slot].tolist()]

    def asked(self, key: Key) -> bool:
        """Whether this question is sampled at all."""
        return key in self._rings
