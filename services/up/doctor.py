"""`ioc doctor`: what this machine has, what is missing, and what to do about it."""

import http.client
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import click

from services.core import speed
from services.runtime import java, kafka
from services.runtime.embedded import MINIMUM_FREE_BYTES
from services.runtime.ports import LOOPBACK, Ports, answers, is_free
from services.runtime.settings import Settings, load
from services.up import monitoring

Verdict = Literal["ok", "warn", "fail"]

#: What an idle system takes, with room for a burst.
_WANTED_MEMORY = 3 * 1024**3
_LEAST_MEMORY = 1536 * 1024**2
_WANTED_DISK = 5 * 1024**3
_PYTHON = ((3, 11), (3, 13))


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was found, and what to do (empty when nothing)."""

    verdict: Verdict
    what: str
    found: str
    todo: str = ""


def check_python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    low, high = _PYTHON
    good = low <= sys.version_info[:2] <= high
    todo = "" if good else "install Python 3.11, 3.12 or 3.13 and run make install with it"
    return Finding("ok" if good else "fail", "python", version, todo)


def check_fold() -> Finding:
    """Which form of the fold a worker runs here (services.core.speed)."""
    if speed.default() == "compiled":
        return Finding("ok", "fold", "compiled")
    todo = "a quarter of the speed: install a C compiler and Python's headers, then make install"
    return Finding("warn", "fold", speed.describe(), todo)


def check_java() -> Finding:
    try:
        found = java.find_java()
    except java.JavaError as error:
        return Finding("fail", "java", "none that Kafka can use", str(error))
    return Finding("ok", "java", f"{found.version} ({found.program})")


def check_jars() -> Finding:
    jars = java.read_lock()
    folder = java.default_cache() / f"kafka-{java.KAFKA_VERSION}"
    missing = [j for j in jars if not (folder / j.filename).exists()]
    if not missing:
        return Finding("ok", "kafka", f"{java.KAFKA_VERSION}, {len(jars)} jars in {folder}")
    size = sum(j.size for j in missing) / 1e6
    return Finding(
        "warn",
        "kafka",
        f"{len(missing)} of {len(jars)} jars still to be downloaded",
        f"the first `ioc up` downloads {size:.0f} MB from Maven Central",
    )


def check_disk(home: Path) -> Finding:
    place = home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:.1f} GB free at {place}"
    if free < MINIMUM_FREE_BYTES:
        return Finding("fail", "disk", found, "free some space, or use --data-dir elsewhere")
    if not os.access(place, os.W_OK):
        return Finding("fail", "disk", f"{place} cannot be written", "use --data-dir elsewhere")
    if free < _WANTED_DISK:
        return Finding("warn", "disk", found, "a year of events takes some GB: free some space")
    return Finding("ok", "disk", found)


def available_memory() -> int | None:
    """Memory that programs can still get, in bytes; None where that cannot be told."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def check_memory() -> Finding:
    free = available_memory()
    if free is None:
        return Finding("ok", "memory", "not told by this operating system")
    found = f"{free / 1e9:.1f} GB available"
    if free < _LEAST_MEMORY:
        return Finding("fail", "memory", found, "a system takes about 2 GB: close something")
    if free < _WANTED_MEMORY:
        return Finding("warn", "memory", found, "enough for an idle system, little for a burst")
    return Finding("ok", "memory", found)


def check_programs() -> Iterator[Finding]:
    wanted = (
        (
            "prometheus",
            monitoring.find_prometheus(),
            "no graphs and alerts without it: apt-get install prometheus",
        ),
        (
            "alertmanager",
            monitoring.find_alertmanager(),
            "alerts reach nobody without it: apt-get install prometheus-alertmanager",
        ),
        (
            "grafana",
            (monitoring.find_grafana() or (None,))[0],
            "no boards without it: docker compose up brings one, or set GRAFANA_HOME",
        ),
        (
            "chromium",
            monitoring.find("chromium", "chromium-browser", "google-chrome"),
            "only the browser tests need it: apt-get install chromium",
        ),
    )
    for what, program, todo in wanted:
        if program:
            yield Finding("ok", what, str(program))
        else:
            yield Finding("warn", what, "not found", todo)


def check_ports(ports: Ports) -> Finding:
    """The ports of a system that is not running yet."""
    numbers = {
        "kafka": ports.kafka,
        "controller": ports.controller,
        "view": ports.view,
        "prometheus": ports.prometheus,
        "alertmanager": ports.alertmanager,
        "grafana": ports.grafana,
    }
    taken = [f"{port} ({what})" for what, port in numbers.items() if not is_free(port)]
    if taken:
        return Finding(
            "fail",
            "ports",
            f"taken: {', '.join(taken)}",
            "stop what uses them, or start with --port-base N",
        )
    return Finding("ok", "ports", "free")


