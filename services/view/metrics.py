"""``/metrics``: the KPIs and the pipeline's counters, read from the merged state at scrape.

The pipeline's counters go through prometheus-client. The KPIs (some 40,000 samples) are written
here: their lines are the same in the text format and in OpenMetrics, and prometheus-client takes
five times as long for them. They are computed in slices, so that a scrape keeps nobody waiting.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from schemas.catalog import SOURCES
from services.core.head import OTHER_SOURCES
from services.core.kpis import CATALOGUE, Kpi
from services.core.marginals import Marginals
from services.core.merge import View
from services.core.rows import Row
from services.core.selection import ALL, Selection
from services.core.territory import Territories
from services.view.overview import Overview, add_counts, totals
from services.view.pace import Pace
from services.view.port import Numbers
from services.view.progress import Progress
from services.view.question import has_window

#: The windows of the page (contract section 6); the others are asked of the API.
SHOWN_WINDOWS = ("1h", "24h", "today", "30d", "month")
NOW = "now"
#: A scraper waits a few seconds at most, and others have several turns between two slices of ours.
SLICE_S = 0.025
#: Senders shown of each topic.
MAX_SOURCES = 25
_EOF = b"# EOF\n"


@dataclass(frozen=True)
class Part:
    """All samples of one metric in one window."""

    kpi: Kpi
    window: str | None
    dimension: str | None = None
    #: Show the count behind a rate instead of the rate.
    entities: bool = False

    @property
    def metric(self) -> str:
        if self.entities:
            return f"{self.kpi.metric}_entities"
        name = self.kpi.metric
        return name if self.dimension is None else f"{name}_by_{self.dimension}"


def parts(selection: Selection = ALL) -> list[Part]:
    """Every part of a page, those of one metric one after the other."""
    out: list[Part] = []
    for kpi in CATALOGUE.values():
        if kpi.kind == "indicator" or kpi.name not in selection:
            continue
        windows: list[str | None] = list(SHOWN_WINDOWS) if has_window(kpi) else [None]
        out += [Part(kpi, window) for window in windows]
        if kpi.kind == "rate":
            out += [Part(kpi, window, entities=True) for window in windows]
        for dimension in kpi.dimensions:
            out += [Part(kpi, window, dimension) for window in windows]
    return out


def dimension_label(dimension: str) -> str:
    """The label of a dimension: its name, but ``level`` already says the territory's level."""
    return "case_level" if dimension == "level" else dimension


class Places:
    """The labels ``level``, ``province`` and ``district`` of every territory row."""

    def __init__(self, territories: Territories) -> None:
        self._labels: dict[str, str] = {}
        for row in territories.rows:
            codes = {"province": "", "district": ""}
            at = row
            while at.parent >= 0:
                codes[at.level] = at.code
                at = territories.rows[at.parent]
            self._labels[row.code] = (
                f'level="{row.level}",province="{codes["province"]}",district="{codes["district"]}"'
            )

        self._known = {row.code for row in territories.rows if row.known}

    def labels(self, code: str) -> str:
        return self._labels[code]

    def known(self, code: str) -> bool:
        """Whether the code is of a territory, not of an unknown or none row."""
        return code in self._known


def lines(part: Part, rows: Iterable[Row], places: Places) -> Iterator[str]:
    """The sample lines of a part; a null has none."""
    factor = part.kpi.metric_factor
    start = f'{part.metric}{{window="{part.window or NOW}",'
    by_place = part.dimension is None
    label = None if part.dimension is None else dimension_label(part.dimension)
    for row in rows:
        value = row.count if part.entities else row.value
        if value is None or (part.entities and not places.known(row.territory)):
            continue
        if factor != 1 and not part.entities:
            value *= factor
        more = "" if by_place else f',{label}="{row.by}"'
        yield f"{start}{places.labels(row.territory)}{more}}} {value}\n"


def heading(part: Part) -> str:
    by = "" if part.dimension is None else f", by {part.dimension}"
    text = f"{part.kpi.title_en}{by}: {part.kpi.formula}"
    if part.entities:
        text = f"{part.kpi.title_en}: entities in the base of the rate"
    return f"# HELP {part.metric} {text}\n# TYPE {part.metric} gauge\n"


Senders = dict[str, tuple[dict[str, int], dict[str, int]]]


