"""Prometheus, Alertmanager and Grafana, as far as this machine has them: found and configured.

Their configuration is rendered into the data folder for the ports of this system; the rules and
the routes come from ``deploy/``, which lies beside the packages in a checkout.
"""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import services
from grafana import stored
from services.runtime.ports import LOOPBACK, MAX_WORKERS, Ports

ROOT = Path(services.__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"

#: How long and how much Prometheus keeps: years, so that a replayed day of 2022 stays where it was
#: (docs/time-travel.md); what bounds it is the disk.
RETENTION_TIME = "10y"
RETENTION_SIZE = "8GB"
SCRAPE_INTERVAL = "5s"

Say = Callable[[str], None]


def find(*names: str) -> str | None:
    """The first of these programs on PATH (Debian puts some into sbin), or None."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/bin"])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def find_prometheus() -> str | None:
    return find("prometheus")


def find_alertmanager() -> str | None:
    # Debian prefixes it; a program called alertmanager is the upstream one.
    return find("prometheus-alertmanager", "alertmanager")


def find_grafana() -> tuple[str, Path | None] | None:
    """Grafana's server and its home folder; GRAFANA_HOME first, then PATH."""
    home = os.environ.get("GRAFANA_HOME")
    if home:
        for name in ("grafana", "grafana-server"):
            program = Path(home) / "bin" / name
            if os.access(program, os.X_OK):
                return str(program), Path(home)
    program_on_path = find("grafana", "grafana-server")
    if program_on_path is None:
        return None
    for place in (Path(program_on_path).resolve().parents[1], Path("/usr/share/grafana")):
        if (place / "conf" / "defaults.ini").exists():
            return program_on_path, place
    return program_on_path, None


def install_missing(say: Say) -> None:
    """Install Prometheus and Alertmanager where that is possible without asking; else say so."""
    missing = [
        name
        for name, found in (
            ("prometheus", find_prometheus()),
            ("alertmanager", find_alertmanager()),
        )
        if found is None
    ]
    script = DEPLOY / "tools.sh"
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None or not script.exists():
        say(
            f"{' and '.join(missing)} not found on PATH: going on without "
            "(Debian, Ubuntu: apt-get install prometheus prometheus-alertmanager)"
        )
        return
    say(f"installing {' and '.join(missing)} (Debian packages, about a minute)")
    done = subprocess.run(
        ["sh", str(script), *missing],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if find_prometheus() is None:
        last = (done.stderr + done.stdout).strip().splitlines()[-3:]
        say("could not be installed, going on without: " + " / ".join(last))


#: The view is one whatever its port: its past (`ioc backfill`) and its present are one series.
_INSTANCE = {"view": {"instance": "view"}}


def rule_files() -> list[Path]:
    return sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))


def scrape_config(
    ports: Ports, *, workers: int, producers: Sequence[str], alertmanager: bool
) -> str:
    """Prometheus's configuration for one system, as YAML (JSON is YAML)."""
    jobs: dict[str, list[int]] = {
        "view": [ports.view],
        "kpi": [ports.worker(i) for i in range(min(workers, MAX_WORKERS))],
    }
    jobs |= {kind: [ports.producer(kind)] for kind in producers}
    jobs["prometheus"] = [ports.prometheus]
    config: dict[str, Any] = {
        "global": {
            "scrape_interval": SCRAPE_INTERVAL,
            "scrape_timeout": SCRAPE_INTERVAL,
            "evaluation_interval": "15s",
        },
        "rule_files": [str(path) for path in rule_files()],
        "scrape_configs": [
            {
                "job_name": name,
                "static_configs": [
                    {
                        "targets": [f"{LOOPBACK}:{port}" for port in targets],
                        "labels": {"service": name, **_INSTANCE.get(name, {})},
                    }
                ],
            }
            for name, targets in jobs.items()
        ],
    }
    if alertmanager:
        config["alerting"] = {
            "alertmanagers": [
                {"static_configs": [{"targets": [f"{LOOPBACK}:{ports.alertmanager}"]}]}
            ]
        }
    return json.dumps(config, indent=2) + "\n"


def prometheus_command(program: str, config: Path, data: Path, port: int) -> list[str]:
    return [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--storage.tsdb.retention.time={RETENTION_TIME}",
        f"--storage.tsdb.retention.size={RETENTION_SIZE}",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--log.level=warn",
    ]


#: What Alertmanager does when the project brings no routes: keep and show alerts, tell nobody.
_SILENT_ROUTES = "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n"


def alertmanager_command(program: str, home: Path, port: int) -> list[str]:
    """Writes its configuration into ``home``; the command."""
    home.mkdir(parents=True, exist_ok=True)
    config = DEPLOY / "alertmanager" / "alertmanager.yml"
    if not config.exists():
        config = home / "alertmanager.yml"
        config.write_text(_SILENT_ROUTES, encoding="utf-8")
    return [
        program,
        f"--config.file={config}",
        f"--storage.path={home / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--cluster.listen-address=",  # one of them: no gossip, no port for it
        "--log.level=warn",
    ]


def grafana_environment(home: Path, ports: Ports) -> dict[str, str]:
    """Writes boards and provisioning into ``home``; Grafana's settings as environment variables.

    Everybody on this machine may look; changes need the password that is made here once.
    """
    home.mkdir(parents=True, exist_ok=True)
    return {
        **stored.install(home, f"http://{LOOPBACK}:{ports.view}/"),
        "IOC_PROMETHEUS_URL": f"http://{LOOPBACK}:{ports.prometheus}",
        "GF_PATHS_DATA": str(home / "data"),
        "GF_PATHS_LOGS": str(home / "log"),
        "GF_PATHS_PLUGINS": str(home / "plugins"),
        "GF_SERVER_HTTP_ADDR": LOOPBACK,
        "GF_SERVER_HTTP_PORT": str(ports.grafana),
        "GF_SECURITY_ADMIN_PASSWORD": _password(home / "admin-password"),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
        "GF_USERS_DEFAULT_THEME": "dark",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_NEWS_NEWS_FEED_ENABLED": "false",
        "GF_LOG_LEVEL": "warn",
    }


def grafana_command(program: str, grafana_home: Path | None) -> list[str]:
    command = [program, *(["server"] if Path(program).name == "grafana" else [])]
    return [*command, "--homepath", str(grafana_home)] if grafana_home is not None else command


def _password(path: Path) -> str:
    """The password in the file, made at the first call and readable by its owner only."""
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as sink:
            sink.write(secrets.token_urlsafe(18) + "\n")
    return path.read_text(encoding="utf-8").strip()


def with_grafana(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The environment for Grafana; what the user set for it wins."""
    return {**settings, **environ}
