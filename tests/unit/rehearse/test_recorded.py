"""A recorded rehearsal, judged by what its scenario states and by spoilt expectations.

``ransomware.tape`` is what the view showed in `ioc rehearse ransomware-of-one-source --save`; when
the scenario changes what is played, record it again.
"""

import json
import os
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.rehearse import scenario
from services.rehearse.main import rehearse
from services.rehearse.rules import Episode, RuleFiles, evaluate, find_promtool
from services.rehearse.tape import Tape
from services.rehearse.verdict import judge

PATH = Path(__file__).parent / "ransomware.tape"
SHIPPED = scenario.find("ransomware-of-one-source").read_text("utf-8")
RULES = RuleFiles.shipped()


@pytest.fixture(scope="module")
def promtool() -> str:
    found = find_promtool()
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is not on PATH")
        pytest.skip("promtool is not on PATH")
    return found


@pytest.fixture(scope="module")
def episodes(promtool: str) -> list[Episode]:
    start = scenario.parse("shipped", tomllib.loads(SHIPPED)).start
    return evaluate(Tape.load(PATH), RULES, promtool, judged_from=start)


def wrong(text: str, episodes: list[Episode]) -> list[str]:
    """What is wrong by the expectations of a scenario's text."""
    rehearsal = scenario.parse("mine", tomllib.loads(text))
    verdict = judge(rehearsal, Tape.load(PATH), episodes, RULES.alerts)
    assert verdict.right == (verdict.wrong == 0)
    return [row.what for row in verdict.rows if not row.right]


def test_the_recorded_days_went_as_the_scenario_states(episodes: list[Episode]) -> None:
    assert wrong(SHIPPED, episodes) == []


def test_an_alert_that_never_came_is_wrong(episodes: list[Episode]) -> None:
    more = '\n[[fires]]\nalert = "IocFieldReportSurge"\nbegins = ["+1h", "+2h"]\nends = "never"\n'
    assert wrong(SHIPPED + more, episodes) == ["IocFieldReportSurge"]


def test_an_alert_without_a_reason_is_wrong(episodes: list[Episode]) -> None:
    before, _, after = SHIPPED.partition("[[fires]]")
    fewer = before + after[after.index("[[") :]
    assert wrong(fewer, episodes)[0] == "IocDeadLettersHigh{topic=ioc.listing.v1}"


def test_an_alert_half_an_hour_too_early_is_wrong(episodes: list[Episode]) -> None:
    later = SHIPPED.replace(
        "begins = [2026-03-10T08:36:00, 2026-03-10T08:55:00]",
        "begins = [2026-03-10T09:15:00, 2026-03-10T09:30:00]",
    )
    assert later != SHIPPED
    assert wrong(later, episodes)[0] == "IocDeadLettersHigh{topic=ioc.listing.v1}"


def test_a_kpi_out_of_its_range_is_wrong(episodes: list[Episode]) -> None:
    above = SHIPPED.replace("min = 400\nmax = 800", "min = 801")
    assert wrong(above, episodes) == ["eco.orders 24h all at 10 Mar 12:30"]


@pytest.mark.usefixtures("promtool")
def test_the_command_judges_a_tape_for_machines_and_draws_it(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = CliRunner().invoke(
        rehearse,
        ["ransomware-of-one-source", "--judge", str(PATH), "--json", "--html", str(page)],
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["verdict"] == "as stated"
    assert "as stated" in page.read_text("utf-8")


@pytest.mark.usefixtures("promtool")
def test_the_command_says_to_people_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SHIPPED.replace("min = 400\nmax = 800", "min = 801"), encoding="utf-8")
    done = CliRunner().invoke(rehearse, [str(path), "--judge", str(PATH)])
    assert done.exit_code == 1
    assert "NOT as stated: 1 of" in done.stdout
    assert "at least 801" in done.stdout


def test_a_tape_of_another_scenario_is_refused() -> None:
    done = CliRunner().invoke(rehearse, ["tet", "--judge", str(PATH)])
    assert done.exit_code == 2
    assert "the tape of another scenario" in done.stderr
