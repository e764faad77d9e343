"""The declared signals: every metric name that a panel or a rule may use, and where it comes from.

KPI metrics follow from the catalogue (``services.core.kpis``); the pipeline's own metrics are
listed here by name, because this room knows names only. A test holds every query of every panel
and rule against ``known()``, so that a renamed metric cannot leave a dead panel behind.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from schemas import catalog
from services.core.kpis import CATALOGUE, Kpi

#: Windows for which the view exposes windowed KPIs; a stock KPI has the one window "now".
WINDOWS = ("1h", "24h", "today", "30d", "month")
NOW = "now"
#: Names of services: scrape job = ``service`` label = folder or door.
PRODUCERS = ("field-reports", "admin-cases", "listings", "indicators")
JOBS = ("view", "kpi", *PRODUCERS, "prometheus")
TOPICS = tuple(topic.name for topic in catalog.SOURCES)
OUTCOMES = ("applied", "duplicate", "conflict", "stale", "rejected", "expired")

Kind = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True)
class Signal:
    """One metric of the pipeline itself: who exposes it, its kind and its labels."""

    name: str
    job: Literal["view", "kpi", "producer", "prometheus"]
    kind: Kind
    labels: tuple[str, ...] = ()


_TERRITORY = ("level", "province", "district")
_IND = ("indicator", *_TERRITORY, "dims")

SIGNALS: tuple[Signal, ...] = (
    Signal("ioc_territory_info", "view", "gauge", (*_TERRITORY, "name", "lat", "lon")),
    Signal("ioc_ind_value", "view", "gauge", _IND),
    Signal("ioc_ind_target", "view", "gauge", _IND),
    Signal("ioc_ind_age_seconds", "view", "gauge", _IND),
    Signal("ioc_events_total", "view", "counter", ("topic", "outcome")),
    Signal("ioc_rejects_total", "view", "counter", ("topic", "reason")),
    Signal("ioc_source_events_total", "view", "counter", ("source", "topic", "outcome")),
    Signal("ioc_source_rejects_total", "view", "counter", ("source", "topic", "reason")),
    Signal("ioc_records_read_total", "view", "counter", ("topic",)),
    Signal("ioc_log_gaps_total", "view", "counter", ("topic",)),
    Signal("ioc_partition_lag_records", "view", "gauge", ("topic", "partition")),
    Signal("ioc_partition_end_offset", "view", "gauge", ("topic", "partition")),
    Signal("ioc_partition_applied_offset", "view", "gauge", ("topic", "partition")),
    Signal("ioc_feed_age_seconds", "view", "gauge", ("topic", "province")),
    Signal("ioc_unknown_territory_total", "view", "counter", ("topic",)),
    Signal("ioc_late_events_total", "view", "counter", ("topic", "lateness")),
    Signal("ioc_caught_up", "view", "gauge"),
    Signal("ioc_simulated", "view", "gauge"),
    Signal("ioc_conservation_broken", "view", "gauge"),
    Signal("ioc_view_build_seconds", "view", "gauge"),
    Signal("ioc_worker_records_total", "kpi", "counter", ("topic",)),
    Signal("ioc_worker_batch_age_seconds", "kpi", "gauge"),
    Signal("ioc_worker_fold_seconds_total", "kpi", "counter"),
    Signal("ioc_worker_flush_seconds", "kpi", "histogram"),
    Signal("ioc_worker_flush_bytes_total", "kpi", "counter"),
    Signal("ioc_worker_partitions", "kpi", "gauge"),
    Signal("ioc_worker_dead_letters_total", "kpi", "counter", ("reason",)),
    Signal("ioc_worker_holes_total", "kpi", "counter"),
    Signal("ioc_worker_restores_total", "kpi", "counter"),
    Signal("ioc_worker_restore_seconds", "kpi", "gauge"),
    Signal("ioc_producer_sent_total", "producer", "counter", ("kind",)),
    Signal("ioc_producer_acked_total", "producer", "counter", ("kind",)),
    Signal("ioc_producer_failed_total", "producer", "counter", ("kind", "reason")),
    Signal("ioc_producer_buffered", "producer", "gauge", ("kind",)),
    # prometheus-client's process collector, on every Python process and on Prometheus itself
    Signal("process_resident_memory_bytes", "prometheus", "gauge"),
    Signal("process_cpu_seconds_total", "prometheus", "counter"),
    Signal("process_start_time_seconds", "prometheus", "gauge"),
    # Prometheus' own
    Signal("up", "prometheus", "gauge"),
    Signal("scrape_duration_seconds", "prometheus", "gauge"),
    Signal("scrape_samples_scraped", "prometheus", "gauge"),
    Signal("prometheus_tsdb_head_series", "prometheus", "gauge"),
    Signal("ALERTS", "prometheus", "gauge", ("alertname", "alertstate", "severity")),
)

#: Recorded by the generated rules (deploy/prometheus/alerts.py).
OFFICE_HOURS = "ioc:clock:office_hours"
DAYTIME = "ioc:clock:daytime"
EXPECTED_REPORTS = "ioc:fr_received:expected1h"
DEAD_LETTER_RATIO = "ioc:dead_letters:ratio1h"
UNKNOWN_RATIO = "ioc:unknown_territory:ratio1h"
RECORDED = (OFFICE_HOURS, DAYTIME, EXPECTED_REPORTS, DEAD_LETTER_RATIO, UNKNOWN_RATIO)


def has_base(kpi: Kpi) -> bool:
    """Whether ``<metric>_entities``, the count of the entities behind a rate, is exposed."""
    return kpi.kind == "rate"


def windows(kpi: Kpi) -> tuple[str, ...]:
    """The values of the label ``window`` under which the view exposes this KPI."""
    return (NOW,) if kpi.is_stock else WINDOWS


def label_of(dimension: str) -> str:
    """The label of a dimension: its own name, but ``case_level`` for the dimension ``level``,
    because ``level`` is the level of territory on every KPI metric."""
    return "case_level" if dimension == "level" else dimension


def exposed() -> Iterator[Kpi]:
    """The KPIs that have metrics of the common shape (indicators have their own)."""
    return (kpi for kpi in CATALOGUE.values() if kpi.kind != "indicator")


def known() -> frozenset[str]:
    """Every metric name that a query may use."""
    names = {*RECORDED}
    for signal in SIGNALS:
        names.add(signal.name)
        if signal.kind == "histogram":
            names.update(f"{signal.name}_{part}" for part in ("bucket", "sum", "count"))
    for kpi in exposed():
        names.add(kpi.metric)
        names.update(f"{kpi.metric}_by_{dimension}" for dimension in kpi.dimensions)
        if has_base(kpi):
            names.add(f"{kpi.metric}_entities")
    return frozenset(names)
