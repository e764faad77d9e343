"""The check's own logic, against a Prometheus of a few lines."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from click.testing import CliRunner

from grafana.check import Checker, CheckError, Prometheus, check, has_value, options, substitute
from grafana.cli import grafana
from grafana.stored import load

PORT = 27020
URL = f"http://127.0.0.1:{PORT}"

Answer = Callable[[str], Any]


def run(answer: Answer, scenario: Callable[[], Awaitable[None]]) -> None:
    """Runs the scenario beside a Prometheus that answers a query with ``answer(query)``."""

    async def query(request: web.Request) -> web.Response:
        result = answer(str((await request.post())["query"]))
        if isinstance(result, str):
            body: dict[str, Any] = {"status": "error", "error": result}
        else:
            body = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return web.json_response(body)

    async def rules(_: web.Request) -> web.Response:
        rule = {"name": "IocX", "query": "1 +", "health": "err", "lastError": "bad rule"}
        return web.json_response({"data": {"groups": [{"rules": [rule]}]}})

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/api/v1/query", query)
        app.router.add_post("/api/v1/query_range", query)
        app.router.add_get("/api/v1/rules", rules)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", PORT).start()
        try:
            await scenario()
        finally:
            await runner.cleanup()

    asyncio.run(main())


def vector(**labels: str) -> dict[str, Any]:
    # Prometheus gives labels in alphabetical order
    return {"metric": dict(sorted(labels.items())), "value": [0, "1"]}


def test_variables_are_replaced_and_what_is_no_variable_stays() -> None:
    text = 'x{p=~"${province}.*",q="$district"}[$__range] "$1"'
    values = {"province": "51", "district": "()", "__range": "24h"}
    assert substitute(text, values) == 'x{p=~"51.*",q="()"}[24h] "$1"'


def test_nan_is_no_value() -> None:
    assert not has_value([{"metric": {}, "value": [0, "NaN"]}])
    assert not has_value([{"metric": {}, "values": [[0, "NaN"], [1, "NaN"]]}])
    assert has_value([{"metric": {}, "values": [[0, "NaN"], [1, "0"]]}])
    assert not has_value([])


def test_a_variable_offers_what_grafana_would_offer() -> None:
    async def scenario() -> None:
        async with ClientSession() as session:
            prometheus = Prometheus(session, URL)
            pattern = '/name="(?<text>[^"]+)".*province="(?<value>[^"]+)"/'
            assert await options(prometheus, "query_result(x)", pattern) == ["51"]
            assert await options(prometheus, "label_values(x, province)", "") == ["51"]
            with pytest.raises(ValueError, match="unknown kind"):
                await options(prometheus, "metrics(.*)", "")

    run(lambda _: [vector(name="Quảng Ngãi", province="51")], scenario)


def test_the_same_query_is_asked_once() -> None:
    async def scenario() -> None:
        async with ClientSession() as session:
            prometheus = Prometheus(session, URL)
            await asyncio.gather(*(prometheus.query("up") for _ in range(5)))
            assert prometheus.asked == 1

    run(lambda _: [vector()], scenario)


def _answer(expr: str) -> Any:
    match expr:
        case _ if "broken" in expr:
            return "parse error"
        case _ if "empty" in expr:
            return []
        case _:
            return [vector(name="Quảng Ngãi", province="51", district="522", indicator="a.b")]


def _board(expr: str) -> dict[str, Any]:
    board = load()[0]
    board["panels"] = [
        {"id": 1, "title": "T", "type": "stat", "targets": [{"refId": "A", "expr": expr}]}
    ]
    return board


@pytest.mark.parametrize(
    ("expr", "marked", "faults"),
    [
        ("fine", {}, []),
        ("broken(", {}, ["parse error"] * 3),
        ("broken(", {"1": "quiet"}, ["parse error"] * 3),
        ("empty", {}, ["the answer is empty"] * 2),
        ("empty", {"1": "quiet"}, []),
    ],
)
def test_parse_errors_always_count_and_empty_answers_unless_marked(
    expr: str, marked: dict[str, str], faults: list[str]
) -> None:
    async def scenario() -> None:
        board = _board(expr)
        done = await check(URL, [board], {board["uid"]: marked}, rules=False)
        assert [finding.fault for finding in done.findings] == faults

    run(_answer, scenario)


def test_a_rule_that_prometheus_cannot_evaluate_is_found() -> None:
    async def scenario() -> None:
        async with ClientSession() as session:
            checker = Checker(Prometheus(session, URL))
            await checker.rules()
        assert [(f.where, f.fault) for f in checker.findings] == [("rule IocX", "bad rule")]

    run(_answer, scenario)


def test_a_variable_without_choices_is_found() -> None:
    async def scenario() -> None:
        board = _board("fine")
        done = await check(URL, [board], {}, rules=False)
        assert any("nothing to choose" in finding.fault for finding in done.findings)

    run(lambda expr: [] if "ioc_territory_info" in expr else [vector()], scenario)


def test_nobody_at_the_address_is_an_error_of_its_own() -> None:
    with pytest.raises(CheckError, match="running Prometheus"):
        asyncio.run(check("http://127.0.0.1:27097", [], {}))


def test_the_command_exits_1_with_the_findings_and_2_when_called_wrongly(tmp_path: Path) -> None:
    runner = CliRunner()
    result = runner.invoke(grafana, ["check", "--prometheus", "http://127.0.0.1:27097"])
    assert result.exit_code == 1
    assert "running Prometheus" in result.output
    assert runner.invoke(grafana, ["check", "--boards", str(tmp_path / "no")]).exit_code == 2
    (tmp_path / "b.json").write_text(json.dumps(_board("broken(")))

    async def scenario() -> None:
        arguments = ["check", "--prometheus", URL, "--boards", str(tmp_path), "--no-rules"]
        for extra in ([], ["--json"]):
            done = await asyncio.to_thread(runner.invoke, grafana, [*arguments, *extra])
            assert done.exit_code == 1
            assert "parse error" in done.output

    run(_answer, scenario)


def test_build_says_that_nothing_differs() -> None:
    assert CliRunner().invoke(grafana, ["build", "--check"]).exit_code == 0
