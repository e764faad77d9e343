"""Server-sent events: the rows that changed, computed once per distinct question per tick.

However many screens are open, the cost is that of the distinct questions they ask. A client that
does not keep up loses its backlog and is sent all rows anew instead.
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

#: Two a second are promised; a little more often, so that a busy loop still keeps the promise.
TICK_S = 0.4
HEARTBEAT_S = 10.0
HEARTBEAT = b": still here\n\n"
#: Tells a browser to come back two seconds after a loss.
PREAMBLE = b"retry: 2000\n\n"
BACKLOG = 64

RowKey = tuple[str, str | None]


class Subscriber:
    """One client's queue of encoded events; ``None`` ends the stream."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = tuple(dict.fromkeys(questions))
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        #: Questions whose rows are to be sent whole at the next tick.
        self.behind: set[Question] = set()
        #: When something was last written to it, by the event loop's clock; before that, never.
        self.written = float("inf")

    def put(self, question: Question, event: bytes) -> None:
        if self.queue.qsize() >= BACKLOG:
            while not self.queue.empty():
                self.queue.get_nowait()
            self.behind.update(self.questions)
        elif question not in self.behind:
            self.queue.put_nowait(event)


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

    def __len__(self) -> int:
        return len(self._subscribers)

    def subscribe(self, questions: Sequence[Question]) -> Subscriber:
        """Open a stream; all rows of every question are in its queue already.

        Raises QueryError for a question that cannot be answered.
        """
        subscriber = Subscriber(questions)
        first: list[tuple[_Watch, bytes]] = []
        for question in subscriber.questions:
            watch = self._watches.get(question) or _Watch(question)
            if watch.computed_for is None:
                self._compute(watch)
            first.append((watch, _event(watch, watch.rows.values())))
        for watch, event in first:
            self._watches.setdefault(watch.question, watch).subscribers.add(subscriber)
            subscriber.queue.put_nowait(event)
        self._subscribers.add(subscriber)
        if self._closed:
            subscriber.queue.put_nowait(None)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)
        for question in subscriber.questions:
            watch = self._watches.get(question)
            if watch is not None:
                watch.subscribers.discard(subscriber)
                if not watch.subscribers:
                    del self._watches[question]

    async def run(self) -> None:
        """Tick for ever."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self.tick()
            await asyncio.sleep(max(TICK_S - (loop.time() - began), TICK_S / 4))

    async def tick(self) -> None:
        """Compute what may have changed and hand out the changed rows."""
        pace = Pace()
        for watch in list(self._watches.values()):
            changed = self._changed(watch)
            whole: bytes | None = None
            event = _event(watch, changed) if changed else None
            for subscriber in list(watch.subscribers):
                if watch.question in subscriber.behind:
                    if subscriber.queue.empty():
                        whole = whole or _event(watch, watch.rows.values())
                        subscriber.behind.discard(watch.question)
                        subscriber.queue.put_nowait(whole)
                elif event is not None:
                    subscriber.put(watch.question, event)
            await pace.rest()
        quiet = asyncio.get_running_loop().time() - HEARTBEAT_S
        for subscriber in self._subscribers:
            # One look a tick for all: a timer for each event of each stream costs more than it.
            if subscriber.written < quiet and subscriber.queue.empty():
                subscriber.queue.put_nowait(HEARTBEAT)

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
            subscriber.queue.put_nowait(None)


class Response(Protocol):
    """What is needed of an open answer."""

    async def write(self, data: bytes) -> None: ...


async def pump(subscriber: Subscriber, response: Response) -> None:
    """Write events as they come, all that wait at once; returns when the stream ends."""
    queue = subscriber.queue
    loop = asyncio.get_running_loop()
    while True:
        subscriber.written = loop.time()
        events = [await queue.get()]
        while not queue.empty():
            events.append(queue.get_nowait())
        ending = None in events
        await response.write(b"".join(event for event in events if event is not None))
        if ending:
            return


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
