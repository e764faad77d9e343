"""What a system remembers, and whom it lets onto its data."""

from pathlib import Path

import pytest

from services.runtime.ports import Ports
from services.runtime.settings import Settings
from services.up.cli import build_settings
from services.up.system import StartError, System, lock


def _system(folder: Path, **settings: object) -> System:
    return System(settings=Settings(data_dir=folder, **settings), ports=Ports())  # type: ignore[arg-type]  # fields by name


def test_only_the_first_start_is_the_first(tmp_path: Path) -> None:
    assert _system(tmp_path).check_memory()
    assert not _system(tmp_path).check_memory()


def test_data_made_under_another_clock_is_refused(tmp_path: Path) -> None:
    _system(tmp_path).check_memory()
    with pytest.raises(StartError, match="clock wall, now event"):
        _system(tmp_path, clock="event").check_memory()


def test_each_namespace_remembers_for_itself(tmp_path: Path) -> None:
    _system(tmp_path).check_memory()
    assert _system(tmp_path, namespace="drill", clock="event").check_memory()


def test_a_damaged_memory_is_named_and_not_overwritten(tmp_path: Path) -> None:
    system = _system(tmp_path)
    system.memory_file.write_text("{")
    with pytest.raises(StartError, match=r"system\.json cannot be read"):
        system.check_memory()
    assert system.memory_file.read_text() == "{"


def test_a_second_system_on_the_same_data_is_told_who_has_it(tmp_path: Path) -> None:
    with (
        lock(tmp_path),
        pytest.raises(StartError, match=r"already running on .* \(process [0-9]+\)"),
    ):
        lock(tmp_path)
    lock(tmp_path).close()


def test_a_data_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="--data-dir"):
        lock(tmp_path / "file" / "data")


def test_a_faster_world_has_an_event_clock_and_a_namespace_its_own_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IOC_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("IOC_CLOCK", raising=False)
    ports = Ports.from_base(21000)
    live = build_settings(None, ports, None, 1.0)
    assert (live.clock, live.data_dir) == ("wall", tmp_path)
    drill = build_settings("drill", ports, None, 600.0)
    assert (drill.clock, drill.data_dir) == ("event", tmp_path / "drill")
    assert (drill.bootstrap, drill.view_port) == ("127.0.0.1:21000", 21002)
