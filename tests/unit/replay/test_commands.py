"""The two commands, wrongly called: exit 2, a message that says what is wrong, no traceback."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from services.cli import main
from services.replay import write
from services.replay.main import record, replay
from tests.unit.replay.recordings import description, records

NOWHERE = "--bootstrap=127.0.0.1:9"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize("command", ["record", "replay"])
def test_each_command_shows_examples(command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0
    assert f"ioc {command}" in result.output.split("Examples")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["replay"], "name a recording"),
        (["replay", "x", "--from-topic"], "not both"),
        (["replay", "nowhere.iocrec"], "cannot be read"),
        (["replay", "x", "--speed", "fast"], "a speed is a number"),
        (["replay", "x", "--delay", "0.5"], "a delay is P:SECONDS"),
        (["replay", "x", "--drop", "2"], "from 0 to 1"),
        (["replay", "x", "--territory", "9999"], "no territory"),
        (["replay", "x", "--type", "orders"], "no type is called"),
        (["replay", "x", "--namespace", "a"], "name it by --bootstrap"),
        (["replay", "x", "--resume", "p"], "name it by --bootstrap"),
        (["replay", "x", "--seek", "2026-01-02", "--until", "2026-01-01"], "not after --seek"),
        (["replay", "x", "--seek", "yesterday"], "is no instant"),
        (["replay", "x", "--live"], "asked for twice"),
        (["replay", "x", "--history", "d", "--rebase"], "at their own times"),
        (["replay", "x", "--live", "--yes-live"], "asked for twice"),
        (["record", "x", "--duration", "5"], "belongs to --follow"),
        (["record", "x", "--from", "2026-01-02", "--to", "2026-01-01"], "not after --from"),
        (["record", "x", "--topic", "ioc.kpi-partial.v1"], "no topic is called"),
        (["record", "x", "--offsets", "listing/0:9-3"], "before the beginning"),
        (["record", "x", "--offsets", "listing"], "offsets are TOPIC/PARTITION:FROM-TO"),
        (["record", "x", "--offsets", "listing/0:1-3", "--topic", "indicator"], "leaves out"),
        (["record", "x", "--append", "--type", "order"], "need another file"),
        (["record", "nowhere", "--append"], "cannot be read"),
        (["record", "no/folder/x", NOWHERE], "is no folder"),
        (["record", "x", "--bootstrap", "kafka"], "IOC_BOOTSTRAP='kafka'"),
    ],
)
def test_a_wrong_call_ends_with_code_2_and_says_why(arguments: list[str], message: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())


def test_a_foreign_a_torn_and_another_contracts_file_are_told_apart(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"PAR1 and more")
    result = call("replay", str(foreign))
    assert (result.exit_code, "is no recording" in result.output) == (2, True)
    later = tmp_path / "later.iocrec"
    write(later, records(1, 20), msgspec.structs.replace(description(), contract="2"))
    result = call("replay", str(later))
    assert (result.exit_code, "contract version 2" in result.output) == (2, True)


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.iocrec"
    write(path, records(1, 20), description())
    before = path.read_bytes()
    result = call("record", str(path), NOWHERE)
    assert (result.exit_code, "--append" in result.output) == (2, True)
    assert path.read_bytes() == before


def test_recording_from_nowhere_makes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.replay import record_command
    from services.replay.source import SourceError

    def nobody(*_: object) -> None:
        raise SourceError("no Kafka broker answers at 127.0.0.1:9")

    monkeypatch.setattr(record_command, "Source", nobody)
    result = call("record", str(tmp_path / "a.iocrec"), NOWHERE)
    assert (result.exit_code, "no Kafka broker" in result.output) == (1, True)
    assert not (tmp_path / "a.iocrec").exists()


def test_ioc_finds_both_commands() -> None:
    assert main.get_command(None, "record") is record  # type: ignore[arg-type]  # no context needed
    assert main.get_command(None, "replay") is replay  # type: ignore[arg-type]  # no context needed
