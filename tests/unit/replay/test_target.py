"""Targets without a cluster: what is refused, and what is put away."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.replay import target
from services.replay.target import NamespaceInUseError, TargetError, drop_namespace
from services.replay.verdict import NotAppliedError, Verdict, check_log, wait_until_applied


def test_a_namespace_in_use_is_refused_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(target, "topics_of", lambda *_: {"trial.ioc.listing.v1": 4})
    monkeypatch.setattr(target, "ensure_topics", pytest.fail)
    with (
        pytest.raises(NamespaceInUseError, match="'trial' is in use"),
        target.own_namespace("h:1", "trial", 4),
    ):
        pytest.fail("it was made")


def test_what_fails_in_the_middle_is_dropped_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dropped: list[str] = []
    monkeypatch.setattr(target, "topics_of", lambda *_: {})
    monkeypatch.setattr(target, "ensure_topics", lambda *_: None)
    monkeypatch.setattr(target, "drop_namespace", lambda _, name: dropped.append(name))
    monkeypatch.setattr(target, "tempfile", SimpleNamespace(gettempdir=lambda: str(tmp_path)))
    with (
        pytest.raises(KeyboardInterrupt),
        target.own_namespace("h:1", "trial", 4, numbers=False),
    ):
        raise KeyboardInterrupt
    assert dropped == ["trial"]
    assert list(tmp_path.iterdir()) == []
    with target.own_namespace("h:1", "kept", 4, numbers=False, keep=lambda: True):
        pass
    assert dropped == ["trial"]


def test_a_cluster_that_is_gone_at_the_end_is_told_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def gone(*_: object) -> None:
        raise TargetError("nobody answers")

    monkeypatch.setattr(target, "topics_of", lambda *_: {})
    monkeypatch.setattr(target, "ensure_topics", lambda *_: None)
    monkeypatch.setattr(target, "drop_namespace", gone)
    monkeypatch.setattr(target, "tempfile", SimpleNamespace(gettempdir=lambda: str(tmp_path)))
    with target.own_namespace("h:1", "trial", 4, numbers=False):
        pass
    assert "could not be deleted (nobody answers)" in capsys.readouterr().err


def test_the_live_system_is_never_dropped() -> None:
    with pytest.raises(ValueError, match="no namespace to drop"):
        drop_namespace("h:1", "")


def test_a_log_that_took_more_or_less_than_was_sent_is_a_difference() -> None:
    place = ("ioc.listing.v1", 0)
    to: Any = SimpleNamespace(bootstrap="h:1")
    for after, wrong in ((15, 0), (14, 1), (16, 1)):
        verdict = Verdict("the recording")
        check_log(verdict, to, {place: 5}, {place: after}, 10)
        assert verdict.different == wrong


def test_a_view_that_takes_no_more_is_told_with_how_far_it_came() -> None:
    rows = [
        {"topic": "t", "partition": 0, "applied": 7},
        {"topic": "u", "partition": 0, "applied": 99},
    ]
    view: Any = SimpleNamespace(get=lambda _: {"partitions": rows})
    with pytest.raises(NotAppliedError, match="7 of 10 records"):
        wait_until_applied(view, {("t", 0): 10}, patience=0.0)
    wait_until_applied(view, {("t", 0): 7, ("u", 0): 9})