def largest(sources: Senders) -> Senders:
    """The senders of most records; the others are added up, so that no flood of names gets by."""
    ranked = sorted(sources, key=lambda name: (-sum(sources[name][0].values()), name))
    out = {name: sources[name] for name in ranked[:MAX_SOURCES]}
    for name in ranked[MAX_SOURCES:]:
        outcomes, reasons = out.setdefault(OTHER_SOURCES, ({}, {}))
        add_counts(outcomes, sources[name][0])
        add_counts(reasons, sources[name][1])
    return out


class PipelineCollector:
    """What was read, from whom, how far and how fresh, and the indicators."""

    def __init__(
        self,
        view: Numbers,
        territories: Territories,
        progress: Progress,
        overview: Overview,
        now: Callable[[], int],
        complete: Callable[[], bool],
    ) -> None:
        self._view, self._territories = view, territories
        self._progress, self._overview = progress, overview
        self._now, self._complete = now, complete
        self.build_seconds = 0.0

    def collect(self) -> Iterator[Metric]:
        """All families; called by prometheus-client at every scrape."""
        yield from self._flags()
        yield self._territory_info()
        yield from self._partitions()
        yield from self._counters()
        now = self._now()
        age = GaugeMetricFamily(
            "ioc_feed_age_seconds",
            "Seconds since the last arrival from a province.",
            labels=["topic", "province"],
        )
        for feed in self._overview.feeds(now):
            seconds = feed["age_seconds"]
            if isinstance(seconds, float):
                age.add_metric([str(feed["topic"]), str(feed["province"])], seconds)
        yield age
        if self._complete():
            yield from self._indicators(now)

    def _flags(self) -> Iterator[Metric]:
        flags = (
            ("ioc_caught_up", "Every source record is applied and shown, or under 2 s old.",
             self._progress.snapshot().caught_up),
            ("ioc_simulated", "A simulated source feeds the numbers.", self._overview.simulated),
            ("ioc_conservation_broken", "Outcomes do not add up to the records read.",
             self._overview.conservation_broken),
        )  # fmt: skip
        for name, text, flag in flags:
            yield GaugeMetricFamily(name, text, value=float(flag))
        yield GaugeMetricFamily(
            "ioc_view_build_seconds",
            "Seconds that the last computation of all KPIs for a scrape took.",
            value=self.build_seconds,
        )

    def _territory_info(self) -> Metric:
        labels = ["level", "province", "district", "name", "lat", "lon"]
        info = GaugeMetricFamily(
            "ioc_territory_info", "A province or district: its name and place.", labels=labels
        )
        for code, name in self._territories.provinces.items():
            info.add_metric(["province", code, "", name, "", ""], 1)
        for d in self._territories.districts.values():
            place = [str(d.lat), str(d.lon)]
            info.add_metric(["district", d.province_code, d.district_code, d.district, *place], 1)
        return info

    def _partitions(self) -> Iterator[Metric]:
        labels = ["topic", "partition"]
        lag = GaugeMetricFamily(
            "ioc_partition_lag_records", "Source records not yet applied and shown.", labels=labels
        )
        end = GaugeMetricFamily(
            "ioc_partition_end_offset", "Log end offset of a source partition.", labels=labels
        )
        applied = GaugeMetricFamily(
            "ioc_partition_applied_offset",
            "Offset after the last source record applied and shown.",
            labels=labels,
        )
        for p in self._progress.snapshot().partitions:
            key = [p.topic, str(p.partition)]
            if p.lag is not None and p.end is not None:
                lag.add_metric(key, p.lag)
                end.add_metric(key, p.end)
            applied.add_metric(key, p.applied)
        yield from (lag, end, applied)

    def _counters(self) -> Iterator[Metric]:
        def counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
            return CounterMetricFamily(name, text, labels=labels)

        events = counter("ioc_events", "Source records read, by outcome.", "topic", "outcome")
        rejects = counter("ioc_rejects", "Source records rejected.", "topic", "reason")
        sources = counter(
            "ioc_source_events", "Source records by sender.", "source", "topic", "outcome"
        )
        source_rejects = counter(
            "ioc_source_rejects", "Rejected records by sender.", "source", "topic", "reason"
        )
        read = counter("ioc_records_read", "Source records read.", "topic")
        gaps = counter(
            "ioc_log_gaps", "Offsets under which a source topic had no record to read.", "topic"
        )
        unknown = counter(
            "ioc_unknown_territory", "Applied events with an unknown territory code.", "topic"
        )
        late = counter("ioc_late_events", "Applied events that arrived late.", "topic", "lateness")
        for topic in SOURCES:
            name = topic.name
            total = totals(name, self._view.heads)
            read.add_metric([name], total.read)
            gaps.add_metric([name], total.gaps)
            unknown.add_metric([name], total.unknown)
            late.add_metric([name, "10m"], total.late)
            late.add_metric([name, "1d"], total.very_late)
            for outcome, count in total.outcomes.items():
                events.add_metric([name, outcome], count)
            for reason, count in total.reasons.items():
                rejects.add_metric([name, reason], count)
            for source, (outcomes, reasons) in largest(total.sources).items():
                for outcome, count in outcomes.items():
                    sources.add_metric([source, name, outcome], count)
                for reason, count in reasons.items():
                    source_rejects.add_metric([source, name, reason], count)
        yield from (events, rejects, sources, source_rejects, read, gaps, unknown, late)

    def _indicators(self, now: int) -> Iterator[Metric]:
        labels = ["indicator", "province", "district", "level", "dims"]
        families = {
            "value": GaugeMetricFamily(
                "ioc_ind_value", "Latest value of an indicator.", labels=labels
            ),
            "target": GaugeMetricFamily(
                "ioc_ind_target", "Target of an indicator's latest period.", labels=labels
            ),
            "age_seconds": GaugeMetricFamily(
                "ioc_ind_age_seconds", "Age of an indicator's latest reading.", labels=labels
            ),
        }
        for series in self._view.indicators(now, communes=False):
            row = self._territories.row(str(series["territory"]))
            if row is None:
                continue
            province = district = ""
            if row.level == "district":
                district, province = row.code, self._territories.rows[row.parent].code
            elif row.level == "province":
                province = row.code
            dims = str(series["series"]).rsplit("|", 1)[-1]
            for name, family in families.items():
                value = series.get(name)
                if isinstance(value, int | float):
                    family.add_metric(
                        [str(series["indicator"]), province, district, row.level, dims], value
                    )
        yield from families.values()


