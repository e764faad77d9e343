"""Verdicts, right and wrong: an alert that did not come, one too many, a KPI out of its range."""

import tomllib

import pytest

from services.rehearse import picture
from services.rehearse.rules import Episode
from services.rehearse.scenario import MINUTE_MS, Rehearsal, parse
from services.rehearse.tape import Tape, question
from services.rehearse.verdict import Verdict, judge

HOUR = 60 * MINUTE_MS
ALERTS = ["IocDeadLettersHigh", "IocFieldReportSurge", "IocQuietFeedCases"]
TEXT = """
title = "a trial"
start = 2026-03-10T08:00:00
end = 2026-03-10T12:00:00

[[fires]]
alert = "IocQuietFeedCases"
labels = {province = "51"}
begins = ["+1h", "+1h30m"]
ends = ["+2h", "+3h"]

[[silent]]
alert = "IocFieldReportSurge"

[[kpi]]
kpi = "fr.received"
window = "1h"
at = "+2h"
min = 10
max = 20
"""


def made(text: str = TEXT) -> Rehearsal:
    return parse("trial", tomllib.loads(text))


START = made().start


def episode(
    first: float,
    last: float,
    alert: str = "IocQuietFeedCases",
    *,
    open: bool = False,
    **labels: str,
) -> Episode:
    """From and to in hours after the start."""
    return Episode(
        alert, labels or {"province": "51"}, "ticket",
        START + round(first * HOUR), START + round(last * HOUR), open,
    )  # fmt: skip


def verdict(
    *episodes: Episode, text: str = TEXT, value: float | None = 15, evaluated: bool = True
) -> Verdict:
    rehearsal = made(text)
    tape = Tape(answers={question(asked): value for asked in rehearsal.ranges})
    return judge(rehearsal, tape, list(episodes) if evaluated else None, ALERTS)


def wrong(found: Verdict) -> list[str]:
    return [row.what for row in found.rows if not row.right]


def test_everything_as_stated_is_right() -> None:
    found = verdict(episode(1.25, 2.5))
    assert found.right
    assert [row.kind for row in found.rows] == ["fires", "silent", "silent", "kpi"]


def test_an_alert_that_did_not_come_is_wrong() -> None:
    found = verdict()
    assert wrong(found) == ["IocQuietFeedCases{province=51}"]
    assert found.rows[0].seen == "did not fire"


def test_an_alert_of_another_province_is_not_the_one_and_came_without_reason() -> None:
    found = verdict(episode(1.25, 2.5, province="45"))
    assert wrong(found) == ["IocQuietFeedCases{province=51}", "IocQuietFeedCases{province=45}"]


@pytest.mark.parametrize(
    ("first", "last", "open"),
    [(1.6, 2.5, False), (1.25, 1.9, False), (1.25, 4.0, True), (1.25, 3.5, False)],
)
def test_an_alert_at_another_time_is_wrong(first: float, last: float, open: bool) -> None:
    assert wrong(verdict(episode(first, last, open=open))) == ["IocQuietFeedCases{province=51}"]


def test_an_alert_before_its_time_came_without_reason() -> None:
    found = verdict(episode(0.2, 0.5), episode(1.25, 2.5))
    assert [row.kind for row in found.rows if not row.right] == ["unexpected"]


def test_an_alert_that_flickers_within_its_time_is_right() -> None:
    assert verdict(episode(1.25, 1.5), episode(1.75, 2.5)).right


def test_an_alert_nobody_named_came_without_reason() -> None:
    found = verdict(episode(1.25, 2.5), episode(1, 2, "IocDeadLettersHigh", topic="x"))
    assert wrong(found) == ["IocDeadLettersHigh{topic=x}", "the other 1 alerts"]


def test_an_alert_that_must_be_silent_and_fires_is_wrong_once() -> None:
    found = verdict(episode(1.25, 2.5), episode(1, 2, "IocFieldReportSurge"))
    assert wrong(found) == ["IocFieldReportSurge"]


def test_an_alert_that_is_tolerated_is_shown_and_right() -> None:
    text = TEXT + '[[tolerated]]\nalert = "IocDeadLettersHigh"\nwhy = "it is a bad day anyway"\n'
    found = verdict(episode(1.25, 2.5), episode(1, 2, "IocDeadLettersHigh"), text=text)
    assert found.right
    (row,) = [row for row in found.rows if row.kind == "tolerated"]
    assert row.seen == "51: 10 Mar 09:00 to 10:00"


def test_an_alert_that_must_fire_to_the_end_has_to() -> None:
    text = TEXT.replace('ends = ["+2h", "+3h"]', 'ends = "never"')
    assert verdict(episode(1.25, 4.02, open=True), text=text).right
    assert wrong(verdict(episode(1.25, 3.9), text=text)) == ["IocQuietFeedCases{province=51}"]


@pytest.mark.parametrize("value", [9.9, 20.1, None])
def test_a_kpi_out_of_its_range_or_null_is_wrong(value: float | None) -> None:
    assert wrong(verdict(episode(1.25, 2.5), value=value)) == ["fr.received 1h all at 10 Mar 10:00"]


def test_a_kpi_that_the_tape_has_not_is_wrong() -> None:
    found = judge(made(), Tape(), [episode(1.25, 2.5)], ALERTS)
    assert found.rows[-1].seen == "not on the tape"
    assert not found.right


def test_alerts_that_were_not_evaluated_are_never_right() -> None:
    found = verdict(evaluated=False)
    assert not found.right
    assert found.wrong == 0
    assert found.describe()["verdict"] == "not as stated"


def test_the_picture_shows_what_was_stated_and_seen_and_escapes_it() -> None:
    rehearsal = made(TEXT.replace("a trial", "a <b>trial</b>"))
    tape = Tape(about={"records": 7})
    for hour in range(5):
        line = 'ioc_fr_received_reports{window="1h",level="all",province="",district=""}'
        tape.add(START + hour * HOUR, {line: float(hour)})
    episodes = [episode(1.25, 2.5)]
    found = judge(rehearsal, tape, episodes, ALERTS)
    text = picture.page(rehearsal, tape, episodes, found)
    assert "a &lt;b&gt;trial" in text
    assert "QuietFeedCases 51" in text
    assert text.count("<path") == 1
    assert "fr.received 1h all" in text
