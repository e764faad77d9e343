"""Builds the dashboards: Python to JSON, the same bytes every time, committed and diffed."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.boards import all_boards
from grafana.stored import HERE, MAY_BE_EMPTY


def _dump(value: object) -> str:
    text = json.dumps(value, cls=JSONEncoder, ensure_ascii=False, indent=1, sort_keys=True)
    return text + "\n"


def render() -> dict[str, str]:
    """File name (relative to ``grafana/``) to text, for every generated file."""
    boards = all_boards()
    files = {
        f"dashboards/{board.uid.removeprefix('ioc-')}.json": _dump(board.build())
        for board in boards
    }
    files[MAY_BE_EMPTY.name] = _dump({board.uid: board.may_be_empty for board in boards})
    return files


def drift(root: Path = HERE) -> list[str]:
    """The generated files that differ from what ``render`` gives, or should not be there."""
    files = render()
    wrong = [
        name
        for name, text in files.items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != text
    ]
    there = {f"dashboards/{path.name}" for path in (root / "dashboards").glob("*.json")}
    return sorted(wrong + [name for name in there if name not in files])


def write(root: Path = HERE) -> list[str]:
    """Writes what drifted, removes what is no longer built; gives the names."""
    changed = drift(root)
    files = render()
    for name in changed:
        path = root / name
        if name in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[name], encoding="utf-8")
        else:
            path.unlink()
    return changed
