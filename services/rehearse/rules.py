"""The shipped alert rules, evaluated by Prometheus' own engine over the series of a tape.

``promtool test rules`` runs the rule files on simulated time, with every ``for:`` and every look
back in it; a test is written that asks for ``ALERTS`` at every minute, expects nothing, and so gets
told what there is. Simulated time begins at zero there: ``time()`` in a rule, by which the rules
know office hours and holidays, is moved to where the tape begins, and nothing else is changed.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

import services
from services.rehearse.scenario import MINUTE_MS
from services.rehearse.tape import Tape, labels_of

RULES = Path(services.__file__).resolve().parents[1] / "deploy" / "prometheus" / "rules"
#: Functions that would read simulated time in another way than ``time()``.
_OTHER_CLOCKS = re.compile(
    r"\b(?:minute|hour|day_of_week|day_of_month|day_of_year|days_in_month|month|year)\(\s*\)"
    r"|\btimestamp\(|@"
)
_TIME = re.compile(r"\btime\(\s*\)")
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
_ABSENT = re.compile(r"\babsent\((\w+)\)")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_TOLD = re.compile(r'expr: "ALERTS\{alertstate=\\"firing\\"\} # (\d+)".*?\n\s*got:\s*(.*?)\n', re.S)
_SENTINEL = "vector(1) # sentinel"
_SAMPLE = re.compile(r"\{((?:[^{}\"]|\"(?:[^\"\\]|\\.)*\")*)\} \S+")
#: What every alert carries and what does not tell two apart.
_NOT_TELLING = (
    "__name__", "alertname", "alertstate", "severity", "owner", "job", "instance", "service",
    "window", "level", "district",
)  # fmt: skip


Matchers = tuple[tuple[str, str, re.Pattern[str]], ...]


class RulesError(Exception):
    """The rules cannot be evaluated; the message says why."""


@dataclass(frozen=True)
class Episode:
    """An alert that fired from ``first`` to before ``last`` (ms); ``open``: and still did."""

    alert: str
    labels: Mapping[str, str]
    severity: str
    first: int
    last: int
    open: bool


@dataclass(frozen=True)
class RuleFiles:
    """The parsed rule files, by name."""

    files: Mapping[str, Any]

    @classmethod
    def shipped(cls, folder: Path = RULES) -> "RuleFiles":
        """Those of ``deploy``. Raises RulesError when there are none."""
        found = {p.name: yaml.safe_load(p.read_text("utf-8")) for p in sorted(folder.glob("*.yml"))}
        if not found:
            raise RulesError(f"no rule files in {folder}: run from a checkout")
        return cls(found)

    def _rules(self) -> list[dict[str, Any]]:
        return [r for f in self.files.values() for g in f["groups"] for r in g["rules"]]

    @property
    def alerts(self) -> list[str]:
        """The names of all alerts."""
        return sorted(rule["alert"] for rule in self._rules() if "alert" in rule)

    @property
    def metrics(self) -> set[str]:
        """Every word of the expressions that may be a metric's name."""
        return set(self.selectors)

    @cached_property
    def selectors(self) -> dict[str, list[Matchers]]:
        """By metric, the label matchers with which the expressions select it.

        What is no metric (a function, a label) is in it too, and harms nobody.
        """
        found: dict[str, list[Matchers]] = {}
        for rule in self._rules():
            for name, braces in _SELECTOR.findall(rule["expr"]):
                matchers = tuple(
                    (label, how, _pattern(how, json.loads(f'"{value}"')))
                    for label, how, value in _MATCHER.findall(braces)
                )
                found.setdefault(name, []).append(matchers)
        return found

    @cached_property
    def only_absent(self) -> frozenset[str]:
        """Metrics of which the rules only ask whether there is any series at all."""
        every = "\n".join(rule["expr"] for rule in self._rules())
        return frozenset(
            name
            for name in _ABSENT.findall(every)
            if len(re.findall(rf"\b{re.escape(name)}\b", every))
            == len(re.findall(rf"\babsent\({re.escape(name)}\)", every))
        )

    def select(self, series: str) -> bool:
        """Whether some expression selects the series."""
        found = self.selectors.get(series.partition("{")[0])
        if not found:
            return False
        labels = labels_of(series)
        return any(
            all(
                (pattern.fullmatch(labels.get(label, "")) is not None) == (how in ("=", "=~"))
                for label, how, pattern in matchers
            )
            for matchers in found
        )

    def moved(self, start: int) -> dict[str, Any]:
        """The files with ``time()`` counting from ``start`` (ms). Raises RulesError."""
        files: dict[str, Any] = json.loads(json.dumps(self.files))
        for file in files.values():
            for group in file["groups"]:
                for rule in group["rules"]:
                    bare = _QUOTED.sub('""', rule["expr"])
                    if other := _OTHER_CLOCKS.search(bare):
                        name = rule.get("alert") or rule["record"]
                        raise RulesError(
                            f"{name} tells the time by {other[0]!r}, which cannot be moved"
                        )
                    rule["expr"] = _TIME.sub(f"(time() + {start // 1000})", rule["expr"])
        return files


