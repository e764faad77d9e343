"""The streams: same seed, same bytes, whatever was asked before; legal lives; honest volumes."""

from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pytest

from schemas import codec
from schemas.catalog import BY_NAME
from services.core.calendar import DAY_MS, HOUR_MS, day_start
from services.core.territory import Territories
from services.simulation import cases, reports
from services.simulation.stream import KINDS, LOOK_BACK_DAYS, Arrival, Kind, Simulation
from services.simulation.world import world
from tests.unit.simulation.conftest import FIRST_DAY

#: A Monday morning.
START = day_start(FIRST_DAY + 7) + 7 * HOUR_MS
QUANG_TRI = "45"


@pytest.fixture(scope="module")
def small(territories: Territories) -> Territories:
    """Quảng Trị alone: a fifth of the work."""
    return Territories(
        [d for d in territories.districts.values() if d.province_code == QUANG_TRI],
        [c for c in territories.communes.values() if c.province_code == QUANG_TRI],
    )


@pytest.fixture(scope="module")
def two_hours(small: Territories) -> dict[Kind, list[Arrival]]:
    simulation = world(small, seed=3)
    return {k: list(simulation.stream(k, START, START + 2 * HOUR_MS)) for k in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_and_start_give_the_same_bytes(
    kind: Kind, small: Territories, two_hours: dict[Kind, list[Arrival]]
) -> None:
    again = list(world(small, seed=3).stream(kind, START, START + 2 * HOUR_MS))
    assert again == two_hours[kind]
    assert len(again) > 5


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_taken_up_in_the_middle_goes_on_with_the_same_bytes(
    kind: Kind, small: Territories, two_hours: dict[Kind, list[Arrival]]
) -> None:
    middle = START + HOUR_MS + 123
    rest = list(world(small, seed=3).stream(kind, middle, START + 2 * HOUR_MS))
    assert Counter(rest) == Counter(a for a in two_hours[kind] if a.at >= middle)


@pytest.mark.parametrize("kind", KINDS)
def test_records_come_in_order_of_arrival(kind: Kind, two_hours: dict[Kind, list[Arrival]]) -> None:
    times = [a.at for a in two_hours[kind]]
    assert times == sorted(times)
    assert START <= times[0]
    assert times[-1] < START + 2 * HOUR_MS


def test_another_seed_is_another_world(
    small: Territories, two_hours: dict[Kind, list[Arrival]]
) -> None:
    other = list(world(small, seed=4).stream("admin-case", START, START + HOUR_MS))
    whole = {a.value for a in two_hours["admin-case"] if len(a.value) > 500}
    assert not {a.value for a in other} & whole


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_without_faults_is_what_the_contract_asks(
    kind: Kind, small: Territories
) -> None:
    simulation = world(small, seed=3, faults={})
    count = 0
    for arrival in simulation.stream(kind, START, START + HOUR_MS):
        event = codec.decode(BY_NAME[arrival.topic], arrival.key, arrival.value, 0, 1, arrival.at)
        assert not isinstance(event, codec.Rejected), (event, arrival.value)
        assert event.time <= arrival.at
        assert event.source == f"/ioc/sim/{kind}"
        count += 1
    assert count > 5


REPORT_STEPS = {
    None: {"received"},
    "received": {"verifying"},
    "verifying": {"rejected", "duplicate", "referred", "assigned"},
    "assigned": {"in_progress"},
    "in_progress": {"extended", "answered"},
    "extended": {"in_progress"},
    "answered": {"answered", "reopened"},
    "reopened": {"assigned"},
    "rejected": set(),
    "duplicate": set(),
    "referred": set(),
}
CASE_STEPS = {
    None: {"registered"},
    "registered": {"accepted", "refused"},
    "accepted": {"processing"},
    "processing": {
        "processing", "supplement", "payment_due", "solved", "withdrawn", "stopped",
    },
    "supplement": {"processing", "withdrawn", "stopped"},
    "payment_due": {"processing", "withdrawn", "stopped"},
    "solved": {"returned"},
    "returned": {"returned"},
    "refused": set(),
    "withdrawn": set(),
    "stopped": set(),
}  # fmt: skip


def _lives(simulation: Simulation, kind: Kind, days: int) -> dict[str, list[dict[str, Any]]]:
    out: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for day in range(FIRST_DAY, FIRST_DAY + days):
        for birth in simulation.births(kind, day):
            times = birth.batch.times
            for i in range(len(birth.batch)):
                for slot in np.flatnonzero(times[i] >= 0).tolist():
                    key, event = birth.batch.event(i, slot)
                    out[key].append(event)
    return out


@pytest.mark.parametrize(
    ("kind", "days", "steps"),
    [("field-report", 60, REPORT_STEPS), ("admin-case", 3, CASE_STEPS)],
)
def test_lives_take_legal_paths_only_and_all_of_them(
    kind: Kind, days: int, steps: dict[str | None, set[str]], small: Territories
) -> None:
    lives = _lives(world(small, seed=5, faults={}), kind, days)
    taken: set[tuple[str | None, str]] = set()
    for events in lives.values():
        before = None
        for event in events:
            taken.add((before, event["data"]["status"]))
            before = event["data"]["status"]
    legal = {(a, b) for a, follow in steps.items() for b in follow}
    assert taken <= legal
    # Rare ends of rare states need more lives than a unit test has.
    rare = {("supplement", "withdrawn"), ("payment_due", "withdrawn"), ("payment_due", "stopped")}
    assert legal - taken <= rare


@pytest.mark.parametrize(("kind", "days"), [("field-report", 20), ("admin-case", 2)])
def test_revisions_grow_by_one_and_time_never_falls(
    kind: Kind, days: int, small: Territories
) -> None:
    for events in _lives(world(small, seed=6, faults={}), kind, days).values():
        revisions = [e["data"]["revision"] for e in events]
        assert revisions == list(range(1, len(events) + 1))
        for before, after in pairwise(events):
            assert before["time"] <= after["time"]
        assert len({e["id"] for e in events}) == len(events)


def test_no_life_is_longer_than_a_restart_looks_back(plain: Simulation) -> None:
    for kind, longest in (
        ("admin-case", cases.LONGEST_LIFE_DAYS),
        ("field-report", reports.LONGEST_LIFE_DAYS),
    ):
        for day in range(FIRST_DAY, FIRST_DAY + 40, 4):
            for birth in plain.births(kind, day):  # type: ignore[arg-type]  # both are kinds
                if len(birth.batch):
                    assert birth.batch.times.max() < day_start(day) + longest * DAY_MS


def test_no_event_holds_a_person(two_hours: dict[Kind, list[Arrival]]) -> None:
    for arrival in two_hours["field-report"][:400]:
        try:
            data = orjson.loads(arrival.value)["data"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            continue
        assert data["reporter_ref"].startswith("r-")
        assert not {"name", "phone", "email", "address"} & set(data)


def test_volumes_of_a_working_day_are_those_of_the_table(plain: Simulation) -> None:
    """Domain rule 7.4: cases, reports and readings per province, give or take the noise."""
    table = {
        "45": (1200, 20, 45_000),
        "51": (2400, 40, 60_000),
        "87": (3200, 45, 50_000),
        "95": (1600, 25, 25_000),
    }
    tuesdays = range(FIRST_DAY + 1, FIRST_DAY + 28, 7)
    for number, province in enumerate(plain.provinces):
        found = {
            kind: np.mean(
                [
                    sum(len(b.batch) for b in plain.births(kind, day) if b.province == number)
                    for day in (tuesdays if kind != "indicator" else tuesdays[:1])
                ]
            )
            for kind in KINDS
        }
        expected = table[province.code]
        for kind, want, within in zip(
            ("admin-case", "field-report", "indicator"), expected, (0.25, 0.6, 0.12), strict=True
        ):
            assert want * (1 - within) < found[kind] < want * (1 + within), (province.code, kind)  # type: ignore[index]  # all are kinds


def test_desks_are_closed_at_night_and_at_weekends(plain: Simulation) -> None:
    for day in (FIRST_DAY + 5, FIRST_DAY + 6, FIRST_DAY):
        for birth in plain.births("admin-case", day):
            assert isinstance(birth.batch, cases.Cases)
            direct = birth.batch.channel != cases.ONLINE
            hours = (birth.batch.times[direct, 0] - day_start(day)) // HOUR_MS
            if day != FIRST_DAY:
                assert not direct.any()
            else:
                assert hours.min() >= 7
                assert hours.max() < 17


def test_what_a_weekend_leaves_is_not_answered_in_one_instant(small: Territories) -> None:
    simulation = world(small, seed=3, faults={})
    monday = simulation.stream("field-report", START - HOUR_MS, START + 11 * HOUR_MS)
    data = [orjson.loads(a.value)["data"] for a in monday]
    answered = Counter(d["answered_at"] for d in data if d["status"] == "answered")
    assert answered.total() > 15
    assert max(answered.values()) <= 0.15 * answered.total()


def test_the_opening_holds_every_case_that_is_still_to_move(small: Territories) -> None:
    simulation = world(small, seed=3, faults={})
    opened = {a.key for a in simulation.opening("admin-case", START)}
    later = {a.key for a in simulation.stream("admin-case", START, START + HOUR_MS)}
    first = {
        a.key
        for a in simulation.stream("admin-case", START, START + HOUR_MS)
        if orjson.loads(a.value)["data"]["revision"] == 1
    }
    # What arrives after the start was open at it, was on its way, or began after it.
    assert len(later - first - opened) <= 2
    assert len(opened) > 500


def test_a_restart_looks_back_further_than_any_life_and_any_delay() -> None:
    assert LOOK_BACK_DAYS["admin-case"] >= cases.LONGEST_LIFE_DAYS + 7
    assert LOOK_BACK_DAYS["field-report"] >= reports.LONGEST_LIFE_DAYS + 7


def test_listings_keep_their_number_while_they_come_and_go(small: Territories) -> None:
    simulation = world(small, seed=3, faults={})
    state: dict[tuple[str, str], dict[str, Any]] = {}
    sold_out = 0
    for at in (START, START + 9 * DAY_MS):
        state = {}
        for arrival in simulation.opening("listing", at):
            data = orjson.loads(arrival.value)["data"]
            if "listing_id" in data and "order_id" not in data:
                state[data["store_id"], data["listing_id"]] = data
        active = [d for d in state.values() if d["active"]]
        assert Counter(d["platform"] for d in active) == {
            "provincial": 142, "postmart": 264, "voso": 320, "sendo": 4,
        }  # fmt: skip
        sold_out += sum(d["stock"] == 0 for d in active)
    assert sold_out > 0


def test_an_order_takes_from_the_stock_it_finds(small: Territories) -> None:
    simulation = world(small, seed=3, faults={})
    latest: dict[str, dict[str, Any]] = {}
    orders = 0
    for arrival in simulation.stream("listing", START, START + 2 * DAY_MS):
        data = orjson.loads(arrival.value)["data"]
        if "order_id" in data:
            orders += data["status"] == "placed"
            continue
        before = latest.get(data["listing_id"])
        if before is not None:
            assert data["revision"] > before["revision"]
        assert data["stock"] >= 0
        assert 0 < data["price_vnd"] < 100_000_000
        latest[data["listing_id"]] = data
    assert orders > 60
