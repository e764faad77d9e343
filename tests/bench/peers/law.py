"""The six KPIs as a user of any Python engine would write them, and how a peer reports.

Nothing of the project is imported: the engines run in another environment. What is common to all
of them is here, so that only the engines differ. Windows are not kept: as in our worker, an event
changes one sum per KPI, district and 10-second pane, and a window is the sum of its panes when it
is asked for. (With hopping windows every event would change 360 rows.)
"""

import csv
import json
import os
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

PANE_MS = 10_000
#: 10-second panes are kept for three hours: an older milestone is in no window that can be asked.
KEPT_MS = 3 * 3_600_000
WINDOWS = {"5m": 300_000, "1h": 3_600_000}
#: The pane of what is counted now, whenever it happened.
NOW = 0
STOCK = ("fr.open_now", "gov.open_now")

#: KPI, district, pane; what it adds to the numerator and to the denominator of that sum.
Sum = tuple[str, str, int]
Amounts = dict[Sum, tuple[int, int]]

_REPORT_OPEN = {"received", "verifying", "assigned", "in_progress", "extended", "reopened"}
_CASE_OPEN = {"registered", "accepted", "processing", "supplement", "payment_due"}


class Places:
    """District of every commune, province of every district."""

    def __init__(self, folder: Path) -> None:
        with (folder / "territories.csv").open(encoding="utf-8", newline="") as rows:
            self._provinces = {r["district_code"]: r["province_code"] for r in csv.DictReader(rows)}
        with (folder / "communes.csv").open(encoding="utf-8", newline="") as rows:
            self._districts = {r["commune_code"]: r["district_code"] for r in csv.DictReader(rows)}

    def district(self, data: dict[str, Any]) -> str:
        """The row of the district level in which an entity counts."""
        province = data["province_code"]
        district = data.get("district_code") or self._districts.get(data.get("commune_code") or "")
        if district is None:
            return f"{province}.none"
        return district if self._provinces.get(district) == province else f"{province}.unknown"


def instant(text: str) -> int:
    """RFC 3339 text as ms since the epoch."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def entity(type_: str, data: dict[str, Any]) -> str | None:
    """The key of an entity that the six KPIs speak of, None for any other."""
    if type_ == "ioc.admin_case.v1":
        return str(data["case_id"])
    if type_ == "ioc.field_report.v1":
        return str(data["report_id"])
    if type_ == "ioc.order.v1":
        return f"{data['store_id']}|{data['order_id']}"
    return None


def amounts(type_: str, data: dict[str, Any], arrival: int, places: Places) -> Amounts:
    """What the latest state of an entity adds to the sums."""
    district, oldest = places.district(data), arrival - KEPT_MS
    found: Amounts = {}

    def add(kpi: str, at: str | None, n: int, d: int = 0) -> None:
        if at is not None and (when := instant(at)) >= oldest:
            found[kpi, district, when // PANE_MS] = n, d

    if type_ == "ioc.admin_case.v1":
        add("gov.cases_received", data["registered_at"], 1)
        solved, due = data.get("solved_at"), data.get("due_at")
        if solved is not None and due is not None:
            add("gov.on_time_rate", solved, int(instant(solved) <= instant(due)), 1)
        if data["status"] in _CASE_OPEN:
            found["gov.open_now", district, NOW] = 1, 0
    elif type_ == "ioc.field_report.v1":
        add("fr.received", data["reported_at"], 1)
        if data["status"] in _REPORT_OPEN:
            found["fr.open_now", district, NOW] = 1, 0
    elif data["status"] == "completed":
        add("eco.gmv_vnd", data.get("completed_at"), data["value_vnd"])
    return found


def changes(old: Amounts, new: Amounts) -> list[tuple[Sum, int, int]]:
    """What changes in the sums when a state takes the place of another."""
    out = []
    for key, (n, d) in new.items():
        was_n, was_d = old.get(key, (0, 0))
        if n != was_n or d != was_d:
            out.append((key, n - was_n, d - was_d))
    out += [(key, -n, -d) for key, (n, d) in old.items() if key not in new]
    return out


class Report:
    """What a peer is asked for in its environment, and what it hands back in files."""

    def __init__(self) -> None:
        self.bootstrap = os.environ["BENCH_BOOTSTRAP"]
        self.topics = os.environ["BENCH_TOPICS"].split(",")
        self.partitions = int(os.environ["BENCH_PARTITIONS"])
        self.events = int(os.environ["BENCH_EVENTS"])
        self.name = os.environ["BENCH_NAME"]
        self.folder = Path(os.environ["BENCH_FOLDER"])
        self.as_of = int(os.environ["BENCH_AS_OF"])
        self.places = Places(Path(os.environ["BENCH_TERRITORIES"]))
        self.absorbed = 0
        self._began = self._cpu = 0.0

    def absorb(self) -> bool:
        """Count a record; whether it was the last one. The first one starts the clock."""
        if not self.absorbed:
            self.start()
        self.absorbed += 1
        return self.absorbed == self.events

    def start(self) -> None:
        """Everything before this was starting up."""
        self._began, self._cpu = time.time(), time.process_time()

    def done(self, sums: dict[Sum, tuple[int, int]] | None = None) -> None:
        """All is absorbed and flushed: write the figures, and the answers from the sums."""
        figures = {
            "began": self._began,
            "ended": time.time(),
            "cpu_s": time.process_time() - self._cpu,
            "events": self.absorbed,
            "rss_mb": _highest_resident_mb(),
        }
        if sums is not None:
            answers = json.dumps(self._answers(sums))
            (self.folder / "answers.json").write_text(answers, encoding="utf-8")
        (self.folder / "figures.json").write_text(json.dumps(figures), encoding="utf-8")

    def _answers(self, sums: dict[Sum, tuple[int, int]]) -> dict[str, list[int]]:
        rows: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        end = self.as_of // PANE_MS + 1
        for (kpi, district, pane), (n, d) in sums.items():
            for window, length in WINDOWS.items():
                if kpi in STOCK:
                    window = "now"
                elif not end - length // PANE_MS <= pane < end:
                    continue
                row = rows[f"{kpi}|{window}|{district}"]
                row[0] += n
                row[1] += d
                if kpi in STOCK:
                    break
        return {name: row for name, row in rows.items() if row != [0, 0]}


def _highest_resident_mb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
