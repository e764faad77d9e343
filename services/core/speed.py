"""Which of the two forms of the fold runs: the compiled one where it was built, else the pure one.

They are equal to the last byte (tests/unit/core/test_fast_equals_pure.py), so a worker of one form
takes over from one of the other. ``IOC_PURE=1`` in the environment asks for the pure form.
"""

import os
from importlib import import_module
from types import ModuleType
from typing import Literal

from services.core import sums
from services.core.panes import PaneStore, Store

Form = Literal["pure", "compiled"]

_FOLD, _PANES = "services.core._fast", "services.core._panes"
compiled: ModuleType | None = None
panes: ModuleType | None = None
_why = ""
try:
    compiled, panes = import_module(_FOLD), import_module(_PANES)
except ImportError as error:
    compiled = None
    _why = "not compiled here" if error.name in (_FOLD, _PANES) else str(error)

_asked_for_pure = os.environ.get("IOC_PURE", "") not in ("", "0")
if _asked_for_pure:
    sums.compiled = None


def built() -> bool:
    """The compiled form can run here."""
    return compiled is not None


def default() -> Form:
    """The form that runs when nobody asks for one."""
    return "compiled" if built() and not _asked_for_pure else "pure"


def store(form: Form) -> Store:
    """A new store of joint cells in that form."""
    if form == "compiled" and panes is not None:
        compiled_store: Store = panes.CompiledPanes()
        return compiled_store
    return PaneStore()


def describe() -> str:
    """For a log line: the form, and why it is the pure one."""
    if default() == "compiled":
        return "compiled"
    return f"pure Python ({'IOC_PURE is set' if built() else _why})"
