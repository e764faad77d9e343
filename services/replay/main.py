"""The two commands of this door, as `ioc` finds them."""

from services.replay.record_command import record
from services.replay.replay_command import replay

__all__ = ["record", "replay"]
