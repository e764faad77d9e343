"""The past as curves says what the view would have said; its text is what Prometheus takes."""

import io
import math
import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from schemas import catalog
from services.core.calendar import DAY_MS, HOUR_MS, day_of, day_start
from services.core.kpis import CATALOGUE
from services.core.merge import View
from services.core.state import PartitionState
from services.core.territory import Territories
from services.history.curves import Curve, Grid, Places, event_curves
from services.history.openmetrics import BlocksError, by_metric, make_blocks, write
from services.history.steady import indicator_curves, market_curves
from services.runtime.reference import load_territories
from services.simulation.stream import Kind, Simulation
from services.simulation.world import world

#: A Wednesday afternoon.
END = day_start(day_of(date(2025, 11, 12))) + 15 * HOUR_MS


class Record(NamedTuple):
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


@pytest.fixture(scope="module")
def small() -> Territories:
    territories = load_territories()
    return Territories(
        [d for d in territories.districts.values() if d.province_code == "45"],
        [c for c in territories.communes.values() if c.province_code == "45"],
    )


@pytest.fixture(scope="module")
def simulation(small: Territories) -> Simulation:
    return world(small, seed=5, faults={})


@pytest.fixture(scope="module")
def grid() -> Grid:
    return Grid(END - DAY_MS, END)


@pytest.fixture(scope="module")
def curves(simulation: Simulation, small: Territories, grid: Grid) -> list[Curve]:
    return [
        *event_curves(simulation, small, grid),
        *market_curves(simulation, Places(small), grid),
    ]


@pytest.fixture(scope="module")
def view(simulation: Simulation, small: Territories) -> View:
    """The same two days, event by event, through the fold and the merge."""
    found = View(small, 1, "wall")
    kinds: tuple[Kind, ...] = ("field-report", "admin-case", "listing")
    for kind in kinds:
        topic = next(t for t in catalog.SOURCES if t.kind == kind)
        state = PartitionState(topic, 0, 1, clock="wall", territories=small)
        state.open_epoch(1)
        start = END - 2 * DAY_MS
        arrivals = [*simulation.opening(kind, start), *simulation.stream(kind, start, END)]
        records = [Record(n, a.at, a.key, a.value) for n, a in enumerate(arrivals)]
        for i in range(0, len(records), 5_000):
            assert not state.fold(records[i : i + 5_000])
            for key, value in state.flush().parts:
                assert found.feed(0, key, value)
    return found


def test_the_last_point_of_every_curve_is_what_the_view_shows(
    curves: list[Curve], view: View
) -> None:
    by_name = {k.metric: k for k in CATALOGUE.values() if k.kind != "indicator"}
    equal = near = 0
    for curve in curves:
        labels = dict(curve.labels)
        kpi = by_name[curve.metric]
        place = labels["district"] or labels["province"] or "all"
        window = None if labels["window"] == "now" else labels["window"]
        _, rows = view.query(
            kpi.name, now=END, window=window, territory=place, as_of=END if window else None
        )
        shown, drawn = rows[0].value, float(curve.values[-1])
        assert not isinstance(shown, str)
        if shown is None:
            assert math.isnan(drawn), (kpi.name, labels)
            equal += 1
            continue
        shown *= kpi.metric_factor
        equal += math.isclose(shown, drawn, rel_tol=1e-9)
        # An event may be on its way in the last second, and a few cases are a day's worth.
        near += math.isclose(shown, drawn, rel_tol=0.1, abs_tol=2)
    assert near + equal >= len(curves)
    assert equal > 0.85 * len(curves)


def test_every_board_window_and_level_has_its_curves(curves: list[Curve]) -> None:
    found = {(c.metric, dict(c.labels)["window"], dict(c.labels)["level"]) for c in curves}
    assert {
        ("ioc_fr_received_reports", "1h", "all"),
        ("ioc_fr_received_reports", "today", "district"),
        ("ioc_gov_on_time_ratio", "24h", "district"),
        ("ioc_gov_overdue_cases", "now", "district"),
        ("ioc_gov_open_cases", "now", "province"),
        ("ioc_fr_open_reports", "now", "district"),
        ("ioc_eco_active_listings", "now", "province"),
        ("ioc_gov_online_payment_value_vnd", "24h", "province"),
    } <= found


def test_published_indicators_and_heartbeats_have_curves(
    simulation: Simulation, grid: Grid
) -> None:
    found = {
        (dict(c.labels)["indicator"], dict(c.labels)["district"], dict(c.labels)["dims"]): c
        for c in indicator_curves(simulation, grid)
    }
    assert np.nanmax(found["infra.vc_points_online", "", ""].values) == 10
    nodes = found["infra.tslcd_rate", "461", ""].values
    assert len(nodes) == DAY_MS // 300_000 + 1
    assert 0 < np.nanmin(nodes) <= 1
    assert not any(
        c.metric == "ioc_ind_value" and "text" in name for (name, _, _), c in found.items()
    )


def _some_curves() -> tuple[list[Curve], Grid]:
    grid = Grid(END - 36 * HOUR_MS, END)
    n = len(grid.instants) - grid.lead
    values = np.arange(n, dtype=float)
    values[3] = np.nan
    return [
        Curve("ioc_b_ratio", (("window", "24h"), ("dims", 'say "é"')), values / n),
        Curve("ioc_a_cases", (("window", "1h"),), values),
        Curve("ioc_b_ratio", (("window", "1h"), ("dims", "")), values),
    ], grid


def test_the_text_keeps_a_family_together_and_time_in_order() -> None:
    curves, grid = _some_curves()
    out = io.StringIO()
    instants = grid.instants[grid.lead :]
    samples = write(out, by_metric(curves), instants, grid.start, grid.start + HOUR_MS)
    lines = out.getvalue().splitlines()
    assert samples == 3 * 11
    assert lines[-1] == "# EOF"
    assert [line for line in lines if line.startswith("# TYPE")] == [
        "# TYPE ioc_b_ratio gauge",
        "# TYPE ioc_a_cases gauge",
    ]
    first = next(line for line in lines if line.startswith("ioc_a_cases"))
    stamp = instants[0] / 1000
    assert first == (
        f'ioc_a_cases{{window="1h",job="view",instance="view",service="view"}} 0.0 {stamp:.3f}'
    )
    assert 'dims="say \\"é\\""' in lines[1]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on PATH")
def test_prometheus_takes_the_blocks(tmp_path: Path) -> None:
    curves, grid = _some_curves()
    samples = make_blocks(by_metric(curves), grid.instants[grid.lead :], tmp_path / "data")
    assert samples == 3 * (36 * 12)
    listed = subprocess.run(
        ["promtool", "tsdb", "list", str(tmp_path / "data")],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert sum(int(line.split()[4]) for line in listed.splitlines()[1:]) == samples
    assert not list(tmp_path.glob("ioc-backfill-*"))


def test_without_promtool_the_reason_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    curves, grid = _some_curves()
    with pytest.raises(BlocksError, match="promtool is not on PATH"):
        make_blocks(by_metric(curves), grid.instants[grid.lead :], tmp_path / "data")
