"""The HTTP interface of contract section 6, asked as a client asks it."""

import csv
import io
from collections import deque
from typing import Any

import pytest

from services.core.kpis import CATALOGUE
from tests.unit.view.rig import NOW, Client, Rig, at, report, with_client

KPI = "/api/v1/kpis/fr.received"


async def get(client: Client, path: str, **headers: str) -> Any:
    async with client.get(path, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "application/json"
        return await answer.json()


def test_the_catalogue_lists_every_kpi_with_titles_windows_dimensions_and_target() -> None:
    async def test(client: Client, rig: Rig) -> None:
        kpis = {k["name"]: k for k in (await get(client, "/api/v1/kpis"))["kpis"]}
        assert set(kpis) == set(CATALOGUE)
        about = kpis["fr.on_time_rate"]
        assert about["titles"] == {
            "vi": "Tỷ lệ trả lời đúng hạn",
            "en": "Answered on time",
        }
        assert about["unit"] == "ratio"
        assert about["target"] == 0.9
        assert about["direction"] == "up"
        assert "30d" in about["windows"]
        assert about["dimensions"] == ["category", "channel", "priority"]
        assert "road" in about["values"]["category"]
        assert kpis["fr.open_now"]["windows"] == []

    with_client(test)


def test_without_by_there_is_exactly_one_row() -> None:
    async def test(client: Client, rig: Rig) -> None:
        answer = await get(client, f"{KPI}?window=24h")
        assert answer == {
            "kpi": "fr.received",
            "unit": "reports",
            "window": "24h",
            "as_of": "2026-03-10T09:30:00+07:00",
            "rows": [
                {
                    "territory": "all",
                    "by": None,
                    "value": 4,
                    "numerator": None,
                    "denominator": None,
                    "count": 4,
                }
            ],
        }

    with_client(test)


def test_a_rate_shows_what_it_is_made_of_and_null_over_nothing() -> None:
    async def test(client: Client, rig: Rig) -> None:
        path = "/api/v1/kpis/fr.on_time_rate?window=24h"
        row = (await get(client, path))["rows"][0]
        assert (row["value"], row["numerator"], row["denominator"]) == (1.0, 1, 1)
        row = (await get(client, f"{path}&territory=87"))["rows"][0]
        assert (row["value"], row["numerator"], row["denominator"]) == (None, 0, 0)

    with_client(test)


def test_by_a_territory_level_lists_known_children_and_filled_unknown_rows() -> None:
    async def test(client: Client, rig: Rig) -> None:
        rows = (await get(client, f"{KPI}?window=24h&territory=45&by=district"))["rows"]
        by = {row["by"]: row["value"] for row in rows}
        assert by.pop("45.unknown") == 1
        assert len(by) == 10
        assert set(by.values()) == {0}

    with_client(test)


def test_by_a_dimension_lists_every_enum_value_and_a_filter_keeps_one() -> None:
    async def test(client: Client, rig: Rig) -> None:
        rows = (await get(client, f"{KPI}?window=24h&by=category"))["rows"]
        assert len(rows) == 11
        assert {r["by"]: r["value"] for r in rows}["road"] == 3
        (row,) = (await get(client, f"{KPI}?window=24h&category=drainage_flood"))["rows"]
        assert row["value"] == 1

    with_client(test)


def test_a_listed_pair_is_shown_joined() -> None:
    async def test(client: Client, rig: Rig) -> None:
        path = "/api/v1/kpis/gov.cases_received?window=24h&by=procedure_field,channel"
        rows = (await get(client, path))["rows"]
        assert len(rows) == 27
        assert rows[0]["by"].count("|") == 1

    with_client(test)


def test_a_stock_kpi_ignores_the_window() -> None:
    async def test(client: Client, rig: Rig) -> None:
        for query in ("", "?window=1h"):
            answer = await get(client, f"/api/v1/kpis/fr.overdue_now{query}")
            assert answer["window"] is None
            assert answer["rows"][0]["value"] == 1

    with_client(test)


def test_as_of_takes_any_offset_and_a_plus_that_became_a_blank() -> None:
    async def test(client: Client, rig: Rig) -> None:
        for text in (
            "2026-03-10T09:10:00%2B07:00",
            "2026-03-10T09:10:00+07:00",
            "2026-03-10T02:10:00Z",
            "2026-03-10T02:10:00.000999Z",
        ):
            answer = await get(client, f"{KPI}?window=1h&as_of={text}")
            assert answer["as_of"] == "2026-03-10T09:10:00+07:00"
            assert answer["rows"][0]["value"] == 4

    with_client(test)


def test_an_indicator_is_asked_by_series_or_by_name_and_territory() -> None:
    async def test(client: Client, rig: Rig) -> None:
        for query in (
            "series=infra.vc_points_online|51|",
            "territory=51&indicator=infra.vc_points_online",
        ):
            answer = await get(client, f"/api/v1/kpis/ind.gap?{query}")
            assert answer["rows"][0]["value"] == -3
        (row,) = (await get(client, "/api/v1/indicators"))["indicators"]
        assert row["series"] == "infra.vc_points_online|51|"
        assert (row["value"], row["target"], row["gap"]) == (183, 186, -3)
        assert row["age_seconds"] == 360
        assert row["period_end"] == at(-0.1)

    with_client(test)


def test_a_series_has_a_point_at_each_step_both_ends_included() -> None:
    async def test(client: Client, rig: Rig) -> None:
        path = f"{KPI}/series?window=1h&from=2026-03-10T08:00:00Z&to=2026-03-10T08:00:00Z&step=60"
        async with client.get(path) as answer:
            assert answer.status == 422  # after the clock
        start, end = "2026-03-10T07:30:00%2B07:00", "2026-03-10T09:30:00%2B07:00"
        path = f"{KPI}/series?window=1h&from={start}&to={end}&step=5m"
        answer = await get(client, path)
        assert len(answer["points"]) == 25
        assert answer["step"] == 300
        values = {p["as_of"]: p["rows"][0]["value"] for p in answer["points"]}
        assert values["2026-03-10T08:25:00+07:00"] == 0
        assert values["2026-03-10T08:30:00+07:00"] == 4

    with_client(test)


def test_a_stock_series_comes_from_minute_samples_and_is_null_where_there_is_none() -> None:
    async def test(client: Client, rig: Rig) -> None:
        deque(rig.stage.view.sample(NOW), 0)
        rig.clock_ms = NOW + 60_000
        path = "/api/v1/kpis/fr.open_now/series?from=2026-03-10T02:29:00Z&to=2026-03-10T02:30:00Z"
        answer = await get(client, f"{path}&step=60s")
        assert [p["rows"][0]["value"] for p in answer["points"]] == [None, 3]

    with_client(test)


SERIES = f"{KPI}/series?window=1h"
T0, T1, T2 = (f"2026-03-10T02:{m}:00Z" for m in ("00", "10", "20"))
OLD = "from=2026-03-01T02:00:00Z&to=2026-03-01T02:10:00Z&step=60"
POINTS = "infra.vc_points_online"
REFUSALS = [
    ("/api/v1/kpis/fr.nothing?window=1h", 404, "name"),
    ("/api/v1/kpis/fr.nothing/series?window=1h", 404, "name"),
    (KPI, 422, "window"),
    (f"{KPI}?window=", 422, "window"),
    (f"{KPI}?window=2h", 422, "window"),
    ("/api/v1/kpis/fr.open_now?window=2h", 422, "window"),
    (f"{KPI}?window=1h&territory=99", 422, "territory"),
    (f"{KPI}?window=1h&territory=", 422, "territory"),
    (f"{KPI}?window=1h&by=colour", 422, "by"),
    (f"{KPI}?window=1h&by=category,channel", 422, "by"),
    (f"{KPI}?window=1h&territory=524&by=district", 422, "by"),
    (f"{KPI}?window=1h&category=roads", 422, "category"),
    (f"{KPI}?window=1h&category=road&channel=app", 422, "category"),
    (f"{KPI}?window=1h&status=received", 400, "status"),
    (f"{KPI}?window=1h&as_off=2026-03-10T02:00:00Z", 400, "as_off"),
    (f"{KPI}?window=1h&window=1h", 400, "window"),
    (f"{KPI}?window=1h&as_of=yesterday", 422, "as_of"),
    (f"{KPI}?window=1h&as_of=2026-03-10T09:00:00", 422, "as_of"),
    (f"{KPI}?window=1h&as_of=2026-02-30T09:00:00Z", 422, "as_of"),
    (f"{KPI}?window=1h&as_of=2026-03-10T03:30:00Z", 422, "as_of"),
    (f"{KPI}?window=1h&as_of=2026-03-01T09:00:07Z", 422, "as_of"),
    ("/api/v1/kpis/fr.open_now?as_of=2026-03-08T09:00:00Z", 422, "as_of"),
    (SERIES, 400, "from"),
    (f"{SERIES}&from={T0}", 400, "to"),
    (f"{SERIES}&from={T0}&to={T1}", 400, "step"),
    (f"{SERIES}&from=x&to={T1}&step=60", 422, "from"),
    (f"{SERIES}&from={T2}&to={T1}&step=60", 422, "from"),
    (f"{SERIES}&from={T0}&to={T1}&step=5", 422, "step"),
    (f"{SERIES}&from={T0}&to={T1}&step=1w", 422, "step"),
    (f"{SERIES}&from=2026-03-09T02:00:00Z&to={T1}&step=10", 422, "step"),
    (f"/api/v1/kpis/fr.open_now/series?{OLD}", 422, "from"),
    ("/api/v1/kpis/ind.value", 422, "series"),
    ("/api/v1/kpis/ind.value?series=infra.vc_points_online|51|&indicator=" + POINTS, 422, "series"),
    ("/api/v1/kpis/ind.value?series=nothing|51|", 422, "series"),
    ("/api/v1/kpis/ind.value?indicator=nothing", 422, "indicator"),
    ("/api/v1/kpis/ind.sum?series=infra.vc_points_online|51|&window=24h", 422, "series"),
    ("/api/v1/kpis?window=1h", 400, "window"),
    ("/api/v1/indicators?territory=51", 400, "territory"),
    ("/api/v1/progress?x=1", 400, "x"),
    ("/api/v1/stream", 400, "kpi"),
    ("/api/v1/stream?kpi=fr.nothing", 404, "kpi"),
    ("/api/v1/stream?kpi=fr.received", 422, "window"),
    ("/api/v1/stream?kpi=fr.received&window=1h&as_of=2026-03-10T02:00:00Z", 400, "as_of"),
    ("/api/v1/index766?period=week", 422, "period"),
    ("/api/v1/index766?territory=99", 422, "territory"),
    ("/api/v1/index766", 501, None),
    ("/api/v1/nothing", 404, None),
    ("/static/nothing.js", 404, None),
    ("/static/../main.py", 404, None),
    ("/static/%2e%2e/main.py", 404, None),
]  # fmt: skip


@pytest.mark.parametrize(("path", "status", "parameter"), REFUSALS)
def test_what_is_wrong_is_refused_as_problem_json_that_names_the_parameter(
    path: str, status: int, parameter: str | None
) -> None:
    async def test(client: Client, rig: Rig) -> None:
        async with client.get(path) as answer:
            assert answer.status == status, await answer.text()
            assert answer.content_type == "application/problem+json"
            problem = await answer.json(content_type=None)
        assert problem["status"] == status
        assert problem["title"]
        assert problem["detail"]
        assert problem.get("parameter") == parameter

    with_client(test)


def test_a_method_that_is_not_allowed_is_a_problem_that_names_those_that_are() -> None:
    async def test(client: Client, rig: Rig) -> None:
        async with client.post("/api/v1/kpis") as answer:
            assert answer.status == 405
            assert answer.content_type == "application/problem+json"
            assert answer.headers["Allow"] == "GET, HEAD"

    with_client(test)


def test_a_fault_of_ours_is_a_problem_without_details(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(client: Client, rig: Rig) -> None:
        def broken(now: int) -> list[dict[str, object]]:
            raise RuntimeError("secret")

        monkeypatch.setattr(rig.stage.view, "indicators", broken)
        async with client.get("/api/v1/indicators") as answer:
            assert answer.status == 500
            assert "secret" not in await answer.text()

    with_client(test)


@pytest.mark.parametrize(
    "path",
    [
        f"{KPI}?window=1h&by=province",
        f"{KPI}/series?window=1h&from=2026-03-10T02:00:00Z&to=2026-03-10T02:10:00Z&step=60",
        "/api/v1/kpis",
        "/api/v1/indicators",
        "/api/v1/progress",
        "/api/v1/territories",
    ],
)
def test_every_table_is_given_as_csv_too(path: str) -> None:
    async def test(client: Client, rig: Rig) -> None:
        async with client.get(path, headers={"Accept": "text/csv"}) as answer:
            assert answer.status == 200
            assert answer.content_type == "text/csv"
            assert "Accept" in answer.headers["Vary"]
            rows = list(csv.DictReader(io.StringIO(await answer.text())))
        assert rows
        assert None not in rows[0]

    with_client(test)


def test_csv_says_the_same_as_json_and_leaves_null_empty() -> None:
    async def test(client: Client, rig: Rig) -> None:
        path = "/api/v1/kpis/fr.on_time_rate?window=1h&by=province"
        async with client.get(
            path, headers={"Accept": "text/csv;q=0.9, application/json;q=0.8"}
        ) as a:
            rows = {r["by"]: r for r in csv.DictReader(io.StringIO(await a.text()))}
        assert rows["51"]["value"] == "1.0"
        assert rows["87"]["value"] == ""
        assert rows["51"]["kpi"] == "fr.on_time_rate"

    with_client(test)


def test_a_large_answer_is_compressed_for_who_takes_it() -> None:
    async def test(client: Client, rig: Rig) -> None:
        async with client.get("/api/v1/kpis", headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert "Accept-Encoding" in answer.headers["Vary"]
            assert (await answer.json())["kpis"]
        async with client.get("/api/v1/kpis", headers={"Accept-Encoding": "gzip;q=0"}) as answer:
            assert "Content-Encoding" not in answer.headers

    with_client(test)


def test_no_other_origin_is_let_in_and_the_wall_runs_only_its_own_scripts() -> None:
    async def test(client: Client, rig: Rig) -> None:
        async with client.get("/", headers={"Origin": "http://elsewhere.example"}) as answer:
            assert answer.status == 200
            assert answer.content_type == "text/html"
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"

    with_client(test)


def test_the_wall_is_told_what_the_pipeline_knows() -> None:
    async def test(client: Client, rig: Rig) -> None:
        wall = await get(client, "/api/v1/wall")
        assert wall["outcomes"]["ioc.field-report.v1"]["applied"] == 4
        assert wall["rejects"]["ioc.field-report.v1"] == {"not_json": 1}
        assert wall["unknown"]["ioc.field-report.v1"] == 1
        assert wall["simulated"] is False
        assert [u["report_id"] for u in wall["urgent"]] == ["c"]
        assert wall["urgent"][0]["due_at"] == at(-0.25)
        ages = {(f["topic"], f["province"]): f["age_seconds"] for f in wall["feeds"]}
        assert ages["ioc.field-report.v1", "51"] == 0
        assert ages["ioc.field-report.v1", "87"] is None
        assert len(wall["territories"]) == 4 + 42 + 505

    with_client(test)


def test_a_simulated_source_shows() -> None:
    async def test(client: Client, rig: Rig) -> None:
        rig.stage.report(report("e"), source="/ioc/sim/field-reports")
        assert (await get(client, "/api/v1/wall"))["simulated"] is True

    with_client(test)
