"""A system of one's own without a broker: its folder, its end, and Ctrl-C meanwhile."""

import signal
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from services.runtime import own_system
from services.runtime.own_system import OwnSystemError, temporary_system, undisturbed


def test_while_things_are_put_away_signals_are_not_heard() -> None:
    before = signal.getsignal(signal.SIGINT)
    with undisturbed():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    seen: list[bool] = []

    def elsewhere() -> None:
        with undisturbed():
            seen.append(True)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(5)
    assert seen == [True]


class FakeSystem:
    """Stands for a system: its folder, and whether it was put away."""

    def __init__(self, folder: Path, *arguments: str, **how: Any) -> None:
        self.folder, self.arguments, self.how = folder, arguments, how
        self.heard: Any = None
        if "--broken" in arguments:
            raise OwnSystemError("it did not come up")

    def abandon(self) -> None:
        self.heard = signal.getsignal(signal.SIGINT)
        assert self.folder.is_dir()


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where temporary folders are made; systems are not started."""
    monkeypatch.setattr(own_system, "OwnSystem", FakeSystem)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_of_a_temporary_system_nothing_is_left(there: Path) -> None:
    with temporary_system("trial", "--workers=2", clock="event") as system:
        assert system.folder.parent == there
        assert "trial" in system.folder.name
        assert system.arguments == ("--workers=2",)
    assert system.heard is signal.SIG_IGN  # type: ignore[attr-defined]  # it is a FakeSystem
    assert list(there.iterdir()) == []


def test_nothing_is_left_after_ctrl_c(there: Path) -> None:
    with pytest.raises(KeyboardInterrupt), temporary_system("trial"):
        raise KeyboardInterrupt
    assert list(there.iterdir()) == []


def test_of_one_that_does_not_come_up_nothing_is_left_either(there: Path) -> None:
    with pytest.raises(OwnSystemError, match="did not come up"), temporary_system("t", "--broken"):
        pytest.fail("it came up")
    assert list(there.iterdir()) == []
