"""What the compiled fold offers; see _fast.pyx."""

from collections.abc import Sequence

from schemas import catalog
from services.core.contributions import Contribution
from services.core.fold import DeadLetter, Fold
from services.core.panes import Delta
from services.core.record import Record
from services.core.territory import Territories

class CompiledChanges:
    def add(self, contribution: Contribution, sign: int) -> None: ...
    def take(self) -> Delta: ...

class Places:
    def __init__(
        self, territories: Territories, is_unknown: list[bool], provinces: list[str]
    ) -> None: ...

class CompiledFold:
    def __init__(
        self,
        topic: catalog.Topic,
        partition: int,
        partitions: int,
        wall: bool,
        places: Places,
        changes: CompiledChanges,
        facts: int,
    ) -> None: ...
    def fold(self, state: Fold, records: Sequence[Record]) -> list[DeadLetter]: ...

def instant(text: str) -> int | None: ...
def murmur2(data: bytes) -> int: ...
def crc32(data: bytes) -> int: ...
def xxh64(data: bytes) -> int: ...
def is_utf8(data: bytes) -> bool: ...
def scans(value: bytes) -> int | None: ...
def bucket(ms: int) -> int: ...
