"""The running view asked over HTTP, with the questions of `services.core.merge.View`."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from services.core.merge import QueryError
from services.core.rows import Row


def _text(ms: int) -> str:
    at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)
    return at.isoformat(timespec="milliseconds")


class HttpView:
    """Answers as rows; a refusal is a QueryError, as in the core."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        """The JSON of an answer of any status."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}{path}?{query}", timeout=30) as answer:  # noqa: S310 (http on this machine)
                return json.load(answer)
        except urllib.error.HTTPError as error:
            problem = json.load(error)
            raise QueryError(problem.get("parameter", ""), str(problem), error.code) from error

    def query(
        self,
        kpi: str,
        *,
        now: int,
        window: str | None = None,
        territory: str = "all",
        by: str | None = None,
        where: Mapping[str, str] | None = None,
        as_of: int | None = None,
    ) -> tuple[int, list[Row]]:
        """As ``View.query``; ``now`` stands for as_of where none is named, so nothing moves."""
        at = now if as_of is None else as_of
        parameters = {"territory": territory, "as_of": _text(at), **(where or {})}
        if window is not None:
            parameters["window"] = window
        if by is not None:
            parameters["by"] = by
        answer = self.get(f"/api/v1/kpis/{kpi}", **parameters)
        return at, [
            Row(r["territory"], r["by"], r["value"], r["numerator"], r["denominator"], r["count"])
            for r in answer["rows"]
        ]

    def wait_until_caught_up(self, records: int, seconds: float) -> None:
        """Wait until that many records are applied and nothing is behind."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                progress = self.get("/api/v1/progress")
            except (OSError, QueryError) as error:
                progress = {"caught_up": False, "partitions": [], "why": str(error)}
            applied = sum(p["applied"] for p in progress["partitions"])
            if progress["caught_up"] and applied >= records:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{applied} of {records} records applied: {progress}")
            time.sleep(0.25)
