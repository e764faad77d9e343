"""``/metrics``: the right names and labels, nothing where there is nothing, and not too much."""

import asyncio
from collections.abc import Iterator
from typing import Any

from prometheus_client.openmetrics import parser
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from services.core.kpis import CATALOGUE
from services.core.marginals import Marginals
from services.view.metrics import SHOWN_WINDOWS, dimension_label, parts
from services.view.question import dimension_values, has_window
from tests.unit.view.rig import (
    NOW,
    TERRITORIES,
    Client,
    Rig,
    filled,
    report,
    with_client,
)

BUSINESS = {kpi.metric for kpi in CATALOGUE.values() if kpi.kind != "indicator"}
ENTITIES = {f"{kpi.metric}_entities" for kpi in CATALOGUE.values() if kpi.kind == "rate"}
PIPELINE = {
    "ioc_events_total": {"topic", "outcome"},
    "ioc_rejects_total": {"topic", "reason"},
    "ioc_source_events_total": {"source", "topic", "outcome"},
    "ioc_source_rejects_total": {"source", "topic", "reason"},
    "ioc_records_read_total": {"topic"},
    "ioc_partition_lag_records": {"topic", "partition"},
    "ioc_partition_end_offset": {"topic", "partition"},
    "ioc_partition_applied_offset": {"topic", "partition"},
    "ioc_feed_age_seconds": {"topic", "province"},
    "ioc_log_gaps_total": {"topic"},
    "ioc_unknown_territory_total": {"topic"},
    "ioc_late_events_total": {"topic", "lateness"},
    "ioc_territory_info": {"level", "province", "district", "name", "lat", "lon"},
    "ioc_caught_up": set(),
    "ioc_simulated": set(),
    "ioc_conservation_broken": set(),
    "ioc_view_build_seconds": set(),
    "ioc_ind_value": {"indicator", "province", "district", "level", "dims"},
    "ioc_ind_target": {"indicator", "province", "district", "level", "dims"},
    "ioc_ind_age_seconds": {"indicator", "province", "district", "level", "dims"},
}


def page(rig: Rig, accept: str = "") -> str:
    async def run() -> str:
        await rig.progress.fresh()
        body, _ = await rig.metrics.page(accept)
        return body.decode()

    return asyncio.run(run())


