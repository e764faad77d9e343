"""The committed dashboards, read back: needs neither the SDK nor a Grafana."""

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DASHBOARDS = HERE / "dashboards"
PROVISIONING = HERE / "provisioning"
MAY_BE_EMPTY = HERE / "may_be_empty.json"

#: A dashboard as Grafana's JSON.
Dashboard = dict[str, Any]


class BoardsMissing(Exception):
    """There is no dashboard where dashboards were expected."""


def load(folder: Path = DASHBOARDS) -> list[Dashboard]:
    """Every dashboard of a folder, by file name. Raises BoardsMissing when there is none."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    if not found:
        raise BoardsMissing(f"no dashboards in {folder}")
    return found


def reasons(path: Path = MAY_BE_EMPTY) -> dict[str, dict[str, str]]:
    """Dashboard uid to panel id to the reason why its queries may answer nothing."""
    loaded: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def drawn(names: Iterable[str], folder: Path = DASHBOARDS) -> frozenset[str]:
    """Those of the metric ``names`` that some board draws over time: worth a backfilled past."""
    wanted = set(names)
    words = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
    found: set[str] = set()
    for dashboard in load(folder):
        for panel in dashboard["panels"]:
            for target in panel.get("targets") or []:
                if not target.get("instant"):
                    found |= wanted.intersection(words.findall(target["expr"]))
    return frozenset(found)


def with_wall(dashboard: Dashboard, wall_url: str) -> Dashboard:
    """The dashboard with the address of the wall that its links open."""
    copy: Dashboard = json.loads(json.dumps(dashboard))
    for variable in copy["templating"]["list"]:
        if variable["name"] == "wall_url":
            option = {"selected": True, "text": wall_url, "value": wall_url}
            variable |= {"query": wall_url, "current": option, "options": [option]}
    return copy


def install(target: Path, wall_url: str) -> dict[str, str]:
    """Lays out ``target/provisioning`` and ``target/dashboards`` for a Grafana of one's own.

    Gives the settings for that Grafana's environment, all but IOC_PROMETHEUS_URL, the address of
    the Prometheus it shall read.
    """
    shutil.copytree(PROVISIONING, target / "provisioning", dirs_exist_ok=True)
    boards = target / "dashboards"
    boards.mkdir(parents=True, exist_ok=True)
    for path in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        text = json.dumps(with_wall(dashboard, wall_url), ensure_ascii=False)
        (boards / path.name).write_text(text, encoding="utf-8")
    return {
        "GF_PATHS_PROVISIONING": str(target / "provisioning"),
        "IOC_DASHBOARDS_DIR": str(boards),
    }
