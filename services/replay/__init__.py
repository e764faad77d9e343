"""Recordings of event streams: made, read and replayed.

    from services.replay import Recording, replay_in_memory

What is named here is for notebooks and tests (docs/developers.md); it is imported when asked for,
so that the commands start quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.replay.framing import Meta, Recorded, RecordingError
    from services.replay.memory import MemoryBroker, MemorySystem, replay_in_memory
    from services.replay.mutate import Mutations
    from services.replay.record import describe
    from services.replay.recording import Recording
    from services.replay.select import Wanted
    from services.replay.sequence import Outgoing, Sequence, Wishes
    from services.replay.verdict import Verdict
    from services.replay.writer import Writer, write

_HOMES = {
    "MemoryBroker": "memory",
    "MemorySystem": "memory",
    "Meta": "framing",
    "Mutations": "mutate",
    "Outgoing": "sequence",
    "Recorded": "framing",
    "Recording": "recording",
    "RecordingError": "framing",
    "Sequence": "sequence",
    "Verdict": "verdict",
    "Wanted": "select",
    "Wishes": "sequence",
    "Writer": "writer",
    "describe": "record",
    "replay_in_memory": "memory",
    "write": "writer",
}

__all__ = [
    "MemoryBroker",
    "MemorySystem",
    "Meta",
    "Mutations",
    "Outgoing",
    "Recorded",
    "Recording",
    "RecordingError",
    "Sequence",
    "Verdict",
    "Wanted",
    "Wishes",
    "Writer",
    "describe",
    "replay_in_memory",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"services.replay.{_HOMES[name]}"), name)
