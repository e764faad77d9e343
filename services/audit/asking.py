"""What the live view says, window by window: each answer atomic, together with its offsets."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from services.oracle.audit import Answer
from services.oracle.windows import WINDOWS

#: A view that has just been started is given so long to read its partial results.
PATIENCE_SECONDS = 30.0
TIMEOUT_SECONDS = 30.0
NOW = "now"
#: By which indicators are answered too: the latest of each series, the sums of flows.
LATEST, FLOWS = "ind.value", "ind.sum"


class ViewError(Exception):
    """The view did not give what the audit needs; the message is fit for an operator."""


@dataclass(frozen=True)
class Shown:
    """What the view is of: its clock, its namespace, and its KPIs with their windows."""

    clock: str
    namespace: str
    windows: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Asked:
    """One answer, and the seconds that it took."""

    answer: Answer
    seconds: float


class Asking:
    """Asks one view."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def shown(self) -> Shown:
        """Raises ViewError."""
        wall, catalogue = self._get("/api/v1/wall"), self._get("/api/v1/kpis")
        try:
            return Shown(
                wall["clock_kind"],
                wall["namespace"],
                {kpi["name"]: tuple(kpi["windows"]) or (NOW,) for kpi in catalogue["kpis"]},
            )
        except (KeyError, TypeError) as error:
            raise ViewError(f"what answers at {self._url} is no view: no {error}") from error

    def answers(
        self, shown: Shown, windows: Sequence[str], kpis: Sequence[str], *, dimensions: bool
    ) -> Iterator[Asked]:
        """Up to three answers a window, so that none takes long, as quickly as they come.

        ``windows`` and ``kpis``: only these, where there are any. Raises ViewError.
        """
        chosen = [name for name in shown.windows if not kpis or name in kpis]
        for window in windows or (NOW, *WINDOWS):
            names = [name for name in chosen if window in shown.windows[name]]
            stocks = [name for name in names if window == NOW and name.startswith("eco.")]
            series = [name for name in names if name in (LATEST, FLOWS)]
            rest = [n for n in names if n not in stocks and not n.startswith("ind.")]
            for part in (rest, stocks, series):
                if part:
                    yield self._ask(window, part, dimensions=dimensions)

    def _ask(self, window: str, names: Sequence[str], *, dimensions: bool) -> Asked:
        query = [("window", window), *(("kpi", name) for name in names)]
        if dimensions:
            query.append(("by", "dimensions"))
        began = time.monotonic()
        body = self._get(f"/api/v1/numbers?{urllib.parse.urlencode(query)}")
        try:
            return Asked(Answer.of(body), time.monotonic() - began)
        except (KeyError, TypeError, ValueError) as error:
            raise ViewError(f"{self._url} answers {window} in another form: {error}") from error

    def _get(self, path: str) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with urllib.request.urlopen(self._url + path, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 (the scheme was checked)
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                detail = _detail(error)
                if error.code != 503 or time.monotonic() > deadline:
                    what = f"{self._url}{path.partition('?')[0]}"
                    raise ViewError(f"{what} answers {error.code}: {detail}") from error
                time.sleep(1.0)
            except (OSError, ValueError) as error:
                reason = getattr(error, "reason", error)
                raise ViewError(f"the view at {self._url} does not answer: {reason}") from error


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error).get("detail", error.reason))
    except (ValueError, AttributeError):
        return error.reason
