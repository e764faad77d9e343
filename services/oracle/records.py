"""Raw Kafka records as the oracle sees them: bytes, offsets and broker timestamps, nothing else.

Shares no code with the pipeline: the hash that says where a key belongs is written again here.
"""

from dataclasses import dataclass, field
from functools import lru_cache

#: (topic without namespace, partition).
Place = tuple[str, int]

SOURCE_TOPICS = (
    "ioc.field-report.v1",
    "ioc.admin-case.v1",
    "ioc.listing.v1",
    "ioc.indicator.v1",
)
#: Records held as Python objects at once while loading or reading.
CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record of a source topic; ``topic`` without namespace, ``timestamp`` broker ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def murmur2(data: bytes) -> int:
    """The hash of Kafka's Java client: 32-bit MurmurHash2 with its seed, as a positive number."""
    mask = 0xFFFFFFFF
    m = 0x5BD1E995
    length = len(data)
    h = 0x9747B28C ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if length > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    h ^= h >> 15
    return h & 0x7FFFFFFF


@lru_cache(maxsize=1 << 18)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition that the Java client gives this key."""
    return murmur2(key) % partitions
