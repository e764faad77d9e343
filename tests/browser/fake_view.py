"""A stand-in for the view, for the wall alone: the endpoints of contract section 6 over a province
that is arithmetic (a hash of names and the hour), plus ``/api/v1/wall``.

The numbers are plausible, add up over territories and move every half second. What a test wants
to see (a dead broker, a silent feed, a view that is gone) is a switch of ``State``. Run it by hand
with ``python -m tests.browser.fake_view --port 26000`` and open the page it names.
"""

import argparse
import asyncio
import contextlib
import csv
import hashlib
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import web

from schemas import v1
from services.core import kpis
from services.core.indicators import Reported, by_name

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "services" / "view" / "static"
REFERENCE = ROOT / "services" / "runtime" / "data"
CSP = "default-src 'self'; style-src 'self'; script-src 'self'; img-src 'self' data:"
LOCAL = timezone(timedelta(hours=7))
TOPICS = ("ioc.field-report.v1", "ioc.admin-case.v1", "ioc.listing.v1", "ioc.indicator.v1")
CHILD = {"all": "province", "province": "district", "district": "commune"}
DAYS = {"5m": 5 / 1440, "1h": 1 / 24, "24h": 1.0, "7d": 7.0, "30d": 30.0}
MEMBERS = {
    "fr": {
        "category": v1.values(v1.ReportCategory),
        "channel": v1.values(v1.ReportChannel),
        "priority": v1.values(v1.Priority),
        "status": v1.values(v1.ReportStatus),
    },
    "gov": {
        "level": v1.values(v1.Level),
        "procedure_field": v1.values(v1.ProcedureField),
        "channel": v1.values(v1.CaseChannel),
        "service_level": v1.values(v1.ServiceLevel),
        "portal": v1.values(v1.Portal),
        "status": v1.values(v1.CaseStatus),
        "step": v1.values(v1.Step),
    },
    "eco": {
        "platform": v1.values(v1.Platform),
        "product_group": v1.values(v1.ProductGroup),
        "seller_kind": v1.values(v1.SellerKind),
        "payment": v1.values(v1.OrderPayment),
    },
}
#: Per day and million people: what a KPI's base amounts to; for stocks, what stands there now.
VOLUME = {"fr": 32.0, "gov": 1900.0, "eco": 95.0}
STOCK = {
    "fr.open_now": 75.0, "fr.overdue_now": 6.0, "gov.open_now": 9800.0, "gov.overdue_now": 130.0,
    "gov.near_due_now": 760.0, "eco.products": 1050.0, "eco.stores": 75.0,
    "eco.ocop_products": 60.0,
    "eco.out_of_stock_rate": 1050.0, "eco.commune_seller_share": 0.0,
}  # fmt: skip
RATE = {
    "fr.on_time_rate": 0.872, "fr.satisfaction_rate": 0.823, "fr.extension_rate": 0.15,
    "gov.on_time_rate": 0.968, "gov.early_rate": 0.61, "gov.online_rate": 0.462,
    "gov.full_online_rate": 0.41, "gov.auth_rate": 0.913, "gov.popdb_use_rate": 0.997,
    "gov.dvcqg_sync_rate": 0.985, "gov.online_payment_rate": 0.47, "gov.reuse_rate": 0.52,
    "gov.components_digitised_rate": 0.93, "gov.result_digitised_rate": 0.955,
    "gov.satisfaction_rate": 0.931, "gov.refuse_rate": 0.021, "eco.out_of_stock_rate": 0.064,
    "eco.commune_seller_share": 0.7, "eco.cancel_rate": 0.05, "eco.cashless_rate": 0.42,
}  # fmt: skip
MEAN = {
    "fr.mean_hours_to_answer": 41.3, "fr.p50_hours_to_answer": 33.8, "fr.p90_hours_to_answer": 96.4,
    "fr.ack_minutes_mean": 52.0, "gov.mean_processing_days": 4.6, "gov.p90_processing_days": 13.1,
    "gov.step_minutes": 840.0, "eco.aov_vnd": 182_400.0,
}  # fmt: skip
SHARE = {"rejected": 0.02, "duplicates": 0.05, "referred": 0.03, "listings_created": 0.08,
         "listings_delisted": 0.05, "online_payments": 0.2}  # fmt: skip

