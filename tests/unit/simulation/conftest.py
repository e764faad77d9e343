"""A small, shared simulation: four plain weeks (no holiday, no storm) of October 2025."""

from datetime import date

import pytest

from services.core.calendar import day_of
from services.core.territory import Territories
from services.runtime.reference import load_territories
from services.simulation.stream import Simulation
from services.simulation.world import world

#: Monday 27 October to Sunday 23 November 2025.
FIRST_DAY = day_of(date(2025, 10, 27))
DAYS = 28


@pytest.fixture(scope="session")
def territories() -> Territories:
    return load_territories()


@pytest.fixture(scope="session")
def plain(territories: Territories) -> Simulation:
    """Seed 7 without faults."""
    return world(territories, seed=7, faults={})


@pytest.fixture(scope="session")
def faulty(territories: Territories) -> Simulation:
    """Seed 7 with the default faults."""
    return world(territories, seed=7)
