"""Settings: everything that a process takes from its environment, read once and checked at once.

Every setting has an ``IOC_`` name. A value that cannot be used stops the process, and the message
names *all* that are wrong or missing, not only the first.
"""

import os
import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar, cast

from schemas.catalog import DEFAULT_PARTITIONS, DEFAULT_RETENTION_DAYS
from services.core.selection import Selection

T = TypeVar("T")

#: What Kafka accepts in a topic name; a namespace also keeps clear of the dot that joins it.
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


class SettingsError(Exception):
    """One or more settings are wrong or missing; ``problems`` holds a line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("settings cannot be used:\n" + "\n".join(f"  - {p}" for p in problems))
        self.problems = problems


def default_data_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Where a system keeps its data when nothing else is said: ``~/.local/share/ioc``."""
    env = os.environ if environ is None else environ
    base = env.get("XDG_DATA_HOME") or str(Path(env.get("HOME") or Path.home()) / ".local/share")
    return Path(base) / "ioc"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one process. Fields are named as the variables, without ``IOC_``."""

    bootstrap: str = "127.0.0.1:9092"
    """``IOC_BOOTSTRAP``: brokers to ask first, ``host:port`` joined by commas."""
    namespace: str = ""
    """``IOC_NAMESPACE``: put before every topic and group, with a dot; empty when live."""
    clock: Literal["wall", "event"] = "wall"
    """``IOC_CLOCK``: what arrival means (contract section 1)."""
    partitions: int = DEFAULT_PARTITIONS
    """``IOC_PARTITIONS``: partitions of every source topic, fixed at creation."""
    retention_days: int = DEFAULT_RETENTION_DAYS
    """``IOC_RETENTION_DAYS``: how long source topics and dead letters are kept."""
    view_host: str = "127.0.0.1"
    """``IOC_VIEW_HOST``: the address on which the view listens."""
    view_port: int = 8080
    """``IOC_VIEW_PORT``: the port of the view."""
    metrics_port: int | None = None
    """``IOC_METRICS_PORT``: the port for this process's own ``/metrics``; None for none."""
    metrics_host: str = "127.0.0.1"
    """``IOC_METRICS_HOST``: the address of that port; in a container another one."""
    kpis: tuple[str, ...] = ()
    """``IOC_KPIS``: compute these KPIs only, joined by commas; all when empty. The same for every
    worker and view of a system."""
    data_dir: Path = field(default_factory=default_data_dir)
    """``IOC_DATA_DIR``: what a system keeps between starts."""
    log_level: str = "INFO"
    """``IOC_LOG_LEVEL``: DEBUG, INFO, WARNING or ERROR."""

    @property
    def view_url(self) -> str:
        """Where this machine reaches the view, without a slash at the end."""
        host = "127.0.0.1" if self.view_host in ("", "0.0.0.0", "::") else self.view_host  # noqa: S104 (compared, not bound)
        return f"http://{host}:{self.view_port}"

    def named(self, name: str) -> str:
        """A topic or group name of the contract as it is on the broker, namespace included."""
        return f"{self.namespace}.{name}" if self.namespace else name

    def environment(self) -> dict[str, str]:
        """These settings as environment variables, for a child process."""
        values = {
            "IOC_BOOTSTRAP": self.bootstrap,
            "IOC_NAMESPACE": self.namespace,
            "IOC_CLOCK": self.clock,
            "IOC_PARTITIONS": str(self.partitions),
            "IOC_RETENTION_DAYS": str(self.retention_days),
            "IOC_VIEW_HOST": self.view_host,
            "IOC_VIEW_PORT": str(self.view_port),
            "IOC_METRICS_HOST": self.metrics_host,
            "IOC_KPIS": ",".join(self.kpis),
            "IOC_DATA_DIR": str(self.data_dir),
            "IOC_LOG_LEVEL": self.log_level,
        }
        if self.metrics_port is not None:
            values["IOC_METRICS_PORT"] = str(self.metrics_port)
        return values


def _bootstrap(text: str) -> str:
    servers = [s.strip() for s in text.split(",") if s.strip()]
    for server in servers:
        host, _, port = server.rpartition(":")
        if not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 65536:
            raise ValueError("host:port, several joined by commas")
    if not servers:
        raise ValueError("host:port, several joined by commas")
    return ",".join(servers)


def _namespace(text: str) -> str:
    if text and not _NAMESPACE.fullmatch(text):
        raise ValueError("letters, digits, - and _, at most 63, starting with a letter or digit")
    return text


def _clock(text: str) -> Literal["wall", "event"]:
    if text not in ("wall", "event"):
        raise ValueError("wall or event")
    return cast("Literal['wall', 'event']", text)


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _log_level(text: str) -> str:
    level = text.upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("DEBUG, INFO, WARNING or ERROR")
    return level


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _host(text: str) -> str:
    if not text or any(c.isspace() or c == "/" for c in text):
        raise ValueError("a host name or address")
    return text


def _kpis(text: str) -> tuple[str, ...]:
    try:
        return Selection.of(name.strip() for name in text.split(",") if name.strip()).kpis
    except ValueError as error:
        raise ValueError(f"names of KPIs, joined by commas ({error})") from None


_PARSERS: dict[str, Callable[[str], object]] = {
    "bootstrap": _bootstrap,
    "namespace": _namespace,
    "clock": _clock,
    "partitions": _whole(1, 1024),
    "retention_days": _whole(1, 36_500),
    "view_host": _host,
    "view_port": _whole(1, 65_535),
    "metrics_port": _whole(1, 65_535),
    "metrics_host": _host,
    "kpis": _kpis,
    "data_dir": _path,
    "log_level": _log_level,
}


def read(environ: Mapping[str, str], *, require: Collection[str] = ()) -> Settings:
    """Read the settings from ``environ``; ``require`` names fields that must be given there.

    An empty variable counts as not given (except the namespace, whose default is empty anyway).
    Raises SettingsError naming every variable that is wrong or missing.
    """
    values: dict[str, object] = {}
    problems: list[str] = []
    for name, parse in _PARSERS.items():
        variable = f"IOC_{name.upper()}"
        text = environ.get(variable, "").strip()
        if not text:
            if name in require:
                problems.append(f"{variable} is missing")
            elif name == "data_dir":
                values[name] = default_data_dir(environ)
            continue
        try:
            values[name] = parse(text)
        except ValueError as error:
            problems.append(f"{variable}={text!r}: expected {error}")
    if problems:
        raise SettingsError(problems)
    return Settings(**values)  # type: ignore[arg-type]  # the parsers give each field its type


def load(*, require: Collection[str] = ()) -> Settings:
    """The settings of this process; on a wrong one it ends with exit code 2 and says which."""
    try:
        return read(os.environ, require=require)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 (the process ends here, before any logging)
        raise SystemExit(2) from None
