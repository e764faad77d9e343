"""The worker: a Faust app with one agent, and what it does when partitions come and go.

Faust is the app, the agent, the membership in the group, the transport and the producer. It holds
no state: no tables, no changelogs, nothing on disk. The ring in the partial topic is both, and says
where reading starts (docs/architecture.md, "State and the ring").
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from logging import getLogger
from time import monotonic
from typing import Any, cast

import faust
from aiokafka.errors import MessageSizeTooLargeError
from faust.types import TP

from schemas import catalog
from services.core.state import DeadLetter
from services.kpi import fetching
from services.kpi.metrics import Metrics
from services.kpi.partition import Outbox, OwnedPartition, State
from services.kpi.recovery import Ring, read_rings
from services.kpi.rhythm import Rhythm
from services.kpi.transport import (
    BatchConsumer,
    BatchMessage,
    BatchProducer,
    BatchSchema,
    BatchTransport,
)
from services.runtime.settings import Settings

log = getLogger(__name__)

GROUP = "ioc-kpi"
#: How often the worker looks which partitions are due for a flush.
PULSE_SECONDS = 0.04
#: A flush or dead letter that is not acknowledged within this time ends the worker.
DELIVERY_SECONDS = 180.0
#: Batches that wait for the agent. Together with BATCH_RECORDS the bound on what is in memory.
QUEUED_BATCHES = 8
#: A broker that has just come back may not know its topics yet. Whoever leads the group then gives
#: nobody a partition, and looks again when the metadata are this old (Kafka's default: 5 minutes).
METADATA_MS = 10_000
#: Of one partition, in one fetch, as they are in the log (compressed).
FETCH_BYTES = 512 * 1024

#: (source topic, partition, its ring) -> its state.
Restore = Callable[[catalog.Topic, int, Ring], State]


class CannotContinue(Exception):
    """The log and the ring do not fit together; the message says what to do."""


class KpiApp(faust.App):
    """A Faust app that keeps nothing on disk."""

    async def on_first_start(self) -> None:
        """Faust would make a data directory in the working directory."""


class KafkaOutbox(Outbox):
    """Sends through Faust's producer, which retries for as long as it takes, and never twice."""

    def __init__(self, app: faust.App, settings: Settings) -> None:
        self._app = app
        self._partial_topic = catalog.KPI_PARTIAL.full_name(settings.namespace)
        self._letter_topic = catalog.DEAD_LETTER.full_name(settings.namespace)

    @property
    def _producer(self) -> BatchProducer:
        return cast("BatchProducer", self._app.producer)

    async def letters(self, partition: int, letters: Sequence[DeadLetter]) -> int:
        given_up = 0
        async with asyncio.timeout(DELIVERY_SECONDS):
            packs = await self._producer.send_letters(
                self._letter_topic,
                partition,
                ((letter.key, letter.value, letter.headers) for letter in letters),
            )
            for pack in packs:
                try:
                    await pack
                except MessageSizeTooLargeError:
                    # Only a letter that is alone in its pack can be too large for the topic.
                    log.error("a dead letter of partition %d is too large: given up", partition)
                    given_up += 1
        return given_up

    async def partials(self, partition: int, records: Sequence[tuple[bytes, bytes | None]]) -> None:
        async with asyncio.timeout(DELIVERY_SECONDS):
            for delivered in await self._producer.send_all(self._partial_topic, partition, records):
                await delivered


