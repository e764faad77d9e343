"""Builds the compiled fold where that is possible; all the rest is in pyproject.toml.

Without Cython, a C compiler or Python's headers the installation goes on, and the workers run the
pure form (``ioc doctor`` says which). ``IOC_PURE=1`` builds nothing.
"""

import os
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


def say(line: str) -> None:
    """A line for whoever watches the build; pip shows it with -v."""
    print(line, file=sys.stderr)  # noqa: T201 (a build speaks)


class BuildOrGoWithout(build_ext):
    """Any failure to compile leaves the pure form, and says so."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            say(f"ioc: the fold stays pure Python: {error}")


def extensions() -> list[Extension]:
    if os.environ.get("IOC_PURE", "") not in ("", "0"):
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        say("ioc: the fold stays pure Python: Cython is not installed")
        return []
    fast = Extension(
        "services.core._fast",
        ["services/core/_fast.pyx"],
        include_dirs=["services/core"],
        depends=[
            f"services/core/_{part}"
            for part in (
                "cells.pxi",
                "changes.pxi",
                "constants.pxi",
                "entities.pxi",
                "extern.pxi",
                "parts.pxi",
                "places.pxi",
                "tables.pxi",
                "walk.pxi",
                "fast.h",
                "scan.h",
            )
        ],
        # No fused multiply-add: a duration's bucket must be that of the pure form.
        extra_compile_args=[] if sys.platform == "win32" else ["-O2", "-ffp-contract=off"],
        optional=True,
    )
    panes = Extension(
        "services.core._panes",
        ["services/core/_panes.pyx"],
        include_dirs=["services/core"],
        depends=["services/core/_rows.h"],
        extra_compile_args=[] if sys.platform == "win32" else ["-O2"],
        optional=True,
    )
    sums = Extension(
        "services.core._sums",
        ["services/core/_sums.pyx"],
        include_dirs=["services/core"],
        depends=["services/core/_rows.h"],
        extra_compile_args=[] if sys.platform == "win32" else ["-O2"],
        optional=True,
    )
    batches = Extension(
        "services.kpi._batches",
        ["services/kpi/_batches.pyx"],
        include_dirs=["services/kpi"],
        depends=["services/kpi/_batches.h", "services/kpi/_lz4.h"],
        extra_compile_args=[] if sys.platform == "win32" else ["-O2"],
        optional=True,
    )
    all_four = [fast, panes, sums, batches]
    made: list[Extension] = cythonize(all_four, build_dir="build/cython", quiet=True)
    return made


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildOrGoWithout})
