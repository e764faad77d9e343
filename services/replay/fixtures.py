"""A fixture for tests of KPIs on recorded days: ``services.replay.fixtures.replayed``.

def test_the_storm_is_seen(replayed):
    day = replayed("tests/recordings/storm.iocrec")
    assert day.kpi("fr.received", "24h", "51") == 412
"""

from collections.abc import Callable

import pytest

from services.replay.memory import MemorySystem, replay_in_memory


@pytest.fixture
def replayed() -> Callable[..., MemorySystem]:
    """`services.replay.replay_in_memory`: a recording in, a system to ask out, without Kafka."""
    return replay_in_memory
