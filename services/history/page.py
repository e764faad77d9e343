"""All samples of an instant under the names of the metrics page, straight from the merged state.

What the boards ask for: every KPI in every window of the page, by dimension and with the entities
behind a rate, indicators, outcomes and feeds. What belongs to the processes of a running system
(lag, memory, scrapes) has no past here.
"""

from collections.abc import Iterator

from grafana.metrics import exposed, has_base, label_of, windows
from schemas.catalog import SOURCES
from services.core.head import OUTCOMES
from services.core.kpis import Kpi
from services.core.marginals import Marginals
from services.core.merge import View
from services.core.rows import Row
from services.core.territory import Territories

#: Metric name, labels as Prometheus writes them, value.
Sample = tuple[str, str, float]


class Page:
    """The samples of a view; to be asked at instants that do not go back."""

    def __init__(self, view: View, territories: Territories) -> None:
        self._view, self._territories = view, territories
        self._marginals = Marginals(view)
        self._known = {row.code for row in territories.rows if row.known}
        self._places: dict[str, str] = {}
        for row in territories.rows:
            codes = {"province": "", "district": ""}
            at = row
            while at.parent >= 0:
                codes[at.level] = at.code
                at = territories.rows[at.parent]
            self._places[row.code] = (
                f'level="{row.level}",province="{codes["province"]}",district="{codes["district"]}"'
            )
        self._info = list(self._territory_info())

    def samples(self, at: int) -> Iterator[Sample]:
        """Everything at an instant (ms), the samples of one metric after one another."""
        self._marginals.forget()
        for kpi in exposed():
            yield from self._of_kpi(kpi, at)
        yield from self._info
        yield from self._indicators(at)
        yield from self._counters()
        yield from self._feeds(at)
        heads = self._view.heads.values()
        yield "ioc_simulated", "", float(any(head.simulated for head in heads))
        broken = any(head.read + head.gaps != head.fence + 1 for head in heads)
        yield "ioc_conservation_broken", "", float(broken)
        yield "ioc_caught_up", "", 1.0

    def _of_kpi(self, kpi: Kpi, at: int) -> Iterator[Sample]:
        found = {w: self._rows(kpi, w, None, at) for w in windows(kpi)}
        for window, rows in found.items():
            for row in rows:
                if row.value is not None:
                    yield kpi.metric, self._labels(window, row), self._in_base_unit(kpi, row)
        if has_base(kpi):
            for window, rows in found.items():
                for row in rows:
                    if row.count is not None and row.territory in self._known:
                        yield f"{kpi.metric}_entities", self._labels(window, row), float(row.count)
        for dimension in kpi.dimensions:
            label = label_of(dimension)
            for window in found:
                for row in self._rows(kpi, window, dimension, at):
                    if row.value is not None:
                        labels = f'{self._labels(window, row)},{label}="{row.by}"'
                        yield f"{kpi.metric}_by_{dimension}", labels, self._in_base_unit(kpi, row)

    def _rows(self, kpi: Kpi, window: str, dimension: str | None, at: int) -> list[Row]:
        return self._marginals.rows(kpi, None if kpi.is_stock else window, dimension, at)

    def _labels(self, window: str, row: Row) -> str:
        return f'window="{window}",{self._places[row.territory]}'

    @staticmethod
    def _in_base_unit(kpi: Kpi, row: Row) -> float:
        value = row.value
        if not isinstance(value, int | float):
            raise TypeError(f"{kpi.name} has no number: {value!r}")
        return value if kpi.metric_factor == 1 else value * kpi.metric_factor

    def _territory_info(self) -> Iterator[Sample]:
        def info(level: str, province: str, district: str, name: str, lat: str, lon: str) -> Sample:
            labels = (
                f'level="{level}",province="{province}",district="{district}",name="{name}",'
                f'lat="{lat}",lon="{lon}"'
            )
            return "ioc_territory_info", labels, 1.0

        for code, name in self._territories.provinces.items():
            yield info("province", code, "", name, "", "")
        for d in self._territories.districts.values():
            place = (str(d.lat), str(d.lon))
            yield info("district", d.province_code, d.district_code, d.district, *place)

    def _indicators(self, at: int) -> Iterator[Sample]:
        latest = self._view.indicators(at, communes=False)
        for name in ("value", "target", "age_seconds"):
            for series in latest:
                value = series.get(name)
                row = self._territories.row(str(series["territory"]))
                if row is None or row.level == "commune" or not isinstance(value, int | float):
                    continue
                dims = str(series["series"]).rsplit("|", 1)[-1]
                province = row.code if row.level == "province" else ""
                if row.level == "district":
                    province = self._territories.rows[row.parent].code
                district = row.code if row.level == "district" else ""
                yield (
                    f"ioc_ind_{name}",
                    f'indicator="{series["indicator"]}",province="{province}",'
                    f'district="{district}",level="{row.level}",dims="{escaped(dims)}"',
                    value,
                )

    def _counters(self) -> Iterator[Sample]:
        found: dict[str, dict[str, float]] = {}

        def add(metric: str, labels: str, count: float) -> None:
            of = found.setdefault(metric, {})
            of[labels] = of.get(labels, 0) + count

        for topic in SOURCES:
            here = f'topic="{topic.name}"'
            for outcome in OUTCOMES:
                add("ioc_events_total", f'{here},outcome="{outcome}"', 0)
            heads = [h for (name, _), h in self._view.heads.items() if name == topic.name]
            for head in heads:
                add("ioc_records_read_total", here, head.read)
                add("ioc_log_gaps_total", here, head.gaps)
                add("ioc_unknown_territory_total", here, head.unknown)
                add("ioc_late_events_total", f'{here},lateness="10m"', head.late)
                add("ioc_late_events_total", f'{here},lateness="1d"', head.very_late)
                for outcome, count in head.outcomes.items():
                    add("ioc_events_total", f'{here},outcome="{outcome}"', count)
                for reason, count in head.reasons.items():
                    add("ioc_rejects_total", f'{here},reason="{reason}"', count)
                for source, counts in head.sources.items():
                    by = f'source="{escaped(source)}",{here}'
                    for outcome, n in counts.outcomes.items():
                        add("ioc_source_events_total", f'{by},outcome="{outcome}"', n)
                    for reason, n in counts.reasons.items():
                        add("ioc_source_rejects_total", f'{by},reason="{reason}"', n)
        for metric, counted in found.items():
            for labels, total in counted.items():
                yield metric, labels, total

    def _feeds(self, at: int) -> Iterator[Sample]:
        for topic in SOURCES:
            latest: dict[str, int] = {}
            for (name, _), head in self._view.heads.items():
                for province, arrival in head.feeds.items() if name == topic.name else ():
                    latest[province] = max(arrival, latest.get(province, arrival))
            for province, last in latest.items():
                labels = f'topic="{topic.name}",province="{escaped(province)}"'
                yield "ioc_feed_age_seconds", labels, max(at - last, 0) / 1000


def escaped(text: str) -> str:
    """A label's value as the text format wants it."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
