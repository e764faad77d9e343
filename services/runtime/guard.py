"""The guard: becomes another program that cannot outlive the process that started it.

Run as a script: ``guard.py PARENT_PID PROGRAM ARGUMENT...``. On Linux it asks the kernel to kill
this process when its parent dies, however that happens, then turns into the program. Elsewhere it
only turns into the program. It is a script of its own because code between fork and exec is not
safe in a process with threads. Standard library only: it starts in a bare interpreter.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to its parent and exec the program. Does not return."""
    parent, program = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # The parent may have died before the call above: then no signal will ever come.
        if os.getppid() != parent:
            raise SystemExit(1)
    os.execvp(program[0], program)  # noqa: S606 (no shell is meant)


if __name__ == "__main__":
    main(sys.argv[1:])
