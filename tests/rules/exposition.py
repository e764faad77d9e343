"""Metrics pages made from the catalogue and the declared signals: what a living system exposes.

Every metric of every KPI, window, dimension and level, with numbers that grow with time where they
are counters; so that every query of every board has something to answer.
"""

import csv
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from grafana.labels import INDICATOR_DOMAINS, WORDS
from grafana.metrics import (
    OUTCOMES,
    PRODUCERS,
    SIGNALS,
    TOPICS,
    Signal,
    exposed,
    has_base,
    label_of,
    windows,
)
from services.core.kpis import Kpi

TERRITORIES = Path(__file__).parents[2] / "services/runtime/data/territories.csv"
DISTRICTS_EACH = 3

Labels = Mapping[str, str]


def sample(name: str, labels: Labels, value: float) -> str:
    """One line of the text format."""
    shown = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{shown}}} {value}\n"


@lru_cache
def places() -> tuple[dict[str, str], ...]:
    """all, the provinces and some districts of each, with name and coordinates."""
    found: list[dict[str, str]] = []
    seen: dict[str, int] = {}
    with TERRITORIES.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            province = row["province_code"]
            where = {"lat": row["lat"], "lon": row["lon"]}
            if province not in seen:
                found.append(_place("province", province, "", row["province"], where))
            seen[province] = seen.get(province, 0) + 1
            if seen[province] <= DISTRICTS_EACH:
                district = row["district_code"]
                found.append(_place("district", province, district, row["district"], where))
    return (_place("all", "", "", "Tất cả", {"lat": "", "lon": ""}), *found)


def _place(level: str, province: str, district: str, name: str, where: Labels) -> dict[str, str]:
    return {"level": level, "province": province, "district": district, "name": name, **where}


def _territory(place: Labels) -> dict[str, str]:
    return {key: place[key] for key in ("level", "province", "district")}


def _kpi(kpi: Kpi) -> Iterator[str]:
    value = 0.8 if kpi.unit == "ratio" else 50.0
    for window in windows(kpi):
        for place in places():
            labels = {"window": window, **_territory(place)}
            yield sample(kpi.metric, labels, value)
            if has_base(kpi):
                yield sample(f"{kpi.metric}_entities", labels, 40)
            if place["level"] == "district":
                continue
            for dimension in kpi.dimensions:
                for code in list(WORDS[dimension])[:3]:
                    split = labels | {label_of(dimension): code}
                    yield sample(f"{kpi.metric}_by_{dimension}", split, value)


def _indicators() -> Iterator[str]:
    for domain in INDICATOR_DOMAINS:
        for place in places():
            if place["level"] != "all":
                labels = {"indicator": f"{domain}.example", **_territory(place), "dims": ""}
                yield sample("ioc_ind_value", labels, 0.9)
                yield sample("ioc_ind_target", labels, 1)
                yield sample("ioc_ind_age_seconds", labels, 120)


_VALUES: Mapping[str, tuple[str, ...]] = {
    "topic": TOPICS,
    "outcome": OUTCOMES,
    "reason": ("schema", "not_json"),
    "source": ("/ioc/sim/demo",),
    "partition": ("0", "1", "2", "3"),
    "province": tuple(p["province"] for p in places() if p["level"] == "province"),
    "lateness": ("10m", "1d"),
    "kind": PRODUCERS,
}


def _signal(signal: Signal, tick: int) -> Iterator[str]:
    """All combinations of the labels of a signal (``tick`` counts the scrapes)."""
    combinations: list[dict[str, str]] = [{}]
    for label in signal.labels:
        combinations = [c | {label: value} for c in combinations for value in _VALUES[label]]
    for labels in combinations:
        if signal.kind == "histogram":
            for bound in ("0.01", "0.1", "+Inf"):
                yield sample(f"{signal.name}_bucket", labels | {"le": bound}, 7 * tick)
            yield sample(f"{signal.name}_sum", labels, 0.05 * tick)
            yield sample(f"{signal.name}_count", labels, 7 * tick)
        else:
            yield sample(signal.name, labels, 100 * tick if signal.kind == "counter" else 1)


def _signals(job: str, tick: int, without: tuple[str, ...] = ()) -> Iterator[str]:
    for signal in SIGNALS:
        if signal.job == job and not signal.name.startswith(without or ("-",)):
            yield from _signal(signal, tick)


def _process(tick: int) -> Iterator[str]:
    yield sample("process_resident_memory_bytes", {}, 1e8)
    yield sample("process_cpu_seconds_total", {}, 0.1 * tick)
    yield sample("process_start_time_seconds", {}, 1.6e9)


def view(tick: int) -> str:
    """The page of the view."""
    lines = [
        *(sample("ioc_territory_info", place, 1) for place in places() if place["level"] != "all"),
        *(line for kpi in exposed() for line in _kpi(kpi)),
        *_indicators(),
        *_signals("view", tick, ("ioc_territory_info", "ioc_ind_", "ioc_conservation")),
        sample("ioc_conservation_broken", {}, 0),
        *_process(tick),
    ]
    return "".join(lines)


def worker(tick: int) -> str:
    """The page of a KPI worker."""
    return "".join([*_signals("kpi", tick), *_process(tick)])


def producer(tick: int) -> str:
    """The page of a producer."""
    return "".join([*_signals("producer", tick), *_process(tick)])
