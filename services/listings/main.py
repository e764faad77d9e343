"""`ioc produce listings`: wires the simulation of this source to Kafka."""

from collections.abc import Mapping

from services.runtime.producer_command import Plan, World, command
from services.runtime.reference import load_territories
from services.simulation.faults import DEFAULT_RATES, MEANINGS
from services.simulation.scenarios import TITLES
from services.simulation.stream import LONGEST_TRAVEL_MS, Kind
from services.simulation.world import world

KIND: Kind = "listing"


def open_world(plan: Plan, rates: Mapping[str, float] | None) -> World:
    simulation = world(
        load_territories(),
        seed=plan.seed,
        faults=rates,
        played=plan.played,
    )
    return World(
        KIND,
        lambda at: simulation.opening(KIND, at),
        lambda start, end: simulation.stream(KIND, start, end),
    )


main = command(
    KIND,
    "listings",
    "Simulated e-commerce listings and orders of four provinces.",
    open_world=open_world,
    scenarios=TITLES,
    faults=MEANINGS,
    default_rates=DEFAULT_RATES,
    longest_delay_ms=LONGEST_TRAVEL_MS,
)