def samples(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        yield from family.samples


def labelled(rig: Rig, name: str, **labels: str) -> list[Sample]:
    lines = [line for line in page(rig).splitlines(keepends=True) if line.startswith(name)]
    found = samples("".join(lines))
    return [s for s in found if s.name == name and labels.items() <= s.labels.items()]


def test_every_name_and_label_is_the_catalogues() -> None:
    dimensions = {f"{k.metric}_by_{d}": d for k in CATALOGUE.values() for d in k.dimensions}
    seen: set[str] = set()
    for sample in samples(page(filled())):
        name = sample.name
        if name.startswith(("python_", "process_")):
            continue
        seen.add(name)
        place = {"window", "level", "province", "district"}
        if name in PIPELINE:
            assert set(sample.labels) == PIPELINE[name], sample
        elif name in BUSINESS | ENTITIES:
            assert set(sample.labels) == place, sample
        else:
            assert set(sample.labels) == place | {dimension_label(dimensions[name])}, sample
            assert sample.labels["level"] in ("all", "province")
            assert sample.labels["window"] in ("now", *SHOWN_WINDOWS)
    assert set(PIPELINE) <= seen
    assert {"ioc_fr_received_reports", "ioc_eco_active_listings"} <= seen


def test_values_are_in_base_units_and_null_has_no_sample() -> None:
    rig = filled()
    (mean,) = labelled(rig, "ioc_fr_answer_mean_seconds", window="24h", level="all")
    assert mean.value == 1800
    assert labelled(rig, "ioc_fr_on_time_ratio", window="24h", province="87") == []
    received = "ioc_fr_received_reports"
    (count,) = labelled(rig, received, window="24h", level="province", province="87")
    assert count.value == 0
    (unknown,) = labelled(rig, received, window="24h", district="45.unknown")
    assert (unknown.value, unknown.labels["province"]) == (1, "45")
    (stock,) = labelled(rig, "ioc_fr_overdue_reports", level="district", district="524")
    assert (stock.value, stock.labels["window"]) == (1, "now")
    by = labelled(rig, "ioc_fr_received_reports_by_category", window="24h", category="road")
    assert {s.labels["province"]: s.value for s in by} == {
        "": 3,
        "45": 1,
        "51": 2,
        "87": 0,
        "95": 0,
    }


def test_a_level_adds_up_to_the_one_above() -> None:
    found = labelled(filled(), "ioc_fr_received_reports", window="24h")
    total = dict.fromkeys(("all", "province", "district"), 0.0)
    for sample in found:
        total[sample.labels["level"]] += sample.value
    assert set(total.values()) == {4}


def test_the_pipeline_is_counted() -> None:
    rig = filled()
    (rejected,) = labelled(rig, "ioc_events_total", topic="ioc.field-report.v1", outcome="rejected")
    assert rejected.value == 1
    (reason,) = labelled(rig, "ioc_rejects_total", topic="ioc.field-report.v1")
    assert (reason.labels["reason"], reason.value) == ("not_json", 1)
    read = sum(s.value for s in labelled(rig, "ioc_records_read_total"))
    assert read == sum(s.value for s in labelled(rig, "ioc_events_total"))
    assert read == sum(s.value for s in labelled(rig, "ioc_partition_applied_offset"))
    for name, value in (
        ("ioc_caught_up", 1),
        ("ioc_simulated", 0),
        ("ioc_conservation_broken", 0),
    ):
        (flag,) = labelled(rig, name)
        assert flag.value == value
    rig.stage.report(report("sim"), source="/ioc/sim/field-reports")
    (flag,) = labelled(rig, "ioc_simulated")
    assert flag.value == 1


def test_an_indicator_shows_value_target_and_age() -> None:
    rig = filled()
    for name, value in (("value", 183), ("target", 186), ("age_seconds", 360)):
        (sample,) = labelled(rig, f"ioc_ind_{name}")
        assert sample.value == value
        assert sample.labels["province"] == "51"
        assert sample.labels["level"] == "province"


def test_no_kpi_is_shown_before_the_partial_results_are_read() -> None:
    rig = filled()
    rig.reading = "reading"
    names = {s.name for s in samples(page(rig))}
    assert not names & BUSINESS
    assert "ioc_ind_value" not in names
    (flag,) = labelled(rig, "ioc_caught_up")
    assert flag.value == 0


def test_openmetrics_says_the_same() -> None:
    rig = filled()
    text = page(rig, "application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    openmetrics: Any = parser.text_string_to_metric_families  # untyped
    families = list(openmetrics(text))
    names = [f.name for f in families]
    assert len(names) == len(set(names))
    found = {s.name for f in families for s in f.samples}
    assert found >= BUSINESS & {s.name for s in samples(page(rig))}


def test_a_page_is_never_older_than_the_question() -> None:
    rig = filled()
    assert labelled(rig, "ioc_fr_open_reports", level="all")[0].value == 3
    rig.stage.report(report("e"))
    assert labelled(rig, "ioc_fr_open_reports", level="all")[0].value == 4


def test_scrapes_that_wait_share_one_build() -> None:
    async def run() -> None:
        rig = filled()
        built = 0
        build = rig.metrics._build

        async def counted() -> bytes:
            nonlocal built
            built += 1
            await asyncio.sleep(0)
            return await build()

        rig.metrics._build = counted  # type: ignore[method-assign]  # counts the builds
        await asyncio.gather(*(rig.metrics.page("") for _ in range(5)))
        assert built == 1
        await rig.metrics.page("")
        assert built == 1

    asyncio.run(run())


def test_the_page_is_served_with_its_content_type() -> None:
    async def test(client: Client, rig: Rig) -> None:
        async with client.get("/metrics") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
        async with client.get("/metrics", headers={"Accept": "application/openmetrics-text"}) as a:
            assert a.headers["Content-Type"].startswith("application/openmetrics-text")

    with_client(test)


def test_marginals_say_what_the_view_says() -> None:
    rig = filled()
    view = rig.stage.view
    marginals = Marginals(view)
    # Cuts that are no boundary of a pane that is still kept stand between the windows of now.
    for part in parts():
        marginals.rows(part.kpi, part.window, part.dimension, NOW - 5 * 3_600_000 - 10_000)
    marginals.forget()
    for part in parts():

        def asked(by: str | None, territory: str = "all", part=part) -> list[tuple[object, ...]]:  # type: ignore[no-untyped-def]  # bound early
            _, rows = view.query(
                part.kpi.name, now=NOW, window=part.window, territory=territory, by=by
            )
            return [(r.territory, r.by if part.dimension else None, r.value, r.count) for r in rows]

        if part.dimension is None:
            want = asked(None) + asked("province") + asked("district")
        else:
            want = [
                row
                for code in ("all", *TERRITORIES.provinces)
                for row in asked(part.dimension, code)
            ]
        rows = marginals.rows(part.kpi, part.window, part.dimension, NOW)
        got = [(r.territory, r.by if part.dimension else None, r.value, r.count) for r in rows]
        assert sorted(got, key=str) == sorted(want, key=str), part


def test_four_provinces_stay_under_fifty_thousand_series() -> None:
    levels = 1 + len(TERRITORIES.provinces) + 1 + len(TERRITORIES.districts)
    unknown_and_none = 2 * len(TERRITORIES.provinces)
    most = 0
    for part in parts():
        if part.entities:
            most += levels - 1
        elif part.dimension is None:
            most += levels + unknown_and_none
        else:
            values = len(dimension_values(part.kpi, part.dimension))
            most += values * (1 + len(TERRITORIES.provinces))
    # A thousand readings of provinces and districts, the pipeline's own, the process's own.
    assert most + 3 * 400 + 700 < 50_000
    assert all(has_window(p.kpi) or p.window is None for p in parts())
