"""The handlers of contract section 6. Each checks its parameters, asks the view, shapes an answer.

``docs/http.md`` is their reference; ``openapi.json`` beside this file says it for machines.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
from aiohttp import web
from multidict import MultiDict

from services.core.kpis import CATALOGUE, Kpi
from services.core.rows import Row
from services.core.territory import Territories
from services.view import answers, csv_out, instants, question, wire
from services.view.metrics import MetricsPage
from services.view.numbers import Numbers as AllNumbers
from services.view.overview import Overview
from services.view.pace import Pace
from services.view.port import Numbers
from services.view.problem import ProblemError
from services.view.progress import Progress
from services.view.question import Question, Span
from services.view.stream import PREAMBLE, Hub, Subscriber

log = logging.getLogger(__name__)

OPENAPI = Path(__file__).with_name("openapi.json")
PERIODS = ("month", "quarter", "year")


def _left(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", "Vary": "Accept"},
    )


def _table(
    request: web.Request,
    body: object,
    columns: Sequence[str],
    rows: Callable[[], Sequence[dict[str, object]]],
) -> web.Response:
    """JSON, or the same as CSV when the client prefers it."""
    if not csv_out.wanted(request.headers.get("Accept", "")):
        return _json(body)
    return web.Response(
        body=csv_out.write(columns, rows()),
        content_type=csv_out.CONTENT_TYPE,
        charset="utf-8",
        headers={"Cache-Control": "no-store", "Vary": "Accept"},
    )


class Api:
    """Answers requests from the merged numbers; owns the hub of open streams."""

    def __init__(
        self,
        view: Numbers,
        territories: Territories,
        progress: Progress,
        metrics: MetricsPage,
        overview: Overview,
        now_ms: Callable[[], int],
        numbers: AllNumbers,
    ) -> None:
        """``now_ms`` is the wall clock; what the system calls now, the view makes of it."""
        self._numbers = numbers
        self._view, self._territories = view, territories
        self._progress, self._metrics, self._overview = progress, metrics, overview
        self._now_ms = now_ms
        self.hub = Hub(view, self._now)

    def _now(self) -> int:
        return self._view.clock_at(self._now_ms())

    def add_routes(self, app: web.Application) -> None:
        get = app.router.add_get
        get("/api/v1/kpis", self.catalogue)
        get("/api/v1/kpis/{name}", self.kpi)
        get("/api/v1/kpis/{name}/series", self.series)
        get("/api/v1/index766", self.index766)
        get("/api/v1/indicators", self.indicators)
        get("/api/v1/numbers", self.numbers)
        get("/api/v1/progress", self.progress)
        get("/api/v1/stream", self.stream)
        get("/api/v1/territories", self.territories)
        get("/api/v1/wall", self.wall)
        get("/api/v1/openapi.json", self.openapi)
        get("/metrics", self.metrics)
        get("/healthz", self.healthz)
        get("/readyz", self.readyz)

    async def catalogue(self, request: web.Request) -> web.Response:
        question.only(request.query, ())
        chosen = self._view.selection.kpis
        entries = [answers.catalogue_entry(CATALOGUE[name]) for name in chosen]
        return _table(
            request,
            {"kpis": entries},
            answers.CATALOGUE_COLUMNS,
            lambda: [answers.catalogue_line(entry) for entry in entries],
        )

    async def kpi(self, request: web.Request) -> web.Response:
        kpi = question.find(request.match_info["name"])
        asked = self._question(kpi, request, "as_of")
        as_of, rows = self._view.query(
            kpi.name,
            now=self._now(),
            window=asked.window,
            territory=asked.territory,
            by=asked.by,
            where=asked.where,
            as_of=question.as_of(request.query),
        )
        answer = answers.kpi_answer(asked, as_of, [answers.row_dict(row) for row in rows])
        return _table(request, answer, answers.KPI_COLUMNS, lambda: answers.kpi_table(answer))

    async def series(self, request: web.Request) -> web.Response:
        kpi = question.find(request.match_info["name"])
        asked = self._question(kpi, request, "from", "to", "step")
        span = question.span(request.query)
        points = [
            answers.kpi_answer(asked, at, [answers.row_dict(row) for row in rows])
            for at, rows in await self._points(request, asked, span)
        ]
        answer = {
            "kpi": asked.kpi,
            "unit": asked.unit,
            "window": asked.window,
            "from": instants.show(span.start),
            "to": instants.show(span.end),
            "step": span.step_ms // 1000,
            "points": [{"as_of": p["as_of"], "rows": p["rows"]} for p in points],
        }
        return _table(
            request,
            answer,
            answers.KPI_COLUMNS,
            lambda: [line for point in points for line in answers.kpi_table(point)],
        )

    async def _points(
        self, request: web.Request, asked: Question, span: Span
    ) -> list[tuple[int, list[Row]]]:
        """Point by point, so that others get their turn and a client that left is not served."""
        now = self._now()
        out: list[tuple[int, list[Row]]] = []
        pace = Pace()
        for at in range(span.start, span.end + 1, span.step_ms):
            out += self._view.series(
                asked.kpi,
                now=now,
                start=at,
                end=at,
                step_ms=span.step_ms,
                window=asked.window,
                territory=asked.territory,
                by=asked.by,
                where=asked.where,
            )
            if await pace.rest() and _left(request):
                raise ConnectionResetError("the client left")
        return out

    def _question(self, kpi: Kpi, request: web.Request, *more: str) -> Question:
        allowed = ("window", "territory", "by", *question.filters_of(kpi), *more)
        question.only(request.query, allowed)
        return self._known(question.of(kpi, request.query))

    def _known(self, asked: Question) -> Question:
        """Refuse a series that was never sent, and an indicator that is neither listed nor sent."""
        for name, value in asked.filters:
            if name not in question.INDICATOR_FILTERS or value in answers.KNOWN_INDICATORS:
                continue
            if not self._view.has_indicator(name, value):
                raise ProblemError(422, f"no {name} is called {value!r}", name)
        return asked

    async def index766(self, request: web.Request) -> web.Response:
        question.only(request.query, ("territory", "period", "as_of"))
        period = request.query.get("period")
        if period is not None and period not in PERIODS:
            raise ProblemError(422, f"no period {period!r}; it is {', '.join(PERIODS)}", "period")
        territory = request.query.get("territory", "all")
        if self._territories.row(territory) is None:
            raise ProblemError(422, f"no territory has the code {territory!r}", "territory")
        question.as_of(request.query)
        raise ProblemError(501, "the index of Decision 766 is not built yet")

    async def indicators(self, request: web.Request) -> web.Response:
        question.only(request.query, ())
        now = self._now()
        rows = [answers.indicator_row(series) for series in self._view.indicators(now)]
        columns = list(dict.fromkeys(name for row in rows for name in row)) or ["series"]
        body = {"as_of": instants.show(now), "indicators": rows}
        return _table(request, body, columns, lambda: rows)

    async def numbers(self, request: web.Request) -> web.Response:
        query = request.query
        chosen = question.numbers(query, self._view.selection)
        reason = self._progress.incomplete()
        if reason is not None:
            raise ProblemError(503, reason, headers={"Retry-After": "1"})
        # In one turn of the event loop, or the parts would not speak of the same records.
        body = self._numbers.answer(
            query["window"],
            chosen,
            question.as_of(query),
            self._now(),
            by=query.get("by") == question.DIMENSIONS,
        )
        return _json(body)

    async def progress(self, request: web.Request) -> web.Response:
        question.only(request.query, ())
        await self._progress.fresh()
        snapshot = self._progress.snapshot()
        return _table(
            request,
            snapshot.answer(),
            ("topic", "partition", "end", "applied", "lag", "event_time"),
            lambda: [p.row() for p in snapshot.partitions],
        )

    async def territories(self, request: web.Request) -> web.Response:
        question.only(request.query, ())
        rows = answers.territory_rows(self._territories)
        return _table(request, {"territories": rows}, answers.TERRITORY_COLUMNS, lambda: rows)

    async def wall(self, request: web.Request) -> web.Response:
        question.only(request.query, ())
        return _json(self._overview.answer(self._now(), self._progress))

    async def openapi(self, request: web.Request) -> web.Response:
        return web.Response(body=OPENAPI.read_bytes(), content_type="application/json")

    async def metrics(self, request: web.Request) -> web.Response:
        body, content_type = await self._metrics.page(request.headers.get("Accept", ""))
        return web.Response(
            body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"}
        )

    async def healthz(self, request: web.Request) -> web.Response:
        return _json({"status": "alive"})

    async def readyz(self, request: web.Request) -> web.Response:
        reason = self._progress.unready()
        if reason is not None:
            raise ProblemError(503, reason, headers={"Retry-After": "1"})
        return _json({"status": "ready"})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        subscriber = self._subscribe(request)
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        try:
            if request.method == "HEAD":
                await response.prepare(request)
                return response
            self.hub.open(subscriber, await wire.begin(request, response, PREAMBLE))
            await subscriber.ended.wait()
        except (ConnectionError, asyncio.CancelledError):
            log.debug("a stream was closed by its client")
        finally:
            self.hub.unsubscribe(subscriber)
        return response

    def _subscribe(self, request: web.Request) -> Subscriber:
        query = request.query
        names = query.getall("kpi", [])
        if not names:
            raise ProblemError(400, "name at least one KPI: kpi=fr.received", "kpi")
        kpis = []
        for name in dict.fromkeys(names):
            if name not in self._view.selection:
                raise ProblemError(404, f"no KPI is called {name!r}", "kpi")
            kpis.append(CATALOGUE[name])
        rest = MultiDict((name, value) for name, value in query.items() if name != "kpi")
        shared = set.intersection(*(set(question.filters_of(kpi)) for kpi in kpis))
        question.only(rest, ("window", "territory", "by", *shared))
        return self.hub.subscribe([self._known(question.of(kpi, rest)) for kpi in kpis])