def _pattern(how: str, value: str) -> re.Pattern[str]:
    return re.compile(value if "~" in how else re.escape(value))


def find_promtool() -> str | None:
    """promtool on PATH, or None."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/bin"])
    return shutil.which("promtool", path=path)


def evaluate(tape: Tape, rules: RuleFiles, promtool: str, *, judged_from: int) -> list[Episode]:
    """Every episode of every alert that goes on after ``judged_from`` (ms), by the minute.

    Raises RulesError.
    """
    first, series = tape.by_minute()
    minutes = max(map(len, series.values()), default=0)
    if not minutes:
        raise RulesError("the tape is empty")
    with tempfile.TemporaryDirectory(prefix="ioc-rehearse-rules-") as scratch:
        folder = Path(scratch)
        names = []
        for name, file in rules.moved(first).items():
            (folder / name).write_text(json.dumps(file, ensure_ascii=False), encoding="utf-8")
            names.append(name)
        test = folder / "rehearsal-test.yml"
        asked = {name: values for name, values in series.items() if rules.select(name)}
        test.write_text(json.dumps(_test(names, asked, minutes)), encoding="utf-8")
        done = subprocess.run(
            [promtool, "test", "rules", test.name],
            cwd=folder, capture_output=True, text=True, check=False, timeout=900,
        )  # fmt: skip
    said = done.stdout + done.stderr
    if "# sentinel" not in said or "got: {} 1E+00" not in said:
        raise RulesError(f"promtool could not evaluate the rules: {said.strip()[:800]}")
    firing: dict[tuple[str, str], list[int]] = {}
    told: dict[tuple[str, str], dict[str, str]] = {}
    for minute, got in _TOLD.findall(said):
        for inner in _SAMPLE.findall(got):
            labels = labels_of("{" + inner)
            key = (labels["alertname"], inner)
            told[key] = labels
            firing.setdefault(key, []).append(int(minute))
    episodes = [
        episode
        for key, at in firing.items()
        for episode in _episodes(told[key], sorted(at), first, minutes)
    ]
    late = [e for e in episodes if e.last > judged_from]
    return sorted(late, key=lambda e: (e.first, e.alert, sorted(e.labels.items())))


def _test(
    files: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    minutes: int,
) -> dict[str, Any]:
    asked = [
        {
            "expr": f'ALERTS{{alertstate="firing"}} # {minute}',
            "eval_time": f"{minute}m",
            "exp_samples": [],
        }
        for minute in range(minutes)
    ]
    asked.append({"expr": _SENTINEL, "eval_time": "0m", "exp_samples": []})
    return {
        "rule_files": list(files),
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": name, "values": _values(values)} for name, values in series.items()
                ],
                "promql_expr_test": asked,
            }
        ],
    }


def _values(values: Sequence[float | None]) -> str:
    """promtool's notation: ``5x3`` is 5 and three more, ``_x4`` four times nothing."""
    out: list[str] = []
    at = 0
    while at < len(values):
        end = at
        while end < len(values) and values[end] == values[at]:
            end += 1
        value, times = values[at], end - at
        if value is None:
            # Gone from the page: stale at once, as after a scrape without it.
            out.append("stale" if at else "_")
            if times > 1:
                out.append(f"_x{times - 1}")
        else:
            out.append(f"{value!r}" if times == 1 else f"{value!r}x{times - 1}")
        at = end
    return " ".join(out)


def _episodes(
    labels: Mapping[str, str], minutes: Sequence[int], first: int, count: int
) -> list[Episode]:
    runs: list[list[int]] = []
    for minute in minutes:
        if runs and runs[-1][1] == minute:
            runs[-1][1] = minute + 1
        else:
            runs.append([minute, minute + 1])
    shown = {k: v for k, v in labels.items() if k not in _NOT_TELLING and v}
    return [
        Episode(
            labels["alertname"], shown, labels.get("severity", ""),
            first + begin * MINUTE_MS, first + end * MINUTE_MS, end == count,
        )
        for begin, end in runs
    ]  # fmt: skip