def check_broker(settings: Settings) -> Iterator[Finding]:
    """The broker, and the topics on it."""
    try:
        cluster = kafka.cluster_id(settings.bootstrap, timeout=3.0)
        yield Finding("ok", "broker", f"{settings.bootstrap}, cluster {cluster}")
        problems = kafka.inspect_topics(
            settings.bootstrap, settings.namespace, settings.partitions, settings.retention_days
        )
    except kafka.BrokerUnreachableError as error:
        yield Finding("fail", "broker", str(error), "start it with `ioc up`")
        return
    if problems:
        todo = "correct them with `ioc topics`"
        yield from (Finding("fail", "topics", problem, todo) for problem in problems)
    else:
        yield Finding("ok", "topics", "all there, with the right settings")


def _get(url: str, path: str) -> tuple[int, bytes]:
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=3.0)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def check_view(url: str) -> Finding:
    """Whether the view answers and has caught up."""
    try:
        status, body = _get(url, "/api/v1/progress")
        progress: dict[str, Any] = json.loads(body)
        behind = sum(int(p["lag"]) for p in progress["partitions"])
        caught_up = bool(progress["caught_up"])
    except (OSError, http.client.HTTPException) as error:
        return Finding("fail", "view", f"{url} does not answer ({error})", "see its log")
    except (ValueError, KeyError, TypeError):
        return Finding("fail", "view", f"{url} answers {status}, not as a view does", "see its log")
    if not caught_up:
        return Finding(
            "warn",
            "view",
            f"{behind} records behind",
            "wait a moment; if it stays, look at the log of the kpi workers",
        )
    return Finding("ok", "view", f"{url}, caught up")


def running_system(home: Path) -> dict[str, Any] | None:
    """What a running system on that data folder says of itself, None when there is none."""
    try:
        where = json.loads((home / "running.json").read_text(encoding="utf-8"))
        host, _, port = str(where["kafka"]).partition(":")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return where if answers(int(port), host) else None


def examine(settings: Settings, ports: Ports) -> list[Finding]:
    """Look at everything. A system counts as running when its broker answers."""
    home = settings.data_dir
    findings = [
        check_python(),
        check_fold(),
        check_java(),
        check_jars(),
        check_disk(home),
        check_memory(),
        *check_programs(),
    ]
    where = running_system(home)
    if where is not None:
        bootstrap, view = str(where["kafka"]), where["view"]
    else:
        bootstrap = settings.bootstrap
        view = settings.view_url
        host, _, port = bootstrap.partition(",")[0].rpartition(":")
        if not answers(int(port), host or LOOPBACK):
            findings.append(check_ports(ports))
            findings.append(Finding("ok", "system", "not running; `ioc up` starts it"))
            return findings
    environ = settings.environment() | {"IOC_BOOTSTRAP": bootstrap}
    from services.runtime.settings import read

    findings += check_broker(read(environ))
    if view:
        findings.append(check_view(str(view)))
    return findings


@click.command("doctor")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Look at the system on that folder.  [IOC_DATA_DIR]",
)
@click.option("--namespace", help="Look at the system of that namespace.  [IOC_NAMESPACE]")
@click.option("--port-base", type=int, help="The ports that a system would use.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def doctor(
    data_dir: Path | None, namespace: str | None, port_base: int | None, as_json: bool
) -> None:
    """Check this machine and the system on it, and say what to do about what is not right.

    Exits 1 when something fails; a warning is something that the system can do without.

    \b
    Examples:
      ioc doctor
      ioc doctor --data-dir /var/tmp/trial --json
    """
    from services.up.cli import build_settings

    load()  # a wrong setting is the first thing to say
    try:
        ports = Ports() if port_base is None else Ports.from_base(port_base)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    bootstrap = os.environ.get("IOC_BOOTSTRAP")
    settings = build_settings(namespace, ports, data_dir, 1.0)
    if bootstrap and port_base is None:
        from dataclasses import replace

        settings = replace(settings, bootstrap=bootstrap)
    findings = examine(settings, ports)
    if as_json:
        click.echo(json.dumps([asdict(f) for f in findings], ensure_ascii=False))
    else:
        for f in findings:
            click.echo(f"{f.verdict:<5} {f.what:<13} {f.found}")
            if f.todo:
                click.echo(f"{'':<19} → {f.todo}")
    sys.exit(1 if any(f.verdict == "fail" for f in findings) else 0)
