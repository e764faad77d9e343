"""The command line: lazy, helpful, and with the exit codes of the contract."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from services import cli


def test_the_list_of_commands_imports_no_door() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from services import cli; "
        "r = CliRunner().invoke(cli.main, ['--help']); assert r.exit_code == 0, r.output; "
        "heavy = {'kafka', 'aiokafka', 'faust', 'aiohttp', 'numpy', 'services.up.run'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [["nonsense"], ["up", "--workers", "99"], ["produce", "x"]])
def test_a_wrong_call_ends_with_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli.main, arguments).exit_code == 2


@pytest.mark.parametrize("base", ["12", "65530"])
def test_a_port_base_that_does_not_fit_is_a_wrong_call(base: str) -> None:
    result = CliRunner().invoke(cli.main, ["up", "--port-base", base])
    assert result.exit_code == 2
    assert "--port-base must be from 1024 to" in result.output


@pytest.mark.parametrize("command", ["up", "topics", "doctor"])
def test_every_command_of_this_door_shows_an_example(command: str) -> None:
    result = CliRunner().invoke(cli.main, [command, "--help"])
    assert result.exit_code == 0
    assert f"ioc {command}" in result.output.split("Example")[1]


def test_without_a_broker_topics_says_so_and_ends_with_code_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nobody(*_: object, **__: object) -> None:
        from services.runtime.kafka import BrokerUnreachableError

        raise BrokerUnreachableError("no Kafka broker answers at 127.0.0.1:1")

    monkeypatch.setattr("services.runtime.kafka.ensure_topics", nobody)
    result = CliRunner().invoke(cli.main, ["topics", "--bootstrap", "127.0.0.1:1"])
    assert result.exit_code == 1
    assert "no Kafka broker answers" in result.output
