"""All numbers of one window: equal to what single questions give, and of one moment."""

from typing import Any
from urllib.parse import urlencode

import pytest

from services.core.kpis import CATALOGUE
from services.core.merge import View
from services.core.questions import QueryError
from services.core.territory import LEVELS
from services.oracle.windows import DAY, HOUR, local_ms
from services.view import instants
from services.view.numbers import COLUMNS, Numbers
from services.view.question import of_window
from tests.contract.rig import run
from tests.strategies.events import log, stream
from tests.unit.view.rig import Client, Rig, filled, with_client

AT = local_ms(2026, 11, 22, 10, 17) + 34_567
LISTED = [name for name, kpi in CATALOGUE.items() if kpi.kind != "indicator"]


@pytest.fixture(scope="module")
def view() -> View:
    return run(log(stream(77, 1500, AT, span=3 * DAY), 4), 4, "wall", pieces=9).view()


def single(view: View, name: str, window: str | None, **options: Any) -> list[tuple[object, ...]]:
    """The rows of one question in which there is something, without ``by`` of territories."""
    _, rows = view.query(name, now=AT, window=window, **options)
    return [
        (r.territory, r.by, r.value, r.numerator, r.denominator, r.count)
        for r in rows
        if any((r.value, r.numerator, r.denominator, r.count))
    ]


@pytest.mark.parametrize("window", ["5m", "24h", "month", "year", "now"])
def test_every_row_is_what_a_single_question_gives(view: View, window: str) -> None:
    names = [name for name in LISTED if of_window(name, window)]
    body: Any = Numbers(view).answer(window, names, None, AT, by=True)
    assert list(body["kpis"]) == names
    asked = None if window == "now" else window
    for name in names:
        expected = single(view, name, asked)
        for level in LEVELS[1:]:
            expected += [(r[0], None, *r[2:]) for r in single(view, name, asked, by=level)]
        found = body["kpis"][name]
        assert sorted(found["rows"], key=str) == sorted(expected, key=str), name
        assert list(found["by"]) == list(CATALOGUE[name].dimensions)
        for dimension, rows in found["by"].items():
            expected = [
                row
                for territory in ("all", *view.territories.provinces)
                for row in single(view, name, asked, territory=territory, by=dimension)
            ]
            assert sorted(rows, key=str) == sorted(expected, key=str), (name, dimension)


def test_an_earlier_instant_is_answered_as_a_single_question_would_be(view: View) -> None:
    at = AT - 2 * HOUR
    body: Any = Numbers(view).answer("1h", ["fr.received"], at, AT, by=False)
    assert body["as_of"] == instants.show(at)
    found = {row[0]: row[2] for row in body["kpis"]["fr.received"]["rows"]}
    _, rows = view.query("fr.received", now=AT, window="1h", as_of=at)
    assert found.get("all", 0) == rows[0].value


@pytest.mark.parametrize(
    ("window", "at"), [("1h", AT - 5 * HOUR), ("now", AT - 2 * DAY), ("now", AT + HOUR)]
)
def test_an_instant_out_of_reach_is_refused(view: View, window: str, at: int) -> None:
    names = [name for name in LISTED if of_window(name, window)]
    with pytest.raises(QueryError) as refusal:
        Numbers(view).answer(window, names, at, AT, by=False)
    assert (refusal.value.status, refusal.value.parameter) == (422, "as_of")


def test_the_answer_says_on_which_records_it_rests() -> None:
    async def test(client: Client, rig: Rig) -> None:
        async with client.get("/api/v1/numbers?window=24h") as answer:
            assert answer.status == 200
            body = await answer.json()
        assert body["window"] == "24h"
        assert tuple(body["columns"]) == COLUMNS
        assert ["all", None, 4, None, None, 4] in body["kpis"]["fr.received"]["rows"]
        assert "by" not in body["kpis"]["fr.received"]
        places = {(p["topic"], p["partition"]): p for p in body["partitions"]}
        assert {key: p["applied"] for key, p in places.items()} == rig.stage.ends
        for place in places.values():
            assert sum(place["outcomes"].values()) + place["gaps"] == place["applied"]
        assert sum(p["reasons"].get("not_json", 0) for p in places.values()) == 1
        assert "indicators" not in body
        async with client.get("/api/v1/numbers?window=now&kpi=ind.value&kpi=fr.open_now") as answer:
            body = await answer.json()
        assert body["window"] is None
        assert list(body["kpis"]) == ["fr.open_now"]
        ((series, value, target, gap, age),) = body["indicators"]
        assert series == "infra.vc_points_online|51|"
        assert (value, target, gap, age) == (183, 186, -3, 360)

    with_client(test)


@pytest.mark.parametrize(
    ("query", "status", "parameter"),
    [
        ({}, 400, "window"),
        ({"window": "2h"}, 422, "window"),
        ({"window": "1h", "by": "district"}, 422, "by"),
        ({"window": "1h", "kpi": "fr.nothing"}, 404, "kpi"),
        ({"window": "1h", "kpi": "fr.open_now"}, 422, "kpi"),
        ({"window": "now", "kpi": "fr.received"}, 422, "kpi"),
        ({"window": "1h", "territory": "51"}, 400, "territory"),
        ({"window": "1h", "as_of": "yesterday"}, 422, "as_of"),
        ({"window": "1h", "as_of": "2026-03-10T01:00:00Z"}, 200, None),
        ({"window": "1h", "as_of": "2026-03-09T01:00:00Z"}, 422, "as_of"),
    ],
)
def test_a_wrong_question_names_its_parameter(
    query: dict[str, str], status: int, parameter: str | None
) -> None:
    async def test(client: Client, rig: Rig) -> None:
        async with client.get(f"/api/v1/numbers?{urlencode(query)}") as answer:
            body = await answer.json(content_type=None)
            assert (answer.status, body.get("parameter")) == (status, parameter)

    with_client(test)


def test_a_view_that_still_reads_does_not_answer() -> None:
    rig = filled()
    rig.reading = "reading the partial results: 1 of 2 partitions read"

    async def test(client: Client, rig: Rig) -> None:
        async with client.get("/api/v1/numbers?window=1h") as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "1"

    with_client(test, rig)
