"""RFC 9457 problem details: the one form in which this interface says no."""

from http import HTTPStatus

import orjson
from aiohttp import web

CONTENT_TYPE = "application/problem+json"


class ProblemError(Exception):
    """An answer that is a refusal.

    ``parameter`` names the offending query parameter or path member; ``None`` when the fault lies
    in no parameter. ``headers`` go out with the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        parameter: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.parameter = parameter
        self.headers = headers or {}


def response(problem: ProblemError, instance: str) -> web.Response:
    """The problem as an answer; ``instance`` is the path that was asked."""
    members: dict[str, str | int] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance,
    }
    if problem.parameter is not None:
        members["parameter"] = problem.parameter
    return web.Response(
        status=problem.status,
        body=orjson.dumps(members),
        content_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store", **problem.headers},
    )
