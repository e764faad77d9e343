"""The rules, by promtool: valid, tested both ways, generated, and explained in the runbook."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.prometheus.alerts import Alert, alerts, recordings
from deploy.prometheus.generate import RUNBOOK, complete, drift, to_yaml
from grafana.metrics import RECORDED, known

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))
CASES = sorted((ROOT / "deploy/prometheus/tests").glob("*.yml"))
EVERY = [alert for group in alerts().values() for alert in group]
#: What looks like a metric in PromQL and is none.
WORD = re.compile(r"\b(?:ioc|up|process|prometheus|scrape)[a-zA-Z0-9_:]*\b")
IN_BRACES = re.compile(r"\{[^}]*\}")


def _promtool(*arguments: str) -> str:
    program = shutil.which("promtool")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is not on PATH")
        pytest.skip("promtool is not on PATH")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_every_rule_file() -> None:
    out = _promtool("check", "rules", *map(str, RULES))
    assert out.count("SUCCESS") == len(RULES)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_promtool_sees_every_alert_fire_and_keep_silent(case: Path) -> None:
    assert "SUCCESS" in _promtool("test", "rules", str(case))


def test_the_committed_rules_are_what_the_catalogue_gives() -> None:
    assert drift() == [], "run python -m deploy.prometheus.generate"


@pytest.mark.parametrize("alert", EVERY, ids=lambda alert: alert.name)
def test_every_alert_has_a_firing_and_a_silent_case(alert: Alert) -> None:
    names = re.findall(r"- name: (\w+) (fires|is silent)", "\n".join(c.read_text() for c in CASES))
    assert {how for name, how in names if name == alert.name} == {"fires", "is silent"}


@pytest.mark.parametrize("alert", EVERY, ids=lambda alert: alert.name)
def test_every_alert_has_a_heading_in_the_runbook_and_links_to_it(alert: Alert) -> None:
    runbook = (ROOT / RUNBOOK).read_text(encoding="utf-8")
    assert f"\n### {alert.name}\n" in runbook
    annotations = complete(alert)["annotations"]
    assert isinstance(annotations, dict)
    assert annotations["runbook_url"] == f"{RUNBOOK}#{alert.name.lower()}"
    assert "ioc_simulated" in annotations["summary"]
    assert "ioc_simulated" in annotations["simulated"]


def test_the_runbook_has_no_heading_for_an_alert_that_is_gone() -> None:
    headings = re.findall(r"^### (\w+)$", (ROOT / RUNBOOK).read_text("utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(alert.name for alert in EVERY)


def test_alert_names_are_unique_and_every_alert_has_an_owner_that_somebody_receives() -> None:
    assert len({alert.name for alert in EVERY}) == len(EVERY)
    routes = (ROOT / "deploy/alertmanager/alertmanager.yml").read_text("utf-8")
    for alert in EVERY:
        assert f"""'owner="{alert.owner}"'""" in routes
        assert f"- name: {alert.owner}\n" in routes


def test_rules_use_only_metrics_that_are_declared() -> None:
    allowed = known() | {rule.name for rule in recordings()}
    for expr in [alert.expr for alert in EVERY] + [rule.expr for rule in recordings()]:
        bare = IN_BRACES.sub("", expr).replace('"', "")
        assert set(WORD.findall(bare)) <= allowed, expr


def test_the_recorded_names_that_boards_use_are_recorded() -> None:
    assert set(RECORDED) <= {rule.name for rule in recordings()}


def test_the_generator_says_what_differs_and_fails(tmp_path: Path) -> None:
    (tmp_path / "old.yml").write_text("groups: []\n")
    assert "old.yml" in drift(tmp_path)
    assert "ioc-backlog.yml" in drift(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "deploy.prometheus.generate", "--bogus"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_the_yaml_writer_keeps_lines_quotes_and_lists() -> None:
    text = to_yaml({"groups": [{"name": 'a "b"', "rules": [{"expr": "x\n> 1"}]}]})
    assert text.endswith(
        'groups:\n  - name: "a \\"b\\""\n    rules:\n      - expr: |-\n          x\n          > 1\n'
    )


def test_the_generator_can_tell_machines_what_there_is() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.prometheus.generate", "--json"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {a["name"] for group in json.loads(done.stdout).values() for a in group} == {
        alert.name for alert in EVERY
    }


def test_amtool_accepts_the_routes() -> None:
    program = shutil.which("amtool")
    if program is None:
        pytest.skip("amtool is not on PATH")
    config = ROOT / "deploy/alertmanager/alertmanager.yml"
    done = subprocess.run(
        [program, "check-config", str(config)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
