"""One replay, from the target made to the target gone, and what came of it."""

import secrets
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from services.core.territory import Territories
from services.replay import options
from services.replay.keyboard import Keyboard
from services.replay.pace import Pacer
from services.replay.position import Position
from services.replay.progress import Bar
from services.replay.recording import Recording
from services.replay.replay import Look, Played, Player
from services.replay.sender import Sender
from services.replay.sequence import Sequence, Wishes, rebased
from services.replay.target import Ends, Target, TargetError, live, own_namespace, own_system
from services.replay.verdict import (
    Verdict,
    check_log,
    judge,
    oracle_of,
    outcomes_of,
    wait_until_applied,
)


def say(line: str) -> None:
    """A line for the person in front, on standard error."""
    click.echo(line, err=True)


#: The grid of `ioc backfill`: at least one instant of it is shown.
STEP_MS = 5 * 60_000


class HistoryError(Exception):
    """The past could not be written into Prometheus."""


@dataclass(frozen=True)
class Asked:
    """Everything that the command line said, checked."""

    wishes: Wishes
    speed: float | None
    rebase: bool
    bootstrap: str | None
    namespace: str | None
    is_live: bool
    workers: int
    numbers: bool
    thorough: bool
    resume: Path | None
    patience: float
    paused: bool
    history: Path | None


class Session:
    """One replay from the target made to the target gone."""

    def __init__(self, recording: Recording, asked: Asked, places: Territories) -> None:
        self.recording = recording
        self.asked = asked
        self.places = places
        self.position: Position | None = None
        self._finished = False

    def run(self) -> dict[str, Any]:
        """The result. Raises what its parts raise."""
        asked, recording = self.asked, self.recording
        wishes = asked.wishes
        if asked.rebase:
            shift = rebased(
                recording, wishes, self.places, time.time_ns() // 1_000_000, begin=asked.speed == 1
            )
            wishes = replace(wishes, shift=shift)
        if asked.resume is not None:
            self.position = self._open_position(asked.resume, wishes)
            # Moved to now once, it stays there: what was sent before must fit.
            wishes = replace(wishes, shift=self.position.about["shift"])
        if not recording.count:
            say("warning: the recording is empty")
        with self._target() as target:
            sequence = Sequence(recording, wishes, self.places, target.partitions)
            before = target.ends()
            say(f"replaying {recording.count:,} records into {self._where(target)}")
            played = self._play(sequence, target)
            result = self._result(played, target)
            if asked.history is not None and sequence.span is not None:
                write_history(target.bootstrap, target.namespace, sequence.span, asked.history)
                result |= {"history": str(asked.history)}
            if not target.alone or target.view is None:
                after = target.ends()
                self._finished = True
                return result | self._unjudged(target, sum(after.values()) - sum(before.values()))
            verdict = self._judge(sequence, target, before, played)
            self._finished = True
            if self.position is not None:
                self.position.forget()
            return result | _told(verdict)

    def _open_position(self, path: Path, wishes: Wishes) -> Position:
        about = wishes.describe() | {
            "recording": str(self.recording.path.absolute()),
            "records": self.recording.count,
            "bootstrap": self.asked.bootstrap,
            "namespace": self.asked.namespace or f"replay-{secrets.token_hex(4)}",
            "rebase": self.asked.rebase,
        }
        keep = ("shift",) if self.asked.rebase else ()
        if self.asked.namespace is None:
            keep = (*keep, "namespace")
        position = Position.open(path, about, keep=keep)
        if position.again:
            say(f"going on after {position.sent:,} records in {position.about['namespace']}")
        else:
            position.save(0)
        return position

    def _target(self) -> AbstractContextManager[Target]:
        asked = self.asked
        if asked.is_live:
            config = options.settings(asked.bootstrap, asked.namespace)
            return live(config.bootstrap, config.namespace)
        if asked.bootstrap is None:
            say("starting a system of its own")
            return own_system(self.recording.partitions, asked.workers)
        config = options.settings(asked.bootstrap, asked.namespace or "")
        name = asked.namespace or f"replay-{secrets.token_hex(4)}"
        again = False
        if self.position is not None:
            name, again = self.position.about["namespace"], self.position.again
        return own_namespace(
            config.bootstrap,
            name,
            self.recording.partitions,
            workers=asked.workers,
            numbers=asked.numbers,
            again=again,
            keep=lambda: self.position is not None and not self._finished,
        )

    def _where(self, target: Target) -> str:
        system = f"the namespace {target.namespace}" if target.namespace else "the live system"
        own = " of a system of its own" if self.asked.bootstrap is None and target.alone else ""
        return f"{system}{own} on {target.bootstrap}"

    def _play(self, sequence: Sequence, target: Target) -> Played:
        asked = self.asked
        sender = Sender(target.bootstrap, target.name, patience=asked.patience, tell=say)
        pacer = Pacer(asked.speed)
        with Keyboard() as keyboard, Bar("replaying") as bar:
            if keyboard.listening:
                say("p or space: pause and go on, s: one record, Ctrl-C: stop")
                if asked.paused:
                    pacer.pause(time.monotonic() * 1000)
            elif asked.paused:
                raise click.UsageError("--paused needs a terminal to go on from")

            def look(seen: Look) -> None:
                note = "paused" if seen.paused else ""
                bar.show(seen.sent, seen.share, seen.arrival, left=seen.left, note=note)

            player = Player(
                sequence, sender, pacer,
                keys=keyboard.pressed, look=look, position=self.position,
            )  # fmt: skip
            try:
                return player.play()
            except BaseException:
                sender.abandon()
                raise

    def _result(self, played: Played, target: Target) -> dict[str, Any]:
        return {
            "records": played.sent,
            "seconds": round(played.seconds, 3),
            "rate": round(played.rate),
            "target": self._where(target),
            "torn": self.recording.torn,
        }

    @staticmethod
    def _unjudged(target: Target, written: int) -> dict[str, Any]:
        why = "no verdict was wanted" if target.alone else "other records are there too"
        return {"verdict": "not judged", "why": why, "written": written}

    def _judge(self, sequence: Sequence, target: Target, before: Ends, played: Played) -> Verdict:
        if target.view is None:
            raise TargetError("there is no view to ask")
        after = target.ends()
        with Bar("applying") as bar:
            wait_until_applied(
                target.view, after, each=lambda n, of: bar.show(n, n / max(of, 1), None)
            )
        say("comparing the numbers")
        again = self.position is not None and self.position.again
        oracle = oracle_of(sequence.raw(), target.partitions)
        verdict = judge(
            target.view,
            oracle,
            "the recording" if sequence.unchanged else "what was sent",
            now=time.time_ns() // 1_000_000,
            dimensions=self.asked.thorough,
            indicators=_indicators(target),
            # Some records of a replay that went on were sent twice: they count as duplicates.
            outcomes=None if again else outcomes_of(target.view),
        )
        if not again:
            check_log(verdict, target, before, after, played.sent)
        return verdict


