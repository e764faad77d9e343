"""The comparison at a small size: every engine gives the oracle's answers, and the report is whole.

Rates are not asserted: on a machine that does other things they say nothing (``make bench``).
"""

import argparse
import json
from pathlib import Path

import pytest

from tests.bench import compare

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(1200)]


def test_all_engines_answer_alike_and_the_report_names_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "REPORT", tmp_path / "build" / "bench.json")
    monkeypatch.setattr(compare, "CHART", tmp_path / "build" / "bench.svg")
    options = argparse.Namespace(events=20_000, small=3_000, rounds=1, only="")
    assert compare.bench(options) == 0
    report = json.loads(compare.REPORT.read_text())
    assert set(compare.KEYS) <= report.keys()
    found = {name: figures for name, figures in report.items() if figures is not None}
    assert {"ours", "ours_six", "raw_drain", "drain_decode", "kafka_streams"} <= found.keys()
    assert all(figures["events_per_s"] > 0 for figures in found.values())
    answering = found.keys() - {"raw_drain", "drain_decode"}
    assert all(found[name]["equal"] is True for name in answering)
    for figures in found.values():
        assert figures["title"] in compare.CHART.read_text()
