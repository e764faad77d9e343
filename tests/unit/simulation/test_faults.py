"""The delivery faults of domain rule 7.5: each as stated, each by itself, none for ever."""

from collections import Counter, defaultdict

import orjson
import pytest

from schemas import codec
from schemas.catalog import BY_NAME
from services.core.calendar import DAY_MS, HOUR_MS, MINUTE_MS, day_start
from services.core.territory import Territories
from services.simulation.faults import DEFAULT_RATES, Faults, quiet_half_hour
from services.simulation.scenarios import NAMES, scenario
from services.simulation.stream import Arrival, Kind, Simulation
from services.simulation.world import world
from tests.unit.simulation.conftest import FIRST_DAY

START = day_start(FIRST_DAY + 7) + 7 * HOUR_MS
END = START + 4 * HOUR_MS


def _province(territories: Territories, code: str) -> Territories:
    return Territories(
        [d for d in territories.districts.values() if d.province_code == code],
        [c for c in territories.communes.values() if c.province_code == code],
    )


@pytest.fixture(scope="module")
def small(territories: Territories) -> Territories:
    return _province(territories, "51")


def _cases(territories: Territories, **rates: float) -> list[Arrival]:
    return list(world(territories, seed=9, faults=rates).stream("admin-case", START, END))


@pytest.fixture(scope="module")
def sound(small: Territories) -> list[Arrival]:
    return _cases(small)


def _outcomes(arrivals: list[Arrival]) -> Counter[str]:
    """Reason of rejection, or ``ok``, of each record."""
    out: Counter[str] = Counter()
    for a in arrivals:
        event = codec.decode(BY_NAME[a.topic], a.key, a.value, 0, 1, a.at)
        out[event.reason if isinstance(event, codec.Rejected) else "ok"] += 1
    return out


def test_a_day_without_faults_has_none(sound: list[Arrival]) -> None:
    assert set(_outcomes(sound)) == {"ok"}
    assert len({a.value for a in sound}) == len(sound)


@pytest.mark.parametrize(
    ("fault", "reasons"),
    [
        ("malformed", {"not_json", "not_utf8"}),
        ("schema", {"schema"}),
        ("future", {"future_time"}),
    ],
)
def test_a_corrupt_record_is_refused_and_the_right_one_follows(
    fault: str, reasons: set[str], small: Territories, sound: list[Arrival]
) -> None:
    struck = _cases(small, **{fault: 0.2})
    outcomes = _outcomes(struck)
    assert set(outcomes) == {"ok"} | reasons
    bad = sum(outcomes[r] for r in reasons)
    assert 0.1 * len(sound) < bad < 0.3 * len(sound)
    by_then = {a.value for a in sound if a.at < END - HOUR_MS}
    assert by_then <= {a.value for a in struck}


def test_a_duplicate_is_the_same_bytes_once_more(small: Territories, sound: list[Arrival]) -> None:
    twice = Counter(a.value for a in _cases(small, duplicate=0.3))
    assert set(twice) == {a.value for a in sound}
    assert max(twice.values()) == 2


def test_a_conflict_has_the_same_revision_and_other_data(
    small: Territories, sound: list[Arrival]
) -> None:
    seen = defaultdict(set)
    for a in _cases(small, conflict=0.2):
        seen[orjson.loads(a.value)["id"]].add(a.value)
    assert any(len(values) == 2 for values in seen.values())
    assert {a.value for a in sound} <= {v for values in seen.values() for v in values}


def test_a_late_record_arrives_ten_minutes_to_six_hours_after_its_time(small: Territories) -> None:
    delays = [_delay(a) for a in _cases(small, late=0.5)]
    late = [d for d in delays if d > 9 * MINUTE_MS]
    assert len(late) > 100
    assert max(late) < 6.2 * HOUR_MS


def test_a_very_late_record_arrives_a_day_to_a_week_after_its_time(small: Territories) -> None:
    delays = [_delay(a) for a in _cases(small, very_late=0.5)]
    late = [d for d in delays if d > 10 * HOUR_MS]
    assert len(late) > 100
    assert min(late) > DAY_MS
    assert max(late) < 7.1 * DAY_MS


def _delay(a: Arrival) -> int:
    event = codec.decode(BY_NAME[a.topic], a.key, a.value, 0, 1, a.at)
    assert not isinstance(event, codec.Rejected)
    return a.at - event.time


def test_an_unknown_territory_is_a_small_share_and_no_rejection(
    small: Territories, territories: Territories
) -> None:
    struck = _cases(small, territory=0.2)
    assert set(_outcomes(struck)) == {"ok"}
    rows = Counter(
        territories.rows[
            territories.deepest(d["province_code"], d["district_code"], d["commune_code"])
        ].code
        for d in (orjson.loads(a.value)["data"] for a in struck)
    )
    assert sum(n for code, n in rows.items() if code.endswith("unknown")) > 0.1 * len(struck)


def test_out_of_order_events_change_no_content(small: Territories, sound: list[Arrival]) -> None:
    struck = _cases(small, out_of_order=0.3)
    early = {a.value for a in sound if a.at < END - 2 * HOUR_MS}
    assert {a.value for a in struck} <= {a.value for a in sound} | {
        a.value for a in struck if a.at > START
    }
    revisions: dict[bytes, int] = {}
    behind = 0
    for a in struck:
        revision = orjson.loads(a.value)["data"]["revision"]
        behind += revision < revisions.get(a.key, 0)
        revisions[a.key] = max(revision, revisions.get(a.key, 0))
    assert behind > 20
    assert len(early) > 100


