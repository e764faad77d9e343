"""One simulated day, folded and asked: the numbers that must not change by accident.

    python -m tests.contract.golden_day     writes tests/contract/golden_day.json anew

The day (Wednesday 12 November 2025, seed 11, default faults) goes through the codec, the fold, the
ring and the view on the event clock, heartbeats left out. A change of this file is a change of the
simulation or of the meaning of a number: look at the difference before you commit it.
"""

import json
from datetime import date
from pathlib import Path
from typing import Any

from services.core.calendar import day_of
from services.core.calendar_day import DAY_MS, OFFSET_MS
from services.core.kpis import CATALOGUE
from services.oracle.raw import RawRecord, partition_of
from services.runtime.reference import load_territories
from services.simulation.stream import KINDS
from services.simulation.world import world
from tests.contract.rig import Rig

FILE = Path(__file__).with_suffix(".json")
PARTITIONS = 2
START = day_of(date(2025, 11, 12)) * DAY_MS - OFFSET_MS
END = START + DAY_MS


def records() -> dict[tuple[str, int], list[RawRecord]]:
    """The records of the day by topic and partition, in order of arrival."""
    simulation = world(load_territories(), seed=11)
    places: dict[tuple[str, int], list[RawRecord]] = {}
    for kind in KINDS:
        for arrival in simulation.stream(kind, START, END, beats_from=END):
            partition = partition_of(arrival.key, PARTITIONS)
            log = places.setdefault((arrival.topic, partition), [])
            headers = [("ioc-arrival", str(arrival.at).encode())]
            log.append(
                RawRecord(
                    arrival.topic, partition, len(log), END, arrival.key, arrival.value, headers
                )
            )
    return places


def numbers() -> dict[str, Any]:
    """Outcomes by topic, and every KPI of the day over all provinces and by province."""
    rig = Rig(PARTITIONS, "event")
    places = records()
    for place, log in places.items():
        for start in range(0, len(log), 5000):
            rig.fold(place, log[start : start + 5000], flush=True)
    view = rig.view()
    outcomes: dict[str, dict[str, int]] = {}
    for (topic, _), head in sorted(view.heads.items()):
        of_topic = outcomes.setdefault(topic, {})
        for outcome, count in head.outcomes.items():
            of_topic[outcome] = of_topic.get(outcome, 0) + count
    kpis: dict[str, Any] = {}
    for kpi in CATALOGUE.values():
        if kpi.kind == "indicator":
            continue
        window = None if kpi.is_stock else "24h"
        for by in (None, "province"):
            _, rows = view.query(kpi.name, now=0, window=window, by=by, as_of=END - 1)
            for row in rows:
                value = round(row.value, 9) if isinstance(row.value, float) else row.value
                kpis[f"{kpi.name} {row.territory}"] = [value, row.count]
    return {"outcomes": outcomes, "kpis": kpis}


if __name__ == "__main__":
    FILE.write_text(json.dumps(numbers(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
