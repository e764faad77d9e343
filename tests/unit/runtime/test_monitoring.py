"""What is rendered for Prometheus, Alertmanager and Grafana of one system."""

import json
import stat
import subprocess
from pathlib import Path

import pytest

from services.runtime.ports import PRODUCER_KINDS, Ports
from services.up import monitoring

PORTS = Ports.from_base(21000)


def _config(*, workers: int = 2, alertmanager: bool = True) -> str:
    return monitoring.scrape_config(
        PORTS, workers=workers, producers=PRODUCER_KINDS, alertmanager=alertmanager
    )


def test_every_service_is_a_scrape_job_and_a_label_of_the_same_name() -> None:
    jobs = json.loads(_config())["scrape_configs"]
    assert [j["job_name"] for j in jobs] == ["view", "kpi", *PRODUCER_KINDS, "prometheus"]
    for job in jobs:
        name = job["job_name"]
        labels = {"service": name} | ({"instance": "view"} if name == "view" else {})
        assert job["static_configs"][0]["labels"] == labels


def test_each_worker_is_a_target() -> None:
    kpi = json.loads(_config(workers=2))["scrape_configs"][1]
    assert kpi["static_configs"][0]["targets"] == ["127.0.0.1:21010", "127.0.0.1:21011"]


def test_alerts_go_nowhere_without_an_alertmanager() -> None:
    assert "alerting" in json.loads(_config())
    assert "alerting" not in json.loads(_config(alertmanager=False))


def test_prometheus_accepts_the_configuration_with_the_rules_of_the_project(
    tmp_path: Path,
) -> None:
    promtool = monitoring.find("promtool")
    if promtool is None:
        pytest.skip("promtool is not on this machine")
    path = tmp_path / "prometheus.yml"
    path.write_text(_config(), encoding="utf-8")
    done = subprocess.run(
        [promtool, "check", "config", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(_config())["rule_files"]


def test_grafana_gets_a_password_of_its_own_that_only_its_owner_can_read(tmp_path: Path) -> None:
    first = monitoring.grafana_environment(tmp_path, PORTS)
    again = monitoring.grafana_environment(tmp_path, PORTS)
    other = monitoring.grafana_environment(tmp_path / "other", PORTS)
    assert first == again
    assert first["GF_SECURITY_ADMIN_PASSWORD"] != other["GF_SECURITY_ADMIN_PASSWORD"]
    assert len(first["GF_SECURITY_ADMIN_PASSWORD"]) >= 20
    assert stat.S_IMODE((tmp_path / "admin-password").stat().st_mode) == 0o600


def test_grafana_is_found_in_grafana_home_and_told_where_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "grafana"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("GRAFANA_HOME", str(tmp_path))
    assert monitoring.find_grafana() == (str(program), tmp_path)
    assert monitoring.grafana_command(str(program), tmp_path) == [
        str(program),
        "server",
        "--homepath",
        str(tmp_path),
    ]


def test_without_root_nothing_is_installed_but_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(monitoring, "find", lambda *_: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monitoring.install_missing(said.append)
    assert len(said) == 1
    assert "prometheus and alertmanager not found on PATH: going on without" in said[0]
