"""Metrics of one worker, on a port of its own: its health, never a KPI (those are the view's)."""

from time import monotonic

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from schemas import catalog

_FLUSH_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Metrics:
    """The counters of one worker; children are bound once."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        records = Counter("ioc_worker_records", "Records absorbed", ["topic"], registry=registry)
        self.records = {t.name: records.labels(t.name) for t in catalog.SOURCES}
        self.fold_seconds = Counter(
            "ioc_worker_fold_seconds", "Time spent folding records", registry=registry
        )
        self.flush_seconds = Histogram(
            "ioc_worker_flush_seconds",
            "From the snapshot of a partition to the acknowledgement of its partial results",
            buckets=_FLUSH_BUCKETS,
            registry=registry,
        )
        self.flush_bytes = Counter(
            "ioc_worker_flush_bytes", "Partial results sent, uncompressed", registry=registry
        )
        self.partitions = Gauge(
            "ioc_worker_partitions", "Source partitions owned now", registry=registry
        )
        self.dead_letters = Counter(
            "ioc_worker_dead_letters",
            "Dead letters acknowledged; reason undeliverable: too large, given up",
            ["reason"],
            registry=registry,
        )
        self.holes = Counter(
            "ioc_worker_holes",
            "Times that records were missing between two batches and were read again",
            registry=registry,
        )
        self.restores = Counter(
            "ioc_worker_restores", "Partitions rebuilt from the ring", registry=registry
        )
        self.restore_seconds = Gauge(
            "ioc_worker_restore_seconds",
            "How long the last assignment took to be rebuilt",
            registry=registry,
        )
        self._last_batch = monotonic()
        Gauge(
            "ioc_worker_batch_age_seconds",
            "Since the last batch was folded (since the start when there was none)",
            registry=registry,
        ).set_function(lambda: monotonic() - self._last_batch)

    def folded(self, topic: str, records: int, seconds: float) -> None:
        """Note one batch: how many records were absorbed, and the time it took."""
        self.records[topic].inc(records)
        self.fold_seconds.inc(seconds)
        self._last_batch = monotonic()
