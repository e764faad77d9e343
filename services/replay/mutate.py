"""Faults on purpose: records doubled, late, lost or damaged, by chance and always the same chance.

Pure. What befalls a record depends on the seed, on where it was recorded and on the lap, not on the
records around it: another filter, or a replay that goes on after a break, meets the same faults.
"""

from dataclasses import dataclass

import xxhash

_DUPLICATE, _DELAY, _DROP, _CORRUPT, _HOW = range(5)
_FULL = float(1 << 64)


@dataclass(frozen=True)
class Fate:
    """What is done to one record. ``delay_ms`` 0: in time."""

    copies: int = 1
    delay_ms: int = 0
    corrupt: bool = False


KEPT = Fate()


@dataclass(frozen=True)
class Mutations:
    """Chances from 0 to 1, each drawn by itself; a dropped record meets no other fate."""

    duplicate: float = 0.0
    delay: float = 0.0
    delay_ms: int = 0
    drop: float = 0.0
    corrupt: float = 0.0
    seed: int = 1

    @property
    def none(self) -> bool:
        """Nothing is changed."""
        return not (self.duplicate or (self.delay and self.delay_ms) or self.drop or self.corrupt)

    def fate(self, topic: str, partition: int, offset: int, lap: int = 0) -> Fate:
        """What befalls the record of that place."""
        if self.none:
            return KEPT
        name = f"{topic}/{partition}/{offset}/{lap}"
        if self.drop and self._chance(name, _DROP) < self.drop:
            return Fate(copies=0)
        return Fate(
            2 if self.duplicate and self._chance(name, _DUPLICATE) < self.duplicate else 1,
            self.delay_ms if self.delay and self._chance(name, _DELAY) < self.delay else 0,
            bool(self.corrupt) and self._chance(name, _CORRUPT) < self.corrupt,
        )

    def _chance(self, name: str, about: int) -> float:
        return self._dice(name, about) / _FULL

    def _dice(self, name: str, about: int) -> int:
        return xxhash.xxh64_intdigest(name.encode(), self.seed * 8 + about & (1 << 64) - 1)

    def spoil(
        self, value: bytes | None, topic: str, partition: int, offset: int, lap: int
    ) -> bytes:
        """A damaged copy of a value: cut short, bytes overwritten, a digit lost, or garbage."""
        name = f"{topic}/{partition}/{offset}/{lap}"
        dice = self._dice(name, _HOW)
        old = value or b""
        at = dice // 4 % max(len(old), 1)
        match dice % 4:
            case 0:
                return old[:at]
            case 1:
                return old[:at] + b"\xff\x00" + old[at + 2 :]
            case 2:
                # Still JSON, most of the time: another number, or a member with another name.
                return old[:at] + old[at + 1 :]
            case _:
                return b"\x00garbage" + old[:at][::-1]


def parse_delay(text: str) -> tuple[float, int]:
    """``P:SECONDS`` as (chance, ms). Raises ValueError."""
    chance, colon, seconds = text.partition(":")
    try:
        p, ms = float(chance), round(float(seconds) * 1000)
    except (ValueError, OverflowError):
        colon = ""
        p, ms = 0.0, 0
    if not colon or not 0 <= p <= 1 or ms <= 0:
        raise ValueError(f"{text!r}: a delay is P:SECONDS, for example 0.05:600")
    return p, ms
