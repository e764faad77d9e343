"""Transport: Faust's aiokafka driver, handing over ONE message for a whole partition batch.

Faust's own path costs a few hundred microseconds a message, whatever is in it; with a batch of raw
records in each message that cost vanishes. This module overrides private methods of
faust-streaming, which is therefore pinned exactly; tests/unit/kpi/test_transport.py holds a
contract test for each of them. Nothing here knows what a KPI is.

Why the offsets stay right: a message's offset is that of its last record, so its ack stands for
the batch; ``_flight`` keeps the batches of a partition in the order they were handed out, and the
commit position moves over the acked ones at its head. Committed offsets serve lag tools only: where
reading starts is said by :class:`Owner` on every assignment.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import suppress
from logging import getLogger
from typing import Any, Protocol, TypeVar, cast

from aiokafka.errors import IllegalStateError, KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.serializers.schemas import Schema
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT, ConsumerMessage, EventT
from faust.types.tuples import Message

from schemas import catalog
from services.core.record import Record
from services.kpi import unpacking

log = getLogger(__name__)

#: Letters are packed up to this size; a larger one goes alone.
PACK_BYTES = 256 * 1024
#: Larger ones are compressed: a source takes a record of any size that is small enough compressed.
PLAIN_BYTES = 1024 * 1024
#: What the topic of the letters takes, as it is on the wire.
_LARGEST_PACK = int(catalog.DEAD_LETTER.config["max.message.bytes"])
_NONE, _ZSTD = 0, 4
#: Records in one message at most: bounds how long one fold holds the event loop.
BATCH_RECORDS = 2000

#: Which times the source topics have; nobody looks.
_LOG_APPEND_TIME = 1

#: Key, value and headers of a record to send; key and value may both be None.
Letter = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]
R = TypeVar("R")


class Owner(Protocol):
    """Who says where to read from, and hears when that cannot be done."""

    async def positions(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        """The offset to read next of every assigned partition; takes as long as it needs."""
        ...

    async def fail(self, reason: BaseException) -> None:
        """End this worker: ``reason`` leaves nothing to go on with."""
        ...


class BatchMessage(ConsumerMessage):
    """One partition batch: ``value`` is the list of records, ``offset`` that of the last one."""

    @property
    def records(self) -> Sequence[Record]:
        return cast("Sequence[Record]", self.value)

    @property
    def first_offset(self) -> int:
        return self.records[0].offset


class BatchSchema(Schema[Any, Any]):
    """Leaves the bytes alone: the value of an event is its :class:`BatchMessage`."""

    def compile(
        self,
        app: AppT,
        *,
        on_key_decode_error: Any = None,
        on_value_decode_error: Any = None,
        default_propagate: bool = False,
    ) -> Callable[..., Awaitable[EventT[Any]]]:
        async def decode(message: Message, *, propagate: bool = default_propagate) -> EventT[Any]:
            return app.create_event(None, message, None, message)

        return decode


def rounds(
    records: Mapping[Any, Sequence[R]], size: int = BATCH_RECORDS
) -> Iterator[tuple[Any, Sequence[R]]]:
    """Cut each partition's records into batches of ``size``, a batch of each partition in turn."""
    start = 0
    while records:
        for tp, whole in records.items():
            yield tp, whole[start : start + size]
        start += size
        records = {tp: whole for tp, whole in records.items() if len(whole) > start}


class _NothingRead(dict[TP, int | None]):
    """Stands for Faust's map of read offsets: says that nothing was read yet, always.

    Faust drops a message below the last read offset in silence, which after a seek back can be the
    very batch that is wanted, and books holes between batches. What is missing or comes twice is
    decided by whoever folds.
    """

    def __getitem__(self, tp: TP) -> None:
        return None


