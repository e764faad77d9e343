"""What must hold for any bytes in any record: one outcome, no exception, both forms the same."""

from collections import Counter
from dataclasses import dataclass, field

from schemas import catalog, codec
from services.core import speed
from services.core.packed import PackedRecords
from services.core.record import SourceRecord
from services.core.state import PartitionState
from services.runtime.reference import load_territories

#: Arrival of everything (ms since the epoch).
NOW_MS = 1_795_000_000_000
#: Keys are checked against this many partitions; all records say that they lie in number 0.
PARTITIONS = 2
#: States are made anew now and then, so that memory stays where it is.
_FRESH_AFTER = 20_000


class Escaped(AssertionError):
    """Something that must hold did not; the message says what, ``inputs`` can be given again."""


@dataclass(frozen=True)
class Input:
    """One record: what a producer could put into a topic."""

    topic: catalog.Topic
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass
class Target:
    """Takes inputs one by one and counts what became of them."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    inputs: int = 0

    def __post_init__(self) -> None:
        self._territories = load_territories()
        self._forms: list[speed.Form] = ["pure", "compiled"] if speed.built() else ["pure"]
        self._states: dict[str, list[PartitionState]] = {}
        self._offset = 0

    def _of(self, topic: catalog.Topic) -> list[PartitionState]:
        if topic.name not in self._states:
            self._states[topic.name] = [
                PartitionState(
                    topic, 0, PARTITIONS, clock="event", territories=self._territories, form=form
                )
                for form in self._forms
            ]
            for state in self._states[topic.name]:
                state.open_epoch(1)
        return self._states[topic.name]

    def take(self, one: Input) -> None:
        """Raises :class:`Escaped` when a law does not hold; any other exception is one too."""
        self.inputs += 1
        self._offset += 1
        record = SourceRecord(self._offset, NOW_MS, one.key, one.value, list(one.headers))
        decoded = codec.decode(one.topic, one.key, one.value, 0, PARTITIONS, NOW_MS)
        states = self._of(one.topic)
        before = [dict(state._head.outcomes) for state in states]
        # The compiled form takes records one by one, and as they lie in a fetch.
        packed = PackedRecords.of([record]) if self._offset % 2 else [record]
        letters = [
            state.fold(given) for state, given in zip(states, ([record], packed), strict=False)
        ]
        gained = [
            {name: n - was.get(name, 0) for name, n in state._head.outcomes.items()}
            for state, was in zip(states, before, strict=True)
        ]
        outcomes = [[name for name, n in gain.items() if n] for gain in gained]
        if any(len(found) != 1 or sum(gain.values()) != 1
               for found, gain in zip(outcomes, gained, strict=True)):  # fmt: skip
            raise Escaped(f"not exactly one outcome: {gained}")
        if len(states) == 2 and (outcomes[0] != outcomes[1] or letters[0] != letters[1]):
            raise Escaped(f"pure and compiled differ: {outcomes} {letters}")
        outcome = outcomes[0][0]
        self.outcomes[outcome] += 1
        if (outcome == "rejected") != (len(letters[0]) == 1):
            raise Escaped(f"{outcome} with {len(letters[0])} dead letters")
        for letter in letters[0]:
            self.reasons[letter.reason] += 1
            if letter.reason not in codec.REASONS or letter.value != one.value:
                raise Escaped(f"a dead letter that is not the record: {letter.reason}")
        # Arrival by header may turn a good event into one from the future, so only one way round.
        if isinstance(decoded, codec.Rejected) and not one.headers and outcome != "rejected":
            raise Escaped(f"the codec rejects ({decoded.reason}) what the fold takes: {outcome}")
        if self._offset % 97 == 0:
            sizes = {sum(len(v) for _, v in state.flush().parts) > 0 for state in states}
            if sizes != {True}:
                raise Escaped("an empty flush")
        if self._offset % _FRESH_AFTER == 0:
            self._states.clear()