class Worker:
    """One worker process: the app, the partitions it owns now, and the first failure."""

    def __init__(self, settings: Settings, restore: Restore, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self._restore = restore
        self._topics = {t.full_name(settings.namespace): t for t in catalog.SOURCES}
        self.owned: dict[TP, OwnedPartition] = {}
        #: Done when something failed that leaves nothing to go on with.
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self.app = self._make_app()
        self._outbox: Outbox = KafkaOutbox(self.app, settings)
        self._queue: asyncio.Queue[Any] | None = None
        #: Partitions that do not read on before a flush is through.
        self._held: set[TP] = set()
        self._flushes: set[asyncio.Task[None]] = set()
        self.rhythm = Rhythm()

    def _make_app(self) -> KpiApp:
        settings = self.settings
        app = KpiApp(
            settings.named(GROUP),
            broker=";".join(f"kafka://{server}" for server in settings.bootstrap.split(",")),
            autodiscover=False,
            # Every topic comes from the catalogue, made by `ioc topics`.
            topic_allow_declare=False,
            topic_disable_leader=True,
            topic_partitions=settings.partitions,
            table_standby_replicas=0,
            stream_recovery_delay=0.0,
            stream_wait_empty=True,
            web_enabled=False,
            web_tables_enabled=False,
            web_router_enabled=False,
            worker_redirect_stdouts=False,
            cython_optimizations=True,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=FETCH_BYTES,
            consumer_metadata_max_age_ms=METADATA_MS,
            broker_session_timeout=10.0,
            broker_heartbeat_interval=2.0,
            broker_commit_interval=3.0,
            # Counted in batches: only the timer commits.
            broker_commit_every=10_000_000,
            producer_linger=0.002,
            producer_max_batch_size=262_144,
            producer_max_request_size=2 * 1024 * 1024,
            # Only the view and we read the ring. aiokafka's lz4 is level 9: ten times slower.
            producer_compression_type="snappy",
            producer_request_timeout=30.0,
        )
        fetching.install()
        transport = BatchTransport(app.conf.broker_consumer, app)
        transport.owner = self
        # Before anything asks the app for its transport.
        app.transport = transport
        topic = app.topic(*self._topics, schema=BatchSchema(), maxsize=QUEUED_BATCHES)
        app.agent(topic, name="fold")(self._agent)
        app.task(self._pulse)
        app.on_partitions_revoked.connect(self._on_revoked)
        # While stopping Faust still has its producer: it closes after this.
        app.on_before_shutdown.connect(self._on_revoked)
        return app

    @property
    def consumer(self) -> BatchConsumer:
        return cast("BatchConsumer", self.app.consumer)

    # --- partitions come and go -----------------------------------------------------------------

    async def positions(self, assigned: frozenset[TP]) -> Mapping[TP, int]:
        """Rebuild the state of every assigned partition, own it, and say where to read on."""
        began = monotonic()
        rings = await read_rings(
            self.settings.bootstrap,
            catalog.KPI_PARTIAL.full_name(self.settings.namespace),
            {tp.partition for tp in assigned},
        )
        ends = await self.consumer.highwaters(*assigned) if assigned else {}
        starts = await self.consumer.earliest_offsets(*assigned) if assigned else {}
        owned: dict[TP, OwnedPartition] = {}
        for tp in sorted(assigned):
            topic = self._topics[tp.topic]
            # In a thread: it may take seconds, and timers must go on.
            ring = rings[tp.partition]
            state = await asyncio.to_thread(self._restore, topic, tp.partition, ring)
            state.open_epoch(secrets.randbits(48))
            part = OwnedPartition(
                topic.name, tp.partition, state, self._outbox, self.metrics, self.rhythm
            )
            self._agree(part, tp, starts[tp], ends[tp])
            owned[tp] = part
        # From here on no older owner's flush counts any more.
        await asyncio.gather(*(part.flush() for part in owned.values()))
        self.owned = owned
        self._held.clear()
        self.metrics.partitions.set(len(owned))
        self.metrics.restores.inc(len(owned))
        self.metrics.restore_seconds.set(monotonic() - began)
        log.info("%d partitions restored in %.2f s", len(owned), monotonic() - began)
        return {tp: part.expected for tp, part in owned.items()}

    def _agree(self, part: OwnedPartition, tp: TP, start: int, end: int) -> None:
        """Make sure that the log still has what the state expects next."""
        if part.expected > end:
            raise CannotContinue(
                f"{tp.topic}/{tp.partition} ends at {end}, but {part.expected} records were"
                " already absorbed: the topic was made anew; delete the partial topic too"
            )
        if part.expected < start:
            log.error(
                "%s/%d: offsets %d to %d were deleted by retention before they were read",
                tp.topic, tp.partition, part.expected, start - 1,
            )  # fmt: skip
            self.metrics.holes.inc()
            part.expected = start

    async def _on_revoked(self, *_: object, **__: object) -> None:
        await self._release()

    async def stop(self) -> None:
        """Finish the batch at hand, flush, leave the group; quickly when something failed."""
        try:
            await self.app.stop()
        finally:
            await self._release()

    async def _release(self) -> None:
        """Flush everything for the last time and own nothing."""
        owned, self.owned = self.owned, {}
        self.metrics.partitions.set(0)
        if self.failed.done():
            return
        try:
            await asyncio.gather(*(part.flush() for part in owned.values()))
        except Exception as error:
            await self.fail(error)

    async def fail(self, reason: BaseException) -> None:
        """End this worker: nothing is flushed or committed any more (see ``main``)."""
        if self.failed.done():
            return
        log.critical("the worker cannot go on: %s", reason, exc_info=reason)
        self.consumer.poisoned = True
        self.owned = {}
        self.failed.set_result(reason)
        await self.app.crash(reason)

    # --- records --------------------------------------------------------------------------------

    async def _agent(self, stream: Any) -> None:
        self._queue = stream.channel.queue
        async for batch in stream:
            # An exception that leaves the agent would acknowledge the batch and go on.
            try:
                await self._take(batch)
            except Exception as error:
                await self.fail(error)

    async def _take(self, batch: BatchMessage) -> None:
        part = self.owned.get(batch.tp)
        if part is None:
            return
        verdict = part.check(batch.first_offset)
        if verdict == "seek":
            await self.consumer.rewind(batch.tp, part.expected)
        elif verdict == "fold":
            part.fold(batch.records)
            if part.overfull:
                self._hold(batch.tp)

    async def _pulse(self) -> None:
        """Begin the flushes that are due, and let partitions read on that had to wait."""
        while not self.app.should_stop:
            behind = self._queue is not None and not self._queue.empty()
            interval = self.rhythm.interval(behind=behind)
            for tp, part in self.owned.items():
                if part.due(interval):
                    task = asyncio.create_task(self._flush(tp, part))
                    self._flushes.add(task)
                    task.add_done_callback(self._flushes.discard)
                elif part.overfull:
                    self._hold(tp)
            await asyncio.sleep(PULSE_SECONDS)

    async def _flush(self, tp: TP, part: OwnedPartition) -> None:
        try:
            await part.flush()
        except Exception as error:
            await self.fail(error)
        else:
            if tp in self._held and not part.overfull and self.owned.get(tp) is part:
                self._held.discard(tp)
                self.consumer.resume_partitions({tp})

    def _hold(self, tp: TP) -> None:
        if tp not in self._held:
            self._held.add(tp)
            self.consumer.pause_partitions({tp})
