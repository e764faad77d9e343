"""What the sums in C offer; see _sums.pyx."""

from collections.abc import Sequence

from services.core.sums import Column, Ints

def grouped(groups: Ints, weights: Ints, picked: Ints | None, size: int) -> Ints: ...
def merged(runs: Sequence[Sequence[Column]]) -> list[Ints]: ...