def write_history(bootstrap: str, namespace: str, span: tuple[int, int], folder: Path) -> None:
    """Write the KPI series of the replayed span (ms) at its true times into a Prometheus folder.

    `ioc backfill` does it from the topics of the replay, as a child: it needs its own memory and
    goes when it is done. Raises HistoryError when it fails.
    """
    say(f"writing the history into {folder}")
    first, last = span
    child = subprocess.run(
        [
            *(sys.executable, "-m", "services.cli", "backfill", "--from-log", bootstrap),
            *("--namespace", namespace, "--blocks", str(folder)),
            *("--start", options.show(first), "--end", options.show(max(last, first + STEP_MS))),
        ],
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if child.returncode:
        raise HistoryError(f"the history was not written (ioc backfill: exit {child.returncode})")


def _indicators(target: Target) -> list[dict[str, Any]]:
    if target.view is None:
        return []
    rows: list[dict[str, Any]] = target.view.get("/api/v1/indicators")["indicators"]
    return rows


def _told(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": "equal" if verdict.equal else "different",
        "against": verdict.against,
        "numbers": verdict.compared,
        "different": verdict.different,
        "differences": verdict.examples,
        "as_of": options.show(verdict.as_of),
        "verdict_seconds": round(verdict.seconds, 1),
    }


def text(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"{result['records']:,} records in {result['seconds']:,.1f} s ({result['rate']:,}/s) into "
        f"{result['target']}"
    ]
    if result["torn"]:
        lines.append(f"the recording was torn: {result['torn']}")
    if result["verdict"] == "not judged":
        lines.append(
            f"not judged: {result['why']}. The log took {result['written']:,} records meanwhile"
        )
        return "\n".join(lines)
    lines.append(
        f"{result['verdict']}: {result['numbers']:,} numbers as of {result['as_of']} compared with "
        f"those of {result['against']}, {result['different']:,} different"
    )
    lines += [f"  {line}" for line in result["differences"]]
    hidden = result["different"] - len(result["differences"])
    if hidden > 0:
        lines.append(f"  and {hidden:,} more")
    return "\n".join(lines)
