"""A population of open cases for benches: as many entities as wanted, cheap to make, all valid.

Every case is open and of the size of a real one; its key and times differ, the rest comes from a
few templates, so that making five million of them takes seconds a million and no memory.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from random import Random

import orjson

from schemas import catalog, codec
from services.core.record import SourceRecord
from services.runtime.reference import load_territories

_ZONE = timezone(timedelta(hours=7))
_STATUS = ("registered", "accepted", "processing")
#: How old a case may be, in seconds: a month of work.
_SPAN_S = 30 * 86_400


def _text(second: int) -> str:
    return datetime.fromtimestamp(second, _ZONE).isoformat()


def case(
    number: int, revision: int, now_ms: int, rng: Random, communes: list[dict[str, str]]
) -> bytes:
    """One revision (1 to 3) of open case ``number`` as the bytes of its event."""
    # The same in every revision: what belongs to the case, not to the draw.
    own = Random(number)
    begun = now_ms // 1000 - 3600 - own.randrange(_SPAN_S)
    data: dict[str, object] = {
        "case_id": case_id(number),
        "revision": revision,
        "status": _STATUS[revision - 1],
        "level": "commune",
        "procedure_code": f"1.{own.randrange(999):06d}",
        "procedure_field": own.choice(("civil_status", "land", "business", "transport")),
        "service_level": own.choice(("full", "partial")),
        "channel": own.choice(("online", "direct")),
        "portal": "provincial",
        **own.choice(communes),
        "registered_at": _text(begun),
        "due_at": _text(begun + 10 * 86_400),
        "fee_due": 20_000,
        "components_total": 5,
        "components_digitised": 4,
        "components_signed": 1,
        "components_reused": 1,
        "result_digital": False,
        "auth": True,
        "popdb_checked": True,
        "popdb_fields": 5,
    }
    if revision > 1:
        data["accepted_at"] = _text(begun + 600)
        data["steps"] = {"receive": _text(begun + 600)}
    at = begun + 600 * (revision - 1)
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": f"{number}-{revision}-{rng.randrange(1 << 30):x}",
            "source": "/bench/population",
            "type": "ioc.admin_case.v1",
            "time": _text(at),
            "data": data,
        }
    )


def case_id(number: int) -> str:
    """The key of a case."""
    return f"H-2026-{number:09d}"


def communes() -> list[dict[str, str]]:
    """Where cases may lie, as members of ``data``."""
    return [
        {
            "province_code": c.province_code,
            "district_code": c.district_code,
            "commune_code": c.commune_code,
        }
        for c in load_territories().communes.values()
    ]


def records(
    numbers: range, revision: int, now_ms: int, *, seed: int = 1, offset: int = 0
) -> Iterator[SourceRecord]:
    """The cases of ``numbers`` in one revision as records of partition 0 of 1."""
    rng, places = Random(seed), communes()
    for at, number in enumerate(numbers, offset):
        yield SourceRecord(
            at, now_ms, case_id(number).encode(), case(number, revision, now_ms, rng, places)
        )


def events(
    numbers: range, partitions: int, now_ms: int
) -> Iterator[tuple[catalog.Topic, int, bytes, bytes]]:
    """The first revision of every case with the partition that its key gives."""
    rng, places = Random(1), communes()
    for number in numbers:
        key = case_id(number).encode()
        value = case(number, 1, now_ms, rng, places)
        yield catalog.ADMIN_CASE, codec.murmur2(key) % partitions, key, value
