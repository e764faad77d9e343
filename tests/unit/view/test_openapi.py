"""The OpenAPI document: valid, complete, and true of the answers."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from services.view.api import OPENAPI
from services.view.server import create_app
from tests.unit.view.rig import Client, Rig, filled, with_client

DOCUMENT: dict[str, Any] = json.loads(OPENAPI.read_text(encoding="utf-8"))
T0, T1 = "2026-03-10T02:00:00Z", "2026-03-10T02:10:00Z"


def test_it_is_a_valid_openapi_document() -> None:
    validate(DOCUMENT)


def test_it_describes_every_route_and_no_other() -> None:
    routes = {
        route.resource.canonical
        for route in create_app(filled().api).router.routes()
        if route.resource is not None
    }
    assert routes == set(DOCUMENT["paths"])


@pytest.mark.parametrize(
    ("route", "query"),
    [
        ("/api/v1/kpis", ""),
        ("/api/v1/kpis/{name}", "?window=24h&by=district&territory=45"),
        ("/api/v1/kpis/{name}/series", f"?window=1h&from={T0}&to={T1}&step=60"),
        ("/api/v1/indicators", ""),
        ("/api/v1/numbers", "?window=24h&by=dimensions"),
        ("/api/v1/numbers", "?window=now"),
        ("/api/v1/progress", ""),
        ("/api/v1/territories", ""),
        ("/api/v1/wall", ""),
        ("/healthz", ""),
    ],
)
def test_answers_are_as_described(route: str, query: str) -> None:
    async def test(client: Client, rig: Rig) -> None:
        async with client.get(route.replace("{name}", "fr.on_time_rate") + query) as answer:
            assert answer.status == 200
            body = await answer.json()
        content = DOCUMENT["paths"][route]["get"]["responses"]["200"]["content"]
        schema = content["application/json"]["schema"] | {"components": DOCUMENT["components"]}
        Draft202012Validator(schema).validate(body)

    with_client(test)


def test_a_refusal_is_as_described() -> None:
    async def test(client: Client, rig: Rig) -> None:
        async with client.get("/api/v1/kpis/fr.received") as answer:
            body = await answer.json(content_type=None)
        schema = DOCUMENT["components"]["schemas"]["Problem"]
        Draft202012Validator(schema).validate(body)

    with_client(test)


def test_it_is_served() -> None:
    async def test(client: Client, rig: Rig) -> None:
        async with client.get("/api/v1/openapi.json") as answer:
            assert await answer.json() == DOCUMENT

    with_client(test)