def test_switching_one_fault_off_moves_no_other(small: Territories) -> None:
    both = {a.value for a in _cases(small, schema=0.05, text=0.05)}
    # A corrupt record puts the right one off by at most half an hour.
    one = {a.value for a in _cases(small, text=0.05) if a.at < END - 31 * MINUTE_MS}
    assert one <= both


def test_swapped_coordinates_and_odd_text_are_accepted(small: Territories) -> None:
    simulation = world(small, seed=9, faults={"coordinates": 0.5, "text": 0.5})
    arrivals = list(simulation.stream("field-report", START, END))
    assert set(_outcomes(arrivals)) == {"ok"}
    data = [orjson.loads(a.value)["data"] for a in arrivals]
    assert any(d["lat"] == 0 or d["lat"] > 90 for d in data)
    assert any("🌊" in d["description"] for d in data)
    assert max(len(d["description"]) for d in data) == 4000


def test_a_huge_record_is_larger_than_any_topic_takes(small: Territories) -> None:
    simulation = world(small, seed=9, faults={"huge": 0.05})
    sizes = [len(a.value) for a in simulation.stream("field-report", START, START + 2 * HOUR_MS)]
    assert max(sizes) > 9_000_000


def test_a_quiet_half_hour_holds_back_one_district_and_then_delivers(
    territories: Territories,
) -> None:
    simulation = world(territories, seed=9, faults={"silence": 1.0})
    districts = [d.row.district_code for p in simulation.provinces for d in p.districts]
    number, start = quiet_half_hour(9, 1.0, FIRST_DAY + 8, len(districts))
    quiet = districts[number]
    during, after = 0, 0
    for a in simulation.stream("indicator", start, start + 31 * MINUTE_MS):
        data = orjson.loads(a.value)["data"]
        district = territories.communes.get(data["territory"])
        if data["territory"] == quiet or (district and district.district_code == quiet):
            during += a.at < start + 30 * MINUTE_MS
            after += a.at >= start + 30 * MINUTE_MS
    assert during == 0
    assert after >= 6


def test_an_unknown_fault_or_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="no fault is called"):
        Faults({"rust": 0.1})
    with pytest.raises(ValueError, match="between 0 and 1"):
        Faults({"late": 2})
    assert Faults().changed({"late": 0.5}).rate("late") == 0.5
    assert Faults().rate("huge") == DEFAULT_RATES["huge"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_every_scenario_can_be_played(name: str, small: Territories) -> None:
    simulation = world(small, seed=9, faults={}, played=[(name, START)])
    assert next(iter(simulation.stream("field-report", START, START + DAY_MS)), None)


def _count(simulation: Simulation, start: int, hours: int) -> int:
    return sum(
        orjson.loads(a.value)["data"]["revision"] == 1
        for a in simulation.stream("field-report", start, start + hours * HOUR_MS)
    )


def test_a_storm_multiplies_the_reports_of_the_coast(small: Territories) -> None:
    storm = world(small, seed=9, faults={}, played=[("storm", START)])
    calm = world(small, seed=9, faults={})
    start = START + 6 * HOUR_MS
    assert _count(storm, start, 24) > 8 * _count(calm, start, 24)


def test_nobody_works_in_the_tet_break(small: Territories) -> None:
    festival = world(small, seed=9, faults={}, played=[("tet", START)])
    day = FIRST_DAY + 9
    filed = sum(len(b.batch) for b in festival.births("admin-case", day))
    plain = sum(len(b.batch) for b in world(small, seed=9).births("admin-case", day))
    assert filed < 0.15 * plain


@pytest.mark.parametrize("name", ["storm", "tet", "campaign"])
def test_a_scenario_changes_nothing_that_began_before_it(name: str, small: Territories) -> None:
    plain = world(small, seed=9, faults={})
    played = world(small, seed=9, faults={}, played=[(name, START)])
    # Answers to reports are a share of the time to their due date, which a festival moves.
    kinds: tuple[Kind, ...] = ("admin-case",) if name == "tet" else ("admin-case", "field-report")
    for kind in kinds:
        before, after = (
            Counter(
                (a.key, a.value)
                for a in simulation.stream(kind, START - HOUR_MS, START + 8 * HOUR_MS)
                if b"-S" not in a.key
            )
            for simulation in (plain, played)
        )
        # In office hours of this day nothing of the plain world is missing; due dates may move.
        assert {(k, orjson.loads(v)["data"]["revision"]) for k, v in before} == {
            (k, orjson.loads(v)["data"]["revision"]) for k, v in after
        }


def test_scenarios_add_up(small: Territories) -> None:
    both = world(small, seed=9, played=[("storm", START), ("tet", START)]).scenario
    assert both.storms
    assert both.calendar.extra_break is not None
    assert both.name == "tet"


def test_a_scenario_needs_a_known_name() -> None:
    with pytest.raises(KeyError):
        scenario("locusts", 0, 1)
