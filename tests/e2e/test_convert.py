"""docs/converters.md, done: a log through a mapping and a whole system, against a query over it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.runtime.own_system import OwnSystem
from tests.unit.convert.invented_logs import MAKERS

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["permits", "retail_orders"])
def test_the_views_numbers_are_those_of_a_query_over_the_file(name: str, tmp_path: Path) -> None:
    log = MAKERS[name](tmp_path / "log.csv")
    with OwnSystem(tmp_path / "system", clock="event", namespace=name.partition("_")[0]) as system:
        done = run(
            "-m", "services.cli", "convert", "run", name, str(log), f"--to={system.bootstrap}",
            f"--namespace={system.namespace}", "--json",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        pushed = json.loads(done.stdout)["pushed"]
        assert pushed > 100
        system.view.wait_until_caught_up(pushed, 90)
        compared = run("examples/compare_logs.py", name, str(log), f"--view={system.line['view']}")
        assert compared.returncode == 0, compared.stdout + compared.stderr
        assert compared.stdout.endswith(" 0 different\n")
        assert system.stop() == 0
