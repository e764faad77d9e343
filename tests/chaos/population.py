"""A population of constant size that never stops changing: what a soak test sends.

Every entity gets its next revision once in every turn, in a fixed order; milestones that move are
set to now, the others stay. So the state of a healthy system stays as large as it is after the
first turn, and growth is a leak. Some records come twice, some too late, some broken; how many the
pipeline must count as what is known exactly.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from services.oracle.raw import partition_of
from tests.strategies.events import CASE, INDICATOR, LISTING, PLACES, REPORT

_DAY = 86_400
#: Joint values of place and dimensions: few, so that a new pane is small.
_COMBINATIONS = 96
_CHANNELS = ("online", "direct", "postal")
_FIELDS = ("civil_status", "land", "business", "transport")
_CATEGORIES = ("road", "waste_env", "urban_order", "other")
_STATUS = ("processing", "supplement", "solved")


class Sent(NamedTuple):
    """One record, and what must become of it."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    outcome: str


@dataclass
class _Entity:
    topic: str
    type: str
    partition: int
    key: bytes
    fixed: str
    revision: int = 0
    latest: bytes = b""


def instant(seconds: float) -> str:
    """RFC 3339 text of whole seconds since the epoch."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Population:
    """So many entities: of ten, six are cases, two reports, one a listing or order, one a reading.

    ``born`` is the second at which it begins; nothing is ever younger than the ``now`` it is asked
    for.
    """

    def __init__(self, size: int, partitions: int, seed: int, born: int) -> None:
        self._rng = Random(seed)
        self._born = born
        self._partitions = partitions
        self._communes = sorted(c for c, (_, p) in PLACES.communes.items() if p == "45")[:24]
        self._entities = [self._make(number) for number in range(size)]
        self.expected: Counter[tuple[str, str]] = Counter()

    def __len__(self) -> int:
        return len(self._entities)

    def _make(self, number: int) -> _Entity:
        mix = number // 10 * 7 % _COMBINATIONS
        commune = self._communes[mix % len(self._communes)]
        district, province = PLACES.communes[commune]
        place = (
            f'"province_code":"{province}","district_code":"{district}","commune_code":"{commune}"'
        )
        channel = _CHANNELS[mix // 24 % 3]
        begun = self._born - 3600 - number * 7919 % (20 * _DAY)
        match number % 10:
            case 6 | 7:
                key = f"PA-{number}"
                fixed = (
                    f'"report_id":"{key}",{place},"category":"{_CATEGORIES[mix // 24]}",'
                    f'"channel":"app","priority":"normal","reported_at":"{instant(begun)}",'
                    f'"due_at":"{instant(begun + 5 * _DAY)}",'
                    '"description":"Ổ gà lớn trên tuyến đường liên xã, khó đi khi trời mưa."'
                )
                topic, kind = REPORT, "ioc.field_report.v1"
            case 8 if number % 20 == 8:
                key = f"CH-{number % 4000}"
                fixed = (
                    f'"listing_id":"SP-{number}","store_id":"{key}","seller_kind":"household",'
                    f'"platform":"voso","product_key":"sp-{mix}","product_name":"Tiêu Cùa",'
                    f'"product_group":"food","ocop_stars":{mix % 6},"price_vnd":45000,{place},'
                    f'"created_at":"{instant(begun)}"'
                )
                topic, kind = LISTING, "ioc.listing.v1"
            case 8:
                key = f"CH-{number % 4000}"
                fixed = (
                    f'"order_id":"DH-{number}","listing_id":"SP-{number - 10}","store_id":"{key}",'
                    f'"platform":"voso","quantity":2,"value_vnd":{40_000 + mix},'
                    f'"payment":"{("cod", "bank")[mix % 2]}",{place},"placed_at":"{instant(begun)}"'
                )
                topic, kind = LISTING, "ioc.order.v1"
            case 9:
                key = f"infra.soak_{number % 60:02}|{commune}|n={number}"
                day = self._born // _DAY * _DAY
                fixed = (
                    f'"domain":"infra","indicator":"infra.soak_{number % 60:02}",'
                    f'"territory":"{commune}","period_start":"{instant(day)}","kind":"rate",'
                    f'"denominator":1000,"target":0.9,"unit":"ratio","dims":{{"n":"{number}"}},'
                    '"source_system":"soak"'
                )
                topic, kind = INDICATOR, "ioc.indicator.v1"
            case _:
                key = f"H-{number}"
                fixed = (
                    f'"case_id":"{key}",{place},"level":"commune","procedure_code":"1.00{mix}",'
                    f'"procedure_field":"{_FIELDS[mix // 24]}","service_level":"full",'
                    f'"channel":"{channel}","portal":"provincial",'
                    f'"registered_at":"{instant(begun)}","accepted_at":"{instant(begun + 900)}",'
                    f'"due_at":"{instant(begun + 10 * _DAY)}","fee_due":20000,'
                    '"components_total":4,"components_digitised":3,"components_signed":1,'
                    '"components_reused":1,"result_digital":true,"auth":true,'
                    '"popdb_checked":true,"popdb_fields":5'
                )
                topic, kind = CASE, "ioc.admin_case.v1"
        data = key.encode()
        return _Entity(topic, kind, partition_of(data, self._partitions), data, fixed)

    def turn(self) -> Iterator[_Entity]:
        """All entities, over and over."""
        while True:
            yield from self._entities

    def records(self, entity: _Entity, now: int) -> list[Sent]:
        """The next revision of an entity at second ``now``, and now and then something worse."""
        before = entity.latest
        entity.revision += 1
        entity.latest = value = self._encode(entity, now)
        place = entity.topic, entity.partition, entity.key
        out = [Sent(*place, value, "applied")]
        roll = self._rng.random()
        if roll < 0.01:
            out.append(Sent(*place, value, "duplicate"))
        elif roll < 0.015 and before:
            out.append(Sent(*place, before, "stale"))
        elif roll < 0.017:
            out.append(Sent(*place, value[:-1], "rejected"))
        for record in out:
            self.expected[record.topic, record.outcome] += 1
        return out

    def _encode(self, entity: _Entity, now: int) -> bytes:
        phase = entity.revision % 3
        at = instant(now)
        match entity.type:
            case "ioc.admin_case.v1":
                moving = f'"status":"{_STATUS[phase]}"'
                if phase == 2:
                    moving += (
                        f',"solved_at":"{at}","payment":{{"amount":20000,"method":"bank",'
                        f'"paid_at":"{at}"}}'
                    )
            case "ioc.field_report.v1":
                moving = '"status":"in_progress"'
                if phase == 2:
                    moving = f'"status":"answered","answered_at":"{at}"'
            case "ioc.listing.v1":
                moving = f'"stock":{phase * 7},"active":{"true" if phase else "false"}'
            case "ioc.order.v1":
                moving = '"status":"placed"'
                if phase == 2:
                    moving = f'"status":"completed","completed_at":"{at}"'
            case _:
                moving = f'"numerator":{entity.revision % 1000},"period_end":"{at}"'
        return (
            f'{{"specversion":"1.0","id":"{entity.key.decode()}/{entity.revision}",'
            f'"source":"/ioc/sim/soak","type":"{entity.type}","time":"{at}",'
            f'"data":{{"revision":{entity.revision},{entity.fixed},{moving}}}}}'
        ).encode()
