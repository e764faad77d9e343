"""A small Grafana over HTTP: the routes that ``push`` uses, answering as the documentation says."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "the-right-token"


class Store:
    """What the server was told."""

    def __init__(self) -> None:
        self.folders: dict[str, dict[str, Any]] = {}
        self.datasources: dict[str, dict[str, Any]] = {}
        self.dashboards: dict[str, dict[str, Any]] = {}
        self.annotations: list[dict[str, Any]] = []
        self.asked: list[str] = []
        #: Answers (status, body) to give instead, by "METHOD path".
        self.broken: dict[str, tuple[int, str]] = {}


def _route(store: Store, method: str, path: str, query: str, body: Any) -> tuple[int, Any]:
    match method, path.split("/")[2:]:
        case "GET", ["health"]:
            return 200, {"commit": "abc", "database": "ok", "version": "10.1.10"}
        case "GET", ["folders", uid]:
            found = store.folders.get(uid)
            return (200, found) if found else (404, {"message": "folder not found"})
        case "POST", ["folders"]:
            store.folders[body["uid"]] = {"id": 1, **body}
            return 200, store.folders[body["uid"]]
        case "GET", ["datasources", "name", _]:
            name = path.rpartition("/")[2].replace("%20", " ")
            found = store.datasources.get(name)
            return (200, found) if found else (404, {"message": "Data source not found"})
        case "POST", ["datasources"]:
            store.datasources[body["name"]] = {"id": 7, **body}
            return 200, {"id": 7, "message": "Datasource added"}
        case "PUT", ["datasources", "uid", _]:
            store.datasources[body["name"]] = {"id": 7, **body}
            return 200, {"id": 7, "message": "Datasource updated"}
        case "POST", ["dashboards", "db"]:
            board = body["dashboard"]
            if body["folderUid"] not in store.folders:
                return 400, {"message": "folder not found"}
            if board["uid"] in store.dashboards and not body["overwrite"]:
                return 412, {"message": "The dashboard has been changed by someone else"}
            store.dashboards[board["uid"]] = board
            return 200, {"status": "success", "url": f"/d/{board['uid']}/x", "version": 1}
        case "POST", ["annotations"]:
            store.annotations.append(body)
            return 200, {"message": "Annotation added", "id": len(store.annotations)}
        case "GET", ["annotations"]:
            wanted = set(parse_qs(query).get("tags", []))
            return 200, [note for note in store.annotations if wanted <= set(note["tags"])]
    return 404, {"message": "Not found"}


def _handler(store: Store) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            store.asked.append(f"{self.command} {parts.path}")
            status: int
            answer: Any
            if broken := store.broken.get(f"{self.command} {parts.path}"):
                status, text = broken
            else:
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    status, answer = 401, {"message": "Invalid API key"}
                else:
                    status, answer = _route(store, self.command, parts.path, parts.query, body)
                text = json.dumps(answer)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PUT = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler


@contextmanager
def fake_grafana() -> Iterator[tuple[str, Store]]:
    """The address of a running fake, and what it was told."""
    store = Store()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(store))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
