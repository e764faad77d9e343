"""The replay itself: a sequence into a target at a pace, exact to its end."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from services.replay.keyboard import Key
from services.replay.pace import Pacer
from services.replay.position import Position
from services.replay.sender import Sender
from services.replay.sequence import Outgoing, Sequence

#: The longest sleep between two looks at keys, client and bar, in ms.
_NAP_MS = 50.0
#: Without a pace these are looked at after so many records.
_LOOK_EVERY = 2_000
_SAVE_SECONDS = 2.0


def _monotonic_ms() -> float:
    return time.monotonic() * 1000


@dataclass
class Played:
    """What came of it: records sent now (not by an earlier run), seconds until all were acked."""

    sent: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.sent / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Look:
    """How far a replay is: records sent, share of the recording (0 to 1) and the event time."""

    sent: int
    share: float
    arrival: int | None
    paused: bool
    #: Seconds until the end at this pace, None when only the share tells.
    left: float | None


class Player:
    """Plays one sequence. ``keys`` gives what was pressed, ``look`` is told how far it is."""

    def __init__(
        self,
        sequence: Sequence,
        sender: Sender,
        pacer: Pacer,
        *,
        keys: Callable[[], list[Key]] = lambda: [],
        look: Callable[[Look], None] = lambda _: None,
        position: Position | None = None,
        clock: Callable[[], float] = _monotonic_ms,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sequence = sequence
        self._sender = sender
        self._pacer = pacer
        self._keys = keys
        self._look = look
        self._position = position
        self._clock = clock
        self._sleep = sleep
        self._saved = clock()
        span = sequence.span or (0, 0)
        shift = sequence.wishes.shift
        self._first = span[0] + shift
        self._last = span[1] + shift + (sequence.wishes.laps - 1) * sequence.lap_ms

    def play(self) -> Played:
        """Send everything, wait until it is acknowledged. Raises SendError."""
        begun = self._clock()
        free = self._pacer.speed is None and not self._pacer.paused
        if free and self._sequence.unchanged and self._position is None:
            self._push()
        else:
            self._paced()
        self._sender.flush()
        return Played(self._sender.sent, (self._clock() - begun) / 1000)

    def _push(self) -> None:
        """Unchanged and at once: partition by partition, as they lie in the file."""
        sender = self._sender
        total = max(self._sequence.recording.count, 1)
        for topic, partition, rows, arrival in self._sequence.packs():
            self._listen()
            while rows and self._pacer.paused:
                # By hand: one at a time, until it is let go.
                if self._pacer.wait(arrival, self._clock()) is None:
                    self._nap(_NAP_MS, Look(sender.sent, sender.sent / total, arrival, True, None))
                    continue
                sender.send_all(topic, partition, rows[:1])
                self._pacer.sent(arrival)
                rows = rows[1:]
            sender.send_all(topic, partition, rows)
            sender.poll()
            self._look(Look(sender.sent, sender.sent / total, arrival, False, None))

    def _paced(self) -> None:
        skip = 0 if self._position is None else self._position.sent
        count = 0
        for out in self._sequence:
            count += 1
            if count <= skip:
                continue
            self._wait_for(out)
            self._sender.send(*out[:5])
            self._pacer.sent(out.arrival)
            if count % _LOOK_EVERY == 0:
                self._glance(out)
            self._save(count)
        if self._position is not None:
            self._sender.flush()
            self._position.save(count)

    def _wait_for(self, out: Outgoing) -> None:
        """Until the record is due; in the meantime everybody else is served."""
        while True:
            wait = self._pacer.wait(out.arrival, self._clock())
            if wait is not None and wait <= 0:
                return
            nap = _NAP_MS if wait is None else min(wait, _NAP_MS)
            self._nap(nap, self._seen(out, wait or 0.0))

    def _nap(self, ms: float, seen: Look) -> None:
        self._sender.poll()
        self._sleep(ms / 1000)
        self._listen()
        self._look(seen)

    def _glance(self, out: Outgoing) -> None:
        self._sender.poll()
        self._listen()
        self._look(self._seen(out))

    def _listen(self) -> None:
        for key in self._keys():
            if key == "step":
                self._pacer.step(self._clock())
            else:
                self._pacer.toggle(self._clock())

    def _seen(self, out: Outgoing, wait: float = 0.0) -> Look:
        """``wait`` (ms): how long until the record is due. The event time is that of now."""
        speed = self._pacer.speed
        at = out.arrival - round(wait * (speed or 0.0))
        length = max(self._last - self._first, 1)
        share = min(max((at - self._first) / length, 0.0), 1.0)
        left = None if speed is None else max(self._last - at, 0) / speed / 1000
        return Look(self._sender.sent, share, at, self._pacer.paused, left)

    def _save(self, count: int) -> None:
        if self._position is None:
            return
        now = self._clock()
        if now - self._saved >= _SAVE_SECONDS * 1000:
            self._sender.flush()
            self._position.save(count)
            self._saved = now
