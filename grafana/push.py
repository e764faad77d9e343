"""Loads boards and writes annotations into any Grafana by URL and token.

The one module that holds grafana-api 1.0.3, which is archived: only the routes that Grafana still
serves are used through it (folders, dashboards, data sources by name, annotations), and what it
lacks or breaks goes by its raw calls (health, data source by uid). grafana-client is the swap.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from grafana_api.grafana_api import GrafanaClientError, GrafanaException
from grafana_api.grafana_face import GrafanaFace

from grafana.stored import Dashboard

FOLDER_UID, FOLDER_TITLE = "ioc", "IOC"
DATASOURCE_NAME, DATASOURCE_UID = "IOC Prometheus", "ioc-prometheus"

T = TypeVar("T")


class PushError(Exception):
    """Grafana could not be reached, or said no; the text says what to do."""


class Grafana:
    """A Grafana at ``url`` (with or without a path), with an API token or service account token."""

    def __init__(self, url: str, token: str, timeout_s: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PushError(f"{url} is no http or https address")
        self.url = url.rstrip("/")
        path = parts.path.strip("/")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        make: Any = GrafanaFace  # grafana-api has no types
        self._face = make(
            auth=token,
            host=host,
            port=parts.port,
            url_path_prefix=f"{path}/" if path else "",
            protocol=parts.scheme,
            timeout=timeout_s,
        )

    def _ask(self, what: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except GrafanaException as error:
            match error.status_code:
                case 401:
                    hint = "the token is wrong or has expired"
                case 403:
                    hint = "the token needs the role Editor (Admin for the data source)"
                case _:
                    hint = str(error.message)
            raise PushError(f"{what}: Grafana answered {error.status_code}: {hint}") from error
        except OSError as error:
            # requests' exceptions are OSErrors; a body that is no JSON is one too
            raise PushError(
                f"{what}: no usable answer from {self.url} ({type(error).__name__}): is that "
                "the address of a running Grafana?"
            ) from error

    def _find(self, what: str, call: Callable[[], T]) -> T | None:
        """The answer, or None when Grafana says 404."""

        def found() -> T | None:
            try:
                return call()
            except GrafanaClientError as error:
                if error.status_code == 404:
                    return None
                raise

        return self._ask(what, found)

    def version(self) -> str:
        """The version of the Grafana; proves that the address is one."""
        answer: Any = self._ask("health", lambda: self._face.api.GET("/health"))
        if not isinstance(answer, dict) or "database" not in answer:
            raise PushError(f"{self.url} answers, but is no Grafana")
        return str(answer.get("version", "unknown"))

    def ensure_folder(self) -> str:
        """Creates the folder IOC if it is missing; gives its uid."""
        if self._find("folder", lambda: self._face.folder.get_folder(FOLDER_UID)) is None:
            self._ask("folder", lambda: self._face.folder.create_folder(FOLDER_TITLE, FOLDER_UID))
        return FOLDER_UID

    def ensure_datasource(self, prometheus_url: str) -> str:
        """Creates the data source, or points it to this Prometheus; gives its uid."""
        wanted = {
            "name": DATASOURCE_NAME,
            "uid": DATASOURCE_UID,
            "type": "prometheus",
            "access": "proxy",
            "url": prometheus_url,
            "isDefault": True,
            "jsonData": {"httpMethod": "POST", "timeInterval": "5s"},
        }
        there: Any = self._find(
            "data source", lambda: self._face.datasource.find_datasource(DATASOURCE_NAME)
        )
        if there is None:
            self._ask("data source", lambda: self._face.datasource.create_datasource(wanted))
            return DATASOURCE_UID
        uid = str(there["uid"])
        if there.get("url") != prometheus_url:
            # by uid: the route by numeric id, the only one grafana-api has, is off by default
            self._ask(
                "data source",
                lambda: self._face.api.PUT(f"/datasources/uid/{uid}", json=wanted | {"uid": uid}),
            )
        return uid

    def push(self, dashboard: Dashboard, message: str) -> str:
        """Creates or replaces one dashboard in the folder; gives its path on the server."""
        body = {
            "dashboard": {**dashboard, "id": None},
            "folderUid": FOLDER_UID,
            "message": message,
            "overwrite": True,
        }
        answer: Any = self._ask(
            f"dashboard {dashboard['uid']}", lambda: self._face.dashboard.update_dashboard(body)
        )
        return str(answer.get("url", ""))

    def annotate(
        self, text: str, tags: Sequence[str], at_ms: int, until_ms: int | None = None
    ) -> int:
        """Writes an annotation at an instant (ms since the epoch), or to another; gives its id."""
        answer: Any = self._ask(
            "annotation",
            lambda: self._face.annotations.add_annotation(
                time_from=at_ms,
                time_to=at_ms if until_ms is None else until_ms,
                tags=list(tags),
                text=text,
            ),
        )
        return int(answer["id"])

    def annotations(self, tags: Sequence[str]) -> list[dict[str, Any]]:
        """The annotations that carry all these tags."""
        answer: Any = self._ask(
            "annotations", lambda: self._face.annotations.get_annotation(tags=list(tags))
        )
        return list(answer)
