"""docker-compose.yml and the manifests: pinned, watched, bounded, unprivileged, without secrets."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from services import cli

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: s for name, s in SERVICES.items() if "build" in s}
LONG_RUNNING = {name: s for name, s in SERVICES.items() if name != "topics"}
MANIFESTS = sorted((ROOT / "deploy" / "k8s").glob("*.yaml"))
SECRETS = ("GRAFANA_ADMIN_USER", "GRAFANA_ADMIN_PASSWORD", "GRAFANA_SECRET_KEY")

every_service = pytest.mark.parametrize("name", SERVICES)


def manifests(kind: str) -> dict[str, dict[str, Any]]:
    documents = [d for path in MANIFESTS for d in yaml.safe_load_all(path.read_text("utf-8"))]
    return {d["metadata"]["name"]: d for d in documents if d["kind"] == kind}


@every_service
def test_images_name_one_exact_version(name: str) -> None:
    tag = SERVICES[name]["image"].rpartition(":")[2]
    assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag), SERVICES[name]["image"]


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_every_service_that_stays_has_a_health_check_and_comes_back(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert "start_period" in check
    assert SERVICES[name]["restart"] == "unless-stopped"


@every_service
def test_memory_is_limited(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]", SERVICES[name]["mem_limit"])


def test_all_limits_together_fit_a_machine_of_eight_gigabytes() -> None:
    units = {"m": 1, "g": 1024}
    total = sum(int(s["mem_limit"][:-1]) * units[s["mem_limit"][-1]] for s in SERVICES.values())
    assert total <= 8 * 1024


@every_service
def test_nothing_runs_as_root_or_may_become_it(name: str) -> None:
    uid, _, gid = SERVICES[name]["user"].partition(":")
    assert int(uid) > 0
    assert int(gid) > 0
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in SERVICES[name]["security_opt"]
    assert "privileged" not in SERVICES[name]


@pytest.mark.parametrize("name", [*OURS, "prometheus", "alertmanager"])
def test_the_file_system_of_the_image_is_read_only(name: str) -> None:
    assert SERVICES[name]["read_only"] is True


@every_service
def test_ports_are_open_on_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:"), port


@every_service
def test_logs_are_bounded(name: str) -> None:
    assert SERVICES[name]["logging"]["options"]["max-size"]


def test_no_password_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    for line in text.splitlines():
        if re.search(r"(PASSWORD|SECRET|TOKEN|ADMIN_USER)\w*:", line):
            assert re.search(r"\$\{\w+:\?[^}]+\}", line), line


def test_the_example_environment_holds_no_value_for_a_secret() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    assert {line for line in lines if line and not line.startswith("#")} == {
        f"{name}=" for name in SECRETS
    }


def test_the_filled_in_environment_is_never_committed() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text("utf-8").split()


def test_service_names_are_the_names_of_the_doors() -> None:
    for name, service in OURS.items():
        match service["command"]:
            case ["produce", producer]:
                assert producer == name
                assert producer in cli.PRODUCERS
            case [command]:
                assert command == name
                assert command in cli.COMMANDS
            case other:
                pytest.fail(f"{name} runs {other}")
    assert set(OURS) == {"topics", "kpi", "view", *cli.PRODUCERS}


def test_every_door_waits_for_the_topics_and_finds_the_broker() -> None:
    for name, service in OURS.items():
        assert service["environment"]["IOC_BOOTSTRAP"] == "kafka:9092"
        waits = service["depends_on"]
        if name == "topics":
            assert waits == {"kafka": {"condition": "service_healthy"}}
        else:
            assert waits == {"topics": {"condition": "service_completed_successfully"}}


def test_volumes_that_are_used_are_declared_and_the_other_way_round() -> None:
    used = {
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith("./")
    }
    assert used == set(COMPOSE["volumes"])


def test_files_that_are_mounted_are_in_the_repository() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), source
                assert volume.endswith(":ro"), volume


def test_prometheus_scrapes_every_door_by_its_name_on_its_port() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "compose.yml").read_text("utf-8"))
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert set(jobs) == {*OURS, "prometheus"} - {"topics"}
    for name in set(OURS) - {"topics"}:
        (asked,) = jobs[name]["dns_sd_configs"]
        environment = SERVICES[name]["environment"]
        port = environment.get("IOC_METRICS_PORT") or environment["IOC_VIEW_PORT"]
        assert (asked["names"], asked["port"]) == ([name], int(port))
        assert environment["IOC_METRICS_HOST"] == environment["IOC_VIEW_HOST"] == "0.0.0.0"


def test_grafana_is_given_what_its_provisioning_reads() -> None:
    files = sorted((ROOT / "grafana" / "provisioning").rglob("*.yml"))
    read = {name for f in files for name in re.findall(r"\$\{(\w+)\}", f.read_text("utf-8"))}
    assert read
    environment = SERVICES["grafana"]["environment"]
    assert read <= set(environment)
    home = Path(environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == environment["IOC_DASHBOARDS_DIR"]
    assert (ROOT / "grafana" / "dashboards" / home.name).exists()


def test_the_image_is_built_from_pinned_bases_and_the_lock_and_runs_unprivileged() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
    builder, runner = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert re.fullmatch(r"python:3\.1[123]\.\d+-slim-\w+", runner)
    # The full image of the same Python and the same Debian: it has a compiler.
    assert builder == runner.replace("-slim", "")
    assert "--require-hashes -r requirements.lock" in text
    final = text.rpartition("FROM ")[2]
    user = re.search(r"^USER (\d+):(\d+)$", final, re.MULTILINE)
    assert user is not None
    assert f"{user[1]}:{user[2]}" == SERVICES["kpi"]["user"]


def test_what_the_image_needs_is_not_kept_from_the_builder() -> None:
    ignore = (ROOT / ".dockerignore").read_text("utf-8").split("\n")
    text = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert f"!{source}" in ignore
            assert (ROOT / source).exists(), source


def test_kubernetes_has_the_same_names_ports_and_limits() -> None:
    deployments = manifests("Deployment")
    assert {*deployments, *manifests("Job")} == set(OURS)
    for name, deployment in deployments.items():
        template = deployment["spec"]["template"]
        (container,) = template["spec"]["containers"]
        service = SERVICES[name]
        assert container["name"] == name
        assert container["args"] == service["command"]
        assert container["image"] == service["image"]
        (env,) = container["env"]
        assert service["environment"][env["name"]] == env["value"]
        assert container["ports"] == [{"name": "http", "containerPort": int(env["value"])}]
        limit = container["resources"]["limits"]["memory"]
        assert limit.lower() == service["mem_limit"] + "i"


def test_kubernetes_pods_are_probed_and_unprivileged() -> None:
    for workload in (*manifests("Deployment").values(), *manifests("Job").values()):
        pod = workload["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        if workload["kind"] == "Deployment":
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


def compose_config(
    *, environment: dict[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    env_file = folder / "env"
    env_file.write_text("".join(f"{k}={v}\n" for k, v in environment.items()), encoding="utf-8")
    return subprocess.run(
        ["docker", "compose", "--env-file", str(env_file), "config", "--quiet"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def docker_compose_is_here() -> bool:
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(
        ["docker", "compose", "version"], capture_output=True, timeout=60, check=False
    )
    return asked.returncode == 0


@pytest.fixture(scope="module")
def _docker_compose() -> None:
    if not docker_compose_is_here():
        pytest.skip("docker compose is not on this machine")


@pytest.mark.usefixtures("_docker_compose")
def test_compose_takes_the_file_when_the_secrets_are_given(tmp_path: Path) -> None:
    done = compose_config(environment=dict.fromkeys(SECRETS, "given"), folder=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("_docker_compose")
@pytest.mark.parametrize("missing", SECRETS)
def test_compose_refuses_to_start_without_a_secret(missing: str, tmp_path: Path) -> None:
    given = {name: "given" for name in SECRETS if name != missing}
    done = compose_config(environment=given, folder=tmp_path)
    assert done.returncode != 0
    assert missing in done.stderr
    assert ".env.example" in done.stderr
