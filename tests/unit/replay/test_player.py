"""The player: what goes out when, by hand and at a pace, and from where it goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from services.replay import Recording, Sequence, Wishes
from services.replay.keyboard import Key
from services.replay.pace import Pacer
from services.replay.position import Position, PositionError
from services.replay.replay import Look, Player
from services.replay.sender import Sender, SendError
from services.runtime.reference import load_territories
from tests.unit.replay.recordings import PARTITIONS, recording


class Wire:
    """What the sender of a replay is asked to do; the clock only moves when somebody sleeps."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.out: list[tuple[float, Any]] = []
        self.now = 0.0
        self.sent = 0
        self.flushed = 0
        self.fail_after = fail_after

    def send(self, *record: Any) -> None:
        if self.sent == self.fail_after:
            raise SendError("gone")
        self.out.append((self.now, record))
        self.sent += 1

    def send_all(self, topic: str, partition: int, rows: list[Any]) -> None:
        for key, value, headers in rows:
            self.send(topic, partition, key, value, headers)

    def poll(self, seconds: float = 0.0) -> None: ...

    def flush(self) -> None:
        self.flushed = self.sent

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds * 1000


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Recording]:
    recording(tmp_path / "a.iocrec", seed=5, count=200)
    with Recording.open(tmp_path / "a.iocrec") as opened:
        yield opened


def player(found: Recording, wire: Wire, speed: float | None, **options: Any) -> Player:
    sequence = Sequence(found, Wishes(), load_territories(), PARTITIONS)
    pacer = options.pop("pacer", None) or Pacer(speed)
    return Player(
        sequence, cast("Sender", wire), pacer, clock=wire.clock, sleep=wire.sleep, **options
    )


def test_at_speed_x_each_record_leaves_when_it_is_due(found: Recording) -> None:
    wire = Wire()
    played = player(found, wire, 50_000.0).play()
    arrivals = [r.arrival for r in found]
    assert played.sent == len(arrivals) == wire.flushed
    for (at, _), arrival in zip(wire.out, arrivals, strict=True):
        due = (arrival - arrivals[0]) / 50_000
        assert due <= at <= due + 1.0


def test_at_full_speed_all_of_it_leaves_at_once(found: Recording) -> None:
    wire = Wire()
    assert player(found, wire, None).play().sent == len(found)
    assert wire.now == 0
    assert sorted(r[1][3] or b"" for r in wire.out) == sorted(r.value or b"" for r in found)


@pytest.mark.parametrize("speed", [None, 1e9])
def test_in_a_pause_nothing_leaves_but_what_is_stepped(
    found: Recording, speed: float | None
) -> None:
    wire = Wire()
    pacer = Pacer(speed)
    pacer.pause(0)
    presses: list[list[Key]] = [[], ["step"], [], ["step", "step"], [], [], ["toggle"]]
    seen: list[Look] = []

    def keys() -> list[Key]:
        return presses.pop(0) if presses else []

    player(found, wire, speed, pacer=pacer, keys=keys, look=seen.append).play()
    counts = [s.sent for s in seen if s.paused]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert max(counts) == 3
    assert wire.sent == len(found)


def test_how_far_it_is_grows_to_the_end(found: Recording) -> None:
    seen: list[Look] = []
    player(found, Wire(), 10_000.0, look=seen.append).play()
    shares = [s.share for s in seen]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.1
    assert 0.9 < shares[-1] <= 1
    assert seen[0].left is not None
    assert seen[0].left > (seen[-1].left or 0)


def test_a_replay_that_was_cut_off_goes_on_after_what_was_acknowledged(
    found: Recording, tmp_path: Path
) -> None:
    path = tmp_path / "position"
    first = Wire(fail_after=120)
    position = Position.open(path, {"a": 1})
    with pytest.raises(SendError):
        player(found, first, 20_000.0, position=position).play()
    again = Position.open(path, {"a": 1})
    assert again.again
    assert 0 < again.sent <= first.flushed <= 120
    skipped, second = again.sent, Wire()
    player(found, second, None, position=again).play()
    plain = Wire()
    player(found, plain, 1e12).play()
    sent = [r for _, r in plain.out]
    assert [r for _, r in second.out] == sent[skipped:]
    assert Position.open(path, {"a": 1}).sent == len(sent)


def test_the_position_of_another_replay_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "position"
    Position.open(path, {"speed": 1, "shift": 5}).save(10)
    with pytest.raises(PositionError, match="speed was 1, now 2"):
        Position.open(path, {"speed": 2, "shift": 5})
    assert Position.open(path, {"speed": 1, "shift": 9}, keep=("shift",)).about["shift"] == 5
    path.write_text("{}")
    with pytest.raises(PositionError, match="is no position"):
        Position.open(path, {})
