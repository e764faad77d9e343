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


#: Folder, name, and what else is compiled into it.
MODULES = (
    (
        "services/core", "_fast",
        "_cells.pxi _changes.pxi _constants.pxi _entities.pxi _extern.pxi _parts.pxi _places.pxi "
        "_tables.pxi _walk.pxi _fast.h _scan.h",
    ),
    ("services/core", "_panes", "_rows.h"),
    ("services/core", "_sums", "_rows.h"),
    ("services/kpi", "_batches", "_batches.h _lz4.h"),
)  # fmt: skip
#: No fused multiply-add: a duration's bucket must be that of the pure form.
FLAGS = [] if sys.platform == "win32" else ["-O2", "-ffp-contract=off"]


def extension(folder: str, name: str, parts: str) -> Extension:
    """A module that the installation can do without."""
    return Extension(
        f"{folder.replace('/', '.')}.{name}",
        [f"{folder}/{name}.pyx"],
        include_dirs=[folder],
        depends=[f"{folder}/{part}" for part in parts.split()],
        extra_compile_args=FLAGS,
        optional=True,
    )


def extensions() -> list[Extension]:
    if os.environ.get("IOC_PURE", "") not in ("", "0"):
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        say("ioc: the fold stays pure Python: Cython is not installed")
        return []
    made: list[Extension] = cythonize(
        [extension(*module) for module in MODULES], build_dir="build/cython", quiet=True
    )
    return made


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildOrGoWithout})
