"""Keys: heard on a terminal, and the terminal is as it was afterwards; elsewhere silence."""

import os
import subprocess
import sys
from pathlib import Path

from services.replay.keyboard import Keyboard

#: Has a terminal of its own, as a person would: the keys are typed into its other end.
SCRIPT = """
import os, pty, sys, termios, time
child, terminal = pty.fork()
if child == 0:
    from services.replay.keyboard import Keyboard
    before = termios.tcgetattr(0)
    heard = []
    with Keyboard() as keyboard:
        print("listening", keyboard.listening, flush=True)
        while len(heard) < 3:
            heard += keyboard.pressed()
            time.sleep(0.01)
    print(heard, termios.tcgetattr(0) == before, flush=True)
    os._exit(0)
text = b""
while b"listening" not in text:
    text += os.read(terminal, 1000)
os.write(terminal, b"pxS ")
while True:
    try:
        more = os.read(terminal, 1000)
    except OSError:
        break
    if not more:
        break
    text += more
os.waitpid(child, 0)
sys.stdout.write(text.decode())
"""


def test_p_space_and_s_are_heard_on_a_terminal_that_is_left_as_it_was() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True,
        cwd=Path(__file__).parents[3], env=os.environ,
    )  # fmt: skip
    assert "listening True" in done.stdout
    assert "['toggle', 'step', 'toggle'] True" in done.stdout


def test_without_a_terminal_nothing_is_heard() -> None:
    with Keyboard() as keyboard:
        assert not keyboard.listening
        assert keyboard.pressed() == []
