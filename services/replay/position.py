"""How far a replay came, in a file: so that one that was cut off goes on in the middle."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class PositionError(Exception):
    """The file belongs to another replay, or is none; the message says what differs."""


@dataclass
class Position:
    """``about`` says which replay this is; ``sent`` records are acknowledged, in its order."""

    path: Path
    about: dict[str, Any]
    sent: int = 0
    #: The file was there: the replay goes on.
    again: bool = False

    @classmethod
    def open(cls, path: Path, about: dict[str, Any], *, keep: tuple[str, ...] = ()) -> "Position":
        """The position of this replay, 0 when it begins. The file's values of ``keep`` count.

        Raises PositionError when the file is of another replay.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            before, sent = dict(found["about"]), int(found["sent"])
        except FileNotFoundError:
            return cls(path, about)
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise PositionError(f"{path} is no position of a replay: {error}") from None
        about = about | {name: before.get(name) for name in keep}
        plain = json.loads(json.dumps(about))
        wrong = sorted(n for n in plain.keys() | before.keys() if plain.get(n) != before.get(n))
        if wrong:
            told = "; ".join(f"{n} was {before.get(n)}, now {plain.get(n)}" for n in wrong)
            raise PositionError(f"{path} is the position of another replay: {told}")
        return cls(path, about, sent, again=True)

    def save(self, sent: int) -> None:
        """Everything up to here is acknowledged."""
        self.sent = sent
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.write_text(json.dumps({"about": self.about, "sent": sent}), encoding="utf-8")
        fresh.replace(self.path)

    def forget(self) -> None:
        """The replay is finished."""
        self.path.unlink(missing_ok=True)
