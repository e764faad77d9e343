"""Server-sent events: the rows that changed, computed once per distinct question per tick.

However many screens are open, the cost is that of the distinct questions they ask, and of one
write for each screen. A client that does not keep up is told nothing more until it has taken what
is on its way, and then all rows anew.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from services.core.questions import QueryError
from services.view.answers import kpi_answer, row_dict
from services.view.pace import Pace
from services.view.port import Numbers
from services.view.question import Question

log = logging.getLogger(__name__)

#: Time changes numbers too, and two ticks a second are promised while they change; a little more
#: often, so that a busy loop still keeps the promise.
TICK_S = 0.4
#: From the first partial result of a flush to the tick: what comes with it is in it.
TOGETHER_S = 0.03
#: A tick is followed by a rest so many times as long as its work, but at least so many seconds.
REST, LEAST_REST_S = 4, 0.07
HEARTBEAT_S = 10.0
HEARTBEAT = b": still here\n\n"
#: Tells a browser to come back two seconds after a loss.
PREAMBLE = b"retry: 2000\n\n"
#: Bytes that may be on their way to a client before it is behind.
BACKLOG_BYTES = 256 * 1024

RowKey = tuple[str, str | None]


class Wire(Protocol):
    """Where the events of a client go; nothing here waits."""

    @property
    def closed(self) -> bool: ...

    def write(self, data: bytes) -> None: ...

    def waiting(self) -> int:
        """Bytes that the client has not taken yet."""
        ...


class Subscriber:
    """One client: what it asks, and where its events go once its answer has begun."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = tuple(dict.fromkeys(questions))
        self.wire: Wire | None = None
        #: Questions whose rows are to be sent whole at the next tick.
        self.behind = set(self.questions)
        #: When something was last written to it, by the event loop's clock; before that, never.
        self.written = float("inf")
        #: The stream is over: closed by its client or by us.
        self.ended = asyncio.Event()


@dataclass
class _Watch:
    """One distinct question: who asks it, and what they know."""

    question: Question
    subscribers: set[Subscriber] = field(default_factory=set)
    computed_for: tuple[int, int] | None = None
    as_of: int = 0
    rows: dict[RowKey, dict[str, object]] = field(default_factory=dict)