class BatchConsumer(driver.Consumer):
    """Yields batches, starts where its owner says, and never forgets which batches are out."""

    transport: "BatchTransport"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Before super(): the base class calls methods that are overridden here.
        self._flight: defaultdict[TP, deque[int]] = defaultdict(deque)
        self._ready = asyncio.Event()
        self._starting: asyncio.Task[None] | None = None
        #: Set once something failed: from then on no offset is committed any more.
        self.poisoned = False
        super().__init__(*args, **kwargs)
        self._read_offset = _NothingRead()

    async def perform_seek(self) -> None:
        """Begin to find the positions of a new assignment, and return at once.

        Faust calls this when the partitions are assigned and before it lets records flow, and gives
        up for good (a worker that hangs, with one line in the log) when it takes longer than
        ``broker_request_timeout``. A restore may take longer, so it runs beside; :meth:`getmany`
        waits for it.
        """
        await self._abandon_start()
        self._starting = asyncio.create_task(self._start(frozenset(self.assignment())))

    async def _start(self, assigned: frozenset[TP]) -> None:
        try:
            positions = await self.transport.owner.positions(assigned)
            await self.seek_wait(positions)
        except IllegalStateError as error:
            # Revoked while we were at it; the next assignment starts anew.
            if not self.app.rebalancing:
                await self.transport.owner.fail(error)
        except Exception as error:
            await self.transport.owner.fail(error)
        else:
            for tp in assigned:
                # An ack below the committed offset is dropped by Faust, and that batch would stay
                # in flight for ever: forget what the group committed.
                self._committed_offset[tp] = None
            self._ready.set()

    async def _abandon_start(self) -> None:
        self._ready.clear()
        self._flight.clear()
        task, self._starting = self._starting, None
        if task is not None and not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await self._abandon_start()
        await super().on_partitions_revoked(revoked)

    async def on_stop(self) -> None:
        await self._abandon_start()
        await super().on_stop()

    def on_buffer_full(self, tp: TP) -> None:
        """Do nothing: a full queue blocks the one loop that fills it, which is all that is wanted.

        Faust would stop fetching the partition, and when none is left it sleeps a whole second.
        """

    async def getmany(
        self,
        timeout: float,  # noqa: ASYNC109 (Faust's signature)
    ) -> AsyncIterator[tuple[TP, Message]]:
        if not self._ready.is_set():
            await self.wait(self._ready.wait())
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if not records or self.should_stop or not self._ready.is_set():
            return
        for raw_tp, batch in rounds(cast("Mapping[Any, Sequence[Record]]", records)):
            if not self.flow_active or self.app.consumer_generation_id != generation:
                break
            tp = ensure_TP(raw_tp)
            if active is not None and tp not in active and tp not in self._paused_partitions:
                continue
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            last = batch[-1]
            self._flight[tp].append(last.offset)
            yield (
                tp,
                BatchMessage(
                    tp.topic,
                    tp.partition,
                    last.offset,
                    last.timestamp / 1000.0,
                    _LOG_APPEND_TIME,
                    None,
                    None,
                    cast("Any", batch),
                    None,
                    0,
                    0,
                    tp,
                    generation_id=generation,
                ),
            )

    async def rewind(self, tp: TP, offset: int) -> None:
        """Read a partition again from ``offset``, without a rebalance."""
        self._flight.pop(tp, None)
        self._committed_offset[tp] = None
        try:
            await self.seek_wait({tp: offset})
        except IllegalStateError:
            # Just revoked: whoever gets the partition next starts where it must.
            if not self.app.rebalancing:
                raise

    def _new_offset(self, tp: TP) -> int | None:
        if self.poisoned:
            return None
        acked, flight, last = self._acked_index[tp], self._flight[tp], None
        while flight and flight[0] in acked:
            last = flight.popleft()
            acked.discard(last)
        if last is None:
            return None
        self._acked[tp][:] = [offset for offset in self._acked[tp] if offset in acked]
        return last + 1


class BatchProducer(driver.Producer):
    """Faust's producer made idempotent: it retries for as long as it takes, and never twice."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    async def flush(self) -> None:
        """Do nothing: whoever sends here awaits the acknowledgements.

        Faust flushes before every commit, so that commits would wait for the partials of others.
        """

    async def send_all(
        self, topic: str, partition: int, records: Iterable[tuple[bytes, bytes | None]]
    ) -> list[asyncio.Future[Any]]:
        """Hand over records of one partition in their order; returns a future for each."""
        producer = self._ensure_producer()
        return [
            await _until_taken(producer.send, topic, value, key=key, partition=partition)
            for key, value in records
        ]

    async def send_letters(
        self, topic: str, partition: int, letters: Iterable[Letter]
    ) -> list[asyncio.Future[Any]]:
        """Hand over records of one partition, packed here; returns a future for each pack.

        Twice as fast as ``send``, and it takes a record whose key and value are both null. A record
        larger than a pack is alone in its own. Not compressed, so that every client can read them,
        but for very large ones. What is too large even so is not sent: a pack that the broker
        refuses would be missing in the sequence of an idempotent producer, and none after it would
        be taken. Its future has failed with MessageSizeTooLargeError.
        """
        producer: Any = self._ensure_producer()
        packs: list[asyncio.Future[Any]] = []

        async def send(pack: Any) -> None:
            if pack.record_count():
                taken = _until_taken(producer.send_batch, pack, topic, partition=partition)
                packs.append(await taken)

        pack = _pack(_NONE)
        for key, value, headers in letters:
            record: Any = {"timestamp": None, "key": key, "value": value, "headers": [*headers]}
            if len(value or b"") > PLAIN_BYTES:
                await send(pack)
                pack = _pack(_NONE)
                if await asyncio.to_thread(_packed_size, record) > _LARGEST_PACK:
                    packs.append(asyncio.get_running_loop().create_future())
                    packs[-1].set_exception(MessageSizeTooLargeError())
                    continue
                alone = _pack(_ZSTD)
                alone.append(**record)
                await send(alone)
            elif pack.append(**record) is None:
                await send(pack)
                pack = _pack(_NONE)
                pack.append(**record)
        await send(pack)
        return packs


def _pack(compression: int) -> Any:
    build: Any = BatchBuilder  # untyped
    return build(PACK_BYTES, compression)


def _packed_size(record: Mapping[str, Any]) -> int:
    """The bytes of a record that is alone and compressed, as the broker will count them."""
    trial = _pack(_ZSTD)
    trial.append(**record)
    return len(trial._build())


async def _until_taken(
    send: Callable[..., Awaitable[asyncio.Future[Any]]], *args: Any, **kwargs: Any
) -> asyncio.Future[Any]:
    """Call ``send`` until the producer's buffer has room, however long the broker is away."""
    while True:
        try:
            return await send(*args, **kwargs)
        except KafkaTimeoutError:
            log.warning("the producer's buffer is full and the broker takes nothing: waiting on")


class BatchTransport(driver.Transport):
    """The transport of the kpi app; ``owner`` is set right after it is made."""

    Consumer = BatchConsumer
    Producer = BatchProducer
    owner: Owner

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        unpacking.install()
