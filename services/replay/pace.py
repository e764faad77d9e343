"""When the next record is due: replayed time against the clock on the wall, with pause and step.

Pure: every instant is an argument, in ms; the wall clock may begin anywhere but must not step.
"""


class Pacer:
    """Keeps the gaps between arrivals, divided by ``speed`` (None: as fast as possible)."""

    def __init__(self, speed: float | None) -> None:
        if speed is not None and speed <= 0:
            raise ValueError("a speed is above 0")
        self.speed = speed
        self._arrival: float | None = None
        self._wall = 0.0
        self._paused_at: float | None = None
        self._steps = 0

    @property
    def paused(self) -> bool:
        """Nothing is due until :meth:`resume` or :meth:`step`."""
        return self._paused_at is not None

    def wait(self, arrival: int, now: float) -> float | None:
        """ms until a record of that arrival is due: 0 when it is now, None while paused.

        The first record is due at once. One that arrived before another never waits for it.
        """
        if self._arrival is None:
            self._arrival, self._wall = arrival, now
        if self._paused_at is not None:
            return 0.0 if self._steps else None
        if self.speed is None:
            return 0.0
        return max(0.0, self._wall + (arrival - self._arrival) / self.speed - now)

    def sent(self, arrival: int) -> None:
        """A record went out; in a pause it uses up a step, and time goes on from there."""
        if self._paused_at is not None and self._steps:
            self._steps -= 1
            self._arrival, self._wall = arrival, self._paused_at

    def pause(self, now: float) -> None:
        """Stop; a second time changes nothing."""
        if self._paused_at is None:
            self._paused_at = now

    def resume(self, now: float) -> None:
        """Go on where it stopped: the pause does not count."""
        if self._paused_at is not None:
            self._wall += now - self._paused_at
            self._paused_at, self._steps = None, 0

    def toggle(self, now: float) -> None:
        """Pause, or resume."""
        if self.paused:
            self.resume(now)
        else:
            self.pause(now)

    def step(self, now: float) -> None:
        """One more record, then stand still."""
        self.pause(now)
        self._steps += 1


def parse_speed(text: str) -> float | None:
    """``max`` is None, a number is a number; ``600x`` too. Raises ValueError."""
    if text.strip().lower() == "max":
        return None
    try:
        speed = float(text.strip().lower().removesuffix("x").removeprefix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ValueError(f"{text!r}: a speed is a number above 0 (1 as it was, 600), or max")
    return speed