class Hub:
    """All open streams. ``run`` must be kept going; ``close`` ends every stream."""

    def __init__(self, view: Numbers, now: Callable[[], int]) -> None:
        """``now`` gives the system's clock in ms since the epoch."""
        self._view, self._now = view, now
        self._watches: dict[Question, _Watch] = {}
        self._subscribers: set[Subscriber] = set()
        self._closed = False
        self._fed = asyncio.Event()
        #: Events of this slice of a tick, of each subscriber in order.
        self._outgoing: dict[Subscriber, list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._subscribers)

    def subscribe(self, questions: Sequence[Question]) -> Subscriber:
        """Register a client; all rows of every question are computed and wait for its wire.

        Raises QueryError for a question that cannot be answered.
        """
        subscriber = Subscriber(questions)
        watches = [self._watches.get(each) or _Watch(each) for each in subscriber.questions]
        for watch in watches:
            if watch.computed_for is None:
                self._compute(watch)
        for watch in watches:
            self._watches.setdefault(watch.question, watch).subscribers.add(subscriber)
        self._subscribers.add(subscriber)
        return subscriber

    def open(self, subscriber: Subscriber, wire: Wire) -> None:
        """Send a registered client all rows, and from now on those that change."""
        subscriber.wire = wire
        for question in subscriber.questions:
            self._catch_up(self._watches[question], subscriber)
        self._send()
        if self._closed:
            subscriber.ended.set()

    def unsubscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)
        for question in subscriber.questions:
            watch = self._watches.get(question)
            if watch is not None:
                watch.subscribers.discard(subscriber)
                if not watch.subscribers:
                    del self._watches[question]

    def fed(self) -> None:
        """The numbers may have changed: a tick is due."""
        self._fed.set()

    async def run(self) -> None:
        """Tick for ever: soon after every change, as often as can be afforded."""
        while True:
            worked = await self.tick()
            await asyncio.sleep(min(max(REST * worked, LEAST_REST_S), TICK_S))
            try:
                async with asyncio.timeout(TICK_S):
                    await self._fed.wait()
                await asyncio.sleep(TOGETHER_S)
            except TimeoutError:
                pass  # time alone changes numbers too

    async def tick(self) -> float:
        """Compute what may have changed and send the changed rows; seconds of work."""
        self._fed.clear()
        pace = Pace()
        for watch in list(self._watches.values()):
            changed = self._changed(watch)
            event = _event(watch, changed) if changed else None
            for subscriber in watch.subscribers:
                if watch.question in subscriber.behind:
                    self._catch_up(watch, subscriber)
                elif event is not None:
                    self._outgoing.setdefault(subscriber, []).append(event)
            if pace.due():
                self._send()
                await pace.rest()
        self._send()
        self._look_after()
        return pace.spent()

    def _catch_up(self, watch: _Watch, subscriber: Subscriber) -> None:
        """All rows of a question to a client that has taken everything before."""
        wire = subscriber.wire
        if wire is not None and not wire.waiting():
            subscriber.behind.discard(watch.question)
            rows = _event(watch, watch.rows.values())
            self._outgoing.setdefault(subscriber, []).append(rows)

    def _send(self) -> None:
        """What a client is to be told goes in one write."""
        now = asyncio.get_running_loop().time()
        for subscriber, events in self._outgoing.items():
            wire = subscriber.wire
            if wire is None or wire.closed:
                continue
            if wire.waiting() > BACKLOG_BYTES:
                subscriber.behind.update(subscriber.questions)
            else:
                wire.write(b"".join(events))
                subscriber.written = now
        self._outgoing.clear()

    def _look_after(self) -> None:
        """A sign of life where nothing changes, and an end where the client has gone."""
        now = asyncio.get_running_loop().time()
        for subscriber in self._subscribers:
            wire = subscriber.wire
            if wire is None:
                continue
            if wire.closed:
                subscriber.ended.set()
            elif subscriber.written < now - HEARTBEAT_S and not wire.waiting():
                # One look a tick for all: a timer for each event of each stream costs more.
                wire.write(HEARTBEAT)
                subscriber.written = now

    def _changed(self, watch: _Watch) -> list[dict[str, object]]:
        if watch.computed_for == self._state():
            return []
        before = watch.rows
        try:
            self._compute(watch)
        except QueryError as error:  # it was answerable before: say nothing rather than lie
            log.debug("%s: %s", watch.question, error)
            return []
        changed = [row for key, row in watch.rows.items() if before.get(key) != row]
        gone = [key for key in before if key not in watch.rows]
        return changed + [_gone(key) for key in gone]

    def _compute(self, watch: _Watch) -> None:
        question = watch.question
        state = self._state()
        watch.as_of, rows = self._view.query(
            question.kpi,
            now=self._now(),
            window=question.window,
            territory=question.territory,
            by=question.by,
            where=question.where,
        )
        watch.rows = {(row.territory, row.by): row_dict(row) for row in rows}
        watch.computed_for = state

    def _state(self) -> tuple[int, int]:
        # Between two partial results only the passing of a 10-second pane changes a number; an
        # indicator's age changes by itself, and once a pane is often enough for it too.
        return self._view.version, self._now() // 10_000

    def close(self) -> None:
        """End every stream, and every one that is opened from now on."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.ended.set()


def _gone(key: RowKey) -> dict[str, object]:
    """The row of something that is no longer there (an unknown row that has become empty)."""
    territory, by = key
    return {
        "territory": territory,
        "by": by,
        "value": None,
        "numerator": None,
        "denominator": None,
        "count": 0,
    }


def _event(watch: _Watch, rows: Iterable[dict[str, object]]) -> bytes:
    answer = kpi_answer(watch.question, watch.as_of, list(rows))
    return b"data: " + orjson.dumps(answer) + b"\n\n"
