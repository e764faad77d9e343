"""The command line of the producers, and the plan that the four of them share."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kafka.partitioner import default

from schemas import codec
from services.admin_cases.main import main as admin_cases
from services.field_reports.main import main as field_reports
from services.indicators.main import main as indicators
from services.listings.main import main as listings
from services.runtime.producer_command import Plan, plan
from services.runtime.settings import Settings

NOW = 1_763_000_000_000


def test_the_four_doors_have_the_names_of_their_services() -> None:
    names = [c.name for c in (field_reports, admin_cases, listings, indicators)]
    assert names == ["field-reports", "admin-cases", "listings", "indicators"]


def test_help_shows_an_example_the_scenarios_and_the_faults() -> None:
    text = CliRunner().invoke(admin_cases, ["--help"]).output
    assert "ioc produce admin-cases" in text
    for word in ("storm", "tet", "silent-district", "duplicate-storm", "very_late", "[0.003]"):
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fault", "rust=0.1"], "one of late"),
        (["--fault", "late=2"], "from 0 to 1"),
        (["--fault", "late"], "NAME=RATE"),
        (["--speed", "60"], "IOC_CLOCK=event"),
        (["--start", "yesterday"], "is no instant"),
        (["--scenario", "locusts"], "locusts"),
    ],
)
def test_a_wrong_wish_is_refused_with_the_reason(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IOC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("IOC_CLOCK", "wall")
    result = CliRunner().invoke(field_reports, arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_all_sources_play_the_same_storm_from_the_same_instant(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)

    def ask(scenario: str, now: int, seed: int = 1) -> Plan:
        return plan(settings, seed=seed, scenario=scenario, speed=1, start=None, now=now)

    first = ask("storm", NOW)
    assert first.played == (("storm", NOW),)
    assert ask("storm", NOW + 5_000) == first
    # A storm goes on, whatever is played next and whether or not it is asked for again.
    assert ask("", NOW + 6_000).played == first.played
    assert ask("tet", NOW + 9_000).played == (("storm", NOW), ("tet", NOW + 9_000))
    assert ask("storm", NOW + 9_000, seed=2).played == (("storm", NOW + 9_000),)


def test_a_fast_clock_goes_on_after_a_restart(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, clock="event")
    start = NOW - 86_400_000
    plan(settings, seed=1, scenario="", speed=600, start=start, now=NOW)
    again = plan(settings, seed=1, scenario="", speed=600, start=start, now=NOW + 60_000)
    assert again.clock.now(NOW + 60_000) == start + 600 * 60_000
    assert again.beginning(NOW + 60_000) == start


def test_a_plain_run_keeps_to_the_wall_clock(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    plan(settings, seed=1, scenario="", speed=1, start=None, now=NOW)
    later = plan(settings, seed=1, scenario="", speed=1, start=None, now=NOW + 777_777)
    assert later.clock.now(NOW + 999_999) == NOW + 999_999
    assert later.beginning(NOW + 777_777) == NOW + 777_777


@pytest.mark.parametrize(
    ("key", "java"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_partition_is_that_of_the_java_client(key: bytes, java: int) -> None:
    """Vectors of Kafka's own UtilsTest, for the client's partitioner and for ours."""
    library: Any = default  # it carries no types
    assert library.murmur2(key) == java & 0xFFFFFFFF
    assert codec.murmur2(key) == java & 0xFFFFFFFF
    assert codec.partition_of(key, 4) == (java & 0x7FFFFFFF) % 4