Row = dict[str, Any]


@dataclass
class Place:
    """One territory: ``weight`` is its population in millions."""

    code: str
    name: str
    level: str
    parent: str | None
    kind: str | None = None
    lat: float | None = None
    lon: float | None = None
    weight: float = 0.0


@dataclass
class State:
    """The switches of the stage."""

    simulated: bool = True
    caught_up: bool = True
    broker: bool = True
    #: Every answer of the interface is a 503.
    down: bool = False
    #: Streams are refused; figures can only be polled.
    streamless: bool = False
    silent: set[tuple[str, str]] = field(default_factory=set)
    null_kpis: set[str] = field(default_factory=set)
    grafana: str | None = None


def _unit(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but its arguments."""
    digest = hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def load_places(folder: Path) -> dict[str, Place]:
    """Every known territory by code, from the packaged tables."""
    places: dict[str, Place] = {"all": Place("all", "all", "all", None)}
    with (folder / "territories.csv").open(encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            province = row["province_code"]
            places.setdefault(province, Place(province, row["province"], "province", "all"))
            people = float(row.get("population") or 52_000)
            places[row["district_code"]] = Place(
                row["district_code"], row["district"], "district", province, row["kind"],
                float(row["lat"]), float(row["lon"]), people / 1e6,
            )  # fmt: skip
    with (folder / "communes.csv").open(encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            places[row["commune_code"]] = Place(
                row["commune_code"], row["commune"], "commune", row["district_code"], row["kind"]
            )
    for level, up in (("district", "commune"), ("province", "district")):
        for place in [p for p in places.values() if p.level == level]:
            below = [p for p in places.values() if p.parent == place.code and p.level == up]
            if level == "province":
                place.weight = sum(p.weight for p in below)
                place.lat = sum(p.lat or 0 for p in below) / len(below)
                place.lon = sum(p.lon or 0 for p in below) / len(below)
            else:
                for p in below:
                    p.weight = place.weight / len(below)
    return places


def load_series(places: dict[str, Place]) -> dict[str, tuple[str, Reported]]:
    """Territory and reading of every series: those published, and plausible ones of provinces."""
    series: dict[str, tuple[str, Reported]] = {}
    for about in by_name().values():
        found = {code: list(several) for code, several in about.reported.items()}
        for code in (p.code for p in places.values() if p.level == "province"):
            if code not in found and (span := about.plausible.get("province")):
                value = span[0] + (span[1] - span[0]) * _unit(about.name, code)
                whole = about.unit != "ratio"
                found[code] = [Reported(value=round(value) if whole else round(value, 4))]
        for code, several in found.items():
            for reported in several:
                dims = ";".join(f"{k}={v}" for k, v in reported.dims)
                series[f"{about.name}|{code}|{dims}"] = (code, reported)
    return series


class Province:
    """The numbers. Pure: every figure is a function of the KPI, the place and the time."""

    def __init__(self, places: dict[str, Place], state: State) -> None:
        self.places = places
        self.state = state
        self.children: dict[str, list[Place]] = {}
        for place in places.values():
            if place.parent is not None:
                self.children.setdefault(place.parent, []).append(place)

    def _days(self, window: str | None, at: float) -> float:
        if window in DAYS:
            return DAYS[window]
        local = datetime.fromtimestamp(at, LOCAL)
        today = (local.hour * 60 + local.minute + 1) / 1440
        before = {"today": 0, "month": local.day - 1, "quarter": (local.month - 1) % 3 * 30 +
                  local.day - 1, "year": local.timetuple().tm_yday - 1}  # fmt: skip
        return before[window or "today"] + today

    def _parts(self, kpi: str, place: Place, at: float, window: str | None) -> tuple[float, float]:
        """Numerator and base of a district or commune."""
        domain, _, name = kpi.partition(".")
        mood = _unit(kpi, place.code)
        hour = datetime.fromtimestamp(at, LOCAL).hour
        pulse = (
            0.25 + 0.75 * max(0.0, math.sin((hour - 5) / 15 * math.pi)) + 0.2 * _unit(at // 3600)
        )
        if kpi in STOCK:
            drift = (
                1 + 0.06 * math.sin(at / 5400 + mood * 6) + 0.02 * _unit(kpi, place.code, at // 2)
            )
            base = STOCK[kpi] * place.weight * (0.5 + mood) * drift
        else:
            days = self._days(window, at)
            shape = pulse * 1.9 if days < 0.5 else 1.0
            base = VOLUME[domain] * place.weight * days * shape * (0.7 + 0.6 * mood)
            base *= SHARE.get(name, 1.0)
            base += (at % 900) / 900 * 2 * place.weight * VOLUME[domain] / 96 if days < 40 else 0
        base = math.floor(base + _unit(place.code, kpi, at // 3600))
        if kpi in RATE:
            share = min(
                1.0, max(0.0, RATE[kpi] + 0.11 * (mood - 0.5) + 0.03 * math.sin(at / 40000))
            )
            return float(round(base * share)), base
        if kpi in MEAN:
            return base * MEAN[kpi] * (0.7 + 0.6 * mood) * (1 + 0.1 * math.sin(at / 30000)), base
        return base, base

    def row(self, kpi: str, code: str, at: float, window: str | None, by: str | None = None,
            share: float = 1.0) -> Row:  # fmt: skip
        """One row of the answer, ``share`` being the part of a dimension's member."""
        place = self.places[code]
        if kpi == "eco.commune_seller_share":
            communes = [
                p for p in self.places.values() if p.level == "commune" and self._in(p, code)
            ]
            sellers = sum(1 for p in communes if _unit("seller", p.code) < RATE[kpi] * share**0.3)
            num, den = float(sellers), float(len(communes))
        else:
            below = self.children.get(code, [])
            if place.level in ("all", "province"):
                rows = [self.row(kpi, p.code, at, window, None, share) for p in below]
                num = sum(r["_n"] for r in rows)
                den = sum(r["_d"] for r in rows)
            else:
                num, den = self._parts(kpi, place, at, window)
                num, den = math.floor(num * share), math.floor(den * share)
        spec = kpis.CATALOGUE[kpi]
        value: float | int | None
        if kpi in RATE or kpi in MEAN:
            value = num / den if den else None
        else:
            value = int(num)
        if spec.unit == "vnd" and kpi not in MEAN:
            value = int(num * 183_000)
        if kpi in self.state.null_kpis:
            value, den = None, 0
        pair = kpi in RATE or (kpi in MEAN and spec.kind == "mean")
        return {
            "territory": code, "by": by, "value": value, "count": int(den),
            "numerator": num if pair else None, "denominator": den if pair else None,
            "_n": num, "_d": den,
        }  # fmt: skip

    def _in(self, place: Place, code: str) -> bool:
        here: Place | None = place
        while here is not None:
            if here.code == code:
                return True
            here = self.places.get(here.parent) if here.parent else None
        return False

    def rows(
        self, kpi: str, at: float, window: str | None, territory: str, by: str | None
    ) -> list[Row]:
        """The answer's rows; ``by`` is a dimension, a territory level or None."""
        if by is None:
            found = [self.row(kpi, territory, at, window)]
        elif by in ("province", "district", "commune"):
            codes = [
                p.code for p in self.places.values() if p.level == by and self._in(p, territory)
            ]
            found = [self.row(kpi, code, at, window, code) for code in codes]
        else:
            members = MEMBERS[kpi.partition(".")[0]][by]
            weights = [0.15 + _unit(by, m) ** 2 for m in members]
            found = [
                self.row(kpi, territory, at, window, member, weight / sum(weights))
                for member, weight in zip(members, weights, strict=True)
            ]
        return [{k: v for k, v in row.items() if k[0] != "_"} for row in found]


class FakeView:
    """The web application over a ``Province``; ``state`` may be changed while it runs."""

    def __init__(self, reference: Path = REFERENCE) -> None:
        self.state = State()
        self.places = load_places(reference)
        self.province = Province(self.places, self.state)
        self.started = time.time()
        self.series = load_series(self.places)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._gate])
        app.router.add_get("/", self._index)
        app.router.add_get("/api/v1/kpis", self._catalogue)
        app.router.add_get("/api/v1/kpis/{name}", self._kpi)
        app.router.add_get("/api/v1/kpis/{name}/series", self._series)
        app.router.add_get("/api/v1/indicators", self._indicators)
        app.router.add_get("/api/v1/progress", self._progress)
        app.router.add_get("/api/v1/wall", self._wall)
        app.router.add_get("/api/v1/stream", self._stream)
        app.router.add_static("/static/", STATIC)
        return app

    @web.middleware
    async def _gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.state.down and request.path.startswith("/api/"):
            raise web.HTTPServiceUnavailable
        response: web.StreamResponse = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = CSP
            response.headers["Cache-Control"] = "no-cache"
        return response

    @staticmethod
    def _json(data: object, status: int = 200) -> web.Response:
        return web.Response(body=orjson.dumps(data), status=status, content_type="application/json")

    def _problem(self, status: int, parameter: str, detail: str) -> web.Response:
        body = {"type": "about:blank", "title": detail, "status": status, "parameter": parameter}
        return web.Response(
            body=orjson.dumps(body), status=status, content_type="application/problem+json"
        )

    async def _index(self, _: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html")

    async def _catalogue(self, _: web.Request) -> web.Response:
        return self._json({"kpis": [_described(k) for k in kpis.CATALOGUE.values()]})

    def _asked(self, query: Mapping[str, str], name: str) -> web.Response | None:
        """The problem with a query, or None."""
        spec = kpis.CATALOGUE.get(name)
        if spec is None:
            return self._problem(404, "name", "unknown KPI")
        if spec.windows and not spec.is_stock and query.get("window") not in spec.windows:
            return self._problem(422, "window", "unknown window")
        if query.get("territory", "all") not in self.places:
            return self._problem(422, "territory", "unknown territory")
        return None

    async def _kpi(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        problem = self._asked(request.query, name)
        return problem or self._json(self._answer(name, request.query))

    def _answer(self, name: str, query: Mapping[str, str]) -> Row:
        spec, now = kpis.CATALOGUE[name], time.time()
        window = None if spec.is_stock else query.get("window")
        rows = self.province.rows(name, now, window, query.get("territory", "all"), query.get("by"))
        return {
            "kpi": name, "unit": spec.unit, "window": window, "as_of": _iso(now), "rows": rows,
        }  # fmt: skip

    async def _series(self, request: web.Request) -> web.Response:
        name, query = request.match_info["name"], request.query
        if problem := self._asked(query, name):
            return problem
        spec = kpis.CATALOGUE[name]
        if spec.kind == "indicator" and "series" not in query:
            return self._problem(400, "series", "an indicator KPI needs a series")
        start = datetime.fromisoformat(query["from"]).timestamp()
        end = datetime.fromisoformat(query["to"]).timestamp()
        step = float(query["step"])
        if step < 10 or (end - start) / step > 2000:
            return self._problem(422, "step", "at least 10 s and at most 2,000 points")
        window = None if spec.is_stock else query.get("window")
        points, at = [], start
        while at <= end:
            rows = (
                [self._reading(query["series"], at)] if spec.kind == "indicator"
                else self.province.rows(name, at, window, query.get("territory", "all"), None)
            )  # fmt: skip
            points.append({"as_of": _iso(at), "rows": rows})
            at += step
        return self._json({"kpi": name, "unit": spec.unit, "window": window, "points": points})

    def _reading(self, series: str, at: float) -> Row:
        about, reported = self.series[series]
        value = reported.number
        moved = None if value is None else value * (0.98 + 0.02 * math.sin(at / 3e5))
        return {"territory": about, "by": None, "value": moved, "count": 1}

    async def _indicators(self, _: web.Request) -> web.Response:
        now, rows, known = time.time(), [], by_name()
        midnight = math.floor((now + 25200) / 86400) * 86400 - 25200
        for series, (territory, reported) in self.series.items():
            about = known[series.partition("|")[0]]
            value = reported.number
            target = about.target if reported.target is None else reported.target
            beat = about.cadence == "beat"
            start = math.floor(now / 300) * 300 - 300 if beat else midnight - 86400
            rows.append(
                {
                    "series": series,
                    "indicator": about.name,
                    "domain": about.domain,
                    "territory": territory,
                    "dims": dict(reported.dims),
                    "titles": {"vi": about.title_vi, "en": about.title_en},
                    "unit": about.unit,
                    "kind": about.kind,
                    "direction": about.direction,
                    "cadence": about.cadence,
                    "value": value,
                    "text": reported.text,
                    "target": target,
                    "target_low": about.target_low,
                    "gap": None if value is None or target is None else value - target,
                    "numerator": reported.numerator,
                    "denominator": reported.denominator,
                    "period_start": _iso(start),
                    "period_end": _iso(start + 300 if beat else now - 300),
                    "age_seconds": now - start - 300 if beat else now - midnight,
                    "source_system": about.source_system,
                }
            )
        return self._json({"as_of": _iso(now), "indicators": rows})

    async def _progress(self, _: web.Request) -> web.Response:
        now, lag = time.time(), 0 if self.state.caught_up else 18_412
        parts = [
            {"topic": t, "partition": p, "end": 120_000 + lag, "applied": 120_000, "lag": lag,
             "event_time": _iso(now - 1)}
            for t in TOPICS for p in range(4)
        ]  # fmt: skip
        return self._json({"caught_up": self.state.caught_up, "partitions": parts})

    async def _wall(self, _: web.Request) -> web.Response:
        now, state = time.time(), self.state
        feeds = [
            {"topic": t, "province": p.code,
             "age_seconds": None if (t, p.code) in state.silent else
             now % 240 * (0.2 + _unit(t, p.code)) * (4 if t == TOPICS[2] else 1)}
            for t in TOPICS for p in self.places.values() if p.level == "province"
        ]  # fmt: skip
        pace = zip(TOPICS, (0.3, 9.0, 0.6, 2.0), (41_207, 812_344, 96_031, 1_204_778), strict=True)
        counts = {t: int((now - self.started) * each) + base for t, each, base in pace}
        return self._json(
            {
                "simulated": state.simulated, "caught_up": state.caught_up, "broker": state.broker,
                "clock": _iso(now), "clock_kind": "wall", "namespace": "",
                "conservation_broken": False, "grafana": state.grafana,
                "territories": [
                    {"code": p.code, "name": p.name, "level": p.level,
                     "parent": None if p.parent == "all" else p.parent, "lat": p.lat, "lon": p.lon,
                     "kind": p.kind}
                    for p in self.places.values() if p.level != "all"
                ],
                "feeds": feeds, "urgent": list(self._urgent(now)),
                "outcomes": {
                    t: {"applied": n, "duplicate": n // 190, "conflict": n // 2100,
                        "stale": n // 230, "expired": n // 40_000, "rejected": n // 330}
                    for t, n in counts.items()
                },
                "rejects": {
                    t: {"schema": n // 560, "not_json": n // 1300, "future_time": n // 2000,
                        "key_mismatch": n // 90_000}
                    for t, n in counts.items()
                },
                "unknown": {t: n // 1050 for t, n in counts.items()},
            }
        )  # fmt: skip

    def _urgent(self, now: float) -> Iterator[Row]:
        communes = [p for p in self.places.values() if p.level == "commune"]
        categories, statuses = MEMBERS["fr"]["category"], ("received", "verifying", "in_progress")
        for i in range(20):
            minute = int(now // 60) - i * 9
            pick = _unit("urgent", minute // 9)
            commune = communes[int(pick * len(communes))]
            district = self.places[commune.parent or ""]
            reported = (minute // 9) * 540 + pick * 60
            yield {
                "report_id": f"PA-{minute // 9:x}", "province_code": district.parent,
                "district_code": district.code, "commune_code": commune.code,
                "category": categories[int(pick * 997) % len(categories)],
                "status": statuses[int(pick * 131) % 3], "reported_at": _iso(reported),
                "due_at": _iso(reported + 5400), "lat": (district.lat or 0) + 0.03 * (pick - 0.5),
                "lon": (district.lon or 0) + 0.05 * (_unit(minute) - 0.5),
            }  # fmt: skip

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        names = request.query.getall("kpi", [])
        if self.state.streamless:
            raise web.HTTPServiceUnavailable
        if not names:
            return self._problem(422, "kpi", "at least one")
        for name in names:
            if problem := self._asked(request.query, name):
                return problem
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async for chunk in self._changes(names, request.query):
            try:
                await response.write(chunk)
            except ConnectionError:
                break
        return response

    async def _changes(self, names: list[str], query: Mapping[str, str]) -> AsyncIterator[bytes]:
        shown: dict[tuple[str, str, str | None], object] = {}
        while not self.state.down:
            for name in names:
                answer = self._answer(name, query)
                rows = [
                    r for r in answer["rows"]
                    if shown.get((name, r["territory"], r["by"])) != (r["value"], r["count"])
                ]  # fmt: skip
                for r in rows:
                    shown[name, r["territory"], r["by"]] = (r["value"], r["count"])
                if rows:
                    yield b"data: " + orjson.dumps({**answer, "rows": rows}) + b"\n\n"
                await asyncio.sleep(0)
            await asyncio.sleep(0.5)


def _described(kpi: kpis.Kpi) -> Row:
    return {
        "name": kpi.name, "unit": kpi.unit,
        "titles": {"vi": kpi.title_vi, "en": kpi.title_en}, "formula": kpi.formula,
        "windows": [] if kpi.is_stock else list(kpi.windows),
        "dimensions": list(kpi.dimensions), "pairs": [list(p) for p in kpi.pairs],
        "target": kpi.target, "direction": kpi.direction,
    }  # fmt: skip


class Stage:
    """An application served by a thread of its own on a free port; ``url`` is the wall's.

    ``beside`` runs in the same loop for as long as the application is served.
    """

    def __init__(
        self,
        application: Callable[[], web.Application],
        *beside: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self.url = ""
        self._application = application
        self._beside = beside
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="fake-view", daemon=True)

    def _serve(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._run())

    async def _run(self) -> None:
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port, *_ = runner.addresses[0]
        self.url = f"http://{host}:{port}/"
        self._tasks = [asyncio.create_task(run()) for run in self._beside]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()
        # Open streams too: whatever still runs ends with the loop.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise TimeoutError("the fake view did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=26000)
    parser.add_argument("--reference", type=Path, default=REFERENCE, help="territory tables")
    options = parser.parse_args()
    app = FakeView(options.reference).application()
    web.run_app(app, host="127.0.0.1", port=options.port)


if __name__ == "__main__":
    main()
