"""Fuzz the codec and the fold.

Two engines: ``mutate`` (seeded changes of real events, repeatable, everywhere) and ``atheris``
(libFuzzer, led by the coverage of the Python code; where its wheel is)::

    python -m tests.fuzz --inputs 1000000 --seed 1
    python -m tests.fuzz --engine atheris --inputs 200000
"""

import argparse
import base64
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # atheris instruments what is imported later
    from tests.fuzz.target import Target

EXIT_FOUND = 1


def say(line: str) -> None:
    """A line for whoever watches."""
    sys.stderr.write(line + "\n")


def summary(target: "Target", seconds: float) -> str:
    """What became of all inputs."""
    counts = ", ".join(f"{name} {n:,}" for name, n in target.outcomes.most_common())
    reasons = ", ".join(f"{name} {n:,}" for name, n in target.reasons.most_common())
    return (
        f"{target.inputs:,} inputs in {seconds:.0f} s, each with exactly one outcome: {counts}\n"
        f"rejected for: {reasons}"
    )


def mutate(inputs: int, seed: int) -> int:
    """Seeded mutations; the exit code."""
    from tests.fuzz.mutations import Mutator
    from tests.fuzz.target import Target

    target, source = Target(), Mutator(seed)
    began = shown = time.monotonic()
    for number in range(inputs):
        one = source.next()
        try:
            target.take(one)
        except Exception as error:
            value = base64.b64encode(one.value or b"").decode()
            say(f"input {number} of seed {seed}: {type(error).__name__}: {error}")
            say(f"topic {one.topic.name}, key {one.key!r}, headers {one.headers!r}")
            say(f"value (base64): {value}")
            return EXIT_FOUND
        if time.monotonic() > shown + 10:
            shown = time.monotonic()
            rate = (number + 1) / (shown - began)
            say(f"{number + 1:,} of {inputs:,} ({rate:,.0f}/s)")
    sys.stdout.write(summary(target, time.monotonic() - began) + "\n")
    return 0


def atheris(inputs: int, seed: int) -> int:
    """libFuzzer; it ends the process itself, with 77 when it found something."""
    try:
        engine: Any = import_module("atheris")
    except ImportError:
        say(
            "atheris is not installed here (it has wheels for Linux on x86-64); use --engine mutate"
        )
        return 2
    with engine.instrument_imports(include=["schemas", "services.core"]):
        from tests.fuzz.mutations import corpus, from_bytes, to_bytes
        from tests.fuzz.target import Target
    target = Target()
    began = time.monotonic()

    def one(data: bytes) -> None:
        target.take(from_bytes(data))
        if target.inputs == inputs:
            sys.stdout.write(summary(target, time.monotonic() - began) + "\n")
            sys.stdout.flush()
            os._exit(0)  # libFuzzer counts its own runs otherwise

    with tempfile.TemporaryDirectory() as folder:
        for number, seeded in enumerate(corpus(seed, 300)):
            (Path(folder) / f"{number:04d}").write_bytes(to_bytes(seeded))
        engine.Setup(
            [sys.argv[0], f"-seed={seed}", "-max_len=4096", "-print_final_stats=1", folder], one
        )
        engine.Fuzz()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("mutate", "atheris"), default="mutate")
    options = parser.parse_args()
    run = mutate if options.engine == "mutate" else atheris
    return run(options.inputs, options.seed)


if __name__ == "__main__":
    raise SystemExit(main())
