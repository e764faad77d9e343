"""One call that opens the simulation from what a command line gives. Pure."""

from collections.abc import Mapping, Sequence

from services.core.territory import Territories
from services.simulation.faults import DEFAULT_RATES, Faults
from services.simulation.scenarios import together
from services.simulation.stream import Simulation


def world(
    territories: Territories,
    *,
    seed: int,
    faults: Mapping[str, float] | None = None,
    played: Sequence[tuple[str, int]] = (),
) -> Simulation:
    """The simulation of a seed; ``faults`` None means the default rates.

    ``played`` are the scenarios begun so far, each with the instant (ms) it began at. Raises
    KeyError for an unknown scenario, ValueError for an unknown fault or a rate outside 0 to 1.
    """
    rates = DEFAULT_RATES if faults is None else faults
    return Simulation(territories, seed, Faults(rates), together(played, seed))
