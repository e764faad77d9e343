"""Where a simulated source goes on after a restart."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.runtime.settings import Settings


class Bookmark:
    """The file that holds where to go on from: every record that arrives earlier was acknowledged.

    It belongs to an identity (seed, start); under another one it does not count. It also knows the
    fault rates: under other rates other records were late, so the reader goes back by the longest
    delay, and sends again what nobody counts twice.
    """

    def __init__(
        self,
        path: Path,
        identity: dict[str, Any],
        rates: Mapping[str, float] | None = None,
        longest_delay_ms: int = 0,
    ) -> None:
        self.path = path
        self.identity = identity
        self.rates = dict(rates or {})
        self.longest_delay_ms = longest_delay_ms

    def read(self) -> int | None:
        """The instant (ms) to go on from, or None when nothing was sent under this identity."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        if not isinstance(found, dict) or found.get("identity") != self.identity:
            return None
        until = found.get("until")
        if not isinstance(until, int):
            return None
        return until if found.get("rates") == self.rates else until - self.longest_delay_ms

    def write(self, until: int) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".new")
        text = json.dumps({"identity": self.identity, "rates": self.rates, "until": until})
        draft.write_text(text, encoding="utf-8")
        draft.replace(self.path)


def bookmark_path(settings: Settings, kind: str) -> Path:
    """Where the bookmark of a kind lies: one per namespace."""
    return settings.data_dir / "producers" / (settings.namespace or "live") / f"{kind}.json"
