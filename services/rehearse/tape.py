"""What the view showed in the course of a rehearsal: a page of metrics at each instant.

A tape can be kept in a file and judged again: that is how one writes expectations, and how they are
tested, without playing the records once more.
"""

import gzip
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from services.core.kpis import CATALOGUE
from services.rehearse.scenario import MINUTE_MS, Range, Shown

FORMAT = 1
_LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
#: What Prometheus would add to the view's own metrics.
SCRAPED_AS = 'job="view",instance="view",service="view"'


class TapeError(Exception):
    """A file is no tape, or the tape of something else; the message says which."""


class Wanted(Protocol):
    """Which series of a page are kept."""

    def metric(self, name: str) -> bool: ...

    def series(self, series: str) -> bool: ...

    def one_is_enough(self, name: str) -> bool: ...


def parse_page(text: str, wanted: Wanted) -> dict[str, float]:
    """Series (name and labels as text) to value, as far as they are wanted."""
    found: dict[str, float] = {}
    metrics: dict[str, bool] = {}
    for line in text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        keep = metrics.get(name)
        if keep is None:
            keep = metrics[name] = not line.startswith("#") and wanted.metric(name)
        match = _LINE.match(line) if keep else None
        if match is None:
            continue
        _, labels, value = match.groups()
        series = f"{name}{{{','.join(filter(None, (labels, SCRAPED_AS)))}}}"
        if wanted.series(series):
            found[series] = float(value)
            metrics[name] = not wanted.one_is_enough(name)
    return found


def labels_of(series: str) -> dict[str, str]:
    """The labels of a series."""
    return dict(_LABEL.findall(series.partition("{")[2]))


def question(asked: Range) -> str:
    """What identifies an answer of the view on a tape."""
    return f"{asked.shown.title} at {asked.at}"


@dataclass
class Tape:
    """Samples by instant (ms), ``answers`` of the view to questions, and facts about the run."""

    instants: list[int] = field(default_factory=list)
    #: Series -> a value for each instant, None where the page did not have it.
    series: dict[str, list[float | None]] = field(default_factory=dict)
    answers: dict[str, float | None] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def add(self, at: int, page: Mapping[str, float]) -> None:
        """One more page; instants ascend."""
        before = len(self.instants)
        self.instants.append(at)
        for name, value in page.items():
            values = self.series.get(name)
            if values is None:
                values = self.series[name] = [None] * before
            values.append(value)
        for values in self.series.values():
            if len(values) == before:
                values.append(None)

    def by_minute(self) -> tuple[int, dict[str, list[float | None]]]:
        """The first minute (ms), and the samples of every minute: the last page's holds on."""
        first = self.instants[0]
        which: list[int] = []
        at = 0
        for minute in range(first, self.instants[-1] + 1, MINUTE_MS):
            while at + 1 < len(self.instants) and self.instants[at + 1] <= minute:
                at += 1
            which.append(at)
        return first, {name: [v[i] for i in which] for name, v in self.series.items()}

    def curve(self, shown: Shown) -> list[float | None] | None:
        """The values of a KPI at the instants, as far as the page has it."""
        kpi = CATALOGUE[shown.kpi]
        if shown.where:
            return None
        code = shown.territory
        want = {"window": shown.window or "now", "province": "", "district": ""}
        if code != "all":
            want["province" if len(code) == 2 else "district"] = code
        for name, values in self.series.items():
            if not name.startswith(f"{kpi.metric}{{"):
                continue
            labels = labels_of(name)
            if len(code) == 3:
                labels["province"] = ""
            if all(labels.get(k) == v for k, v in want.items()):
                return [None if v is None else v / kpi.metric_factor for v in values]
        return None

    # --- files ----------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write it (gzip, JSON). Raises OSError."""
        body = {
            "ioc_tape": FORMAT, "about": self.about, "instants": self.instants,
            "answers": self.answers, "series": {n: _packed(v) for n, v in self.series.items()},
        }  # fmt: skip
        path.write_bytes(gzip.compress(json.dumps(body).encode(), mtime=0))

    @classmethod
    def load(cls, path: Path) -> "Tape":
        """Read one. Raises TapeError."""
        try:
            body = json.loads(gzip.decompress(path.read_bytes()))
        except OSError as error:
            raise TapeError(f"{path} cannot be read: {error}") from None
        except (EOFError, ValueError) as error:
            raise TapeError(f"{path} is no tape: {error}") from None
        if not isinstance(body, dict) or body.get("ioc_tape") != FORMAT:
            raise TapeError(f"{path} is no tape of format {FORMAT}")
        series = {name: _unpacked(runs) for name, runs in body["series"].items()}
        return cls(body["instants"], series, body["answers"], body["about"])


def _packed(values: Iterable[float | None]) -> list[list[Any]]:
    """Runs of equal values: [how often, value]."""
    runs: list[list[Any]] = []
    for value in values:
        if runs and runs[-1][1] == value:
            runs[-1][0] += 1
        else:
            runs.append([1, value])
    return runs


def _unpacked(runs: Iterable[list[Any]]) -> list[float | None]:
    return [value for times, value in runs for _ in range(times)]
