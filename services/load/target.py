"""The system under load: one of its own, gone with the load, or one that is named."""

import ipaddress
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from services.load.watch import Connection, UnwatchableError
from services.runtime.own_system import OwnSystem, OwnSystemError, temporary_system


class TargetError(Exception):
    """The system cannot be loaded; the message says why and what to do."""


class RefusedError(TargetError):
    """It must not be loaded as it was asked for."""


@dataclass
class Target:
    """Where the load goes. ``pids`` are processes by part, as far as they are known."""

    bootstrap: str
    view: str
    namespace: str
    own: bool
    pids: dict[str, list[int]] = field(default_factory=dict)
    #: What started anew while the load ran.
    system: OwnSystem | None = None

    def restarted(self) -> bool:
        """Whether a part of our own system died and was started again."""
        if self.system is None:
            return False
        try:
            self.system.line = self.system.next_line(0.01)
        except OwnSystemError:
            return False
        return True


@contextmanager
def own(namespace: str, workers: int, arguments: tuple[str, ...] = ()) -> Iterator[Target]:
    """A system of our own, without sources and without a past; nothing of it is left afterwards.

    Raises TargetError when it does not come up.
    """
    with ExitStack() as stack:
        try:
            system = stack.enter_context(
                temporary_system("load", f"--workers={workers}", *arguments, namespace=namespace)
            )
        except OwnSystemError as error:
            raise TargetError(f"no system of our own came up: {error}") from error
        pids = {part: pids for part, pids in system.line["pids"].items() if pids}
        pids["up"] = [system.process.pid]
        yield Target(system.bootstrap, system.line["view"], namespace, True, pids, system)


def named(
    bootstrap: str, view: str, *, live: bool, remote: bool, pids: Mapping[str, list[int]]
) -> Target:
    """A system that runs already.

    Raises RefusedError when it is the live one and ``live`` is not said, on another host and
    ``remote`` is not said, or on an event clock; TargetError when it does not answer.
    """
    url = urllib.parse.urlsplit(view if "//" in view else f"http://{view}")
    if url.scheme != "http" or not url.hostname:
        raise RefusedError(f"--view {view!r} is no address like http://127.0.0.1:8080")
    hosts = [url.hostname, *(server.rpartition(":")[0] for server in bootstrap.split(","))]
    away = [host for host in hosts if not _is_here(host)]
    if away and not remote:
        raise RefusedError(
            f"{', '.join(dict.fromkeys(away))} is not this machine; a load on others is only sent "
            "with --remote"
        )
    address = f"http://{url.netloc}"
    wall = _wall(address)
    namespace = str(wall["namespace"] or "")
    if not namespace and not live:
        raise RefusedError(
            "this is a live system: the load would be counted in its numbers for 400 days. Start "
            "one with `ioc up --namespace NS`, name none at all, or say --live"
        )
    if wall["clock_kind"] != "wall":
        raise RefusedError(
            "the system runs on an event clock; a load is measured on the wall clock"
        )
    return Target(bootstrap, address, namespace, False, dict(pids))


def _wall(address: str) -> Any:
    connection = Connection(address)
    try:
        wall = connection.json("/api/v1/wall")
    except UnwatchableError as error:
        raise TargetError(str(error)) from error
    finally:
        connection.close()
    if not isinstance(wall, dict) or not {"namespace", "clock_kind"} <= wall.keys():
        raise RefusedError(f"what answers at {address} is no view of ours")
    return wall


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def outcomes(view: str, source: str) -> dict[str, int]:
    """How the view counted the events of one sender, by outcome; empty where it cannot be told."""
    connection = Connection(view)
    found: dict[str, int] = {}
    try:
        for line in connection.get("/metrics").decode().splitlines():
            if line.startswith("ioc_source_events_total{") and f'source="{source}"' in line:
                labels, _, count = line.rpartition(" ")
                outcome = labels.partition('outcome="')[2].partition('"')[0]
                found[outcome] = found.get(outcome, 0) + int(float(count))
    except UnwatchableError:
        return {}
    finally:
        connection.close()
    return found