class MetricsPage:
    """The whole page, in the format that the client accepts."""

    def __init__(
        self,
        view: View,
        territories: Territories,
        collector: PipelineCollector,
        now: Callable[[], int],
        complete: Callable[[], bool],
    ) -> None:
        """``complete``: the partial results were read to their end; no KPI is shown before."""
        self._view, self._now, self._complete = view, now, complete
        self._collector = collector
        self._places = Places(territories)
        self._parts = parts(view.selection)
        self._marginals = Marginals(view)
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        for make in (ProcessCollector, PlatformCollector, GCCollector):
            make(registry=self._registry)
        self._building = asyncio.Lock()
        self._kpis = b""
        self._built_for: tuple[int, int] | None = None
        self._began = float("-inf")

    async def page(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type for an Accept header.

        Never older than the moment it was asked for, except for what no partial result changed.
        """
        asked = time.monotonic()
        encode, content_type = choose_encoder(accept)
        # First, so that no offset is shown as applied that the KPIs of the page do not count.
        rest = encode(self._registry)
        kpis = await self._kpi_text(asked) if self._complete() else b""
        if rest.endswith(_EOF):
            return rest[: -len(_EOF)] + kpis + _EOF, content_type
        return rest + kpis, content_type

    async def _kpi_text(self, asked: float) -> bytes:
        async with self._building:
            state = (self._view.version, self._now() // 10_000)
            # A build that began after this scrape was asked for is as good as one made for it.
            if state != self._built_for and self._began < asked:
                self._began = time.monotonic()
                self._kpis = await self._build()
                self._built_for = state
            return self._kpis

    async def _build(self) -> bytes:
        pace = Pace(SLICE_S)
        out: list[str] = []
        metric = ""
        self._marginals.forget()
        for part in self._parts:
            for _ in self._marginals.steps(part.kpi, part.window, self._now()):
                await pace.rest()
            rows = self._marginals.rows(part.kpi, part.window, part.dimension, self._now())
            if part.metric != metric:
                metric = part.metric
                out.append(heading(part))
            out.extend(lines(part, rows, self._places))
            await pace.rest()
        self._collector.build_seconds = pace.spent()
        return "".join(out).encode()
