"""Runs every query of every panel, variable and annotation against a live Prometheus.

A query fails when Prometheus cannot parse it, or when it answers nothing (or only NaN) although
its panel is not marked as one that may be empty. The variables get values that Prometheus itself
knows, in three scopes: everything, a province, a district.
"""

import asyncio
import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from grafana.stored import Dashboard

ALL_VALUE = "()"
#: Provinces or districts that are tried before an answer counts as empty in their scope.
TRIES = 4
_CONCURRENT = 4
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_STEPS = 60
_VARIABLE = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)")


class CheckError(Exception):
    """Prometheus could not be asked at all."""


@dataclass(frozen=True)
class Query:
    """One query of a board, with its variables still in it."""

    board: str
    panel: str
    ref: str
    expr: str
    instant: bool
    may_be_empty: str | None


@dataclass(frozen=True)
class Finding:
    """What is wrong with one query."""

    where: str
    scope: str
    expr: str
    fault: str


def queries(dashboard: Dashboard, reasons: Mapping[str, str]) -> Iterator[Query]:
    """Every PromQL query of a dashboard: panels (also inside rows), annotations."""
    uid = str(dashboard["uid"])

    def of(panels: Sequence[dict[str, Any]]) -> Iterator[Query]:
        for panel in panels:
            yield from of(panel.get("panels") or [])
            for target in panel.get("targets") or []:
                yield Query(
                    uid,
                    str(panel.get("title") or panel["id"]),
                    str(target["refId"]),
                    str(target["expr"]),
                    bool(target.get("instant")),
                    reasons.get(str(panel["id"])),
                )

    yield from of(dashboard["panels"])
    for note in dashboard.get("annotations", {}).get("list", []):
        if "expr" in note:
            quiet = "an annotation marks what happened"
            yield Query(uid, f"annotation {note['name']}", "A", str(note["expr"]), False, quiet)


def substitute(expr: str, values: Mapping[str, str]) -> str:
    """The expression with its variables replaced; unknown ones (``$1``) stay as Grafana does."""
    return _VARIABLE.sub(lambda m: values.get(m.group(1) or m.group(2), m.group(0)), expr)


def seconds(duration: str) -> int:
    """Seconds of a duration such as 24h. Raises ValueError for anything else."""
    if not (match := re.fullmatch(r"(\d+)([smhdw])", duration)):
        raise ValueError(duration)
    return int(match.group(1)) * _UNITS[match.group(2)]


