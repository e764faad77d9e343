"""What a scenario does to a source: outages, garbage, sales and rushes, and nothing else."""

from dataclasses import replace

import orjson
import pytest

from schemas import codec
from schemas.catalog import BY_NAME
from services.core.calendar import DAY_MS, HOUR_MS, MINUTE_MS, day_start, local_day
from services.core.territory import Territories
from services.simulation.faults import Faults
from services.simulation.scenarios import Outage, Rush, Sale, Scenario, scenario, together
from services.simulation.stream import Arrival, Kind, Simulation
from tests.unit.simulation.conftest import FIRST_DAY

START = day_start(FIRST_DAY + 7) + 7 * HOUR_MS
END = START + 6 * HOUR_MS
FROM, TO = START + HOUR_MS, START + 3 * HOUR_MS


@pytest.fixture(scope="module")
def small(territories: Territories) -> Territories:
    return Territories(
        [d for d in territories.districts.values() if d.province_code == "51"],
        [c for c in territories.communes.values() if c.province_code == "51"],
    )


def stream(
    territories: Territories, kind: Kind, played: Scenario, *, faults: float = 0.0
) -> list[Arrival]:
    rates = Faults({"schema": faults, "duplicate": faults})
    return list(Simulation(territories, 9, rates, played).stream(kind, START, END))


def in_outage(arrivals: list[Arrival]) -> list[Arrival]:
    return [a for a in arrivals if FROM <= a.at < TO]


def test_nothing_arrives_in_an_outage_and_everything_after_it(small: Territories) -> None:
    calm = stream(small, "admin-case", Scenario(), faults=0.1)
    held = stream(small, "admin-case", Scenario(outages=(Outage("admin-case", FROM, TO),)),
                  faults=0.1)  # fmt: skip
    assert in_outage(calm)
    assert in_outage(held) == []
    assert sorted(a.value for a in held) == sorted(a.value for a in calm)
    back = [a for a in held if TO <= a.at < TO + 5 * MINUTE_MS]
    assert len(back) > len(in_outage(calm))
    assert [a for a in held if a.at < FROM] == [a for a in calm if a.at < FROM]


def test_an_outage_is_of_its_source_and_its_provinces_only(small: Territories) -> None:
    elsewhere = Scenario(
        outages=(Outage("listing", FROM, TO), Outage("admin-case", FROM, TO, frozenset({"45"})))
    )
    assert stream(small, "admin-case", elsewhere) == stream(small, "admin-case", Scenario())


def test_an_encrypted_source_sends_what_nobody_can_read_then_the_right_records(
    small: Territories,
) -> None:
    calm = stream(small, "listing", Scenario())
    spoilt = Outage("listing", FROM, TO, garbage=True)
    found = stream(small, "listing", Scenario(outages=(spoilt,)))
    bad = in_outage(found)
    assert [(a.at, a.key) for a in bad] == [(a.at, a.key) for a in in_outage(calm)]
    for a in bad:
        event = codec.decode(BY_NAME[a.topic], a.key, a.value, 0, 1, a.at)
        assert isinstance(event, codec.Rejected)
        assert event.reason == "not_utf8"
    assert {a.value for a in calm} <= {a.value for a in found}


def orders(arrivals: list[Arrival]) -> dict[str, int]:
    """The instants at which orders were placed, by order."""
    found = {}
    for a in arrivals:
        event = orjson.loads(a.value)
        if event["type"] == "ioc.order.v1" and event["data"]["status"] == "placed":
            found[event["data"]["order_id"]] = a.at
    return found


def test_a_sale_brings_orders_by_the_dozen_and_changes_no_other(small: Territories) -> None:
    calm = orders(stream(small, "listing", Scenario()))
    sale = orders(stream(small, "listing", Scenario(sales=(Sale(FROM, TO, 12),))))
    assert {k: v for k, v in sale.items() if k in calm} == calm

    def during(found: dict[str, int]) -> int:
        return sum(FROM <= at < TO + 10_000 for at in found.values())

    assert during(sale) > 6 * during(calm) > 0
    assert all(FROM <= at < TO + 10_000 for name, at in sale.items() if name not in calm)


def test_a_rush_files_more_cases_and_more_of_them_late(small: Territories) -> None:
    day = local_day(START)

    def lives(played: Scenario) -> tuple[int, float]:
        (birth,) = Simulation(small, 9, Faults({}), played).births("admin-case", day)
        late = ended = 0
        for i in range(len(birth.batch)):
            slots = [s for s, at in enumerate(birth.batch.times[i]) if at >= 0]
            data = birth.batch.event(i, slots[-1])[1]["data"]
            if data["solved_at"] and data["due_at"]:
                ended += 1
                late += data["solved_at"] > data["due_at"]
        return len(birth.batch), late / ended

    calm, rush = lives(Scenario()), lives(Scenario(rushes=(Rush(day, day + 1, 1.5, 0.12),)))
    assert 1.4 < rush[0] / calm[0] < 1.6
    assert calm[1] < 0.08 < rush[1]
    assert lives(Scenario(rushes=(Rush(day + 1, day + 2, 1.5, 0.12),))) == calm


def test_effects_add_up_and_the_end_of_the_quarter_is_found() -> None:
    both = together([("flash-sale", START), ("portal-outage", START + DAY_MS)], 1)
    assert len(both.sales) == len(both.outages) == 1
    (rush,) = scenario("end-of-quarter", START, 1).rushes
    # The anchor lies in November: the quarter ends with the year.
    assert day_start(rush.last) > START
    assert rush.last - rush.first == 10
    assert replace(both, name="x").rush(rush.first) == (1.0, 0.0)
