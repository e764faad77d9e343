"""The application: routes, what every answer carries, and how refusals look.

Same-origin only: no CORS header is ever sent. Errors of every kind are problem JSON, those of the
router (404, 405) too.
"""

import asyncio
import gzip
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from services.core.questions import QueryError
from services.view import problem
from services.view.api import Api
from services.view.problem import ProblemError

log = logging.getLogger(__name__)

STATIC = Path(__file__).with_name("static")
#: Smaller answers are not worth compressing.
COMPRESS_BYTES = 2048
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Everything that goes wrong becomes a problem; what nobody foresaw is logged and is a 500."""
    try:
        return await handler(request)
    except ProblemError as error:
        said = error
    except QueryError as error:
        said = ProblemError(error.status, error.detail, error.parameter)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        said = ProblemError(
            405, f"{request.method} is not allowed here, only {allowed}", None, {"Allow": allowed}
        )
    except web.HTTPNotFound:
        said = ProblemError(404, f"there is nothing at {request.path}")
    except web.HTTPException as error:
        if error.status < 400:
            raise
        said = ProblemError(error.status, error.reason)
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path_qs)
        said = ProblemError(500, "the view failed to answer; its log says why")
    return problem.response(said, request.path)


@web.middleware
async def compressed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """gzip for large answers, off the event loop, where the client takes it."""
    response = await handler(request)
    if (
        isinstance(response, web.Response)
        and isinstance(response.body, bytes)
        and len(response.body) >= COMPRESS_BYTES
        and "Content-Encoding" not in response.headers
        and accepts_gzip(request.headers.get("Accept-Encoding", ""))
    ):
        response.body = await asyncio.to_thread(gzip.compress, response.body, 1, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
        vary = response.headers.get("Vary")
        response.headers["Vary"] = f"{vary}, Accept-Encoding" if vary else "Accept-Encoding"
    return response


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header takes gzip (a weight of 0 refuses it)."""
    for part in header.split(","):
        coding, _, weight = part.strip().lower().partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)


async def _index(request: web.Request) -> web.StreamResponse:
    index = STATIC / "index.html"
    if not index.is_file():
        raise ProblemError(404, "the wall is not part of this installation")
    return web.FileResponse(index, headers={"Cache-Control": "no-cache"})


async def _static(request: web.Request) -> web.StreamResponse:
    path = (STATIC / request.match_info["path"]).resolve()
    if not path.is_relative_to(STATIC.resolve()) or not path.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(path, headers={"Cache-Control": "no-cache"})


def create_app(api: Api) -> web.Application:
    """The application. ``api`` answers; its stream hub is closed before connections are."""
    app = web.Application(middlewares=[compressed, refusals])
    app.router.add_get("/", _index)
    app.router.add_get("/static/{path:.+}", _static)
    api.add_routes(app)
    app.on_response_prepare.append(_secure)

    async def end_streams(_: web.Application) -> None:
        api.hub.close()

    app.on_shutdown.append(end_streams)
    return app
