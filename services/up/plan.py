"""The parts of a system: the commands that are run, and how each shows that it works."""

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from services.runtime.embedded import EmbeddedKafka
from services.runtime.ports import LOOPBACK, PRODUCER_KINDS, answers
from services.runtime.process import ChildProcess
from services.up import monitoring
from services.up.part import Part, http_ok
from services.up.system import System

#: The order of stopping: nobody loses the one it still speaks to.
PRODUCERS, WORKERS, READERS, BROKER = range(4)
#: A broker that was killed may hang for ever in its controller's activation when it comes back.
BROKER_SECONDS = 90.0

#: The door behind each command that a part runs.
_MODULES: Mapping[str, str] = {
    "kpi": "services.kpi.main",
    "view": "services.view.main",
    "history": "services.history.main",
    "backfill": "services.history.main",
    **{kind: f"services.{kind.replace('-', '_')}.main" for kind in PRODUCER_KINDS},
}


def is_installed(command: str) -> bool:
    """Whether this installation has the door of that command (an image may leave some out)."""
    try:
        return importlib.util.find_spec(_MODULES[command]) is not None
    except ModuleNotFoundError:
        return False


def installed_producers() -> list[str]:
    return [kind for kind in PRODUCER_KINDS if is_installed(kind)]


def ioc(*arguments: str) -> list[str]:
    """The command line of one of our own commands, with this very interpreter and code.

    Without the current folder on the module path: a folder called ``services`` there is not ours.
    """
    return [sys.executable, "-P", "-m", "services.cli", *arguments]


def environment(system: System, metrics_port: int | None = None, **more: str) -> dict[str, str]:
    """What a child gets: this process's environment, and the settings of the system."""
    path = os.environ.get("PYTHONPATH")
    ours = {
        **os.environ,
        **system.settings.environment(),
        "PYTHONPATH": os.pathsep.join([str(monitoring.ROOT), *([path] if path else [])]),
        **more,
    }
    ours.pop("IOC_METRICS_PORT", None)
    if metrics_port is not None:
        ours["IOC_METRICS_PORT"] = str(metrics_port)
    return ours


def prometheus_data(system: System) -> Path:
    """Where this system's Prometheus keeps its blocks."""
    return system.home / "prometheus" / "data"


def kafka(system: System, heap_mb: int, progress: Callable[[str], None]) -> Part:
    broker = EmbeddedKafka(
        system.home,
        port=system.ports.kafka,
        controller_port=system.ports.controller,
        heap_mb=heap_mb,
        log=system.logs / "kafka.log",
        progress=progress,
    )
    return Part(
        "kafka",
        broker.process,
        BROKER,
        check=broker.is_ready,
        prepare=broker.prepare,
        grace=8.0,
        patience=BROKER_SECONDS,
    )


def _listens(port: int) -> Callable[[], bool]:
    return lambda: answers(port)


def workers(system: System) -> list[Part]:
    return [
        Part(
            "kpi",
            ChildProcess(
                ioc("kpi"),
                log=system.logs / f"kpi-{index}.log",
                environ=environment(
                    system, system.ports.worker(index), IOC_INSTANCE=f"kpi-{index}"
                ),
                cwd=system.home,
            ),
            WORKERS,
            check=_listens(system.ports.worker(index)),
            grace=7.0,
        )
        for index in range(system.workers)
    ]


def _grafana_link(system: System) -> dict[str, str]:
    """The wall links to the Grafana of this system; to one that the user names, when he does."""
    if "IOC_GRAFANA_URL" in os.environ or monitoring.find_grafana() is None:
        return {}
    return {"IOC_GRAFANA_URL": f"http://{LOOPBACK}:{system.ports.grafana}/"}


def view(system: System) -> Part:
    return Part(
        "view",
        ChildProcess(
            ioc("view"),
            log=system.logs / "view.log",
            environ=environment(system) | _grafana_link(system),
            cwd=system.home,
        ),
        READERS,
        check=http_ok(system.ports.view, "/readyz"),
        grace=3.0,
    )


def _world(system: System) -> list[str]:
    """What the producers play, as flags; they refuse a scenario that they do not know."""
    speed = [] if system.speed == 1.0 else ["--speed", f"{system.speed:g}"]
    return speed + (["--scenario", system.scenario] if system.scenario else [])


def producers(system: System) -> list[Part]:
    return [
        Part(
            kind,
            ChildProcess(
                ioc("produce", kind, *_world(system)),
                log=system.logs / f"{kind}.log",
                environ=environment(system, system.ports.producer(kind)),
                cwd=system.home,
            ),
            PRODUCERS,
            check=_listens(system.ports.producer(kind)),
        )
        for kind in installed_producers()
    ]


def _once(system: System, name: str, command: list[str]) -> ChildProcess:
    """A command that runs once and ends."""
    return ChildProcess(
        command, log=system.logs / f"{name}.log", environ=environment(system), cwd=system.home
    )


def history(system: System, days: int) -> ChildProcess:
    """The simulated past of that many days, produced through Kafka."""
    return _once(system, "history", ioc("history", "--days", str(days), *_world(system)))


def backfill(system: System) -> ChildProcess:
    """The same past as blocks, in the folder from which Prometheus starts."""
    scenario = ["--scenario", system.scenario] if system.scenario else []
    command = ioc("backfill", "--blocks", str(prometheus_data(system)), *scenario)
    return _once(system, "backfill", command)


def prometheus(system: System) -> Part | None:
    program = monitoring.find_prometheus()
    if program is None:
        return None
    home = system.home / "prometheus"
    config, data = home / "prometheus.yml", prometheus_data(system)

    def prepare() -> None:
        data.mkdir(parents=True, exist_ok=True)
        config.write_text(
            monitoring.scrape_config(
                system.ports,
                workers=system.workers,
                producers=installed_producers() if system.produce else (),
                alertmanager=monitoring.find_alertmanager() is not None,
            ),
            encoding="utf-8",
        )

    command = monitoring.prometheus_command(program, config, data, system.ports.prometheus)
    process = ChildProcess(command, log=system.logs / "prometheus.log", cwd=system.home)
    return Part(
        "prometheus",
        process,
        READERS,
        check=http_ok(system.ports.prometheus, "/-/ready"),
        prepare=prepare,
        essential=False,
    )


def alertmanager(system: System) -> Part | None:
    program = monitoring.find_alertmanager()
    if program is None:
        return None
    command = monitoring.alertmanager_command(
        program, system.home / "alertmanager", system.ports.alertmanager
    )
    process = ChildProcess(command, log=system.logs / "alertmanager.log", cwd=system.home)
    return Part(
        "alertmanager",
        process,
        READERS,
        check=http_ok(system.ports.alertmanager, "/-/ready"),
        essential=False,
    )


def grafana(system: System) -> Part | None:
    found = monitoring.find_grafana()
    if found is None:
        return None
    program, grafana_home = found
    home = system.home / "grafana"
    settings = monitoring.grafana_environment(home, system.ports)
    process = ChildProcess(
        monitoring.grafana_command(program, grafana_home),
        log=system.logs / "grafana.log",
        environ=monitoring.with_grafana(os.environ, settings),
        cwd=system.home,
    )
    return Part(
        "grafana",
        process,
        READERS,
        check=http_ok(system.ports.grafana, "/api/health"),
        essential=False,
    )
