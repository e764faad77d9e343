"""One part of a running system: a child process, how to tell that it works, when to give up."""

import http.client
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from services.runtime.ports import LOOPBACK
from services.runtime.process import ChildProcess

#: Seconds before the next try after 1, 2, 3 … failures in a row.
BACK_OFF = (0.5, 1.0, 2.0, 4.0, 8.0)
#: Failures in a row after which a part counts as crash-looping, and the wait between tries then.
LOOPING_AFTER = 5
LOOPING_WAIT = 60.0
#: A part that worked, and lived as long as this, was healthy: its failures are forgotten.
HEALTHY_AFTER = 30.0


def _nothing() -> None:
    return None


@dataclass
class Part:
    """What the supervisor needs to know of a part.

    ``prepare`` and ``check`` run in a thread. ``prepare`` may take its time and raises StartError
    or EmbeddedKafkaError; ``check`` is one quick try. ``stage`` orders the stop: low ones first.
    """

    service: str
    process: ChildProcess
    stage: int
    check: Callable[[], bool] = lambda: True
    prepare: Callable[[], None] = _nothing
    #: Seconds between SIGTERM and SIGKILL.
    grace: float = 4.0
    #: Seconds in which it should work after a start: who hangs is killed and started again.
    patience: float = math.inf
    #: A system without this part is of no use: the ready line waits for it.
    essential: bool = True
    failures: int = field(default=0, init=False)
    started_at: float = field(default=0.0, init=False)
    ready: bool = field(default=False, init=False)
    #: Starts so far: more than one means that it was started again.
    starts: int = field(default=0, init=False)

    def failed(self, now: float) -> float:
        """Note a failure at ``now`` (monotonic seconds); the seconds to wait before a new try."""
        if self.ready and now - self.started_at >= HEALTHY_AFTER:
            self.failures = 0
        self.failures += 1
        self.ready = False
        if self.looping:
            return LOOPING_WAIT
        return BACK_OFF[min(self.failures, len(BACK_OFF)) - 1]

    @property
    def deadline(self) -> float:
        """When it hangs, if it does not work before (monotonic seconds).

        Twice as late after each of some failures: what takes long on a slow machine works in the
        end.
        """
        return self.started_at + self.patience * 2.0 ** min(self.failures, LOOPING_AFTER)

    @property
    def looping(self) -> bool:
        return self.failures >= LOOPING_AFTER


def http_status(port: int, path: str, *, timeout: float = 2.0) -> int | None:
    """The status that a server on this machine gives; None when it does not answer."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def http_ok(port: int, path: str) -> Callable[[], bool]:
    """A check: the server on this machine answers the path with 200."""
    return lambda: http_status(port, path) == 200
