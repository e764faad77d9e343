"""`ioc backfill` called wrongly says so, before it reads anything."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from services.history.main import backfill
from services.runtime.ports import claim_block


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give --out, or --blocks"),
        (["--out", "x", "--day", "2022-09-27"], "need --from-log"),
        (["--out", "x", "--from-log", "127.0.0.1:1"], "a log needs --day"),
        (
            ["--out", "x", "--from-log", "127.0.0.1:1", "--start", "2022-09-28", "--end",
             "2022-09-27"],
            "a later --end",
        ),
        (["--out", "x", "--from-log", "h:1", "--day", "yesterday"], "does not match the format"),
    ],
)  # fmt: skip
def test_a_wrong_call_exits_2(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IOC_PROMETHEUS_DIR", raising=False)
    result = CliRunner().invoke(backfill, arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_a_broker_that_is_not_there_is_named(tmp_path: Path) -> None:
    port = claim_block()
    result = CliRunner().invoke(
        backfill,
        ["--from-log", f"127.0.0.1:{port}", "--day", "2022-09-27", "--out", str(tmp_path / "x")],
    )
    assert result.exit_code == 1
    assert f"no broker answers at 127.0.0.1:{port}" in result.output
