"""The shipped rules over a made-up series of pages, by promtool."""

import os

import pytest

from services.core.calendar import HOUR_MS
from services.rehearse.rules import Episode, RuleFiles, RulesError, evaluate, find_promtool
from services.rehearse.scenario import MINUTE_MS
from services.rehearse.tape import SCRAPED_AS, Tape, parse_page

RULES = RuleFiles.shipped()
#: Tuesday 10 March 2026, 07:00 in Việt Nam.
START = 1_773_100_800_000
AGE = f'ioc_feed_age_seconds{{topic="ioc.admin-case.v1",province="51",{SCRAPED_AS}}}'


@pytest.fixture(scope="module")
def promtool() -> str:
    found = find_promtool()
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is not on PATH")
        pytest.skip("promtool is not on PATH")
    return found


def quiet(promtool: str, start: int, hours: int = 3) -> list[Episode]:
    """Alerts of a province whose cases fall silent for an hour, half an hour after the start."""
    tape = Tape()
    for at in range(start, start + hours * HOUR_MS + 1, 5 * MINUTE_MS):
        silent = (at - start - HOUR_MS // 2) / 1000
        tape.add(at, {AGE: silent if 0 < silent <= 3600 else 0.0})
    found = evaluate(tape, RULES, promtool, judged_from=start)
    return [e for e in found if e.alert == "IocQuietFeedCases"]


def test_an_alert_fires_after_its_threshold_and_its_wait_and_resolves(promtool: str) -> None:
    (episode,) = quiet(promtool, START)
    # Silent from 07:30; over 30 minutes at the look of 08:05; 10 minutes of patience.
    assert episode.first == START + 75 * MINUTE_MS
    assert episode.last == START + 95 * MINUTE_MS
    assert episode.labels == {"province": "51", "topic": "ioc.admin-case.v1"}
    assert not episode.open


@pytest.mark.parametrize("days", [5, 51])
def test_the_same_silence_on_a_sunday_or_a_holiday_is_none(promtool: str, days: int) -> None:
    # Sunday 15 March, and 30 April.
    assert quiet(promtool, START + days * 24 * HOUR_MS) == []


def test_the_same_silence_on_the_eve_of_the_tet_break_fires_and_in_it_does_not(
    promtool: str,
) -> None:
    day = 24 * HOUR_MS
    # Friday 13 February 2026, and Monday 16 February in the break.
    assert quiet(promtool, START - 25 * day)
    assert quiet(promtool, START - 22 * day) == []


def test_an_alert_that_goes_on_is_open_at_the_end(promtool: str) -> None:
    tape = Tape()
    for at in range(START, START + 2 * HOUR_MS + 1, 10 * MINUTE_MS):
        tape.add(at, {AGE: 4000.0})
    found = evaluate(tape, RULES, promtool, judged_from=START)
    (open_one,) = [e for e in found if e.alert == "IocQuietFeedCases"]
    assert open_one.open


def test_a_series_that_is_gone_from_the_page_is_gone_at_once(promtool: str) -> None:
    page = {f"ioc_caught_up{{{SCRAPED_AS}}}": 1.0}
    tape = Tape()
    tape.add(START, page)
    tape.add(START + 10 * MINUTE_MS, {})
    tape.add(START + 20 * MINUTE_MS, page)
    tape.add(START + 30 * MINUTE_MS, page)
    found = evaluate(tape, RULES, promtool, judged_from=START)
    (absent,) = [e for e in found if e.alert == "IocNoViewMetrics"]
    assert absent.first == START + 12 * MINUTE_MS
    assert absent.last == START + 20 * MINUTE_MS


def test_rules_that_tell_the_time_in_a_way_that_cannot_be_moved_are_refused() -> None:
    rule = {"alert": "A", "expr": "hour() > 3"}
    odd = RuleFiles({"odd.yml": {"groups": [{"name": "g", "rules": [rule]}]}})
    with pytest.raises(RulesError, match="A tells the time by 'hour\\(\\)'"):
        odd.moved(START)


def test_moving_the_clock_changes_time_and_nothing_else() -> None:
    moved = RULES.moved(START)
    for name, file in RULES.files.items():
        for group, other in zip(file["groups"], moved[name]["groups"], strict=True):
            for rule, shifted in zip(group["rules"], other["rules"], strict=True):
                assert (
                    shifted["expr"].replace(f"(time() + {START // 1000})", "time()")
                    == (rule["expr"])
                )
                assert {k: v for k, v in shifted.items() if k != "expr"} == {
                    k: v for k, v in rule.items() if k != "expr"
                }


def test_what_promtool_cannot_evaluate_is_an_error_and_no_verdict(promtool: str) -> None:
    rule = {"alert": "A", "expr": "ioc_caught_up ==", "for": "1m"}
    broken = RuleFiles({"broken.yml": {"groups": [{"name": "g", "rules": [rule]}]}})
    tape = Tape()
    tape.add(START, {f"ioc_caught_up{{{SCRAPED_AS}}}": 1.0})
    with pytest.raises(RulesError, match="could not evaluate"):
        evaluate(tape, broken, promtool, judged_from=START)


def test_only_series_that_some_rule_selects_are_evaluated() -> None:
    assert RULES.select(AGE)
    assert RULES.select('ioc_fr_open_reports{window="now",level="all"}')
    assert not RULES.select('ioc_fr_open_reports{window="now",level="district",province="51"}')
    assert not RULES.select(AGE.replace('"51"', '"unknown"'))
    assert not RULES.select("ioc_nothing{}")
    assert "ioc_ind_value" in RULES.only_absent
    assert "ioc_caught_up" not in RULES.only_absent


class _Rules:
    def metric(self, name: str) -> bool:
        return name in RULES.selectors

    def series(self, series: str) -> bool:
        return RULES.select(series)

    def one_is_enough(self, name: str) -> bool:
        return name in RULES.only_absent


def test_a_page_is_read_as_far_as_it_is_wanted() -> None:
    page = parse_page(
        "# HELP ioc_caught_up x\n# TYPE ioc_caught_up gauge\nioc_caught_up 1.0\n"
        'ioc_ind_value{indicator="a, \\"b\\""} 3\nioc_ind_value{indicator="c"} 4\n'
        'ioc_nothing{a="b"} 1\nioc_feed_age_seconds{topic="ioc.listing.v1",province="51"} 2.5e1\n',
        _Rules(),
    )
    assert page == {
        f"ioc_caught_up{{{SCRAPED_AS}}}": 1.0,
        f'ioc_ind_value{{indicator="a, \\"b\\"",{SCRAPED_AS}}}': 3.0,
        f'ioc_feed_age_seconds{{topic="ioc.listing.v1",province="51",{SCRAPED_AS}}}': 25.0,
    }
