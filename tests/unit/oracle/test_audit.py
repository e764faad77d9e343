"""The comparison at a fence: equal numbers are silent, every kind of wrong one is named."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from schemas import catalog
from services.core.kpis import CATALOGUE
from services.oracle.audit import Answer, Difference, audit
from services.oracle.letters import Letters
from services.oracle.oracle import Oracle
from services.oracle.records import RawRecord
from services.oracle.windows import DAY, HOUR, local_ms
from services.view.numbers import Numbers
from services.view.question import of_window
from tests.contract.rig import Clock, Rig, by_place
from tests.strategies.events import PLACES, log, stream

PARTITIONS = 4
NOW = local_ms(2026, 11, 22, 10, 17) + 34_567
WINDOWS = ("now", "1h", "today", "year")
Body = dict[str, Any]


def bodies(rig: Rig) -> list[Body]:
    """What the view would answer now; dimensions for the last window only."""
    view = rig.view()
    return [
        Numbers(view).answer(
            window,
            [n for n in CATALOGUE if of_window(n, window)],
            None,
            view.clock_at(NOW),
            by=window == WINDOWS[-1],
        )
        for window in WINDOWS
    ]


class Stage:
    """A log, a rig that has folded it in two halves, and what the view said after each."""

    def __init__(self, clock: Clock) -> None:
        event = clock == "event"
        items = stream(41, 1200, NOW, span=3 * DAY, event_clock=event)
        self.records = log(items, PARTITIONS, event_clock=event)
        self.rig = Rig(PARTITIONS, clock)
        halves = {place: len(batch) // 2 for place, batch in by_place(self.records).items()}
        for place, batch in by_place(self.records).items():
            self.rig.fold(place, batch[: halves[place]], flush=True)
        self.half = bodies(self.rig)
        for place, batch in by_place(self.records).items():
            self.rig.fold(place, batch[halves[place] :], flush=True)
        self.whole = bodies(self.rig)
        self.oracle = Oracle(self.records, PARTITIONS, clock, PLACES)
        self.event = event

    def letters(self) -> list[RawRecord]:
        """The dead-letter topic."""
        made = [letter for place in sorted(self.rig.dead) for letter in self.rig.dead[place]]
        return [
            RawRecord(catalog.DEAD_LETTER.name, 0, n, NOW, d.key, d.value, d.headers)
            for n, d in enumerate(made)
        ]

    def found(self, made: list[Body], **options: Any) -> list[Difference]:
        answers = [Answer.of(body) for body in made]
        return audit(answers, self.oracle, event_clock=self.event, **options).differences


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage("wall")


@pytest.mark.parametrize("clock", ["wall", "event"])
def test_answers_at_different_fences_each_equal_the_oracle_cut_there(
    clock: Clock, stage: Stage
) -> None:
    stage = stage if clock == "wall" else Stage(clock)
    answers = [Answer.of(body) for body in (*stage.half, *stage.whole)]
    assert answers[0].applied != answers[-1].applied
    result = audit(answers, stage.oracle, event_clock=stage.event)
    assert result.differences == []
    assert result.compared > 20_000


def test_an_answer_compared_at_another_fence_differs(stage: Stage) -> None:
    mixed = copy.deepcopy(stage.half)
    for body, later in zip(mixed, stage.whole, strict=True):
        body["partitions"] = later["partitions"]
    assert len(stage.found(mixed, kpis=lambda name: name.startswith("gov.cases"))) > 100


def rows_of(made: list[Body], window: str | None, kpi: str) -> list[list[Any]]:
    """The rows of one KPI, as lists that can be changed."""
    found = next(body for body in made if body["window"] == window)["kpis"][kpi]
    found["rows"] = [list(row) for row in found["rows"]]
    rows: list[list[Any]] = found["rows"]
    return rows


def first(made: list[Body]) -> Body:
    """The first partition with an applied record, in an answer."""
    place: Body = next(p for p in made[0]["partitions"] if p["outcomes"]["applied"])
    return place


def one_more(made: list[Body]) -> None:
    next(r for r in rows_of(made, "year", "fr.received") if r[0] == "51")[2] += 1


def a_row_too_few(made: list[Body]) -> None:
    rows = rows_of(made, "1h", "eco.orders")
    rows.remove(next(r for r in rows if r[0] == "all"))


def a_row_too_many(made: list[Body]) -> None:
    rows_of(made, "today", "gov.on_time_rate").append(["51.elsewhere", None, 1.0, 3, 3, 3])


def an_impossible_count(made: list[Body]) -> None:
    next(r for r in rows_of(made, None, "gov.open_now") if r[0] == "all")[5] = None


def a_quantile_off_by_three_percent(made: list[Body]) -> None:
    rows = rows_of(made, "year", "gov.p90_processing_days")
    next(r for r in rows if r[0] == "all")[2] *= 1.05


def a_dimension_off_by_one(made: list[Body]) -> None:
    table = made[-1]["kpis"]["fr.received"]["by"]["channel"]
    at = next(i for i, r in enumerate(table) if r[:2] == ("45", "web"))
    table[at] = ("45", "web", table[at][2] + 1, None, None, table[at][5] + 1)


def an_outcome_too_few(made: list[Body]) -> None:
    first(made)["outcomes"]["applied"] -= 1


def a_reason_for_another(made: list[Body]) -> None:
    place = next(p for p in made[0]["partitions"] if p["reasons"].get("schema"))
    place["reasons"]["schema"] -= 1
    place["reasons"]["not_json"] = place["reasons"].get("not_json", 0) + 1


def a_lost_record_called_a_gap(made: list[Body]) -> None:
    place = first(made)
    place["outcomes"]["applied"] -= 1
    place["gaps"] += 1


def a_wrong_indicator(made: list[Body]) -> None:
    next(s for s in made[0]["indicators"] if s[1] is not None)[1] += 1


def a_lost_series(made: list[Body]) -> None:
    made[0]["indicators"].pop()


def a_wrong_flow(made: list[Body]) -> None:
    body = made[-1]
    at = next(i for i, flow in enumerate(body["flows"]) if flow[2])
    key, total, count = body["flows"][at]
    body["flows"][at] = (key, total, count + 1)


@pytest.mark.parametrize(
    ("spoil", "what", "name", "where"),
    [
        (one_more, "kpi", "fr.received", ("year", "51")),
        (a_row_too_few, "kpi", "eco.orders", ("1h", "all")),
        (a_row_too_many, "kpi", "gov.on_time_rate", ("today", "51.elsewhere")),
        (an_impossible_count, "kpi", "gov.open_now", ("now", "all")),
        (a_quantile_off_by_three_percent, "kpi", "gov.p90_processing_days", ("year", "all")),
        (a_dimension_off_by_one, "kpi", "fr.received", ("year", "45")),
        (an_outcome_too_few, "outcomes", "ioc.", (None, None)),
        (a_reason_for_another, "outcomes", "ioc.", (None, None)),
        (a_lost_record_called_a_gap, "conservation", "ioc.", (None, None)),
        (a_wrong_indicator, "indicator", "", ("now", None)),
        (a_lost_series, "indicator", "", ("now", None)),
        (a_wrong_flow, "indicator", "", ("year", None)),
    ],
)
def test_what_is_wrong_is_named(
    stage: Stage,
    spoil: Callable[[list[Body]], None],
    what: str,
    name: str,
    where: tuple[str | None, str | None],
) -> None:
    made = copy.deepcopy(stage.whole)
    spoil(made)
    found = stage.found(made, kpis=lambda kpi: kpi == name)
    assert what in {d.what for d in found}
    assert len(found) <= 4
    difference = next(d for d in found if d.what == what)
    assert difference.name.startswith(name)
    window, territory = where
    assert difference.window == window
    if territory is not None:
        assert difference.territory == territory
        assert territory in str(difference)


def test_only_the_kpis_and_territories_asked_for_are_compared(stage: Stage) -> None:
    made = copy.deepcopy(stage.whole)
    one_more(made)
    few = {"fr.received", "fr.answered"}
    assert stage.found(made, kpis=lambda name: name == "fr.answered") == []
    assert stage.found(made, kpis=few.__contains__, territories=lambda code: code != "51") == []
    found = stage.found(made, kpis=few.__contains__, territories=lambda code: code == "51")
    assert len(found) == 1


def test_of_a_log_without_its_beginning_only_later_windows_are_audited(stage: Stage) -> None:
    """Retention has taken what arrived before two hours ago; the view remembers it."""
    since = NOW - 2 * HOUR
    stage.oracle.cut(None)
    # What lost against a record that is gone cannot be told from what won: there is none here.
    whole = [r for r in stage.records if stage.oracle.outcome(*place_of(r)) == "applied"]
    rig = Rig(PARTITIONS, "wall")
    for place, batch in by_place(whole).items():
        rig.fold(place, batch, flush=True)
    oracle = Oracle([r for r in whole if r.timestamp >= since], PARTITIONS, "wall", PLACES)
    lost = dict.fromkeys((t.name for t in catalog.SOURCES), since)
    result = audit([Answer.of(body) for body in bodies(rig)], oracle, complete_from=lost)
    assert result.differences == []
    assert result.compared > 1000
    notes = "\n".join(result.notes)
    assert "fr.open_now now is not audited" in notes
    assert "fr.received year is not audited" in notes
    assert "fr.received 1h" not in notes
    assert "outcomes of ioc.listing.v1 are not audited" in notes
    assert "indicators are not audited" in notes


def place_of(record: RawRecord) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


def test_a_kpi_that_the_oracle_does_not_know_is_noted(stage: Stage) -> None:
    made = copy.deepcopy(stage.whole)
    made[0]["kpis"]["new.kpi"] = {"unit": "1", "rows": [["all", None, 1, None, None, 1]]}
    result = audit([Answer.of(body) for body in made[:1]], stage.oracle)
    assert result.differences == []
    assert "new.kpi is not audited: the oracle does not know it" in result.notes


def test_something_that_is_no_answer_is_refused() -> None:
    answers: list[Body] = [{}, {"partitions": []}]
    for body in (*answers, {"partitions": [], "window": "1h", "as_of": 7}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            Answer.of(body)


# --- dead letters -------------------------------------------------------------------------------


def wrong_letters(stage: Stage, letters: list[RawRecord], since: int | None = None) -> list[str]:
    stage.oracle.cut(None)
    read = Letters(stage.oracle)
    read.load(letters)
    return [f"{d.by}: {d.oracle} / {d.view}" for d in read.differences(since)]


def changed(letter: RawRecord, **changes: Any) -> RawRecord:
    fields = {name: getattr(letter, name) for name in RawRecord.__slots__}
    return RawRecord(**(fields | changes))


def test_each_rejected_record_has_its_letter_and_a_second_one_does_no_harm(stage: Stage) -> None:
    letters = stage.letters()
    assert len(letters) > 20
    assert wrong_letters(stage, letters) == []
    assert wrong_letters(stage, letters + letters[:5]) == []


def test_a_missing_letter_is_named_by_its_offset(stage: Stage) -> None:
    letters = stage.letters()
    offset = dict(letters[3].headers)["ioc-offset"].decode()
    reason = dict(letters[3].headers)["ioc-reason"].decode()
    (found,) = wrong_letters(stage, letters[:3] + letters[4:])
    assert found == f"offset {offset}: {reason} / no dead letter"
    assert wrong_letters(stage, letters[:3] + letters[4:], since=NOW + DAY) == []


def test_a_letter_with_other_bytes_or_another_reason_or_without_need_is_wrong(
    stage: Stage,
) -> None:
    letters = stage.letters()
    other = changed(letters[0], value=b"something else")
    (found,) = wrong_letters(stage, [other, *letters[1:]])
    assert found.endswith("other bytes")
    excuse = changed(letters[0], headers=[*letters[0].headers, ("ioc-reason", b"excuse")])
    (found,) = wrong_letters(stage, [excuse, *letters[1:]])
    assert found.endswith("/ excuse")
    place, offset = next(
        ((r.topic, r.partition), r.offset)
        for r in stage.records
        if stage.oracle.outcome(*place_of(r)) == "applied"
    )
    headers = [("ioc-topic", place[0].encode()), ("ioc-partition", b"%d" % place[1]),
               ("ioc-offset", b"%d" % offset), ("ioc-reason", b"schema")]  # fmt: skip
    (found,) = wrong_letters(stage, [*letters, changed(letters[0], headers=headers)])
    assert found == f"offset {offset}: applied / dead letter: schema"
    (found,) = wrong_letters(stage, [*letters, changed(letters[0], headers=[])])
    assert "1 without a record" in found