class Prometheus:
    """The queries of one Prometheus, each asked once; as of ``at`` (s since the epoch) or now."""

    def __init__(self, session: aiohttp.ClientSession, url: str, at: float | None = None) -> None:
        self._session, self._url, self._at = session, url.rstrip("/"), at
        self._gate = asyncio.Semaphore(_CONCURRENT)
        self._answers: dict[tuple[str, int], asyncio.Future[list[dict[str, Any]]]] = {}
        self.asked = 0

    async def _get(self, path: str, parameters: Mapping[str, str]) -> Any:
        async with self._gate:
            self.asked += 1
            try:
                async with self._session.post(self._url + path, data=parameters) as response:
                    body = await response.json(content_type=None)
            except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError) as error:
                raise CheckError(
                    f"no usable answer from {self._url} ({type(error).__name__}): is that the "
                    "address of a running Prometheus?"
                ) from error
        if body.get("status") != "success":
            raise ValueError(str(body.get("error", body)))
        return body["data"]

    async def query(self, expr: str, span_s: int = 0) -> list[dict[str, Any]]:
        """The series of an instant query, or of a query over the last ``span_s`` seconds.

        Raises ValueError with Prometheus' own words for a query that it refuses.
        """
        key = (expr, span_s)
        if key not in self._answers:
            self._answers[key] = asyncio.ensure_future(self._query(expr, span_s))
        return await self._answers[key]

    async def _query(self, expr: str, span_s: int) -> list[dict[str, Any]]:
        if not span_s:
            when = {} if self._at is None else {"time": f"{self._at:.3f}"}
            data = await self._get("/api/v1/query", {"query": expr, **when})
        else:
            now = time.time() if self._at is None else self._at
            data = await self._get(
                "/api/v1/query_range",
                {
                    "query": expr,
                    "start": f"{now - span_s:.3f}",
                    "end": f"{now:.3f}",
                    "step": str(max(1, span_s // _STEPS)),
                },
            )
        result = data["result"]
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": result}]
        return list(result)

    async def rules(self) -> list[dict[str, Any]]:
        """Every rule that Prometheus has loaded."""
        async with self._session.get(f"{self._url}/api/v1/rules") as response:
            body = await response.json(content_type=None)
        return [rule for group in body["data"]["groups"] for rule in group["rules"]]


def has_value(series: Sequence[dict[str, Any]]) -> bool:
    """Whether any sample is a number: NaN is how a board says that there is none."""
    return any(
        not math.isnan(float(value))
        for one in series
        for _, value in one.get("values", [one["value"]] if "value" in one else [])
    )


async def options(prometheus: Prometheus, query: str, pattern: str) -> list[str]:
    """The values that a query variable offers, as Grafana reads them.

    Raises ValueError for a kind of query that no board of ours uses.
    """
    if inner := re.fullmatch(r"query_result\((.+)\)", query, re.DOTALL):
        texts = []
        for one in await prometheus.query(inner.group(1)):
            labels = dict(one["metric"])
            name = labels.pop("__name__", "")
            shown = ",".join(f'{key}="{value}"' for key, value in labels.items())
            texts.append(f"{name}{{{shown}}} {one['value'][1]} {one['value'][0]}")
        found = re.compile(pattern.strip("/").replace("(?<", "(?P<"))
        return [match.group("value") for text in texts if (match := found.search(text))]
    if inner := re.fullmatch(r"label_values\((.+),\s*(\w+)\)", query):
        series = await prometheus.query(f"group by ({inner.group(2)}) ({inner.group(1)})")
        return [str(one["metric"][inner.group(2)]) for one in series]
    raise ValueError(f"unknown kind of variable query: {query}")


class Checker:
    """One run over all boards."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus
        self.findings: list[Finding] = []
        self.checked = 0

    async def _variables(self, board: Dashboard) -> dict[str, list[dict[str, str]]]:
        """Scope to the sets of values to try in it."""
        span = str(board["time"]["from"]).removeprefix("now-")
        base = {"__range": span, "__rate_interval": "5m", "__interval": "1m"}
        asked: dict[str, tuple[str, str]] = {}
        # A rate over the last 24 hours is null on a Monday morning: then a longer window counts.
        choices: list[dict[str, str]] = [{}]
        for variable in board["templating"]["list"]:
            name = str(variable["name"])
            if variable["type"] == "query":
                query = variable["query"]
                text = str(query["query"] if isinstance(query, dict) else query)
                asked[name] = (text, str(variable.get("regex") or ""))
                base[name] = ALL_VALUE
            elif "current" in variable:
                base[name] = str(variable["current"]["value"])
                if variable["type"] == "custom":
                    choices += [{name: str(option["value"])} for option in variable["options"]]
        scopes: dict[str, list[dict[str, str]]] = {"all": [base]}
        uid = str(board["uid"])
        for name, (text, pattern) in asked.items():
            if name in ("province", "district"):
                continue
            if values := await self._options(uid, name, text, pattern, base):
                base[name] = values[0]
        provinces = await self._options(uid, "province", *asked["province"], base)
        scopes["province"] = [base | {"province": code} for code in provinces[:TRIES]]
        scopes["district"] = []
        for scope in scopes["province"][:1]:
            codes = await self._options(uid, "district", *asked["district"], scope)
            scopes["district"] = [scope | {"district": code} for code in codes[:TRIES]]
        return {
            scope: [values | choice for choice in choices for values in tries]
            for scope, tries in scopes.items()
        }

    async def _options(
        self, board: str, name: str, query: str, pattern: str, values: Mapping[str, str]
    ) -> list[str]:
        expr = substitute(query, values)
        self.checked += 1
        try:
            found = await options(self._prometheus, expr, pattern)
            fault = "" if found else "the variable has nothing to choose from"
        except ValueError as error:
            found, fault = [], str(error)
        if fault:
            self.findings.append(Finding(f"{board} / variable {name}", "all", expr, fault))
        return found

    async def _one(self, query: Query, scope: str, tries: Sequence[Mapping[str, str]]) -> None:
        where = f"{query.board} / {query.panel} / {query.ref}"
        expr = query.expr
        self.checked += 1
        for values in tries:
            expr = substitute(query.expr, values)
            span = 0 if query.instant else seconds(values["__range"])
            try:
                answer = await self._prometheus.query(expr, span)
            except ValueError as error:
                self.findings.append(Finding(where, scope, expr, str(error)))
                return
            if has_value(answer):
                return
        # A district is small: a rate over nothing is null there, and that is a good answer.
        if tries and scope != "district" and query.may_be_empty is None:
            self.findings.append(Finding(where, scope, expr, "the answer is empty"))

    async def board(self, board: Dashboard, reasons: Mapping[str, str]) -> None:
        """Checks all queries of one dashboard in all scopes."""
        scopes = await self._variables(board)
        await asyncio.gather(
            *(
                self._one(query, scope, tries)
                for query in queries(board, reasons)
                for scope, tries in scopes.items()
            )
        )

    async def rules(self) -> None:
        """Checks that the rules are loaded and that Prometheus can evaluate each of them."""
        ours = [r for r in await self._prometheus.rules() if r["name"].lower().startswith("ioc")]
        if not ours:
            self.findings.append(Finding("rules", "all", "", "no rule of ours is loaded"))
        for rule in ours:
            self.checked += 1
            if rule.get("health") == "err":
                fault = str(rule.get("lastError"))
                self.findings.append(Finding(f"rule {rule['name']}", "all", rule["query"], fault))


async def check(
    prometheus_url: str,
    boards: Sequence[Dashboard],
    reasons: Mapping[str, Mapping[str, str]],
    *,
    rules: bool = True,
    timeout_s: float = 60,
    at: float | None = None,
) -> Checker:
    """Checks all boards, and the rules that Prometheus has loaded; as of ``at`` (s), or now.

    Raises CheckError when there is no Prometheus at that address.
    """
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        prometheus = Prometheus(session, prometheus_url, at)
        checker = Checker(prometheus)
        await prometheus.query("vector(1)")
        for board in boards:
            await checker.board(board, reasons.get(str(board["uid"]), {}))
        if rules:
            await checker.rules()
    return checker
