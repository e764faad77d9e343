"""What the processes of a running system take: memory now, and processor time between two looks."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Taken:
    """Of one process: its resident memory, its fair share of shared pages counted (both bytes),
    and its CPU time so far (seconds)."""

    name: str
    resident: int
    proportional: int
    cpu_seconds: float


def family(root: int) -> dict[int, int]:
    """``root`` and all its descendants -> their parents."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
            parents[int(entry.name)] = int(fields[1])
    found = {root: parents.get(root, 0)}
    while more := {p: q for p, q in parents.items() if q in found and p not in found}:
        found |= more
    return found


def look(root: int, names: dict[int, str]) -> dict[int, Taken]:
    """What ``root`` and its descendants take now; those without a name are called like parents."""
    out: dict[int, Taken] = {}
    parents = family(root)
    for pid in parents:
        home = Path("/proc") / str(pid)
        try:
            fields = (home / "stat").read_text().rpartition(")")[2].split()
            resident = int((home / "statm").read_text().split()[1]) * _PAGE
            rollup = (home / "smaps_rollup").read_text()
        except OSError:
            continue
        share = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
        cpu = (int(fields[11]) + int(fields[12])) / _TICKS
        named = pid
        while named not in names and named in parents:
            named = parents[named]
        name = names.get(named, "other")
        out[pid] = Taken(name, resident, int(share.split()[1]) * 1024, cpu)
    return out
