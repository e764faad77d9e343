"""What the HTTP side needs of the merged numbers. ``services.core.merge.View`` fits it."""

from collections.abc import Mapping
from typing import Protocol

from services.core.head import Head
from services.core.rows import Row
from services.core.selection import Selection


class Numbers(Protocol):
    """The merged state of all partitions; every instant is in ms since the epoch.

    ``query``, ``series`` and ``indicators`` raise ``services.core.questions.QueryError`` for what
    cannot be answered; nothing else is raised for a caller's mistake.
    """

    @property
    def heads(self) -> Mapping[tuple[str, int], Head]: ...

    @property
    def version(self) -> int: ...

    @property
    def selection(self) -> Selection: ...

    def clock_at(self, now_ms: int) -> int: ...

    def query(
        self,
        kpi: str,
        *,
        now: int,
        window: str | None = None,
        territory: str = "all",
        by: str | None = None,
        where: Mapping[str, str] | None = None,
        as_of: int | None = None,
    ) -> tuple[int, list[Row]]: ...

    def series(
        self,
        kpi: str,
        *,
        now: int,
        start: int,
        end: int,
        step_ms: int,
        window: str | None = None,
        territory: str = "all",
        by: str | None = None,
        where: Mapping[str, str] | None = None,
    ) -> list[tuple[int, list[Row]]]: ...

    def has_indicator(self, name: str, value: str) -> bool: ...

    def indicators(self, now: int, *, communes: bool = True) -> list[dict[str, object]]: ...
