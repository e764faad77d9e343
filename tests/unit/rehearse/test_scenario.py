"""Scenario files: what they say is understood, and what they cannot mean is refused by name."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.rehearse import scenario
from services.rehearse.events import World, batches, check_places
from services.rehearse.rules import RuleFiles
from services.rehearse.scenario import Rehearsal, parse
from services.rehearse.tables import ScenarioError, Span
from services.rehearse.times import instant, iso, length, show, show_length
from services.rehearse.verdict import check_names
from services.runtime.reference import load_territories

HEAD = """
title = "a trial"
start = 2026-03-10T08:00:00
end = 2026-03-10T12:00:00
"""
START = instant(datetime(2026, 3, 10, 1, tzinfo=UTC))


def read(text: str = "") -> Rehearsal:
    return parse("trial", tomllib.loads(HEAD + text))


@pytest.mark.parametrize("name", scenario.names())
def test_every_scenario_that_is_shipped_can_be_read_and_names_alerts_that_exist(name: str) -> None:
    found = scenario.read(scenario.find(name))
    assert found.fires or found.silent or found.ranges
    check_names(found, RuleFiles.shipped().alerts)
    check_places(found, load_territories())


def test_the_eight_scenarios_are_there() -> None:
    assert scenario.names() == [
        "duplicate-storm", "end-of-quarter", "flash-sale", "noru", "portal-outage",
        "ransomware-of-one-source", "silent-district", "tet",
    ]  # fmt: skip


def test_a_local_time_is_vietnamese_and_an_offset_is_kept() -> None:
    assert read().start == START
    assert instant(datetime(2026, 3, 10, 1, tzinfo=UTC)) == START
    assert instant("+1h30m", START) == START + 90 * 60_000
    assert iso(START) == "2026-03-10T08:00:00+07:00"
    assert show(START) == "10 Mar 08:00"
    assert length("1d2h") == 26 * 3_600_000
    assert show_length(26 * 3_600_000 + 5 * 60_000) == "1 d 2 h 5 min"


def test_the_view_is_looked_at_an_hour_before_at_every_step_and_where_a_kpi_is_judged() -> None:
    found = read(
        """
        step = "30m"
        [[step_in]]
        from = "+1h"
        to = "+2h"
        every = "10m"
        [[kpi]]
        kpi = "fr.received"
        window = "1h"
        at = "+3h7m"
        min = 1
        """
    )
    minutes = [(t - START) // 60_000 for t in found.instants()]
    assert minutes == [-60, -30, 0, 30, 60, 70, 80, 90, 100, 110, 120, 130, 160, 187, 190, 220, 240]


def test_what_is_played_is_told_to_the_simulation() -> None:
    found = read(
        """
        [[play]]
        scenario = "silent-district"
        at = "+1h"
        [[outage]]
        source = "listing"
        from = "+1h"
        to = "+2h"
        garbage = true
        provinces = ["51"]
        [[sale]]
        from = "+1h"
        to = "+2h"
        factor = 4
        [[rush]]
        from = 2026-03-09T00:00:00
        to = 2026-03-12T00:00:00
        factor = 1.5
        late = 0.1
        [[storm]]
        from = "+1h"
        to = "+2h"
        factor = 9
        provinces = ["51"]
        [[duplicates]]
        from = "+1h"
        to = "+2h"
        share = 0.5
        """
    ).scenario
    hour = START + 3_600_000
    assert [s.district for s in found.silences] == ["533"]
    (outage,) = found.outages
    assert outage.garbage
    assert outage.of("listing", "51")
    assert not outage.of("listing", "45")
    assert found.sales[0].factor == 4
    assert found.rushes[0].last - found.rushes[0].first == 3
    assert found.storms[0].start == hour
    assert found.duplicate_span == (hour, hour + 3_600_000)


def test_an_expectation_of_several_provinces_is_one_of_each() -> None:
    found = read(
        """
        [[fires]]
        alert = "IocQuietFeedCases"
        provinces = ["45", "51"]
        begins = ["+1h", "+2h"]
        ends = "never"
        """
    )
    assert [f.labels for f in found.fires] == [{"province": "45"}, {"province": "51"}]
    assert found.fires[0].begins == Span(START + 3_600_000, START + 7_200_000)
    assert found.fires[0].ends is None


def test_the_faults_are_those_of_life_others_or_none() -> None:
    assert read().faults["schema"] == 0.002
    assert read("faults = {schema = 0.1}").faults["schema"] == 0.1
    assert read('faults = "none"').faults == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stpe = '5m'", "'stpe' is not known here"),
        ("step = '90s'", "whole minutes from 1m to 60m"),
        ("lead = '10m'", "from 2h to 7d"),
        ("faults = {rust = 1}", "no fault is called rust"),
        ("[[play]]\nscenario = 'war'\nat = '+1h'", "'war' is none of storm"),
        ("[[outage]]\nsource = 'fax'\nfrom = '+1h'\nto = '+2h'", "'fax' is none of field-report"),
        ("[[outage]]\nsource = 'listing'\nfrom = '+2h'\nto = '+1h'", "lies not after from"),
        ("[[sale]]\nfrom = '+1h'\nto = '+2h'\nfactor = 0", "from 1 to 1000"),
        ("[[fires]]\nalert = 'A'\nbegins = ['+1h', '+2h']", "ends: is missing"),
        ("[[fires]]\nalert = 'A'\nbegins = ['+9h', '+9h']\nends = 'never'", "outside of start"),
        ("[[fires]]\nalert = 'A'\nbegins = '+1h'\nends = 'never'", "is no [from, to]"),
        ("[[tolerated]]\nalert = 'A'", "why: is missing"),
        ("[[kpi]]\nkpi = 'fr.lost'\nat = '+1h'\nmin = 1", "is called 'fr.lost'"),
        ("[[kpi]]\nkpi = 'fr.received'\nwindow = '2h'\nat = '+1h'\nmin = 1", "'2h' is none of"),
        ("[[kpi]]\nkpi = 'fr.received'\nwindow = '1h'\nat = '+1h'", "give min, max or both"),
        ("[[kpi]]\nkpi = 'fr.received'\nwindow = '1h'\nat = '+9h'\nmin = 1", "whole minute from"),
        ("[[kpi]]\nkpi = 'fr.open_now'\nat = '+1h'\nmin = 2\nmax = 1", "is above max"),
        ("[[kpi]]\nkpi = 'fr.open_now'\nat = 'noon'\nmin = 2", "'noon' is no date and time"),
        ("end = 3", "no TOML"),
    ],
)  # fmt: skip
def test_what_a_file_cannot_mean_is_refused_by_name(
    text: str, said: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("files") / "mine.toml"
    path.write_text(HEAD + text)
    with pytest.raises(ScenarioError) as refused:
        scenario.read(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_scenario_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(ScenarioError, match="there are duplicate-storm, "):
        scenario.find("tsunami")
    with pytest.raises(ScenarioError, match="there is no file"):
        scenario.find("./tsunami.toml")


def test_an_alert_that_no_rule_has_is_refused() -> None:
    found = read("[[silent]]\nalert = 'IocNothing'")
    with pytest.raises(ScenarioError, match="no alert is called 'IocNothing'"):
        check_names(found, RuleFiles.shipped().alerts)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("provinces = ['99']", "no province has the code '99'"),
        ("[[silence]]\ndistrict = '999'\nfrom = '+1h'\nto = '+2h'", "no district has the code"),
        ("[[chart]]\nkpi = 'fr.open_now'\nterritory = '505'", "no territory has the code '505'"),
    ],
)
def test_a_place_that_is_in_no_table_is_refused(text: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        check_places(read(text), load_territories())


def test_every_record_comes_once_in_the_step_before_whose_instant_it_arrives() -> None:
    found = read("lead = '2h'\nprovinces = ['45']\nstep = '30m'")
    instants = found.instants()
    steps = list(batches(found, World(found, load_territories()), instants))
    ends = [at for at, _ in steps]
    assert ends == sorted(ends)
    assert set(instants) <= set(ends)
    before = 0
    for at, batch in steps:
        assert all(before <= a.at < at for a in batch)
        before = at
    assert sum(len(batch) for _, batch in steps) > 5_000
    assert steps[0][1][0].at == found.begin


def test_the_example_of_the_documentation_is_a_scenario() -> None:
    text = (Path(__file__).parents[3] / "docs/rehearsals.md").read_text("utf-8")
    example = text.partition("```toml\n")[2].partition("```")[0]
    found = parse("example", tomllib.loads(example))
    check_names(found, RuleFiles.shipped().alerts)
    check_places(found, load_territories())
    assert found.fires
